"""Further context columns of a log: how they arrive, move, are shown and are learned from."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from torch import Tensor

from slategym.agents.adapters.gymnasium import ProtoActionWrapper
from slategym.agents.core.inputs import Inputs
from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs import engine
from slategym.envs.context import Clock, LoggedContext, Move
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import read, show
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv
from slategym.envs.types import Arrival, Column, Items, Population, World

COLUMNS = (Column("device", ("phone", "laptop")), Column("load", (), "kg", 10.0, 30.0))
MOVES = (
    Move(torch.tensor([0.0, 1.0]), torch.tensor([[0.9, 0.1], [0.5, 0.5]])),
    Move(torch.tensor([10.0, 30.0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])),
)
EXTRA = torch.tensor([[0.0, 12.0], [1.0, 29.0], [-1.0, 20.0]])  # of three people


def context(moves: tuple[Move | None, ...] = MOVES) -> LoggedContext:
    return LoggedContext(Clock(3.0), COLUMNS, moves)


@pytest.fixture(scope="module")
def world() -> World:
    """Any world, with three people and their context columns."""
    plain = make_world("Workbench-v0", num_items=20, slate_size=3)
    return replace(plain, context=context(()), population=Population(size=3, extra=EXTRA))


def arrive(world: World) -> engine.Session:
    user_B = torch.arange(3, dtype=torch.int32)
    return engine.start(world, user_B * 0, user_B, user_B * 0)


def advance(process: LoggedContext, extra_BZ: Tensor, away_B: Tensor | None) -> Tensor:
    user_B = torch.arange(len(extra_BZ), dtype=torch.int32)
    arrival = Arrival(user_B, None, None, None, None, None, None, extra=extra_BZ)
    luck = Luck(user_B)
    after = process.advance(process.initial(arrival, luck), away_B, luck)
    assert after.extra is not None
    return after.extra


def test_columns_stay_within_a_visit_and_the_clock_moves(world: World) -> None:
    session = arrive(world)
    later, _ = engine.transition(world, session, torch.zeros(3, 3, dtype=torch.int32))
    assert torch.equal(session.context.extra, EXTRA) and torch.equal(later.context.extra, EXTRA)
    minutes_B = (later.context.hour - session.context.hour) % 24 * 60
    torch.testing.assert_close(minutes_B, torch.full((3,), 3.0), atol=1e-3, rtol=0)


def test_between_visits_columns_move_by_the_logs_shares() -> None:
    phone_BZ = torch.tensor([[0.0, 12.0]]).repeat(20_000, 1)
    away_B = torch.ones(20_000)
    moved = advance(context(), phone_BZ, away_B)
    assert float(moved[:, 0].mean()) == pytest.approx(0.1, abs=0.01)
    assert (moved[:, 1] == 30.0).all()  # 12 is nearest to 10, after which comes 30
    laptop = advance(context(), torch.tensor([[1.0, 29.0]]).repeat(20_000, 1), away_B)
    assert float(laptop[:, 0].mean()) == pytest.approx(0.5, abs=0.02)
    here = advance(context(), phone_BZ, torch.zeros(20_000))
    assert torch.equal(here, phone_BZ)
    still = advance(context((None, MOVES[1])), phone_BZ, away_B)
    assert (still[:, 0] == 0.0).all() and (still[:, 1] == 30.0).all()


def test_observations_name_the_columns_and_are_read_back(world: World) -> None:
    seen = engine.observe(world, arrive(world))
    shown = show(world, seen)
    assert shown["context_device"].tolist() == [[0], [1], [2]]  # the last: unknown
    assert shown["context_load"].tolist() == [[12.0], [29.0], [20.0]]
    assert shown["context"].shape == (3, 2)
    back = read(world, shown)
    assert torch.equal(back.context.extra, EXTRA)
    assert torch.equal(back.context.hour, seen.context.hour)
    space = SlateEnv(world).observation_space
    assert space["context_device"].nvec.tolist() == [3]
    assert (space["context_load"].low.item(), space["context_load"].high.item()) == (10.0, 30.0)


def test_the_checkers_pass_and_others_learn_from_it(world: World) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        check_env(SlateEnv(world), skip_render_check=True)
        check_sb3_env(SlateEnv(world))
    PPO("MultiInputPolicy", SlateVecEnv(world, 4), n_steps=4, batch_size=16).learn(16)
    space = ProtoActionWrapper(SlateEnv(world)).observation_space
    assert space is not None


def test_learners_get_categories_one_hot_and_numbers_scaled(world: World) -> None:
    inputs = Inputs(world)
    plain = Inputs(replace(world, context=Clock(3.0)))
    assert inputs.width == plain.width + 3 + 1
    context_now = engine.observe(world, arrive(world)).context
    *_, device_B3, load_B1 = inputs._context(context_now)
    assert torch.equal(device_B3, torch.eye(3))
    np.testing.assert_allclose(load_B1[:, 0].numpy(), [0.1, 0.95, 0.5], rtol=1e-6)


def test_rendering_says_the_category(world: World) -> None:
    env = SlateEnv(world, render_mode="ansi")
    env.reset(seed=0)
    assert "phone" in env.render() and "load 12" in env.render()


def test_item_columns_are_looked_up_by_name(world: World) -> None:
    price = (Column("price", (), "EUR", 0.0, 19.0), torch.arange(20.0))
    catalogue = replace(world.catalogue, attributes=(price,))
    items = Items(torch.tensor([[3, 4], [5, 3]], dtype=torch.int32), catalogue)
    assert items.attribute("price").tolist() == [[3.0, 4.0], [5.0, 3.0]]
    with pytest.raises(UsageError, match="unknown item column 'prise'; did you mean 'price'"):
        items.attribute("prise")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns, 1 moves"):
        context(MOVES[:1])
    with pytest.raises(ValueError, match="the population has no context columns; 2 are needed"):
        user_B = torch.arange(3, dtype=torch.int32)
        nobody = Arrival(user_B, None, None, None, None, None, None)
        context().initial(nobody, Luck(user_B))
