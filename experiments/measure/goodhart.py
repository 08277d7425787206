"""Does what a learner gains in its world carry over to a judge, while it trains?

Whoever is paid by a model learns its mistakes too (Goodhart's law): at some point the return
in the world goes on rising while the judge's falls. So what a learner would serve is kept at some
points of its training and read on selection people, on whom it was not trained, in its world and
before the judge of that world: each time minus the opponent, the same people with the same luck.

One could stop where the judge's selection people are best off. What that would be worth is read on
evaluation people: of the judge that chose, the people are new and the model is not; of other judges
both are.

Source: Gao, Schulman and Hilton 2023, arXiv:2210.10760, section 3: proxy against true reward by
optimisation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from slategym.agents.core.earned import earned
from slategym.agents.core.files import ABOUT
from slategym.agents.registry import find_agent, make_policy
from slategym.agents.types import Policy
from slategym.envs.types import World
from slategym.experiments.measure.training import snapshot
from slategym.experiments.measure.units import chosen_by, users_of, world_of
from slategym.experiments.runs.units import Work

SNAPSHOTS = 4  # of a training, evenly; the last is what it ends with
WATCHED = 64  # selection people by whom each is read
STOPPED = 105  # evaluation people by whom early stopping is read, at most
STOP_COLUMNS = (
    *("policy", "trained_in", "seed", "judge", "steps", "last_steps", "where", "gain", "error"),
)
COLUMNS = ("policy", "trained_in", "seed", "steps", "where", "gain", "error")


def watch(work: Work) -> pd.DataFrame:
    """Expected return of every snapshot minus the opponent's, in the world and before its judge.

    Returns:
        a row per snapshot, seed and place: policy, trained_in, seed, steps (slates of training),
        where (the place's name), gain (mean of paired differences) and its standard error over
        people.
    """
    spec, training = work.spec, work.need("learn@1").spec
    folder, device = work.needed_folder("learn@1"), work.settings.get("device", "cpu")
    kind, rows = find_agent(training["agent"]), list[dict[str, Any]]()
    total = len(spec["places"]) * (1 + spec["snapshots"] * len(training["seeds"]))
    for place in spec["places"]:
        world = world_of(place["world"], place["settings"], device)
        user_U = users_of(world, place["first_user"], place["num_users"])

        def read(policy: Policy, world: World = world, user_U: torch.Tensor = user_U,
                 luck: int = place["luck"]) -> torch.Tensor:  # fmt: skip
            work.progress(len(rows), total)
            return earned(world, policy, user_U, luck).double()

        opponent = make_policy(spec["opponent"], replace(world, chosen=chosen_by(work)))
        theirs_U = read(opponent)
        for number in range(1, spec["snapshots"] + 1):
            if not (snapshot(folder, number) / ABOUT).is_file():
                continue  # of a training so short that one cycle passes several
            agent = kind.load(snapshot(folder, number), world)
            for seed in training["seeds"]:
                gain = _mean_and_error(read(agent.of_seed(seed)) - theirs_U)
                values = (training["policy"], training["place"], seed, agent.steps)
                found = (*values, place["place"], *gain)
                rows.append(dict(zip(COLUMNS, found, strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def stop(work: Work) -> pd.DataFrame:
    """The snapshot that the judge's selection people like best, minus the last of its training.

    Returns:
        a row per place: policy, trained_in, seed, judge (who chose), steps and last_steps (slates
        of training until the chosen one and in all), where, gain (mean of paired differences of
        expected return, on evaluation people) and its standard error over sessions; nothing but
        zeros where the last is the best.
    """
    spec, training = work.spec, work.need("learn@1").spec
    watched = work.needed("watch@1")
    seen = watched[watched["where"] == spec["judge"]].reset_index(drop=True)
    if seen.empty:
        return pd.DataFrame(columns=list(STOP_COLUMNS))
    best = int(seen["gain"][::-1].idxmax())  # of equals, the last
    folder, device = work.needed_folder("learn@1"), work.settings.get("device", "cpu")
    taken = [
        n for n in range(1, training["snapshots"] + 1) if (snapshot(folder, n) / ABOUT).is_file()
    ]
    kind, rows = find_agent(training["agent"]), list[dict[str, Any]]()
    whose = (training["policy"], training["place"], training["seeds"][0], spec["judge"])
    steps = (int(seen["steps"][best]), int(seen["steps"].iloc[-1]))
    for done, place in enumerate(spec["places"]):
        work.progress(done, len(spec["places"]))
        gain, error = 0.0, 0.0
        if best < len(seen) - 1:
            world = world_of(place["world"], place["settings"], device)
            user_U = users_of(world, place["first_user"], place["num_users"])
            chosen_U, last_U = (
                earned(world, kind.load(snapshot(folder, n), world), user_U, place["luck"]).double()
                for n in (taken[best], taken[-1])
            )
            gain, error = _mean_and_error(chosen_U - last_U)
        rows.append(
            dict(zip(STOP_COLUMNS, (*whose, *steps, place["place"], gain, error), strict=True))
        )
    return pd.DataFrame(rows, columns=list(STOP_COLUMNS))


def _mean_and_error(gain_U: torch.Tensor) -> tuple[float, float]:
    """Mean and its standard error over sessions, which one session alone does not tell: NaN."""
    number = len(gain_U)
    error = float(gain_U.std()) / number**0.5 if number > 1 else float("nan")
    return float(gain_U.mean()), error
