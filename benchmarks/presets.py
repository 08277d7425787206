"""What presets reach, written into their files: python benchmarks/presets.py [WORLD AGENT].

A preset is trained with as many seeds as asked, side by side where the learner can, and read on the
way and at the end before selection people (in worlds that draw their people from luck: people of
another luck), served as a trained agent is. Beside it stand policies that need no training, on the
same people. Without names: every preset that has no curve yet.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import torch

from slategym.agents.core.evaluation import Evaluation
from slategym.agents.registry import make_policy
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.experiments.measure.training import Training
from slategym.experiments.presets import Preset, all_presets, find_preset, path_of, tuned
from slategym.experiments.runs.origin import origin

BESIDE = ("random", "popularity", "supervised", "history-rule", "myopic")
POINTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="?", default="")
    parser.add_argument("agent", nargs="?", default="")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--training", type=float, default=1.0, help="share of its slates, to try")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for world, agent in all_presets():
        preset = find_preset(agent, world)
        named = asked.world in ("", world) and asked.agent in ("", agent)
        if named and (asked.world or (preset.reached is None and world != "Log-v0")):
            figures = reached(preset, asked.seeds, asked.training)
            write(preset, figures)
            print(f"{world} {agent}: {figures}", flush=True)


def reached(preset: Preset, seeds: int, share: float = 1.0) -> dict[str, Any]:
    """Train it, and read it and others; what stands under [reached]."""
    settings = tuned(preset.agent, preset.world)
    steps = max(1, round(settings.num_steps * share))
    training = Training(
        preset.agent,
        preset.world,
        preset.world_settings,
        replace(settings, num_steps=steps),
        tuple(range(seeds)),
    )
    began = time.process_time()
    found: list[Evaluation] = []
    world = training.make_world()

    def watched(agent: Any) -> Evaluation:
        found.append(Evaluation(agent, every=-(-steps // POINTS)))
        return found[0]

    with TemporaryDirectory() as folder:
        agent = training.run(folder, world=world, watched=watched, progress=True)
    seconds = time.process_time() - began
    (watched_as,) = found
    points = watched_as.points
    last_SP = torch.stack([watched_as.by_person([agent.of_seed(seed)]) for seed in agent.seeds])
    beside = {
        policy.name: float(watched_as.by_person([policy]).mean())
        for policy in others(watched_as.world)
    }
    made = origin()
    return {
        "people": last_SP.shape[1],
        "seeds": list(agent.seeds),
        "date": made["date"],
        "commit": made["commit"],
        "cpu_seconds": round(seconds),
        "slates": [point.steps for point in points],
        "mean": [round(point.value, 2) for point in points],
        "low": [round(point.low, 2) for point in points],
        "high": [round(point.high, 2) for point in points],
        "by_seed": [round(x, 2) for x in last_SP.mean(1).tolist()],
        "beside": {name: round(x, 2) for name, x in beside.items()},
    }


def others(world: World) -> Iterator[Policy]:
    """Those that can act there."""
    for name in BESIDE:
        try:
            yield make_policy(name, world)
        except UsageError:
            continue


def write(preset: Preset, figures: Mapping[str, Any]) -> None:
    """Put the figures behind the rest of its file."""
    path = path_of(preset.agent, preset.world)
    text = path.read_text(encoding="utf-8").split("\n[reached]")[0].rstrip()
    lines = ["", "", "[reached]", "# expected return a session: python benchmarks/presets.py"]
    lines += [f"{name} = {_toml(x)}" for name, x in figures.items() if name != "beside"]
    lines += ["", "[reached.beside]", *(f"{n} = {_toml(x)}" for n, x in figures["beside"].items())]
    path.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int):
        return f"{value:_}" if value >= 10_000 else str(value)
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    main()
