"""The TopicRec study on paper, and all of it in miniature."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from slategym.agents.entries import POLICIES
from slategym.agents.latent.gems import GemsSettings
from slategym.agents.latent.hac import HacSettings
from slategym.envs.registry import make_world
from slategym.experiments.benchmark import run_study
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.places import Place
from slategym.experiments.request import Request
from slategym.experiments.studies.registry import find_study
from slategym.experiments.studies.topicrec import OPEN, STUDY, TWIN, WORLDS
from slategym.experiments.study import Learner, Profile


@pytest.mark.parametrize("profile", STUDY.profiles)
def test_every_learner_is_trained_and_read(profile: str) -> None:
    plan, size = plan_of(STUDY, Request(profile)), STUDY.profiles[profile]
    places = [place for place in STUDY.places if place.name not in size.left_out]
    assert OPEN in {place.name for place in places}
    for learner in STUDY.learners:
        assert POLICIES[learner.agent].agent is not None
        seeds = {
            place.name: size.control_seeds if place.name == TWIN else size.seeds
            for place in places
            if learner.takes_part_in(place) and learner.name not in size.left_out
        }
        trainings = [u.spec for u in plan.trainings if u.spec["policy"] == learner.name]
        found = Counter[str]()
        for spec in trainings:
            found[spec["place"]] += len(spec["seeds"])
        assert found == seeds
    read = {u.spec["policy"] for u in plan.readings} - {None}
    names = {baseline.policy: baseline.name for baseline in STUDY.baselines}
    assert {names[policy] for policy in read} == {"random", "more, but varied", "myopic", "capped"}


def test_its_places_are_the_worlds_of_the_paper_and_a_static_twin() -> None:
    assert [place.name for place in STUDY.places] == [*WORLDS, TWIN] and len(WORLDS) == 6
    ends = [make_world(STUDY.place(name).world, num_items=20).users for name in WORLDS]
    assert [users.penalty for users in ends] == [1.0, 1.0, 3.0] * 2
    world, twin = (
        make_world(place.world, **place.settings) for place in (STUDY.places[0], STUDY.place(TWIN))
    )
    assert world.users.threshold == 5 and twin.users.threshold > twin.users.memory
    assert world.users.keep == 0.9 and twin.users.keep == 1.0
    assert (world.catalogue.num_items, world.slate_size, world.horizon) == (1000, 10, 100)
    assert [place.role for place in STUDY.places] == ["open"] * 6 + ["control"]


def test_it_is_on_the_command_line() -> None:
    assert find_study("topicrec", Request()) is STUDY


@pytest.mark.slow
def test_in_miniature_it_goes_from_training_to_page(tmp_path: Path) -> None:
    gems = GemsSettings(num_steps=800, num_users=8, num_logged=256, updates=1, warm_up=200)
    hac = HacSettings(num_steps=800, num_users=8, updates=1, warm_up=200)
    small = {"history_size": 20, "num_items": 60}
    tiny = replace(
        STUDY,
        places=(
            Place(OPEN, STUDY.places[0].world, small),
            Place(TWIN, STUDY.places[0].world, {**small, "static": True}, role="control"),
        ),
        learners=(
            Learner("gems", gems),
            Learner("gems", replace(gems, logging="random"), "gems, random log", (OPEN,)),
            Learner("hac", hac),
        ),
        profiles={"quick": Profile("a look", seeds=1, users=8)},
    )
    report = run_study(tiny, Request("quick", tmp_path))
    page = (tmp_path / "docs" / "topicrec.md").read_text()
    assert report.is_file() and "gems, random log" in page and "305.3" in page
