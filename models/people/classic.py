"""The families that are made of classics, and how each is fitted on a party.

    factor        asymmetric factors of what was clicked; biases, drift and factors of values
    gp            implicit factors folded in; a Gaussian process over factors, text and topics
    covisitation  fading EASE and transitions; online biases with drift
    trees         item-kNN and transitions; boosted trees over a user's running statistics

Settings are chosen on the party's held people, where there are enough of them, with a fit that has
not met them; then outputs are calibrated on them, and all is fitted again on the whole party.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slategym.models import metrics
from slategym.models.classics.families import FAMILIES as SCORERS
from slategym.models.classics.families import Rows, choose
from slategym.models.classics.ials import IALS, SolvedIALS
from slategym.models.classics.oblivious import Growing
from slategym.models.classics.search import Settings, climb
from slategym.models.classics.types import NextItem
from slategym.models.closed_form.events import Events, Floats
from slategym.models.closed_form.factors import item_factors
from slategym.models.closed_form.recursive import Regression, kernel_features
from slategym.models.closed_form.residuals import Base
from slategym.models.people.boosted import best_number, fit_boosted
from slategym.models.people.calibration import FEWEST, Mix, fit_mix, plain
from slategym.models.people.packing import pack, unpack
from slategym.models.people.reading import Ints, Queries, ask, rows_of
from slategym.models.people.taste import ClassicTaste, Scorer, Values
from slategym.models.people.types import Party, roots
from slategym.models.statistics import smoothed_rate
from slategym.models.tasks import Task

CALIBRATED_ROWS = 2_000  # of held people, on which outputs are calibrated
CHOSEN_ROWS = 1_500  # of theirs, on which a scorer's settings are chosen
FOLLOWED = 60  # events of each held person on which a regression's settings are chosen
LEAST_ORDER = 3  # clicks before a row of them
FEWEST_HELD = 5  # people below which the starting settings stay

_AMPLITUDES = (0.0, 0.03, 0.06, 0.15, 0.4, 1.0)
LADDERS: Mapping[str, tuple[float, ...]] = {
    "bias": (0.03, 0.1, 0.2, 0.4, 0.8),
    "drift": (0.0, 0.06, 0.15, 0.4, 0.8),
    "tau": (4.0, 10.0, 25.0),
    "factors": _AMPLITUDES,
    "text": _AMPLITUDES,
    "topics": _AMPLITUDES,
    "columns": _AMPLITUDES,
}
START: Settings = {
    "bias": 0.4, "drift": 0.4, "tau": 10.0, "factors": 0.4, "text": 0.4, "topics": 0.06,
    "columns": 0.06,
}  # fmt: skip
FOLDED_WIDTH = 32  # of the factors of what is clicked: a user's are solved for at every click
WIDTH, RIDGE = 8, 8.0  # of a value's factors
TEXT_WIDTH, TEXT_LENGTH, TOPIC_WIDTH = 24, 0.3, 16


@dataclass(frozen=True)
class ClassicFamily:
    """A family of scorers and regressions."""

    one_line: str
    scorers: tuple[tuple[str, float | None], ...]  # of `classics`, with the floor of a logarithm
    blocks: tuple[str, ...]  # of features of a value, of _BLOCKS
    version: int = 1
    growing: Growing | None = None  # of trees, which then take the place of the regressions

    @property
    def reads_text(self) -> bool:
        """Whether the texts are among its features."""
        return "text" in self.blocks or self.growing is not None

    def fit(self, party: Party) -> ClassicTaste:
        """Choose, calibrate, and fit again on everybody."""
        values = {m: self._value_settings(party, m) for m in roots(party.tasks)}
        clicks = {name: _scorer_settings(party, name) for name, _ in self.scorers}
        first = self._fitted(party, party.known, values, clicks)
        tasks, mixes = _calibrated(party, first)
        whole = self._fitted(party, party.people, values, clicks)
        return replace(whole, tasks=tasks, mixes=mixes)

    def save(self, taste: ClassicTaste, folder: Path) -> None:
        """Write its tables and numbers."""
        pack(replace(taste, tasks=(), table=None), folder)

    def load(self, folder: Path, tasks: Sequence[Task], device: str) -> ClassicTaste:
        """Read them back."""
        taste: ClassicTaste = unpack(folder, device)
        return replace(taste, tasks=tuple(tasks))

    def _fitted(
        self,
        party: Party,
        people: Ints,
        values: Mapping[int, Settings],
        clicks: Mapping[str, Settings],
    ) -> ClassicTaste:
        events, keep_E, tasks = party.events, party.rows(people), party.tasks
        rows = Rows(events, keep_E)
        scorers = tuple(
            Scorer(_live(SCORERS[name].fit(rows, clicks[name])), floor)
            for name, floor in self.scorers
        )
        regressions: list[Values] = []
        for m, settings in values.items():
            if self.growing is not None:
                growing = replace(self.growing, most=int(settings["trees"]))
                regressions.append(fit_boosted(party, tasks[m].signal.name, people, growing))
                continue
            features = _Features(party, tasks[m].signal.name, people, self.blocks)
            regressions.append(features.regression(settings))
        columns = tuple(values)
        num = max(1, len(columns))
        starts = [
            plain(num, columns.index(m) if m in columns else None) for m in range(1, len(tasks))
        ]
        return ClassicTaste(
            tasks=tasks,
            scorers=scorers,
            popular_N=_tensor(_popularity(events, rows)),
            columns=columns,
            regressions=tuple(regressions),
            mixes=(plain(len(scorers) + 1, len(scorers)), *starts),
        )

    def _value_settings(self, party: Party, m: int) -> Settings:
        """Variances with which held people's values are predicted best, one row at a time."""
        name = party.tasks[m].signal.name
        if self.growing is not None:
            return {"trees": best_number(party, name, self.growing)}
        features = _Features(party, name, party.known, self.blocks)
        start = {k: v for k, v in START.items() if k not in _BLOCKS or k in features.blocks}
        if len(party.held) < FEWEST_HELD:
            return start
        followed = _Followed.of(party.events, name, party.held)
        if followed is None:
            return start
        ladders = {k: LADDERS[k] for k in start}
        return climb(ladders, start, lambda s: followed.error(features.regression(s)))[0]


