"""The supervised policy: diversity, what is tuned of it, and from where learners start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_worlds import learned_world, ranker_in
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core import supervised
from slategym.agents.core.choice import ConditionalLogit
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.supervised import (
    PLAIN,
    Diversity,
    Supervised,
    head_settings,
    level_settings,
    ranker_of,
    setting_of,
    strengths_of,
    supervised_with,
    tune_diversity,
    tune_ranker,
    tune_supervised,
)
from slategym.agents.core.tuning import Budget
from slategym.agents.policy_gradient.ppo import PPOSettings
from slategym.agents.registry import find_agent, make_policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

K = 3


@pytest.fixture(scope="module")
def world() -> World:
    """With selection people of its own."""
    small = learned_world(slate_size=K)
    return replace(small, selection=lambda: small)


def observed(world: World) -> tuple[Observation, Luck]:
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def with_diversity(world: World, kind: str, strength: float) -> Supervised:
    topic_N = world.catalogue.topic.long()
    return Supervised(ranker_in(world), topic_N, K, Diversity(kind, strength))


@pytest.mark.parametrize("kind", ["mmr", "dpp"])
def test_without_strength_it_is_the_ranker_and_with_it_items_differ(
    world: World, kind: str
) -> None:
    seen, luck = observed(world)
    greedy_BK = with_diversity(world, "none", 0.0).act(seen, luck).slate
    assert torch.equal(with_diversity(world, kind, 0.0).act(seen, luck).slate, greedy_BK)
    unit_ND = F.normalize(ranker_in(world).unit_items, dim=1)

    def likeness(slate_BK: Tensor) -> float:
        unit_BKD = unit_ND[slate_BK.long()]
        return float((unit_BKD @ unit_BKD.transpose(1, 2)).mean())

    policy = with_diversity(world, kind, 20.0)
    various_BK = policy.act(seen, luck).slate
    assert likeness(various_BK) < likeness(greedy_BK) - 0.1
    assert seen.allowed is not None and seen.allowed.gather(1, various_BK.long()).all()
    assert policy.name == f"supervised-{kind}20" and not policy.privileged


def test_a_quota_thins_topics_out(world: World) -> None:
    seen, luck = observed(world)

    def most(strength: float) -> float:
        slate_BK = with_diversity(world, "quota", strength).act(seen, luck).slate
        topic_BK = world.catalogue.topic[slate_BK.long()]
        return sum(float(row.bincount().max()) for row in topic_BK)

    assert most(0.0) > most(1.0) > most(50.0) == 16.0


def test_strengths_that_cannot_be_are_refused(world: World) -> None:
    with pytest.raises(UsageError, match="the strength of mmr must be 0 or more, got -1"):
        Diversity("mmr", -1.0)
    with pytest.raises(UsageError, match=r"a cap is a whole number of items, 1 or more, got 1\.5"):
        Diversity("cap", 1.5)
    with pytest.raises(UsageError, match="unknown diversity 'dp'; did you mean 'dpp'"):
        Diversity("dp")
    alone = replace(world, slate_size=1, selection=None)
    assert strengths_of(alone, "mmr") == () and strengths_of(alone, "none") == (0.0,)
    with pytest.raises(UsageError, match="slates of 1 and 3 topics: cap needs slates of 2"):
        make_policy("supervised-capped", alone)


def test_a_stated_share_of_the_best_slates_is_clicked_under_the_model(world: World) -> None:
    chosen = {"heads": {"click": 0.4, "like": 0.2}, "nothing": None}
    first, *others = level_settings(world, chosen)
    assert first == chosen
    user_B = torch.arange(20, dtype=torch.int32)
    seen = engine.observe(world, engine.start(world, 0 * user_B, user_B, 0 * user_B))
    for setting, rate in zip(others, supervised.CLICK_RATES, strict=True):
        choice = ConditionalLogit(0.4, (("like", 0.2),), setting["nothing"])
        ranker = replace(stated_ranker(world), choice=choice)
        rare = replace(ranker, choice=replace(choice, nothing=float("inf")))
        id_BK = rare.retrieve(seen, K).id  # the slates that the level speaks of
        above_B = ranker.utility(seen, id_BK).logsumexp(1) - choice.nothing
        assert float(above_B.sigmoid().mean()) == pytest.approx(rate, abs=1e-3)


def test_tuning_serves_selection_people_at_least_as_well(world: World) -> None:
    cheap = Budget(8_000)
    found = tune_ranker(world, cheap)
    stated = next(
        t
        for t in supervised.tune_heads(world, cheap).tried
        if t.setting == setting_of(stated_ranker(world))
    )
    assert stated.sessions >= 16
    assert len(found.tried) == 1 + len(supervised.CLICK_RATES) and found.chosen == setting_of(
        ranker_of(world, cheap)
    )
    final = tune_supervised(world, cheap)
    assert {t.setting["kind"] for t in final.tried} == {"none", "cap", "quota", "mmr", "dpp"}
    most = max(t.sessions for t in final.tried)
    assert final.best_mean == max(t.mean for t in final.tried if t.sessions == most)
    chosen = {t.name: t.chosen for t in (found, final)}
    policy = make_policy("supervised", replace(world, chosen=chosen))
    assert policy.name == "supervised" and policy.inner.ranker == ranker_of(world, cheap)
    assert policy.inner.diversity == Diversity(**final.chosen)


def test_a_choice_at_the_edge_of_what_was_tried_is_said(world: World) -> None:
    cheap = Budget(3_000)
    found = supervised.tune_heads(world, cheap)
    weights, click = supervised.CLICK_WEIGHTS, found.chosen["heads"]["click"]
    assert ("weight of click at the edge" in str(found)) == (click in (weights[0], weights[-1]))
    quota, strengths = tune_diversity(world, "quota", cheap), strengths_of(world, "quota")
    at_end = quota.chosen["strength"] in (strengths[0], strengths[-1])
    assert ("strength at the edge" in str(quota)) == at_end
    assert "edge" not in str(tune_diversity(world, "cap", cheap))  # beyond one there is nothing
    pinned = replace(world, chosen={"ranker-heads": {"heads": {"click": 4.0}, "nothing": None}})
    assert "edge" not in str(supervised.tune_heads(pinned, cheap))  # nothing was tried


def test_a_click_may_weigh_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does where a model's clicks say nothing of what is chosen from the log's slates."""
    fitted = [{"heads": {"click": 0.0, "like": x}, "nothing": None} for x in (0.5, 0.6)]
    monkeypatch.setattr(supervised, "head_settings", lambda where: fitted)
    found = supervised.tune_heads(world, Budget(200))
    assert found.chosen in fitted and "edge: 0 is the lowest tried" in found.note


