"""What a log itself says of whether slates change what comes later.

Traces that planning could feed on: each a slope or a difference, within people or between visits,
with a 95 % interval that resamples people; p-values are adjusted by Holm. They are observational:
where the log's policy answers to moods that the log does not hold, a trace may be the mood's. A log
of slates drawn at random has no such doubt, and where the log holds the chance of every slate,
what was shown before is weighed as if it had been drawn at random. When people come back, and
whether a visit ends for want of a click, is said and does not count: season, habit and mood move
both. Nor do runs of topics count where the log holds no slates, nor how often a topic is clicked
that has most of the last clicks: a mood that lasts raises it.

What a world learned from the log should assume of its people follows from the same traces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit, ndtr

from slategym.experiments.statistics.estimate import holm
from slategym.experiments.validation.physics import topic_lift
from slategym.experiments.validation.resampling import DRAWS
from slategym.experiments.validation.rows import clicks_lately, logged_rows
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.files import kept
from slategym.models.simulator.assumptions import MILD, MILD_RULE

LONGEST = 200  # slates of a visit that are read
MEMORY = 5  # slates back that count as lately
CLIPPED = 0.999  # quantile of inverse propensities above which all weigh alike
DRAWN = 100  # slates' worth of weight, below which weighing says nothing
SPREAD = 1.01  # of propensities, largest over smallest, up to which slates count as drawn alike
USUAL = 3.0  # slots' worth of a topic's usual clicks that everybody is credited with
FIRST = 2  # slates whose variety is held against how long the visit then lasts
SURE, FEWEST = 0.05, 30  # adjusted p; people, below which nothing is said
# logs that speak of boredom, of how many: by the strength at which scenarios wrote them, 10,000
# visits each by a ranker that errs, every fifth slate at random; see `benchmark truth`
SPOKEN = {0.0: (0, 24), 1.0: (21, 24)}
READING = "supported@2"  # changes where another answer follows from the same log
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
    known = [column.name for column in log.context]
    if "propensity" in log.events:
        known.append("propensity")
    rows = logged_rows(log, LONGEST, ["hour", "weekday", *known])
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
        _impatience(rows, log, rng),
        _tiring(rows, log, rng),
    ]
    read = [n for n, trace in enumerate(found) if trace.counts and trace.p is not None]
    adjusted = holm([found[n].p or 0.0 for n in read]) if read else []
    for n, p in zip(read, adjusted, strict=True):
        found[n] = replace(found[n], p=float(p))
    return Evidence(tuple(found))


EXPOSURE = "what was shown lately changes what is clicked now"
WORTH = "what the last click was worth changes what comes after it"
RUNS = "clicks of one topic follow each other, or avoid it"
VARIETY = "variety at the beginning changes how long a visit lasts"
BACK = "a better visit brings people back at another time"
IMPATIENCE = "a slate without a click ends the visit sooner"
TIRING = f"a topic with {MILD_RULE.threshold} of the last {MILD_RULE.memory} clicks is clicked less"
NAMES = (EXPOSURE, WORTH, RUNS, VARIETY, BACK, IMPATIENCE, TIRING)


def supported(log: Log, seed: int = 0) -> str:
    """The assumptions, by name, that the log itself speaks for.

    Boredom where what was shown lately is clicked less, as much of it as the clicks show; patience
    where a slate without a click ends the visit sooner; both where the log cannot tell of boredom.

    Args:
        log: from `load_log`.
        seed: of the bootstraps.

    Returns:
        "mild" where the log cannot tell of boredom, or not how much there is; "mild:boredom=0.4"
        where clicks on topics that bore by its rule lose so many log-odds; "impatience" where only
        visits end for want of clicks; "none" where the log shows neither.
    """
    return supported_by(evidence(log, seed))


def supported_by(said: Evidence) -> str:
    """The assumptions that this evidence speaks for, by name."""
    found = {trace.name: trace for trace in said.traces}
    exposure, tiring, impatience = found[EXPOSURE], found[TIRING], found[IMPATIENCE]
    if exposure.figure is None:
        return MILD.name
    if exposure.clear and exposure.figure < 0:
        if tiring.figure is None or tiring.p is None or tiring.p >= SURE or tiring.figure >= 0:
            return MILD.name
        if size := min(round(-tiring.figure, 1), MILD_RULE.penalty):
            return f"{MILD.name}:boredom={size:g}"
    sooner = impatience.p is not None and impatience.p < SURE and (impatience.figure or 0.0) > 0
    return "impatience" if impatience.figure is None or sooner else "none"


def error_rates() -> str:
    """How often logs of worlds of known truth speak of boredom, in words."""
    (wrong, silent), (found, loud) = SPOKEN[0.0], SPOKEN[1.0]
    return (
        f"logs of worlds of known truth speak of boredom in {wrong} of {silent} cases where "
        f"nothing shown changes what comes next, and in {found} of {loud} where it strongly does"
    )


def kept_supported(log: Log) -> str:
    """What `supported` says of the log, read once for its content."""
    name: str = kept("evidence/supported", [READING, log.sha256], lambda: supported(log))
    return name


def _exposure(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the click on the item's topic's share of what was shown lately, person by topic."""
    if not has_slates(log) or len(log.topic_names) < 2:
        return _out(EXPOSURE, "no slates with topics", "slate_id and position of all that is shown")
    G = len(log.topic_names)
    if (weight_S := _inverse_chance(rows)) is not None:
        return _exposure_weighed(rows, G, weight_S, rng)
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


