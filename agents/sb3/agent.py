"""An unchanged stable-baselines3 algorithm under the contract of every learner.

What an agent of this family adds is a view: what of a world the algorithm sees, and how its actions
become slates. The algorithm comes from the settings (`agents/sb3/algorithms.py`), the users from
the native vector environment (`agents/sb3/env.py`), the loop, the files and the resuming from
`agents/core/agent.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import safe_mean
from torch import Tensor

from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import adam_state, load_adam
from slategym.agents.sb3.algorithms import Driver
from slategym.agents.sb3.env import SlateVecEnv, View
from slategym.agents.sb3.generators import ScopedGenerators, set_space_state, space_state
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

CRITICS = "critic"  # how the names begin of what serving does not need


class StableAgent(Agent):
    """Abstract: a view, and how its policy draws; the rest is here."""

    @classmethod
    @abstractmethod
    def view_of(cls, world: World) -> View:
        """What the algorithm sees and does; without a part of its own that moves."""

    @abstractmethod
    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, Tensor | None]:
        """An action as the policy explores; (B, K) log-probabilities of slots drawn apart."""

    def build(self) -> None:
        """The algorithm, under generators of its own."""
        self.view = self.view_of(self.world)
        self.generators = ScopedGenerators(self.world.device)
        with self.generators.active():
            self.driver: Driver = self.settings.make(self._users(self.world), self.seeds[0])
        self.model = self.driver.model
        self.model.set_logger(Logger(None, []))  # its figures go into our event files
        named, others = self.model._get_torch_save_params()
        self._variables = tuple(others)
        self._adams = tuple(
            attrgetter(name)(self.model) for name in named if name.endswith("optimizer")
        )
        for adam in self._adams:
            _start_moments(adam)
        self.env: SlateVecEnv | None = None

    def begin(self, world: World) -> None:
        """Seat the training users."""
        model = self.model
        self.env = self._users(world)
        model.set_env(self.env)
        _, self.listener = model._setup_learn(self.settings.num_steps)
        model.num_timesteps = self.steps

    def cycle(self) -> tuple[int, dict[str, float]]:
        """One collection and one update."""
        before = self.model.num_timesteps
        with self.generators.active():
            self.driver.cycle(self.listener)
        told = self.model.logger.name_to_value
        figures = {tag: float(value) for tag, value in told.items()}
        self.model.logger.dump()  # to nowhere: forgets them
        lately = self.model.ep_info_buffer
        if lately:
            figures["rollout/ep_rew_mean"] = float(safe_mean([info["r"] for info in lately]))
            figures["rollout/ep_len_mean"] = float(safe_mean([info["l"] for info in lately]))
        return self.model.num_timesteps - before, figures

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate of the mean or likeliest action."""
        shown = self.view.show(self.world, observation)
        action = self.model.policy._predict(self._seen(shown), deterministic=True)
        return Action(self.view.slate(self.world, shown, action))

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """The slate of an action drawn as in training, but from luck."""
        shown = self.view.show(self.world, observation)
        action, slot_BK = self.draw(self._seen(shown), luck)
        slate_BK = self.view.slate(self.world, shown, action)
        if slot_BK is None:
            return Action(slate_BK)
        return Action(slate_BK, slot_BK.sum(1), slot_logp=slot_BK, position_logp=slot_BK)

    def weights(self) -> dict[str, Tensor]:
        """The policy without its critics."""
        policy = self.model.policy.state_dict()
        return {name: x for name, x in policy.items() if not name.startswith(CRITICS)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take them over; the critics stay as they are."""
        policy = self.model.policy
        actor = {name: weights[name] for name in self.weights()}
        policy.load_state_dict({**policy.state_dict(), **actor})

    def state(self) -> Any:
        """Networks, optimisers, what was seen, the users, and where the generators stand."""
        model = self.model
        return {
            "policy": dict(model.policy.state_dict()),
            "variables": {name: getattr(model, name).detach() for name in self._variables},
            "adam": tuple(adam_state(adam) for adam in self._adams),
            "memory": self.driver.memory(),
            "counts": torch.tensor([model.num_timesteps, model._n_updates, model._episode_num]),
            "users": None if self.env is None else self.env.get_state(),
            "generators": self.generators.mine,
            "random_actions": space_state(model.action_space),
        }

    @torch.no_grad()
    def restore(self, state: Any) -> None:
        """Take it over."""
        model = self.model
        model.policy.load_state_dict(state["policy"])
        for name, x in state["variables"].items():
            getattr(model, name).copy_(x)
        for adam, moments in zip(self._adams, state["adam"], strict=True):
            load_adam(adam, moments)
        self.driver.remember(state["memory"])
        model.num_timesteps, model._n_updates, model._episode_num = state["counts"].tolist()
        if self.env is not None:
            model._last_obs = self.env.set_state(state["users"])
            model._last_episode_starts = (state["users"].slates == 0).cpu().numpy()
        self.generators.mine = state["generators"]
        set_space_state(model.action_space, state["random_actions"])

    def _users(self, world: World) -> SlateVecEnv:
        """How far a session is can be seen, so that one that is cut has ended for the learner."""
        num_users, seed = self.settings.num_users, self.seeds[0]
        return SlateVecEnv(world, num_users, self.view, seed=seed, bootstrap_at_limit=False)

    def _seen(self, shown: dict[str, Tensor]) -> dict[str, Tensor]:
        """Without what is kept for the slate alone."""
        return {name: shown[name] for name in self.model.observation_space.spaces}


def _start_moments(adam: torch.optim.Optimizer) -> None:
    """Give Adam its moments, zero, before the first step, so that they can be saved."""
    for group in adam.param_groups:
        for x in group["params"]:
            zero = torch.zeros_like(x, memory_format=torch.preserve_format)
            adam.state[x] = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": zero,
                "exp_avg_sq": zero.clone(),
            }
