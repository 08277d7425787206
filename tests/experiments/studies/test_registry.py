"""Studies by name, and the names under which their finished work is found again."""

from __future__ import annotations

from hashlib import sha256

import pytest

from slategym.agents.core import step_back, tuning
from slategym.agents.references import planner
from slategym.envs.names import UsageError
from slategym.experiments.measure import headroom, twins
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.places import CONTROL_LUCK, EVALUATION_LUCK, SELECTION_LUCK
from slategym.experiments.request import MOST_SEEDS, Request
from slategym.experiments.runs.units import FUNCTIONS, Unit
from slategym.experiments.studies.registry import STUDIES, find_study, studies

FROZEN = {  # of the quick studies: number of units and a digest of their ids, in order
    "movielens": (216, "4d7da7639148"),
    "slateq": (56, "2c2ce1634566"),
    "sardine": (115, "5e35439083d8"),
    "topicrec": (41, "2ce39a6feb1a"),
    "recsim": (61, "ef94579c6344"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_finished_runs_stay_finished(name: str) -> None:
    """An id that changes throws away what people have computed: give the unit a version instead.

    If a study's settings were changed on purpose, the new figures belong here.
    """
    units = plan_of(find_study(name, Request()), Request()).units
    digest = sha256(" ".join(unit.id for unit in units).encode()).hexdigest()[:12]
    assert (len(units), digest) == FROZEN[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_registered_unit_is_there(name: str) -> None:
    assert callable(Unit("x", name, {}).load())


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(ValueError, match="there is no function lern@1"):
        Unit("x", "lern@1", {}).load()


def test_every_study_has_the_three_profiles_and_can_be_planned() -> None:
    for name in STUDIES:
        if name != "log":
            study = find_study(name, Request())
            assert study.name == name and {"smoke", "quick", "full"} <= set(study.profiles)
            assert plan_of(study, Request("smoke")).units


def test_no_evaluation_meets_the_luck_or_the_people_of_a_training() -> None:
    for name in STUDIES:
        if name != "log":  # `test_log.py`
            for place in find_study(name, Request()).places:
                assert place.luck >= MOST_SEEDS or place.first_user >= 500_000, (name, place)


def test_only_people_of_a_log_can_be_parted_in_other_ways() -> None:
    made = find_study("sardine", Request())
    with pytest.raises(UsageError, match="--splits is for studies of logs, not for sardine"):
        plan_of(made, Request("smoke", splits=2))


def test_no_two_choices_or_readings_have_the_same_luck() -> None:
    """Of people of a log: the control's luck, above all, is met by no choice."""
    lucks = {
        "evaluation": EVALUATION_LUCK,
        "selection": SELECTION_LUCK,
        "control": CONTROL_LUCK,
        "tuning": tuning.LUCK,
        "step back": step_back.LUCK,
        "planner": planner.LUCK,
        "headroom": headroom.LUCK,
        "twins": twins.LUCK,
    }
    assert len(set(lucks.values())) == len(lucks), lucks
    assert min(lucks.values()) >= MOST_SEEDS  # of no training


def test_a_study_of_somebody_else_is_named_by_its_place() -> None:
    assert find_study("slategym.experiments.studies.sardine:STUDY", Request()).name == "sardine"
    with pytest.raises(UsageError, match="unknown study 'sardin'; did you mean 'sardine'"):
        studies.find("sardin")
