"""Learners begin as the best of what was tuned: `supervised`, however various, or a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste
from torch import Tensor

from slategym.agents.core.start import start_of, tune_start
from slategym.agents.core.supervised import supervised_with
from slategym.agents.core.tuning import Budget
from slategym.agents.entries import POLICIES
from slategym.agents.policies import history_rule_tuned, supervised
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.registry import find_agent, make_policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

K, B = 4, 20
TRACE, CAP = {"strength": 3.0, "fading": 0.7}, {"most": 1, "of": 4}
RANKER = {"heads": {"click": 0.3, "like": 0.1}, "nothing": 1.0}
DIVERSITIES = [
    ("none", 0.0),
    ("cap", 1.0),
    ("cap", 2.0),
    ("quota", 0.1),
    ("quota", 3.0),
    ("quota", 30.0),
    ("mmr", 0.5),
    ("mmr", 4.0),
    ("dpp", 0.1),
    ("dpp", 2.0),
]


def world_with(kind: str, strength: float) -> World:
    """Where that diversity is the one that was chosen."""
    chosen = {"ranker": RANKER, "supervised": {"kind": kind, "strength": strength}}
    return replace(learned_world(slate_size=K), chosen=chosen)


def requests(world: World) -> list[tuple[Observation, Luck]]:
    """Of everybody, three slates long."""
    user_B = torch.arange(B, dtype=torch.int32)
    session, found = engine.start(world, user_B, user_B, 0 * user_B), []
    for _ in range(3):
        observation = engine.observe(world, session)
        now = Luck.at(session.key, session.step)
        found.append((observation, now))
        session, _ = engine.transition(
            world, session, supervised(world).act(observation, now).slate
        )
    return found


@pytest.mark.parametrize(("kind", "strength"), DIVERSITIES)
def test_before_it_learns_it_serves_what_supervised_serves(kind: str, strength: float) -> None:
    world = world_with(kind, strength)
    agent = PlackettLuce(world)
    for observation, now in requests(world):
        ours, theirs = agent.act(observation, now), supervised(world).act(observation, now)
        assert torch.equal(ours.slate, theirs.slate)


def test_diversities_differ_here() -> None:
    """Otherwise the test above would show nothing."""
    slates = set()
    for kind, strength in DIVERSITIES:
        world = world_with(kind, strength)
        slates.add(str([supervised(world).act(*r).slate.tolist() for r in requests(world)]))
    assert len(slates) >= 8  # the strongest quotas are caps of one


@pytest.mark.parametrize(("kind", "strength"), [("quota", 0.3), ("cap", 1.0), ("mmr", 0.5)])
def test_it_explores_around_that(kind: str, strength: float) -> None:
    """Of many draws for one request, each item of the slate is likelier than what is not in it."""
    world = world_with(kind, strength)
    agent = PlackettLuce(world)
    user_B = torch.zeros(4_000, dtype=torch.int32)
    observation = engine.observe(world, engine.start(world, user_B, user_B, user_B))
    luck = Luck.at(torch.arange(4_000).int(), user_B)
    share_N = _shares(agent.explore(observation, luck).slate, 40)
    slate_K = supervised_with(world, world.chosen["supervised"]).act(observation, luck).slate[0]
    rest_N = share_N.clone()
    rest_N[slate_K.long()] = 0.0
    assert share_N[slate_K.long()].min() > rest_N.max()


def test_what_it_began_from_is_kept_with_it(tmp_path) -> None:
    world = world_with("quota", 0.7)
    PlackettLuce(world, PPOSettings(shortlist=12)).save(tmp_path)
    again = PlackettLuce.load(tmp_path, learned_world(slate_size=K))
    assert again.chosen() == {
        "ranker": RANKER,
        "supervised": {"kind": "quota", "strength": 0.7},
        "start": {"policy": "supervised"},  # there was nobody to decide
    }
    assert again.face.start.policy.diversity.strength == 0.7


def with_rule(world: World, rule: Mapping[str, Any] = TRACE) -> World:
    """Where this history rule is what learners begin from."""
    return replace(
        world, chosen={**world.chosen, "history-rule": rule, "start": {"policy": "history-rule"}}
    )


@pytest.mark.parametrize("rule", [TRACE, CAP])
def test_before_it_learns_it_serves_what_the_rule_serves_if_that_is_its_start(
    rule: Mapping[str, Any], tmp_path: Path
) -> None:
    world = with_rule(world_with("cap", 1.0), rule)
    PlackettLuce(world).save(tmp_path)
    again = PlackettLuce.load(tmp_path, learned_world(slate_size=K))
    assert again.chosen()["history-rule"] == rule
    differ = 0
    for observation, now in requests(world):
        theirs = history_rule_tuned(world).act(observation, now).slate
        for agent in (PlackettLuce(world), again):
            assert torch.equal(agent.act(observation, now).slate, theirs)
        differ += int((supervised(world).act(observation, now).slate != theirs).sum())
    assert differ  # else nothing was shown


@pytest.mark.parametrize("name", [name for name, entry in POLICIES.items() if entry.agent])
def test_who_names_its_start_serves_just_that_before_it_learns(name: str) -> None:
    """So that whoever serves its start need not be read again."""
    plain = world_with("cap", 1.0)
    for world in (plain, with_rule(plain), with_rule(plain, CAP)):
        try:
            agent = find_agent(name)(world)
        except UsageError:
            return  # it cannot act here
        if agent.start_name is None:
            return
        start, named = agent.at_start(), make_policy(agent.start_name, world)
        for observation, now in requests(world):
            theirs = named.act(observation, now).slate
            assert torch.equal(start.act(observation, now).slate, theirs)


def test_starts_have_the_names_of_policies() -> None:
    plain = world_with("cap", 1.0)
    names = {name: find_agent(name)(plain).start_name for name in ("linear-bandit", "lookahead")}
    assert set(names.values()) == {"supervised"}
    assert PlackettLuce(plain).start_name == "supervised"
    assert PlackettLuce(with_rule(plain)).start_name == "history-rule"
    assert PlackettLuce(plain, PPOSettings(serve="draw")).start_name is None
    assert PlackettLuce(plain, PPOSettings(shortlist=0)).start_name is None


def test_the_start_is_what_earns_more_before_selection_people() -> None:
    """Who shows what is not wanted is mended by a rule that turns away from it; else it harms."""
    taste = plain_taste([-2.0, -2.0, -2.0, 1.0, 1.0, 1.0], [-2.0] * 3 + [1.0] * 3)
    right, wrong = [0.0, 0.0, 0.0, 1.0, 1.1, 1.2], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    chosen = {
        "ranker": {"heads": {"click": 1.0}, "nothing": None},
        "supervised": {"kind": "none", "strength": 0.0},
        "history-rule": {"strength": 50.0, "fading": 0.9},
    }
    for believed, better in ((right, "supervised"), (wrong, "history-rule")):
        people = fixed_world(taste, [0, 0, 0, 1, 1, 1], believed, slate_size=2, horizon=10)
        world = replace(people, selection=lambda people=people: people, chosen=chosen)
        found = tune_start(world, Budget(20_000))
        assert found.chosen == {"policy": better} and len(found.tried) == 2


def test_a_rule_that_gains_nothing_clear_is_no_start() -> None:
    """Its slates are those of the ranker, but for a click now and then: a draw, won by luck."""
    taste = plain_taste([0.0] * 6, [1.0] * 6)
    chosen = {
        "ranker": {"heads": {"click": 1.0}, "nothing": None},
        "supervised": {"kind": "none", "strength": 0.0},
        "history-rule": {"strength": 50.0, "fading": 0.9},
    }
    believed = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    people = fixed_world(taste, [0, 0, 0, 1, 1, 1], believed, slate_size=2, horizon=10)
    world = replace(people, selection=lambda: people, chosen=chosen)
    found = tune_start(world, Budget(20_000))
    assert found.chosen == {"policy": "supervised"}
    assert "which is not clear" in found.note
    assert found.tried[0].sessions == found.tried[1].sessions


def test_only_who_asks_for_rules_begins_from_one() -> None:
    world = with_rule(world_with("none", 0.0))
    plain, ruled = start_of(world, 12), start_of(world, 12, rules=True)
    assert plain.rule is None and ruled.rule is not None
    assert ruled.sharpness > plain.sharpness  # draws keep nearer to a rule


def _shares(slate_BK: Tensor, num_items: int) -> Tensor:
    return torch.bincount(slate_BK.flatten().long(), minlength=num_items) / len(slate_BK)
