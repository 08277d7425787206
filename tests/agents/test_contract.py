"""What every learner promises, asked of all that are registered: to register one is to test it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from five_items import five_items
from safetensors.torch import load_file
from small_worlds import learned_world
from torch import Tensor

from slategym.agents.core.agent import CHECKPOINT, Agent, Progress
from slategym.agents.entries import FROM_REFIT, POLICIES, PRESENT
from slategym.agents.registry import find_agent, find_entry
from slategym.agents.serving.export import check, export
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import show
from slategym.envs.types import Observation, Session, World

LEARNERS = [name for name, entry in POLICIES.items() if entry.agent is not None]
VARIANTS = (  # of learners, which keep the contract as the learners do
    f"plackett-luce{PRESENT}",
    f"plackett-luce{FROM_REFIT}",
    f"adaptive-trace{FROM_REFIT}",
)
SMALL = {  # settings of those that have them: seconds become milliseconds
    **{"num_steps": 96, "num_users": 4, "rollout": 4, "minibatch": 16, "batch": 16},
    **{"buffer": 400, "warm_up": 40, "updates": 1, "epochs": 1, "num_logged": 200},
    **{"depth": 3, "futures": 2, "pairs": 2},
}
LONGER = {"slateq": 300}  # slates, of those that show many between two reports
REPEATS = {  # slots know nothing of one another, and may hold one item twice
    *(("ppo-multidiscrete", how) for how in ("act", "explore")),
    ("reinforce-topk", "explore"),
}
TAG = re.compile(r"[a-z]+/[a-z_]+")


def small_settings(agent: type[Agent]) -> Any:
    """Its default settings, made small."""
    default = agent.default_settings()
    small = {**SMALL, "num_steps": LONGER.get(agent.name, SMALL["num_steps"])}
    return replace(default, **{f.name: small[f.name] for f in fields(default) if f.name in small})


def world_for(agent: type[Agent]) -> World:
    """The first of the small worlds that it can act in."""
    plain = five_items()
    try:
        agent.check_world(plain)
    except UsageError:
        return learned_world()
    return plain


class Trained:
    """One learner, trained in two ways that must come to the same."""

    def __init__(self, name: str, folder: Path) -> None:
        self.agent_class = find_agent(name)
        self.world = world_for(self.agent_class)
        self.folder, self.told = folder, list[Progress]()
        before = torch.get_rng_state()
        np_before = np.random.get_state()[1].copy()  # noqa: NPY002
        self.agent = self.make().learn(self.world, callback=self.told.append, folder=folder / "a")
        self.left_generators_alone = torch.equal(before, torch.get_rng_state()) and bool(
            (np_before == np.random.get_state()[1]).all()  # noqa: NPY002
        )

    def make(self, **changes: Any) -> Agent:
        seeds = changes.pop("seeds", (3,))
        settings = replace(small_settings(self.agent_class), **changes)
        return self.agent_class(self.world, settings, seeds=seeds)

    @cached_property
    def seen(self) -> tuple[Session, Observation, Luck]:
        """Eight people after three random slates."""
        user_B = torch.arange(8, dtype=torch.int32)
        session = engine.start(self.world, user_B, user_B, torch.zeros_like(user_B))
        for _ in range(3):
            luck = Luck.at(session.key, session.step)
            score_BC = luck.uniform(7, self.world.num_candidates)
            slate_BK = score_BC.topk(self.world.slate_size, 1).indices.int()
            session, _ = engine.transition(self.world, session, slate_BK)
        luck = Luck.at(session.key, session.step)
        return session, engine.observe(self.world, session), luck


@pytest.fixture(scope="module", params=[*LEARNERS, *VARIANTS])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trained]:
    yield Trained(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", LEARNERS)
def test_it_says_what_it_is(name: str) -> None:
    agent, entry = find_agent(name), POLICIES[name]
    assert agent.name == name and entry.build is None and entry.one_line
    assert agent.__doc__ and not agent.privileged
    assert [c for c in agent.__subclasses__() if not c.name.endswith(PRESENT)] == []
    settings = agent.default_settings()
    assert is_dataclass(settings) and type(settings).__dataclass_params__.frozen
    assert len(fields(settings)) <= 12 and settings.num_steps > 0


@pytest.mark.parametrize("name", LEARNERS)
def test_whoever_discounts_can_be_told_to_look_at_the_present_only(name: str) -> None:
    agent, called = find_agent(name), f"{name}{PRESENT}"
    default = agent.default_settings()
    if not hasattr(default, "gamma"):
        with pytest.raises(UsageError, match=f"{name} has no gamma, so there is no {called}"):
            find_agent(called)
        return
    variant, entry = find_agent(called), find_entry(called)
    assert issubclass(variant, agent) and variant is find_agent(called)
    assert variant.name == called and variant.default_settings() == replace(default, gamma=0.0)
    assert entry.kind == "bandit" and entry.agent == POLICIES[name].agent
    with pytest.raises(UsageError, match=rf"{called} is {name} with gamma = 0, got 0\.5"):
        variant(world_for(agent), replace(default, gamma=0.5))


def test_it_tells_how_it_goes(trained: Trained) -> None:
    steps = [now.steps for now in trained.told]
    assert steps == sorted(steps) and len(set(steps)) >= 3
    assert trained.agent.steps == steps[-1] >= trained.agent.settings.num_steps
    for now in trained.told:
        assert now.figures["time/total_timesteps"] == now.steps
        for tag, value in now.figures.items():
            assert TAG.fullmatch(tag) and math.isfinite(value), tag
    tags = {tag for now in trained.told for tag in now.figures}
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "time/fps"} <= tags
    assert any(tag.startswith("train/") for tag in tags)


def test_the_generators_of_the_process_are_left_alone(trained: Trained) -> None:
    assert trained.left_generators_alone


@pytest.mark.parametrize("how", ["act", "explore"])
def test_slates_are_slates(trained: Trained, how: str) -> None:
    session, observation, luck = trained.seen
    action = getattr(trained.agent, how)(observation, luck)
    K, C = trained.world.slate_size, trained.world.num_candidates
    assert action.slate.shape == (8, K) and action.slate.dtype == torch.int32
    assert (action.slate >= 0).all() and (action.slate < C).all()
    if action.logp is not None:
        assert action.logp.shape == (8,) and (action.logp <= 1e-5).all()
    if (trained.agent.name, how) not in REPEATS:
        assert engine.pick(trained.world, session, action.slate)[1].all()


def test_nobody_is_served_by_who_else_is_there(trained: Trained) -> None:
    _, observation, _ = trained.seen
    shown = show(trained.world, observation)
    together = trained.agent.predict(shown)
    assert isinstance(together, Tensor)
    for b in (0, 5):
        alone = trained.agent.predict({name: x[b].numpy() for name, x in shown.items()})
        assert isinstance(alone, np.ndarray) and alone.tolist() == together[b].tolist()
    explored = trained.agent.predict(shown, deterministic=False)
    assert explored.shape == together.shape


def test_saved_and_loaded_it_serves_the_same(trained: Trained) -> None:
    again = trained.agent_class.load(trained.folder / "a", trained.world)
    assert again.settings == trained.agent.settings and again.steps == trained.agent.steps
    _, observation, luck = trained.seen
    ours, theirs = trained.agent.act(observation, luck), again.act(observation, luck)
    assert torch.equal(ours.slate, theirs.slate)


class Stopped(RuntimeError):
    """As a kill would."""


def test_stopped_anywhere_it_ends_bit_for_bit_as_the_unbroken_one(trained: Trained) -> None:
    folder = trained.folder / "b"
    stops = [now.steps for now in trained.told]
    for steps in (stops[0], stops[len(stops) // 2]):

        def tell(now: Progress, steps: int = steps) -> None:
            if now.steps >= steps:
                raise Stopped

        with pytest.raises(Stopped):
            trained.make().learn(trained.world, callback=tell, folder=folder, checkpoint_every=0.0)
    trained.make().learn(trained.world, folder=folder)
    whole, broken = (load_file(trained.folder / x / CHECKPOINT) for x in ("a", "b"))
    assert whole.keys() == broken.keys() and "steps" in whole
    different = [name for name, x in whole.items() if not torch.equal(x, broken[name])]
    assert different == []


def test_changed_settings_are_refused_by_name(trained: Trained) -> None:
    steps = trained.agent.settings.num_steps
    other = trained.make(num_steps=steps + 1)
    with pytest.raises(UsageError, match=f"num_steps {steps} there, {steps + 1} here"):
        other.learn(trained.world, folder=trained.folder / "a")


def test_side_by_side_a_seed_learns_as_it_does_alone(trained: Trained) -> None:
    if not trained.agent_class.several_seeds:
        with pytest.raises(UsageError, match="trains one seed at a time, got 2"):
            trained.make(seeds=(0, 1))
        return
    pair = trained.make(seeds=(0, 3)).learn(trained.world)
    pair.serving = 1
    for name, alone in trained.agent.weights().items():
        both = pair.weights()[name]
        if both.shape == (2, *alone.shape[1:]):
            torch.testing.assert_close(both[1], alone[0], rtol=1e-3, atol=1e-4)
    _, observation, luck = trained.seen
    assert torch.equal(
        pair.act(observation, luck).slate, trained.agent.act(observation, luck).slate
    )


def test_torch_alone_can_run_it(trained: Trained) -> None:
    agent = trained.agent_class.load(trained.folder / "a", trained.world)
    assert check(agent, export(agent)) == 100
