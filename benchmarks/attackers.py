"""Exposure of items that learn what gets them shown, before and after a cap: name scenarios.

python benchmarks/attackers.py News Shop
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from slategym.agents.references.myopic import Myopic
from slategym.envs.registry import make_world
from slategym.envs.scenarios.attack import Attack
from slategym.envs.types import World
from slategym.experiments.measure.exposure import Exposure
from slategym.experiments.measure.play import play

CAP = 1  # items of a topic in a slate


def read(world: World, attacks_N: torch.Tensor, cap: int | None, users: int) -> tuple[float, float]:
    """Share of exposure that attackers have under greedy by clicks, and return a session."""
    exposure = Exposure(world)
    user_U = torch.arange(users, dtype=torch.int32)
    clicks = replace(world, objective=(1.0, *[0.0] * (world.num_signals - 1)))
    rows = play(world, Myopic(clicks, cap), user_U, seed=0, exposure=exposure)
    exposed_N = exposure.exposed_N
    return float(exposed_N[attacks_N].sum() / exposed_N.sum()), float(rows["return"].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["News"], help="News, Shop, ...")
    parser.add_argument("--share", type=float, default=0.1, help="of the items that attack")
    parser.add_argument("--users", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.share:.0%} of 200 items attack; exposure of theirs, return a session")
    for name in given.names:
        for rounds in (0, 12):
            world = make_world(f"Scenario-{name}-v0", attackers=given.share, rounds=rounds)
            attacks_N = Attack(given.share, 0).attackers(world.catalogue.num_items, world.seed)
            for cap in (None, CAP):
                share, earned = read(world, attacks_N, cap, given.users)
                how = "no cap" if cap is None else f"at most {cap} of a topic"
                said = "after they learned" if rounds else "before they learned"
                print(f"{name}, {said}, {how}: {share:.1%}, {earned:.2f}", flush=True)


if __name__ == "__main__":
    main()
