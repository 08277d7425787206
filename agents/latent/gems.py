"""GeMS: slates become points of a latent space, and soft actor-critic chooses the points.

    a log of slates and clicks -> a variational auto-encoder of slates, then frozen
    what is seen -> SAC -> a point of the box in which the log's slates lie -> decoder -> slate

Three phases in one training: the log is written, the auto-encoder is fitted on it, SAC learns. The
log is given data, as in the paper: its slates are not counted among the agent's own. By default it
is that of a privileged policy, as in the paper: half of its slots come from the slate that the true
model thinks best, the rest is random. `logging="random"` needs no privilege.

Source: Deffayet et al. 2023, "Generative slate recommendation with reinforcement learning",
arXiv:2301.08632. The state is read by hand-made features instead of a GRU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import Ensemble, adam_state, load_adam, ready_adam
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.sessions import TrainingSessions
from slategym.agents.latent.sac import (
    SacSettings,
    SoftActorCritic,
    TransitionReplay,
    mean_action,
    sample,
)
from slategym.agents.latent.slate_vae import (
    SlateDecoder,
    SlateEncoder,
    fill_slots,
    item_scores,
    latent_bounds,
    vae_losses,
)
from slategym.agents.registry import find_policy
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

EXPLORE, KEEP, FILL, CODE = (purpose(f"gems.{n}") for n in ("explore", "keep", "fill", "code"))
FIT, UPDATE = purpose("gems.fit"), purpose("gems.update")
RANDOM_SHARE = 0.5  # of the log's slots, as published
AT_ONCE = 20  # minibatches of the auto-encoder in a cycle
VAE_BATCH = 256  # slates, as published


@dataclass(frozen=True)
class GemsSettings:
    """Twelve numbers. The auto-encoder's are the paper's but for the log's size."""

    num_steps: Count = 60_000  # slates that SAC shows, of each seed
    num_users: Count = 100  # training users side by side, of each seed
    logging: str = "myopic"  # policy of half the log's slots; "random": of all of them
    num_logged: Count = 40_000  # slates of the log, of each seed
    epochs: Count = 5  # of the auto-encoder, on the log
    latent_width: Count = 32  # Z
    click_weight: Amount = 0.5  # lambda, of the clicks' cross-entropy, >= 0
    divergence_weight: Amount = 1.0  # beta, of the Kullback-Leibler divergence, >= 0
    gamma: Rate = 0.8  # discount per slate, in [0, 1)
    updates: Count = 10  # of SAC, each time that all training users have seen a slate
    warm_up: Count = 2_000  # slates of random latent points before SAC learns
    buffer: Count = 100_000  # slates of each seed that SAC draws from


