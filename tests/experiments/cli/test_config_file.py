"""A training as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_agents import Counting

from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.envs.names import UsageError
from slategym.experiments.cli.config_file import Config, read_config, with_config
from slategym.experiments.cli.main import answer, build

WORLD = "Sardine-SlateTopK-Bored-v0"
SAID = {
    "agent": "counting",
    "world": WORLD,
    "steps": 160,
    "seeds": 2,
    "agent_settings": {"explore_prob": 0.5},
    "world_settings": {"num_items": 50},
}
TEXTS = {
    "a.toml": f"""agent = "counting"
world = "{WORLD}"
steps = 160
seeds = 2
[agent_settings]
explore_prob = 0.5
[world_settings]
num_items = 50
""",
    "a.yaml": f"""agent: counting
world: {WORLD}
steps: 160
seeds: 2
agent_settings: {{explore_prob: 0.5}}
world_settings: {{num_items: 50}}
""",
    "a.json": json.dumps(SAID),
}


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    monkeypatch.chdir(tmp_path)
    yield


@pytest.mark.parametrize("name", TEXTS)
def test_every_format_says_the_same(name: str) -> None:
    Path(name).write_text(TEXTS[name])
    assert read_config(Path(name)) == Config(**SAID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.toml", "agent = ", "cannot be read"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.json", "{", "cannot be read"),
        ("a.ini", "", "ends in .ini; give .toml, .yaml or .json"),
        ("a.json", "[]", "holds no table of settings"),
        ("a.toml", "agnt = 1", "has 'agnt'; did you mean 'agent'"),
        ("a.toml", "steps = 'x'", "steps is a int, got 'x'"),
        ("a.toml", "steps = true", "steps is a int, got True"),
        ("a.yaml", "world_settings: 3", "world_settings is a dict, got 3"),
    ],
)
def test_what_is_wrong_is_one_line(name: str, text: str, line: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(UsageError) as error:
        read_config(Path(name))
    assert line in str(error.value) and "\n" not in str(error.value)


def test_what_is_typed_goes_before_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_config(["a=1"], {"a": 2, "b": [1, 2]}) == ["b=[1, 2]", "a=1"]
    Path("a.toml").write_text(TEXTS["a.toml"])
    call = ["train", "--config", "a.toml", "--seed", "3", "--agent-set", "num_users=4"]
    assert answer(build, [*call, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "next: slategym compare" in out and "slategym export run" in out
    kept = json.loads(Path("run/agent.json").read_text())
    assert kept["seeds"] == [3]
    assert (
        kept["settings"] | {"num_steps": 160, "num_users": 4, "explore_prob": 0.5}
        == kept["settings"]
    )
    assert kept["about"]["world_settings"] == {"num_items": 50}
    assert answer(build, ["train", "--config", "nope.toml"]) == 2
    assert "there is no file nope.toml" in capsys.readouterr().err
    assert answer(build, ["train", "counting"]) == 2
    assert "--world is missing" in capsys.readouterr().err
