"""The SARDINE study on paper: who takes part where, and that they can."""

from __future__ import annotations

import pytest

from slategym.agents.registry import POLICIES, find_agent
from slategym.envs.registry import make_world
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.studies.sardine import STUDY
from slategym.experiments.study import Place, Request


@pytest.mark.parametrize("place", STUDY.places, ids=lambda place: place.name)
def test_every_learner_can_act_in_every_place(place: Place) -> None:
    world = make_world(place.world, **{**place.settings, "num_items": 40})
    for learner in STUDY.learners:
        agent = find_agent(learner.agent)
        assert isinstance(learner.trained_for(1.0), type(agent.default_settings())), learner.name
        agent.check_world(world)
        assert not agent.privileged


def test_roles_are_played_by_policies_of_the_registry() -> None:
    assert (
        {STUDY.roles.random, STUDY.roles.reference, STUDY.roles.truth}
        <= set(STUDY.policies)
        <= set(POLICIES)
    )
    assert {STUDY.kind_of(p) for p in ("myopic", "capped")} == {"privileged"}
    assert STUDY.kind_of("plackett-luce") == "learns" and STUDY.kind_of("random") == "baseline"


@pytest.mark.parametrize("profile", STUDY.profiles)
def test_everybody_learns_in_both_worlds_and_in_the_control(profile: str) -> None:
    plan, size = plan_of(STUDY, Request(profile)), STUDY.profiles[profile]
    for learner in plan.study.learners:
        seeds = {
            place.name: sum(
                len(u.spec["seeds"])
                for u in plan.lessons
                if u.spec["policy"] == learner.name and u.spec["place"] == place.name
            )
            for place in STUDY.places
        }
        twin = size.control_seeds
        assert seeds == {"Bored": size.seeds, "BoredInf": size.seeds, "static twin": twin}
    static = {u.spec["world_settings"].get("static", False) for u in plan.lessons}
    assert static == {True, False}
