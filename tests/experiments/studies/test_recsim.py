"""The RecSim study on paper, and its optimum against play, counting and simple rules."""

from __future__ import annotations

import pytest
import torch

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.registry import find_agent
from slategym.envs.registry import make_world
from slategym.experiments.places import Place
from slategym.experiments.studies.recsim import STUDY
from slategym.experiments.studies.recsim_references import Kale, Optimal, optimal

LTS = "LongTermSatisfaction-v0"
USERS = torch.arange(600_000, 600_200, dtype=torch.int32)


@pytest.mark.parametrize("place", STUDY.places, ids=lambda place: place.name)
def test_every_learner_can_act_where_it_takes_part(place: Place) -> None:
    world = make_world(place.world, **place.settings)
    for learner in STUDY.learners:
        if learner.takes_part_in(place):
            find_agent(learner.agent).check_world(world)


def test_the_optimum_earns_what_it_promises_and_more_than_simple_rules() -> None:
    world = make_world(LTS, sensitivity=0.1)
    best = Optimal(world)
    promised_P = best.value_TP[round(best.users.budget)]
    start_B = (torch.rand(4_000, generator=torch.Generator().manual_seed(0)) - 0.5) / 0.3
    promised = float(best._between(promised_P, start_B.double()).mean())
    found = {name: float(earned(world, policy, USERS, 3).mean()) for name, policy in (
        ("best", best), ("kale", Kale(world)), ("myopic", Myopic(world)),
    )}  # fmt: skip
    assert found["best"] == pytest.approx(promised, rel=5e-3)
    assert found["best"] > 1.01 * found["kale"] > 1.1 * found["myopic"]


@pytest.mark.parametrize("settings", [{"sensitivity": 0.01}, {"sensitivity": 0.1, "static": True}])
def test_where_clickbait_never_costs_the_moment_is_all(settings: dict[str, object]) -> None:
    world = make_world(LTS, **settings)
    earned_B = [earned(world, policy, USERS, 3) for policy in (Optimal(world), Myopic(world))]
    torch.testing.assert_close(*earned_B)


def test_the_last_document_is_the_best_of_ten_draws() -> None:
    world = make_world(LTS, sensitivity=0.1)
    best = Optimal(world)
    score_RC = torch.rand(20_000, 10, generator=torch.Generator().manual_seed(0)).double()
    at = 150
    last_RC = best.worth(best.grid_P[at], score_RC, torch.zeros_like(best.grid_P))
    assert float(best.value_TP[1, at]) == pytest.approx(float(last_RC.amax(1).mean()), rel=2e-3)


def test_where_nobody_changes_the_best_slate_of_the_moment_is_the_optimum() -> None:
    assert isinstance(optimal(make_world("InterestExploration-v0")), Myopic)
