"""Episode rows of people who do not exist, with differences that are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from slategym.experiments.verdict import Roles

WORLD = "slategym/MovieLens-v0"
ROLES = Roles(boredom=4.0, agents=("plackett-luce", "proto-sac"))
LADDER = {  # mean return above random, for policies that do not learn
    "random": 0.0,
    "popularity": 6.0,
    "supervised": 10.0,
    "supervised-capped": 11.0,
    "myopic": 12.0,
    "rule-aware": 13.5,
}
GAINS = {  # mean return of an agent above supervised
    "world": {"plackett-luce": 1.8, "proto-sac": 0.4},
    "judge": {"plackett-luce": 2.4, "proto-sac": 0.1},
    "static": {"plackett-luce": 0.0, "proto-sac": -0.05},
}


def episode_rows(
    *,
    gains: Mapping[str, Mapping[str, float]] = GAINS,
    num_users: int = 120,
    num_seeds: int = 3,
    noise: float = 1.0,
    boredoms: tuple[float, ...] = (0.0, 2.0),
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of a whole study: three variants, a grid of boredom, evaluation and selection users.

    Args:
        gains: mean return of each agent above supervised, by variant.
        num_users: rows of the population; two of them make a person.
        num_seeds: training seeds of each agent.
        noise: standard deviation of single sessions around their person's mean.
        boredoms: further strengths at which policies are read in the world, log-odds.
        seed: of the made-up returns.
    """
    rng = np.random.default_rng(seed)
    person_U = np.arange(num_users) // 2
    base_U = 8 + rng.normal(0, 2, num_users)
    settings = [("world", 4.0), ("judge", 4.0), ("static", 0.0)]
    settings += [("world", strength) for strength in boredoms]
    parts = []
    for variant, boredom in settings:
        for group in ("evaluation", "selection"):
            if group == "selection" and (variant, boredom) != ("world", 4.0):
                continue
            for policy, level in LADDER.items():
                parts.append((variant, boredom, policy, "", 0, group, level))
            for policy, gain in gains[variant].items():
                trained_in = "static" if variant == "static" else "world"
                scaled = gain * (boredom / 4.0 if variant == "world" else 1.0)
                for s in range(num_seeds):
                    level = LADDER["supervised"] + scaled + 0.1 * (s - (num_seeds - 1) / 2)
                    parts.append((variant, boredom, policy, trained_in, s, group, level))
    frames = []
    for variant, boredom, policy, trained_in, s, group, level in parts:
        offset = 1000 if group == "selection" else 0
        total_U = base_U + level + rng.normal(0, noise, num_users)
        frames.append(
            pd.DataFrame(
                {
                    "world": WORLD,
                    "variant": variant,
                    "boredom": boredom,
                    "policy": policy,
                    "trained_in": trained_in,
                    "seed": s,
                    "user": np.arange(num_users) + offset,
                    "person": person_U + offset,
                    "group": group,
                    "return": total_U,
                    "clicks": total_U * 0.7,
                    "likes": total_U * 0.3,
                    "rating_mean": 3.5,
                    "length": np.minimum(30.0, 10 + total_U / 2),
                    "bored_share": np.clip(0.4 - level / 40, 0, 1),
                    "topics": 6.0 + (level > 10),
                    "expected_return": total_U,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
