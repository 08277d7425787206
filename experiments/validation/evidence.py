"""What a log itself says of whether slates change what comes later.

Traces that planning could feed on: each a slope or a difference, within people or between visits,
with a 95 % interval that resamples people; p-values are adjusted by Holm. They are observational:
where the log's policy answers to moods that the log does not hold, a trace may be the mood's. A log
of slates drawn at random has no such doubt. When people come back is said and does not count:
season and habit move both. Nor do runs of topics count where the log holds no slates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from slategym.experiments.statistics.stats import holm
from slategym.experiments.validation.physics import topic_lift
from slategym.experiments.validation.resampling import DRAWS
from slategym.experiments.validation.rows import logged_rows
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates

LONGEST = 200  # slates of a visit that are read
MEMORY = 5  # slates back that count as lately
FIRST = 2  # slates whose variety is held against how long the visit then lasts
SURE, FEWEST = 0.05, 30  # adjusted p; people, below which nothing is said
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """One way in which a log shows that slates change what comes later, or does not."""

    name: str
    said: str
    figure: float | None = None  # None: left out
    low: float | None = None
    high: float | None = None
    p: float | None = None  # adjusted
    wanted: str = ""  # what to log in order to know, where it is left out
    counts: bool = True  # False: said, but no reason for the answer

    @property
    def clear(self) -> bool:
        """Whether the log shows it, and it counts."""
        return self.counts and self.p is not None and self.p < SURE

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        keys = ("name", "said", "figure", "low", "high", "p", "wanted", "counts")
        return {key: getattr(self, key) for key in keys} | {"clear": self.clear}


@dataclass(frozen=True)
class Evidence:
    """What the log says."""

    traces: tuple[Trace, ...]

    @property
    def something(self) -> bool:
        """Whether any trace is clear."""
        return any(trace.clear for trace in self.traces)

    @property
    def sentence(self) -> str:
        """The answer, and what it rests on."""
        clear = [trace.name for trace in self.traces if trace.clear]
        read = [trace for trace in self.traces if trace.counts and trace.figure is not None]
        if not read:
            return "The log does not tell whether slates change what comes later."
        if not clear:
            return (
                f"No: of {len(read)} traces that planning could feed on, none is clear in this log."
            )
        return f"Yes: {', '.join(clear)}. How much that is worth only a world can say."

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        traces = [trace.to_json() for trace in self.traces]
        return {"sentence": self.sentence, "something": self.something, "traces": traces}


def evidence(log: Log, seed: int = 0) -> Evidence:
    """Look for the traces.

    Args:
        log: from `load_log`.
        seed: of the bootstraps.
    """
    rng = np.random.default_rng(seed)
    rows = logged_rows(log, LONGEST, ["hour", "weekday"])
    rows["topic"] = log.items["topic"].to_numpy()[rows["item"]]
    rows["reward"] = _reward(log, rows)
    rows["time"] = rows["weekday"].to_numpy() * 24 + rows["hour"].to_numpy().astype(int)
    if rows["user"].nunique() < FEWEST:
        people = f"{rows['user'].nunique()} people; {FEWEST} are needed"
        return Evidence(tuple(_out(name, people, "more people") for name in NAMES))
    found = [
        _exposure(rows, log, rng),
        _worth(rows, log, rng),
        _runs(rows, log, rng),
        _variety(rows, log, rng),
        _coming_back(rows, log, rng),
    ]
    known = [n for n, trace in enumerate(found) if trace.counts and trace.p is not None]
    adjusted = holm([found[n].p or 0.0 for n in known]) if known else []
    for n, p in zip(known, adjusted, strict=True):
        found[n] = replace(found[n], p=float(p))
    return Evidence(tuple(found))


EXPOSURE = "what was shown lately changes what is clicked now"
WORTH = "what the last click was worth changes what comes after it"
RUNS = "clicks of one topic follow each other, or avoid it"
VARIETY = "variety at the beginning changes how long a visit lasts"
BACK = "a better visit brings people back at another time"
NAMES = (EXPOSURE, WORTH, RUNS, VARIETY, BACK)


def _exposure(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the click on the item's topic's share of what was shown lately, person by topic."""
    if not has_slates(log) or len(log.topic_names) < 2:
        return _out(EXPOSURE, "no slates with topics", "slate_id and position of all that is shown")
    G = len(log.topic_names)
    visit, turn = rows["visit"].to_numpy(), rows["turn"].to_numpy()
    topic, slate = rows["topic"].to_numpy(), rows["slate"].to_numpy()
    shown_SG = np.zeros((int(slate.max()) + 1, G))
    np.add.at(shown_SG, (slate, topic), 1.0)
    first = np.flatnonzero(np.r_[True, slate[1:] != slate[:-1]])
    visit_S, turn_S = visit[first], turn[first]
    seen_SG = np.zeros_like(shown_SG)
    for back in range(1, MEMORY + 1):
        same = np.flatnonzero((visit_S[back:] == visit_S[:-back]) & (turn_S[back:] >= back)) + back
        seen_SG[same] += shown_SG[same - back]
    share = seen_SG / np.maximum(seen_SG.sum(1, keepdims=True), 1.0)
    some = turn > 0
    x, y = share[slate, topic][some], rows["click"].to_numpy(np.float64)[some]
    position = rows["position"].to_numpy()[some]
    y = y - _means_by(position, y)
    pair = rows["user"].to_numpy()[some].astype(np.int64) * G + topic[some]
    rate = float(rows["click"].mean()) or 1.0
    return _slope(
        EXPOSURE,
        rows["user"].to_numpy()[some],
        x - _means_by(pair, x),
        (y - _means_by(pair, y)) / rate,
        rng,
        "its clicks by {:+.0%} of the usual where a topic filled all that was shown lately",
    )