class _Features:
    """A value's level and features as some people's rows have them, each block made once."""

    def __init__(self, party: Party, signal: str, people: Ints, blocks: Sequence[str]) -> None:
        events, keep_E = party.events, party.rows(people)
        self.base = Base.fit(events, signal, keep_E)
        nothing_N = np.zeros(events.num_items)
        make: dict[str, Callable[[], tuple[Floats, Floats]]] = {
            "factors": lambda: (
                item_factors(events, self.base, keep_E, width=WIDTH, ridge=RIDGE, seed=party.seed),
                nothing_N,
            ),
            "text": lambda: kernel_features(party.sides.text_ND, TEXT_LENGTH, TEXT_WIDTH),
            "topics": lambda: kernel_features(party.sides.topic_NG, np.inf, TOPIC_WIDTH),
            "columns": lambda: kernel_features(party.item_columns, np.inf, TOPIC_WIDTH),
        }
        absent = {"text"} if not party.sides.text_ND.shape[1] else set()
        absent |= set() if party.log.item_columns else {"columns"}
        there = [b for b in blocks if b not in absent]
        self.blocks: dict[str, tuple[Floats, Floats]] = {b: make[b]() for b in there}

    def regression(self, settings: Settings) -> Regression:
        """With these variances."""
        base, num = self.base, len(self.base.item_N)
        parts = [np.zeros((num, 0))]
        rest_N = np.zeros(num)
        for block, (feature_ND, left_N) in self.blocks.items():
            if settings[block]:
                parts.append(feature_ND * settings[block] ** 0.5)
                rest_N = rest_N + settings[block] * left_N
        return Regression(
            feature_ND=_tensor(np.concatenate(parts, 1)),
            rest_N=_tensor(rest_N),
            level_N=_tensor(base.mean + base.item_N),
            scale=base.scale,
            bias=settings["bias"],
            drift=settings["drift"],
            events=settings["tau"],
        )


@dataclass(frozen=True)
class _Followed:
    """Held people's first clicks in order, padded on the right."""

    item_BT: Tensor  # -1: none
    value_BT: Tensor

    @staticmethod
    def of(events: Events, signal: str, people: Ints) -> _Followed | None:
        """None if they have no value."""
        took_E = events.took_E & np.isin(events.user_E, people)
        rows = np.flatnonzero(took_E)
        user, place = np.unique(events.user_E[rows], return_inverse=True)
        count_B = np.bincount(place, minlength=len(user))
        at = np.arange(len(rows)) - (np.cumsum(count_B) - count_B)[place]
        kept = at < FOLLOWED
        shape = (len(user), int(at[kept].max(initial=-1)) + 1)
        item_BT, value_BT = np.full(shape, -1), np.full(shape, np.nan, np.float32)
        item_BT[place[kept], at[kept]] = events.item_E[rows[kept]]
        value_BT[place[kept], at[kept]] = events.value(signal)[rows[kept]]
        if not np.isfinite(value_BT).any():
            return None
        return _Followed(torch.as_tensor(item_BT), torch.as_tensor(value_BT))

    @torch.no_grad()
    def error(self, regression: Regression) -> float:
        """Root mean squared, each value predicted from those before it."""
        belief, said = regression.start(len(self.item_BT)), []
        for item_B, value_B in zip(self.item_BT.unbind(1), self.value_BT.unbind(1), strict=True):
            id_B = item_B.clamp(min=0)
            said.append(regression.mean(belief, id_B[:, None])[:, 0])
            belief = regression.after(belief, id_B, value_B, item_B >= 0)
        value_BT = self.value_BT.numpy()
        told = np.isfinite(value_BT)
        return metrics.rmse(value_BT[told], torch.stack(said, 1).numpy()[told])


