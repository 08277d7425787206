"""Training speed of native PPO beside stable-baselines3's: python benchmarks/training.py.

Both train the same networks (`slategym.agents.policy_gradient.network`) on slates of the same law
in the same world, with the same number of users, rollout, epochs and minibatch; neither stops its
epochs early. stable-baselines3 is timed with the law slot by slot over all candidates, and with the
native learner's one pass lent to it (`agents/slates/plackett_luce.py`). The networks alone are what
neither does without: nobody is faster. The native one is timed alone and with eight seeds side by
side, which stable-baselines3 would train one after another. One torch thread. A figure is slates
learnt from, of all seeds, per second of this process's CPU time; all take turns, round after round,
so that a busy machine harms all alike: read the ratios, which are medians of the rounds' own.

On a GPU the table is of native PPO alone, against the number of users:
python benchmarks/training.py --device cuda
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from slategym.agents.core.inputs import Inputs
from slategym.agents.policy_gradient import ppo as plackett_luce_ppo
from slategym.agents.policy_gradient.network import ValueNetwork, Whole
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.slates import plackett_luce as slate_law
from slategym.agents.slates.plackett_luce import Scores
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

WORLDS = {  # settings of the world, and of PPO where they differ
    "InterestEvolution-v0": {},
    "Sardine-SlateTopK-Bored-v0": {"history_size": 20},
}
GPU_USERS = (1_024, 4_096, 16_384, 65_536)
SEEDS = 8  # side by side


@dataclass(frozen=True)
class FaceView:
    """What a policy network reads, for stable-baselines3; an action is a slate of places."""

    face: Whole
    num_slots: int

    def space(self, world: World) -> spaces.Dict:
        """Vector x and, where they change, the candidates' items."""
        limit = float("inf")
        parts: dict[str, spaces.Space[Any]] = {
            "x": spaces.Box(-limit, limit, (self.face.inputs.width,))
        }
        if "id" in self.face.reads:
            shape = (world.num_candidates,)
            parts["id"] = spaces.Box(0, world.catalogue.num_items - 1, shape, np.int64)
        return spaces.Dict(parts)

    def action_space(self, world: World) -> spaces.MultiDiscrete:
        """K places."""
        return spaces.MultiDiscrete([world.num_candidates] * self.num_slots)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """As the native learner sees it."""
        return self.face.show(observation)

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """As the native learner shows it."""
        return self.face.slate(shown, action)


class Law(NamedTuple):
    """How slates are drawn, with their log-probabilities (B,), and asked about later."""

    draw: Callable[[Scores, int], tuple[Tensor, Tensor]]
    log_prob: Callable[[Scores, Tensor], tuple[Tensor, Tensor]]  # and the first slot's entropy


def _draw_lent(scores: Scores, num_slots: int) -> tuple[Tensor, Tensor]:
    slate_BK, logp_BK = slate_law.draw(scores, torch.rand(len(scores.logits), num_slots))
    return slate_BK, logp_BK.sum(1)


def _ask_lent(scores: Scores, slate_BK: Tensor) -> tuple[Tensor, Tensor]:
    return slate_law.log_prob(scores, slate_BK).sum(1), slate_law.entropy(scores)


class Scored(NamedTuple):
    """What decides a slate, slot by slot."""

    logits: Tensor  # (B, C)
    penalty: Tensor  # (B, C) taken from a candidate for each earlier slot of its topic
    topic: Tensor  # (B, C) int64


def draw(scored: Scored, num_slots: int, noise: Callable[[int], Tensor] | None) -> Tensor:
    """Fill the slots one by one.

    Args:
        scored: what decides.
        num_slots: K.
        noise: slot -> standard Gumbel draws (B, C); None: the best each time.

    Returns:
        (B, K) int64 positions among the candidates, in order.
    """
    logits_BC, chosen = scored.logits, []
    for slot in range(num_slots):
        noisy_BC = logits_BC if noise is None else logits_BC + noise(slot)
        chosen.append(noisy_BC.argmax(1, keepdim=True))
        logits_BC = _without(scored, logits_BC, chosen[-1])
    return torch.cat(chosen, 1)


