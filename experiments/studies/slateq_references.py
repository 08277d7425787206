"""What may be known of InterestEvolution, made into policies: references of the SlateQ study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.slates.one_choice import exact_slate, top_k_slate
from slategym.agents.types import Action
from slategym.envs.choice import MultinomialLogit
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World
from slategym.envs.users.interest_evolution import InterestEvolution

WORTH = 1.2  # minutes watched per minute of budget left, in the analytic value of a state


@dataclass(frozen=True)
class BestQuality:
    """The documents whose topics are of best mean quality, which nobody is shown: privileged."""

    world: World
    name: ClassVar[str] = "best topic quality"
    privileged: ClassVar[bool] = True

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Top-K by quality."""
        quality_BC = _quality(self.world, observation)
        return Action(quality_BC.topk(self.world.slate_size, 1).indices.int())


@dataclass(frozen=True)
class Analytic:
    """Exact slates for V = WORTH * budget left, with the true costs of a click and of none.

    Q(i) = watch + V(budget - watch (1 - refund quality_i)), Q(null) = V(budget - skip cost) or,
    as in the reference code of SlateQ, zero. It knows topics' qualities: privileged. That interests
    move it does not take into account.
    """

    world: World
    null: str = "learned"  # "zero": no click is worth nothing
    privileged: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """With its null value where that is zero."""
        return "analytic value" if self.null == "learned" else "analytic value, null zero"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slate if V were true."""
        users, choice = self.world.users, self.world.choice
        assert isinstance(users, InterestEvolution) and isinstance(choice, MultinomialLogit)
        assert observation.revealed is not None and observation.candidates is not None
        state = users.known(observation.revealed)
        appeal_BC = state.interest.gather(1, observation.candidates.long())
        budget_B1 = state.budget[:, None]
        watch_B1 = budget_B1.clamp(max=users.length)
        cost_BC = watch_B1 * (1.0 - users.refund * _quality(self.world, observation))
        item_BC = watch_B1 + WORTH * (budget_B1 - cost_BC)
        null_B1 = WORTH * (budget_B1 - users.skip_cost)
        lead_BC = item_BC - (null_B1 if self.null == "learned" else torch.zeros_like(null_B1))
        odds_BC = (appeal_BC - choice.skip).exp()
        return Action(exact_slate(odds_BC, lead_BC, self.world.slate_size).int())


def analytic_null_zero(world: World) -> Analytic:
    """The analytic value with no click worth nothing."""
    return Analytic(world, null="zero")


@dataclass(frozen=True)
class MostClicked:
    """The documents of greatest click odds: the best slate where a click has one worth.

    All that it reads is observed. In the static twin, where nothing moves the future, this is the
    true-model myopic policy.
    """

    world: World
    name: ClassVar[str] = "true-model myopic"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Top-K by interest in the document's topic."""
        assert observation.revealed is not None and observation.candidates is not None
        interest_BC = observation.revealed.gather(1, observation.candidates.long())
        same_BC = torch.ones_like(interest_BC)
        return Action(top_k_slate(interest_BC.exp(), same_BC, self.world.slate_size).int())


def _quality(world: World, observation: Observation) -> Tensor:
    assert observation.candidates is not None
    return world.catalogue.quality[observation.candidates.long()]
