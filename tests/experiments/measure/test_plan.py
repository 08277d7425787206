"""What a study's units rest on: a learner's start is tuned before it is trained, and once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slategym.experiments.measure.plan import plan_of
from slategym.experiments.request import Request
from slategym.experiments.studies.registry import find_study

START = "slategym.agents.policies:tune_start_steps"
RESTS_ON = {
    "slategym.agents.policies:tune_supervised_steps",
    "slategym.agents.policies:tune_history_rule_steps",
}


def test_what_a_learner_begins_from_is_tuned_first() -> None:
    """Under each set of assumptions by itself; the twin reads what the first place has."""
    asked = Request(assumptions="mild,lasting")
    plan = plan_of(asked.of(find_study("movielens", asked)), asked)
    trained = {unit.label: unit for unit in plan.trainings}
    used = {}
    for place in ("world", "world-lasting", "static"):
        for name in ("plackett-luce", "plackett-luce-gamma0", "supervised-refit"):
            needs = trained[f"{name}, {place}, seed 0"].needs
            used[name, place] = [unit for unit in needs if unit.spec.get("tuning") == START]
        assert used["plackett-luce", place] == used["plackett-luce-gamma0", place]
        assert used["plackett-luce", place] == used["supervised-refit", place]
        (unit,) = used["plackett-luce", place]
        assert {need.spec.get("tuning") for need in unit.needs} >= RESTS_ON
        bandit = trained[f"linear-bandit, {place}, seed 0"].needs
        assert not any(unit.spec.get("tuning") == START for unit in bandit)
    assert used["plackett-luce", "world"] != used["plackett-luce", "world-lasting"]
    assert used["plackett-luce", "world"] == used["plackett-luce", "static"]


def test_whoever_begins_at_refit_is_a_training_of_its_own_and_no_other_changes() -> None:
    """As many slates as the learner alone; its start is tuned whatever the learner's own is."""
    name = "adaptive-trace-from-refit"
    asked = Request(agents=("adaptive-trace",))
    usual = plan_of(asked.of(find_study("movielens", asked)), asked)
    asked = Request(agents=("adaptive-trace", name, f"{name}-gamma0"))
    plan = plan_of(asked.of(find_study("movielens", asked)), asked)
    assert {unit.id for unit in usual.trainings} <= {unit.id for unit in plan.trainings}
    trained = {unit.label: unit for unit in plan.trainings}
    ours = [label for label in trained if label.startswith(f"{name}, ")]
    for label in ours:
        alone = trained[label.replace(name, "adaptive-trace")]
        mine, present = trained[label], trained[label.replace(name, f"{name}-gamma0")]
        assert mine.spec["settings"] == alone.spec["settings"]
        assert present.spec["settings"].gamma == 0.0
        assert len({mine.id, alone.id, present.id}) == 3
        for unit in (mine, present):
            assert START in [need.spec.get("tuning") for need in unit.needs]
    assert len(ours) >= 2 and all("seed" in label for label in ours)


@pytest.mark.parametrize("name", ["sardine", "topicrec"])
def test_where_nothing_is_ranked_no_start_is_tuned(name: str) -> None:
    asked = Request("smoke")
    study = find_study(name, asked)
    plan = plan_of(replace(study), asked)
    assert any(unit.label.startswith("plackett-luce") for unit in plan.trainings)
    assert not plan.tunings
