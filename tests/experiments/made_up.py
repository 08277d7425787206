"""Episode rows of people who do not exist, with differences that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.report.results import Constant, Result
from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.experiments.study import Learner, Profile, Roles, Study, Sweep

WORLD = "slategym/MovieLens-v0"
AGENTS = ("plackett-luce", "proto-sac")
ROLES = Roles(
    opponent="supervised",
    reference="rule-aware",
    others=("supervised-capped",),
    called={
        "supervised": "the supervised ranker",
        "supervised-capped": "the tuned diversity cap",
        "myopic": "the policy of the true model",
    },
)
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


def study(agents: tuple[str, ...] = AGENTS, boredoms: tuple[float, ...] = (0.0, 2.0)) -> Study:
    """A study with every kind of place, for rows that are made up."""
    world = Place("world", WORLD, strength=4.0)
    return Study(
        name="made-up",
        title="MovieLens-100K: does RL beat the supervised ranker?",
        question="For slates of five films shown to people who get bored, does reinforcement "
        "learning beat a supervised multi-task BERT, and can the answer be believed?",
        places=(
            world,
            Place("judge", WORLD, role="judge", of="world", strength=4.0),
            Place("static", WORLD, role="control", strength=0.0),
            Place("world", WORLD, role="selection", of="world", group="selection", strength=4.0),
            *(Place("world", WORLD, role="sweep", of="world", strength=b) for b in boredoms),
        ),
        policies=tuple(LADDER),
        learners=tuple(Learner(agent) for agent in agents),
        profiles={"quick": Profile("made up", seeds=3, users=120)},
        roles=ROLES,
        sweep=Sweep("boredom", "Boredom strength", "log-odds", 4.0),
    )


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
                    level = LADDER["supervised"] + scaled + 0.05 * (s - (num_seeds - 1) / 2)
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
                    "strength": boredom,
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


def paid(rows: pd.DataFrame, whose: Any, amount: Any) -> pd.DataFrame:
    """The rows with so much more for some of them, in what is earned and what is expected."""
    rows = rows.copy()
    for column in ("return", "expected_return"):
        rows.loc[whose, column] += amount
    return rows


def traits_told(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with two traits of evaluation people."""
    mine = rows["group"] == "evaluation"
    activity = np.where(rows["person"] % 2 == 0, "heavy", "light").astype(object)
    job = np.where(rows["person"] % 3 == 0, "student", "other").astype(object)
    return rows.assign(
        trait_activity=pd.Series(activity, rows.index).where(mine, None),
        trait_job=pd.Series(job, rows.index).where(mine, None),
    )


