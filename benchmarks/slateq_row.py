"""CPU seconds to the SlateQ row (275 minutes, 300,000 slates): python benchmarks/slateq_row.py.

QL-OT-OS with a learned null value, as in the study (`slategym benchmark slateq`), its seeds side by
side as there, trained with the settings of the table or, by default, with others that make fewer
updates of fewer slates. The seconds of all are parted among the seeds. Each earns on the table's
5,000 people with the table's luck; the analytic value, which is told the truth, earns on the same.
One torch thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import torch

from slategym.agents.slateq.agent import SlateQ
from slategym.envs.registry import make_world
from slategym.experiments.measure.play import play
from slategym.experiments.runs.memory import keep_freed_memory
from slategym.experiments.studies.slateq import FIRST_USER, HERE, LUCK, WORLD
from slategym.experiments.studies.slateq_references import Analytic

FAST: dict[str, Any] = {
    "num_steps": 299_520,  # 39 cycles
    "num_users": 240,
    "batch": 128,
    "learning_rate": 2.4e-3,
    "tau": 0.07,
}


def main() -> None:
    """Print a row a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true", help="the settings of the table")
    parser.add_argument("--people", type=int, default=5_000, help="who are shown the slates served")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as `slategym train` and `benchmark` do
    world = make_world(WORLD)
    settings = HERE if asked.table else replace(HERE, **FAST)
    agent = SlateQ(world, settings, seeds=tuple(asked.seeds))
    begin = time.process_time()
    agent.learn(world)
    seconds = (time.process_time() - begin) / len(asked.seeds)
    print(f"{agent.steps:,} slates and {seconds:.1f} CPU seconds a seed")
    user_U = torch.arange(FIRST_USER, FIRST_USER + asked.people, dtype=torch.int32)
    told = play(world, Analytic(world), user_U, seed=LUCK)["return"].mean()
    print(f"{'seed':>6}{'minutes':>10}{'analytic':>10}")
    for seed in asked.seeds:
        earned = play(world, agent.of_seed(seed), user_U, seed=LUCK)["return"].mean()
        print(f"{seed:6}{earned:10.1f}{told:10.1f}", flush=True)


if __name__ == "__main__":
    main()
