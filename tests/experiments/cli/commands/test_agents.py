"""slategym agents: the list, and a page for each."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from slategym.agents.entries import POLICIES, PRESENT
from slategym.agents.registry import find_agent
from slategym.experiments.cli.commands.agents import KINDS
from slategym.experiments.cli.declared import settings_of
from slategym.experiments.cli.main import answer, build


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_everything_is_listed_once_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["agents"]) == 0
    out = capsys.readouterr().out
    listed = [line.split()[0] for line in out.splitlines() if line.startswith(" ") and line.strip()]
    assert [name for name in listed if name in POLICIES] == [
        name for kind in KINDS for name, entry in POLICIES.items() if entry.kind == kind
    ]
    assert {entry.kind for entry in POLICIES.values()} <= set(KINDS)
    for entry in POLICIES.values():
        assert entry.one_line in out


@pytest.mark.parametrize("name", POLICIES)
def test_each_has_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["agents", name]) == 0
    out = capsys.readouterr().out
    entry = POLICIES[name]
    assert out.startswith(f"{name}  ({entry.kind}): {entry.one_line}")
    assert f"--policy {name}" in out if entry.agent is None else f"slategym train {name}" in out
    if entry.agent is not None:
        for setting in settings_of(name):
            assert setting.name in out and setting.meaning.split(";")[0][:40] in out
        assert "Source" in out
        assert "see the module" not in out
    assert entry.example in out.partition("Try it")[2]
    if entry.needs:  # the example is of a world that has it
        assert entry.needs.endswith(f"as {entry.example} has")


@pytest.mark.parametrize("name", [name for name, entry in POLICIES.items() if entry.agent])
def test_the_settings_shown_are_those_with_which_it_trains(name: str) -> None:
    default = find_agent(name).default_settings()
    kinds = get_type_hints(type(default), include_extras=True)
    assert {s.name: (s.default, s.kind) for s in settings_of(name)} == {
        field.name: (getattr(default, field.name), kinds[field.name]) for field in fields(default)
    }
    assert all(setting.meaning for setting in settings_of(name))


def test_a_learner_that_looks_at_the_present_only_has_a_page_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"slateq{PRESENT}"
    assert answer(build, ["agents", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{name}  (bandit): slateq with gamma = 0")
    assert f"slategym train {name} --world InterestEvolution-v0" in out
    told = {s.name: s.default for s in settings_of(name)}
    assert told == {s.name: s.default for s in settings_of("slateq")} | {"gamma": 0.0}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["agents", f"supervised{PRESENT}"], "supervised is no learner: it has no discount"),
        (["agents", "slateq-from-refit"], "slateq begins at no ranker that is refitted"),
        (["agents", f"placket{PRESENT}"], "did you mean 'plackett-luce'"),
        (["train", f"linucb{PRESENT}"], "linucb has no gamma, so there is no linucb-gamma0"),
        (
            ["train", f"slateq{PRESENT}", "--agent-set", "gamma=.4"],
            "slateq-gamma0 has gamma = 0 by its name; leave it out",
        ),
    ],
)
def test_variants_that_there_cannot_be_are_refused_at_once(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--world", "InterestEvolution-v0"] if words[0] == "train" else []
    assert answer(build, [*words, *where]) == 2
    assert line in capsys.readouterr().err


def test_an_unknown_one_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["agents", "placket-luce"]) == 2
    assert "unknown agent 'placket-luce'; did you mean 'plackett-luce'" in capsys.readouterr().err
