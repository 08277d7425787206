"""How often `slategym diagnose LOG` is right about scenarios: python benchmarks/evidence.py.

Every scenario writes logs of random slates, at strength 0, where no slate changes what comes
later, and above. The table says in how many logs carry-over is found.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from slategym.agents.registry import make_policy
from slategym.envs.registry import NAMESPACE, make_world, worlds
from slategym.experiments.measure.log_folder import write_log_folder
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import SlateLog
from slategym.experiments.validation.evidence import Evidence, evidence
from slategym.models.data.datasets import load_log


def found_in(name: str, strength: float, users: int, seed: int) -> Evidence:
    """What a log of that many people says, other people for every seed."""
    world = make_world(name, strength=strength)
    user_U = torch.arange(users * seed, users * (seed + 1)) % world.population.size
    with tempfile.TemporaryDirectory() as scratch:
        slates = Path(scratch) / "slates.parquet"
        with slates.open("wb") as file, SlateLog(world, file, observations=False) as log:
            play(world, make_policy("random", world), user_U, seed=seed, on_slate=log.add)
        folder = write_log_folder(world, slates, Path(scratch) / "log")
        return evidence(load_log(str(folder)), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[200, 1_000])
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.0, 0.4, 1.0])
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = [x.removeprefix(NAMESPACE) for x in worlds.all() if "Scenario-" in x]
    for users in given.users:
        for strength in given.strengths:
            clear: list[str] = []
            for seed in range(1, given.seeds + 1):
                clear += [n for n in names if found_in(n, strength, users, seed).something]
            of = len(names) * given.seeds
            print(f"{users:6} people  strength {strength:3}  found in {len(clear):3} of {of}")
            silent = [n for n in names if n not in clear]
            print(f"    always silent: {', '.join(silent) or '-'}", flush=True)


if __name__ == "__main__":
    main()
