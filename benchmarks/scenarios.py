"""What looking ahead is worth in scenarios, one depth: python benchmarks/scenarios.py News Shop."""

from __future__ import annotations

import argparse

import torch

from slategym.envs.registry import NAMESPACE, make_world, worlds
from slategym.experiments.measure.headroom import headroom


def main() -> None:
    every = [x.removeprefix(f"{NAMESPACE}Scenario-").removesuffix("-v0") for x in worlds.all()]
    known = [name for name in every if "/" not in name and "-" not in name]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=known, help="News, Shop, ...")
    parser.add_argument("--users", type=int, default=24)
    parser.add_argument("--strength", type=float, default=1.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        world = make_world(f"Scenario-{name}-v0", strength=given.strength)
        user_U = torch.arange(given.users, dtype=torch.int32)
        found = headroom(world, user_U, seed=3, depths=(8,), rollouts=4)
        print(f"{name}: {found.sentence}", flush=True)


if __name__ == "__main__":
    main()
