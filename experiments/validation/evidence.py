"""What a log itself says of whether slates change what comes later.

Traces that planning could feed on: each a slope or a difference, within people or between visits,
with a 95 % interval that resamples people; p-values are adjusted by Holm. They are observational:
where the log's policy answers to moods that the log does not hold, a trace may be the mood's. A log
of slates drawn at random has no such doubt, and where the log holds the chance of every slate,
what was shown before is weighed as if it had been drawn at random. When people come back, and
whether a visit ends for want of a click, is said and does not count: season, habit and mood move
both. Nor do runs of topics count where the log holds no slates, nor how often a topic is clicked
that has most of the last clicks: a mood that lasts raises it.

What a click changes of later ones (`carry_over`) is read where the log holds every slate's chance;
it says what a world should assume, and is no reason for the answer either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from slategym.experiments.statistics.estimate import holm
from slategym.experiments.validation.boredom import (
    EXPOSURE,
    RUNS,
    TIRING,
    exposure,
    inverse_chance,
    runs,
    tiring,
)
from slategym.experiments.validation.carry_over import Carried, carried
from slategym.experiments.validation.rows import logged_rows
from slategym.experiments.validation.traces import FEWEST, Trace, means_by, missing, others, slope
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.data.worth import rewards, worth_of

LONGEST = 200  # slates of a visit that are read
FIRST = 2  # slates whose variety is held against how long the visit then lasts


@dataclass(frozen=True)
class Evidence:
    """What the log says."""

    traces: tuple[Trace, ...]
    carried: tuple[Carried, ...] = ()  # where slates were drawn, with a chance that the log holds

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
    known = [column.name for column in log.context]
    if "propensity" in log.events:
        known.append("propensity")
    rows = logged_rows(log, LONGEST, ["hour", "weekday", *known])
    rows["topic"] = log.items["topic"].to_numpy()[rows["item"]]
    names = [signal.name for signal in log.signals]
    rows["reward"] = rewards(rows, names, worth_of(log).weights)
    rows["time"] = rows["weekday"].to_numpy() * 24 + rows["hour"].to_numpy().astype(int)
    if rows["user"].nunique() < FEWEST:
        people = f"{rows['user'].nunique()} people; {FEWEST} are needed"
        return Evidence(tuple(missing(name, people, "more people") for name in NAMES))
    found = [
        exposure(rows, log, rng),
        _worth(rows, log, rng),
        runs(rows, log, rng),
        _variety(rows, log, rng),
        _coming_back(rows, log, rng),
        _impatience(rows, log, rng),
        tiring(rows, log, rng),
    ]
    read = [n for n, trace in enumerate(found) if trace.counts and trace.p is not None]
    adjusted = holm([found[n].p or 0.0 for n in read]) if read else []
    for n, p in zip(read, adjusted, strict=True):
        found[n] = replace(found[n], p=float(p))
    drawn = has_slates(log) and len(log.topic_names) > 1
    weight_S = inverse_chance(rows, alike=True) if drawn else None
    lasting = () if weight_S is None else carried(rows, log, weight_S, rng)
    return Evidence((*found, *(one.trace for one in lasting)), lasting)


WORTH = "what the last click was worth changes what comes after it"
VARIETY = "variety at the beginning changes how long a visit lasts"
BACK = "a better visit brings people back at another time"
IMPATIENCE = "a slate without a click ends the visit sooner"
NAMES = (EXPOSURE, WORTH, RUNS, VARIETY, BACK, IMPATIENCE, TIRING)


def _impatience(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of a visit's end on a slate without a click, among slates of one turn and context."""
    if not has_slates(log):
        said = missing(IMPATIENCE, "no slates", "slate_id and position of all that is shown")
        return replace(said, counts=False)
    context = [column.name for column in log.context if column.categories]
    slates = rows.groupby("slate", as_index=False).agg(
        {**dict.fromkeys(["user", "visit", "turn", *context], "first"), "click": "max"}
    )
    visit, user = slates["visit"].to_numpy(), slates["user"].to_numpy()
    ends = np.r_[visit[1:] != visit[:-1], True]
    known = np.r_[user[1:] == user[:-1], False]  # a person's last visit may be cut by the log
    x, y = (slates["click"].to_numpy(np.float64) <= 0)[known], ends[known].astype(np.float64)
    alike = slates.groupby(["turn", *context], dropna=False).ngroup().to_numpy()[known]
    found = slope(
        IMPATIENCE,
        user[known],
        x - means_by(alike, x.astype(np.float64)),
        y - means_by(alike, y),
        rng,
        "{:+.3f} to the chance that the visit ends",
    )
    return replace(found, counts=False)


def _worth(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of a slate's reward on what the click before it was worth, within people."""
    if not has_slates(log) or len(log.signals) < 2:
        return missing(WORTH, "no slates, or no signal after the click", "what clicks were worth")
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
    return slope(
        WORTH,
        user,
        (x - others(user, x)) / spread,
        (y - others(user, y)) / rate,
        rng,
        "after a click worth a standard deviation more, {:+.1%} clicks a slate, within people",
    )


def _variety(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the slates that follow on the topics of the first ones, between visits."""
    if not has_slates(log) or len(log.topic_names) < 2:
        return missing(
            VARIETY, "no slates with topics", "slate_id and position of all that is shown"
        )
    early = rows[rows["turn"] < FIRST].groupby("visit")
    table = pd.DataFrame({"user": early["user"].first(), "topics": early["topic"].nunique()})
    table["slates"] = rows.groupby("visit")["slate"].nunique()
    table = table[table["slates"] >= FIRST]
    x, y = table["topics"].to_numpy(np.float64), table["slates"].to_numpy(np.float64)
    if len(table) < FEWEST or x.std() == 0 or y.std() == 0:
        return missing(VARIETY, "visits begin, or last, alike", "visits with slates of any variety")
    y = y / y.mean()
    return slope(
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
        return replace(missing(BACK, why, f"several {log.words.sessions} a person"), counts=False)
    x, y = table["reward"].to_numpy()[again][known], np.log(days[known])
    time = table["time"].to_numpy()[again][known]
    x, y = x - means_by(time, x), y - means_by(time, y)  # an hour's habits are no trace
    spread = float(np.std(x)) or 1.0
    found = slope(
        BACK,
        user,
        (x - means_by(user, x)) / spread,
        y - means_by(user, y),
        rng,
        "after a visit better by a standard deviation the next is {:+.1%} farther, within people",
    )
    return replace(found, counts=False)
