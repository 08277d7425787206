"""What a user's values so far say of the next ones: running statistics, event by event.

Statistics of items come from rows that were fitted on (`ItemStatistics`); a `Reading` of each user
is moved by one event at a time in O(R^2) numbers and described by features of the user, of an item,
and of the pair. Reading a log's rows one after another and following a session are the same code.

Axis letters beyond the legend of `envs/types.py`: V signals given a click, W of them regressed, R
features of a regression, E rows of the log, x some of them, I features of an item, J of a user, P
of a pair, Q fading rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.factors import item_factors
from slategym.models.closed_form.item_features import (
    Amplitudes,
    company_features,
    item_blocks,
    standardised,
)
from slategym.models.closed_form.regression import Belief, Regression
from slategym.models.closed_form.residuals import Base
from slategym.models.closed_form.sides import Sides

USER_PRIOR = 15.0  # pseudo-events of a running mean
RECENT = (3.0, 10.0, 30.0)  # events after which 1 / e of a residual is left
RECENT_PRIOR = 2.0
MOST_TOPICS = 20  # told one by one; of more, the largest directions


@dataclass(frozen=True)
class ReadingSettings:
    """How values are read."""

    amplitudes: Amplitudes = field(default_factory=Amplitudes)
    regression: Regression = field(default_factory=Regression)
    width: int = 32  # of the features
    factors: int = 8
    ridge: float = 14.0  # of the factors
    company: int = 24  # directions of who is taken up beside whom
    text: int = 24  # directions of the text kernel


@dataclass(frozen=True)
class ItemStatistics:
    """Items as they were in the rows fitted on."""

    mean_V: Tensor  # of each signal's evidence
    scale_V: Tensor  # standard deviation of its residuals
    item_VN: Tensor  # of each item, above the mean
    about_NI: Tensor  # features of items
    feature_WNR: Tensor  # of the regressions; 0 where a signal has fewer


class Fitted(NamedTuple):
    """Statistics, and the widths of the regressions' blocks, the constant's first."""

    items: ItemStatistics
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """What has been read of B users."""

    events: Tensor  # (B,) float32, clicks
    count: Tensor  # (B, V) float32, values
    total: Tensor  # (B, V) sum of residuals
    square: Tensor  # (B, V) sum of their squares
    lately: Tensor  # (B, V, Q) fading sums of residuals
    weight: Tensor  # (B, V, Q) fading counts
    items: Tensor  # (B, I) sum of the items' features
    beliefs: tuple[Belief, ...]  # of each regressed signal


def fit_statistics(
    events: Events,
    signals: Sequence[str],
    regressed: Sequence[str],
    keep_E: Bools,
    sides: Sides,
    settings: ReadingSettings,
) -> Fitted:
    """Fit on the kept rows.

    Args:
        events: the log.
        signals: V names, given a click.
        regressed: W of them.
        keep_E: rows to fit on; a signal without a value in them has mean and residuals 0.
        sides: texts, topics and columns of the items.
        settings: of the regressions.
    """
    N = events.num_items
    means, scales, items, about, features = [], [], [], [], []
    widths: tuple[int, ...] = ()
    clicks_N = np.bincount(events.item_E[keep_E & events.took_E], minlength=N)
    columns = _columns(sides)
    known = _sources(events, keep_E, sides, settings)
    for signal in signals:
        told_E = keep_E & np.isfinite(events.value(signal))
        if not told_E.any():
            base, residual_x = Base(signal, 0.0, np.zeros(N), 1.0, 0.0, 1.0), np.zeros(0)
        else:
            base = Base.fit(events, signal, keep_E)
            residual_x = base.residual(events)[told_E]
        item_x = events.item_E[told_E]
        count_N = np.bincount(item_x, minlength=N)
        spread_N = np.sqrt(np.bincount(item_x, residual_x**2, N) / np.maximum(count_N, 1))
        means.append(base.mean)
        scales.append(base.scale)
        items.append(base.item_N)
        about += [base.item_N / base.scale, np.log1p(count_N), spread_N]
        if signal in regressed:
            factor_ND = np.zeros((N, settings.factors))
            if told_E.any():
                factor_ND = item_factors(
                    events, base, keep_E, width=settings.factors, ridge=settings.ridge
                )
            own = [base.item_N, np.log1p(count_N), *columns]
            numbers_NX = np.stack([standardised(x_N, clicks_N) for x_N in own], 1)
            sources = {"factors": factor_ND, "numbers": numbers_NX, **known}
            blocks = item_blocks(sources, settings.amplitudes, settings.width, clicks_N)
            features.append(blocks.feature_NR)
            widths = blocks.widths
    about += [np.log1p(clicks_N), *columns, *_topics(sides)]
    statistics = ItemStatistics(
        mean_V=_float(means),
        scale_V=_float(scales),
        item_VN=_float(np.stack(items)),
        about_NI=_float(np.stack(about, 1)),
        feature_WNR=torch.stack(features) if features else torch.zeros(0, N, 0),
    )
    return Fitted(statistics, widths)


def _sources(
    events: Events, keep_E: Bools, sides: Sides, settings: ReadingSettings
) -> dict[str, Floats]:
    """What makes items alike, whatever the signal."""
    found = {"company": company_features(events.met(keep_E), settings.company)}
    if sides.text_ND.shape[1] and np.any(sides.text_ND):
        length = settings.amplitudes.length
        found["text"] = sides.text_features(length, settings.text)
    if sides.topic_NG.shape[1] > 1:
        found["topics"] = sides.topic_NG
    return found


def _columns(sides: Sides) -> list[np.ndarray]:
    """Numbers among the items' columns, mean 0 and deviation 1; unknown: 0. Codes say nothing."""
    found = []
    for name, value_N in zip(sides.item_names, sides.item_NC.T, strict=True):
        known_N = np.isfinite(value_N)
        if name == "topic" or not known_N.any() or np.std(value_N[known_N]) == 0:
            continue
        scaled_N = (value_N - value_N[known_N].mean()) / value_N[known_N].std()
        found.append(np.where(known_N, scaled_N, 0.0))
    return found


