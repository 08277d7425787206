"""Proto-actions: a point of the item space, and the K items that lie furthest that way.

Source: Dulac-Arnold et al. 2015, arXiv:1512.07679; Zhao et al. 2017, arXiv:1801.00209, for slates.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.slates.top import FORBIDDEN, allowed_only, top_slate
from slategym.envs.types import Items, World


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
        score_BC = F.linear(proto_BD, embedding_ND)
    else:
        item_BCD = Items(candidates_BC, world.catalogue).embedding
        score_BC = (item_BCD * proto_BD[:, None]).sum(2)
    return top_slate(allowed_only(score_BC, allowed_BC).clamp(min=FORBIDDEN), world.slate_size)


def proto_space(world: World) -> spaces.Box:
    """A point of the item space, (D,) in [-1, 1]; only its direction matters."""
    return spaces.Box(-1.0, 1.0, (world.catalogue.embedding.shape[1],), np.float32)


def _check(proto_BD: Tensor, width: int) -> None:
    if proto_BD.dim() != 2 or proto_BD.shape[1] != width:
        raise ValueError(
            f"a proto-action is a point of the item space, (users, {width}); "
            f"got shape {tuple(proto_BD.shape)}"
        )
    fine_B = proto_BD.isfinite().all(1)
    if not bool(fine_B.all()):
        user = int((~fine_B).int().argmax())
        raise ValueError(
            f"a proto-action must be finite, got {proto_BD[user].tolist()} for user {user}; "
            "has the learner diverged?"
        )
