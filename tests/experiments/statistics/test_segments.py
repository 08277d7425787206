"""Segments: the same difference among fewer people, adjusted for how many are read."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import episode_rows, paid, study

from slategym.experiments.statistics.estimate import holm
from slategym.experiments.statistics.segments import LEAST, TRAIT, segments


def rows_with_traits(gain: float = 4.0):
    rows = episode_rows(boredoms=())
    heavy = rows["user"] % 4 < 2  # two rows of a person are alike
    rows[TRAIT + "activity"] = np.where(heavy, "heavy", "light").astype(object)
    rows[TRAIT + "job"] = np.where(rows["person"] % 7 == 0, "rare", "usual").astype(object)
    rows.loc[rows["group"] != "evaluation", [TRAIT + "activity", TRAIT + "job"]] = None
    mine = heavy & (rows["policy"] == "plackett-luce") & (rows["variant"] == "world")
    return paid(rows, mine, gain)


def test_who_gains_is_found_and_who_does_not_is_not() -> None:
    rows = rows_with_traits()
    found = segments(study(boredoms=()), rows, "plackett-luce", "supervised")
    assert {(s.place, s.trait) for s in found} == {("world", "activity"), ("judge", "activity")}
    heavy, light = (
        next(s for s in found if (s.place, s.level) == ("world", level))
        for level in ("heavy", "light")
    )
    assert heavy.side == 1
    assert heavy.estimate.value - light.estimate.value == pytest.approx(4.0, abs=0.8)
    assert [s.adjusted for s in found] == holm([s.estimate.p_value for s in found])


def test_the_source_finds_the_rows_again_and_few_people_are_left_out() -> None:
    rows = rows_with_traits()
    found = segments(study(boredoms=()), rows, "plackett-luce", "supervised")
    one = found[0]
    ours, theirs = one.estimate.source.split(": ")[1].split(" minus ")
    mine, their = (rows.query(part.strip("()"))["expected_return"] for part in (ours, theirs))
    assert "trait_activity == 'heavy'" in ours
    assert mine.mean() - their.mean() == pytest.approx(one.estimate.value)
    assert all(s.estimate.num_people >= LEAST for s in found)  # 9 people of 60 are "rare"


def test_rows_without_traits_have_no_segments() -> None:
    rows = episode_rows(boredoms=())
    assert segments(study(boredoms=()), rows, "plackett-luce", "supervised") == ()
