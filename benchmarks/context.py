"""What context is worth: benchmarks/context.py DayInLife Scenario-News --strength 0.

Greedy told the truth, and the same shown the context of a stranger instead: what is lost, expected
return a session, before the same people with the same luck. In a twin (`--static`) nothing is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.registry import NAMESPACE, make_world, worlds
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, World

LUCK = 1_022
NORMAL = 1.96  # standard errors


@dataclass(frozen=True)
class Stranger:
    """Greedy told the truth, of a request whose context is another person's."""

    world: World
    name: str = "stranger"
    privileged: ClassVar[bool] = True

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slate of the moment in the context of the next person in the batch."""
        session = observation.hidden
        assert session is not None, "privileged"
        context = map_tensors(lambda x: x.roll(1, 0), session.context)
        seen = replace(observation, hidden=replace(session, context=context))
        return Myopic(self.world).act(seen, luck)


def main() -> None:
    every = [id.removeprefix(NAMESPACE).removesuffix("-v0") for id in worlds.all()]
    known = ["DayInLife", *(name for name in every if name.startswith("Scenario-"))]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=known, help="DayInLife, Scenario-News, ...")
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--strength", type=float, default=0.0, help="of scenarios")
    parser.add_argument("--static", action="store_true", help="in the twin")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        settings = {"static": True} if given.static else {}
        if name.startswith("Scenario-"):
            settings |= {"strength": given.strength}
        print(f"{name}: {_said(make_world(f'{name}-v0', **settings), given.users)}", flush=True)


def _said(world: World, users: int) -> str:
    """What is lost, with a normal interval over people."""
    user_U = torch.arange(users, dtype=torch.int32)
    greedy_U = earned(world, Myopic(world), user_U, LUCK)
    lost_U = greedy_U - earned(world, Stranger(world), user_U, LUCK)
    level = float(greedy_U.mean())
    half = NORMAL * float(lost_U.std()) / users**0.5
    return (
        f"greedy {level:.2f}; loses {float(lost_U.mean()) / level:.2%} ± {half / level:.2%}, "
        f"{float(lost_U.mean()):.3f} a session"
    )


if __name__ == "__main__":
    main()
