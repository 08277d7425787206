"""A scenario's log goes all the way: written, checked, fitted, and a world is learned from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from small_movielens import small_home, small_networks

from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.registry import make_world
from slategym.envs.types import Outcome, Session
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import ABOUT
from slategym.models import load_log
from slategym.models.simulator.world import learned_world

pytestmark = pytest.mark.filterwarnings("ignore:.*tokens of the item texts are unknown")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    here = tmp_path_factory.mktemp("scenario")
    with small_home(here / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        small_networks(patch)
        yield here


POLICY = {"Travel": "noisy-greedy-mixed", "Finance": "random"}


@pytest.fixture(scope="module", params=POLICY)
def folder(request: pytest.FixtureRequest, home: Path) -> Path:
    name = request.param
    words = ["simulate", f"Scenario-{name}-v0", "--users", "50", "--set", "num_items=40"]
    where = ["--policy", POLICY[name], "--out", f"{name}.parquet", "--log", name, "--json"]
    assert answer(build, [*words, *where]) == 0
    return home / name


def test_the_log_says_what_the_world_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["data", "check", str(folder), "--json"]) == 0
    capsys.readouterr()
    world = make_world(f"Scenario-{folder.name}-v0", num_items=40)
    log = load_log(folder)
    assert [s._replace(weight=0.0) for s in log.signals] == list(world.users.signals)
    assert tuple(s.weight for s in log.signals) == world.objective
    about = json.loads(pyarrow.parquet.read_schema(folder / "events.parquet").metadata[ABOUT])
    assert (
        about["world"] == world.name
        and about["policy"] == POLICY[folder.name]
        and about["seed"] == 0
    )
    events = pd.read_parquet(folder / "events.parquet")
    weights = dict(zip((s.name for s in world.users.signals), world.objective, strict=True))
    reward_E = sum(weight * events[name].fillna(0.0) for name, weight in weights.items())
    np.testing.assert_allclose(reward_E, events["reward"], atol=1e-5)
    slots = events.groupby("slate_id")
    assert (slots["slot_propensity"].prod() / slots["propensity"].first() - 1).abs().max() < 1e-4
    if world.population.profile is not None:
        _nothing_forbidden(folder, events)


def _nothing_forbidden(folder: Path, events: pd.DataFrame) -> None:
    items = pd.read_parquet(folder / "items.parquet").set_index("item")
    users = pd.read_parquet(folder / "users.parquet").set_index("user")
    careful = events["user"].map(users["risk_class"]) == "risk_class 0"
    assert 0 < careful.sum() < len(events)
    assert events.loc[careful, "item"].map(items["risk"]).max() <= 0.35


def test_times_tell_the_days_between_visits(folder: Path) -> None:
    """Of a month as well as of an hour: the engine's pauses are the log's."""
    world = make_world(f"Scenario-{folder.name}-v0", num_items=40)
    events = pd.read_parquet(folder / "events.parquet").groupby("slate_id").first()
    days = events.sort_values(["user", "time"]).groupby("user")["time"].diff().dropna() / 86_400
    pauses = days[days > 0.02]
    away = list[torch.Tensor]()

    def note(before: Any, items: Any, action: Any, outcome: Outcome, after: Session) -> None:
        going_B = ~(outcome.left | outcome.cut) & (after.user.visit.away > 0)
        away.append(after.user.visit.away[going_B])

    policy, user_U = make_policy(POLICY[folder.name], world), torch.arange(50, dtype=torch.int32)
    play(world, policy, user_U, seed=0, on_slate=note)
    true = torch.cat(away).sort().values.numpy()
    assert len(true) == len(pauses)
    assert np.abs(np.sort(pauses.to_numpy()) - true).max() <= 0.26  # nobody comes at night
    assert true.max() > 8.0


def test_models_are_fitted_and_a_world_is_learned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(folder), "--epochs", "1", "--quiet", "--json", "--out", f"{folder}-model"]
    assert answer(build, words) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert 0.0 <= figures["click_auc"] <= 1.0
    world = learned_world(
        folder, assumptions="none", family="covisitation", anyway=True, state=False
    )
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, 0 * user_B, user_B, 0 * user_B)
    slate_BK = torch.arange(world.slate_size, dtype=torch.int32).expand(8, -1).contiguous()
    _, outcome = engine.transition(world, session, slate_BK)
    assert outcome.expected_reward.isfinite().all() and outcome.expected[..., 0].sum() > 0
    assert world.slate_size == 5 - (folder.name == "Finance")
    assert [s.name for s in world.users.signals][1:] == [s.name for s in load_log(folder).signals][
        1:
    ]
