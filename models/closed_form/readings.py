"""What a user's values so far say of the next ones: running statistics, event by event.

Statistics of items come from rows that were fitted on (`ItemStatistics`); a `Reading` of each user
is moved by one event at a time in O(R^2) numbers and described by features of the user, of an item,
and of the pair. Reading a log's rows one after another and following a session are the same code.

Axis letters beyond the legend of `envs/types.py`: V signals given a click, W of them regressed, R
features of a regression, I features of an item, J of a user, P of a pair, Q fading rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.item_statistics import ItemStatistics
from slategym.models.closed_form.regression import Belief, Regression

USER_PRIOR = 15.0  # pseudo-events of a running mean
RECENT = (3.0, 10.0, 30.0)  # events after which 1 / e of a residual is left
RECENT_PRIOR = 2.0


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


class Pairs(NamedTuple):
    """What is known of B users and C items each, together."""

    feature_BCP: Tensor
    expected_BCV: Tensor  # evidence: by the regressions, where there is none by running means


@dataclass(frozen=True)
class Reader:
    """Reads users' values event by event."""

    statistics: ItemStatistics
    regressed: tuple[int, ...]  # W places among the V signals
    blocks: tuple[int, ...]  # widths of the regressions' blocks, the constant's first

    @cached_property
    def regressions(self) -> tuple[Regression, ...]:
        """Of the W signals."""
        s = self.statistics
        return tuple(map(Regression, s.drift_W.unbind(), s.keep_W.unbind()))

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
            beliefs=tuple(
                regression.start(x_NR, num_users)
                for regression, x_NR in zip(self.regressions, s.feature_WNR, strict=True)
            ),
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
            self.regressions[w].update(
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
            said_BCK, variance_BC = self.regressions[w].outlook(belief, feature_BCR, self.blocks)
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
        _, variance_BC = self.regressions[w].outlook(reading.beliefs[w], feature_BCR, self.blocks)
        return self.statistics.scale_V[self.regressed[w]] * (variance_BC - 1).clamp(min=0).sqrt()