def _inverse_chance(rows: pd.DataFrame) -> Floats | None:
    """One over the propensity of every slate, clipped, (S,) in the order of slates.

    None where the log holds none of whole slates, where some slate was sure to be shown, where
    all were drawn alike, and where too little weight is left.
    """
    if "propensity" not in rows:
        return None
    by_slate = rows.groupby("slate", sort=True)["propensity"]
    chance_S = by_slate.first().to_numpy(np.float64)
    whole = by_slate.nunique(dropna=False).to_numpy().max() == 1 and np.isfinite(chance_S).all()
    if not whole or chance_S.max() >= 1 or chance_S.max() <= SPREAD * chance_S.min():
        return None
    size_S = by_slate.size().to_numpy()
    fair_S = np.where(size_S == size_S.max(), 1.0 / chance_S, 0.0)  # of one number of slots
    weight_S: Floats = np.minimum(fair_S, np.quantile(fair_S, CLIPPED))
    return weight_S if weight_S.sum() ** 2 >= DRAWN * np.square(weight_S).sum() else None


def _exposure_weighed(
    rows: pd.DataFrame, num_topics: int, weight_S: Floats, rng: np.random.Generator
) -> Trace:
    """Slope of the click on the topic's share of the slate before, as if that were drawn at random.

    Weighed by one over its propensity, a slate depends neither on the person nor on any mood.

    Source: Robins, Hernan and Brumback 2000, marginal structural models.
    """
    slate, topic = rows["slate"].to_numpy(), rows["topic"].to_numpy()
    first = np.flatnonzero(np.r_[True, slate[1:] != slate[:-1]])
    at = np.cumsum(np.r_[False, slate[1:] != slate[:-1]])  # of each row, its slate
    shown_SG = np.zeros((len(first), num_topics))
    np.add.at(shown_SG, (at, topic), 1.0)
    share_SG = shown_SG / shown_SG.sum(1, keepdims=True)
    some = rows["turn"].to_numpy() > 0
    before, topic = at[some] - 1, topic[some]
    weight, position = weight_S[before], rows["position"].to_numpy()[some]
    x, y = share_SG[before, topic], rows["click"].to_numpy(np.float64)[some]
    rate = float(np.average(y, weights=weight)) or 1.0
    place = topic * (int(position.max()) + 1) + position
    return _slope(
        EXPOSURE,
        rows["user"].to_numpy()[some],
        x - _means_by(topic, x, weight),
        (y - _means_by(place, y, weight)) / rate,
        rng,
        "its clicks by {:+.0%} of the usual where a topic filled the slate before, weighed as if "
        "that had been drawn at random",
        weight,
    )


