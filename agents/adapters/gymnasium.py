"""Proto-actions in any world: a point of the item space, and the K items furthest that way.

Continuous learners (SAC, TD3, DDPG) act in a box. Here an action w of the catalogue's own space
shows the candidates with the largest inner product with w, best first: no item twice, none that the
world forbids. Three faces of the one rule `slate_towards`: a wrapper for `SlateEnv`, one for
`SlateVectorEnv`, and a view for stable-baselines3's `SlateVecEnv`.

    model = SAC("MultiInputPolicy", ProtoActionWrapper(gym.make("slategym/DayInLife-v0")))
    model = SAC("MultiInputPolicy", SlateVecEnv("slategym/DayInLife-v0", 64, ItemSpaceView()))

`agents/sb3/proto_action.py` has the same idea on top of a supervised ranker.

Source: Dulac-Arnold et al. 2015, arXiv:1512.07679; Zhao et al. 2017, arXiv:1801.00209, for slates.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from torch import Tensor
from torch.nn import functional

from slategym.agents.core.features import PER_TOPIC, SLOW, RecentTopics
from slategym.agents.slates.top import FORBIDDEN, allowed_only, top_slate
from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.gym import SlateEnv, SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.observation import STATE_LIMIT
from slategym.envs.types import LONG_AGO, Context, Items, Observation, World

PERIODS = {"hour": 24.0, "weekday": 7.0}  # of the context fields that go round


def slate_towards(
    world: World,
    proto_BD: Tensor,
    candidates_BC: Tensor | None = None,
    allowed_BC: Tensor | None = None,
) -> Tensor:
    """The K candidates with the largest inner product with a point of the item space.

    Args:
        world: whose catalogue has the embeddings.
        proto_BD: finite, a point for each user.
        candidates_BC: item ids; None: a position is an item id.
        allowed_BC: bool; None: all.

    Returns:
        (B, K) int32 positions, best first. Of items at the same place the position decides; where
        fewer than K are allowed, the last slots are forbidden ones and so stay empty.

    Raises:
        ValueError: a proto-action has the wrong shape or is not a number.
    """
    embedding_ND = world.catalogue.embedding
    _check(proto_BD, embedding_ND.shape[1])
    proto_BD = proto_BD.to(embedding_ND)
    if candidates_BC is None:
        score_BC = functional.linear(proto_BD, embedding_ND)
    else:
        item_BCD = Items(candidates_BC, world.catalogue).embedding
        score_BC = (item_BCD * proto_BD[:, None]).sum(2)
    return top_slate(allowed_only(score_BC, allowed_BC).clamp(min=FORBIDDEN), world.slate_size)


def proto_space(world: World) -> spaces.Box:
    """A point of the item space, (D,) in [-1, 1]; only its direction matters."""
    return spaces.Box(-1.0, 1.0, (world.catalogue.embedding.shape[1],), np.float32)


class ProtoActionWrapper(gymnasium.Wrapper[dict[str, Any], Any, dict[str, Any], Any]):
    """A `SlateEnv`, bare or from `gym.make`, whose actions are points of the item space.

    Observations, rewards and ends are the environment's own. The info `slate` (K,) int32 is what
    was shown.

    Raises:
        UsageError: it is not a slategym environment.
    """

    def __init__(self, env: gymnasium.Env[dict[str, Any], Any]):
        super().__init__(env)
        if not isinstance(env.unwrapped, SlateEnv):
            raise UsageError(f"ProtoActionWrapper wraps a SlateEnv, got {env.unwrapped!r}")
        self.world = env.unwrapped.world
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
        if not isinstance(env.unwrapped, SlateVectorEnv):
            raise UsageError(
                f"ProtoActionVectorWrapper wraps a SlateVectorEnv, got {env.unwrapped!r}"
            )
        self.world, self._as_tensor = env.unwrapped.world, env.unwrapped.as_tensor
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


class ItemSpaceView:
    """All that may be seen as one vector of numbers of order one, and proto-actions.

    seen: share of the session gone; of the remembered clicks, recent topics, the fading mean of
    embeddings and of signals; context (cyclic, one of several, log-days); profile; the observer's
    embedding; what the user model reveals; the embeddings of an offer that changes, and the mask.
    """

    def space(self, world: World) -> spaces.Dict:
        """One entry, seen (X,)."""
        zero_1 = torch.zeros(1, dtype=torch.int32, device=world.device)
        first = engine.observe(world, engine.start(world, zero_1, zero_1, zero_1))
        width = self.show(world, first)["seen"].shape[1]
        limit = STATE_LIMIT
        return spaces.Dict({"seen": spaces.Box(-limit, limit, (width,), np.float32)})

    def action_space(self, world: World) -> spaces.Box:
        """A point of the item space, (D,) in [-1, 1]."""
        return proto_space(world)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """What the learner sees; beside it the offer, which its action will rank."""
        shown = {"seen": features(world, observation)}
        if observation.candidates is not None:
            shown["candidates"] = observation.candidates
        if observation.allowed is not None:
            shown["allowed"] = observation.allowed
        return shown

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """See `slate_towards`."""
        return slate_towards(world, action, shown.get("candidates"), shown.get("allowed"))


def features(world: World, observation: Observation) -> Tensor:
    """An observation of any world as one vector, (B, X) float32; see `ItemSpaceView`."""
    parts_BX = [(observation.step.float() / world.horizon)[:, None]]
    if world.history_size:
        parts_BX.append(_of_history(world, observation))
    parts_BX += _of_context(world, observation.context)
    if observation.profile is not None:
        sizes = world.population.profile_sizes
        columns = zip(observation.profile.unbind(1), sizes, strict=True)
        parts_BX += [functional.one_hot(x_B.long(), size).float() for x_B, size in columns]
    if observation.state is not None:
        parts_BX.append(observation.state)
    if observation.revealed is not None:
        parts_BX.append(observation.revealed)
    if observation.candidates is not None:
        parts_BX.append(Items(observation.candidates, world.catalogue).embedding.flatten(1))
        if observation.allowed is not None:
            parts_BX.append(observation.allowed.float())
    return torch.cat(parts_BX, 1)


def _of_history(world: World, observation: Observation) -> Tensor:
    """Recent topics, and fading means over the remembered clicks, (B, 4 G + D + M)."""
    history, catalogue = observation.history, world.catalogue
    recent = RecentTopics(catalogue.topic, catalogue.num_topics, world.horizon)
    B = history.id.shape[0]
    topics_BX = recent.by_topic(observation).reshape(B, PER_TOPIC * catalogue.num_topics)
    known_BH = (history.id >= 0).float()
    weight_BH = known_BH * SLOW ** history.age.clamp(max=min(200, LONG_AGO)).float()
    weight_BH = weight_BH / weight_BH.sum(1, keepdim=True).clamp(min=1e-6)
    item_BHD = Items(history.id.clamp(min=0), catalogue).embedding
    mean_BD = (weight_BH[..., None] * item_BHD).sum(1)
    mean_BM = (weight_BH[..., None] * history.feedback.asinh()).sum(1)  # dwell has a long tail
    return torch.cat([topics_BX, mean_BD, mean_BM], 1)


def _of_context(world: World, context: Context) -> list[Tensor]:
    """Each field that the world shows: on a circle, as one of its names, or as log-days."""
    parts_BX = []
    for name in world.context.shown:
        value_B = field(world.context, context, name)
        if name in PERIODS:
            angle_B = value_B.float() * (2 * math.pi / PERIODS[name])
            parts_BX.append(torch.stack([angle_B.sin(), angle_B.cos()], 1))
        elif name in world.context.names:
            count = len(world.context.names[name])
            parts_BX.append(functional.one_hot(value_B.long(), count).float())
        elif name == "gap":
            parts_BX.append(value_B.float().log1p()[:, None])
        else:
            column = next(c for c in world.context.columns if c.name == name)
            span = max(column.high - column.low, 1e-6)
            parts_BX.append(((value_B.float() - column.low) / span)[:, None])
    return parts_BX


_OFFER = ("candidate_item", "action_mask")  # entries of an observation that an action ranks


def _slate(world: World, seen: dict[str, Any], proto_BD: Tensor) -> Tensor:
    """`slate_towards` from an observation as the Gymnasium faces show it."""
    item_BC, mask_BC = (
        torch.as_tensor(seen[name], device=world.device) if name in seen else None
        for name in _OFFER
    )
    return slate_towards(world, proto_BD, item_BC, None if mask_BC is None else mask_BC > 0)


def _check(proto_BD: Tensor, width: int) -> None:
    if proto_BD.dim() != 2 or proto_BD.shape[1] != width:
        raise ValueError(
            f"a proto-action is a point of the item space, (users, {width}); "
            f"got shape {tuple(proto_BD.shape)}"
        )
    fine_B = proto_BD.isfinite().all(1)
    if not bool(fine_B.all()):
        lane = int((~fine_B).int().argmax())
        raise ValueError(
            f"a proto-action must be finite, got {proto_BD[lane].tolist()} for user {lane}; "
            "has the learner diverged?"
        )
