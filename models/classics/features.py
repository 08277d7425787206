"""What a row of a log may know of its item and its user, as a table of numbers.

Statistics of items come from rows that were given to fit on; the rest from the user's earlier rows.
The row's own values enter nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.classics.gaussian import GaussianProcess, fit_gaussian
from slategym.models.classics.types import Ints
from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.residuals import Taken, taken_rows
from slategym.models.closed_form.sides import Sides

USER_PRIOR = 15.0  # pseudo-events of a running mean
RECENT = (3, 10, 30)  # events that count as lately
RECENT_PRIOR = 2.0
LIKENESS_PRIOR = 1.0
CELLS = 2_000_000  # of a padded (B, T, T) batch; several of them are held at once


@dataclass(frozen=True)
class Statistics:
    """One signal as it was in the rows fitted on."""

    process: GaussianProcess
    count_N: Floats  # values of each item
    spread_N: Floats  # standard deviation of its residuals, in the base's scale

    @staticmethod
    def fit(
        events: Events, signal: str, keep_E: Bools, sides: Sides, settings: Mapping[str, float]
    ) -> Statistics:
        """Fit the process and count.

        Args:
            events: the log.
            signal: to describe.
            keep_E: rows to fit on.
            sides: texts and topics of the items.
            settings: of the process.
        """
        process = fit_gaussian(events, signal, keep_E, sides, settings)
        residual_E = process.base.residual(events)
        at_x = np.flatnonzero(keep_E & np.isfinite(residual_E))
        item_x, N = events.item_E[at_x], events.num_items
        count_N = np.bincount(item_x, minlength=N).astype(np.float64)
        square_N = np.bincount(item_x, residual_E[at_x] ** 2, N)
        return Statistics(process, count_N, np.sqrt(square_N / np.maximum(count_N, 1)))


@dataclass(frozen=True)
class Table:
    """Features of every row of a log; NaN where unknown."""

    names: tuple[str, ...]
    value_EX: np.ndarray  # float32


def describe(events: Events, sides: Sides, statistics: Sequence[Statistics], users: Ints) -> Table:
    """Describe all clicked rows of these users.

    Args:
        events: the log.
        sides: of items, users and rows.
        statistics: one per signal, fitted on rows that must not be the users' own if they are to
            describe them as they would describe anybody.
        users: whose rows.
    """
    names = feature_names(sides, statistics)
    value_EX = np.full((events.num_rows, len(names)), np.nan, np.float32)
    for taken in taken_rows(events, users, CELLS):
        rows = taken.row_BT[taken.real_BT]
        columns = _columns(events, sides, statistics, taken)
        value_EX[rows] = torch.stack(columns, 2).float().numpy()[taken.real_BT]
    return Table(names, value_EX)


def feature_names(sides: Sides, statistics: Sequence[Statistics]) -> tuple[str, ...]:
    """Names of the columns, in order."""
    likenesses = [name for name, _ in _likenesses(sides)] + ["factors"]
    names = ["events before"]
    names += [f"item {name}" for name in sides.item_names]
    names += [f"earlier {name}" for name in sides.item_names]
    names += [*sides.user_names, *sides.context_names]
    for part in statistics:
        signal = part.process.base.signal
        names += [f"{signal}: item {x}" for x in ("mean", "count", "spread")]
        names += [f"{signal}: user {x}" for x in ("residual", "count", "spread")]
        names += [f"{signal}: last {k}" for k in RECENT]
        names += [f"{signal}: like {x}, {y}" for x in likenesses for y in ("residual", "weight")]
        names += [f"{signal}: process {x}" for x in ("mean", "variance")]
    return tuple(names)


def _likenesses(sides: Sides) -> list[tuple[str, Tensor]]:
    tables = {"text": sides.text_ND, "topics": sides.topic_NG}
    return [(k, torch.as_tensor(x).float()) for k, x in tables.items() if x.shape[1]]


def _columns(
    events: Events, sides: Sides, statistics: Sequence[Statistics], taken: Taken
) -> list[Tensor]:
    """Every feature of a batch, each (B, T)."""
    item_BT = torch.as_tensor(events.item_E[taken.row_BT])
    B, T = item_BT.shape
    before_BT = torch.arange(T).expand(B, T)
    item_BTC = torch.as_tensor(sides.item_NC[item_BT.numpy()])
    profile_BTF = torch.as_tensor(sides.user_UF[events.user_E[taken.row_BT]])
    context_BTX = torch.as_tensor(sides.context_EX[taken.row_BT])
    columns = [before_BT.double().log1p()]
    columns += [*item_BTC.unbind(2), *_running_mean(item_BTC).unbind(2)]
    columns += [*profile_BTF.unbind(2), *context_BTX.unbind(2)]
    kernels = [(_like(x_ND, item_BT)) for _, x_ND in _likenesses(sides)]
    for part in statistics:
        residual_BT = torch.as_tensor(part.process.base.residual(events)[taken.row_BT])
        own = _like(part.process.factor_ND.float(), item_BT)
        columns += _signal_columns(part, item_BT, residual_BT, [*kernels, own])
    return columns


def _signal_columns(
    part: Statistics, item_BT: Tensor, residual_BT: Tensor, kernels: Sequence[Tensor]
) -> list[Tensor]:
    """The features that speak of one signal, each (B, T)."""
    base = part.process.base
    told_BT = residual_BT.isfinite().double()
    residual_BT0 = residual_BT.nan_to_num()
    count_BT, sum_BT = _before(told_BT), _before(residual_BT0)
    mean_BT = sum_BT / (count_BT + USER_PRIOR)
    plain_BT = sum_BT / count_BT.clamp(min=1)
    square_BT = _before(residual_BT0.square()) / count_BT.clamp(min=1)
    columns = [
        base.mean + torch.as_tensor(base.item_N)[item_BT],
        torch.as_tensor(part.count_N)[item_BT].log1p(),
        torch.as_tensor(part.spread_N)[item_BT],
        mean_BT,
        count_BT.log1p(),
        (square_BT - plain_BT.square()).clamp(min=0).sqrt(),
    ]
    for last in RECENT:
        recent_BT = sum_BT - _delayed(sum_BT, last)
        columns.append(recent_BT / (count_BT - _delayed(count_BT, last) + RECENT_PRIOR))
    deviation_BT = (residual_BT0 - mean_BT) * told_BT
    pair_BT2 = torch.stack([deviation_BT, told_BT], 2).float()
    for like_BTT in kernels:
        found_BT, weight_BT = (like_BTT @ pair_BT2).double().unbind(2)
        columns += [found_BT / (weight_BT + LIKENESS_PRIOR), weight_BT.log1p()]
    mean_BT, variance_BT = part.process.steps(item_BT, residual_BT)
    return [*columns, mean_BT, variance_BT]


def _like(x_ND: Tensor, item_BT: Tensor) -> Tensor:
    """How alike each row's item is to those of earlier rows, (B, T, T) in [0, inf); 0 for others.

    The square of the inner product where it is positive: what is hardly alike hardly counts.
    """
    x_BTD = F.embedding(item_BT, x_ND)
    return (x_BTD @ x_BTD.transpose(1, 2)).clamp(min=0).square().tril(-1)


def _before(x_BT: Tensor) -> Tensor:
    """Sum over earlier columns."""
    return x_BT.cumsum(1) - x_BT


def _delayed(x_BT: Tensor, steps: int) -> Tensor:
    """The same, `steps` columns later; 0 before."""
    return F.pad(x_BT, (steps, 0))[:, : x_BT.shape[1]]


def _running_mean(x_BTC: Tensor) -> Tensor:
    """Mean of earlier known values of each column; NaN where there is none."""
    known_BTC = x_BTC.isfinite().double()
    value_BTC = x_BTC.nan_to_num()
    count_BTC = known_BTC.cumsum(1) - known_BTC
    mean_BTC: Tensor = (value_BTC.cumsum(1) - value_BTC) / count_BTC  # 0 / 0 is NaN
    return mean_BTC