def _topics(sides: Sides) -> list[np.ndarray]:
    """As many columns as MOST_TOPICS, so that a model keeps its size when a topic joins the log."""
    topic_NG = sides.topic_NG
    if topic_NG.shape[1] > MOST_TOPICS:
        left_NG, value_G, _ = np.linalg.svd(topic_NG, full_matrices=False)
        topic_NG = left_NG[:, :MOST_TOPICS] * value_G[:MOST_TOPICS]
    missing = MOST_TOPICS - topic_NG.shape[1]
    return list(np.pad(topic_NG, ((0, 0), (0, missing))).T)


def _float(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


class Pairs(NamedTuple):
    """What is known of B users and C items each, together."""

    feature_BCP: Tensor
    expected_BCV: Tensor  # evidence: by the regressions, where there is none by running means


@dataclass(frozen=True)
class Reader:
    """Reads users' values event by event."""

    statistics: ItemStatistics
    regression: Regression
    regressed: tuple[int, ...]  # W places among the V signals
    blocks: tuple[int, ...]  # widths of the regressions' blocks, the constant's first

    def start(self, num_users: int) -> Reading:
        """Nothing known of these users."""
        s = self.statistics
        zero_BV = s.mean_V.new_zeros(num_users, len(s.mean_V))
        zero_BVQ = zero_BV[..., None].expand(-1, -1, len(RECENT))
        return Reading(
            events=zero_BV.new_zeros(num_users),
            count=zero_BV,
            total=zero_BV,
            square=zero_BV,
            lately=zero_BVQ,
            weight=zero_BVQ,
            items=zero_BV.new_zeros(num_users, s.about_NI.shape[1]),
            beliefs=tuple(self.regression.start(x_NR, num_users) for x_NR in s.feature_WNR),
        )

    def after(
        self, reading: Reading, item_B: Tensor, evidence_BV: Tensor, took_B: Tensor
    ) -> Reading:
        """After one more click each; rows where took_B is False are left as they are.

        Args:
            reading: before it.
            item_B: int64 ids.
            evidence_BV: of each signal; NaN: not observed.
            took_B: bool.
        """
        s = self.statistics
        residual_BV = (evidence_BV - s.mean_V - s.item_VN.T[item_B]) / s.scale_V
        told_BV = (residual_BV.isfinite() & took_B[:, None]).to(residual_BV.dtype)
        known_BV = torch.where(told_BV > 0, residual_BV, 0.0)
        fade_Q = torch.exp(-1.0 / known_BV.new_tensor(RECENT))
        kept_BVQ = torch.where(told_BV[..., None] > 0, fade_Q, 1.0)
        took_B1 = took_B[:, None]
        beliefs = tuple(
            self.regression.update(
                belief,
                F.embedding(item_B, s.feature_WNR[w]),
                residual_BV[:, self.regressed[w]],
                took_B,
            )
            for w, belief in enumerate(reading.beliefs)
        )
        return Reading(
            events=reading.events + took_B,
            count=reading.count + told_BV,
            total=reading.total + known_BV,
            square=reading.square + known_BV.square(),
            lately=reading.lately * kept_BVQ + known_BV[..., None],
            weight=reading.weight * kept_BVQ + told_BV[..., None],
            items=reading.items + F.embedding(item_B, s.about_NI) * took_B1,
            beliefs=beliefs,
        )

    def about_users(self, reading: Reading) -> Tensor:
        """Features of users, (B, J)."""
        mean_BV = reading.total / (reading.count + USER_PRIOR)
        plain_BV = reading.total / reading.count.clamp(min=1)
        square_BV = reading.square / reading.count.clamp(min=1)
        parts = [
            reading.events.log1p()[:, None],
            mean_BV,
            reading.count.log1p(),
            (square_BV - plain_BV.square()).clamp(min=1e-6).sqrt(),
            (reading.lately / (reading.weight + RECENT_PRIOR)).flatten(1),
            reading.items / reading.events.clamp(min=1)[:, None],
        ]
        for belief in reading.beliefs:
            bias_B = belief.mean[:, 0]
            parts.append(torch.stack([bias_B, belief.drift, belief.variance], 1))
        return torch.cat(parts, 1)

    def about_pairs(self, reading: Reading, id_BC: Tensor | None) -> Pairs:
        """What is known of users and items together: of each regression its mean, variance, blocks.

        Args:
            reading: of B users.
            id_BC: int64 ids; None: all N items.
        """
        s, B = self.statistics, reading.events.shape[0]  # not len(), which a recording would fix

        def of_items(table_NX: Tensor) -> Tensor:
            if id_BC is None:
                return table_NX.expand(B, -1, -1)
            return F.embedding(id_BC, table_NX)

        item_BCV = of_items(s.item_VN.T + s.mean_V)
        usual_BV = reading.total / (reading.count + USER_PRIOR)
        said = list(usual_BV[:, None].expand_as(item_BCV).unbind(2))
        features = []
        for w, belief in enumerate(reading.beliefs):
            feature_BCR = of_items(s.feature_WNR[w])
            said_BCK, variance_BC = self.regression.outlook(belief, feature_BCR, self.blocks)
            mean_BC = said_BCK.sum(2) + belief.drift[:, None]
            said[self.regressed[w]] = mean_BC
            features += [mean_BC, variance_BC.log(), *said_BCK[..., 1:].unbind(2)]
        return Pairs(
            torch.stack(features, 2) if features else item_BCV[..., :0],
            item_BCV + s.scale_V * torch.stack(said, 2),
        )

    def doubt(self, reading: Reading, id_BC: Tensor, w: int) -> Tensor:
        """Standard deviation of what a user gives an item on average, noise left out, (B, C).

        Args:
            reading: of B users.
            id_BC: int64 ids.
            w: which of the regressions; in the unit of its signal's evidence.
        """
        feature_BCR = F.embedding(id_BC, self.statistics.feature_WNR[w])
        _, variance_BC = self.regression.outlook(reading.beliefs[w], feature_BCR, self.blocks)
        return self.statistics.scale_V[self.regressed[w]] * (variance_BC - 1).clamp(min=0).sqrt()
