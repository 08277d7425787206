"""Assumptions by name: their numbers, their words, and what is refused."""

from __future__ import annotations

import pytest

from slategym.envs.names import UsageError
from slategym.envs.users.carry_over import CarryOver
from slategym.envs.users.satiation import FadingSatiation, GenreSatiation, Habit, Mixed
from slategym.models.data.dynamics import Dynamics, returns_told, runs_told
from slategym.models.data.log import PLAIN
from slategym.models.simulator.assumptions import (
    ASSUMPTIONS,
    MILD,
    SAYS,
    find_assumptions,
)

LOG = Dynamics(0.3, 0.2, 0.25, 0.0, 2.0, 0.5, (0.5, 2.0, 9.0), "like", -0.2, (-0.3, -0.1))


def test_every_name_has_a_line_and_is_found() -> None:
    assert set(SAYS) == set(ASSUMPTIONS)
    for name, value in ASSUMPTIONS.items():
        assert find_assumptions(name) is value and value.name == name
        assert bool(value.constants()) == bool(value.parts or value.returns)
    assert MILD.satiation(4) == GenreSatiation(4, 5, 3, 4.0, 8, "topic")
    assert MILD.satiation(1) is None  # nothing to tire of


def test_numbers_can_be_changed_by_name() -> None:
    weary = find_assumptions("lasting:boredom=4:duration=8")
    assert weary.name == "lasting:boredom=4:duration=8"
    assert weary.satiation(3) == GenreSatiation(3, 5, 3, 4.0, 8, "everything")
    mixed = find_assumptions("mixed:gain=1").effect
    assert isinstance(mixed, Mixed)
    assert [type(effect) for effect in mixed.effects] == [GenreSatiation, Habit]
    assert mixed.effects[1].gain == 1.0
    assert find_assumptions("smooth:keep=0.5").effect == FadingSatiation(1, keep=0.5)
    assert find_assumptions("return:strength=1").returns.strength == 1.0
    assert find_assumptions("mild:boredom=0").satiation(3) is None
    assert not find_assumptions("mild:boredom=0").bores and not ASSUMPTIONS["habit"].bores


def test_carry_over_has_the_numbers_that_a_log_shows() -> None:
    found = find_assumptions("carryover:boredom=0.4:keep=0.5:per_worth=-0.3:inertia=0.9")
    want = CarryOver(1, penalty=0.4, keep=0.5, per_worth=-0.3, inertia=0.9)
    assert found.effect == want and found.bores and found.boredom == 0.4
    without = find_assumptions("carryover:boredom=0:per_worth=0.3")
    assert without.effect == CarryOver(1, per_worth=0.3) and not without.bores
    told = {what: why for what, _, why in found.labels(PLAIN, 3, True)}
    assert "takes 0.4 log-odds from its topic, of which 50%" in told["carry-over"]
    assert "`slategym diagnose` says" in told["carry-over"]
    assert "clicks change nothing" in CarryOver(3).rule("topic")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carryover:duration=3", "it has boredom, inertia, keep, per_click, per_worth"),
        ("carryover:inertia=1", "keep and inertia in"),
        ("lastign", "unknown assumptions 'lastign'; did you mean 'lasting'"),
        ("none:boredom=1", "assumptions 'none' have no 'boredom'; it has no numbers"),
        ("smooth:duration=8", "have no 'duration'; it has boredom, keep"),
        ("mild:boredom=-1", "boredom is taken from log-odds and is 0 or more, got -1"),
        ("mild:boredom", "are NAME=NUMBER, such as mild:boredom=4; got 'boredom'"),
        ("mild:boredom=much", "are NAME=NUMBER"),
        ("mild:threshold=9", r"threshold must be in \[1, 5\], got 9"),
        ("mild:duration=1.5", "duration is a whole number"),
        ("mild:boredom=nan", "must be finite"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_assumptions(text)


def test_pieces_and_the_log_stand_beside_each_other() -> None:
    labels = ASSUMPTIONS["mixed"].labels(PLAIN, 3, True, LOG)
    told = {what: (label, why) for what, label, why in labels}
    assert told["weariness"][1].startswith("50% of people, drawn once for each: 3 of the last 5")
    assert told["habit"][0] == "assumed"
    assert told["runs on a topic"][0] == "derived" and "50% above chance" in labels[2][2]
    runs, again = runs_told(LOG, PLAIN), returns_told(LOG, PLAIN)
    assert runs is not None
    assert "30.0% hold" in runs and "habit rather than of boredom" in runs
    assert "-0.200 [-0.300, -0.100]" in again and "does not show" not in again
    rarely = Dynamics(0.1, 0.2, 0.2, 0.0, 2.0, 0.5, (0.5, 2.0, 9.0), "like", 0.0, (-0.1, 0.1))
    assert "boredom rather than of habit" in (runs_told(rarely, PLAIN) or "")
    assert "does not show that liking hastens" in returns_told(rarely, PLAIN)
