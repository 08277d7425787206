"""What the source declares is what importing it shows."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from slategym.envs.names import UsageError, load_object
from slategym.envs.outline import Unread, outline
from slategym.envs.protocols import UserModel
from slategym.envs.registry import WORLDS

MODULE = """
'''The module.'''
from __future__ import annotations
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal
from .other import Other, WIDTH as W, made

LIMIT = -3
Words = tuple[str, ...] | None

@dataclass(frozen=True)
class Settings(Other):
    "How."

    kind: ClassVar[str] = "none of the settings"
    rate: float = 0.5  # per step
    mode: Literal["a", "b"] = "a"
    width: int = W
    words: Words = ("x", "y")
    strange: float = math.pi

class Learner:
    several_seeds: ClassVar[bool] = True

    @classmethod
    def default_settings(cls) -> Settings:
        return Settings(rate=LIMIT, mode="b")

class Child(Learner):
    pass

def build(size: int, *, name: str | None = None, first=Other.depth, odd=made()):
    "Builds."
"""
OTHER = """
from dataclasses import dataclass

WIDTH = 7

@dataclass(frozen=True)
class Other:
    "Other."

    depth: int = 2  # layers # of them

def __getattr__(name):
    raise AttributeError(name)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "outlined"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mine.py").write_text(MODULE)
    (package / "other.py").write_text(OTHER)
    monkeypatch.chdir(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "outlined"]:
        del sys.modules[name]


@pytest.mark.parametrize("world", WORLDS)
def test_of_every_world_it_reads_what_inspect_finds(world: str) -> None:
    path = WORLDS[world].builder
    builder, found = load_object(path), outline(path)
    assert found is not None and found.doc == inspect.getdoc(builder)
    kinds, signature = (
        get_type_hints(builder, include_extras=True),
        inspect.signature(builder).parameters,
    )
    kinds = {name: str if kind == str | UserModel[Any] else kind for name, kind in kinds.items()}
    assert {p.name: (p.default, p.kind) for p in found.parameters} == {
        name: (each.default, kinds[name]) for name, each in signature.items()
    }


def test_fields_are_read_with_those_of_bases_and_what_is_beside_them(folder: Path) -> None:
    found = outline("outlined.mine:Settings")
    assert found is not None and found.doc == "How." and found.module.doc == "The module."
    assert [(p.name, p.default, p.meaning) for p in found.parameters] == [
        ("depth", 2, "layers # of them"),
        ("rate", 0.5, "per step"),
        ("mode", "a", ""),
        ("width", 7, ""),
        ("words", ("x", "y"), ""),
        ("strange", Unread("math.pi"), ""),
    ]
    kinds = {p.name: str(p.kind) for p in found.parameters}
    assert kinds["words"] == "tuple[str, ...] | None" and "'a', 'b'" in kinds["mode"]
    assert "outlined.mine" not in sys.modules


def test_what_a_method_makes_is_read_with_its_changes(folder: Path) -> None:
    found = outline("outlined.mine:Child")
    assert found is not None and found.constant("several_seeds") is True
    method = found.method("default_settings")
    made = method and method.returned()
    assert made and {p.name: p.default for p in made}["rate"] == -3
    assert {p.name: p.default for p in made}["mode"] == "b"
    assert found.method("nothing") is None and found.constant("nothing") == Unread("nothing")


def test_what_takes_running_code_is_left_open(folder: Path) -> None:
    found = outline("outlined.mine:build")
    assert found is not None
    assert [(p.name, p.default) for p in found.parameters] == [
        ("size", Unread("")),
        ("name", None),
        ("first", 2),
        ("odd", Unread("made()")),
    ]
    assert found.parameters[2].kind == Unread("")
    assert outline("outlined.other:Anything") is None  # the module may have it: it says how itself
    assert outline("math:pi") is None  # no Python source


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("outlined.mine:Setings", "outlined.mine has no 'Setings'; did you mean 'Settings'"),
        ("outlined.nothing:Settings", "No module named 'outlined.nothing'"),
        ("outlned.mine:Settings", "No module named 'outlned.mine'"),
    ],
)
def test_what_is_not_there_is_said(path: str, message: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=message):
        outline(path)
