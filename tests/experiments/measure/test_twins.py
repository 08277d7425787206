"""A control that is no control is refused before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.benchmark import run_study
from slategym.experiments.measure.twins import check_twin
from slategym.experiments.places import Place
from slategym.experiments.request import Request
from slategym.experiments.study import Learner, Profile, Roles, Study

WORLD, FEW = "Sardine-SlateTopK-Bored-v0", {"num_items": 60}


def test_a_static_twin_differs_from_its_world_and_a_copy_does_not() -> None:
    world = make_world(WORLD, **FEW)
    check_twin(world, make_world(WORLD, **FEW, static=True))
    for copy in (make_world(WORLD, **FEW), replace(world, horizon=world.horizon - 1)):
        with pytest.raises(UsageError, match=r"the control .* is the world .* itself"):
            check_twin(world, copy)


def deaf(static: bool = False) -> World:
    """A world of somebody's own that takes no notice of what it is told."""
    return make_world(WORLD, **FEW)


def test_a_plug_in_whose_twin_is_itself_is_refused(tmp_path: Path) -> None:
    """However it is named: where it lies, or by the id under which a package registers it."""
    name = f"{__name__}:deaf"
    made = replace(
        _tiny(),
        places=(Place("open", name), Place("twin", name, {"static": True}, role="control")),
    )
    quiet = Console(quiet=True)
    with pytest.raises(UsageError, match=r"describe twin: .* controls nothing"):
        run_study(made, Request(out=tmp_path), quiet, quiet)


def _tiny() -> Study:
    return Study(
        name="tiny",
        title="A tiny study",
        question="Is the control one?",
        places=(Place("Bored", WORLD, FEW), Place("twin", WORLD, FEW, role="control")),
        policies=("random", "myopic"),
        learners=(Learner("linucb"),),
        roles=Roles(opponent="myopic", reference="myopic"),
        profiles={"quick": Profile("a look", seeds=1, users=4)},
    )


def test_a_study_with_such_a_control_stops_before_it_trains(tmp_path: Path) -> None:
    made, quiet = _tiny(), Console(quiet=True)
    with pytest.raises(UsageError, match=r"describe twin: .* controls nothing"):
        run_study(made, Request(out=tmp_path), quiet, quiet)
    assert not list((tmp_path / "work").glob("linucb*"))