def _scorer_settings(party: Party, name: str) -> Settings:
    """Settings with which a scorer ranks best what held people click next."""
    start, only = dict(SCORERS[name].start), CHOSEN[name]
    if name == "ials":
        start["width"] = FOLDED_WIDTH
    events, held_E = party.events, party.rows(party.held)
    row_x = np.flatnonzero(held_E & events.took_E & (events.order_E >= LEAST_ORDER))
    if len(row_x) > CHOSEN_ROWS:
        row_x = row_x[np.linspace(0, len(row_x) - 1, CHOSEN_ROWS).astype(np.int64)]
    if len(party.held) < FEWEST_HELD or not len(row_x):
        return start
    rows = Rows(events, party.rows(party.known))
    return choose(name, rows, row_x, repeats=party.log.repeats, start=start, only=only)[0]


CHOSEN: Mapping[str, tuple[str, ...]] = {  # which of a scorer's settings are chosen; (): all
    "ease": ("fade", "ridge"),
    "transitions": ("fade", "window", "decay"),
    "knn": ("fade", "neighbours"),
    "ials": ("fade", "unseen"),
    "asymmetric": (),
}


def _calibrated(party: Party, taste: ClassicTaste) -> tuple[tuple[Task, ...], tuple[Mix, ...]]:
    """The mixes of least loss on held people's rows, and tasks as far off as they are there."""
    row_x = rows_of(party.log, party.held, least=LEAST_ORDER, most=CALIBRATED_ROWS)
    if not len(row_x):
        return taste.tasks, taste.mixes
    asked = ask(party.log, row_x, party.history)
    score_xCF, mean_xF = inputs(taste, asked)
    took_x = asked.value_xM[:, 0] > 0
    label_xC = np.zeros(asked.id_xC.shape)
    label_xC[:, 0] = took_x
    used_xC = asked.used_xC
    tasks = [party.tasks[0]]
    mixes = [fit_mix(party.tasks[0], score_xCF[used_xC], label_xC[used_xC], taste.mixes[0])]
    for m, task in enumerate(party.tasks[1:], start=1):
        seen_x = took_x & np.isfinite(asked.value_xM[:, m])
        value_x = asked.value_xM[seen_x, m]
        mix = fit_mix(task, mean_xF[seen_x], value_x, taste.mixes[m], rising=True)
        output_x = mean_xF[seen_x] @ mix.weight_F.double().numpy() + mix.shift
        tasks.append(task.measured(output_x, value_x) if len(value_x) >= FEWEST else task)
        mixes.append(mix)
    return tuple(tasks), tuple(mixes)


@torch.no_grad()
def inputs(taste: ClassicTaste, asked: Queries) -> tuple[Floats, Floats]:
    """What the mixes mix at these rows: (x, C, F) of the click, (x, F) of the values."""
    score, mean = [], []
    for at, arrival, _ in asked.batches():
        state, id_BC = taste.initial(arrival), torch.as_tensor(asked.id_xC[at])
        scores, means = taste.inputs(state, id_BC)
        score.append(torch.stack(scores, 2).double().numpy())
        means = means or (torch.zeros(id_BC.shape),)
        mean.append(torch.stack([x_BC[:, 0] for x_BC in means], 1).double().numpy())
    return np.concatenate(score), np.concatenate(mean)


def _popularity(events: Events, rows: Rows) -> Floats:
    """Log of each item's share of clicks; where it is known what was passed over, of its odds."""
    keep_E = rows.keep_E
    if events.took_E[keep_E].all():
        share_N = rows.popular_N + 0.5
        log_N: Floats = np.log(share_N / share_N.sum())
        return log_N
    rate_N = smoothed_rate(events.item_E[keep_E], events.took_E[keep_E], events.num_items)
    odds_N: Floats = np.log(rate_N / (1.0 - rate_N))
    return odds_N


def _live(model: NextItem[Any]) -> NextItem[Any]:
    """As a simulator asks it: often between two clicks."""
    return SolvedIALS(model) if isinstance(model, IALS) else model


def _tensor(values: Floats) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


_BLOCKS = ("factors", "text", "topics", "columns")

FACTOR = ClassicFamily(
    "fading factors of what was clicked; biases, drift, factors and topics of what it is worth",
    (("asymmetric", None),),
    ("factors", "topics", "columns"),
    version=2,
)
GP = ClassicFamily(
    "implicit factors folded in; a Gaussian process over factors, text and topics",
    (("ials", None),),
    ("factors", "text", "topics", "columns"),
)
COVISITATION = ClassicFamily(
    "fading EASE and transitions; online biases with drift",
    (("ease", None), ("transitions", 1e-4)),
    (),
)
TREES = ClassicFamily(
    "item-kNN and transitions; boosted trees over a user's running statistics",
    (("knn", None), ("transitions", 1e-4)),
    (),
    growing=Growing(),
    version=2,
)
