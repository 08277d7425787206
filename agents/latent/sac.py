"""Soft actor-critic: a squashed Gaussian actor, twin critics, a temperature that tunes itself.

A part, not an agent: it acts in a box (-1, 1)^A and knows nothing of slates.
`agents/latent/gems.py` lets it choose latent slates. The leading axis S is the training seed
everywhere; each seed has networks, a replay and noise of its own.

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", arXiv:1812.05905:
soft Bellman residual, reparametrised policy objective, automatic temperature, squashed density.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.ensemble import Ensemble, adam_state, load_adam, ready_adam
from slategym.envs.luck import Luck, purpose

DRAW, HERE_NOISE, NEXT_NOISE = (purpose(f"sac.{n}") for n in ("draw", "here", "next"))
LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0
FIRST_ALPHA = 0.2  # temperature before it tunes itself, reward per nat


@dataclass(frozen=True)
class SacSettings:
    """How the critics and the actor learn."""

    gamma: float = 0.9  # discount per slate, in [0, 1)
    batch: int = 128  # transitions of each seed
    actor_rate: float = 1e-3  # Adam
    critic_rate: float = 1e-3  # Adam; also the temperature's
    tau: float = 0.01  # share by which the target critics follow, in (0, 1]
    hidden: tuple[int, ...] = (256,)  # widths of the hidden layers of every network


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class GaussianActor(nn.Module):
    """What is seen in, mean and log standard deviation before the squashing out."""

    def __init__(self, width: int, action_width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.body = mlp(width, *hidden, 2 * action_width)

    def forward(self, seen_BX: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) each."""
        mean_BA, spread_BA = self.body(seen_BX).chunk(2, dim=1)
        middle, reach = (LOG_STD_MAX + LOG_STD_MIN) / 2, (LOG_STD_MAX - LOG_STD_MIN) / 2
        return mean_BA, middle + reach * torch.tanh(spread_BA)


