"""slategym train: to the same end however often it is stopped, and no further."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file
from small_agents import Counting, CountingSettings
from small_worlds import learned_world

from slategym.agents import policies
from slategym.agents.core import tuning
from slategym.agents.core.agent import CHECKPOINT, Callback, Progress
from slategym.agents.core.tuning import Budget, Tuning
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import load_agent
from slategym.envs.candidates import WholeCatalogue
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.training import Training
from slategym.models.multitask.reporters import REPORTERS

WORLD = "Sardine-SlateTopK-Bored-v0"
ENTRY = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
CALL = ["train", "counting", "--world", WORLD, "--set", "num_items=50", "--device", "cpu"]
HERE = Path(__file__).parents[2]  # tests


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setitem(POLICIES, "counting", ENTRY)
    monkeypatch.chdir(tmp_path)
    yield


def training(**changes: object) -> Training:
    settings = CountingSettings(num_steps=2400, num_users=8)
    plain = {"agent": "counting", "world": WORLD, "world_settings": {"num_items": 50}}
    return Training(**{**plain, "settings": settings, **changes})  # type: ignore[arg-type]


def same(a: Path, b: Path) -> bool:
    """Whether two trainings ended in the same state, bit for bit."""
    mine, theirs = load_file(a / CHECKPOINT), load_file(b / CHECKPOINT)
    assert mine.keys() == theirs.keys() and len(mine) > 5
    return all(torch.equal(x, theirs[name]) for name, x in mine.items())


def test_it_leaves_a_folder_that_serves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert answer(build, [*CALL, "--steps", "1600", "--tensorboard"]) == 0
    out, err = capsys.readouterr()
    folder = Path(f"runs/counting-{WORLD}-seed0")
    assert f"agent: {folder}" in out and "1,600 slates" in out and err == ""
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    world = make_world(WORLD, num_items=50)
    assert load_agent(folder, world).settings == CountingSettings(num_steps=1600)
    assert json.loads((folder / "agent.json").read_text())["about"] == {
        "world": f"slategym/{WORLD}",
        "world_settings": {"num_items": 50},
    }


def test_a_finished_one_computes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = [*CALL, "--steps", "160", "--seed", "3"]
    assert answer(build, call) == 0
    capsys.readouterr()

    def refuse(self: Training, *args: object, **options: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr(Training, "run", refuse)
    monkeypatch.setattr(Training, "make_world", refuse)
    assert answer(build, call) == 0
    out, err = capsys.readouterr()
    assert out == "" and err == f"runs/counting-{WORLD}-seed3 is finished; nothing to do\n"


def test_seeds_side_by_side_get_one_folder() -> None:
    assert answer(build, [*CALL, "--steps", "320", "--seeds", "3"]) == 0
    together = load_agent(Path(f"runs/counting-{WORLD}-seeds0-2"), make_world(WORLD, num_items=50))
    assert together.seeds == (0, 1, 2)
    assert answer(build, [*CALL, "--steps", "320", "--seed", "2"]) == 0
    alone = load_agent(Path(f"runs/counting-{WORLD}-seed2"), make_world(WORLD, num_items=50))
    assert torch.equal(together.weights()["value"][2], alone.weights()["value"][0])


class Stopped(RuntimeError):
    """As a kill would."""


def stop_after(steps: int) -> Callback:
    def tell(now: Progress) -> None:
        if now.steps >= steps:
            raise Stopped

    return tell


def test_stopped_anywhere_it_ends_as_the_unbroken_one(tmp_path: Path) -> None:
    whole = training().run(tmp_path / "whole")
    for steps in (80, 1200, 1840):
        with pytest.raises(Stopped):
            training().run(tmp_path / "broken", callback=stop_after(steps), checkpoint_every=0.0)
        assert not training().finished(tmp_path / "broken")
    ended = training().run(tmp_path / "broken")
    assert same(tmp_path / "whole", tmp_path / "broken") and len(whole.curve) > 1
    assert [(p.steps, p.return_mean) for p in ended.curve] == [
        (p.steps, p.return_mean) for p in whole.curve
    ]
    assert training().finished(tmp_path / "broken")


def test_what_a_killed_training_told_beyond_its_checkpoint_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # the files of one second are numbered 9 and 10, of which the second comes first by name
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))

    def run(**options: Any) -> None:
        training().run(tmp_path / "a", tensorboard=tmp_path / "events", **options)

    checkpoint = tmp_path / "a" / CHECKPOINT
    with pytest.raises(Stopped):
        run(callback=stop_after(240), checkpoint_every=0.0)
    kept = checkpoint.read_bytes()
    with pytest.raises(Stopped):
        run(callback=stop_after(480), checkpoint_every=0.0)
    checkpoint.write_bytes(kept)  # as if the last one had come too late
    run()
    told = EventAccumulator(str(tmp_path / "events")).Reload().Scalars("time/total_timesteps")
    assert [event.step for event in told] == list(range(8, 2401, 8))


def test_the_callback_may_stop_it_early_and_it_goes_on(tmp_path: Path) -> None:
    training().run(tmp_path / "a", callback=lambda now: now.steps < 400)
    assert not training().finished(tmp_path / "a")
    training().run(tmp_path / "a")
    training().run(tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--steps", "480"], "num_steps 160 there, 480 here"),
        (["--agent-set", "learning_rate=0.2"], "learning_rate 0.1 there, 0.2 here"),
        (["--set", "history_size=4"], "history_size None there, 4 here"),
    ],
)
def test_changed_settings_are_refused_by_name(
    change: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [*CALL, "--out", "kept"]
    assert answer(build, [*call, "--steps", "160"]) == 0
    steps = [] if "--steps" in change else ["--steps", "160"]
    assert answer(build, [*call, *steps, *change]) == 2
    err = capsys.readouterr().err
    assert said in err and "resume with the same settings" in err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["countin", "--world", WORLD], "unknown agent 'countin'; did you mean 'counting'"),
        (["counting", "--world", "Sardine-SlateTopK-Bord-v0"], f"did you mean {WORLD!r}"),
        (["counting", "--world", WORLD, "--agent-set", "num_step=3"], "did you mean 'num_steps'"),
        (
            ["counting", "--world", WORLD, "--agent-set", "num_users=2.5"],
            "counting: num_users is a whole number, got 2.5",
        ),
        (
            ["counting", "--world", WORLD, "--agent-set", "num_users=0"],
            "counting: num_users must be in [1, 2^31), got 0",
        ),
        (
            ["counting", "--world", WORLD, "--agent-set", "explore_prob=1.5"],
            "counting: explore_prob must be in [0, 1], got 1.5",
        ),
        (
            ["counting", "--world", WORLD, "--agent-set", "learning_rate=-1"],
            "counting: learning_rate must be in [0, infinity), got -1",
        ),
        (["counting", "--world", WORLD, "--steps", "0"], "num_steps must be in [1, 2^31), got 0"),
        (
            ["counting", "--world", WORLD, "--steps", "9", "--agent-set", "num_steps=9"],
            "--steps and --agent-set num_steps are the same",
        ),
        (["counting", "--world", WORLD, "--set", "num_item=3"], "did you mean 'num_items'"),
        (
            ["counting", "--world", "InterestEvolution-v0"],
            "counting needs the whole catalogue; slategym/InterestEvolution-v0 offers a part",
        ),
        (["counting", "--world", WORLD, "--seed", "1", "--seeds", "2"], "give one of them"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["train", *arguments]) == 2
    out, err = capsys.readouterr()
    assert line in err and err.count("\n") == 1 and out == ""
    assert not Path("runs").exists() or not list(Path("runs").rglob("*.safetensors"))


def test_a_learner_of_one_seed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Counting, "several_seeds", False)
    assert answer(build, [*CALL, "--seeds", "2"]) == 2
    assert "counting trains one seed at a time, got 2" in capsys.readouterr().err


def test_another_training_is_refused_before_a_world_is_built(tmp_path: Path) -> None:
    training().run(tmp_path, callback=lambda now: False)
    other = training(settings=CountingSettings(num_steps=2400, num_users=4))
    with pytest.raises(UsageError, match="num_users 8 there, 4 here"):
        other.finished(tmp_path)


PROGRAM = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.experiments.cli.main import answer, build
POLICIES["counting"] = PolicyEntry("learner", "counts", None, "small_agents:Counting")
sys.exit(answer(build, sys.argv[1:]))
"""


