"""What was taken up says what comes next: fading sums of rows of item-to-item tables.

Two kinds of table side by side: transitions (what came soon after what) and EASE (every item
regressed on all others). A user's sum of each fades with every click and takes in the clicked
item's row, so a click costs one row however long the history.

Sums enter log-odds by their logarithm. Those of EASE grow with the history, by as much as what is
forgotten allows: they are counted in units of a user's own root mean square over all items.

Catalogues of more than DENSE items keep the K strongest entries of each row; EASE is left out where
inverting would cost more than EASE_COST multiplications.

Axis letters beyond the legend of `envs/types.py`: F sets of tables (folds of users), T kinds, P
entries of a row that are kept (N where all are), x any leading axes, A some items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.item_to_item import ease

DENSE = 3_000  # items up to which whole rows are kept
KEPT = 256  # entries of a row in larger catalogues
EASE_COST = 1.5e11  # N * N * min(U, N) above which EASE is left out
KINDS = ("transitions", "ease")
LEVEL = 0.2  # mean of the transitions that there are
FLOOR = 0.02  # evidence of transitions that counts as none
EASE_GAIN = 5.0  # makes EASE's sums of order one
LEAST = 0.01  # of EASE's sums: a root mean square that counts as none
USUAL = 32.0  # clicks and one, of a history by whose length nothing changes


@dataclass(frozen=True)
class CooccurrenceSettings:
    """How the tables are made and how fast their sums fade."""

    window: int = 20  # clicks within which one follows another
    decay: float = 0.9  # weight of each further click in between
    power: float = 0.5  # 1: a source's row is nearly a distribution
    prior: float = 5.0  # clicks added to every source
    ridge: float = 400.0  # of EASE
    fades: tuple[float, float] = (0.8, 0.9)  # what a click leaves of the sums


@dataclass(frozen=True)
class Tables:
    """F sets of item-to-item tables."""

    weight: Tensor  # (F, N, T, P) float32
    id: Tensor | None  # (F, N, T, P) int32, which entries these are; None: all N
    fade_T: Tensor
    fitted: Tensor | None = None  # (), items in the log that they were fitted on; None: all N

    def start(self, num_users: int, num_items: int) -> Tensor:
        """Sums of users who did nothing yet, (B, T, N)."""
        return self.weight.new_zeros(num_users, self.weight.shape[2], num_items)

    def told(self, sum_xTN: Tensor, clicks_x: Tensor) -> Sums:
        """Sums of all items with their units: items that came later change none of them."""
        return Sums.of(sum_xTN, self.fitted, clicks_x)

    def after(self, sum_BTN: Tensor, fold_B: Tensor, item_B: Tensor, took_B: Tensor) -> Tensor:
        """The sums after one more click each; rows where took_B is False are left as they are."""
        kept_BT1 = torch.where(took_B[:, None], self.fade_T, 1.0)[..., None]
        row_BTP = self._rows(self.weight, fold_B, item_B)  # a copy, which may be written to
        row_BTP.mul_(took_B[:, None, None])
        if self.id is None:
            return row_BTP.addcmul_(sum_BTN, kept_BT1)
        id_BTP = self._rows(self.id, fold_B, item_B).long()
        return (sum_BTN * kept_BT1).scatter_add_(2, id_BTP, row_BTP)

    def read(self, fold_B: Tensor, history_BH: Tensor, num_items: int) -> Tensor:
        """The sums after whole histories, oldest first, -1 where there is none, (B, T, N)."""
        if not history_BH.shape[1]:
            return self.start(history_BH.shape[0], num_items)
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1  # clicks after each one
        weight_BHT = self.fade_T ** later_BH.clamp(min=0)[..., None] * used_BH[..., None]
        if self.id is None:
            return self._read_whole(fold_B, history_BH.clamp(min=0), weight_BHT)
        sum_BTN = self.start(history_BH.shape[0], num_items)
        for item_B, weight_BT in zip(
            history_BH.clamp(min=0).unbind(1), weight_BHT.unbind(1), strict=True
        ):
            row_BTP = self._rows(self.weight, fold_B, item_B) * weight_BT[..., None]
            sum_BTN.scatter_add_(2, self._rows(self.id, fold_B, item_B).long(), row_BTP)
        return sum_BTN

    def _read_whole(self, fold_B: Tensor, item_BH: Tensor, weight_BHT: Tensor) -> Tensor:
        """The same where rows are whole: a weighted sum of rows for each kind."""
        F, N, T, P = self.weight.shape
        row_BH = (fold_B[:, None] * N + item_BH) * T
        flat = self.weight.view(F * N * T, P)
        bags = [
            functional.embedding_bag(
                row_BH + t, flat, per_sample_weights=weight_BHT[..., t], mode="sum"
            )
            for t in range(T)
        ]
        return torch.stack(bags, 1)

    def _rows(self, table: Tensor, fold_B: Tensor, item_B: Tensor) -> Tensor:
        """(B, T, P)."""
        F, N = table.shape[:2]
        return table.view(F * N, *table.shape[2:]).index_select(0, fold_B * N + item_B)


@dataclass(frozen=True)
class Sums:
    """Users' sums of some items, and the units in which they enter log-odds."""

    value: Tensor  # (x, T, A)
    unit: Tensor  # (x, T), of all items: FLOOR of transitions, else a root mean square
    clicks: Tensor  # (x,) of each user so far, forgotten ones too

    @staticmethod
    def of(value_xTN: Tensor, fitted: Tensor | None = None, clicks_x: Tensor | None = None) -> Sums:
        """Sums of all items.

        Args:
            value_xTN: the sums.
            fitted: items of which any can be other than 0; None: all.
            clicks_x: of each user so far; None: as many as change nothing.
        """
        if clicks_x is None:
            clicks_x = value_xTN.new_full(value_xTN.shape[:-2], USUAL - 1)
        number = value_xTN.new_tensor(value_xTN.shape[-1]) if fitted is None else fitted
        norm_xT = torch.linalg.vector_norm(value_xTN[..., 1:, :], dim=-1)
        size_xT = norm_xT / number.sqrt()
        unit_xT = functional.pad(size_xT + LEAST, (1, 0), value=FLOOR)
        return Sums(value_xTN, unit_xT, clicks_x)

    @property
    def length(self) -> Tensor:
        """How long histories are, (x, 1): the logarithm of 1 + clicks over USUAL."""
        return ((1.0 + self.clicks) / USUAL).log()[..., None]

    def at_items(self, at_A: Tensor) -> Sums:
        """Of these alone, in the same units."""
        return Sums(self.value.index_select(-1, at_A), self.unit, self.clicks)

    def of_users(self, at_x: Tensor) -> Sums:
        """Of these alone."""
        return Sums(self.value[at_x], self.unit[at_x], self.clicks[at_x])

    def evidence(self, id_xC: Tensor | None = None) -> Tensor:
        """Sums as they enter log-odds, (x, T, C): 0 where nothing is known.

        Args:
            id_xC: places among the A; None: all.
        """
        value_xTC = self.value
        if id_xC is not None:
            T = value_xTC.shape[-2]
            at_xTC = id_xC[..., None, :].expand(*id_xC.shape[:-1], T, id_xC.shape[-1])
            value_xTC = value_xTC.gather(-1, at_xTC)
        told_xTC = value_xTC / self.unit[..., None]
        return told_xTC.abs().log1p_().copysign_(told_xTC)