def slate_logp(scored: Scored, slate_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Exact log-probability of an ordered slate (B,), and the first slot's entropy (B,), nats.

    Args:
        scored: what decided.
        slate_BK: int64 positions among the candidates, distinct.
    """
    logits_BC = scored.logits
    first_BC = logits_BC.log_softmax(1)
    entropy_B = -(first_BC.exp() * first_BC).sum(1)
    logp_B = first_BC.gather(1, slate_BK[:, :1])[:, 0]
    for slot in range(1, slate_BK.shape[1]):
        logits_BC = _without(scored, logits_BC, slate_BK[:, slot - 1 : slot])
        here_B = logits_BC.gather(1, slate_BK[:, slot : slot + 1])[:, 0]
        logp_B = logp_B + here_B - logits_BC.logsumexp(1)
    return logp_B, entropy_B


def _without(scored: Scored, logits_BC: Tensor, chosen_B1: Tensor) -> Tensor:
    """Logits of the next slot: the chosen item is gone and its topic pays the penalty."""
    same_BC = (scored.topic == scored.topic.gather(1, chosen_B1)).to(logits_BC.dtype)
    return (logits_BC - scored.penalty * same_BC).scatter(1, chosen_B1, FORBIDDEN)


def _scored(scores: Scores) -> Scored:
    return Scored(scores.logits, scores.penalty.gather(1, scores.topic), scores.topic)


def _draw_by_slot(scores: Scores, num_slots: int) -> tuple[Tensor, Tensor]:
    scored = _scored(scores)

    def gumbel(slot: int) -> Tensor:
        return -torch.empty_like(scored.logits).exponential_().clamp(min=1e-30).log()

    slate_BK = draw(scored, num_slots, gumbel)
    return slate_BK, slate_logp(scored, slate_BK)[0]


def _ask_by_slot(scores: Scores, slate_BK: Tensor) -> tuple[Tensor, Tensor]:
    return slate_logp(_scored(scores), slate_BK)


BY_SLOT, LENT = Law(_draw_by_slot, _ask_by_slot), Law(_draw_lent, _ask_lent)


class SamePolicy(ActorCriticPolicy):
    """stable-baselines3's face of the native learner's networks."""

    def __init__(self, *args: Any, face: Whole, law: Law, num_slots: int, **kwargs: Any) -> None:
        self._given = (face,)  # a tuple: modules may not be set before super().__init__
        self.law, self.num_slots = law, num_slots
        super().__init__(*args, net_arch=[], **kwargs)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        self.face = self._given[0]
        self.network: nn.Module = self.face.network()
        self.value = ValueNetwork(self.face.inputs.width)
        weights = [*self.network.parameters(), *self.value.parameters()]
        self.optimizer = torch.optim.Adam(weights, lr=lr_schedule(1), eps=1e-5)

    def _scores(self, obs: dict[str, Tensor]) -> Scores:
        shown = {**obs, "id": obs["id"].long()} if "id" in obs else obs
        logits, penalty = self.network(*(shown[name] for name in self.face.reads))
        return slate_law.scores_of(logits, penalty, self.face.topic(shown))

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Slate (B, K), value (B, 1), log-probability (B,)."""
        slate_BK, logp_B = self.law.draw(self._scores(obs), self.num_slots)
        return slate_BK, self.value(obs["x"])[:, None], logp_B

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value (B, 1), log-probability (B,), first slot's entropy (B,)."""
        logp_B, entropy_B = self.law.log_prob(self._scores(obs), actions.long())
        return self.value(obs["x"])[:, None], logp_B, entropy_B

    def predict_values(self, obs: Any) -> Tensor:
        """Value (B, 1)."""
        return self.value(obs["x"])[:, None]


def native(world: World, settings: PPOSettings, num_seeds: int = 1) -> Callable[[], None]:
    """One rollout of every seed and its epochs."""
    agent = PlackettLuce(world, settings, seeds=range(num_seeds))
    agent.begin(world)

    def cycle() -> None:
        agent.cycle()

    return cycle


def stable(world: World, settings: PPOSettings, law: Law) -> Callable[[], None]:
    """The same by stable-baselines3."""
    face = Whole(world, Inputs(world))
    env = SlateVecEnv(world, settings.num_users, FaceView(face, world.slate_size), seed=0)
    algorithm = PPO(
        SamePolicy,
        env,
        learning_rate=settings.learning_rate,
        n_steps=settings.rollout,
        batch_size=settings.minibatch,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=plackett_luce_ppo.GAE_LAMBDA,
        ent_coef=settings.entropy,
        policy_kwargs={"face": face, "law": law, "num_slots": world.slate_size},
        device="cpu",
    )
    n = settings.num_users * settings.rollout

    def cycle() -> None:
        algorithm.learn(n, reset_num_timesteps=False, log_interval=None)

    return cycle


def networks(world: World, settings: PPOSettings) -> Callable[[], None]:
    """Both networks alone, as often as a rollout and its epochs ask: what no learner does without.

    Passes of the rollout, passes and gradients of the epochs; no world, slates, loss or optimiser.
    """
    face = Whole(world, Inputs(world))
    policy, value = face.network(), ValueNetwork(face.width)
    zero_B = torch.zeros(settings.minibatch, dtype=torch.int32)
    shown = face.show(engine.observe(world, engine.start(world, zero_B, zero_B, zero_B)))
    updates = settings.epochs * settings.num_users * settings.rollout // settings.minibatch

    def cycle() -> None:
        few = [shown[name][: settings.num_users] for name in face.reads]
        with torch.no_grad():
            for _ in range(settings.rollout):
                policy(*few)
        for _ in range(updates):
            logits_BC, penalty_BG = policy(*(shown[name] for name in face.reads))
            (logits_BC.sum() + penalty_BG.sum() + value(shown["x"]).sum()).backward()

    return cycle


def rate(cycle: Callable[[], None], slates: int, seconds: float, device: str) -> float:
    """Slates learnt from per second, of CPU time or, on a GPU, of wall time."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    count, begin = 0, clock()
    while count == 0 or clock() - begin < seconds:
        cycle()
        count += 1
        if device != "cpu":
            torch.cuda.synchronize()
    return count * slates / (clock() - begin)


def compare(id: str, settings: PPOSettings, rounds: int, seconds: float) -> None:
    """Print both figures and their ratio."""
    world = make_world(id, **WORLDS[id])
    slates = settings.num_users * settings.rollout
    field = {
        "stable-baselines3": (stable(world, settings, BY_SLOT), 1),
        "the same, lent the law": (stable(world, settings, LENT), 1),
        "native": (native(world, settings), 1),
        "networks alone": (networks(world, settings), 1),
        f"native, {SEEDS} seeds": (native(world, settings, SEEDS), SEEDS),
    }
    runs: dict[str, list[float]] = {name: [] for name in field}
    for cycle, _ in field.values():
        cycle()
    for _ in range(rounds):
        for name, (cycle, seeds) in field.items():
            runs[name].append(rate(cycle, seeds * slates, seconds, "cpu"))
    print(
        f"{id}: {settings.num_users} users, rollouts of {settings.rollout}, {settings.epochs} "
        f"epochs, minibatches of {settings.minibatch}"
    )
    base = next(iter(runs.values()))
    for name, values in runs.items():
        ratio = statistics.median(a / b for a, b in zip(values, base, strict=True))
        print(f"  {name:24s}{statistics.median(values):10,.0f} slates/s{ratio:8.2f} x")


def on_gpu(device: str, rounds: int, seconds: float) -> None:
    """Print native PPO's figures against the number of users."""
    for id, options in WORLDS.items():
        print(f"{id} on {torch.cuda.get_device_name()}")
        for users in GPU_USERS:
            world = make_world(id, device=device, **options)
            settings = PPOSettings(num_users=users, rollout=16, minibatch=users * 4, epochs=4)
            cycle = native(world, settings)
            cycle()
            runs = [rate(cycle, users * 16, seconds, device) for _ in range(rounds)]
            print(f"  {users:8,d} users{statistics.median(runs):14,.0f} slates/s", flush=True)


def main() -> None:
    """Time both in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--users", type=int, default=64, help="users in parallel")
    parser.add_argument("--rollout", type=int, default=16, help="slates of each between updates")
    parser.add_argument("--epochs", type=int, default=4, help="passes over a rollout")
    parser.add_argument("--minibatch", type=int, default=256, help="slates")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a timing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    plackett_luce_ppo.MOST_KL = math.inf  # epochs of both run to their end
    if chosen.device != "cpu":
        return on_gpu(chosen.device, chosen.rounds, chosen.seconds)
    settings = PPOSettings(
        num_users=chosen.users,
        rollout=chosen.rollout,
        epochs=chosen.epochs,
        minibatch=chosen.minibatch,
    )
    for id in WORLDS:
        compare(id, settings, chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
