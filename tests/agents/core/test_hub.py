"""Agents on the hub: what is pushed, its card, and what comes down again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import slategym as sg
from slategym.agents.core.agent import Agent
from slategym.agents.core.hub import PUBLISHED
from slategym.envs.names import UsageError
from slategym.experiments.measure.training import Training
from slategym.models.checksums import Damaged

WORLD = "slategym/Workbench-v0"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    settings = sg.agents.LinearBanditSettings(num_steps=640)
    Training("thompson", WORLD, {"slate_size": 3}, settings, seeds=(4,)).run(folder)
    return folder


class Hub:
    """Takes the calls that `huggingface_hub.HfApi` would, and keeps a cache as it does."""

    def __init__(self, cache: Path) -> None:
        self.place = cache / "models--me--bandit"
        self.asked: list[Any] = []

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> None:
        self.asked.append((repo_id, private, exist_ok))

    def upload_folder(
        self, *, repo_id: str, folder_path: str, commit_message: str, allow_patterns: list[str]
    ) -> str:
        snapshot = self.place / "snapshots" / "0123abcd"
        snapshot.mkdir(parents=True)
        (self.place / "refs").mkdir()
        (self.place / "refs" / "main").write_text("0123abcd")
        for name in allow_patterns:
            (snapshot / name).write_bytes((Path(folder_path) / name).read_bytes())
        return f"https://hub/{repo_id}/commit/1"


def test_an_agent_goes_up_with_a_card_and_comes_down_the_same(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import ModelCard, constants

    (trained / "checkpoint.safetensors").write_bytes(b"not to be published")
    hub = Hub(tmp_path)
    assert sg.agents.push_to_hub(trained, "me/bandit", private=True, api=hub) == (
        "https://hub/me/bandit/commit/1"
    )
    (trained / "checkpoint.safetensors").unlink()
    assert hub.asked == [("me/bandit", True, True)]
    snapshot = hub.place / "snapshots" / "0123abcd"
    assert {path.name for path in snapshot.iterdir()} == set(PUBLISHED)
    card = ModelCard.load(snapshot / "README.md")
    assert card.data.library_name == "slategym" and "thompson" in card.data.tags
    assert card.data.pipeline_tag == "reinforcement-learning"
    for part in ("## World", "slate_size: 3", "training seeds: 4", "## Limits", "## Terms"):
        assert part in card.content
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    world = sg.make_world(WORLD, slate_size=3)
    there, here = sg.agents.from_hub("me/bandit", world), sg.load_agent(trained, world)
    assert isinstance(there, Agent)
    for name, value in here.weights().items():
        assert value.equal(there.weights()[name]), name
    # what the card says of use is what works
    (code,) = re.findall(r"```python\n(.*?)```", card.content, re.DOTALL)
    code = code.replace('"owner/name"', '"me/bandit"')
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["agent"].steps == here.steps


def test_what_cannot_go_up_or_come_down_is_said(trained: Path, tmp_path: Path) -> None:
    world = sg.make_world(WORLD, slate_size=3)
    with pytest.raises(UsageError, match=r"no trained agent: agent\.json is missing"):
        sg.agents.push_to_hub(tmp_path, "me/x", api=Hub(tmp_path))
    for name in ("bandit", "me/", "/bandit", "me/bandit/more"):
        with pytest.raises(UsageError, match="its form is owner/name"):
            sg.agents.from_hub(name, world)
    with pytest.raises(UsageError, match=r"owner/name: .* not to be had from the hub"):
        sg.agents.from_hub("owner/name", world)  # tests are offline
    weights = trained / "agent.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Damaged):
        sg.agents.push_to_hub(trained, "me/x", api=Hub(tmp_path))
    weights.write_bytes(whole)


def test_what_the_hub_does_not_take_is_said_in_a_line(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"^me/bandit: the hub did not take it \(.*hf auth login"):
        sg.agents.push_to_hub(trained, "me/bandit")  # tests are offline
    with pytest.raises(UsageError, match="bandit is no repository of the hub"):
        sg.agents.push_to_hub(trained, "bandit")
