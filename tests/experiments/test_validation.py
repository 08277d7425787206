"""A world against the log that it wrote: it passes, and every deliberately broken one fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from shop_log import write_shop_log
from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Context, Items, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.cli.main import answer, build
from slategym.experiments.validation import physics, twosample
from slategym.experiments.validation.lines import Bounds, Line
from slategym.experiments.validation.marginals import categories, numbers, rates_by, ratio
from slategym.experiments.validation.validate import SATED, Validation, validate_world
from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log

ITEMS, SLATES, PEOPLE = 40, 20, 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop_log(tmp_path_factory.mktemp("shop"), PEOPLE, ITEMS, slates=SLATES)


@pytest.fixture(scope="module")
def log(folder: Path) -> Log:
    return load_log(str(folder))


def day(**settings: Any) -> World:
    made = make_world("DayInLife-v0", num_items=ITEMS, slate_size=5, seed=0, **settings)
    return replace(made, horizon=SLATES)


@pytest.fixture(scope="module")
def found(log: Log) -> Validation:
    return validate_world(day(), log, users=PEOPLE, seed=1)


def line(validation: Validation, check: str) -> Line:
    [only] = [x for x in validation.lines if x.check == check]
    return only


class Broken:
    """The world's users with one thing changed; everything else as it is."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class DoubleSigmoid(Broken):
    """A probability taken for log-odds: everything is clicked half the time."""

    level = 0.0

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        appeal_BK: Tensor = self.inner.appeal(state, items, context)
        return appeal_BK.sigmoid() + self.level


class LevelledDoubleSigmoid(DoubleSigmoid):
    """The same, as often clicked as it should be."""

    level = -2.6


class Undirected(Broken):
    """A click counts for another topic."""

    def evolve(
        self, state: Any, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> Any:
        other = Items((items.id + 7) % items.catalogue.num_items, items.catalogue)
        return self.inner.evolve(state, other, feedback_BKM, context, luck)


class Shuffled(Broken):
    """Items change places."""

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        place_N = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(0)).int()
        other = Items(place_N[items.id.long()], items.catalogue)
        appeal_BK: Tensor = self.inner.appeal(state, other, context)
        return appeal_BK


def bored(users: Any) -> Assumed:
    """Nobody of the log tires of a topic; these do."""
    return Assumed(users, GenreSatiation(day().catalogue.num_topics, penalty=2.0))