def has_ease(num_users: int, num_items: int) -> bool:
    """Whether EASE is worth its cost in a log of this size."""
    return num_items**2 * min(num_users, num_items) <= EASE_COST


def fit_tables(
    events: Events,
    keep_E: Bools,
    fold_U: np.ndarray,
    folds: int,
    settings: CooccurrenceSettings,
    kinds: Sequence[str] = KINDS,
    kept: int = 0,
) -> Tables:
    """Tables that leave out each fold's users in turn, and, last, tables of everybody.

    Args:
        events: the log.
        keep_E: rows to fit on.
        fold_U: in [0, folds), or -1 for users who are in none.
        folds: F - 1.
        settings: of the tables.
        kinds: transitions first.
        kept: entries of a row; 0: all.
    """
    fold_E = fold_U[events.user_E]
    own = [_follows(events, keep_E & (fold_E == fold), settings) for fold in range(folds)]
    rest = _follows(events, keep_E & (fold_E < 0), settings)
    whole = sum(own, start=rest)
    weights, ids = [], []
    for fold in range(folds + 1):
        kept_E = keep_E if fold == folds else keep_E & (fold_E != fold)
        follows = whole if fold == folds else whole - own[fold]
        parts = [_transitions(events, kept_E, follows, settings)]
        if "ease" in kinds:
            parts.append(ease(events.met(kept_E), settings.ridge).numpy() * EASE_GAIN)
        cut = [_cut(part, kept) for part in parts]
        weights.append(torch.stack([weight_NP for weight_NP, _ in cut], 1))
        ids.append(torch.stack([id_NP for _, id_NP in cut], 1))
    return Tables(
        weight=torch.stack(weights),
        id=torch.stack(ids) if kept else None,
        fade_T=torch.tensor(settings.fades[: len(kinds)]),
        fitted=torch.tensor(float(events.num_items)),
    )


