"""Headroom: there where looking ahead pays, nothing where it does not, and said so in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_movielens import small_home
from small_worlds import fixed_world, plain_taste

from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure import headroom as measured
from slategym.experiments.measure.headroom import GREEDY, PLANNER, headroom, kept_headroom

USERS = torch.arange(12)
WEARY = GenreSatiation(2, memory=2, threshold=2, penalty=20.0, duration=3, scope="everything")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_home(tmp_path_factory.mktemp("home")):
        yield


def small(boredom: GenreSatiation | None) -> World:
    """One item a slate, the best three of one topic."""
    taste = plain_taste([9.0, 9.0, 9.0, 8.0, 8.0], [3.0, 3.0, 3.0, 0.0, 0.0])
    return fixed_world(taste, [0, 0, 0, 1, 1], [0.0] * 5, slate_size=1, horizon=8, boredom=boredom)


def test_where_too_much_wearies_of_everything_there_is_something_to_plan_for() -> None:
    world, told = small(WEARY), []
    found = headroom(world, USERS, seed=5, depths=(1, 2, 4), tell=lambda *x: told.append(x))
    assert found.something and found.sentence.startswith("There is something to plan for")
    greedy, planner = found.means[GREEDY], found.means[PLANNER]
    assert found.headroom.value == pytest.approx(planner.value - greedy.value)
    # two of every five slates earn 2 (a click and a like), three nothing; alternating earns all
    assert greedy.value < 0.6 * planner.value
    assert [depth.slates for depth in found.curve] == [1, 2, 4]
    assert found.curve[0].gain is None and found.curve[1].gain is not None
    assert sum(number for name, number in told if name == "random") == len(USERS)
    text = str(found)
    assert "headroom, planner - greedy, paired: +" in text and "slates" in text
    assert json.loads(json.dumps(found.document()))["something_to_plan_for"] is True


def test_where_nothing_changes_there_is_nothing_to_plan_for() -> None:
    found = headroom(small(None), USERS, seed=5, depths=(1, 2, 4))
    assert not found.something and abs(found.share) < 0.005 and found.flat
    assert found.sentence.startswith("There is nothing to plan for")
    assert found.rule == "no cap"
    assert "rule, told" not in found.means  # the best simple rule is greedy itself


def test_a_result_is_kept_until_the_world_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = small(WEARY)
    first = kept_headroom(world, USERS, seed=5, depths=(1, 2))
    monkeypatch.setattr(measured, "headroom", None)  # nothing is computed again
    assert kept_headroom(world, USERS, seed=5, depths=(1, 2)) == first
    weaker = replace(world, users=replace(world.users, satiation=replace(WEARY, penalty=1.0)))
    with pytest.raises(TypeError):
        kept_headroom(weaker, USERS, seed=5, depths=(1, 2))


def test_it_takes_two_users() -> None:
    with pytest.raises(UsageError, match="two users or more"):
        headroom(small(None), USERS[:1], seed=0)


WORLD = ["diagnose", "Workbench-v0", "--set", "horizon=4", "--set", "num_items=12"]


def test_the_command_prints_writes_and_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "found.json"
    few = [*WORLD, "--users", "4", "--rollouts", "2"]
    assert answer(build, [*few, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "greedy, told" in said and "nothing to plan for" in said and str(out) in said
    assert json.loads(out.read_text())["headroom"]["share"] == pytest.approx(0.0, abs=0.01)
    assert out.with_suffix(".png").stat().st_size > 1000
    assert answer(build, [*few, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == {"horizon": 4, "num_items": 12}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", "1"], "--users must be at least 2"),
        (["--rollouts", "0"], "--rollouts must be at least 1"),
        (["--out", "found.csv"], "--out writes JSON"),
        (["--set", "horizn=3"], "did you mean 'horizon'"),
    ],
)
def test_mistakes_are_said_before_anything_runs(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, [*WORLD, *words]) == 2
    assert said in capsys.readouterr().err
