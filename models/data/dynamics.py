"""What a log itself says of change: runs on a topic, repeats of items, pauses, returns.

None of it proves a cause: people list things in an order that somebody else made, and who comes
often comes for many reasons. It stands beside what a learned world assumes, so that an assumption
that goes against the log can be seen to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.data.log import Log, Words
from slategym.models.data.sittings import clicked, visits

STRETCH, RUN = 5, 3  # clicks in a row, and how many of them on the newest one's topic are a run
SHUFFLES = 5  # of everybody's order
MOST = 200_000  # clicks, of whole people, on which runs are counted
DRAWS = 400  # of people, for an interval
DAY = 86_400.0  # seconds
FEWEST = 20  # pauses of which a correlation is told

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dynamics:
    """Shares and quantiles; None where the log cannot tell."""

    runs: float | None  # of stretches of five clicks, with the newest topic three times or more
    runs_shuffled: float | None  # the same with each person's clicks in a random order
    runs_blocks: float | None  # the same, with clicks of one second kept together
    repeats: float  # of clicks, on an item that the person had clicked before
    visits: float  # of a person, mean
    returning: float  # of people, with a second visit
    pauses: tuple[float, float, float] | None  # days between visits: 10 %, half, 90 % are shorter
    liked: str | None  # the signal that says how much a visit was liked
    pause_after_liked: float | None  # rank correlation within people: a pause, the visit before it
    interval: tuple[float, float] | None  # of that, 95 % over people

    @property
    def run_lift(self) -> float | None:
        """By how much runs are commoner than by chance, as a share of chance."""
        if not self.runs_shuffled or self.runs is None:
            return None
        return self.runs / self.runs_shuffled - 1.0


def dynamics(log: Log) -> Dynamics:
    """Of the clicks of a log, in order of time."""
    rows = clicked(log)
    user_E, item_E = (rows[name].to_numpy().astype(np.int64) for name in ("user", "item"))
    runs = _runs(log, user_E, item_E, rows["time"].to_numpy())
    visit_E = visits(rows, log.pause)
    first_V = np.r_[0, np.flatnonzero(np.diff(visit_E)) + 1] if len(rows) else np.zeros(0, np.int64)
    visits_U = np.bincount(user_E[first_V]) if len(rows) else np.zeros(1, np.int64)
    visits_U = visits_U[visits_U > 0]
    pause_P, before_P = _pauses(rows, visit_E, first_V)
    liked = log.signals[1].name if len(log.signals) > 1 else None
    follows, interval = None, None
    if liked is not None and len(pause_P) >= FEWEST:
        value_V = rows[liked].groupby(visit_E).mean().to_numpy(np.float64)
        follows, interval = _correlation(pause_P, value_V[before_P], user_E[first_V][before_P])
    days = tuple(np.quantile(pause_P, (0.1, 0.5, 0.9)) / DAY) if len(pause_P) else None
    return Dynamics(
        *runs,
        repeats=1.0 - rows.drop_duplicates(["user", "item"]).shape[0] / max(1, len(rows)),
        visits=float(visits_U.mean()) if visits_U.size else 0.0,
        returning=float((visits_U > 1).mean()) if visits_U.size else 0.0,
        pauses=None if days is None else (float(days[0]), float(days[1]), float(days[2])),
        liked=liked,
        pause_after_liked=follows,
        interval=interval,
    )


def runs_told(found: Dynamics, words: Words) -> str | None:
    """How much the log's people repeat topics, in words; None where it cannot tell."""
    if found.runs is None or found.runs_shuffled is None or found.runs_blocks is None:
        return None
    lift = found.run_lift or 0.0
    speaks = "habit rather than of boredom" if lift > 0 else "boredom rather than of habit"
    return (
        f"of five clicks in a row {found.runs:.1%} hold the newest one's {words.topic} three times "
        f"or more, {found.runs_shuffled:.1%} with each person's order shuffled "
        f"({abs(lift):.0%} {'above' if lift >= 0 else 'below'} chance), {found.runs_blocks:.1%} "
        f"with clicks of one second kept together: the log speaks of {speaks}, as far as its "
        "order is people's own"
    )


def returns_told(found: Dynamics, words: Words) -> str:
    """How often the log's people come back, and whether liking hastens it, in words."""
    if found.pauses is None:
        return "nobody comes back in the log"
    few, half, many = found.pauses
    said = (
        f"{found.returning:.0%} of people come back, {found.visits:.1f} {words.sessions} each; "
        f"half of the pauses are shorter than {half:.3g} days (10 %: {few:.2g}, 90 %: {many:.3g})"
    )
    if found.pause_after_liked is None or found.interval is None:
        return said
    low, high = found.interval
    said += (
        f"; rank correlation of a pause with the mean {found.liked} of the {words.session} "
        f"before it, within people, {found.pause_after_liked:+z.3f} [{low:+z.3f}, {high:+z.3f}]"
    )
    return said + ("" if low * high > 0 else ": the log does not show that liking hastens a return")


