"""The GPU's script works, small and on a CPU; it says nothing of speed there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "benchmarks" / "gpu.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_script"] = module  # where its dataclasses look their types up
    spec.loader.exec_module(module)
    return module


def test_every_part_runs_and_a_page_without_a_gpu_has_no_figure(
    script: ModuleType, tmp_path: Path
) -> None:
    asked = ["--tiny", "--device", "cpu", "--worlds", "InterestEvolution-v0"]
    found = script.main([*asked, "--out", str(tmp_path / "gpu.md")])
    titles = " ".join(found.tables)
    for part in ("same story", "Hand-written", "Learned", "side by side", "SlateQ", "Fine-tuning"):
        assert part in titles
    assert all(rows for _, rows in found.tables.values())
    assert not any("Not measured" in note for note in found.notes)
    page = (tmp_path / "gpu.md").read_text()
    assert "No figure has been measured on a GPU" in page and "|" not in page
    assert page == (ROOT / "docs" / "results" / "gpu.md").read_text()


def test_a_page_of_a_gpu_holds_what_was_found_and_nothing_else(script: ModuleType) -> None:
    found = script.Found("some GPU", gpu=True)
    found.table("Speed", "users", "user-steps/s").append(("1,024", "7"))
    found.notes.append("Left out for want of time: fine-tuning.")
    page = script.page(found)
    assert "some GPU" in page and "| 1,024 | 7 |" in page and "Left out" in page
    assert "No figure" not in page


def test_another_story_is_refused(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stories = iter(([torch.zeros(10)], [torch.ones(10)]))
    monkeypatch.setattr(script, "told", lambda *_: next(stories))
    with pytest.raises(AssertionError, match="InterestEvolution-v0: 10 of 10 values differ"):
        script.correctness("cpu", script.Found("cpu", False), ["InterestEvolution-v0"])


def test_what_does_not_fit_is_said(script: ModuleType) -> None:
    found = script.measure("cpu", script.TINY, -1.0, ["InterestEvolution-v0"])
    assert len(found.notes) == len(script.PARTS)
    assert found.notes[0] == "Left out for want of time: hand-written people."
