"""The wide part: what closed forms know, weighed by the network beside its deep part.

*Values* (every signal given a click): running statistics and a Bayesian regression of each user
(`closed_form.readings`) into a small network, whose output is added to what closed forms alone say:
what the signal's own statistics expect, and a linear function of what is expected of every signal,
so that a like is known by the stars that it is derived from. The deep part's own term enters
through a gate that starts at 0.

*Prior* (click and next item): fading sums of co-occurrence tables (`closed_form.cooccurrence`) with
a learned weight each. With the length of a history a click's log-odds move, and so does how much
tables and items' biases count: whoever took up much has less of what is popular left to take up.

Statistics are buffers, fitted before the weights are; while training, a user is described by those
that other users' rows gave (`crossfit`).

Axis letters beyond the legend of `envs/types.py`: x any leading axes, V signals given a click, W of
them regressed, R features of a regression, I, J, P features of items, users and pairs, X all of
them, Z hidden width, T kinds of tables, F sets of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.trees import map_tensors
from slategym.models.closed_form.cooccurrence import Sums, Tables
from slategym.models.closed_form.item_statistics import ItemStatistics
from slategym.models.closed_form.readings import RECENT, Reader, Reading
from slategym.models.multitask.sequence import TIME_FEATURES
from slategym.models.tasks import Task

HIDDEN = 64  # Z
DROPOUT = 0.1
EXTREME = 4.0  # standard deviations beyond which a feature counts as that
PAIRS_AT_ONCE = 16_000  # users by items whose hidden layer is held at once: in a core's cache
START = {"next": (0.3, 1.0), "click": (0.3, 0.0)}  # weights of the tables' kinds, unfitted


class WideSizes(NamedTuple):
    """Sizes of the statistics: what a model needs to know before it has them."""

    about: int  # I
    blocks: tuple[int, ...]  # widths of a regression's blocks, which add up to R
    kinds: int  # T; 0: no co-occurrence tables
    kept: int  # entries of a table's row; 0: all N
    values: bool  # whether there is a wide part for values


def regressed(tasks: Sequence[Task]) -> tuple[int, ...]:
    """Places, among the signals given a click, of those that are not derived from others."""
    given = list(tasks[1:])
    own = tuple(v for v, task in enumerate(given) if task.signal.provenance != "derived")
    return own if own or not given else (0,)


class WideValues(nn.Module):
    """Reads users' values and says what they will give.

    Args:
        tasks: of the log's signals, click first.
        num_items: N.
        sizes: of the statistics.
    """

    mean_V: Tensor
    scale_V: Tensor
    item_VN: Tensor
    about_NI: Tensor
    feature_WNR: Tensor
    drift_W: Tensor
    keep_W: Tensor
    middle_X: Tensor
    spread_X: Tensor

    def __init__(
        self,
        tasks: Sequence[Task],
        num_items: int,
        sizes: WideSizes,
    ) -> None:
        super().__init__()
        V, R = len(tasks) - 1, sum(sizes.blocks)
        self.blocks = sizes.blocks
        self.regressed = regressed(tasks)
        W = len(self.regressed)
        self.register_buffer("mean_V", torch.zeros(V))
        self.register_buffer("scale_V", torch.ones(V))
        self.register_buffer("item_VN", torch.zeros(V, num_items))
        self.register_buffer("about_NI", torch.zeros(num_items, sizes.about))
        self.register_buffer("feature_WNR", torch.zeros(W, num_items, R))
        self.register_buffer("drift_W", torch.zeros(W))
        self.register_buffer("keep_W", torch.ones(W))
        own = 1 + V * (3 + len(RECENT)) + sizes.about + 3 * W
        self.num_user = own + TIME_FEATURES
        self.num_item, self.num_pair = sizes.about, W * (1 + len(sizes.blocks))
        X = self.num_user + self.num_item + self.num_pair
        self.register_buffer("middle_X", torch.zeros(X))
        self.register_buffer("spread_X", torch.ones(X))
        self.first = nn.Linear(X, HIDDEN)
        self.dropout = nn.Dropout(DROPOUT)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, V)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.told = nn.Linear(V, V)  # of what is expected of each signal, in its own deviations
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)
        self.gate_V = nn.Parameter(torch.zeros(V))  # of the deep part

    def take(self, statistics: ItemStatistics) -> None:
        """Read by these statistics from now on."""
        for name, value in vars(statistics).items():
            getattr(self, name).copy_(value)

    def scale_features(self, feature_xX: Tensor) -> None:
        """Take middle and spread of the features from these rows."""
        self.middle_X.copy_(feature_xX.mean(0))
        self.spread_X.copy_(feature_xX.std(0, correction=0).clamp(min=1e-3))

    @property
    def reader(self) -> Reader:
        """Of the statistics taken last."""
        own = {one.name: getattr(self, one.name) for one in fields(ItemStatistics)}
        return self.reader_of(ItemStatistics(**own))

    def reader_of(self, statistics: ItemStatistics) -> Reader:
        """Of others, fitted in the same way."""
        return Reader(statistics, self.regressed, self.blocks)

    def forward(self, feature_xX: Tensor, expected_xV: Tensor, tasks: Sequence[Task]) -> Tensor:
        """Outputs of the V signals, (x, V), the deep part's term left out.

        Args:
            feature_xX: of users, items and pairs, unscaled.
            expected_xV: evidence that the closed forms expect.
            tasks: given a click.
        """
        first_xZ: Tensor = self.first(self._scaled(feature_xX, slice(None)))
        return self._outputs(first_xZ, expected_xV, tasks)

    def closed_form(self, expected_xV: Tensor, tasks: Sequence[Task]) -> Tensor:
        """What closed forms alone say of the V signals, (x, V)."""
        said = zip(tasks, expected_xV.unbind(-1), strict=True)
        own_xV = torch.stack([task.output_of(said_x) for task, said_x in said], -1)
        told_xV: Tensor = self.told(self.in_deviations(expected_xV))
        return own_xV + told_xV

    def in_deviations(self, expected_xV: Tensor) -> Tensor:
        """What is expected above the mean, in deviations of the signals' residuals."""
        return ((expected_xV - self.mean_V) / self.scale_V).clamp(-EXTREME, EXTREME)

    def _outputs(self, first_xZ: Tensor, expected_xV: Tensor, tasks: Sequence[Task]) -> Tensor:
        hidden_xZ = F.gelu(self.second(self.dropout(F.gelu(first_xZ))))
        return torch.add(self.closed_form(expected_xV, tasks), self.last(hidden_xZ))

    def of_users(
        self, reading: Reading, about_BJ: Tensor, id_BC: Tensor | None, tasks: Sequence[Task]
    ) -> Tensor:
        """Outputs for these items, (B, C, V); the layer's parts of users and items made once.

        Args:
            reading: of B users.
            about_BJ: of the request, from `time_features`.
            id_BC: int64 ids; None: all N items.
            tasks: given a click.
        """
        num_items = self.about_NI.shape[0]
        user_BJ = torch.cat([self.reader.about_users(reading), about_BJ], 1)
        user_BZ = self._through(user_BJ, slice(0, self.num_user)) + self.first.bias
        exporting = torch.compiler.is_exporting()  # the number of users stays free: not asked
        of_all = id_BC is None or exporting or id_BC.numel() >= num_items
        item_NZ = self._of_items(self.about_NI) if of_all else None  # of many, only those asked of
        width = num_items if id_BC is None else id_BC.shape[1]
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        size = max(1, PAIRS_AT_ONCE // max(1, width))
        # a recording would fix how many parts there are
        if tracing or exporting or size >= len(user_BZ):
            return self._of_pairs(reading, user_BZ, id_BC, item_NZ, tasks)
        parts = []
        for begin in range(0, len(user_BZ), size):
            part = slice(begin, begin + size)
            few = map_tensors(lambda x, part=part: x[part], reading)
            ids = None if id_BC is None else id_BC[part]
            parts.append(self._of_pairs(few, user_BZ[part], ids, item_NZ, tasks))
        return torch.cat(parts)

    def _of_pairs(
        self,
        reading: Reading,
        user_BZ: Tensor,
        id_BC: Tensor | None,
        item_NZ: Tensor | None,
        tasks: Sequence[Task],
    ) -> Tensor:
        """Outputs, given the layer's part of the users and of all items, or None of those."""
        pairs = self.reader.about_pairs(reading, id_BC)
        if id_BC is None:
            assert item_NZ is not None
            item_BCZ = item_NZ.expand(user_BZ.shape[0], -1, -1)
        elif item_NZ is None:
            item_BCZ = self._of_items(F.embedding(id_BC, self.about_NI))
        else:
            item_BCZ = F.embedding(id_BC, item_NZ)
        # a pair's features and a one meet its weights and what is the user's: one pass for both
        of_pairs = slice(self.num_user + self.num_item, None)
        pair_BCQ = F.pad(self._scaled(pairs.feature_BCP, of_pairs), (0, 1), value=1.0)
        weight_BPZ = self.first.weight.mT[of_pairs].expand(user_BZ.shape[0], -1, -1)
        weight_BQZ = torch.cat([weight_BPZ, user_BZ[:, None]], 1)
        first_BCZ = torch.baddbmm(item_BCZ, pair_BCQ, weight_BQZ)
        return self._outputs(first_BCZ, pairs.expected_BCV, tasks)

    def _of_items(self, about_xI: Tensor) -> Tensor:
        """The first layer's part of items, (x, Z)."""
        return self._through(about_xI, slice(self.num_user, self.num_user + self.num_item))

    def _through(self, feature_x: Tensor, part: slice) -> Tensor:
        return F.linear(self._scaled(feature_x, part), self.first.weight[:, part])

    def _scaled(self, feature_x: Tensor, part: slice) -> Tensor:
        scaled_x = (feature_x - self.middle_X[part]) / self.spread_X[part]
        return scaled_x.clamp(-EXTREME, EXTREME)


@dataclass(frozen=True)
class UserValues:
    """What the wide part says of B users at a request; asked twice, it answers from memory."""

    wide: WideValues
    reading: Reading
    about_BJ: Tensor
    tasks: tuple[Task, ...]  # given a click

    @cached_property
    def _said(self) -> dict[int, tuple[Tensor, Tensor]]:
        return {}

    def outputs(self, id_xC: Tensor | None) -> Tensor:
        """(B, C, V) for these items, or for all N."""
        if id_xC is None:
            return self._all
        if id(id_xC) not in self._said:
            said_xCV = self._of(id_xC.long())
            self._said.clear()
            self._said[id(id_xC)] = (id_xC, said_xCV)
        return self._said[id(id_xC)][1]

    @cached_property
    def _all(self) -> Tensor:
        return self._of(None)

    def _of(self, id_BC: Tensor | None) -> Tensor:
        return self.wide.of_users(self.reading, self.about_BJ, id_BC, self.tasks)


class Prior(nn.Module):
    """Co-occurrence tables and the weight that each has in the log-odds of click and next item.

    Args:
        num_items: N.
        sizes: of the tables.
    """

    fade_T: Tensor
    fitted: Tensor
    length: Tensor

    def __init__(self, num_items: int, sizes: WideSizes) -> None:
        super().__init__()
        shape = (1, num_items, sizes.kinds, sizes.kept or num_items)
        self.whole = not sizes.kept
        self.register_buffer("weight_FNTN" if self.whole else "weight_FNTP", torch.zeros(shape))
        if not self.whole:
            self.register_buffer("id_FNTP", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("fade_T", torch.ones(sizes.kinds))
        self.register_buffer("fitted", torch.tensor(float(num_items)))
        self.weights = nn.ParameterDict(
            {k: nn.Parameter(torch.tensor([start[: sizes.kinds]])) for k, start in START.items()}
        )
        # what a history's length adds in a click: to the tables' weights, to items' biases as a
        # share of them, and to all items; found on people held out, as part of the shares served
        self.register_buffer("length", torch.zeros(sizes.kinds + 2))

    def take(self, tables: Tables) -> None:
        """Read by the last set of these tables from now on."""
        own = self.tables
        own.weight.copy_(tables.weight[-1:])
        own.fade_T.copy_(tables.fade_T)
        if tables.fitted is not None:
            self.fitted.copy_(tables.fitted)
        if own.id is not None and tables.id is not None:
            own.id.copy_(tables.id[-1:])

    @property
    def tables(self) -> Tables:
        """One set."""
        buffers = dict(self.named_buffers())
        weight = buffers["weight_FNTN" if self.whole else "weight_FNTP"]
        return Tables(weight, buffers.get("id_FNTP"), self.fade_T, self.fitted)

    def logits(self, kind: str, sums: Sums, id_xC: Tensor | None) -> Tensor:
        """What is added to log-odds, (x, C).

        Args:
            kind: "click" or "next".
            sums: of users.
            id_xC: places among the sums' items; None: all.
        """
        weight_xT: Tensor = self.weights[kind]
        if kind == "click":
            weight_xT = self.click_weights(sums)
        return (weight_xT[..., None, :] @ sums.evidence(id_xC)).squeeze(-2)

    def click_weights(self, sums: Sums) -> Tensor:
        """Of the tables in a click, by the length of histories, (x, T)."""
        weight_1T: Tensor = self.weights["click"]
        return weight_1T + sums.length * self.length[:-2]

    def by_length(self, logits_xC: Tensor, sums: Sums, bias_xC: Tensor) -> Tensor:
        """A click's log-odds and what the length of histories adds beside tables, (x, C).

        Args:
            logits_xC: the log-odds without it.
            sums: of users.
            bias_xC: of items, the click's; (C,) of the same for all.
        """
        added_xC = self.length[-2] * bias_xC + self.length[-1]
        return torch.addcmul(logits_xC, sums.length, added_xC)
