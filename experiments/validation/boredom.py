"""What a log says of boredom: what was shown or clicked of a topic lately, and clicks on it now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr

from slategym.experiments.validation.physics import topic_lift
from slategym.experiments.validation.resampling import DRAWS, Floats
from slategym.experiments.validation.rows import clicks_lately
from slategym.experiments.validation.traces import FEWEST, Trace, means_by, missing, slope, sums_by
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.simulator.assumptions import MILD_RULE

MEMORY = 5  # slates back that count as lately
CLIPPED = 0.999  # quantile of inverse propensities above which all weigh alike
DRAWN = 100  # slates' worth of weight, below which weighing says nothing
SPREAD = 1.01  # of propensities, largest over smallest, up to which slates count as drawn alike
USUAL = 3.0  # slots' worth of a topic's usual clicks that everybody is credited with
EXPOSURE = "what was shown lately changes what is clicked now"
RUNS = "clicks of one topic follow each other, or avoid it"
TIRING = f"a topic with {MILD_RULE.threshold} of the last {MILD_RULE.memory} clicks is clicked less"


def exposure(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Slope of the click on the item's topic's share of what was shown lately, person by topic."""
    if not has_slates(log) or len(log.topic_names) < 2:
        return missing(
            EXPOSURE, "no slates with topics", "slate_id and position of all that is shown"
        )
    G = len(log.topic_names)
    if (weight_S := inverse_chance(rows)) is not None:
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
    y = y - means_by(position, y)
    pair = rows["user"].to_numpy()[some].astype(np.int64) * G + topic[some]
    rate = float(rows["click"].mean()) or 1.0
    return slope(
        EXPOSURE,
        rows["user"].to_numpy()[some],
        x - means_by(pair, x),
        (y - means_by(pair, y)) / rate,
        rng,
        "its clicks by {:+.0%} of the usual where a topic filled all that was shown lately",
    )


def inverse_chance(rows: pd.DataFrame, alike: bool = False) -> Floats | None:
    """One over the propensity of every slate, clipped, (S,) in the order of slates.

    None where the log holds none of whole slates, where some slate was sure to be shown, where
    all were drawn alike (unless `alike`: then all weigh alike), and where too little weight is
    left.
    """
    if "propensity" not in rows:
        return None
    by_slate = rows.groupby("slate", sort=True)["propensity"]
    chance_S = by_slate.first().to_numpy(np.float64)
    whole = by_slate.nunique(dropna=False).to_numpy().max() == 1 and np.isfinite(chance_S).all()
    if not whole or chance_S.max() >= 1:
        return None
    if not alike and chance_S.max() <= SPREAD * chance_S.min():
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
    return slope(
        EXPOSURE,
        rows["user"].to_numpy()[some],
        x - means_by(topic, x, weight),
        (y - means_by(place, y, weight)) / rate,
        rng,
        "its clicks by {:+.0%} of the usual where a topic filled the slate before, weighed as if "
        "that had been drawn at random",
        weight,
    )


def tiring(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """Log-odds of clicks on topics that bore by the rule of `mild`, less the person's usual.

    Usual is what the person clicks of the topic in other visits, slots and topics allowed for: in
    the same visit what comes before such a state is clicked by the choice of it.
    """
    if not has_slates(log) or len(log.topic_names) < 2:
        said = missing(
            TIRING, "no slates with topics", "slate_id and position of all that is shown"
        )
        return replace(said, counts=False)
    topic, click = rows["topic"].to_numpy(), rows["click"].to_numpy(np.float64)
    position = rows["position"].to_numpy()
    level = means_by(topic * (int(position.max()) + 1) + position, click)
    pair = rows["user"].to_numpy().astype(np.int64) * len(log.topic_names) + topic
    by_visit = rows["visit"].to_numpy().astype(np.int64) * len(log.topic_names) + topic
    elsewhere = [sums_by(pair, x) - sums_by(by_visit, x) for x in (click, level)]
    credit = USUAL * float(level.mean())
    usual = level * (elsewhere[0] + credit) / (elsewhere[1] + credit)
    bores = (clicks_lately(rows, MILD_RULE.memory) >= MILD_RULE.threshold) & (elsewhere[1] > 0)
    _, place = np.unique(rows["user"].to_numpy()[bores], return_inverse=True)
    sums_PX = np.stack(
        [np.bincount(place, x[bores]) for x in (click, usual, np.ones(len(rows)))], axis=1
    )
    if len(sums_PX) < FEWEST or not 0 < sums_PX[:, 0].sum() < sums_PX[:, 2].sum():
        why = f"{len(sums_PX)} people in such a state who came back"
        return replace(missing(TIRING, why, f"several {log.words.sessions} a person"), counts=False)

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


def runs(rows: pd.DataFrame, log: Log, rng: np.random.Generator) -> Trace:
    """How much more often neighbouring clicks are of one topic than any two of a visit's."""
    if len(log.topic_names) < 2:
        return missing(RUNS, f"no {log.words.topics}", f"{log.words.topics} of items")
    own = rows.assign(user=rows["visit"])  # a visit's mood is no trace
    lift = topic_lift(own, log.items["topic"].to_numpy(), rng)
    if not np.isfinite(lift.value) or lift.high <= lift.low:
        return missing(RUNS, f"{lift.pairs} neighbouring clicks", "longer visits")
    error = (lift.high - lift.low) / (2 * 1.96)
    said = f"{lift} above any two clicks of the same visit"
    p = float(2 * ndtr(-abs(lift.value) / error))
    if not has_slates(log):
        said += f"; what was offered is not known: {log.words.topics} may be its own"
    return Trace(RUNS, said, lift.value, lift.low, lift.high, p, counts=has_slates(log))