@pytest.mark.slow
def test_killed_and_called_again_it_ends_as_the_unbroken_one(tmp_path: Path) -> None:
    call = [sys.executable, "-c", PROGRAM, *CALL, "--steps", "24000"]
    call += ["--agent-set", "num_users=4", "--checkpoint-every", "0.2", "--out"]
    kills = 0
    for _ in range(3):
        process = subprocess.Popen([*call, "broken"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        before = os.stat(tmp_path / "broken" / CHECKPOINT).st_mtime_ns if kills else 0
        while process.poll() is None and time.monotonic() < deadline:
            path = tmp_path / "broken" / CHECKPOINT
            if path.is_file() and os.stat(path).st_mtime_ns > before:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.02)
    assert kills == 3 and not (tmp_path / "broken" / "agent.json").exists()
    subprocess.run([*call, "broken"], cwd=tmp_path, check=True)
    subprocess.run([*call, "whole"], cwd=tmp_path, check=True)
    assert same(tmp_path / "broken", tmp_path / "whole")


class Kept:
    """A reporter that remembers; the last one made is found by the test."""

    told: ClassVar[list[tuple[int, set[str]]]] = []
    closed: ClassVar[list[bool]] = []
    pictures: ClassVar[list[int]] = []

    def __init__(self, folder: Path, label: str, settings: Mapping[str, Any]) -> None:
        assert folder == Path("run/reports") and settings["num_steps"] == 1600
        assert settings["world"] == f"slategym/{WORLD}"

    def record(self, epoch: int, values: Mapping[str, float]) -> None:
        self.told.append((epoch, set(values)))

    def picture(self, epoch: int, name: str, image: Any) -> None:
        assert name == "slates" and image.shape[2] == 3 and 0 < (image < 128).mean() < 0.5
        self.pictures.append(epoch)

    def close(self) -> None:
        self.closed.append(True)


def test_it_is_read_while_it_learns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = [*CALL, "--steps", "1600", "--evaluate-every", "400", "--tensorboard", "--out", "run"]
    call += ["--report-to", "kept"]
    monkeypatch.setitem(REPORTERS, "kept", Kept)
    assert answer(build, call) == 0
    err = capsys.readouterr().err
    assert err.count(" slates: ") >= 3 and "the best so far" in err
    best = load_agent("run/best", make_world(WORLD, num_items=50))
    points = json.loads(Path("run/best/evaluations.json").read_text())["points"]
    assert best.steps == max(points, key=lambda point: point["value"])["steps"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator("run/tensorboard")
    events.Reload()
    assert [event.step for event in events.Scalars("eval/mean_reward")] == [
        point["steps"] for point in points
    ]
    steps = [step for step, tags in Kept.told if "eval/mean_reward" in tags]
    assert steps == [point["steps"] for point in points]
    assert [step for step, tags in Kept.told if "time/fps" in tags][-1] == 1600
    assert [step for step, _ in Kept.told] == sorted(step for step, _ in Kept.told)
    assert Kept.closed == [True] and Kept.pictures == steps  # one of every reading
    assert answer(build, [*CALL, "--report-to", "wnadb"]) == 2
    assert "did you mean 'wandb'" in capsys.readouterr().err
    assert answer(build, [*CALL, "--patience", "2"]) == 2
    assert "--evaluate-every" in capsys.readouterr().err


@pytest.mark.parametrize(("slates", "tuned_with"), [(16, 3_840), (3_900, 3_900), (4_000, None)])
def test_what_it_begins_at_is_tuned_with_as_many_slates_as_it_trains_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slates: int, tuned_with: int | None
) -> None:
    """With LEAST_TUNED at least, and by the learner itself where it trains on as many as usual."""
    spent: list[int] = []

    def tune(world: World, budget: Budget) -> list[Tuning]:
        spent.append(budget.total)
        return [Tuning("begins-at", {"heads": 1.0})]

    monkeypatch.setattr(tuning, "SLATES", 4_000)
    monkeypatch.setattr(policies, "tune_start_steps", tune)
    beginning = ENTRY._replace(tuning=f"{policies.__name__}:tune_start_steps")
    monkeypatch.setitem(POLICIES, "counting", beginning)
    told = training(settings=CountingSettings(num_steps=slates, num_users=8))
    where = replace(learned_world(), candidates=WholeCatalogue())
    agent = told.run(tmp_path / "a", world=where, callback=lambda _: False)
    assert spent == ([] if tuned_with is None else [tuned_with])
    assert agent.world.chosen == ({} if tuned_with is None else {"begins-at": {"heads": 1.0}})
    told.run(tmp_path / "b", world=where, callback=lambda _: False, chosen={})
    bare = replace(where, observer=None)
    told.run(tmp_path / "c", world=bare, callback=lambda _: False)
    assert len(spent) <= 1
