"""Raw events instead of a learned state: the same observations, and a program that needs torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_log import shop_log
from small_movielens import small_home
from small_worlds import learned_world

from slategym.agents.core.agent import Agent
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.sb3.algorithms import StableSAC
from slategym.agents.sb3.proto import ProtoSAC
from slategym.agents.serving.events import (
    EVENTS,
    Events,
    encoder_of,
    last_state,
    observed,
    replaced,
)
from slategym.agents.serving.export import check, export
from slategym.envs import engine
from slategym.envs.engine import arrive
from slategym.envs.luck import Luck
from slategym.envs.observation import show
from slategym.envs.types import World
from slategym.models.simulator.world import learned_world as world_of_log

TINY = PPOSettings(num_steps=24, num_users=4, rollout=3, epochs=1, minibatch=6)
UNTUNED = {  # what is tuned is another matter
    "ranker": {"heads": {"click": 1.0}, "nothing": None},
    "supervised": {"kind": "none", "strength": 0.0},
    "start": {"policy": "supervised"},
}
SMALL = StableSAC(num_steps=12, num_users=2, updates=1, batch=4, buffer=20, warm_up=4)


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


@pytest.fixture(scope="module")
def agent(world: World) -> Agent:
    return PlackettLuce(world, TINY).learn(world)


@pytest.fixture(scope="module")
def shop_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A log's own columns; every third dwell was not observed, nor every fifth device."""
    log = shop_log(72, 48)
    row_E = np.arange(len(log.events))
    events = log.events.assign(
        dwell=log.events["dwell"].mask(row_E % 3 == 0),
        device=log.events["device"].mask(row_E // 40 % 5 == 0, -1),
    )
    with small_home(tmp_path_factory.mktemp("home")):
        told = replace(log, events=events, sha256="5" * 64)
        world = world_of_log(told, users="evaluation", fit="light")
        with torch.no_grad():  # columns start at zero: make them matter
            encoder = encoder_of(world)
            assert encoder is not None
            sequence = encoder.model.sequence
            for inputs in (sequence.start_columns, sequence.request_columns):
                for table in inputs.parameters():
                    table += torch.arange(table.numel()).view_as(table).sin()
            observer = replace(world.observer, encoder=encoder.prepared(world.population))
        yield replace(world, observer=observer, chosen=UNTUNED)


def test_all_positions_at_once_say_what_event_by_event_says(world: World) -> None:
    encoder = encoder_of(world)
    assert encoder is not None
    arrival = arrive(world.population, torch.arange(20, dtype=torch.int32))
    torch.testing.assert_close(
        last_state(encoder, arrival), encoder.read(arrival).state, rtol=1e-4, atol=1e-5
    )


def test_events_lead_to_the_sessions_own_observations(world: World, agent: Agent) -> None:
    """Through a whole session, with and without clicks: state, history, feedback and ages."""
    assert _clicks_of_a_session(world, agent) > 10


def test_context_columns_and_unobserved_signals_reach_the_program(shop_world: World) -> None:
    arrival = arrive(shop_world.population, torch.arange(shop_world.population.size))
    assert arrival.feedback is not None and arrival.extra is not None
    assert arrival.feedback.isnan().any() and (arrival.extra == -1).any()
    agent = PlackettLuce(shop_world, TINY)
    assert _clicks_of_a_session(shop_world, agent) > 0
    exported = export(agent)
    assert exported.inputs["arrival"].shape[1] == 3
    assert check(agent, exported) == 100


def _clicks_of_a_session(world: World, agent: Agent) -> int:
    """Clicks while raw events and sessions say the same before every slate."""
    encoder = encoder_of(world)
    assert encoder is not None
    B = min(20, world.population.size)
    user_B = torch.arange(B, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    events, clicks = Events.of(world, session), torch.zeros(B)
    for _ in range(world.horizon):
        seen = show(world, engine.observe(world, session))
        rest = {name: x for name, x in seen.items() if name not in replaced(world)}
        found = observed(world, events.shown() | rest)
        assert found.keys() == seen.keys()
        for name, x in seen.items():
            torch.testing.assert_close(found[name], x, rtol=1e-3, atol=1e-4)
        slate_BK = agent.act(
            engine.observe(world, session), Luck.at(session.key, session.step)
        ).slate
        items, _ = engine.pick(world, session, slate_BK)
        session, outcome = engine.transition(world, session, slate_BK)
        clicks += outcome.feedback[..., 0].sum(1)
        events = events.after(items.id, outcome, encoder.seconds)
    assert clicks.min() < clicks.max()
    return int(clicks.sum())


ELSEWHERE = """
import sys

class Nothing:  # as if only torch were installed
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("slategym", "transformers", "stable_baselines3", "gymnasium"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
import torch
from safetensors.torch import load_file, save_file

policy, events = torch.jit.load("policy.pt"), load_file("events.safetensors")
names = sys.argv[1:]
slate = policy(*(events[name] for name in names))
events["earlier_item"] = torch.cat([events["earlier_item"], slate], 1)  # had they taken it all
then = policy(*(events[name] for name in names))
mask = torch.ones(len(slate), NUM_ITEMS, dtype=torch.int8).scatter(1, then.long(), 0)
last = policy.masked(*(events[name] for name in names), mask)  # nor these: the caller's own wish
save_file({"slate": slate, "then": then, "last": last}, "slate.safetensors")
"""


@pytest.mark.parametrize("kind", ["plackett-luce", "proto-sac"])
def test_another_process_serves_from_raw_events_with_torch_alone(
    world: World, agent: Agent, kind: str, tmp_path: Path
) -> None:
    ours = agent if kind == "plackett-luce" else ProtoSAC(world, SMALL).learn(world)
    exported = export(ours)
    assert check(ours, exported) == 100
    assert {*EVENTS, "earlier_item"} < set(exported.inputs)
    assert not {"state", "action_mask"} & set(exported.inputs)
    exported.write(tmp_path / "policy.pt")
    user_B = torch.arange(7, dtype=torch.int32)  # not the batch that it was recorded with
    session = engine.start(world, user_B, user_B, 0 * user_B)
    observation = engine.observe(world, session)
    events = show(world, observation) | Events.of(world, session).shown()
    given = {name: events[name].contiguous() for name in exported.inputs}
    save_file(given, tmp_path / "events.safetensors")
    program = ELSEWHERE.replace("NUM_ITEMS", str(world.catalogue.num_items))
    command = [sys.executable, "-c", program, *exported.inputs]
    subprocess.run(command, check=True, cwd=tmp_path)
    served = load_file(tmp_path / "slate.safetensors")
    expected_BK = ours.act(observation, Luck.at(session.key, session.step)).slate
    assert served["slate"].tolist() == expected_BK.tolist()
    assert observation.allowed is not None and not observation.allowed.all()
    for slate_K, then_K, last_K, allowed_N in zip(
        *served.values(), observation.allowed, strict=True
    ):
        different = {*slate_K.tolist(), *then_K.tolist(), *last_K.tolist()}
        assert len(different) == 3 * world.slate_size and allowed_N[list(different)].all()
