"""Statistics against numbers worked out by hand, and intervals against their promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, trim_mean
from scipy.stats import t as student_t

from slategym.experiments.statistics import bootstrap, stats
from slategym.experiments.statistics.bootstrap import _people_weights, _rows_drawn, mean_of
from slategym.experiments.statistics.cells import Cell, unchanged
from slategym.experiments.statistics.estimate import holm, side_of
from slategym.experiments.statistics.tables import Table

AGENT = Cell("agent", "world", 4.0, "world")
RANKER = Cell("ranker", "world", 4.0, "")


def rows_of(values: dict[Cell, list[list[float]]], people: list[int] | None = None) -> pd.DataFrame:
    """Rows with the given returns, seeds x users."""
    records = []
    for cell, value_SU in values.items():
        for seed, value_U in enumerate(value_SU):
            for user, value in enumerate(value_U):
                records.append(
                    {
                        "world": "w",
                        "variant": cell.variant,
                        "strength": cell.strength,
                        "policy": cell.policy,
                        "trained_in": cell.trained_in,
                        "group": cell.group,
                        "seed": seed,
                        "user": user,
                        "person": people[user] if people else user,
                        "return": float(value),
                    }
                )
    return pd.DataFrame(records)


SMALL = rows_of({AGENT: [[3, 5, 1, 7], [4, 4, 2, 8]], RANKER: [[2, 5, 3, 4]]})


def test_mean_and_paired_difference_by_hand() -> None:
    assert stats.mean(SMALL, AGENT).value == pytest.approx(34 / 8)
    difference = stats.paired_difference(SMALL, AGENT, RANKER)
    # seed 0: 1 0 -2 3; seed 1: 2 -1 -1 4
    assert difference.value == pytest.approx(6 / 8)
    assert stats.by_seed(SMALL, AGENT, RANKER) == {0: 0.5, 1: 1.0}
    assert (difference.num_seeds, difference.num_users, difference.num_people) == (2, 4, 4)


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_person_has_no_interval_and_makes_nothing_clear(seeds: int) -> None:
    """However often that person arrives, and however far ahead."""
    values = {AGENT: [[9, 8, 9]] * seeds, RANKER: [[2, 1, 3]]}
    one, two = rows_of(values, [7, 7, 7]), rows_of(values, [7, 7, 8])
    for read in (stats.paired_difference, stats.probability_of_improvement):
        found = read(one, AGENT, RANKER)
        assert not found.has_interval and found.p_value == 1 and side_of(found) == 0
        assert not (found.above_zero or found.below_zero)
        assert "[no interval: one person]" in found.signed() and "+" in found.signed()
        assert read(two, AGENT, RANKER).has_interval
    assert str(stats.mean(one, AGENT)) == "8.67 [no interval: one person]"
    assert stats.mean(one, AGENT).to_json()["low"] is None
    assert stats.mean(one, AGENT).rounded(1) == "8.7 [no interval: one person]"


def test_probability_of_improvement_counts_ties_half() -> None:
    chance = stats.probability_of_improvement(SMALL, AGENT, RANKER)
    assert chance.value == pytest.approx((4 + 0.5) / 8)
    assert 0 <= chance.low <= chance.value <= chance.high <= 1


def test_few_people_widen_whatever_is_no_mean_as_much_as_a_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = rows_of({RANKER: [np.random.default_rng(5).exponential(5, 12).tolist()]})
    found = stats.interquartile_mean(rows, RANKER)
    monkeypatch.setattr(bootstrap, "FEW_PEOPLE", 0)  # the bootstrap alone
    narrow = stats.interquartile_mean(rows, RANKER)
    student = student_t.ppf(0.975, 11) / norm.ppf(0.975) * (12 / 11) ** 0.5  # of 12 people
    assert (found.high - found.low) / (narrow.high - narrow.low) == pytest.approx(student)


def test_normalised_score_by_hand() -> None:
    least, most = Cell("random", "world", 4.0, ""), Cell("reference", "world", 4.0, "")
    rows = pd.concat([SMALL, rows_of({least: [[1, 1, 1, 1]], most: [[6, 6, 6, 6]]})])
    score = stats.normalised_score(rows, AGENT, least, most)
    assert score.value == pytest.approx((4.25 - 1) / 5)
    with pytest.raises(ValueError, match="reference > random: 1 where"):
        stats.normalised_score(rows, AGENT, most, least)


def test_interquartile_mean_is_scipys() -> None:
    value_U = np.random.default_rng(0).exponential(5, 40)
    rows = rows_of({RANKER: [value_U.tolist()]})
    middle = stats.interquartile_mean(rows, RANKER)
    assert middle.value == pytest.approx(trim_mean(value_U, 0.25))
    assert middle.low < middle.value < middle.high < stats.mean(rows, RANKER).high


def test_interquartile_mean_by_weight_where_a_quarter_is_no_whole_number() -> None:
    # of 0 1 2 3 4 5 the middle half is half of 1, all of 2 and 3, half of 4
    rows = rows_of({RANKER: [[5, 3, 1, 0, 2, 4]]})
    assert stats.interquartile_mean(rows, RANKER).value == pytest.approx(2.5)
    skewed = rows_of({RANKER: [[0, 0, 0, 0, 6, 6]]})  # 1.5 cut below: 2.5 zeros and .5 of a 6
    assert stats.interquartile_mean(skewed, RANKER).value == pytest.approx(0.5 * 6 / 3)


def test_interval_of_a_mean_agrees_with_theory() -> None:
    value_U = np.random.default_rng(1).normal(10, 3, 400)
    found = stats.mean(rows_of({RANKER: [value_U.tolist()]}), RANKER)
    half = 1.96 * value_U.std() / 20
    assert found.low == pytest.approx(value_U.mean() - half, abs=0.02)
    assert found.high == pytest.approx(value_U.mean() + half, abs=0.02)


def test_rows_of_one_person_stay_together() -> None:
    value_U = np.repeat(np.random.default_rng(2).normal(0, 1, 50), 4).tolist()
    alone = stats.mean(rows_of({RANKER: [value_U]}), RANKER)
    together = stats.mean(rows_of({RANKER: [value_U]}, np.repeat(range(50), 4).tolist()), RANKER)
    assert together.num_people == 50
    # four copies of a person say no more than one: twice the width of 200 people
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(2, abs=0.2)


def test_seeds_widen_the_interval() -> None:
    base = np.zeros(100)
    apart = stats.mean(rows_of({AGENT: [(base + s).tolist() for s in (-1, 0, 1)]}), AGENT)
    same = stats.mean(rows_of({AGENT: [base.tolist()] * 3}), AGENT)
    assert same.high == same.low == 0
    assert apart.low <= -0.9 and apart.high >= 0.9


@pytest.mark.parametrize(
    ("num_seeds", "seed_sd", "person_sd", "session_sd"),
    [(1, 0.0, 3.0, 4.0), (3, 0.2, 4.0, 3.0), (5, 0.2, 4.0, 3.0), (10, 0.5, 3.0, 3.0)],
)
def test_intervals_cover_the_truth_as_often_as_they_say(
    num_seeds: int, seed_sd: float, person_sd: float, session_sd: float
) -> None:
    """400 made-up studies of 200 people: true mean 0 must be inside about 95 % of the intervals."""
    rng = np.random.default_rng(3)
    covered, studies = 0, 400
    for _ in range(studies):
        value_SU = rng.normal(0, session_sd, (num_seeds, 200)) + rng.normal(0, person_sd, 200)
        value_SU += rng.normal(0, seed_sd, (num_seeds, 1))
        t = Table(value_SU, np.arange(num_seeds), np.arange(200), np.arange(200), True)
        found = mean_of(t, "")
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / studies <= 0.985


def test_p_value_of_nothing_is_uniform_enough() -> None:
    rng = np.random.default_rng(4)
    tables = (
        Table(rng.normal(0, 1, (1, 200)), np.zeros(1), np.arange(200), np.arange(200), True)
        for _ in range(300)
    )
    p_values = np.array([mean_of(t, "").p_value for t in tables])
    assert abs((p_values < 0.05).mean() - 0.05) < 0.03
    assert abs((p_values < 0.5).mean() - 0.5) < 0.1


def test_the_same_rows_give_the_same_interval_and_leave_global_luck_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = stats.paired_difference(SMALL, AGENT, RANKER)
    for drawn in (_people_weights, _rows_drawn):
        drawn.cache_clear()
    assert stats.paired_difference(SMALL.sample(frac=1.0, random_state=1), AGENT, RANKER) == first
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_cell_says_which_rows_it_means() -> None:
    repeated = SMALL.query(AGENT.query())
    assert repeated.equals(AGENT.among(SMALL))
    assert len(repeated) == 8
    assert AGENT.query() in stats.mean(SMALL, AGENT).source


def test_drop_between_world_and_judge() -> None:
    there, ranker = replace(AGENT, variant="judge"), replace(RANKER, variant="judge")
    rows = pd.concat([SMALL, rows_of({there: [[2, 5, 1, 7]] * 2, ranker: [[2, 5, 2, 6]]})])
    lost = stats.drop(rows, AGENT, RANKER, there, ranker)
    assert lost.value == pytest.approx(0.75 - 0.0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[r.policy != "ranker"], "no episode rows where policy == 'ranker'"),
        (lambda r: pd.concat([r, r.head(1)]), "hold some .seed, user. twice"),
        (lambda r: r.drop(index=1), "missing in 1 of 8 sessions"),
        (lambda r: r[(r.policy != "ranker") | (r.user != 3)], "same users: 4 where .* 3 in both"),
        (lambda r: r.assign(**{"return": np.nan}), "return is missing in 8 of 8"),
    ],
)
def test_rows_that_do_not_pair_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        stats.paired_difference(change(SMALL), AGENT, RANKER)


def test_a_cell_that_mixes_trainings_is_refused() -> None:
    rows = pd.concat([SMALL, rows_of({replace(AGENT, trained_in="static"): [[1, 2, 3, 4]]})])
    with pytest.raises(ValueError, match=r"mix trained_in = .'static', 'world'."):
        stats.mean(rows, replace(AGENT, trained_in=None))


def test_what_was_looked_up_is_taken_for_the_very_rows_alone() -> None:
    cell = Cell("a", "world")
    low, high = rows_of({cell: [[1.0, 2.0, 3.0]]}), rows_of({cell: [[4.0, 5.0, 6.0]]})
    with unchanged(low):
        for _ in range(2):
            assert stats.mean(low, cell).value == 2.0
            assert stats.mean(high, cell).value == 5.0
    assert stats.mean(low, cell) == stats.mean(low.copy(), cell)