def slate_rows(policies: tuple[str, str, str], users: int = 33) -> pd.DataFrame:
    """Two slates of three films of some people, the second of which everybody is asked for."""
    films = [f"A film of {year}" for year in range(1950, 1970)]
    lines = []
    for user in range(users):
        for role, policy in zip(("opponent", "other", "rl"), policies, strict=True):
            for step in (0, 1):
                for position in range(3):
                    item = (user + 2 * position + step + (policy != policies[0])) % len(films)
                    click = float(position == user % 3)
                    lines.append(
                        {
                            **{"place": "world", "policy": policy, "role": role, "seed": 0},
                            **{"user": user, "person": user // 2, "gain": user - 16.0},
                            "quantile": (user + 0.5) / users,
                            "session_of": policy if step == 0 else policies[0],
                            **{"asked": step == 1, "visit": 0, "step": step},
                            **{"position": position, "item": item, "title": films[item]},
                            **{"topic": "Drama", "click": click, "click_chance": 0.3},
                            "like": 1.0 if click else np.nan,
                            **{"reward": 2 * click, "terminated": False, "truncated": False},
                            **{"bores": position == 2, "ranker_place": float(position + 1)},
                            **{"utility": 2.0, "adds_click": 1.5 - position, "adds_like": 0.2},
                            **{"because": films[(user + 3) % 20], "because_adds": 0.1},
                        }
                    )
    return pd.DataFrame(lines)


def with_people(found: Result) -> Result:
    """The same with traits, slates, what they cost to serve, and where it was made."""
    latency = [
        {"items": 1682, "batch": batch, "calls": 90, "p50": 5.0, "p95": 6.0, "cpu": 4.0}
        for batch in (1, 64)
    ]
    return replace(
        found,
        rows=traits_told(found.rows),
        slates=slate_rows(("supervised", "supervised-capped", "plackett-luce")),
        signals=(("click", "binary", ""), ("like", "binary", "")),
        serving={
            **{"threads": 1, "device": "cpu"},
            "latency": {"supervised": latency, "plackett-luce": latency, "proto-sac": latency},
        },
        made={"date": "2026-11-29", "version": "1.0", "commit": "abc1234", "machine": "Linux"},
    )


def numbers_of(
    rows: pd.DataFrame, agents: tuple[str, ...] = AGENTS, boredoms: tuple[float, ...] = ()
) -> Numbers:
    """Everything that is said of made-up rows."""
    return compute_numbers(study(agents, boredoms), rows, pd.DataFrame())


def result(rows: pd.DataFrame | None = None, **changes: Any) -> Result:
    """A whole study result around made-up rows."""
    rng = np.random.default_rng(5)
    steps = np.linspace(0, 400_000, 25)
    curves = [
        pd.DataFrame(
            {
                "policy": agent,
                "trained_in": place,
                "split": 0,
                "seed": seed,
                "steps": steps,
                "seconds": steps / 3000,
                "return_mean": 17 + 2 * (1 - np.exp(-steps / 1e5)) + rng.normal(0, 0.25, 25),
                "cpu_seconds": 100.0,
            }
        )
        for agent in AGENTS
        for place in ("world", "static")
        for seed in range(3)
    ]
    bins = np.arange(10)
    reliability = [
        pd.DataFrame(
            {
                "model": model,
                "head": head,
                "bin": bins,
                "predicted": low + (bins + 0.5) / 10 * span,
                "observed": low + ((bins + 0.5) / 10) ** power * span,
                "count": 1000 - 80 * bins,
            }
        )
        for model, power in (("multi-task BERT (agents)", 1.1), ("judge", 0.9))
        for head, low, span in (("click", 0.0, 1.0), ("like", 0.0, 1.0), ("rating", 1.0, 4.0))
    ]
    protocol = "global time split, 80/20; every test event sees the events before it"
    values: dict[str, Any] = {
        "study": study(),
        "size": Profile("made up", seeds=3, users=120),
        "command": "slategym benchmark movielens --profile quick --seeds 3",
        "rows": episode_rows() if rows is None else rows,
        "curves": pd.concat(curves, ignore_index=True),
        "reliability": pd.concat(reliability, ignore_index=True),
        "model_metrics": (
            {
                "model": "multi-task BERT",
                "like_auc": 0.7607,
                "rating_rmse": 0.9546,
                "hr10": 0.181,
                "protocol": protocol,
            },
            {
                "model": "online bias only",
                "like_auc": 0.7506,
                "rating_rmse": 0.969,
                "hr10": None,
                "protocol": protocol,
            },
        ),
        "labels": (
            ("rating", "logged", "stars as given"),
            ("click", "derived", "rated at all, against sampled unrated films"),
            ("boredom", "assumed", "three of the last five clicks in one genre lower it"),
        ),
        "constants": (
            Constant("tau", 2.7, "log-odds", "P(click) .15 on a random slate, .50 on a popular"),
            Constant("boredom strength", 4.0, "log-odds", "assumed; see the grid"),
        ),
        "settings": (
            ("Evaluation users", "120, disjoint from selection and calibration users"),
            ("Slates", "5 films, at most 30 slates a session"),
            ("Luck", "common random numbers: seed 7 for everyone"),
        ),
        "timings": (("train multi-task BERT (agents)", 61.2), ("train plackett-luce", 371.0)),
        "remarks": {
            "sweep": "Agents were trained at strength 4 only.",
            "differences": "Cap 2 was best.",
        },
    }
    return Result(**(values | changes))
