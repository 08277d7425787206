"""Presets: files that train takes, of learners and worlds that there are."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from slategym.agents.registry import find_agent
from slategym.envs.names import UsageError
from slategym.experiments.cli.agent_settings import read_agent_settings
from slategym.experiments.cli.config_file import read_config
from slategym.experiments.cli.main import answer, build
from slategym.experiments.cli.world_settings import read_settings
from slategym.experiments.measure import training
from slategym.experiments.presets import all_presets, find_preset, tuned

WORLD = "Sardine-SlateTopK-Bored-v0"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("world", "agent"), all_presets())
def test_every_preset_is_a_file_that_train_takes(world: str, agent: str) -> None:
    preset = find_preset(agent, world)
    assert (preset.world, preset.agent) == (world, agent)
    config = read_config(preset.path)
    assert (config.world, config.agent) == (world, agent)
    pairs = [f"{n}={json.dumps(x)}" for n, x in config.agent_settings.items()]
    assert read_agent_settings(agent, pairs, config.steps) == tuned(agent, world)
    default = find_agent(agent).default_settings()
    same = {f.name for f in fields(default)} & config.agent_settings.keys()
    assert all(tuned(agent, world) != replace(tuned(agent, world), **{n: getattr(default, n)})
               for n in same)  # fmt: skip  # what is the default is left out
    pairs = [f"{n}={json.dumps(x)}" for n, x in preset.world_settings.items()]
    assert read_settings(world, pairs) == preset.world_settings
    assert len(preset.chosen.split()) > 5
    assert not preset.page or (ROOT / preset.page).is_file()


@pytest.mark.parametrize(("world", "agent"), all_presets())
def test_every_preset_says_what_it_reached(world: str, agent: str) -> None:
    preset = find_preset(agent, world)
    found = preset.reached
    if found is None:
        said = "depends on the log" if preset.of_a_log else "was not measured in this form"
        assert said in preset.summary() and (ROOT / preset.page).is_file()
        return
    assert not preset.of_a_log and len(found.commit) >= 7 and found.seeds
    assert len(found.slates) == len(found.mean) == len(found.low) == len(found.high) >= 5
    assert list(found.slates) == sorted(found.slates)
    assert found.slates[-1] >= preset.agent_settings["num_steps"] // 4
    assert all(a <= b <= c for a, b, c in zip(found.low, found.mean, found.high, strict=True))
    assert len(found.by_seed) == len(found.seeds) and "random" in found.beside
    assert found.mean[-1] == pytest.approx(sum(found.by_seed) / len(found.by_seed), rel=2e-2)
    assert f"{found.mean[-1]:.1f}" in preset.summary()


def test_a_preset_is_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no preset of slateq in MovieLens-v0; MovieLens-v0 has "):
        find_preset("slateq", "MovieLens-v0")
    with pytest.raises(UsageError, match="slategym presets lists all"):
        find_preset("slateq", "Nowhere-v0")
    asked = []
    monkeypatch.setattr(training.Training, "run", lambda self, *a, **o: asked.append(self) or 1 / 0)
    words = ["train", "plackett-luce", "--world", WORLD, "--preset", "--agent-set", "gamma=0.5"]
    assert answer(build, [*words, "--steps", "128"]) == 1
    (one,) = asked
    assert one.settings == replace(tuned("plackett-luce", WORLD), gamma=0.5, num_steps=128)
    assert one.world_settings == {"history_size": 20, "shown_size": 20}


def test_presets_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["presets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["world"], row["agent"]) for row in listed] == all_presets()
    assert answer(build, ["presets", WORLD, "plackett-luce"]) == 0
    assert capsys.readouterr().out == find_preset("plackett-luce", WORLD).path.read_text()
    assert answer(build, ["presets", WORLD]) == 0
    out = capsys.readouterr().out
    assert "reinforce-topk" in out and "64,000" in out and "MovieLens" not in out
    assert answer(build, ["presets", "Workbench-v0"]) == 2
    assert answer(build, ["worlds", WORLD]) == 0
    assert f"slategym train plackett-luce --world {WORLD} --preset" in capsys.readouterr().out