class Gems(Agent):
    """SAC in the latent space of a slate auto-encoder."""

    name: ClassVar[str] = "gems"
    several_seeds: ClassVar[bool] = True
    settings: GemsSettings

    @classmethod
    def default_settings(cls) -> GemsSettings:
        """See GemsSettings."""
        return GemsSettings()

    def build(self) -> None:
        """Auto-encoder, SAC, and the log that both wait for."""
        world, asked, S = self.world, self.settings, len(self.seeds)
        device, K, Z = world.device, world.slate_size, asked.latent_width
        self.inputs = Inputs(world)
        vectors_NE = _spread(world.catalogue.embedding)
        shape = (K, vectors_NE.shape[1], Z)
        self.encoder = Ensemble(lambda: SlateEncoder(vectors_NE.cpu(), K, Z), self.seeds, device)
        self.decoder = Ensemble(lambda: SlateDecoder(*shape), self.seeds, device)
        weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.adam = ready_adam(weights, 1e-3)
        self.fitted = 0  # minibatches
        self.low = torch.full((S, Z), -1.0, device=device)
        self.high = torch.full((S, Z), 1.0, device=device)
        self.sac = SoftActorCritic(
            self.inputs.width, Z, SacSettings(gamma=asked.gamma), self.seeds, device
        )
        none_K = torch.zeros(K, device=device)
        self.log = TransitionReplay(S, asked.num_logged, {"slate": none_K.int(), "click": none_K})
        self.replay = TransitionReplay(S, asked.buffer, self._blank())
        self.key_S = seed_words(self.seeds, device)
        self.sessions: TrainingSessions | None = None

    def begin(self, world: World) -> None:
        """Seat the training users; ready the policy that writes the log."""
        self.where, self.turn = world, turn_of(world)
        self.logger = _logging_policy(self.settings.logging, world)
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """Log, or fit the auto-encoder, or play and learn."""
        if self.log.seen < self.settings.num_logged:
            return 0, self._write_log()
        if self.fitted < self._num_fits:
            return 0, self._fit()
        return self.settings.num_users, self._play_and_learn()

    @property
    def _num_fits(self) -> int:
        return max(1, self.settings.epochs * self.settings.num_logged // VAE_BATCH)

    @torch.no_grad()
    def _write_log(self) -> dict[str, float]:
        """One slate of every user by the logging policy, its clicks kept."""
        assert self.sessions is not None
        session, luck_L = self.sessions.session, sessions.luck_of(self.sessions)
        observation = engine.observe(self.where, session)
        seen = replace(observation, hidden=session) if self.logger.privileged else observation
        slate_LK = self.logger.act(seen, luck_L).slate
        if self.settings.logging != "random":
            slate_LK = half_random(slate_LK, observation, self.where.num_candidates, luck_L)
        items, _ = engine.pick(self.where, session, slate_LK)
        self.sessions, step = sessions.show(self.where, self.turn, self.sessions, slate_LK)
        rows = {"slate": items.id, "click": (step.outcome.feedback[..., 0] > 0).float()}
        self.log.add({name: self._by_seed(x) for name, x in rows.items()})
        self.sessions, _ = sessions.harvest(self.sessions)  # the log's returns are not the agent's
        return {"log/slates": float(self.log.seen)}

    def _fit(self) -> dict[str, float]:
        """A few minibatches of the auto-encoder; after the last one it is frozen."""
        asked = self.settings
        for _ in range(min(AT_ONCE, self._num_fits - self.fitted)):
            luck_S = self._luck(FIT, self.fitted)
            batch = self.log.draw(luck_S, VAE_BATCH)
            noise_SX = luck_S.normal(CODE, VAE_BATCH * asked.latent_width)
            noise_SMZ = noise_SX.view(len(self.seeds), VAE_BATCH, -1)
            slate_SMK, click_SMK = batch["slate"].long(), batch["click"]
            losses = vae_losses(self.encoder, self.decoder, slate_SMK, click_SMK, noise_SMZ)
            weights = (1.0, asked.click_weight, asked.divergence_weight)
            loss_S = sum(w * x_S for w, x_S in zip(weights, losses, strict=True))
            assert isinstance(loss_S, Tensor)
            self.adam.zero_grad()
            loss_S.sum().backward()  # type: ignore[no-untyped-call]
            self.adam.step()
            self.fitted += 1
        if self.fitted == self._num_fits:
            columns = self.log.columns
            self.low, self.high = latent_bounds(
                self.encoder, columns["slate"].long(), columns["click"]
            )
        figures = dict(zip(("slate", "click", "divergence"), losses, strict=True))
        return {f"vae/{name}_loss": float(x_S.detach().mean()) for name, x_S in figures.items()}

    def _play_and_learn(self) -> dict[str, float]:
        """One slate for every user, then the updates."""
        assert self.sessions is not None
        observation = engine.observe(self.where, self.sessions.session)
        seen_LX = self.inputs.vector(observation)
        luck_L, warm = sessions.luck_of(self.sessions), self.replay.seen < self.settings.warm_up
        with torch.no_grad():
            action_SBA = self._random(luck_L) if warm else self._sampled(seen_LX, luck_L)
            slate_LK = self._slates(action_SBA, observation, slice(None))
        self.sessions, step = sessions.show(self.where, self.turn, self.sessions, slate_LK)
        rows = {
            "seen": seen_LX,
            "action": action_SBA.flatten(0, 1),
            "reward": step.outcome.reward,
            "next": self.inputs.vector(step.last),
            "alive": (~step.outcome.left).float(),
        }
        self.replay.add({name: self._by_seed(x) for name, x in rows.items()})
        figures: dict[str, Tensor] = {}
        if not warm:
            for _ in range(self.settings.updates):
                luck_S = self._luck(UPDATE, self.sac.updates)
                batch = self.replay.draw(luck_S, self.sac.settings.batch)
                figures = self.sac.learn(batch, luck_S)
        self.sessions, earned = sessions.harvest(self.sessions)
        told = {name: float(x) for name, x in figures.items()} if earned else {}
        return {**earned, **told, "train/n_updates": float(self.sac.updates)}

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate of the mean action."""
        member = slice(self.serving, self.serving + 1)
        with torch.no_grad():
            seen_1BX = self.inputs.vector(observation)[None]
            action_1BA = mean_action(self.sac.actor.fixed(member), seen_1BX)
            return Action(self._slates(action_1BA, observation, member))

    def explore(self, observation: Observation, luck: Luck) -> Action:
        """The slate of a sampled action; many actions share a slate: it has no log-probability."""
        member = slice(self.serving, self.serving + 1)
        with torch.no_grad():
            seen_1BX = self.inputs.vector(observation)[None]
            noise_1BA = luck.normal(EXPLORE, self.settings.latent_width)[None]
            action_1BA, _ = sample(self.sac.actor.fixed(member), seen_1BX, noise_1BA)
            return Action(self._slates(action_1BA, observation, member))

    def weights(self) -> dict[str, Tensor]:
        """Actor, decoder, item vectors and the box."""
        networks = {"actor": self.sac.actor, "decoder": self.decoder}
        flat = {f"{n}.{name}": x for n, net in networks.items() for name, x in net.weights.items()}
        items_SNE = self.encoder.weights["items"]
        return {**flat, "items": items_SNE, "low": self.low, "high": self.high}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave."""
        for name, mine in self.weights().items():
            mine.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """Everything that the rest of a training depends on."""
        return {
            "encoder": self.encoder.weights,
            "decoder": self.decoder.weights,
            "adam": adam_state(self.adam),
            "fitted": torch.tensor(self.fitted),
            "bounds": (self.low, self.high),
            "sac": self.sac.state(),
            "log": self.log.state(),
            "replay": self.replay.state(),
            "sessions": self.sessions,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over such a tree."""
        self.encoder.load(state["encoder"])
        self.decoder.load(state["decoder"])
        load_adam(self.adam, state["adam"])
        self.fitted = int(state["fitted"])
        self.low, self.high = state["bounds"]
        self.sac.restore(state["sac"])
        self.log.restore(state["log"])
        self.replay.restore(state["replay"])
        self.sessions = state["sessions"]

    def _slates(self, action_SBA: Tensor, observation: Observation, members: slice) -> Tensor:
        """Positions that the decoder fills in for points of the box, (S * B, K) int32."""
        low_S1A, high_S1A = self.low[members][:, None], self.high[members][:, None]
        latent_SBZ = low_S1A + (high_S1A - low_S1A) * (action_SBA + 1.0) / 2.0
        vector_SBKE, _ = self.decoder.fixed(members)(latent_SBZ)
        items_SNE = self.encoder.weights["items"].detach()[members]
        return fill_slots(item_scores(vector_SBKE, items_SNE).flatten(0, 1), observation)

    def _sampled(self, seen_LX: Tensor, luck_L: Luck) -> Tensor:
        noise_LA = luck_L.normal(EXPLORE, self.settings.latent_width)
        return sample(self.sac.actor, self._by_seed(seen_LX), self._by_seed(noise_LA))[0]

    def _random(self, luck_L: Luck) -> Tensor:
        return self._by_seed(luck_L.uniform(EXPLORE, self.settings.latent_width) * 2.0 - 1.0)

    def _by_seed(self, x_L: Tensor) -> Tensor:
        """TrainingSessions as (S, B)."""
        return x_L.view(len(self.seeds), -1, *x_L.shape[1:])

    def _luck(self, what: int, count: int) -> Luck:
        """Of every seed, at this count of what it is for."""
        return Luck.at(self.key_S ^ what, torch.full_like(self.key_S, count))

    def _blank(self) -> dict[str, Tensor]:
        """A transition of zeros."""
        zero, X = torch.zeros((), device=self.world.device), self.inputs.width
        return {
            "seen": zero.expand(X),
            "action": zero.expand(self.settings.latent_width),
            "reward": zero,
            "next": zero.expand(X),
            "alive": zero,
        }


def half_random(
    slate_BK: Tensor, observation: Observation, num_candidates: int, luck: Luck
) -> Tensor:
    """The slate with each slot, at even odds, given to a random item that is not in it.

    Source: the epsilon-greedy oracle of Deffayet et al. 2023, slot by slot, epsilon 0.5.
    """
    K = slate_BK.shape[1]
    kept_BK = luck.uniform(KEEP, K) >= RANDOM_SHARE
    score_BC = allowed_only(luck.uniform(FILL, num_candidates), observation.allowed)
    taken_BC = torch.zeros_like(score_BC, dtype=torch.bool)
    taken_BC = taken_BC.scatter(1, slate_BK.long(), kept_BK)
    fill_BK = top_slate(score_BC.masked_fill(taken_BC, -torch.inf), K)
    nth_BK = ((~kept_BK).cumsum(1) - 1).clamp(min=0)
    return torch.where(kept_BK, slate_BK, fill_BK.gather(1, nth_BK))


def _logging_policy(name: str, world: World) -> Policy:
    entry = find_policy(name)
    if entry is None or entry.build is None:
        raise UsageError(f"logging must name a policy that needs no training, got {name!r}")
    return entry.make(world)


def _spread(embedding_ND: Tensor) -> Tensor:
    """Item vectors with zero mean and unit spread in every direction of the catalogue."""
    return (embedding_ND - embedding_ND.mean(0)) / embedding_ND.std(0).clamp(min=1e-6)