@dataclass(frozen=True)
class AlwaysNoon:
    """Context that never is anything else."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _noon(self, context: Context) -> Context:
        zero = {n: torch.zeros_like(getattr(context, n)) for n in ("weekday", "device", "place")}
        return replace(context, hour=torch.full_like(context.hour, 12.0), **zero)

    def initial(self, arrival: Any, luck: Luck) -> Context:
        return self._noon(self.inner.initial(arrival, luck))

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        return self._noon(self.inner.advance(context, away, luck))


def test_the_world_that_wrote_the_log_passes(found: Validation) -> None:
    assert found.of("fail") == () and len(found.of("pass")) >= 20
    assert found.shown == "the log's own slates"
    reward = line(found, "reward of a session under the log's policy")
    assert reward.low is not None and reward.high is not None and reward.low < 0 < reward.high
    assert [x.check for x in found.of("left out")] == [
        "signals of people unknown to the world's model"
    ]


@pytest.mark.parametrize(
    ("broken", "checks"),
    [
        (DoubleSigmoid, ["click rate", "reward of a session under the log's policy"]),
        (LevelledDoubleSigmoid, ["click probabilities span the logged range"]),
        (Undirected, ["a click moves interest towards what was clicked"]),
        (Shuffled, ["what is clicked often there is clicked often here"]),
        (bored, [SATED]),
        (AlwaysNoon, ["hour of a session's beginning", "device of a session's beginning"]),
    ],
)
def test_a_broken_world_fails_where_it_is_broken(
    log: Log, broken: Callable[[Any], Any], checks: list[str]
) -> None:
    world = day()
    if broken is AlwaysNoon:
        world = replace(world, context=AlwaysNoon(world.context))
    else:
        world = replace(world, users=broken(world.users))
    validation = validate_world(world, log, users=PEOPLE, seed=1)
    for check in checks:
        assert line(validation, check).status == "fail", line(validation, check)
    assert checks[0] in validation.sentence


def test_bounds_are_for_what_luck_does_not_explain() -> None:
    bounds = Bounds(0.1, 0.3)
    assert [bounds.status(x) for x in (-1.0, 0.1, 0.2, 0.31)] == ["pass", "pass", "warn", "fail"]
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(40), 10)

    def rows(values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({"user": user, "value": values})

    same = [rows(rng.normal(size=400)) for _ in range(2)]
    assert numbers("x", (same[0], same[1]), rng).status == "pass"
    assert numbers("x", (same[0], rows(rng.normal(3.0, size=400))), rng).status == "fail"
    assert numbers("x", (same[0], same[1][:10]), rng).status == "left out"
    words = [rows(rng.choice(["a", "b"], 400)) for _ in range(2)]
    assert categories("x", (words[0], words[1]), rng).status == "pass"
    other = categories("x", (words[0], rows(np.full(400, "c"))), rng)
    assert other.status == "fail" and other.figure == pytest.approx(1.0)

    def rates(share: float) -> pd.DataFrame:
        return pd.DataFrame({"user": user, "above": rng.random(400) < share, "below": 1.0})

    assert ratio("x", "part", (rates(0.5), rates(0.5)), rng).status == "pass"
    twice = ratio("x", "part", (rates(0.3), rates(0.6)), rng)
    assert twice.status == "fail" and twice.low is not None and twice.low > 0.3


def test_click_rates_by_group_by_hand() -> None:
    """Of groups that both have: .5 and .1 in the log, .6 and .1 in the world, 3 to 2 in number."""
    click = np.r_[np.tile([1.0, 0.0], 300), np.tile([1.0] + [0.0] * 9, 40)]
    groups = np.repeat(["x", "y"], [600, 400])
    log = pd.DataFrame({"user": np.arange(1000) % 50, "group": groups, "click": click})
    world = pd.DataFrame({"group": ["x", "y", "z"], "click": 0.0, "expected": [0.6, 0.1, 0.9]})
    found = rates_by("group", (log, world), np.random.default_rng(0))
    assert found.figure == pytest.approx(0.6 * 0.1 / 0.34)
    assert "farthest x: 0.500 in the log, 0.600 in the world" in found.said
    far = world.assign(expected=[0.95, 0.8, 0.9])
    assert rates_by("group", (log, far), np.random.default_rng(0)).status == "fail"
    assert rates_by("group", (log, far[2:]), np.random.default_rng(0)).status == "fail"  # one value


def test_runs_of_topics_are_told_from_a_taste_for_them() -> None:
    rng = np.random.default_rng(0)
    topic_N = np.arange(20) % 4

    def clicks(stay: float) -> pd.DataFrame:
        rows = []
        for user in range(60):
            favourite = rng.integers(4)
            at = int(rng.integers(20))
            for turn in range(40):
                if rng.random() >= stay:
                    loves = rng.random() < 0.6
                    at = int(
                        rng.choice(np.flatnonzero(topic_N == favourite))
                        if loves
                        else rng.integers(20)
                    )
                rows.append((user, user, turn, at, 1.0))
        return pd.DataFrame(rows, columns=["user", "visit", "turn", "item", "click"])

    taste, runs = (physics.topic_lift(clicks(stay), topic_N, rng) for stay in (0.0, 0.5))
    assert taste.low < 0 < taste.high  # everybody's favourite explains it
    assert runs.low > 0.1
    assert (
        physics.runs(taste, taste).status == "pass" and physics.runs(runs, taste).status == "fail"
    )


def test_a_classifier_tells_other_visits_and_not_the_same() -> None:
    rng = np.random.default_rng(0)

    def visits(mean: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "user": np.arange(300) // 2,
                "slates": rng.normal(mean, 1.0, 300),
                "clicks": rng.normal(size=300),
            }
        )

    same = twosample.told_apart((visits(0.0), visits(0.0)), rng)
    other = twosample.told_apart((visits(0.0), visits(2.0)), rng)
    assert same.status == "pass" and same.low is not None and same.low < 0.55
    assert other.status == "fail" and "slates" in other.said
    assert twosample.told_apart((visits(0.0)[:5], visits(0.0)), rng).status == "left out"


def test_a_log_without_slates_is_served_as_far_as_it_can_be(folder: Path, tmp_path: Path) -> None:
    events = pd.read_parquet(folder / "events.parquet")
    events = events[events["click"] > 0].drop(columns=["slate_id", "position"])
    events.to_parquet(tmp_path / "events.parquet", index=False)
    for name in ("items.csv", "users.csv", "log.toml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    validation = validate_world(day(), load_log(str(tmp_path)), users=60)
    assert validation.shown == "items as often as they are in the log"
    out = {x.check for x in validation.of("left out")}
    assert {"click rate by position", "reward of a session under the log's policy"} <= out
    assert line(validation, "dwell of what is clicked").status == "pass"


def test_a_log_of_other_items_is_refused(log: Log) -> None:
    other = make_world("DayInLife-v0", num_items=ITEMS, slate_size=5, seed=3)
    catalogue = replace(other.catalogue, title=tuple(f"other {n}" for n in range(ITEMS)))
    with pytest.raises(UsageError, match="none of the 40 products of the log"):
        validate_world(replace(other, catalogue=catalogue), log, users=8)
    with pytest.raises(UsageError, match="users must be at least 2, got 1"):
        validate_world(day(), log, users=1)


def test_the_command_prints_fails_first_and_writes_a_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["validate", "DayInLife-v0", "--log", str(folder), "--users", "60"]
    words += ["--set", f"num_items={ITEMS}", "--set", "slate_size=5", "--out", str(tmp_path / "v")]
    assert answer(build, words) == 0
    printed = capsys.readouterr().out
    assert "a classifier tells visits apart" in printed and "click rate by hour" in printed
    document = json.loads((tmp_path / "v" / "validation.json").read_text("utf-8"))
    assert {"sentence", "lines", "shown"} <= set(document)
    assert Line.from_json(document["lines"][0]).to_json() == document["lines"][0]
    page = (tmp_path / "v" / "validation.html").read_text("utf-8")
    assert "<svg" in page and "http" not in page.split("<main", 1)[1]
