"""The ONNX program serves the policy's slates, in a process that has onnxruntime and no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from small_agents import Counting, CountingSettings
from small_worlds import learned_world
from torch.nn import functional as F

from slategym.agents.core.agent import Agent
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import find_agent
from slategym.agents.serving import onnx_export
from slategym.agents.serving.export import check
from slategym.agents.serving.serve import Policy
from slategym.agents.slates.diverse import dpp_slate, mmr_slate, quota_slate
from slategym.agents.slates.top import capped_slate
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.training import Training

WORLD = "Sardine-SlateTopK-Bored-v0"
SETTINGS = {"num_items": 50, "history_size": 4}
ELSEWHERE = """
import json, sys
class Nothing:  # as if only onnxruntime were installed
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "slategym", "pandas"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
from serve import Policy
policy = Policy(".")
assert policy.runtime == "onnxruntime"
print(json.dumps(policy(json.load(open("examples.json")))))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(POLICIES, "counting", entry)
        folder = tmp_path_factory.mktemp("run") / "counting"
        Training("counting", WORLD, SETTINGS, CountingSettings(num_steps=160)).run(folder)
        yield folder


def test_another_process_serves_the_same_slates_without_torch(trained: Path) -> None:
    assert answer(build, ["export", str(trained), "--format", "all", "--no-latency"]) == 0
    folder = trained / "export"
    about = json.loads((folder / "policy.json").read_text())
    assert set(about["sha256"]) == {"policy.pt", "policy.onnx"}
    assert "policy.onnx" in (folder / "README.md").read_text()
    requests = json.loads((folder / "examples.json").read_text())
    expected = Policy(folder, "torch")(requests)
    assert Policy(folder, "onnxruntime")(requests * 5) == expected * 5  # another batch
    (folder / "policy.pt").unlink()
    about["sha256"].pop("policy.pt")
    del about["checksum"]
    (folder / "policy.json").write_text(json.dumps(about))
    command = [sys.executable, "-c", ELSEWHERE]
    found = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    assert json.loads(found.stdout) == expected


def made() -> Agent:
    return Counting(make_world(WORLD, **SETTINGS), CountingSettings())


def test_a_program_that_serves_other_slates_is_refused(trained: Path) -> None:
    agent = made()
    agent.value_SN.copy_(torch.arange(50.0))  # type: ignore[attr-defined]
    exported = onnx_export.export_onnx(agent)
    assert check(agent, exported) == 100
    agent.value_SN.copy_(torch.arange(50.0).flip(0))  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="serves other slates than the policy"):
        check(agent, exported)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"ONNX needs onnx, .*pip install 'slategym\[onnx\]'"):
        onnx_export.export_onnx(made())


SCORE_N = torch.randn(50, generator=torch.Generator().manual_seed(3))
UNIT_ND = F.normalize(torch.randn(50, 4, generator=torch.Generator().manual_seed(4)), dim=1)
RULES = {
    "cap": lambda s, t, u, k: capped_slate(s, t, k, 2),
    "quota": lambda s, t, u, k: quota_slate(s, t, k, 0.5),
    "mmr": lambda s, t, u, k: mmr_slate(s, u, k, 0.5),
    "dpp": lambda s, t, u, k: dpp_slate(s, u, k, 0.5),
}


@dataclass(frozen=True)
class Ruled:
    """Shows what a rule makes of scores that move with the slates seen."""

    name: str
    world: World
    privileged: bool = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        score_BC = SCORE_N * (1 + observation.step[:, None] % 3)
        topic_BC = self.world.catalogue.topic.long().expand_as(score_BC)
        unit_BCD = UNIT_ND.expand(score_BC.shape[0], -1, -1)
        return Action(RULES[self.name](score_BC, topic_BC, unit_BCD, self.world.slate_size))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_that_a_ranker_may_be_tuned_to_is_written(name: str) -> None:
    """A policy serves the tuned rule at which it began; the export compares 100 slates."""
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    world = make_world(WORLD, num_items=50)
    assert len(onnx_export.export_onnx(Ruled(name, world), world).model) > 1_000


FROM_REFIT = pytest.param("plackett-luce-from-refit", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["supervised-refit", "linear-bandit", FROM_REFIT])
def test_what_learns_on_a_ranker_is_written(name: str) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    cap = {"history-rule": {"most": 1, "of": 4}, "start": {"policy": "history-rule"}}
    world = replace(learned_world(slate_size=4), chosen=cap)
    learner = find_agent(name)
    small = {"num_steps": 96, "num_users": 8, "rollout": 4, "minibatch": 32}
    default = learner.default_settings()
    small = {name: x for name, x in small.items() if hasattr(default, name)}
    agent = learner(world, replace(default, **small)).learn(world)
    agent.serve([True])
    assert check(agent, onnx_export.export_onnx(agent, world), world) == 100
