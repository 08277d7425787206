"""The items of the greatest product with a query, exactly, a block of the catalogue at a time."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 65_536  # items looked at together; changes no result but the order of equal products


def best_products(
    query_BD: Tensor, item_ND: Tensor, count: int, block: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """The `count` items furthest along each query, best first.

    Never more than B x (block + count) products are held, whatever N is.

    Args:
        query_BD: directions; further axes may stand before, the same as of the items.
        item_ND: vectors of all items.
        count: in [1, N].
        block: items of a block.

    Returns:
        Products (B, count) and items (B, count) int64.

    Raises:
        ValueError: if there are fewer items than asked for.
    """
    N = item_ND.shape[-2]
    if not 1 <= count <= N:
        raise ValueError(f"count must be in [1, {N}], the number of items; got {count}")
    best_BK: Tensor | None = None
    id_BK: Tensor | None = None
    for begin in range(0, N, block):
        part_PD = item_ND[..., begin : begin + block, :]
        score_BP = query_BD @ part_PD.transpose(-1, -2)
        found_BK, at_BK = score_BP.topk(min(count, part_PD.shape[-2]), dim=-1)
        at_BK = at_BK + begin
        if best_BK is not None and id_BK is not None:
            both_BK = torch.cat([best_BK, found_BK], -1)
            found_BK, place_BK = both_BK.topk(min(count, both_BK.shape[-1]), dim=-1)
            at_BK = torch.cat([id_BK, at_BK], -1).gather(-1, place_BK)
        best_BK, id_BK = found_BK, at_BK
    assert best_BK is not None and id_BK is not None
    return best_BK, id_BK
