"""Where the spread of a mean comes from, and how often the intervals hold what is true.

Tables are drawn from known variances: those that today's studies have (`FITTED`, by
`variance.components` from differences of expected return of three seeds), and others. An interval
is right if it holds the mean that the tables were drawn around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from slategym.experiments.statistics.bootstrap import mean_of
from slategym.experiments.statistics.estimate import LEVEL
from slategym.experiments.statistics.tables import Table
from slategym.experiments.statistics.variance import Components, components, t_interval

PEOPLE, ARRIVALS = 157, 8  # of MovieLens's evaluation people
FITTED = {  # learners minus supervised, three seeds, before today's learners
    "plackett-luce, world": Components(0.05, 14.5, 0.0, 0.0, 12.5),
    "plackett-luce, judge": Components(0.02, 18.1, 0.5, 0.0, 13.8),
    "plackett-luce, static": Components(0.0, 2.0, 0.0, 0.0, 0.8),
    "proto-sac, judge": Components(0.3, 29.1, 0.0, 0.09, 27.3),
    "of an audit, judge": Components(0.5, 33.9, 0.3, 0.06, 18.9),
}
MEAN = 1.6


def drawn(
    c: Components,
    rng: np.random.Generator,
    seeds: int,
    people: int = PEOPLE,
    each: int = ARRIVALS,
    splits: int = 1,
) -> Table:
    """A table of independent normal effects around `MEAN`."""
    if splits > 1:
        parts = [drawn(c, rng, seeds, people, each) for _ in range(splits)]
        apart = people * np.arange(splits)
        return Table(
            np.concatenate([t.value_SU + rng.normal(0, c.split**0.5) for t in parts], 1),
            np.arange(seeds),
            np.arange(splits * people * each),
            np.concatenate([t.person_U + n for t, n in zip(parts, apart, strict=True)]),
            True,
            np.repeat(np.arange(splits), people * each),
        )
    person_U = np.repeat(np.arange(people), each)
    U = people * each
    both_SP = rng.normal(0, c.seed_person**0.5, (seeds, people))
    value_SU = (
        MEAN
        + rng.normal(0, c.person**0.5, people)[person_U]
        + rng.normal(0, c.arrival**0.5, U)
        + both_SP[:, person_U]
        + rng.normal(0, c.seed**0.5, seeds)[:, None]
        + rng.normal(0, c.rest**0.5, (seeds, U))
    )
    return Table(value_SU, np.arange(seeds), np.arange(U), person_U, True)


def share_right(
    c: Components,
    interval: Callable[[Table], tuple[float, float]],
    *,
    tables: int,
    seeds: int,
    people: int = PEOPLE,
    each: int = ARRIVALS,
    splits: int = 1,
) -> float:
    """Of the tables, those whose interval holds the mean."""
    rng = np.random.default_rng([tables, seeds, people])
    held = 0
    for _ in range(tables):
        low, high = interval(drawn(c, rng, seeds, people, each, splits))
        held += low <= MEAN <= high
    return held / tables


def bootstrap(table: Table) -> tuple[float, float]:
    """The interval that tables and sentences have."""
    found = mean_of(table, "")
    return found.low, found.high


def student(table: Table) -> tuple[float, float]:
    """The one beside it where there are few seeds."""
    return t_interval(table)[:2]


def test_components_are_found_again() -> None:
    truth = Components(person=4.0, arrival=9.0, seed_person=2.0, seed=1.0, rest=6.0)
    rng = np.random.default_rng(0)
    found = [components(drawn(truth, rng, 10, 80, 4)) for _ in range(40)]
    for name, value in vars(truth).items():
        mean = float(np.mean([getattr(one, name) for one in found]))
        assert mean == pytest.approx(value, rel=0.15), name
    nothing = Components(0.0, 0.0, 0.0, 0.0, 1.0)
    assert components(drawn(nothing, rng, 4, 100, 4)).person < 0.1
    with pytest.raises(ValueError, match="two of them, got one"):
        components(drawn(truth, rng, 1))


def test_students_interval_is_that_of_the_text_book_where_only_seeds_differ() -> None:
    only = Components(0.0, 0.0, 0.0, 4.0, 0.0)
    table = drawn(only, np.random.default_rng(3), 3)
    seed_S = table.value_SU[:, 0]
    reach = 4.302653 * seed_S.std(ddof=1) / 3**0.5  # t of 2 degrees of freedom
    found = t_interval(table)
    assert found == pytest.approx((seed_S.mean() - reach, seed_S.mean() + reach))
    with pytest.raises(ValueError, match="two people or more in each split, got 1"):
        t_interval(drawn(only, np.random.default_rng(0), 1, people=1))


@pytest.mark.parametrize("people", [2, 5, 12])
def test_few_people_have_the_text_books_interval_and_p_value(people: int) -> None:
    value_U = np.random.default_rng(people).normal(0.5, 1.0, people)
    table = Table(value_U[None], np.zeros(1), np.arange(people), np.arange(people), False)
    found, theirs = mean_of(table, ""), ttest_1samp(value_U, 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(max(theirs.pvalue, 2.0 ** (1 - people)))


def test_few_people_who_agree_are_not_clear() -> None:
    """Five who all gain 1: no spread is seen, and chance alone gives them one sign in 16 tables."""
    for people in (2, 5):
        table = Table(
            np.ones((3, people)), np.arange(3), np.arange(people), np.arange(people), True
        )
        assert mean_of(table, "").p_value == 2.0 ** (1 - people) > LEVEL


def test_intervals_of_few_people_hold_what_is_true() -> None:
    """The bootstrap alone holds it in 75 of 100 tables of three people and in 84 of six."""
    some = Components(person=4.0, arrival=2.0, seed_person=1.0, seed=0.0, rest=2.0)
    for people, seeds in ((3, 1), (6, 1), (6, 3), (12, 1)):
        found = share_right(some, bootstrap, tables=600, seeds=seeds, people=people, each=2)
        assert 0.93 <= found <= 0.985, (people, seeds, found)


def test_intervals_hold_what_is_true_in_a_few_tables() -> None:
    """Enough to see an interval that is far too narrow or of half the level."""
    few = {"tables": 150, "seeds": 3, "people": 60, "each": 3}
    for interval in (bootstrap, student):
        assert 0.90 <= share_right(FITTED["proto-sac, judge"], interval, **few) <= 0.995
    # of one person's arrivals as if they were people's: what clusters are for
    crowded = Components(person=20.0, arrival=1.0, seed_person=0.0, seed=0.0, rest=1.0)

    def alone(table: Table) -> tuple[float, float]:
        users = np.arange(len(table.user_U))
        return bootstrap(Table(table.value_SU, table.seed_S, table.user_U, users, True))

    assert share_right(crowded, alone, **few) < 0.85 < share_right(crowded, bootstrap, **few)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_hold_95_per_cent(name: str, seeds: int) -> None:
    """Both intervals, 93 to 97 % with the variances that studies had."""
    for interval in (bootstrap, student):
        each = 4 if seeds == 3 else ARRIVALS
        found = share_right(FITTED[name], interval, tables=1000, seeds=seeds, each=each)
        assert 0.93 <= found <= 0.97, (name, seeds, interval.__name__, found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0.1, 0.4, 1.0])
def test_intervals_hold_95_per_cent_where_three_seeds_differ_much(seed: float) -> None:
    """As wide as Student's; the bootstrap alone holds 90 % there."""
    much = Components(person=2.2, arrival=28.5, seed_person=0.3, seed=seed, rest=14.7)
    for interval in (bootstrap, student):
        assert 0.93 <= share_right(much, interval, tables=1000, seeds=3) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("split", [0.0, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("name", ["plackett-luce, world", "of an audit, judge"])
def test_intervals_hold_95_per_cent_over_three_splits(name: str, split: float) -> None:
    """At least, whether splits differ or not; too wide, 99.2 % as measured, where they do not."""
    differ = replace(FITTED[name], split=split)
    more = {"tables": 1000, "seeds": 3, "people": 105, "each": 3, "splits": 3}
    for interval in (bootstrap, student):
        found = share_right(differ, interval, **more)
        assert 0.93 <= found <= (0.97 if split >= 0.2 else 0.995), (interval.__name__, found)


def test_splits_are_apart_in_the_interval_and_beside_it() -> None:
    only = Components(0.0, 0.0, 0.0, 0.0, 0.0, split=4.0)
    table = drawn(only, np.random.default_rng(1), 3, 20, 2, splits=3)
    mean_Z = np.array(table.by_split)
    reach = 4.302653 * mean_Z.std(ddof=1) / 3**0.5  # t of 2 degrees of freedom
    assert t_interval(table) == pytest.approx((mean_Z.mean() - reach, mean_Z.mean() + reach))
    noisy = replace(only, rest=9.0, arrival=4.0)
    wide, narrow = (
        np.diff(bootstrap(drawn(c, np.random.default_rng(1), 3, 20, 2, splits=3)))[0]
        for c in (noisy, replace(noisy, split=0.0))
    )
    assert wide > 2 * narrow
    alone = drawn(noisy, np.random.default_rng(1), 1, 20, 2, splits=3)
    assert mean_of(alone, "").by_split == alone.by_split  # of what does not learn, too
    assert np.diff(bootstrap(alone))[0] > 2


def test_the_spread_between_splits_is_found_again() -> None:
    truth = Components(4.0, 9.0, 2.0, 1.0, 6.0, split=3.0)
    rng = np.random.default_rng(0)
    found = [components(drawn(truth, rng, 4, 40, 3, splits=3)).split for _ in range(60)]
    assert float(np.mean(found)) == pytest.approx(3.0, rel=0.35)
