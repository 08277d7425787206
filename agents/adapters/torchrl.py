"""TorchRL's face of the engine: one batched `EnvBase`, tensors on the world's device.

An extra: pip install slategym[torchrl]

    env = SlateTensorDictEnv("slategym/DayInLife-v0", 256)
    env.rollout(100, break_when_any_done=False)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Binary, Bounded, Categorical, Composite, TensorSpec, Unbounded
from torchrl.envs import EnvBase

from slategym.envs import engine, seating
from slategym.envs.gym import cut, turn_of
from slategym.envs.memory import check_users
from slategym.envs.observation import observation_space, show
from slategym.envs.registry import make_world
from slategym.envs.slates import check_slates
from slategym.envs.types import Observation, Session, World

MASK = "action_mask"  # bool here, as TorchRL has masks; int8 on Gymnasium's faces


class SlateTensorDictEnv(EnvBase):
    """B users at once, batch size (B,).

    Observations are those of `SlateVectorEnv` under the same names, but for `action_mask`, which is
    (B, K, C) bool here, a mask per slot, as TorchRL's ActionMask takes it; `action` (B, K) int64
    holds positions of the candidates; `reward` (B, 1); `terminated` (the user left), `truncated`
    (the horizon) and `done` (B, 1) bool. A reset with a `_reset` mask seats the next users where it
    is true: row b meets users b, b + B, b + 2B, ... of the population, as on every other face.

    Args:
        world: a World, or the id of a registered one.
        num_envs: B.
        seed: decides what happens until `set_seed` is called; one for all sessions.
        max_episode_steps: slates after which a session is cut; None: the world's horizon.
        compile: run each transition as one compiled graph.
    """

    def __init__(
        self,
        world: World | str,
        num_envs: int = 1,
        *,
        seed: int = 0,
        max_episode_steps: int | None = None,
        compile: bool = False,
    ):
        world = make_world(world) if isinstance(world, str) else world
        check_users(world, num_envs)
        super().__init__(device=world.device, batch_size=torch.Size([num_envs]))
        self.world, self.num_envs = cut(world, max_episode_steps), num_envs
        self._turn = turn_of(self.world, compile)
        self._next_seed: int | None = seating.check_seed(seed)
        self._session: Session | None = None

        first = engine.observe(self.world, self._start(0))
        B, K, C = num_envs, self.world.slate_size, self.world.num_candidates
        self.observation_spec = Composite(
            {
                name: _spec(name, space, B, K, world.device)
                for name, space in observation_space(self.world, first).items()
            },
            shape=(B,),
            device=world.device,
        )
        self.action_spec = Categorical(C, torch.Size([B, K]), device=world.device)
        self.reward_spec = Unbounded(torch.Size([B, 1]), device=world.device)
        over = Categorical(2, torch.Size([B, 1]), device=world.device, dtype=torch.bool)
        self.full_done_spec = Composite(
            {name: over.clone() for name in ("done", "terminated", "truncated")},
            shape=(B,),
            device=world.device,
        )

    @torch.no_grad()
    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        """Seat the first users if seeded, else the next; where masked, if there is a mask."""
        mask_B1 = None if tensordict is None else tensordict.get("_reset", None)
        if self._session is None or self._next_seed is not None:
            self._session, self._next_seed = self._start(self._next_seed or 0), None
        else:
            every_B = torch.ones(self.num_envs, dtype=torch.bool, device=self.world.device)
            row_R = (every_B if mask_B1 is None else mask_B1.view(-1)).nonzero()[:, 0]
            self._session, _ = engine.replace_rows(self.world, self._session, row_R)
        going_B = torch.zeros(self.num_envs, dtype=torch.bool, device=self.world.device)
        return self._told(engine.observe(self.world, self._session), going_B, going_B)

    @torch.no_grad()
    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Show each user a slate.

        Raises:
            ValueError: the slates have a wrong shape, type, device or range.
        """
        if self._session is None:
            raise RuntimeError("call reset() before step()")
        slate_BK = check_slates(self.world, tensordict.get("action"), self.num_envs)
        self._session, outcome, observation, _ = self._turn(self._session, slate_BK)
        told = self._told(observation, outcome.left, outcome.cut)
        return told.set("reward", outcome.reward[:, None])

    def _set_seed(self, seed: int | None) -> None:
        """The next reset seats the first users, with this luck."""
        self._next_seed = 0 if seed is None else seed

    def _start(self, seed: int) -> Session:
        seed_B = seating.seed_words(seed, self.num_envs, self.world.device)
        return seating.in_order(self.world, seed_B)

    def _told(self, observation: Observation, left_B: Tensor, cut_B: Tensor) -> TensorDictBase:
        shown = show(self.world, observation)
        if MASK in shown:
            shown[MASK] = _per_slot(shown[MASK] > 0, self.world.slate_size)
        ends = {"terminated": left_B, "truncated": cut_B, "done": left_B | cut_B}
        told = shown | {name: x_B[:, None] for name, x_B in ends.items()}
        return TensorDict(told, batch_size=self.batch_size, device=self.world.device)


def _per_slot(mask_BC: Tensor, num_slots: int) -> Tensor:
    """The mask of every slot's choice, (B, K, C), as TorchRL's ActionMask needs it; no copy."""
    return mask_BC[:, None].expand(-1, num_slots, -1)


def _spec(name: str, space: spaces.Space[Any], B: int, K: int, device: torch.device) -> TensorSpec:
    """TorchRL's word for one entry of an observation, for B users and slates of K."""
    shape = torch.Size([B, *(space.shape or ())])
    if name == MASK:
        return Binary(shape=torch.Size([B, K, *shape[1:]]), device=device, dtype=torch.bool)
    if isinstance(space, spaces.Box):
        low, high = np.asarray(space.low), np.asarray(space.high)
    else:
        assert isinstance(space, spaces.MultiDiscrete)  # the profile
        low, high = np.zeros_like(space.nvec), space.nvec - 1
    dtype = torch.as_tensor(np.zeros(0, space.dtype)).dtype
    low_high = (torch.as_tensor(x, device=device).to(dtype).expand(shape) for x in (low, high))
    return Bounded(*low_high, shape=shape, device=device, dtype=dtype)
