"""check_agent: a good one passes; each rule that is broken is named, with its likely cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from five_items import five_items
from small_agents import Counting, CountingSettings
from small_worlds import learned_world
from torch import Tensor

from slategym.agents.check import check_agent
from slategym.agents.core.agent import Agent
from slategym.agents.types import Action
from slategym.envs.check import ContractError
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

WORLD = five_items()


@dataclass(frozen=True)
class Best:
    """The first items, always."""

    world: World
    name: str = "best"
    privileged: bool = False

    def slate(self, observation: Observation) -> Tensor:
        """The first K positions for everybody."""
        B = observation.step.shape[0]
        return torch.arange(self.world.slate_size, dtype=torch.int32).expand(B, -1)

    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(self.slate(observation))


class Wide(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(self.slate(observation).long())


class Short(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(self.slate(observation)[:, :1])


class Bare(Best):
    def act(self, observation: Observation, luck: Luck) -> Any:
        return self.slate(observation)


class Beyond(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(self.slate(observation) + 4)


class Twice(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(torch.zeros_like(self.slate(observation)))


class Global(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        torch.rand(1)
        return Action(self.slate(observation))


class Numpy(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        np.random.rand()  # noqa: NPY002
        return Action(self.slate(observation))


class Sociable(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action((self.slate(observation) + observation.step.shape[0] % 3).int())


class Writes(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        observation.step.add_(1)
        return Action(self.slate(observation))


class Halves(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        slate_BK = self.slate(observation)
        half_BK = torch.full(slate_BK.shape, 0.5).log()
        return Action(slate_BK, half_BK[:, 0], slot_logp=half_BK)


class OneSlot(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        slate_BK = self.slate(observation)
        return Action(slate_BK, torch.zeros(len(slate_BK)), position_logp=torch.zeros(6, 1))


class Unlikely(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(self.slate(observation), torch.ones(observation.step.shape[0]))


class Crashes(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        return Action(observation.context[:, 1])  # type: ignore[index]


CALLS = [0]


class Counts(Best):
    def act(self, observation: Observation, luck: Luck) -> Action:
        CALLS[0] += 1
        return Action(((self.slate(observation) + CALLS[0]) % 5).int())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Wide, "act must return int32 positions, got torch.int64"),
        (Short, r"act must return slates of shape \(users, slots\) = \(6, 2\), got \(6, 1\)"),
        (Bare, r"act must return an Action\(slate, logp\), got Tensor"),
        (Beyond, "returned 4 to 5; a position counts .* from 0 to 4"),
        (Twice, r"act shows an item twice to user 0: \[0, 0\]"),
        (Global, "act advanced a global random generator"),
        (Numpy, "act advanced a global random generator"),
        (Sociable, r"act shows user 3 \[0, 1\] in company and \[1, 2\] alone"),
        (Writes, "act changed the observation"),
        (Unlikely, "gave log-probabilities .*<= 0"),
        (Halves, "gave slot_logp that do not sum to logp"),
        (OneSlot, r"must give position_logp of every slot, \(users, slots\) = \(6, 2\)"),
        (
            Crashes,
            "Crashes: act failed at test_check.py:[0-9]+: TypeError: 'Context' object is not",
        ),
        (Counts, "act gave two slates for the same request"),
    ],
)
def test_what_a_policy_does_wrong_is_said(kind: type[Best], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_agent(kind(WORLD), WORLD)


def test_what_may_not_be_shown_is_found() -> None:
    world = learned_world()
    with pytest.raises(ContractError, match=r"shows user \d+ what may not be shown"):
        check_agent(Best(world), world)


def test_a_policy_has_a_name_and_says_whether_it_is_privileged() -> None:
    check_agent(Best(WORLD), WORLD)
    with pytest.raises(ContractError, match="name must be its name in tables"):
        check_agent(replace(Best(WORLD), name=""), WORLD)
    with pytest.raises(ContractError, match="privileged must say"):
        check_agent(replace(Best(WORLD), privileged=None), WORLD)  # type: ignore[type-var]


class Forgets(Counting):
    """Its values are not in its state: a training that is resumed begins anew."""

    def state(self) -> Any:
        return {"sessions": self.sessions}

    def restore(self, state: Any) -> None:
        self.sessions = state["sessions"]

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "value": self.value_SN}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        super().load_state_dict({n: x for n, x in saved.items() if n != "value"})


class Loses(Counting):
    """Saves nothing of what it knows."""

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        return None


class Unknown(Counting):
    """Its figures are not numbers."""

    def cycle(self) -> tuple[int, dict[str, float]]:
        shown, figures = super().cycle()
        return shown, {**figures, "train/loss": float("nan")}


class Careless(Counting):
    """Explores by the process's generator."""

    def cycle(self) -> tuple[int, dict[str, float]]:
        torch.rand(1)
        return super().cycle()


@dataclass
class Loose:
    """Settings that can change."""

    num_steps: int = 10


class Changes(Counting):
    """Its settings are not frozen."""

    @classmethod
    def default_settings(cls) -> Any:
        return Loose()

    def build(self) -> None:
        self.settings = CountingSettings()
        super().build()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Forgets, "state broken off after one cycle and resumed, a training differs in"),
        (Loses, "load serves other slates than what was saved"),
        (Unknown, "training diverged: train/loss is nan"),
        (Careless, "learn advanced a global random generator"),
        (Changes, r"default_settings must return a dataclass\(frozen=True\)"),
    ],
)
def test_what_a_learner_does_wrong_is_said(kind: type[Agent], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_agent(kind, WORLD)


def test_a_good_learner_passes_by_class_by_path_and_as_it_is() -> None:
    assert check_agent(Counting, WORLD) is WORLD
    assert check_agent("small_agents:Counting").name == "slategym/Workbench-v0"
    check_agent(Counting(WORLD), WORLD)


def test_names_of_the_registry_are_checked_where_they_can_act() -> None:
    assert check_agent("popularity").name == "slategym/Sardine-SlateTopK-Bored-v0"
    with pytest.raises(UsageError, match="unknown policy 'popularit'; did you mean 'popularity'"):
        check_agent("popularit")
    with pytest.raises(UsageError, match="a policy that is made already"):
        check_agent(Best(WORLD))
    with pytest.raises(UsageError, match="Best is no learner"):
        check_agent(Best)  # type: ignore[arg-type]
