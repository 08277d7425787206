"""The history rule: its traces and counts by hand, its ends, and its place in the registry."""

from __future__ import annotations

import pytest
import torch
from small_worlds import learned_world, ranker_in

from slategym.agents.core.history_rule import (
    Cap,
    Form,
    HistoryRule,
    Trace,
    _edges,
    form_with,
    rule_settings,
    topic_counts,
    topic_traces,
)
from slategym.agents.core.supervised import Supervised
from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import LONG_AGO, History, Observation, World

K = 3
TOPIC_N = torch.tensor([0, 1, 1, 2])


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def rule(world: World, form: float | Form) -> HistoryRule:
    catalogue, form = world.catalogue, Trace(form) if isinstance(form, float) else form
    return HistoryRule(ranker_in(world), catalogue.topic.long(), catalogue.num_topics, K, form)


def after_slates(world: World, slates: int) -> tuple[Observation, Luck]:
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    for _ in range(slates):
        now = engine.observe(world, session)
        action = rule(world, 0.0).act(now, Luck.at(session.key, session.step))
        session, _ = engine.transition(world, session, action.slate)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_traces_by_hand() -> None:
    history = History(
        id=torch.tensor([[-1, 1, 3, 2], [0, 0, 0, 0]], dtype=torch.int32),
        feedback=torch.zeros(2, 4, 1),
        age=torch.tensor([[LONG_AGO, 3, 2, 1], [LONG_AGO, LONG_AGO, 1, 1]], dtype=torch.int32),
    )
    trace_BG = topic_traces(history, TOPIC_N, 3, fading=0.5)
    assert torch.allclose(trace_BG, torch.tensor([[0.0, 0.25 + 1.0, 0.5], [2.0, 0.0, 0.0]]))


def test_counts_by_hand() -> None:
    history = History(
        id=torch.tensor([[1, 1, 3, 2, 0], [0, 0, -1, -1, -1]], dtype=torch.int32),
        feedback=torch.zeros(2, 5, 1),
        age=torch.tensor([[9, 6, 5, 2, 1], [LONG_AGO, 4, 1, 1, 1]], dtype=torch.int32),
    )
    for last, want in {1: [[1, 0, 0], [1, 0, 0]], 4: [[1, 2, 1], [1, 0, 0]]}.items():
        assert topic_counts(history, TOPIC_N, 3, last).tolist() == want
    assert topic_counts(history, TOPIC_N, 3, 9).tolist() == [[1, 3, 1], [1, 0, 0]]


def test_a_capped_topic_comes_last(world: World) -> None:
    seen, luck = after_slates(world, 6)
    topic_N, G = world.catalogue.topic.long(), world.catalogue.num_topics
    count_BG = topic_counts(seen.history, topic_N, G, 3)
    capped_BN = (count_BG >= 1)[:, topic_N]
    assert capped_BN.any() and not capped_BN.all()
    slate_BK = rule(world, Cap(1, 3)).act(seen, luck).slate.long()
    open_B = (~capped_BN).sum(1)  # items that are not capped; some of them were taken already
    enough_B = open_B >= K + seen.history.id.shape[1]
    assert enough_B.any()
    assert not capped_BN.gather(1, slate_BK)[enough_B].any()
    plain = rule(world, 0.0).act(seen, luck).slate
    assert torch.equal(rule(world, Cap(4, 4)).act(seen, luck).slate[0], plain[0])


def test_both_forms_are_tried_and_a_setting_says_which(world: World) -> None:
    tried = rule_settings(world)
    assert {"strength": 1.0, "fading": 0.7} in tried and {"most": 2, "of": 4} in tried
    assert all(x["of"] <= world.history_size for x in tried if "of" in x)
    assert form_with({"most": 2, "of": 4}) == Cap(2, 4)
    assert form_with({"strength": -1.0, "fading": 0.5}) == Trace(-1.0, 0.5)


def test_a_cap_at_the_edge_of_those_tried_is_said() -> None:
    assert _edges({"most": 2, "of": 6}) == ["", ""]
    assert _edges({"most": 2, "of": 4})[1] == (
        "last clicks that count at the edge: 4 is the lowest tried"
    )
    most, of = _edges({"most": 3, "of": 10})
    assert "3 is the highest tried" in most and "10 is the highest tried" in of
    assert _edges({"most": 1, "of": 4}) == ["", ""]  # fewer than one click is no cap
    assert _edges({"strength": 4.0, "fading": 0.7}) == [
        "strength at the edge: 4 is the highest tried",
        "",
    ]


def test_without_strength_it_is_the_ranker(world: World) -> None:
    seen, luck = after_slates(world, 4)
    plain = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    assert torch.equal(rule(world, 0.0).act(seen, luck).slate, plain.act(seen, luck).slate)


def test_strength_avoids_what_was_clicked_and_its_opposite_seeks_it(world: World) -> None:
    seen, luck = after_slates(world, 4)
    topic_N, G = world.catalogue.topic.long(), world.catalogue.num_topics
    trace_BG = topic_traces(seen.history, topic_N, G, 0.7)
    assert (trace_BG > 0).any()

    def met(strength: float) -> float:
        slate_BK = rule(world, strength).act(seen, luck).slate.long()
        return float(trace_BG.gather(1, topic_N[slate_BK]).sum())

    assert met(50.0) < met(0.0) < met(-50.0)


def test_by_name(world: World) -> None:
    assert make_policy("history-rule1.5", world).name == "history-rule1.5"
    assert make_policy("history-rule-1", world).name == "history-rule-1"
    named = make_policy("history-rule-cap2of4", world)
    assert named.name == "history-rule-cap2of4" and named.form == Cap(2, 4)
    with pytest.raises(UsageError, match="the strength of a history rule is a number, got nan"):
        rule(world, float("nan"))
    with pytest.raises(UsageError, match="of 1 or more clicks among as many or more, got 5 of 4"):
        make_policy("history-rule-cap5of4", world)
