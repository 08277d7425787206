"""Settings are checked by kind and range at the door, from Python as from the command line."""

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_worlds import OWN

from slategym.agents.core.agent import check_settings
from slategym.agents.core.random_slates import Random
from slategym.agents.registry import find_agent, policies
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.slateq.agent import SlateQ, SlateQSettings
from slategym.envs import memory
from slategym.envs.gym import SlateVectorEnv, make_vector_env
from slategym.envs.identity import identity
from slategym.envs.memory import check_fits
from slategym.envs.names import UnknownSettingError, UsageError
from slategym.envs.outline import outline
from slategym.envs.registry import WORLDS, make_user_model, make_world
from slategym.envs.settings import Count, Range, Rate, check_kinds, fits, kinds_of_function
from slategym.envs.single import make_env
from slategym.envs.users.boredom import Boredom
from slategym.envs.worlds.workbench import workbench
from slategym.experiments.cli.agent_settings import read_agent_settings
from slategym.experiments.cli.pairs import read_pairs
from slategym.experiments.measure.play import play
from slategym.models.simulator.world import learned_world

IE, TOP_K, BENCH = "InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0", "Workbench-v0"
NO_TWIN = {  # in which nothing moves
    "slategym/InterestExploration-v0",
    "slategym/Sardine-SingleItem-Static-v0",
    "slategym/Sardine-SingleItem-Uncertain-v0",
    "slategym/Sardine-SlateRerank-Static-v0",
    "slategym/Workbench-v0",  # with the users that it has by default
}
LEARNERS = sorted(name for name, entry in policies.all().items() if entry.agent is not None)
WRONG = [
    (IE, {"static": "false"}, "static is true or false, got 'false'"),
    (IE, {"static": 0}, "static is true or false, got 0"),
    (TOP_K, {"num_items": 0}, r"num_items must be in \[1, 2\^31\), got 0"),
    (TOP_K, {"slate_size": 0}, r"slate_size must be in \[1, 2\^31\), got 0"),
    (TOP_K, {"num_items": -5}, "got -5"),
    (TOP_K, {"num_items": 100.0}, "num_items is a whole number or null, got 100.0"),
    (BENCH, {"num_items": -5}, "got -5"),
    (BENCH, {"num_topics": 100_000}, r"num_topics must be in \[1, 10000\], got 100000"),
    (BENCH, {"num_topics": 0}, "num_topics"),
    (BENCH, {"horizon": 1.5}, "horizon is a whole number, got 1.5"),
    (BENCH, {"objective": (float("nan"),)}, "objective is a list of numbers"),
    (BENCH, {"objective": (float("inf"),)}, "objective is a list of numbers"),
    (BENCH, {"objective": 1.0}, "objective is a list of numbers"),
    (BENCH, {"objective": (1.0, 2.0)}, "objective needs a weight for each of click"),
    (BENCH, {"history_size": -1}, r"history_size must be in \[0, 2\^31\), got -1"),
    (BENCH, {"seed": 2**31}, r"seed must be in \[0, 2\^31\), got 2147483648"),
    (BENCH, {"seed": 0.5}, "seed is a whole number, got 0.5"),
    (BENCH, {"device": "gpu"}, "device 'gpu' cannot be used here"),
    (BENCH, {"device": "cuda:77"}, "device 'cuda:77' cannot be used here"),
    (IE, {"num_topics": 1}, r"num_topics must be in \[2, 10000\], got 1"),
    (IE, {"attention": 1.5}, r"attention must be in \[0, 1\], got 1.5"),
    (IE, {"scale": float("nan")}, "scale is a number, got nan"),
    (IE, {"scale": -1}, r"scale must be in \[0, infinity\), got -1"),
    (IE, {"choice": "logits"}, "choice is logit or proportional or cascade, got 'logits'"),
    (IE, {"num_candidates": True}, "num_candidates is a whole number, got True"),
    ("MovieLens-v0", {"pessimism": -1.0}, "pessimism must be in"),
    ("MovieLens-v0", {"starts": 0}, "starts must be in"),
    ("MovieLens-v0", {"boredom": "much"}, "boredom is a number or null, got 'much'"),
]


@pytest.mark.parametrize(("id", "settings", "message"), WRONG)
def test_what_cannot_be_is_one_line(id, settings, message):
    with pytest.raises(UsageError, match=message) as told:
        make_world(id, **settings)
    assert "\n" not in str(told.value)


def test_numpys_numbers_and_lists_are_numbers_and_tuples():
    world = make_world(
        BENCH, num_items=np.int64(30), static=np.bool_(False), objective=[np.float32(2)]
    )
    assert world.catalogue.num_items == 30 and world.objective == (2.0,)
    assert type(world.objective) is tuple


