"""A learner small enough to follow by hand. Importable by every test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slategym.agents.core.agent import Agent
from slategym.agents.core.sessions import TrainingSessions, harvest, luck_of, seat, show
from slategym.agents.slates.top import top_slate
from slategym.agents.types import Action
from slategym.envs.candidates import WholeCatalogue
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

TRY = purpose("test.counting")


@dataclass(frozen=True)
class CountingSettings:
    """How long it counts."""

    num_steps: Count = 2_000  # slates of each seed
    num_users: Count = 16  # of each seed, side by side
    explore_prob: Rate = 0.05  # that an item is put first, each slate
    learning_rate: Amount = 0.1  # share by which an item's value moves to what it brought


class Counting(Agent):
    """Keeps what each item brought on average, and shows the best; for everybody alike."""

    name = "counting"
    several_seeds = True

    @classmethod
    def default_settings(cls) -> CountingSettings:
        return CountingSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        if not isinstance(world.candidates, WholeCatalogue):
            raise UsageError(f"counting needs the whole catalogue; {world.name} offers a part")

    def build(self) -> None:
        shape = (len(self.seeds), self.world.catalogue.num_items)
        self.value_SN = torch.zeros(shape, device=self.world.device)
        self.sessions: TrainingSessions | None = None

    def begin(self, world: World) -> None:
        self.place, self.turn = world, turn_of(world)
        self.sessions = seat(world, self.seeds, self.settings.num_users)

    def cycle(self) -> tuple[int, dict[str, float]]:
        assert self.sessions is not None
        S, B = len(self.seeds), self.settings.num_users
        score_LN = self._noisy(self.value_SN.repeat_interleave(B, 0), luck_of(self.sessions))
        slate_LK = top_slate(score_LN, self.place.slate_size)
        self.sessions, step = show(self.place, self.turn, self.sessions, slate_LK)
        click_LK = step.outcome.feedback[..., 0]
        item_SX = slate_LK.long().view(S, -1)
        zero_SN = torch.zeros_like(self.value_SN)
        shown_SN = zero_SN.scatter_add(1, item_SX, torch.ones_like(item_SX, dtype=torch.float32))
        gain_SN = zero_SN.scatter_add(1, item_SX, click_LK.reshape(S, -1))
        error_SN = gain_SN / shown_SN.clamp(min=1) - self.value_SN
        rate = self.settings.learning_rate
        self.value_SN = torch.where(shown_SN > 0, self.value_SN + rate * error_SN, self.value_SN)
        self.sessions, figures = harvest(self.sessions)
        return B, {**figures, "train/loss": float(error_SN.square().mean())}

    def act(self, observation: Observation, luck: Luck) -> Action:
        best_K = top_slate(self.value_SN[self.serving, None], self.world.slate_size)[0]
        return Action(best_K.expand(observation.step.shape[0], -1))

    def explore(self, observation: Observation, luck: Luck) -> Action:
        value_BN = self.value_SN[self.serving].expand(observation.step.shape[0], -1)
        return Action(top_slate(self._noisy(value_BN, luck), self.world.slate_size))

    def weights(self) -> dict[str, Tensor]:
        return {"value": self.value_SN}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        if weights["value"].shape != self.value_SN.shape:
            raise ValueError(f"value has shape {tuple(weights['value'].shape)}")
        self.value_SN = weights["value"].to(self.world.device)

    def state(self) -> Any:
        return {"value": self.value_SN, "sessions": self.sessions}

    def restore(self, state: Any) -> None:
        self.value_SN, self.sessions = state["value"], state["sessions"]

    def _noisy(self, value_LN: Tensor, luck: Luck) -> Tensor:
        draw_LN = luck.uniform(TRY, value_LN.shape[1])
        return value_LN.masked_fill(draw_LN < self.settings.explore_prob, 2.0) + 1e-6 * draw_LN
