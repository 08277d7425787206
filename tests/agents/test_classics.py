"""Classics as policies: what they read, what they choose, where they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_worlds import agent_log_of, learned_world, small_log

from slategym.agents.baselines.classics import Fitted, chosen, classic, events_of
from slategym.agents.baselines.one_step import OneStep
from slategym.agents.core.tuning import Budget
from slategym.agents.entries import POLICIES
from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError, load_object
from slategym.envs.registry import make_world
from slategym.envs.types import Arrival, Observation, World
from slategym.models.classics.families import FAMILIES, Rows

pytestmark = pytest.mark.usefixtures("whole_searches")


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What short searches of other files found is kept in theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLATEGYM_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


def first_observation(world: World, num: int = 8) -> tuple[Observation, Luck]:
    user_B = torch.arange(num, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


@pytest.mark.parametrize("name", ["ease", "knn", "transitions"])
def test_slates_are_the_best_of_what_the_history_speaks_for(world: World, name: str) -> None:
    policy = classic(world, name)
    observation, luck = first_observation(world)
    slate_BK = policy.act(observation, luck).slate.long()
    events = events_of(world.agent_log, 40)
    settings = chosen(events, name, repeats=False)
    weight_NN = FAMILIES[name].fit(Rows(events, np.ones(events.num_rows, bool)), settings).weight_NN
    for user in range(8):
        clicked = [i for i in observation.history.id[user].tolist() if i >= 0]
        weights = [settings["fade"] ** age for age in range(len(clicked))][::-1]
        score_N = sum(w * weight_NN[i] for w, i in zip(weights, clicked, strict=True))
        score_N = score_N.masked_fill(~observation.allowed[user], -torch.inf)
        best_K = score_N.topk(world.slate_size).values
        torch.testing.assert_close(score_N[slate_BK[user]], best_K, atol=1e-6, rtol=1e-5)


def test_the_log_decides(world: World) -> None:
    """In this log item 7 comes after item 3 and nothing else does."""
    log = small_log(12, 40, seed=3)
    events = log.events.copy()
    events["item"] = np.where(np.arange(len(events)) % 2 == 0, 3, 7).astype(np.int32)
    told = replace(agent_log_of(replace(log, events=events)), repeats=True)
    policy = classic(replace(world, agent_log=told), "transitions")
    observation, luck = first_observation(world)
    history = replace(observation.history, id=torch.full_like(observation.history.id, 3))
    free = replace(observation, history=history, allowed=None)
    assert 7 in policy.act(free, luck).slate[0]


def test_a_cap_holds(world: World) -> None:
    observation, luck = first_observation(world)
    policy = make_policy("ease-cap1", world)
    assert policy.name == "ease-cap1"
    topic_BK = world.catalogue.topic[policy.act(observation, luck).slate.long()]
    assert all(len(set(row)) == world.slate_size for row in topic_BK.tolist())


def test_candidates_are_ranked_by_their_items(world: World) -> None:
    policy = classic(world, "ease").inner
    observation, luck = first_observation(world)
    whole_BK = policy.act(replace(observation, allowed=None), luck).slate.long()
    turned_BC = torch.arange(39, -1, -1, dtype=torch.int32).expand(8, -1)
    offered = replace(observation, candidates=turned_BC, allowed=None)
    item_BK = 39 - policy.act(offered, luck).slate.long()
    score_BN = policy.model.score(policy.model.initial(observation.history.id))
    torch.testing.assert_close(score_BN.gather(1, item_BK), score_BN.gather(1, whole_BK))
    assert (item_BK == whole_BK).float().mean() > 0.7  # others are level


def test_settings_are_chosen_once_and_without_the_people_of_the_world(world: World) -> None:
    events = events_of(world.agent_log, 40)
    first = chosen(events, "ease", repeats=False)
    assert set(first) == {"fade", "ridge"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slategym.agents.baselines.classics.choose", None)  # would fail if called
        assert chosen(events, "ease", repeats=False) == first


def test_worlds_without_a_log_or_a_history_are_told_so(world: World) -> None:
    with pytest.raises(UsageError, match="has no log that agents may read: ease needs a learned"):
        make_policy("ease", make_world("Sardine-SlateTopK-Bored-v0"))
    with pytest.raises(UsageError, match="small shows no history of clicks, which knn ranks by"):
        make_policy("knn", replace(world, history_size=0))


def test_fade_mix_and_cap_are_tuned_on_selection_people() -> None:
    small = learned_world()
    world = replace(small, selection=lambda: small)
    fitted = Fitted.of(world, "ease-transitions")
    tried = fitted.tries(world)
    assert tried[0] == {**fitted.settings, "cap": None}
    assert {s["cap"] for s in tried} == {None, 2, 1}
    assert len({s["weight"] for s in tried}) == 3 and len({s["ease.fade"] for s in tried}) >= 3
    assert len(tried) == len({str(s) for s in tried})
    found = fitted.tune(world, Budget(9_000))
    assert len(found.tried) == len(tried) and found.slates == 3_000
    policy = make_policy("ease-transitions", replace(world, chosen={found.name: found.chosen}))
    assert policy.name == "ease-transitions" and policy.tuning.chosen in tried
    assert policy.inner.cap == policy.tuning.chosen["cap"]
    assert policy.inner.model.weight == policy.tuning.chosen["weight"]


def test_what_is_tuned_of_a_policy_is_told() -> None:
    world = learned_world()
    for name, entry in POLICIES.items():
        if entry.tuning is not None:
            steps = load_object(entry.tuning)(world)
            assert steps and all(not step.tried for step in steps), name
            if entry.build is not None:  # what must be trained has its start tuned
                assert make_policy(name, world).tuning.name in {step.name for step in steps}


def test_gp_ranks_by_odds_and_value_of_a_click(world: World) -> None:
    policy = make_policy("gp", world)
    assert isinstance(policy, OneStep) and policy.name == "gp"
    observation, luck = first_observation(world)
    slate_BK = policy.act(observation, luck).slate.long()
    assert bool(observation.allowed.gather(1, slate_BK).all())
    taste = policy.users.taste
    history = observation.history
    arrival = Arrival(
        torch.arange(8, dtype=torch.int32), None, history.id, history.feedback, None, None, None
    )
    click_BN, like_BN, rating_BN = taste.score(taste.initial(arrival), None, observation.context)
    worth_BN = sum(
        weight * task.mean(output_BN, like_BN.sigmoid() if task.given else None)
        for task, output_BN, weight in zip(
            taste.tasks[1:], (like_BN, rating_BN), policy.weights[1:], strict=True
        )
    )
    score_BN = click_BN + (policy.weights[0] + worth_BN).clamp(min=1e-6).log()
    score_BN = score_BN.masked_fill(~observation.allowed, -torch.inf)
    best_BK = score_BN.topk(world.slate_size).values
    torch.testing.assert_close(score_BN.gather(1, slate_BK), best_BK, atol=1e-4, rtol=1e-4)
    again = make_policy("gp", world)  # kept: read back
    assert torch.equal(again.act(observation, luck).slate.long(), slate_BK)
    capped = make_policy("gp-cap1", world)
    topic_BK = world.catalogue.topic[capped.act(observation, luck).slate.long()]
    assert all(len(set(row)) == world.slate_size for row in topic_BK.tolist())