def test_a_learned_world_made_directly():
    for settings, message in (
        ({"static": "false"}, "static is true or false"),
        ({"starts": -1}, "starts must be in"),
        ({"slate_size": 2.5}, "slate_size is a whole number or null"),
    ):
        with pytest.raises(UsageError, match=message):
            learned_world("movielens-100k", **settings)


@pytest.mark.parametrize("world_id", sorted(WORLDS))
def test_source_and_program_declare_the_same(world_id):
    """The command line reads ranges from the source; Python asks the function."""
    path, function = WORLDS[world_id].builder, WORLDS[world_id].load()
    read = {p.name: p.kind for p in outline(path).parameters}
    known = kinds_of_function(function)
    assert list(read) == list(inspect.signature(function).parameters)
    for name, value in (("seed", -1), ("num_items", 0), ("slate_size", 0), ("static", "false")):
        if name in read:
            assert not fits(value, read[name]) and not fits(value, known[name])


@pytest.mark.parametrize("world_id", OWN)
def test_a_twin_is_another_world_or_refused(world_id):
    if world_id in NO_TWIN:
        with pytest.raises(UsageError, match="its own twin"):
            make_world(world_id, static=True)
    else:
        assert identity(make_world(world_id, static=True)) != identity(make_world(world_id))
    assert identity(make_world(world_id)) == identity(make_world(world_id))


def test_a_twin_without_effect_by_its_settings():
    with pytest.raises(UsageError, match="its own twin"):
        make_world("LongTermSatisfaction-v0", sensitivity=0.0, static=True)
    assert workbench(users="boredom", static=True).name == "slategym/Workbench-v0"