def topic_runs(user_E: Ints, topic_E: Ints) -> float | None:
    """Share of stretches of five clicks in a row with the newest one's topic three times or more.

    Args:
        user_E: sorted.
        topic_E: of each click, in the order of time.

    Returns:
        None where nobody has so many clicks.
    """
    last = np.arange(STRETCH - 1, len(topic_E))
    whole = last[user_E[last] == user_E[last - STRETCH + 1]]
    if not whole.size:
        return None
    places = sum((topic_E[whole - back] == topic_E[whole]).astype(int) for back in range(STRETCH))
    return float((places >= RUN).mean())


def _runs(
    log: Log, user_E: Ints, item_E: Ints, time_E: NDArray[np.int64]
) -> tuple[float | None, float | None, float | None]:
    """As observed, as shuffled, as shuffled in blocks of equal time.

    The order within a block is arbitrary in the log, so it is shuffled in all three.
    """
    if len(log.topic_names) < 2 or not len(user_E):
        return None, None, None
    topic_E = log.items["topic"].to_numpy()[item_E].astype(np.int64)
    rng = np.random.default_rng(0)
    if len(user_E) > MOST:
        count_U = np.bincount(user_E)
        order_U = rng.permutation(len(count_U))
        among_U = np.zeros(len(count_U), bool)
        among_U[order_U[np.cumsum(count_U[order_U]) <= MOST]] = True
        user_E, topic_E, time_E = (x[among_U[user_E]] for x in (user_E, topic_E, time_E))
    new_E = np.r_[True, (np.diff(user_E) != 0) | (np.diff(time_E) != 0)]
    block_E = np.cumsum(new_E) - 1
    found: list[list[float]] = [[], [], []]
    for _ in range(SHUFFLES):
        tie_E = rng.random(len(user_E))
        block_key_E = rng.random(int(block_E[-1]) + 1)[block_E]
        orders = (
            np.lexsort((tie_E, block_E)),
            np.lexsort((tie_E, user_E)),
            np.lexsort((tie_E, block_E, block_key_E, user_E)),
        )
        for shares, order in zip(found, orders, strict=True):
            share = topic_runs(user_E, topic_E[order])
            if share is None:
                return None, None, None
            shares.append(share)
    return float(np.mean(found[0])), float(np.mean(found[1])), float(np.mean(found[2]))


def _pauses(rows: pd.DataFrame, visit_E: Ints, first_V: Ints) -> tuple[Floats, Ints]:
    """Seconds between visits of one person, and the number of the visit before each."""
    user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
    begin = first_V[1:]
    same = user[begin] == user[begin - 1]
    pause_P = (time[begin] - time[begin - 1])[same].astype(np.float64)
    before_P: Ints = (visit_E[begin] - 1)[same]
    return pause_P, before_P


def _correlation(
    pause_P: Floats, value_P: Floats, user_P: Ints
) -> tuple[float | None, tuple[float, float] | None]:
    """Spearman's, of deviations from each person's own mean rank; 95 % by drawing people anew."""
    known = np.isfinite(value_P)
    table = pd.DataFrame({"user": user_P, "pause": pause_P, "value": value_P})[known]
    ranks = table[["pause", "value"]].rank()
    centred = ranks - ranks.groupby(table["user"]).transform("mean")
    products = pd.DataFrame(
        {
            "both": centred["pause"] * centred["value"],
            "pause": centred["pause"] ** 2,
            "value": centred["value"] ** 2,
        }
    )
    sums_U3 = products.groupby(table["user"]).sum().to_numpy()
    if len(sums_U3) < 2 or not (sums_U3.sum(0)[1:] > 0).all():
        return None, None
    rng = np.random.default_rng(0)
    drawn_D3 = np.stack(
        [sums_U3[rng.integers(len(sums_U3), size=len(sums_U3))].sum(0) for _ in range(DRAWS)]
    )
    scale_D = np.sqrt(drawn_D3[:, 1] * drawn_D3[:, 2])
    r_D = np.divide(drawn_D3[:, 0], scale_D, out=np.zeros(DRAWS), where=scale_D > 0)
    both, pause, value = sums_U3.sum(0)
    low, high = np.quantile(r_D, (0.025, 0.975))
    return float(both / np.sqrt(pause * value)), (float(low), float(high))
