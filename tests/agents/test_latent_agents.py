"""GeMS and HAC: a known optimum, the learners' contract, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from five_items import BEST, five_items
from small_worlds import learned_world

from slategym.agents.core.agent import Agent, Callback, Progress
from slategym.agents.entries import POLICIES
from slategym.agents.latent.gems import Gems, GemsSettings
from slategym.agents.latent.hac import Hac, HacSettings
from slategym.agents.registry import find_agent
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

LEARNERS: dict[str, tuple[Any, Any]] = {  # long enough for five items; hardly any
    "gems": (
        GemsSettings(
            num_steps=4_000,
            num_users=32,
            logging="random",
            num_logged=512,
            epochs=40,
            latent_width=4,
            divergence_weight=0.1,
            updates=6,
            gamma=0.0,
            warm_up=1_000,
            buffer=8_000,
        ),
        GemsSettings(
            num_steps=160,
            num_users=8,
            logging="random",
            num_logged=64,
            epochs=24,
            latent_width=4,
            updates=1,
            warm_up=64,
            buffer=96,
        ),
    ),
    "hac": (
        HacSettings(
            num_steps=4_000,
            num_users=32,
            noise=0.5,
            behaviour_rate=1e-3,
            gamma=0.0,
            batch=64,
            updates=2,
            warm_up=1_000,
            buffer=8_000,
        ),
        HacSettings(
            num_steps=160, num_users=8, width=4, warm_up=64, batch=16, updates=1, buffer=96
        ),
    ),
}
BOTH = pytest.mark.parametrize("name", LEARNERS)


def tiny(name: str, world: World, seeds: tuple[int, ...] = (0,)) -> Agent:
    return find_agent(name)(world, LEARNERS[name][1], seeds=seeds)


def observed(world: World, num: int = 16) -> tuple[Observation, Luck]:
    user_B = torch.arange(num, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, user_B * 0)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def same(one: Agent, other: Agent) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@BOTH
def test_it_finds_the_best_slate_of_five_items(name: str) -> None:
    world = five_items()
    agent = find_agent(name)(world, LEARNERS[name][0]).learn(world)
    observation, luck = observed(world)
    slate_BK = agent.act(observation, luck).slate
    assert {frozenset(slate) for slate in slate_BK.tolist()} == {frozenset(BEST)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hacs_critic_and_actor_find_it_without_the_behaviour_loss(seed: int) -> None:
    world, quick = five_items(), LEARNERS["hac"][0]
    settings = replace(quick, num_steps=9_000, updates=5, behaviour_rate=0.0)
    agent = Hac(world, settings, seeds=(seed,)).learn(world)
    observation, luck = observed(world)
    slate_BK = agent.act(observation, luck).slate
    assert {frozenset(slate) for slate in slate_BK.tolist()} == {frozenset(BEST)}


@BOTH
def test_it_serves_what_it_served_before_it_was_saved(name: str, tmp_path: Path) -> None:
    world = five_items()
    agent = tiny(name, world, (3, 4)).learn(world)
    agent.save(tmp_path)
    again = find_agent(name).load(tmp_path, world)
    observation, luck = observed(world, 64)
    for serving in (0, 1):
        agent.serving = again.serving = serving
        for choose in ("act", "explore"):
            before, after = (getattr(x, choose)(observation, luck) for x in (agent, again))
            assert torch.equal(before.slate, after.slate)
    assert not torch.equal(agent.explore(observation, luck).slate, before.slate[:, [1, 0]])


@BOTH
@pytest.mark.parametrize("stop", [5, 10, 19])
def test_killed_and_resumed_it_ends_where_it_would_have_ended(
    name: str, stop: int, tmp_path: Path
) -> None:
    world = five_items()
    unbroken, killed, resumed = [0], [0], [0]  # cycles

    def count(cycles: list[int], most: int = 10**6) -> Callback:
        def tell(now: Progress) -> bool:
            cycles[0] += 1
            return cycles[0] < most

        return tell

    whole = tiny(name, world).learn(world, callback=count(unbroken))
    tiny(name, world).learn(world, callback=count(killed, stop), folder=tmp_path)
    again = tiny(name, world).learn(world, callback=count(resumed), folder=tmp_path)
    assert same(whole, again)
    assert killed[0] == stop and resumed[0] == unbroken[0] - stop


@BOTH
def test_other_settings_are_refused_on_resume(name: str, tmp_path: Path) -> None:
    world = five_items()
    tiny(name, world).learn(world, folder=tmp_path)
    changed = replace(LEARNERS[name][1], gamma=0.5)
    with pytest.raises(UsageError, match="gamma"):
        find_agent(name)(world, changed).learn(world, folder=tmp_path)


@BOTH
def test_seed_7_of_three_is_seed_7_alone(name: str) -> None:
    world = five_items()
    together, alone = (tiny(name, world, s).learn(world) for s in ((2, 5, 7), (7,)))
    assert torch.equal(together.replay.columns["reward"][2], alone.replay.columns["reward"][0])
    for label, x in alone.weights().items():
        torch.testing.assert_close(together.weights()[label][2], x[0], atol=1e-5, rtol=1e-4)
    others = together.weights()
    assert any(not torch.allclose(x[0], x[2]) for x in others.values())


@BOTH
@pytest.mark.parametrize(
    "id", ["InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0", "DayInLife-v0", "learned"]
)
def test_it_learns_in_any_world(name: str, id: str) -> None:
    if id == "learned":
        world = learned_world()
    else:
        world = make_world(id, num_items=60) if "Sardine" in id else make_world(id)
    agent = tiny(name, world).learn(world)
    observation, luck = observed(world)
    slate_BK = agent.act(observation, luck).slate
    assert slate_BK.shape == (16, world.slate_size) and slate_BK.dtype == torch.int32
    assert all(len(set(slate)) == world.slate_size for slate in slate_BK.tolist())
    if observation.allowed is not None:
        assert observation.allowed.gather(1, slate_BK.long()).all()


def test_the_log_of_a_trained_policy_is_refused() -> None:
    world = five_items()
    agent = Gems(world, GemsSettings(logging="proto-sac"))
    with pytest.raises(UsageError, match="must be trained before it can act"):
        agent.begin(world)


def test_heads_are_refused_where_there_are_none() -> None:
    with pytest.raises(UsageError, match="has no multi-task heads"):
        Hac(five_items(), HacSettings(heads=0.5))
    with pytest.raises(UsageError, match=r"heads must be in \[0, 1\], got 2"):
        Hac(learned_world(), HacSettings(heads=2.0))


@pytest.mark.parametrize("heads", [0.0, 0.5, 1.0])
def test_labels_are_clicks_blended_with_what_the_heads_believe(heads: float) -> None:
    world = learned_world()
    agent = Hac(world, replace(LEARNERS["hac"][1], heads=heads)).learn(world)
    label_X = agent.replay.columns["label"].flatten()
    sure_X = (label_X == 0) | (label_X == 1)
    if heads == 0.0:
        assert sure_X.all()
    else:
        assert not sure_X.any()
        split = (label_X > heads).float().mean()  # a click adds 1 - heads
        assert heads == 1.0 or 0.0 < split < 1.0


def test_both_are_in_the_list() -> None:
    for name in LEARNERS:
        entry = POLICIES[name]
        assert entry.kind == "learner" and entry.build is None
