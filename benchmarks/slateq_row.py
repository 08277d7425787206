"""CPU seconds to the SlateQ row (275 minutes, 300,000 slates): python benchmarks/slateq_row.py.

QL-OT-OS with a learned null value, as in the study (`slategym benchmark slateq`), trained with the
settings of the table or, by default, with more users side by side and so fewer updates. Every seed
is trained alone, in a process of its own, on one torch thread, and earns on the table's 5,000
people with the table's luck. The analytic value, which is told the truth, earns on the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import torch

FAST: dict[str, Any] = {"num_users": 128, "learning_rate": 1.4e-3, "tau": 0.028}


def trained(seed: int, table: bool, people: int) -> dict[str, float]:
    """One seed: CPU seconds of its training, what it earns, and what the analytic value earns."""
    from slategym.agents.slateq.agent import SlateQ
    from slategym.envs.registry import make_world
    from slategym.experiments.measure.play import play
    from slategym.experiments.runs.memory import keep_freed_memory
    from slategym.experiments.studies.slateq import FIRST_USER, HERE, LUCK, WORLD
    from slategym.experiments.studies.slateq_references import Analytic

    torch.set_num_threads(1)
    keep_freed_memory()  # as `slategym train` and `benchmark` do
    world = make_world(WORLD)
    agent = SlateQ(world, HERE if table else replace(HERE, **FAST), seeds=(seed,))
    begin = time.process_time()
    agent.learn(world)
    seconds = time.process_time() - begin
    user_U = torch.arange(FIRST_USER, FIRST_USER + people, dtype=torch.int32)
    told = play(world, Analytic(world), user_U, seed=LUCK)["return"]
    earned = play(world, agent, user_U, seed=LUCK)["return"]
    return {
        "slates": agent.steps,
        "seconds": seconds,
        "earned": float(earned.mean()),
        "analytic": float(told.mean()),
    }


def main() -> None:
    """Print a row a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true", help="the settings of the table")
    parser.add_argument("--people", type=int, default=5_000, help="who are shown the slates served")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)  # a seed, in this process
    asked = parser.parse_args()
    if asked.alone is not None:
        print(json.dumps(trained(asked.alone, asked.table, asked.people)))
        return
    print(f"{'seed':>6}{'slates':>10}{'CPU seconds':>13}{'minutes':>10}{'analytic':>10}")
    for seed in asked.seeds:
        command = [sys.executable, __file__, *sys.argv[1:], "--alone", str(seed)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        row = json.loads(answer.stdout)
        print(
            f"{seed:6}{row['slates']:10,}{row['seconds']:13.1f}{row['earned']:10.1f}"
            f"{row['analytic']:10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