def _worth(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of a slate's reward on what the click before it was worth, within people."""
    if not has_slates(log) or len(log.signals) < 2:
        return _out(WORTH, "no slates, or no signal after the click", "what clicks were worth")
    slates = rows.groupby("slate", as_index=False).agg(
        user=("user", "first"),
        visit=("visit", "first"),
        clicks=("click", "sum"),
        reward=("reward", "sum"),
    )
    clicked = slates["clicks"] > 0
    worth = slates["reward"].where(clicked) / slates["clicks"].where(clicked)
    last = worth.groupby(slates["visit"]).transform(lambda x: x.shift().ffill())
    some = last.notna().to_numpy()
    user = slates["user"].to_numpy()[some]
    x, y = last.to_numpy()[some], slates["clicks"].to_numpy(np.float64)[some]
    spread = float(np.std(x)) or 1.0
    rate = float(y.mean()) or 1.0
    return _slope(
        WORTH,
        user,
        (x - _others(user, x)) / spread,
        (y - _others(user, y)) / rate,
        rng,
        "after a click worth a standard deviation more, {:+.1%} clicks a slate, within people",
    )


def _runs(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    if len(log.topic_names) < 2:
        return _out(RUNS, f"no {log.words.topics}", f"{log.words.topics} of items")
    own = rows.assign(user=rows["visit"])  # a visit's mood is no trace
    lift = topic_lift(own, log.items["topic"].to_numpy(), rng)
    if not np.isfinite(lift.value) or lift.high <= lift.low:
        return _out(RUNS, f"{lift.pairs} neighbouring clicks", "longer visits")
    error = (lift.high - lift.low) / (2 * 1.96)
    said = f"{lift} above any two clicks of the same visit"
    p = float(2 * norm.sf(abs(lift.value) / error))
    if not has_slates(log):
        said += f"; what was offered is not known: {log.words.topics} may be its own"
    return Trace(RUNS, said, lift.value, lift.low, lift.high, p, counts=has_slates(log))


def _variety(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the slates that follow on the topics of the first ones, between visits."""
    if not has_slates(log) or len(log.topic_names) < 2:
        return _out(VARIETY, "no slates with topics", "slate_id and position of all that is shown")
    early = rows[rows["turn"] < FIRST].groupby("visit")
    table = pd.DataFrame({"user": early["user"].first(), "topics": early["topic"].nunique()})
    table["slates"] = rows.groupby("visit")["slate"].nunique()
    table = table[table["slates"] >= FIRST]
    x, y = table["topics"].to_numpy(np.float64), table["slates"].to_numpy(np.float64)
    if len(table) < FEWEST or x.std() == 0 or y.std() == 0:
        return _out(VARIETY, "visits begin, or last, alike", "visits with slates of any variety")
    y = y / y.mean()
    return _slope(
        VARIETY,
        table["user"].to_numpy(),
        x - x.mean(),
        y - y.mean(),
        rng,
        f"a topic more in the first {FIRST} slates goes with {{:+.1%}} slates",
    )


def _coming_back(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the log of days until the next visit on a visit's reward a slate, within people."""
    by_visit = rows.groupby("visit")
    table = pd.DataFrame(
        {
            "user": by_visit["user"].first(),
            "days": by_visit["days"].first(),
            "time": by_visit["time"].first(),
            "reward": by_visit["reward"].sum() / by_visit["slate"].nunique(),
        }
    )
    again = (table["user"].to_numpy()[1:] == table["user"].to_numpy()[:-1]).nonzero()[0]
    days = table["days"].to_numpy()[again + 1]
    known = np.isfinite(days) & (days > 0)
    user = table["user"].to_numpy()[again][known]
    if len(user) < 4 * FEWEST:
        why = f"{len(user)} returns"
        return replace(_out(BACK, why, f"several {log.words.sessions} a person"), counts=False)
    x, y = table["reward"].to_numpy()[again][known], np.log(days[known])
    time = table["time"].to_numpy()[again][known]
    x, y = x - _means_by(time, x), y - _means_by(time, y)  # an hour's habits are no trace
    spread = float(np.std(x)) or 1.0
    found = _slope(
        BACK,
        user,
        (x - _means_by(user, x)) / spread,
        y - _means_by(user, y),
        rng,
        "after a visit better by a standard deviation the next is {:+.1%} farther, within people",
    )
    return replace(found, counts=False)


def _slope(
    name: str, user: NDArray[np.int64], x: Floats, y: Floats, rng: np.random.Generator, said: str
) -> Trace:
    """Least squares through zero, people resampled."""
    _, place = np.unique(user, return_inverse=True)
    sums = np.zeros((int(place.max(initial=-1)) + 1, 2))
    np.add.at(sums, place, np.stack([x * y, x * x], 1))
    if len(sums) < FEWEST or sums[:, 1].sum() <= 0:
        return _out(name, f"{len(sums)} people with what is needed", "more people")
    figure = sums[:, 0].sum() / sums[:, 1].sum()
    draws = []
    for _ in range(DRAWS):
        above, below = sums[rng.integers(len(sums), size=len(sums))].sum(0)
        draws.append(above / below if below > 0 else np.nan)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    error = float(np.nanstd(draws))
    p = float(2 * norm.sf(abs(figure) / error)) if error > 0 else 1.0
    words = f"{said.format(figure)} [{low:+.3f}, {high:+.3f}]"
    return Trace(name, words, float(figure), float(low), float(high), p)


def _means_by(group: NDArray[np.int64], values: Floats) -> Floats:
    """Each row's group's mean."""
    _, place = np.unique(group, return_inverse=True)
    total = np.bincount(place, values)
    means: Floats = (total / np.bincount(place))[place]
    return means


def _others(group: NDArray[np.int64], values: Floats) -> Floats:
    """The mean of each row's group without the row: a mean with it would pull neighbours apart."""
    _, place = np.unique(group, return_inverse=True)
    total, count = np.bincount(place, values)[place], np.bincount(place)[place]
    rest: Floats = (total - values) / np.maximum(count - 1, 1)
    return np.where(count > 1, rest, values)


def _reward(log: Log, rows: pd.DataFrame) -> Floats:
    """By the log's declared weights; where it declares none, every signal counts one."""
    weights = [signal.weight for signal in log.signals]
    if not any(weights[1:]):
        weights = [1.0] * len(weights)
    columns = [rows[signal.name].fillna(0.0).to_numpy(np.float64) for signal in log.signals]
    reward: Floats = np.sum([w * c for w, c in zip(weights, columns, strict=True)], axis=0)
    return reward


def _out(name: str, why: str, wanted: str) -> Trace:
    return Trace(name, f"left out: {why}", wanted=wanted)
