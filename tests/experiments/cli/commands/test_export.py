"""slategym export: a program that serves what the agent serves, or a refusal that says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_agents import Counting, CountingSettings

from slategym.agents.core.agent import Agent
from slategym.agents.core.random_slates import Random
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import load_agent
from slategym.agents.serving.export import export
from slategym.agents.slates.top import top_slate
from slategym.agents.types import Action
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure import latency
from slategym.experiments.measure.latency import Latency, Unmeasured, measure
from slategym.experiments.measure.training import Home

WORLD = "Sardine-SlateTopK-Bored-v0"
SETTINGS = {"num_items": 50, "history_size": 4}


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latency, "SECONDS", 0.01)
    monkeypatch.setattr(latency, "CALLS", 8)
    yield


@pytest.fixture
def trained() -> Path:
    call = ["train", "counting", "--world", WORLD, "--steps", "160", "--out", "trained"]
    assert answer(build, [*call, "--set", "num_items=50", "--set", "history_size=4"]) == 0
    return Path("trained")


def made() -> Agent:
    return Counting(make_world(WORLD, **SETTINGS), CountingSettings())


ELSEWHERE = """
import sys, torch
from safetensors.torch import load_file, save_file
policy = torch.jit.load("trained/export/policy.pt")
shown = load_file("shown.safetensors")
slate = policy(*(shown[name] for name in sys.argv[1:]))
save_file({"slate": slate}, "slate.safetensors")
assert not [m for m in sys.modules if m.startswith("slategym")]
"""


def test_another_process_serves_the_agents_slates_with_torch_alone(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["export", "trained", "--no-latency"]) == 0
    assert "the policy's own slates on 100 observations" in capsys.readouterr().out
    about = json.loads((trained / "export" / "policy.json").read_text())
    names = [entry["name"] for entry in about["inputs"]]
    world = make_world(WORLD, **SETTINGS)
    env = SlateVectorEnv(world, 33, as_tensor=True)  # not the batch that it was recorded with
    shown, _ = env.reset(seed=5)
    for entry in about["inputs"]:
        x = shown[entry["name"]]
        assert list(x.shape[1:]) == entry["shape"][1:] and str(x.dtype) == f"torch.{entry['dtype']}"
    save_file({name: x.contiguous() for name, x in shown.items()}, "shown.safetensors")
    subprocess.run([sys.executable, "-c", ELSEWHERE, *names], check=True)
    ours = load_agent(trained, world).predict(shown)
    assert torch.equal(load_file("slate.safetensors")["slate"], ours)
    assert about["output"]["meaning"].startswith("item ids")
    readme = (trained / "export" / "README.md").read_text()
    assert f"policy({', '.join(names)})" in readme


def test_latencies_for_other_catalogues_are_printed_and_kept(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["export", "trained", "--out", "there"]) == 0
    printed = capsys.readouterr().out
    kept = json.loads(Path("there/policy.json").read_text())["latency"]
    sizes = [(row["items"], row["batch"]) for row in kept]
    assert sizes == [(n, b) for n in (50, 1_000, 10_000, 100_000) for b in (1, 64)]
    for row in kept:
        assert 0 < row["p50"] <= row["p95"] and f"{row['p50']:.3f}" in printed


def test_a_world_of_one_size_says_so() -> None:
    agent = made()
    home = Home("slategym/InterestEvolution-v0", {})
    found = measure(agent, export(agent), home, sizes=(50, 60))
    assert [type(row) for row in found] == [Latency, Latency, Unmeasured]
    assert "50 items and no other number" in found[2].reason


def test_who_draws_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(self: Counting, observation: Observation, luck: Luck) -> Action:
        return Random(self.world.num_candidates, self.world.slate_size).act(observation, luck)

    monkeypatch.setattr(Counting, "act", draw)
    with pytest.raises(UsageError, match="counting draws its slates when it serves"):
        export(made())


def test_a_recording_that_is_tied_to_its_batch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(self: Counting, observation: Observation, luck: Luck) -> Action:
        best_K = top_slate(self.value_SN[:1], self.world.slate_size)[0]
        return Action(best_K.expand(len(observation.step), -1))

    monkeypatch.setattr(Counting, "act", act)
    with pytest.raises(UsageError, match="counting cannot be exported: for 20 users"):
        export(made())


def test_a_branch_that_the_recording_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def act(self: Counting, observation: Observation, luck: Luck) -> Action:
        sign = -1.0 if bool((observation.step > 5).all()) else 1.0
        best_K = top_slate(sign * torch.arange(50.0)[None], self.world.slate_size)[0]
        return Action(best_K.expand(observation.step.shape[0], -1))

    monkeypatch.setattr(Counting, "act", act)
    with pytest.raises(UsageError, match="at slate 6 the recording serves other slates"):
        export(made())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["export", "nowhere"], "there is no folder nowhere"),
        (["export", "random"], "random was not trained anywhere: say where it acts with --world"),
        (["export", "trained", "--format", "onx"], "unknown format 'onx'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], trained: Path
) -> None:
    capsys.readouterr()
    assert answer(build, arguments) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1
