"""How much more likely a click on an item is than none: told by the world, or learnt from clicks.

Where at most one item of a slate is chosen, P(i | A) = o_i / (1 + sum over A of o_j) with the odds
o_i = exp(appeal of i - appeal of choosing nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.ensemble import Ensemble, adam_state, clip_each, load_adam, ready_adam
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.replay import Scene, Shown
from slategym.agents.slateq.network import ItemNetwork, of_candidates
from slategym.envs import engine
from slategym.envs.choice import (
    Cascade,
    ExponentialCascade,
    MultinomialLogit,
    MultinomialProportional,
)
from slategym.envs.names import UsageError
from slategym.envs.types import Items, Observation, World

ONE_CHOICE = (MultinomialLogit, MultinomialProportional, Cascade, ExponentialCascade)
MOST = 30.0  # log-odds: keeps exp finite in float32
CLIP = 10.0  # largest norm of a gradient


class ClickOdds(Protocol):
    """Odds of a click on every candidate, for S seeds side by side."""

    def see(self, observation: Observation) -> Tensor | None:
        """What a scene remembers of them, (B, C); None: nothing."""
        ...

    def __call__(self, scene: Scene) -> Tensor:
        """Odds, (S, B, C)."""
        ...

    def update(self, shown: Shown, learning_rate: float) -> Tensor:
        """Learn from these slates; the loss of each seed in nats, (S,)."""
        ...

    def only(self, seed_index: int) -> ClickOdds:
        """Those of one seed."""
        ...

    def state(self) -> dict[str, Any]:
        """What learning goes on from; "weights" are what serving needs."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take over such a state, or its weights alone."""
        ...


class GivenOdds:
    """The world's own, read off the observation: nothing that a user does not reveal.

    Raises:
        UsageError: the choice is not multinomial logit, or people do not reveal their appeal.
    """

    def __init__(self, inputs: Inputs, seeds: Sequence[int], learning_rate: float) -> None:
        self.world, self.num_seeds = inputs.world, len(seeds)
        choice, fix = self.world.choice, 'set choice="learned"'
        if not isinstance(choice, MultinomialLogit):
            raise UsageError(
                'slateq with choice="given" needs MultinomialLogit, whose odds it is told; '
                f"{self.world.name} has {type(choice).__name__}; {fix}"
            )
        self.skip = choice.skip
        zero_1 = torch.zeros(1, dtype=torch.int32, device=self.world.device)
        revealed = engine.observe(
            self.world, engine.start(self.world, zero_1, zero_1, zero_1)
        ).revealed
        if revealed is None or self.world.users.known(revealed) is None:
            raise UsageError(
                'slateq with choice="given" reads the true appeal of items off the observation, '
                f"and people in {self.world.name} do not reveal all that it depends on; {fix}"
            )

    def see(self, observation: Observation) -> Tensor:
        """The true odds, (B, C)."""
        assert observation.revealed is not None  # see __init__
        state, id_BC = self.world.users.known(observation.revealed), observation.candidates
        if id_BC is None:
            every_N = torch.arange(self.world.catalogue.num_items, device=self.world.device)
            id_BC = every_N.int().expand(len(observation.step), -1).contiguous()
        items = Items(id_BC, self.world.catalogue)
        appeal_BC = self.world.users.appeal(state, items, observation.context)
        return (appeal_BC - self.skip).clamp(-MOST, MOST).exp()

    def __call__(self, scene: Scene) -> Tensor:
        """As they were seen."""
        assert scene.odds is not None
        return scene.odds

    def update(self, shown: Shown, learning_rate: float) -> Tensor:
        """Nothing is to be learnt."""
        return torch.zeros(self.num_seeds, device=self.world.device)

    def only(self, seed_index: int) -> GivenOdds:
        """The same for every seed."""
        return self

    def state(self) -> dict[str, Any]:
        """Empty."""
        return {"weights": {}}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing is remembered."""


class LearnedOdds:
    """A network of log-odds, fitted to what was clicked and what was not, with its own slates."""

    def __init__(self, inputs: Inputs, seeds: Sequence[int], learning_rate: float) -> None:
        world = inputs.world
        self.network = Ensemble(
            lambda: ItemNetwork(inputs.width, world.catalogue), seeds, world.device
        )
        self.adam = ready_adam(self.network.parameters(), learning_rate, eps=1e-5)

    def see(self, observation: Observation) -> None:
        """Nothing: the network knows better later."""

    @torch.no_grad()
    def __call__(self, scene: Scene) -> Tensor:
        """As the network has them now."""
        return self._logit(scene).exp()

    def _logit(self, scene: Scene) -> Tensor:
        level_SB1, item_SBN = self.network(scene.x)
        logit_SBC: Tensor = of_candidates(item_SBN[..., :-1], scene.candidate) + level_SB1
        return logit_SBC.clamp(-MOST, MOST)

    def update(self, shown: Shown, learning_rate: float) -> Tensor:
        """One step down the cross-entropy of the slot clicked, or none."""
        logit_SnK = self._logit(shown.scene).gather(2, shown.slate)
        with_none_SnK = F.pad(logit_SnK, (0, 1))  # no click has log-odds 0
        loss_Sn = F.cross_entropy(with_none_SnK.movedim(2, 1), shown.slot, reduction="none")
        loss_S = loss_Sn.mean(1)
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.zero_grad()
        loss_S.sum().backward()  # type: ignore[no-untyped-call]
        clip_each(self.network.parameters(), CLIP)
        self.adam.step()
        return loss_S.detach()

    def only(self, seed_index: int) -> LearnedOdds:
        """One member's, which shares its weights and is not to be trained."""
        one = object.__new__(LearnedOdds)
        one.network = self.network.only(seed_index)
        return one

    def state(self) -> dict[str, Any]:
        """Weights and Adam's moments."""
        return {"weights": self.network.weights, "adam": adam_state(self.adam)}

    def restore(self, state: dict[str, Any]) -> None:
        """Weights and, where they are given, moments."""
        self.network.load(state["weights"])
        load_adam(self.adam, state.get("adam", adam_state(self.adam)))


CHOICES: dict[str, type[GivenOdds] | type[LearnedOdds]] = {
    "given": GivenOdds,
    "learned": LearnedOdds,
}


def check_choice(world: World) -> None:
    """Refuse a world in which several items of a slate may be clicked.

    Raises:
        UsageError: naming its choice model and those that would do.
    """
    if not isinstance(world.choice, ONE_CHOICE):
        names = ", ".join(choice.__name__ for choice in ONE_CHOICE)
        raise UsageError(
            f"slateq needs a choice of at most one item of a slate ({names}): only then do item "
            f"values add up to a slate's; {world.name} has {type(world.choice).__name__}. "
            "`slategym agents` lists others"
        )