class TwinCritic(nn.Module):
    """Two independent estimates of the discounted reward to come."""

    def __init__(self, width: int, action_width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.first = mlp(width + action_width, *hidden, 1)
        self.second = mlp(width + action_width, *hidden, 1)

    def forward(self, seen_BX: Tensor, action_BA: Tensor) -> Tensor:
        """(2, B)."""
        both_BX = torch.cat([seen_BX, action_BA], 1)
        return torch.stack([self.first(both_BX)[:, 0], self.second(both_BX)[:, 0]])


class TransitionReplay:
    """The last R transitions of every seed, a ring on the device.

    Args:
        num_seeds: S.
        capacity: R, of each seed.
        one: a transition, by name: tensors of the shapes and types to keep.
    """

    def __init__(self, num_seeds: int, capacity: int, one: Mapping[str, Tensor]) -> None:
        self.capacity, self.seen = capacity, 0  # transitions of each seed
        self.columns = {name: x.new_zeros(num_seeds, capacity, *x.shape) for name, x in one.items()}

    def add(self, rows: Mapping[str, Tensor]) -> None:
        """Keep B transitions of every seed, (S, B, ...) each, in place of the oldest."""
        count = next(iter(rows.values())).shape[1]
        for name, column in self.columns.items():
            at_B = (torch.arange(count, device=column.device) + self.seen) % self.capacity
            column[:, at_B] = rows[name].to(column.dtype)
        self.seen += count

    def draw(self, luck_S: Luck, count: int) -> dict[str, Tensor]:
        """Transitions at random, with replacement, (S, count, ...) each."""
        index_SM = luck_S.integers(DRAW, count, min(self.seen, self.capacity)).long()
        seed_S1 = torch.arange(len(index_SM), device=index_SM.device)[:, None]
        return {name: column[seed_S1, index_SM] for name, column in self.columns.items()}

    def state(self) -> dict[str, Any]:
        """A tree of its tensors."""
        return {"columns": self.columns, "seen": torch.tensor(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over such a tree."""
        self.columns, self.seen = dict(state["columns"]), int(state["seen"])


class SoftActorCritic:
    """The networks of S seeds and one gradient step of each.

    Args:
        width: X, of what is seen.
        action_width: A.
        settings: how it learns.
        seeds: of the initial weights and of the noise.
        device: of everything.
    """

    def __init__(
        self,
        width: int,
        action_width: int,
        settings: SacSettings,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.settings, self.action_width = settings, action_width
        shape = (width, action_width, settings.hidden)
        self.actor = Ensemble(lambda: GaussianActor(*shape), seeds, device)
        self.critics = Ensemble(lambda: TwinCritic(*shape), seeds, device)
        self.target = self.critics.frozen_copy()
        first = torch.full((len(seeds),), math.log(FIRST_ALPHA), device=device)
        self.log_alpha = first.requires_grad_()  # (S,)
        self.actor_adam = ready_adam(self.actor.parameters(), settings.actor_rate)
        self.critic_adam = ready_adam(self.critics.parameters(), settings.critic_rate)
        self.alpha_adam = ready_adam([self.log_alpha], settings.critic_rate)
        self.updates = 0

    def learn(self, batch: Mapping[str, Tensor], luck_S: Luck) -> dict[str, Tensor]:
        """One step of the critics, the actor and the temperature.

        Args:
            batch: seen, next (S, M, X); action (S, M, A); reward, alive (S, M): alive is 0 where
                nothing can follow.
            luck_S: of this update.

        Returns:
            Figures under stable-baselines3's tag names, scalars on the device.
        """
        S, M = batch["reward"].shape
        here_SMA, next_SMA = (
            luck_S.normal(what, M * self.action_width).view(S, M, -1)
            for what in (HERE_NOISE, NEXT_NOISE)
        )
        alpha_S1 = self.log_alpha.detach().exp()[:, None]
        with torch.no_grad():  # the soft value of what the actor would do next
            after_SMA, logp_SM = sample(self.actor, batch["next"], next_SMA)
            soft_SM = self.target(batch["next"], after_SMA).amin(1) - alpha_S1 * logp_SM
            goal_SM = batch["reward"] + self.settings.gamma * batch["alive"] * soft_SM
        value_S2M = self.critics(batch["seen"], batch["action"])
        critic_loss = (value_S2M - goal_SM[:, None]).square().mean(2).sum()
        _step(self.critic_adam, critic_loss)

        action_SMA, logp_SM = sample(self.actor, batch["seen"], here_SMA)
        worth_SM = self.critics.fixed()(batch["seen"], action_SMA).amin(1)
        actor_loss = (alpha_S1 * logp_SM - worth_SM).mean(1).sum()
        _step(self.actor_adam, actor_loss)

        surplus_S = logp_SM.detach().mean(1) - self.action_width  # target entropy: -A nats
        _step(self.alpha_adam, -(self.log_alpha * surplus_S).sum())
        self.target.follow(self.critics, self.settings.tau)
        self.updates += 1
        return {
            "train/critic_loss": critic_loss.detach() / S,
            "train/actor_loss": actor_loss.detach() / S,
            "train/ent_coef": alpha_S1.mean(),
        }

    def state(self) -> dict[str, Any]:
        """A tree of its tensors."""
        return {
            "actor": self.actor.weights,
            "critics": self.critics.weights,
            "target": self.target.weights,
            "log_alpha": self.log_alpha,
            "adams": tuple(map(adam_state, self._adams)),
            "updates": torch.tensor(self.updates),
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over such a tree."""
        for name in ("actor", "critics", "target"):
            getattr(self, name).load(state[name])
        self.log_alpha.copy_(state["log_alpha"])
        for adam, saved in zip(self._adams, state["adams"], strict=True):
            load_adam(adam, saved)
        self.updates = int(state["updates"])

    @property
    def _adams(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.actor_adam, self.critic_adam, self.alpha_adam


def sample(actor: Ensemble, seen_SBX: Tensor, noise_SBA: Tensor) -> tuple[Tensor, Tensor]:
    """Actions and their log-density.

    Args:
        actor: of GaussianActor.
        seen_SBX: what is seen.
        noise_SBA: standard normal.

    Returns:
        action_SBA: in (-1, 1). logp_SB: nats.

    Source: Haarnoja et al. 2018; log(1 - tanh(u)^2) is written without cancellation.
    """
    mean_SBA, log_std_SBA = actor(seen_SBX)
    raw_SBA = mean_SBA + log_std_SBA.exp() * noise_SBA
    normal_SBA = -0.5 * (noise_SBA.square() + math.log(2 * math.pi)) - log_std_SBA
    squash_SBA = 2.0 * (math.log(2.0) - raw_SBA - F.softplus(-2.0 * raw_SBA))
    return torch.tanh(raw_SBA), (normal_SBA - squash_SBA).sum(2)


def mean_action(actor: Ensemble, seen_SBX: Tensor) -> Tensor:
    """What it does without noise, (S, B, A) in (-1, 1)."""
    mean_SBA, _ = actor(seen_SBX)
    return torch.tanh(mean_SBA)


def _step(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()
