"""How much of the headroom of a scenario a learner takes: benchmarks/scenario_learners.py News.

Greedy, the planner and the learner are told the truth of every item at this request; the learner
begins as greedy and has to learn from slates what they change later. In the twin (`--static`)
nothing changes, and it may not be ahead of greedy beyond a margin.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.references.planner import Planner
from slategym.agents.types import Policy
from slategym.envs.registry import NAMESPACE, make_world, worlds
from slategym.envs.types import World
from slategym.experiments.measure.told import ToldPlackettLuce
from slategym.experiments.statistics.control import MARGIN_SHARE
from slategym.experiments.statistics.words import share, signed

FIRST, LUCK = 700_000, 1_022  # of people whom no training meets, and their luck's seed
DEPTH, FUTURES = 8, 4  # of the planner: slates ahead, futures of a slate
NORMAL = 1.96  # standard errors


def main() -> None:
    every = [x.removeprefix(f"{NAMESPACE}Scenario-").removesuffix("-v0") for x in worlds.all()]
    known = [name for name in every if "/" not in name and "-" not in name]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=known, help="News, Shop, ...")
    parser.add_argument("--users", type=int, default=256, help="before whom greedy and it are read")
    parser.add_argument("--planned", type=int, default=24, help="of these, before the planner")
    parser.add_argument("--steps", type=int, default=ToldPlackettLuce.default_settings().num_steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--static", action="store_true", help="in the twin")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        settings = {"static": True} if given.static else {}
        world = make_world(f"Scenario-{name}-v0", strength=given.strength, **settings)
        print(f"{name}: {_said(world, given)}", flush=True)


def _said(world: World, given: argparse.Namespace) -> str:
    """What planner and learner gain over greedy."""
    user_U = torch.arange(FIRST, FIRST + given.users, dtype=torch.int32)
    greedy_U = earned(world, Myopic(world), user_U, LUCK)
    told = [f"greedy {float(greedy_U.mean()):.2f}"]
    few_U = user_U[: given.planned]
    if given.planned and not given.static:
        planner = Planner(world, depth=DEPTH, rollouts=FUTURES)
        told.append(f"planner {_gain(world, planner, few_U, greedy_U[: given.planned])}")
    began = time.process_time()
    settings = replace(ToldPlackettLuce.default_settings(), num_steps=given.steps)
    agent = ToldPlackettLuce(world, settings, seeds=(given.seed,))
    agent.learn(world)
    seconds = time.process_time() - began
    told.append(f"learner {_gain(world, agent, user_U, greedy_U)}")
    if given.planned and not given.static:
        few = _gain(world, agent, few_U, greedy_U[: given.planned])
        told.append(f"before the planner's people {few}")
    if given.static:
        told.append(f"margin {MARGIN_SHARE * float(greedy_U.mean()):.2f}")
    return "; ".join([*told, f"{agent.steps:,} slates in {seconds:.0f} CPU s"])


def _gain(world: World, policy: Policy, user_U: torch.Tensor, greedy_U: torch.Tensor) -> str:
    """Over greedy, with a normal interval over people, and as a share of what greedy earns."""
    gain_U = earned(world, policy, user_U, LUCK) - greedy_U
    mean, half = float(gain_U.mean()), NORMAL * float(gain_U.std()) / len(gain_U) ** 0.5
    return f"{signed(mean, mean - half, mean + half)}, {share(mean / float(greedy_U.mean()))}"


if __name__ == "__main__":
    main()
