"""What is known of items from the rows of a log: means, counts, and features of the regressions.

`ItemSources` gathers it from the rows that are fitted on; how much each source of likeness counts
is decided by `RegressionSettings`, one for each regressed signal (`variances` chooses them for a
log).

Axis letters beyond the legend of `envs/types.py`: V signals given a click, W of them regressed, R
features of a regression, E rows of the log, x some of them, I features of an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.closed_form.factors import item_factors
from slategym.models.closed_form.item_features import (
    Amplitudes,
    Blocks,
    company_features,
    item_blocks,
    standardised,
)
from slategym.models.closed_form.residuals import Base
from slategym.models.closed_form.sides import Sides

WIDTH = 32  # features of a regression beside the constant
FACTORS = 8
RIDGE = 14.0  # of the factors
COMPANY = 24  # directions of who is taken up beside whom
TEXT = 24  # directions of the text kernel
MOST_TOPICS = 20  # told one by one; of more, the largest directions


@dataclass(frozen=True)
class RegressionSettings:
    """Prior variances of a user's weights and drift in one signal's regression."""

    amplitudes: Amplitudes = field(default_factory=Amplitudes)
    drift: float = 0.2  # variance of the drift over that of the noise
    events: float = 20.0  # after which 1 / e of a drift is left


@dataclass(frozen=True)
class ItemStatistics:
    """Items as they were in the rows fitted on, and how users' values are read by them."""

    mean_V: Tensor  # of each signal's evidence
    scale_V: Tensor  # standard deviation of its residuals
    item_VN: Tensor  # of each item, above the mean
    about_NI: Tensor  # features of items
    feature_WNR: Tensor  # of the regressions; 0 where a signal has fewer
    drift_W: Tensor  # variance of each regression's drift
    keep_W: Tensor  # what is left of a drift after one event


class Fitted(NamedTuple):
    """Statistics, and the widths of the regressions' blocks, the constant's first."""

    items: ItemStatistics
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class _Signal:
    """What rows say of items in one signal; all 0 where no row holds a value of it."""

    base: Base
    count_N: Ints  # values
    spread_N: Floats  # root mean square of the residuals

    @staticmethod
    def of(events: Events, signal: str, keep_E: Bools) -> _Signal:
        N = events.num_items
        told_E = keep_E & np.isfinite(events.value(signal))
        if not told_E.any():
            nothing = Base(signal, 0.0, np.zeros(N), 1.0, 0.0, 1.0)
            return _Signal(nothing, np.zeros(N, np.int64), np.zeros(N))
        base = Base.fit(events, signal, keep_E)
        item_x, residual_x = events.item_E[told_E], base.residual(events)[told_E]
        count_N = np.bincount(item_x, minlength=N)
        square_N = np.bincount(item_x, residual_x**2, N) / np.maximum(count_N, 1)
        return _Signal(base, count_N, np.sqrt(square_N))


@dataclass(frozen=True)
class ItemSources:
    """Items as some rows tell of them, before it is decided what makes them alike."""

    signals: Mapping[str, _Signal]  # V, in order
    clicks_N: Ints
    other_NI: Floats  # features of items that no signal decides
    source: Mapping[str, Mapping[str, Floats]]  # by regressed signal: (N, any) each, see Amplitudes

    @staticmethod
    def of(
        events: Events,
        signals: Sequence[str],
        regressed: Sequence[str],
        keep_E: Bools,
        sides: Sides,
    ) -> ItemSources:
        """Gather.

        Args:
            events: the log.
            signals: V names, given a click.
            regressed: W of them.
            keep_E: rows to fit on; a signal without a value in them has mean and residuals 0.
            sides: texts, topics and columns of the items.
        """
        clicks_N = np.bincount(events.item_E[keep_E & events.took_E], minlength=events.num_items)
        columns = _columns(sides)
        shared = {"company": company_features(events.met(keep_E), COMPANY)}
        if sides.text_ND.shape[1] and np.any(sides.text_ND):
            shared["text"] = sides.text_features(Amplitudes().length, TEXT)
        if sides.topic_NG.shape[1] > 1:
            shared["topics"] = sides.topic_NG
        told = {name: _Signal.of(events, name, keep_E) for name in signals}
        source = {}
        for name in regressed:
            own, factor_ND = told[name], np.zeros((events.num_items, FACTORS))
            if own.count_N.any():
                factor_ND = item_factors(events, own.base, keep_E, width=FACTORS, ridge=RIDGE)
            numbers = [own.base.item_N, np.log1p(own.count_N), *columns]
            numbers_NX = np.stack([standardised(x_N, clicks_N) for x_N in numbers], 1)
            source[name] = {"factors": factor_ND, "numbers": numbers_NX, **shared}
        others = [np.log1p(clicks_N), *columns, *_topics(sides)]
        return ItemSources(told, clicks_N, np.stack(others, 1), source)

    def blocks(self, signal: str, amplitudes: Amplitudes) -> Blocks:
        """Features on which a signal is regressed."""
        return item_blocks(self.source[signal], amplitudes, WIDTH, self.clicks_N)

    def statistics(self, settings: Mapping[str, RegressionSettings]) -> Fitted:
        """What a reader needs.

        Args:
            settings: of each regressed signal; one that is not there has the usual ones.
        """
        own = [settings.get(name, RegressionSettings()) for name in self.source]
        told, N = self.signals.values(), len(self.clicks_N)
        about = []
        for signal in told:
            base = signal.base
            about += [base.item_N / base.scale, np.log1p(signal.count_N), signal.spread_N]
        blocks = [
            self.blocks(name, one.amplitudes) for name, one in zip(self.source, own, strict=True)
        ]
        features = [block.feature_NR for block in blocks]
        statistics = ItemStatistics(
            mean_V=_float([signal.base.mean for signal in told]),
            scale_V=_float([signal.base.scale for signal in told]),
            item_VN=_float(np.stack([signal.base.item_N for signal in told])),
            about_NI=_float(np.concatenate([np.stack(about, 1), self.other_NI], 1)),
            feature_WNR=torch.stack(features) if features else torch.zeros(0, N, 0),
            drift_W=_float([one.drift for one in own]),
            keep_W=_float(np.exp([-1.0 / one.events for one in own])),
        )
        return Fitted(statistics, blocks[-1].widths if blocks else ())


def _columns(sides: Sides) -> list[Floats]:
    """Numbers among the items' columns, mean 0 and deviation 1; unknown: 0. Codes say nothing."""
    found = []
    for name, value_N in zip(sides.item_names, sides.item_NC.T, strict=True):
        known_N = np.isfinite(value_N)
        if name == "topic" or not known_N.any() or np.std(value_N[known_N]) == 0:
            continue
        scaled_N = (value_N - value_N[known_N].mean()) / value_N[known_N].std()
        found.append(np.where(known_N, scaled_N, 0.0))
    return found


def _topics(sides: Sides) -> list[Floats]:
    """As many columns as MOST_TOPICS, so that a model keeps its size when a topic joins the log."""
    topic_NG = sides.topic_NG
    if topic_NG.shape[1] > MOST_TOPICS:
        left_NG, value_G, _ = np.linalg.svd(topic_NG, full_matrices=False)
        topic_NG = left_NG[:, :MOST_TOPICS] * value_G[:MOST_TOPICS]
    missing = MOST_TOPICS - topic_NG.shape[1]
    return list(np.pad(topic_NG, ((0, 0), (0, missing))).T)


def _float(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
