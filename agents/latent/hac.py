"""HAC: a hyper-action ranks the items, and the critic is asked about what was really shown.

    hyper-action   Z = actor(s), on the unit sphere
    effect action  A = the K items with the largest Z . phi(e_i)
    inferred       Z^(A) = mean of phi(e_i) over the slate, scaled to the sphere
    critic         (Q(s, Z^(A)) - [r + gamma Q'(s', Z^(A'(s')))])^2
    actor          - Q(s, Z^(A(Z))) / mean |Q|  +  align |Z^(A(Z)) - Z|^2, with the gradient of
                   the first term handed to Z as if Z^ were Z
    behaviour      cross-entropy of sigmoid(sharpness Z . phi(e_i) + bias) and the feedback to
                   every item shown, with an optimiser of its own; it also teaches phi

The behaviour loss is supervised learning inside the actor: it pulls towards what is clicked now, so
that where people tire a little of it goes a long way. Where the world has multi-task heads,
its labels are blended with the click probability that they give to the same exposures.

Source: Liu et al. 2023, "Exploration and regularization of the latent action space in
recommendation", arXiv:2302.03431. What differs from the program published with
it (CharlieMat/Hyper-Actor-Critic 11d0bb8): its exploration noise is uniform on [0, 1) and so pushes
every coordinate up, ours is Gaussian with mean zero; Z and phi have unit length, so that the two
hyper-actions lie in one space; critics are twins, and are asked about slates only, in targets and
by the actor too; the actor's loss is free of the reward's scale; training users differ in boldness,
so that some live as the policy will be served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import Ensemble, adam_state, load_adam, ready_adam
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.sessions import TrainingSessions
from slategym.agents.latent.hyper_action import (
    HIDDEN,
    HyperActor,
    ItemKernel,
    inferred,
    rows,
    what_it_shows,
    width_of,
)
from slategym.agents.latent.sac import TransitionReplay, TwinCritic
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

NOISE, UPDATE = purpose("hac.noise"), purpose("hac.update")
ACTOR_RATE, CRITIC_RATE = 3e-4, 1e-3  # Adam
TAU = 0.005  # share by which the targets follow
HEADS_SHARE = 0.5  # of a label, where `heads` is not given


@dataclass(frozen=True)
class HacSettings:
    """Twelve numbers."""

    num_steps: Count = 30_000  # slates, of each seed
    num_users: Count = 100  # training users side by side, of each seed
    width: Count | None = None  # E, of the hyper-action; None: of the item vectors, at most 32
    noise: Amount = 0.2  # standard deviation of each coordinate, for the boldest training user
    align: Amount = 0.3  # weight of the alignment of Z with what it shows, >= 0
    behaviour_rate: Amount = 1e-5  # Adam's, of the behaviour loss, >= 0; the actor's is 3e-4
    heads: Rate | None = None  # share of the heads in a label, in [0, 1]; None: half if any
    gamma: Rate = 0.8  # discount per slate, in [0, 1)
    batch: Count = 128  # transitions of each seed
    updates: Count = 10  # each time that all training users have seen a slate
    warm_up: Count = 2_000  # slates of random hyper-actions before it learns
    buffer: Count = 100_000  # slates of each seed that it draws from


class Hac(Agent):
    """Hyper-actor critic."""

    name: ClassVar[str] = "hac"
    several_seeds: ClassVar[bool] = True
    settings: HacSettings

    @classmethod
    def default_settings(cls) -> HacSettings:
        """See HacSettings."""
        return HacSettings()

    def build(self) -> None:
        """Networks, optimisers, replay."""
        world, asked, S = self.world, self.settings, len(self.seeds)
        self.inputs, device = Inputs(world), world.device
        self.heads = _share_of_heads(world, asked.heads)
        X, D = self.inputs.width, world.catalogue.embedding.shape[1]
        self.width = E = width_of(asked.width, D)
        self.actor = Ensemble(lambda: HyperActor(X, E), self.seeds, device)
        self.kernel = Ensemble(lambda: ItemKernel(D, E), self.seeds, device)
        self.critics = Ensemble(lambda: TwinCritic(X, E, (HIDDEN,)), self.seeds, device)
        self.target_actor = self.actor.frozen_copy()
        self.target_critics = self.critics.frozen_copy()
        taught = [*self.actor.parameters(), *self.kernel.parameters()]
        self.actor_adam = ready_adam(self.actor.parameters(), ACTOR_RATE)
        self.critic_adam = ready_adam(self.critics.parameters(), CRITIC_RATE)
        self.behaviour_adam = ready_adam(taught, asked.behaviour_rate)
        self.updates = 0
        zero, K = torch.zeros((), device=device), world.slate_size
        blank = {"seen": zero.expand(X), "next": zero.expand(X), "reward": zero, "alive": zero}
        exposed = {"id": zero.int().expand(K), "shown": zero.expand(K), "label": zero.expand(K)}
        self.replay = TransitionReplay(S, asked.buffer, {**blank, **exposed})
        self.key_S = seed_words(self.seeds, device)
        self.sessions: TrainingSessions | None = None

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.where, self.turn = world, turn_of(world)
        self.ranker = stated_ranker(world) if self.heads else None
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """One slate for every user, then the updates."""
        self._play()
        figures: dict[str, Tensor] = {}
        if self.replay.seen >= self.settings.warm_up:
            for _ in range(self.settings.updates):
                figures = self._learn()
        assert self.sessions is not None
        self.sessions, earned = sessions.harvest(self.sessions)
        told = {name: float(x) for name, x in figures.items()} if earned else {}
        return self.settings.num_users, {
            **earned,
            **told,
            "train/n_updates": float(self.updates),
        }

    @torch.no_grad()
    def _play(self) -> None:
        """Show every user the slate of a noisy hyper-action; keep what came of it."""
        assert self.sessions is not None
        observation = engine.observe(self.where, self.sessions.session)
        seen_LX, luck_L = self.inputs.vector(observation), sessions.luck_of(self.sessions)
        noise_LE = luck_L.normal(NOISE, self.width)
        if self.replay.seen < self.settings.warm_up:
            hyper_SBE = self._by_seed(noise_LE)
        else:
            hyper_SBE = self.actor(self._by_seed(seen_LX))
            boldness_B1 = torch.linspace(0.0, self.settings.noise, hyper_SBE.shape[1])[:, None]
            hyper_SBE = hyper_SBE + boldness_B1.to(hyper_SBE) * self._by_seed(noise_LE)
        slate_LK = self._slates(hyper_SBE, observation, slice(None))
        items, shown_LK = engine.pick(self.where, self.sessions.session, slate_LK)
        self.sessions, step = sessions.show(self.where, self.turn, self.sessions, slate_LK)
        label_LK = (step.outcome.feedback[..., 0] > 0).float()
        if self.ranker is not None:
            believed_LK = self.ranker.click_prob(observation, items.id)
            label_LK = torch.lerp(label_LK, believed_LK, self.heads)
        kept = {
            "seen": seen_LX,
            "next": self.inputs.vector(step.last),
            "reward": step.outcome.reward,
            "alive": (~step.outcome.left).float(),
            "id": items.id,
            "shown": shown_LK.float(),
            "label": label_LK,
        }
        self.replay.add({name: self._by_seed(x) for name, x in kept.items()})

    def _learn(self) -> dict[str, Tensor]:
        """One step of the critics, of the actor and of the behaviour loss; figures."""
        luck_S = Luck.at(self.key_S ^ UPDATE, torch.full_like(self.key_S, self.updates))
        batch = self.replay.draw(luck_S, self.settings.batch)
        critic_S = self._critic_loss(batch)
        _step(self.critic_adam, critic_S)
        actor_S, gap_S = self._actor_loss(batch["seen"])
        _step(self.actor_adam, actor_S + self.settings.align * gap_S)
        behaviour_S = self._behaviour_loss(batch)
        _step(self.behaviour_adam, behaviour_S)
        self.target_actor.follow(self.actor, TAU)
        self.target_critics.follow(self.critics, TAU)
        self.updates += 1
        losses = {
            "train/critic_loss": critic_S,
            "train/actor_loss": actor_S,
            "train/alignment_loss": gap_S,
            "train/behaviour_loss": behaviour_S,
        }
        return {name: x_S.detach().mean() for name, x_S in losses.items()}

    def _critic_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(S,): squared error about what was really shown."""
        phi_SNE = self._phi(slice(None))
        shown_SME = inferred(phi_SNE, batch["id"], batch["shown"])
        with torch.no_grad():
            next_SME = self.target_actor(batch["next"])
            next_SME = what_it_shows(phi_SNE, next_SME, self.world.slate_size)
            after_SM = self.target_critics(batch["next"], next_SME).amin(1)
            goal_SM = batch["reward"] + self.settings.gamma * batch["alive"] * after_SM
        value_S2M = self.critics(batch["seen"], shown_SME)
        loss_S: Tensor = (value_S2M - goal_SM[:, None]).square().mean(2).sum(1)
        return loss_S

    def _actor_loss(self, seen_SMX: Tensor) -> tuple[Tensor, Tensor]:
        """(S,) each: the value of Z, scaled; how far what Z shows is from Z.

        What Z shows is taken from the whole catalogue: what was on offer then is not kept.
        """
        hyper_SME = self.actor(seen_SMX)
        phi_SNE = self._phi(slice(None))
        shows_SME = what_it_shows(phi_SNE, hyper_SME.detach(), self.world.slate_size)
        executed_SME = shows_SME + hyper_SME - hyper_SME.detach()
        worth_SM = self.critics.fixed()(seen_SMX, executed_SME).amin(1)
        scale_S = worth_SM.detach().abs().mean(1).clamp(min=1e-3)
        gap_S = (shows_SME - hyper_SME).square().sum(2).mean(1)
        return -worth_SM.mean(1) / scale_S, gap_S

    def _behaviour_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(S,): cross-entropy of the feedback to what was shown, nats."""
        vectors_ND = self.world.catalogue.embedding
        phi_SNE = self.kernel(vectors_ND.expand(len(self.seeds), -1, -1))
        phi_SMKE = rows(phi_SNE, batch["id"])
        cosine_SMK = (phi_SMKE @ self.actor(batch["seen"])[..., None])[..., 0]
        sharpness_S, bias_S = (self.kernel.weights[name] for name in ("sharpness", "bias"))
        odds_SMK = sharpness_S.view(-1, 1, 1) * cosine_SMK + bias_S.view(-1, 1, 1)
        lost_SMK = F.binary_cross_entropy_with_logits(odds_SMK, batch["label"], reduction="none")
        shown_S = batch["shown"].sum((1, 2)).clamp(min=1.0)
        return (lost_SMK * batch["shown"]).sum((1, 2)) / shown_S

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The items that lie furthest along its hyper-action."""
        member = slice(self.serving, self.serving + 1)
        with torch.no_grad():
            hyper_1BE = self.actor.fixed(member)(self.inputs.vector(observation)[None])
            return Action(self._slates(hyper_1BE, observation, member))

    def explore(self, observation: Observation, luck: Luck) -> Action:
        """With noise; many hyper-actions share a slate, so it has no log-probability."""
        member = slice(self.serving, self.serving + 1)
        with torch.no_grad():
            hyper_1BE = self.actor.fixed(member)(self.inputs.vector(observation)[None])
            noise_BE = luck.normal(NOISE, self.width)
            return Action(
                self._slates(hyper_1BE + self.settings.noise * noise_BE, observation, member)
            )

    def weights(self) -> dict[str, Tensor]:
        """Actor and item kernel."""
        networks = {"actor": self.actor, "kernel": self.kernel}
        return {f"{n}.{name}": x for n, net in networks.items() for name, x in net.weights.items()}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave."""
        for name, mine in self.weights().items():
            mine.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """Everything that the rest of a training depends on."""
        return {
            "networks": tuple(network.weights for network in self._networks),
            "adams": tuple(map(adam_state, self._adams)),
            "updates": torch.tensor(self.updates),
            "replay": self.replay.state(),
            "sessions": self.sessions,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over such a tree."""
        for network, weights in zip(self._networks, state["networks"], strict=True):
            network.load(weights)
        for adam, saved in zip(self._adams, state["adams"], strict=True):
            load_adam(adam, saved)
        self.updates = int(state["updates"])
        self.replay.restore(state["replay"])
        self.sessions = state["sessions"]

    @property
    def _networks(self) -> tuple[Ensemble, ...]:
        return self.actor, self.kernel, self.critics, self.target_actor, self.target_critics

    @property
    def _adams(self) -> tuple[torch.optim.Optimizer, ...]:
        return self.actor_adam, self.critic_adam, self.behaviour_adam

    def _slates(self, hyper_SBE: Tensor, observation: Observation, members: slice) -> Tensor:
        """Positions of the K items furthest along each hyper-action, (S * B, K) int32."""
        score_LC = (hyper_SBE @ self._phi(members).transpose(1, 2)).flatten(0, 1)
        if observation.candidates is not None:
            score_LC = score_LC.gather(1, observation.candidates.long())
        return top_slate(allowed_only(score_LC, observation.allowed), self.world.slate_size)

    def _phi(self, members: slice) -> Tensor:
        """Every item's image, (S, N, E), without gradient."""
        kernel = self.kernel.fixed(members)
        phi_SNE: Tensor = kernel(self.world.catalogue.embedding.expand(kernel.num_seeds, -1, -1))
        return phi_SNE

    def _by_seed(self, x_L: Tensor) -> Tensor:
        """TrainingSessions as (S, B)."""
        return x_L.view(len(self.seeds), -1, *x_L.shape[1:])


def _share_of_heads(world: World, asked: float | None) -> float:
    """Share of the multi-task heads in a label.

    Raises:
        UsageError: it is no share, or there are no heads to share with.
    """
    if asked is None:
        return 0.0 if world.observer is None else HEADS_SHARE
    if not 0.0 <= asked <= 1.0:
        raise UsageError(f"heads must be in [0, 1], got {asked}")
    if asked and world.observer is None:
        raise UsageError(
            f"{world.name} has no multi-task heads; leave heads out, or choose a world with "
            "learned state embeddings, such as slategym/MovieLens-v0 with state=True"
        )
    return asked


def _step(adam: torch.optim.Optimizer, loss_S: Tensor) -> None:
    adam.zero_grad()
    loss_S.sum().backward()  # type: ignore[no-untyped-call]
    adam.step()
