"""Items without training rows: what is said of them by the items whose texts are like theirs.

No row tells what they follow, whom they go with or how popular they are, so tables and biases of a
trained model say nothing of them. They are filled in from what is known of others:

- transitions into and out of such an item are the mean of those of the items nearest by text;
- EASE's column is the cosine of the texts, on the scale of EASE's entries: what was taken up speaks
  for what reads like it; its row is the nearest items' mean;
- biases of click and next item differ from the others' mean by what the texts tell of popularity, a
  ridge regression of counts. The biases of other items are no guide: EASE tells how popular these
  are, so that their trained biases may even take some of it back, and a cosine does not.

Where items without rows are drawn against (`unseen="drawn"`), training says that nobody takes them,
and nothing is filled in.

Axis letters beyond the legend of `envs/types.py`: U items without training rows, K items that have
some, X of these nearest to one, P entries of a table's row, B rows worked on together, D width of
the texts.

Source: nearest neighbours by content for cold items, Schein et al. 2002; ridge and its generalised
cross-validation, Golub, Heath and Wahba 1979.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert

NEAREST = 30  # items by which an unseen one is described
SHARP = 0.1  # of cosines: a neighbour less alike by this counts e times less
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # of biases on texts, of unit length each
FEWEST = 50  # items with rows below which nothing is filled in
NUMBERS = 4_000_000  # of tables that are worked on together


@torch.no_grad()
def describe_unseen(model: MultiTaskBert, unseen_N: Tensor, counted: ItemBiases) -> None:
    """Fill in tables and biases of a trained model; without texts nothing is.

    Args:
        model: its tables and biases are changed.
        unseen_N: bool, items without training rows.
        counted: where biases start by counts of the training rows.
    """
    text_ND = model.vectors.text_vectors_ND0
    seen_K, at_U = (~unseen_N).nonzero()[:, 0], unseen_N.nonzero()[:, 0]
    if not model.settings.items.text or not len(at_U) or len(seen_K) < FEWEST:
        return
    unit_ND = F.normalize(text_ND - text_ND[seen_K].mean(0), dim=1)
    for head in (0, -1):
        bias_N = model.item_bias_YN[head]
        counted_K = torch.as_tensor(counted.item_YN[head], device=bias_N.device)[seen_K]
        told_U = _by_texts(unit_ND[seen_K], counted_K, unit_ND[at_U])
        bias_N[at_U] = bias_N[seen_K].mean() + told_U.to(bias_N.dtype)
    if model.prior is None:
        return
    tables = model.prior.tables
    kin = _Kin.of(unit_ND, seen_K, at_U)
    for t in range(tables.weight.shape[2]):
        id_NP = None if tables.id is None else tables.id[0, :, t]
        _fill(tables.weight[0, :, t], id_NP, kin, by_text=t > 0)
    # the unit of a user's sums is over all items: as many more are other than 0 now
    model.prior.fitted *= len(unseen_N) / len(seen_K)


@dataclass(frozen=True)
class _Kin:
    """Unseen items, and the seen ones nearest to each by text, X of them."""

    unit_ND: Tensor
    seen_K: Tensor
    at_U: Tensor
    near_UX: Tensor  # ids
    weight_UX: Tensor  # add up to 1

    @staticmethod
    def of(unit_ND: Tensor, seen_K: Tensor, at_U: Tensor) -> _Kin:
        near, weights = [], []
        for part_B in torch.split(at_U, max(1, NUMBERS // len(seen_K))):
            cosine_BK = unit_ND[part_B] @ unit_ND[seen_K].T
            value_BX, at_BX = cosine_BK.topk(min(NEAREST, len(seen_K)), 1)
            near.append(seen_K[at_BX])
            weights.append(torch.softmax(value_BX / SHARP, 1))
        return _Kin(unit_ND, seen_K, at_U, torch.cat(near), torch.cat(weights))


def _fill(weight_NP: Tensor, id_NP: Tensor | None, kin: _Kin, *, by_text: bool) -> None:
    """Fill in one table, in place.

    Args:
        weight_NP: strongest entries of each row, or all N.
        id_NP: which these are; None: all.
        kin: items.
        by_text: whether a column is the texts' cosine; else the nearest items' mean.
    """
    N, X = len(weight_NP), kin.near_UX.shape[1]
    seen = weight_NP[kin.seen_K]
    entry = (seen.square().sum() / len(kin.seen_K) ** 2).sqrt()  # its root mean square
    unit_UD = kin.unit_ND[kin.at_U]
    gram_DD = unit_UD.T @ unit_UD
    unit_KD = kin.unit_ND[kin.seen_K]
    square = torch.linalg.vecdot(unit_KD @ gram_DD, unit_KD).mean() / len(unit_UD)
    text_size = square.sqrt().clamp(min=1e-6)  # root mean square of the cosines
    for part_B in torch.split(kin.seen_K, max(1, NUMBERS // (N + len(kin.at_U) * X))):
        row_BN = _whole(weight_NP, id_NP, part_B)
        if by_text:
            column_BU = kin.unit_ND[part_B] @ unit_UD.T * (entry / text_size)
        else:
            column_BU = torch.linalg.vecdot(row_BN[:, kin.near_UX], kin.weight_UX)
        row_BN[:, kin.at_U] = column_BU
        _keep(weight_NP, id_NP, part_B, row_BN)
    parts = (kin.at_U, kin.near_UX, kin.weight_UX)
    size = max(1, NUMBERS // (N * X))
    for part_B, near_BX, weight_BX in zip(*(torch.split(x, size) for x in parts), strict=True):
        near_BXN = _whole(weight_NP, id_NP, near_BX.flatten()).view(*near_BX.shape, N)
        row_BN = torch.bmm(weight_BX[:, None], near_BXN)[:, 0]
        row_BN.scatter_(1, part_B[:, None], 0.0)  # an item says nothing of itself
        _keep(weight_NP, id_NP, part_B, row_BN)


def _whole(weight_NP: Tensor, id_NP: Tensor | None, at_B: Tensor) -> Tensor:
    """Rows with all their entries, (B, N), a copy."""
    if id_NP is None:
        return weight_NP[at_B]
    row_BN = weight_NP.new_zeros(len(at_B), len(weight_NP))
    row_BN.scatter_add_(1, id_NP[at_B].long(), weight_NP[at_B])
    return row_BN


def _keep(weight_NP: Tensor, id_NP: Tensor | None, at_B: Tensor, row_BN: Tensor) -> None:
    """Write rows back, the strongest entries of each."""
    if id_NP is None:
        weight_NP[at_B] = row_BN
        return
    best_BP = row_BN.abs().topk(weight_NP.shape[1], 1).indices
    weight_NP[at_B], id_NP[at_B] = row_BN.gather(1, best_BP), best_BP.to(id_NP.dtype)


def _by_texts(unit_KD: Tensor, value_K: Tensor, unit_UD: Tensor) -> Tensor:
    """Above the mean, by a ridge regression on texts; its ridge by generalised cross-validation."""
    left_KR, singular_R, right_RD = torch.linalg.svd(unit_KD.double(), full_matrices=False)
    about_K = value_K.double() - value_K.double().mean()
    told_R = left_KR.T @ about_K
    rest = about_K.square().sum() - told_R.square().sum()
    best, weight_R = float("inf"), torch.zeros_like(singular_R)
    for ridge in RIDGES:
        kept_R = singular_R.square() / (singular_R.square() + ridge)
        missed = ((1 - kept_R) * told_R).square().sum() + rest
        error = float(missed / (1 - (kept_R.sum() + 1) / len(about_K)).square())
        if error < best:
            best, weight_R = error, kept_R * told_R / singular_R.clamp(min=1e-9)
    found_U: Tensor = unit_UD.double() @ (right_RD.T @ weight_R)
    return found_U
