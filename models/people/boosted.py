"""What a click is worth by boosted trees over running statistics of a user, moved click by click.

The trees add to what a regression of the user's residuals expects, and read what it reads: the
user's statistics, the item's, and what the regression says of both together
(`closed_form.readings`). While they are grown, people are described by statistics of others' rows.

Axis letters beyond the legend of `envs/types.py`: x rows, X features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.trees import map_tensors
from slategym.models.classics.oblivious import Growing, ObliviousTrees, grow
from slategym.models.closed_form.events import Events, Floats, Ints
from slategym.models.closed_form.item_statistics import (
    ItemSources,
    ItemStatistics,
    RegressionSettings,
)
from slategym.models.closed_form.readings import Reader, Reading
from slategym.models.closed_form.variances import with_variances_for
from slategym.models.people.types import Party

FOLDS = 5  # of people, while trees are grown
FOLLOWED = 300  # rows of each person on which they are grown, the first
AT_ONCE = 128  # people who are followed together
PAIRS_AT_ONCE = 16_384
FEWEST_HELD = 5  # people below which no number of trees is chosen


@dataclass(frozen=True)
class BoostedValues:
    """One signal of all items; see `closed_form.recursive.Regression`, whose place it takes."""

    statistics: ItemStatistics
    blocks: tuple[int, ...]  # widths of the features' blocks
    trees: ObliviousTrees

    @property
    def reader(self) -> Reader:
        """Of the statistics."""
        return Reader(self.statistics, (0,), self.blocks)

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> Reading:
        """After these items and values, oldest first; item -1: none, value NaN: unknown."""
        reading = self.reader.start(history_BH.shape[0])
        for item_B, value_B in zip(history_BH.unbind(1), value_BH.unbind(1), strict=True):
            reading = self.after(reading, item_B.clamp(min=0), value_B, item_B >= 0)
        return reading

    def after(self, belief: Reading, item_B: Tensor, value_B: Tensor, took_B: Tensor) -> Reading:
        """After one value more each; rows where took_B is False are left as they are."""
        return self.reader.after(belief, item_B.long(), value_B[:, None], took_B)

    def mean(self, belief: Reading, id_BC: Tensor | None) -> Tensor:
        """Expected values of these items, or of all N where id_BC is None, (B, C)."""
        num_items = self.statistics.about_NI.shape[0]
        size = max(1, PAIRS_AT_ONCE // (num_items if id_BC is None else id_BC.shape[1]))
        parts = []
        for begin in range(0, max(1, belief.events.shape[0]), size):
            at = slice(begin, begin + size)
            few = map_tensors(lambda x, at=at: x[at], belief)
            feature_BCX, expected_BC = self.about(few, None if id_BC is None else id_BC[at])
            said_x = self.trees(feature_BCX.flatten(0, 1))
            parts.append(expected_BC + self.statistics.scale_V * said_x.view_as(expected_BC))
        return torch.cat(parts)

    def variance(self, belief: Reading, id_BC: Tensor) -> Tensor:
        """Of the regression's expected values, the noise left out, (B, C)."""
        return self.reader.doubt(belief, id_BC, 0).square()

    def about(self, belief: Reading, id_BC: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features of users, items and both, (B, C, X), and what the regression expects, (B, C)."""
        pairs = self.reader.about_pairs(belief, id_BC)
        B, C = pairs.feature_BCP.shape[:2]
        user_BJ, item_NI = self.reader.about_users(belief), self.statistics.about_NI
        item_BCI = item_NI.expand(B, -1, -1) if id_BC is None else F.embedding(id_BC, item_NI)
        features = [user_BJ[:, None].expand(-1, C, -1), item_BCI, pairs.feature_BCP]
        return torch.cat(features, 2), pairs.expected_BCV[..., 0]


def fit_boosted(party: Party, signal: str, people: Ints, growing: Growing) -> BoostedValues:
    """Statistics of these people's rows, and trees grown on them.

    Args:
        party: whose log.
        signal: to predict.
        people: user ids.
        growing: of the trees; most 0: none.
    """
    folds = max(1, min(FOLDS, len(people) // 2))
    fold_x = np.random.default_rng(party.seed).permutation(len(people)) % folds
    others = [people[fold_x != fold] if folds > 1 else people for fold in range(folds)]
    sources = [_sources(party, signal, known) for known in others]
    fold_U = np.full(party.events.num_users, -1)
    fold_U[people] = fold_x
    settings = with_variances_for(party.events, signal, sources, fold_U, party.rows(people))
    own = _described_by(_sources(party, signal, people), settings)
    features, lefts = [], []
    for fold in range(folds if growing.most else 0):
        described, mine = _described_by(sources[fold], settings), people[fold_x == fold]
        for feature_xX, left_x in _followed(described, party.events, signal, mine):
            features.append(feature_xX)
            lefts.append(left_x)
    if not features or not sum(map(len, lefts)):
        return own
    trees = grow(np.concatenate(features), np.concatenate(lefts), growing, party.seed)
    return replace(own, trees=trees)


def best_number(party: Party, signal: str, growing: Growing) -> int:
    """The number of trees that predicts held people's values best, by a fit on the others."""
    if len(party.held) < FEWEST_HELD:
        return growing.most // 2
    known = fit_boosted(party, signal, party.known, growing)
    parts = list(_followed(known, party.events, signal, party.held))
    if not parts or not sum(len(left_x) for _, left_x in parts):
        return growing.most // 2
    feature_xX = torch.as_tensor(np.concatenate([f for f, _ in parts]))
    left_x = torch.as_tensor(np.concatenate([x for _, x in parts]))
    numbers = range(0, growing.most + 1, max(1, growing.most // 16))
    said = known.trees.firsts(feature_xX, numbers)
    errors = [float((left_x - said_x).square().mean()) for said_x in said]
    return numbers[int(np.argmin(errors))]


def _sources(party: Party, signal: str, people: Ints) -> ItemSources:
    """Items as these people's rows tell of them."""
    rows_E = party.rows(people)
    return ItemSources.of(party.events, [signal], [signal], rows_E, party.sides)


def _described_by(sources: ItemSources, settings: RegressionSettings) -> BoostedValues:
    """By these statistics of one signal; no tree yet."""
    fitted = sources.statistics(dict.fromkeys(sources.source, settings))
    none = torch.zeros(0, 1)
    return BoostedValues(fitted.items, fitted.blocks, ObliviousTrees(none.long(), none, none))


@torch.no_grad()
def _followed(
    values: BoostedValues, events: Events, signal: str, people: Ints
) -> Iterator[tuple[Floats, Floats]]:
    """Features of these people's rows as each comes, and what the regression leaves of its value.

    Yields:
        (x, X) and (x,), in units of the residuals' deviation; rows without a value are left out.
    """
    took_E = events.took_E & np.isin(events.user_E, people)
    rows = np.flatnonzero(took_E)
    user_x, place_x = np.unique(events.user_E[rows], return_inverse=True)
    count_U = np.bincount(place_x, minlength=len(user_x))
    at_x = np.arange(len(rows)) - (np.cumsum(count_U) - count_U)[place_x]
    for begin in range(0, len(user_x), AT_ONCE):
        these = (place_x >= begin) & (place_x < begin + AT_ONCE) & (at_x < FOLLOWED)
        B, T = min(AT_ONCE, len(user_x) - begin), int(at_x[these].max(initial=-1)) + 1
        item_BT, value_BT = np.zeros((B, T), np.int64), np.full((B, T), np.nan, np.float32)
        there_BT = np.zeros((B, T), bool)
        where = (place_x[these] - begin, at_x[these])
        item_BT[where], there_BT[where] = events.item_E[rows[these]], True
        value_BT[where] = events.value(signal)[rows[these]]
        reading = values.reader.start(B)
        for t in range(T):
            item_B, value_B = torch.as_tensor(item_BT[:, t]), torch.as_tensor(value_BT[:, t])
            feature_BCX, expected_BC = values.about(reading, item_B[:, None])
            left_B = (value_B - expected_BC[:, 0]) / values.statistics.scale_V
            told_B = left_B.isfinite()
            yield feature_BCX[told_B, 0].numpy(), left_B[told_B].numpy()
            reading = values.after(reading, item_B, value_B, torch.as_tensor(there_BT[:, t]))
