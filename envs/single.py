"""Gymnasium's face of the engine for one user: the vector environment with B = 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from torch import Tensor

from slategym.envs import seating
from slategym.envs.gym import INFOS, SlateVectorEnv, Snapshot, divide
from slategym.envs.registry import make_world
from slategym.envs.render import RENDER_FPS, RENDER_MODES
from slategym.envs.types import World


class SlateEnv(gymnasium.Env[dict[str, Any], Any]):
    """One user: the vector environment with B = 1; nothing is implemented twice.

    A seed chooses who comes and what happens: reset(seed=s) begins with user s mod U, of U in the
    population, so that seeds 0, 1, 2, ... meet different people, in a loop as well as in the
    vectorisers of Gymnasium and stable-baselines3. reset() without a seed goes on with somebody
    else, and comes to everybody before it comes to anybody again. reset(options={"user": n}) seats
    user n, with the same luck each time if seeded, else with luck not met before.
    """

    _spec: EnvSpec | None = None
    metadata = {"render_modes": RENDER_MODES, "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(self, world: World | str, **options: Any):
        self._batch = SlateVectorEnv(world, 1, autoreset_mode="DISABLED", **options)
        self.world, self.render_mode = self._batch.world, self._batch.render_mode
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]
        """How `gymnasium.make` made it, with the world's horizon; None: it did not."""
        return self._spec and replace(self._spec, max_episode_steps=self.world.horizon)

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec

    @torch.no_grad()
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Seat a user: whom the seed chooses, the one asked for, or else the next.

        Args:
            seed: who comes and what happens: a whole number, 0 or more, of any size.
            options: {"user": n} seats that row of the population.

        Raises:
            UsageError: a seed or a user that cannot be, or another option.
            gymnasium.error.ClosedEnvironmentError: after `close`.
        """
        batch, world = self._batch, self.world
        seating.check_open(batch.closed)
        asked = seating.check_options(options, (seating.USER,))
        before = batch.session if seed is None else None
        super().reset(seed=seating.only_seed(seed))
        if before is None and seed is None:
            seed = int(self.np_random.integers(2**31))
        if seating.USER in asked:
            user_1 = seating.users_asked(asked[seating.USER], world, 1)
            word_1 = before.seed if before else seating.seed_words(seed, 1, world.device)
            fresh = seating.asked_for(world, before, word_1, user_1)
        elif before is None:
            fresh = seating.by_seed(world, seating.seed_word(seed))
        else:
            fresh = seating.after_it(world, before, batch.start)
        return _first(batch.seat(fresh)), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Show a slate of K positions."""
        if not isinstance(action, Tensor):
            action = np.asarray(action)
        shown, reward_B, left_B, cut_B, infos = self._batch.step(action[None])
        info = {name: infos[name][0] for name in INFOS}
        return _first(shown), float(reward_B[0]), bool(left_B[0]), bool(cut_B[0]), info

    def render(self) -> Any:
        """The session so far: text, or an image (height, width, 3) uint8."""
        frames = self._batch.render()
        return frames[0] if frames else None

    def close(self) -> None:
        """End it: whoever goes on is told so."""
        self._batch.close()

    def get_state(self) -> Snapshot:
        """Everything that moves, copied."""
        return self._batch.get_state()

    def set_state(self, state: Snapshot) -> dict[str, Any]:
        """Return to a saved instant; gives the observation there."""
        return _first(self._batch.set_state(state))


def make_env(world: str, **options: Any) -> SlateEnv:
    """Gymnasium's entry point: a registered world; options of SlateEnv or of the world."""
    own, settings = divide(options)
    return SlateEnv(make_world(world, **settings), **own)


# gymnasium.make asks its entry point for these, and serves "human" and "rgb_array_list" by them
make_env.metadata = SlateEnv.metadata  # type: ignore[attr-defined]


def _first(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: x[0] for name, x in batch.items()}
