"""Every policy by name acts, says what it is, and is refused where it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_agents import Counting
from small_worlds import learned_world

from slategym.agents.core.supervised import ranker_of
from slategym.agents.entries import POLICIES
from slategym.agents.policies import popularity
from slategym.agents.registry import (
    find_agent,
    load_agent,
    make_policies,
    make_policy,
    policies,
    register_agent,
    register_policy,
    seeds_of,
)
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World

NAMED = {"capped": "myopic-cap2"}  # who calls itself otherwise


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


def act_once(world: World, name: str) -> torch.Tensor:
    policy = make_policy(name, world)
    assert policy.name == NAMED.get(name, name)
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    observation = engine.observe(world, session)
    if policy.privileged:
        observation = replace(observation, hidden=session)
    action = policy.act(observation, Luck.at(session.key, session.step))
    if action.logp is not None:
        assert action.logp.shape == (8,) and (action.logp <= 0).all()
    assert engine.pick(world, session, action.slate)[1].all()  # every slot holds something
    return action.slate


@pytest.mark.parametrize("name", [n for n, entry in POLICIES.items() if entry.build])
def test_every_policy_fills_its_slates(world: World, name: str) -> None:
    slate_BK = act_once(world, name)
    assert slate_BK.shape == (8, world.slate_size) and slate_BK.dtype == torch.int32


@pytest.mark.parametrize("id", ["InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0"])
@pytest.mark.parametrize("name", ["random", "popularity", "myopic", "capped"])
def test_what_needs_no_supervised_model_acts_in_any_world(id: str, name: str) -> None:
    act_once(make_world(id), name)


def test_references_alone_are_privileged(world: World) -> None:
    for name, entry in POLICIES.items():
        if entry.build is not None:
            assert entry.make(world).privileged == (entry.kind == "reference"), name


def test_the_rankers_values_are_the_worlds_objective(world: World) -> None:
    ranker = ranker_of(replace(world, objective=(0.3, 0.7, 0.2)))
    assert ranker.weights == (("click", 0.3), ("like", 0.7), ("rating", 0.2))


def test_strengths_of_ones_own_are_named(world: World) -> None:
    for name in ("supervised-mmr0.7", "supervised-mmr2", "supervised-cap5"):
        act_once(world, name)
    for name in ("supervised-mmr-1", "supervised-cap0", "supervised-cap1.5"):
        with pytest.raises(UsageError, match="unknown policy"):
            make_policy(name, world)


def test_what_cannot_be_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match=r"unknown policy 'supervized'; did you mean 'supervised'"):
        make_policy("supervized", world)
    for name in ("plackett-luce", "proto-sac"):
        with pytest.raises(UsageError, match=f"{name} must be trained before it can act"):
            make_policy(name, world)
    blind = replace(world, observer=None)
    for name in ("supervised", "rule-aware"):
        with pytest.raises(UsageError, match="small has no supervised model"):
            make_policy(name, blind)


def test_a_folder_names_what_was_trained(world: World, tmp_path: Path) -> None:
    agent = find_agent("linucb")(world)
    agent.save(str(tmp_path / "saved"))  # a path may be a string
    for name in (tmp_path / "saved", str(tmp_path / "saved"), f"{tmp_path / 'saved'}#0"):
        assert make_policy(name, world).name == "linucb"
        assert list(make_policies(name, world)) == [0] == list(seeds_of(name))
    assert list(make_policies("random", world)) == [None] and seeds_of("random") == ()
    with pytest.raises(UsageError, match="linucb was not trained with seed 3; its seeds are 0"):
        load_agent(f"{tmp_path / 'saved'}#3", world)
    with pytest.raises(UsageError, match="holds an agent named linucb, not thompson"):
        find_agent("thompson").load(str(tmp_path / "saved"), world)


def test_a_path_that_holds_nothing_is_called_a_path(tmp_path: Path, world: World) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "training.json").write_text("{}")
    (tmp_path / "file").write_text("")
    messages = {
        "nope": "there is no folder",
        "begun": "is not finished; call slategym train again",
        "file": "is a file; give the folder",
        "": "holds no trained policy: agent.json",
    }
    for name, message in messages.items():
        for place in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(UsageError, match=message):
                make_policy(place, world)
            with pytest.raises(UsageError, match=message):
                load_agent(place, world)


def test_policies_and_learners_of_ones_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "own", dict(policies.own))
    with pytest.raises(UsageError, match="plackett-luce-gamma0 must be trained"):
        make_policy("plackett-luce-gamma0", world)
    assert make_policy("slategym.agents.policies:random", world).name == "random"
    register_policy("mine", "slategym.agents.policies:popularity")
    assert make_policy("mine", world).name == "popularity"
    register_policy("same", popularity)
    assert make_policy("same", world).name == "popularity"
    register_agent("counting", Counting)
    assert find_agent("counting").name == find_agent("small_agents:Counting").name == "counting"
    with pytest.raises(UsageError, match="there is a policy 'mine' already"):
        register_agent("mine", "small_agents:Counting")
    with pytest.raises(UsageError, match="is no learner"):
        find_agent("slategym.agents.policies:random")
    with pytest.raises(UsageError, match="counting must be trained"):
        make_policy("counting", world)