def test_without_selection_people_nothing_is_tuned() -> None:
    world = learned_world(slate_size=K)
    assert ranker_of(world) == stated_ranker(world)
    seen, luck = observed(world)
    same = [
        make_policy(n, world).act(seen, luck).slate for n in ("supervised", "supervised-untuned")
    ]
    assert torch.equal(*same)
    assert "not tuned, there are no selection people" in str(
        make_policy("supervised", world).tuning
    )


def test_what_was_chosen_elsewhere_is_taken_over(world: World) -> None:
    setting = {"heads": {"click": 0.3, "like": 0.1}, "nothing": 2.0}
    pinned = replace(
        world, chosen={"ranker": setting, "supervised": {"kind": "cap", "strength": 1.0}}
    )
    ranker = ranker_of(pinned)
    assert ranker.choice == ConditionalLogit(0.3, (("like", 0.1),), 2.0)
    assert setting_of(ranker) == setting


def test_every_signal_with_two_values_may_enter_once(world: World) -> None:
    tried = head_settings(world)
    assert tried[0] == {"heads": {"click": 1.0}, "nothing": None}
    assert all(set(s["heads"]) <= {"click", "like"} for s in tried)
    assert len(tried) == len({str(s) for s in tried}) == 18


def test_a_learner_keeps_the_ranker_from_which_it_started(world: World, tmp_path: Path) -> None:
    setting = {"heads": {"click": 0.3, "like": 0.1}, "nothing": 2.0}
    chosen = {
        "ranker": setting,
        "supervised": {"kind": "none", "strength": 0.0},
        "start": {"policy": "supervised"},
    }
    pinned = replace(world, chosen=chosen)
    agent = find_agent("plackett-luce")(pinned)
    assert agent.chosen() == chosen
    agent.save(tmp_path)
    again = find_agent("plackett-luce").load(tmp_path, replace(world, objective=(1.0, 5.0, 0.0)))
    assert again.chosen() == chosen and again.face.start.policy.ranker.choice.click == 0.3
    seen, luck = observed(world)
    greedy = supervised_with(pinned, PLAIN).act(seen, luck).slate
    assert torch.equal(agent.act(seen, luck).slate, greedy)
    assert find_agent("plackett-luce")(pinned, PPOSettings(shortlist=0)).chosen() == {}
