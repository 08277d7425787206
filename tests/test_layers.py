"""Imports point one way: experiments -> agents -> models -> envs."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("envs", "models", "agents", "experiments")  # lowest first
ENVS_MAY_USE = {"torch", "gymnasium", "numpy"}
ALSO = {("envs/render.py", "PIL")}  # pictures
FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that an import statement names, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "slategym":
                yield from (f"slategym.{alias.name}" for alias in node.names)


def strings(tree: ast.AST) -> Iterator[str]:
    """Every string but docstrings."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def violations(source: str, path: Path) -> list[str]:
    """What that file may not do, in words."""
    layer = path.parts[0]
    above = LAYERS[LAYERS.index(layer) + 1 :]
    tree = ast.parse(source)
    found = []
    for module in imported(tree):
        top, _, rest = module.partition(".")
        if not top:
            found.append(f"relative import of {module}")
        elif top == "slategym" and rest.split(".")[0] in above:
            found.append(f"imports {module}, which is above")
        elif (path.as_posix(), top) in ALSO:
            continue
        elif layer == "envs" and top not in sys.stdlib_module_names | ENVS_MAY_USE | {"slategym"}:
            found.append(f"imports {module}; envs knows {', '.join(sorted(ENVS_MAY_USE))} alone")
    registry = path == Path("envs/registry.py")
    for text in strings(tree):
        for upward in re.findall(
            rf"slategym\.(?:{'|'.join(above)})\b[\w.:]*", text if above else ""
        ):
            if not (registry and re.fullmatch(r"[\w.]+:\w+", upward) and upward == text):
                found.append(f"names {upward} in a string, which is above")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    assert violations(path.read_text(), path.relative_to(ROOT)) == []


def test_all_layers_were_read() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(LAYERS)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("envs/engine.py", "import pandas"),
        ("envs/engine.py", "from PIL import Image"),
        ("envs/gym.py", "def f():\n    from stable_baselines3 import PPO"),
        ("envs/engine.py", "from slategym.models.data import log"),
        ("models/text/vectors.py", "from slategym import agents"),
        ("models/text/vectors.py", "import_module('slategym.agents.sb3.env')"),
        ("agents/sb3/env.py", "from ..experiments import run"),
        ("envs/registry.py", "x = 'slategym.models.text.vectors'"),
        ("envs/registry.py", "x = 'use slategym.models.text.vectors:encode'"),
        ("envs/worlds/one.py", "x = 'slategym.models.text.vectors:encode'"),
        (
            "envs/gym.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import transformers",
        ),
    ],
)
def test_the_test_sees(path: str, source: str) -> None:
    assert len(violations(source, Path(path))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("envs/registry.py", "x = 'slategym.models.simulator.movielens:movielens'"),
        ("experiments/runs/run.py", "import pandas\nfrom slategym.envs.engine import start"),
        ("models/text/vectors.py", '"""Read by slategym.agents."""\nimport torch, json'),
    ],
)
def test_the_test_allows(path: str, source: str) -> None:
    assert violations(source, Path(path)) == []