def _follows(events: Events, keep_E: Bools, settings: CooccurrenceSettings) -> csr_array:
    """How often one item came soon after another, (N, N)."""
    at_x = np.flatnonzero(keep_E & events.took_E)
    user_x, item_x = events.user_E[at_x], events.item_E[at_x]
    N = events.num_items
    total = csr_array((N, N), dtype=np.float32)
    for gap in range(1, settings.window + 1):
        same = user_x[gap:] == user_x[:-gap]
        pairs = (item_x[:-gap][same], item_x[gap:][same])
        weight_x = np.full(int(same.sum()), settings.decay ** (gap - 1), np.float32)
        total = total + csr_array((weight_x, pairs), (N, N))
    return total


def _transitions(
    events: Events, keep_E: Bools, follows: csr_array, settings: CooccurrenceSettings
) -> csr_array:
    """The counts in relation to how often either item was taken up, their mean LEVEL."""
    popular_N = np.bincount(events.item_E[keep_E & events.took_E], minlength=events.num_items)
    source_N = 1.0 / (popular_N**settings.power + settings.prior)
    target_N = np.maximum(popular_N, 1) ** (-settings.power / 2)
    found = csr_array(follows.multiply(source_N[:, None]).multiply(target_N[None]))
    found.data = np.maximum(found.data, 0.0)  # what a difference left of a zero
    mean = found.data[found.data > 0].mean() if (found.data > 0).any() else 1.0
    return found * (LEVEL / mean)


def _cut(weight_NN: csr_array | Floats, kept: int) -> tuple[Tensor, Tensor]:
    """The strongest entries of each row and their places, (N, P) each; all where kept is 0."""
    num_items = weight_NN.shape[0]
    if not kept:
        whole = weight_NN.toarray() if isinstance(weight_NN, csr_array) else weight_NN
        return torch.as_tensor(whole, dtype=torch.float32), torch.zeros(num_items, 0)
    weight_NP = np.zeros((num_items, kept), np.float32)
    id_NP = np.zeros((num_items, kept), np.int32)
    for i in range(num_items):
        if isinstance(weight_NN, csr_array):
            begin, end = weight_NN.indptr[i : i + 2]
            value, at = weight_NN.data[begin:end], weight_NN.indices[begin:end]
        else:
            value, at = weight_NN[i], np.arange(num_items)
        if len(value) > kept:
            best = np.argpartition(-np.abs(value), kept)[:kept]
            value, at = value[best], at[best]
        weight_NP[i, : len(value)], id_NP[i, : len(at)] = value, at
    return torch.as_tensor(weight_NP), torch.as_tensor(id_NP)