@pytest.mark.parametrize("make", [make_env, make_vector_env])
def test_an_unknown_setting_is_a_type_error_as_well(make):
    """TorchRL tries `frameskip` and goes on without it where that is a TypeError that says so."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as told:
        make("slategym/" + IE, frameskip=4)
    assert isinstance(told.value, UnknownSettingError) and "no setting 'frameskip'" in str(
        told.value
    )


MANY = 10**9


@pytest.mark.parametrize("make", [SlateVectorEnv, SlateVecEnv])
@pytest.mark.parametrize("id", [IE, BENCH])
def test_more_users_than_fit_are_refused_with_the_number_that_would(make, id):
    with pytest.raises(
        UsageError, match=r"num_envs=1,000,000,000 .* GiB are free: at most num_envs="
    ):
        make(id, MANY)


@pytest.mark.parametrize("number", [0, -1, 1.0, "2", True])
@pytest.mark.parametrize("make", [SlateVectorEnv, SlateVecEnv])
def test_what_is_no_number_of_users(make, number):
    with pytest.raises(UsageError, match="num_envs must be positive, a whole number; got"):
        make(IE, number)


def test_what_fits_is_not_refused(monkeypatch):
    """The limit is where it is said to be."""
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10_000)
    check_fits("num_items", 100, 100, "cpu")
    with pytest.raises(UsageError, match="at most num_items=100 fits"):
        check_fits("num_items", 101, 100, "cpu")
    with pytest.raises(UsageError, match="num_envs=64 of slategym/InterestEvolution"):
        SlateVectorEnv(make_world(IE, num_candidates=100), 64)


@pytest.mark.parametrize("id", [TOP_K, BENCH, "TopicRec-Mixed-Focused-v0", "DayInLife-v0"])
def test_more_items_than_fit(id, monkeypatch):
    with pytest.raises(UsageError, match=r"num_items=2,000,000,000 .* at most num_items="):
        make_world(id, num_items=2 * MANY)


def test_memory_is_known_here():
    assert memory.free_bytes(torch.device("cpu")) > 2**20


@given(st.integers(), st.integers(1, 100), st.integers(0, 100))
def test_ranges(value, low, more):
    from typing import Annotated

    kind = Annotated[int, Range(low, low + more)]
    assert fits(value, kind) == (low <= value <= low + more)
    assert fits(value, kind | None) == fits(value, kind) and fits(None, kind | None)


def test_the_command_line_says_the_same():
    given = read_pairs("--set", ["a=2.5", "b=0", "c=[1, 2]"])
    kinds = {"a": Rate, "b": Count, "c": tuple[float, ...]}
    with pytest.raises(UsageError, match=r"w: a must be in \[0, 1\], got 2.5"):
        check_kinds("w", given, kinds)
    assert check_kinds("w", {"c": given["c"]}, kinds) == {"c": (1, 2)}


@pytest.mark.parametrize("name", ["sys:exit", "os:getcwd"])
def test_what_is_no_user_model_is_said(name):
    """`sys:exit` ended the process with exit code 0, as if the contract were kept."""
    with pytest.raises(ValueError, match=r"failed: SystemExit|which lacks"):
        make_user_model(name)


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        ("os:getcwd", "makes no world but a str"),
        ("builtins:dict", "no function that builds a world"),
        ("os:sep", "no function that builds a world"),
    ],
)
def test_what_makes_no_world_is_said(builder, message):
    with pytest.raises(UsageError, match=message):
        make_world(builder)


def test_a_class_in_place_of_people():
    with pytest.raises(UsageError, match=r"users is a class, Boredom; give one of it: Boredom\(\)"):
        make_world(BENCH, users=Boredom)


@pytest.mark.parametrize(
    ("settings", "seeds", "message"),
    [
        ({"num_steps": 1.5}, (0,), "slateq: num_steps is a whole number, got 1.5"),
        ({"num_steps": "many"}, (0,), "num_steps is a whole number, got 'many'"),
        ({"gamma": float("nan")}, (0,), "gamma"),
        ({}, (0.5,), "seed is a whole number, got 0.5"),
        ({}, (-1,), r"seed must be in \[0, 2\^31\), got -1"),
        ({}, (5, 5 + 2**31), r"seed must be in \[0, 2\^31\)"),
        ({}, (5, 5), "training seeds must differ"),
    ],
)
def test_learners_too(settings, seeds, message):
    """From Python as from `slategym train --agent-set`."""
    with pytest.raises(ValueError, match=message):
        SlateQ(make_world(IE), SlateQSettings(**settings), seeds=seeds)


@pytest.mark.parametrize("entry", LEARNERS)
def test_what_learners_have_by_default_is_of_its_kind(entry):
    check_settings(entry, find_agent(entry).default_settings())


def test_a_whole_number_that_no_float_holds():
    with pytest.raises(UsageError, match=r"slateq: gamma must be in \[0, 1\], got 1000|a number"):
        read_agent_settings("slateq", [f"gamma=1{'0' * 400}"])


SHARES = {"gamma", "tau", "td_lambda", "gae_lambda", "heads", "uniform_prob", "explore_prob"}
NONE_OF = {"shortlist", "prior"}  # whole numbers of which 0 means none


@pytest.mark.parametrize("entry", LEARNERS)
def test_every_number_of_a_learner_has_its_range(entry):
    """Declared, so that Python is told as the command line is."""
    default, checked = find_agent(entry).default_settings(), 0
    for setting in fields(default):
        value = getattr(default, setting.name)
        if isinstance(value, bool | str):
            continue
        bad = (-1,) if isinstance(value, tuple) else -1
        with pytest.raises(ValueError, match=setting.name):
            check_settings(entry, replace(default, **{setting.name: bad}))
        if isinstance(value, int | tuple) and setting.name not in NONE_OF:
            bad = (0,) if isinstance(value, tuple) else 0
            with pytest.raises(ValueError, match=setting.name):
                check_settings(entry, replace(default, **{setting.name: bad}))
        checked += 1
    for setting in SHARES & {f.name for f in fields(default)}:
        with pytest.raises(ValueError, match=rf"{setting} must be in \[0, 1\], got 1.5"):
            check_settings(entry, replace(default, **{setting: 1.5}))
    assert checked > 2


def test_actions_of_another_number_of_users():
    env = SlateVecEnv(IE, 2)
    env.reset()
    for actions in (np.zeros((1, 3), int), np.zeros(3, int), 0):
        with pytest.raises(ValueError, match="actions are one for each of 2 users"):
            env.step(actions)
    assert env.step([[0, 1, 2], [2, 1, 0]])[1].shape == (2,)
    with pytest.raises(ValueError):
        env.step([[0, 1, 2], [2, 1, 0.5]])


def test_seeds_of_play_are_all_different():
    world = make_world(IE)
    users = torch.arange(4, dtype=torch.int32)
    returns = [
        tuple(play(world, Random(10, 3), users, seed=seed)["return"])
        for seed in (5, 5 + 2**31, 2**63)
    ]
    assert len(set(returns)) == 3


def test_users_side_by_side_that_do_not_fit(monkeypatch):
    """(B, C, 20) tables of 100,000 candidates ended in a bare MemoryError."""
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**6)
    world = make_world(IE, num_candidates=1_000)
    users = torch.arange(64, dtype=torch.int32)
    with pytest.raises(UsageError, match=r"batch=64 of .* at most batch=2 fits"):
        play(world, Random(1_000, 3), users, seed=0)
    assert len(play(world, Random(1_000, 3), users[:3], seed=0, batch=2)) == 3