def _impatience(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of a visit's end on a slate without a click, among slates of one turn and context."""
    if not has_slates(log):
        out = _out(IMPATIENCE, "no slates", "slate_id and position of all that is shown")
        return replace(out, counts=False)
    context = [column.name for column in log.context if column.categories]
    slates = rows.groupby("slate", as_index=False).agg(
        {**dict.fromkeys(["user", "visit", "turn", *context], "first"), "click": "max"}
    )
    visit, user = slates["visit"].to_numpy(), slates["user"].to_numpy()
    ends = np.r_[visit[1:] != visit[:-1], True]
    known = np.r_[user[1:] == user[:-1], False]  # a person's last visit may be cut by the log
    x, y = (slates["click"].to_numpy(np.float64) <= 0)[known], ends[known].astype(np.float64)
    alike = slates.groupby(["turn", *context], dropna=False).ngroup().to_numpy()[known]
    found = _slope(
        IMPATIENCE,
        user[known],
        x - _means_by(alike, x.astype(np.float64)),
        y - _means_by(alike, y),
        rng,
        "{:+.3f} to the chance that the visit ends",
    )
    return replace(found, counts=False)


def _tiring(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Log-odds of clicks on topics that bore by the rule of `mild`, less the person's usual.

    Usual is what the person clicks of the topic in other visits, slots and topics allowed for: in
    the same visit what comes before such a state is clicked by the choice of it.
    """
    if not has_slates(log) or len(log.topic_names) < 2:
        out = _out(TIRING, "no slates with topics", "slate_id and position of all that is shown")
        return replace(out, counts=False)
    topic, click = rows["topic"].to_numpy(), rows["click"].to_numpy(np.float64)
    position = rows["position"].to_numpy()
    level = _means_by(topic * (int(position.max()) + 1) + position, click)
    pair = rows["user"].to_numpy().astype(np.int64) * len(log.topic_names) + topic
    by_visit = rows["visit"].to_numpy().astype(np.int64) * len(log.topic_names) + topic
    elsewhere = [_sums_by(pair, x) - _sums_by(by_visit, x) for x in (click, level)]
    credit = USUAL * float(level.mean())
    usual = level * (elsewhere[0] + credit) / (elsewhere[1] + credit)
    bores = (clicks_lately(rows, MILD_RULE.memory) >= MILD_RULE.threshold) & (elsewhere[1] > 0)
    _, place = np.unique(rows["user"].to_numpy()[bores], return_inverse=True)
    sums_PX = np.stack(
        [np.bincount(place, x[bores]) for x in (click, usual, np.ones(len(rows)))], axis=1
    )
    if len(sums_PX) < FEWEST or not 0 < sums_PX[:, 0].sum() < sums_PX[:, 2].sum():
        why = f"{len(sums_PX)} people in such a state who came back"
        return replace(_out(TIRING, why, f"several {log.words.sessions} a person"), counts=False)

    def apart(sums_X: Floats) -> float:
        clicked, expected = (sums_X[:2] / sums_X[2]).clip(1e-9, 1 - 1e-9)
        return float(logit(clicked) - logit(expected))

    figure = apart(sums_PX.sum(0))
    draws = [
        apart(sums_PX[rng.integers(len(sums_PX), size=len(sums_PX))].sum(0)) for _ in range(DRAWS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    p = float(2 * ndtr(-abs(figure) / error)) if (error := float(np.std(draws))) > 0 else 1.0
    words = (
        f"{figure:+.2f} log-odds [{low:+.2f}, {high:+.2f}] beside the person's clicks on it in "
        f"other {log.words.sessions}; moods that last raise it"
    )
    return Trace(TIRING, words, figure, float(low), float(high), p, counts=False)


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
    p = float(2 * ndtr(-abs(lift.value) / error))
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
    name: str,
    user: NDArray[np.int64],
    x: Floats,
    y: Floats,
    rng: np.random.Generator,
    said: str,
    weight: Floats | None = None,
) -> Trace:
    """Least squares through zero, weighted if asked, people resampled."""
    _, place = np.unique(user, return_inverse=True)
    sums = np.zeros((int(place.max(initial=-1)) + 1, 2))
    w = np.ones(len(x)) if weight is None else weight
    np.add.at(sums, place, np.stack([w * x * y, w * x * x], 1))
    if len(sums) < FEWEST or sums[:, 1].sum() <= 0:
        return _out(name, f"{len(sums)} people with what is needed", "more people")
    figure = sums[:, 0].sum() / sums[:, 1].sum()
    draws = []
    for _ in range(DRAWS):
        above, below = sums[rng.integers(len(sums), size=len(sums))].sum(0)
        draws.append(above / below if below > 0 else np.nan)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    error = float(np.nanstd(draws))
    p = float(2 * ndtr(-abs(figure) / error)) if error > 0 else 1.0
    words = f"{said.format(figure)} [{low:+.3f}, {high:+.3f}]"
    return Trace(name, words, float(figure), float(low), float(high), p)


def _means_by(group: NDArray[np.int64], values: Floats, weight: Floats | None = None) -> Floats:
    """Each row's group's mean, weighted if asked."""
    _, place = np.unique(group, return_inverse=True)
    w = np.ones(len(values)) if weight is None else weight
    total, size = np.bincount(place, w * values), np.bincount(place, w)
    means: Floats = np.divide(total, size, out=np.zeros_like(total), where=size > 0)[place]
    return means


def _sums_by(group: NDArray[np.int64], values: Floats) -> Floats:
    """Each row's group's sum."""
    _, place = np.unique(group, return_inverse=True)
    sums: Floats = np.bincount(place, values)[place].astype(np.float64)
    return sums


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
