"""Proto-actions and flat observations in any world through Gymnasium.

Continuous learners (SAC, TD3, DDPG) act in a box. Here an action w of the catalogue's own space
shows the candidates with the largest inner product with w, best first: no item twice, none that the
world forbids (`agents/slates/towards.py`). A wrapper for `SlateEnv` and one for `SlateVectorEnv`;
for stable-baselines3's `SlateVecEnv` there is the view `agents/sb3/item_space.py`.

    model = SAC("MultiInputPolicy", ProtoActionWrapper(gym.make("slategym/DayInLife-v0")))

Observations are dictionaries, in part of item ids; `FlatObservationWrapper` makes them one vector,
for networks that read nothing else: `FlatObservationWrapper(ProtoActionWrapper(gym.make(...)))`.

Source: Dulac-Arnold et al. 2015, arXiv:1512.07679; Zhao et al. 2017, arXiv:1801.00209, for slates.
"""

from __future__ import annotations

from typing import Any, TypeVar

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.slates.towards import proto_space, slate_towards
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.observation import STATE_LIMIT, read
from slategym.envs.single import SlateEnv
from slategym.envs.types import World

E = TypeVar("E", SlateEnv, SlateVectorEnv)


def _inner(wrapper: object, env: Any, kind: type[E]) -> E:
    """The slategym environment that is wrapped.

    Raises:
        UsageError: it is another one.
    """
    inner = env.unwrapped
    if not isinstance(inner, kind):
        name = type(wrapper).__name__
        raise UsageError(f"{name} wraps a {kind.__name__}, got {inner!r}")
    return inner


class ProtoActionWrapper(
    gymnasium.Wrapper[dict[str, Any], Any, dict[str, Any], Any], RecordConstructorArgs
):
    """A `SlateEnv`, bare or from `gym.make`, whose actions are points of the item space.

    Observations, rewards and ends are the environment's own. The info `slate` (K,) int32 is what
    was shown.

    Raises:
        UsageError: it is not a slategym environment.
    """

    def __init__(self, env: gymnasium.Env[dict[str, Any], Any]):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self.world = _inner(self, env, SlateEnv).world
        self.action_space = proto_space(self.world)
        self._seen: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Seat a user."""
        self._seen, info = self.env.reset(seed=seed, options=options)
        return self._seen, info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Show the K candidates furthest along the action.

        Raises:
            ValueError: the action has the wrong shape or is not a number.
        """
        proto_1D = torch.as_tensor(action, device=self.world.device)[None]
        seen_1 = {name: self._seen[name][None] for name in _OFFER if name in self._seen}
        slate_K = _slate(self.world, seen_1, proto_1D)[0].cpu().numpy()
        self._seen, reward, left, cut, info = self.env.step(slate_K)
        return self._seen, reward, left, cut, {**info, "slate": slate_K}


class ProtoActionVectorWrapper(VectorWrapper):
    """A `SlateVectorEnv`, bare or from `gym.make_vec`, whose actions are points of the item space.

    Arrays or tensors in, as the environment gives them out. The info `slate` (B, K) int32 is what
    was shown.

    Raises:
        UsageError: it is not a slategym environment.
    """

    def __init__(self, env: VectorEnv[dict[str, Any], Any, Any]):
        super().__init__(env)
        inner = _inner(self, env, SlateVectorEnv)
        self.world, self._as_tensor = inner.world, inner.as_tensor
        self.single_action_space = proto_space(self.world)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self._seen: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Seat users."""
        self._seen, infos = self.env.reset(seed=seed, options=options)
        return self._seen, infos

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Show each user the K candidates furthest along the action.

        Raises:
            ValueError: the actions have the wrong shape or are not numbers.
        """
        proto_BD = torch.as_tensor(actions, device=self.world.device)
        slate_BK = _slate(self.world, self._seen, proto_BD)
        self._seen, reward_B, left_B, cut_B, infos = self.env.step(slate_BK)
        infos["slate"] = slate_BK if self._as_tensor else slate_BK.cpu().numpy()
        infos["_slate"] = np.ones(self.num_envs, dtype=np.bool_)
        return self._seen, reward_B, left_B, cut_B, infos


class FlatObservationWrapper(
    gymnasium.ObservationWrapper[Any, Any, dict[str, Any]], RecordConstructorArgs
):
    """Observations of a `SlateEnv` as one vector: what our own learners read, see `Inputs`.

    For networks that take a Box: item ids, which an MLP would read as quantities, have become sums
    of item vectors and counts by topic. It goes around `ProtoActionWrapper`, never inside.

    Raises:
        UsageError: it is not a slategym environment.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]):
        RecordConstructorArgs.__init__(self)
        gymnasium.ObservationWrapper.__init__(self, env)
        self._inputs = Inputs(_inner(self, env, SlateEnv).world)
        self.observation_space = _flat_space(self._inputs)

    def observation(self, observation: dict[str, Any]) -> Any:
        """The vector, (X,) float32."""
        one = {name: x[None] for name, x in observation.items()}
        return self._inputs.vector(read(self._inputs.world, one))[0].numpy(force=True)


class FlatObservationVectorWrapper(VectorWrapper):
    """Observations of a `SlateVectorEnv` as one vector each; see `FlatObservationWrapper`.

    Arrays or tensors, as the environment gives them out; last observations too.

    Raises:
        UsageError: it is not a slategym environment.
    """

    def __init__(self, env: VectorEnv[dict[str, Any], Any, Any]):
        super().__init__(env)
        inner = _inner(self, env, SlateVectorEnv)
        self._inputs, self._as_tensor = Inputs(inner.world), inner.as_tensor
        self.single_observation_space = _flat_space(self._inputs)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Seat users."""
        seen, infos = self.env.reset(seed=seed, options=options)
        return self._flat(seen), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act as the environment inside does."""
        seen, reward_B, left_B, cut_B, infos = self.env.step(actions)
        final = infos.get("final_obs")
        if isinstance(final, dict):
            infos["final_obs"] = self._flat(final)
        elif final is not None:  # one dictionary per ended session, as Gymnasium has it
            for b, one in enumerate(final):
                if one is not None:
                    final[b] = self._flat({name: x[None] for name, x in one.items()})[0]
        return self._flat(seen), reward_B, left_B, cut_B, infos

    def _flat(self, seen: dict[str, Any]) -> Any:
        vector_BX = self._inputs.vector(read(self._inputs.world, seen))
        return vector_BX if self._as_tensor else vector_BX.numpy(force=True)


def _flat_space(inputs: Inputs) -> spaces.Box:
    return spaces.Box(-STATE_LIMIT, STATE_LIMIT, (inputs.width,), np.float32)


_OFFER = ("candidate_item", "action_mask")  # entries of an observation that an action ranks


def _slate(world: World, seen: dict[str, Any], proto_BD: Tensor) -> Tensor:
    """`slate_towards` from an observation as the Gymnasium faces show it."""
    item_BC, mask_BC = (
        torch.as_tensor(seen[name], device=world.device) if name in seen else None
        for name in _OFFER
    )
    return slate_towards(world, proto_BD, item_BC, None if mask_BC is None else mask_BC > 0)
