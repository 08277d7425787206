"""The ONNX program serves the policy's slates, in a process that has onnxruntime and no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_agents import Counting, CountingSettings

from slategym.agents.core.agent import Agent
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.serving import onnx_export
from slategym.agents.serving.export import check
from slategym.agents.serving.serve import Policy
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
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
