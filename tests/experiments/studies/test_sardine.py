"""The SARDINE study on paper: who takes part where, and that they can."""

from __future__ import annotations

import pytest
import torch

from slategym.agents.core.earned import earned
from slategym.agents.entries import POLICIES
from slategym.agents.references.myopic import Myopic
from slategym.agents.registry import find_agent
from slategym.envs.registry import make_world
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.places import Place
from slategym.experiments.request import Request
from slategym.experiments.studies.sardine import STUDY
from slategym.experiments.studies.sardine_references import (
    FromSlates,
    MoreButVaried,
    OneDirection,
)


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
        <= {baseline.name for baseline in STUDY.baselines}
        <= {*POLICIES, OneDirection.name, MoreButVaried.name, FromSlates.name}
    )
    assert {STUDY.kind_of(p) for p in ("myopic", "capped", "one direction")} == {"privileged"}
    assert {STUDY.kind_of(p) for p in ("more, but varied", "from slates")} == {"baseline"}
    assert STUDY.kind_of("plackett-luce") == "learns" and STUDY.kind_of("random") == "baseline"


@pytest.mark.parametrize("profile", STUDY.profiles)
def test_everybody_learns_in_both_worlds_and_in_the_control(profile: str) -> None:
    plan, size = plan_of(STUDY, Request(profile)), STUDY.profiles[profile]
    for learner in plan.study.learners:
        seeds = {
            place.name: sum(
                len(u.spec["seeds"])
                for u in plan.trainings
                if u.spec["policy"] == learner.name and u.spec["place"] == place.name
            )
            for place in STUDY.places
        }
        twin = size.control_seeds
        assert seeds == {"Bored": size.seeds, "BoredInf": size.seeds, "static twin": twin}
    static = {u.spec["world_settings"].get("static", False) for u in plan.trainings}
    assert static == {True, False}


def test_one_direction_told_the_truth_earns_far_less_than_a_cap() -> None:
    """Why proto-actions stay low here: items along one direction are of one kind."""
    world = make_world(STUDY.places[0].world)
    users = torch.arange(600_000, 600_040, dtype=torch.int32)
    told = [OneDirection(world), Myopic(world), Myopic(world, cap=2)]
    one, greedy, capped = (float(earned(world, policy, users, 3).mean()) for policy in told)
    assert 0.8 * greedy < one < 0.6 * capped


def test_a_rule_of_two_numbers_that_sees_clicks_alone_earns_more_than_greedy_told_the_truth() -> (
    None
):
    """What every learner has to beat here; each of its two numbers is needed."""
    world = make_world(STUDY.places[0].world, history_size=20)
    users = torch.arange(600_000, 600_040, dtype=torch.int32)
    rules = [MoreButVaried(world), MoreButVaried(world, fond=0.0), MoreButVaried(world, varied=0.0)]
    rule, any_item, one_kind, greedy = (
        float(earned(world, policy, users, 3).mean()) for policy in (*rules, Myopic(world))
    )
    assert rule > 1.6 * greedy
    assert max(any_item, one_kind) < 0.6 * rule


def test_a_rule_of_four_numbers_that_reads_slates_earns_more_still() -> None:
    """The opponent of whoever reads slates: what wears out, or is near to boring, counts."""
    world = make_world(STUDY.places[0].world, **STUDY.places[0].settings)
    users = torch.arange(600_000, 600_012, dtype=torch.int32)
    rules = [FromSlates(world), FromSlates(world, worn=0.0, near=0.0), MoreButVaried(world)]
    rule, fresh, clicks = (float(earned(world, policy, users, 3).mean()) for policy in rules)
    assert rule > 1.15 * max(fresh, clicks)
