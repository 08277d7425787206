"""Inside a storey: a family folder knows its storey's core, and no other family."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]


class Storey(NamedTuple):
    """Which rooms of a folder may be entered from which."""

    core: dict[str, tuple[str, ...]]  # room -> rooms that it may import; every family may, too
    top: tuple[str, ...] = ()  # rooms that may import all others and that no family imports
    but: tuple[tuple[str, str], ...] = ()  # (file, module) allowed all the same


STOREYS = {
    "models": Storey(
        core={
            **{name: () for name in ("hashes", "metrics", "statistics", "hub", "terms")},
            **{name: () for name in ("console", "ending", "finite", "optimizers", "plain_file")},
            "checksums": ("plain_file",),
            "files": ("checksums", "hashes"),
            "status": ("checksums", "ending", "files"),
            "tensor_files": ("checksums", "files"),
            "tasks": ("metrics", "statistics"),
            "taste": ("metrics", "statistics", "tasks"),
            "assets": ("checksums", "console", "ending", "files", "hashes", "plain_file"),
            "data": ("assets", "checksums", "files", "hashes", "plain_file"),
            "text": ("assets", "checksums", "console", "files", "hashes", "optimizers"),
            # what classics and the wide part of the network both know of a log's rows
            "closed_form": ("data", "statistics"),
        },
        top=("simulator", "quality", "people"),
        # a log's rows as windows of a user's events: they belong to data once they know no network
        but=(("models/classics/reading.py", "slategym.models.multitask.sequences"),),
    ),
    "agents": Storey(
        core={"types": (), "slates": ("types",), "core": ("types", "slates")},
        top=("entries", "registry", "policies", "check"),
        # names the policy that writes its log, which the registry looks up by name
        but=(("agents/latent/gems.py", "slategym.agents.registry"),),
    ),
    "experiments": Storey(
        core={
            "places": (),
            "study": ("places",),
            "request": ("study",),
            "runs": (),
            "statistics": ("places", "study"),
            "measure": ("places", "request", "runs", "statistics", "study"),
            "report": ("places", "runs", "statistics", "study"),
        },
        top=("benchmark", "doctor", "studies", "truth", "cli"),
    ),
}
FILES = [path for storey in STOREYS for path in sorted((ROOT / storey).rglob("*.py"))]


def imported(tree: ast.AST) -> list[str]:
    """Modules that import statements name, wherever in the file they stand."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def room(parts: tuple[str, ...]) -> str:
    """Of a file or a module below its storey: the folder or the file's own name."""
    return parts[0].removesuffix(".py")


def violations(source: str, path: Path) -> list[str]:
    """Which rooms this file enters and may not."""
    name = path.parts[0]
    storey, mine = STOREYS[name], room(path.parts[1:])
    if mine in (*storey.top, "__init__"):
        return []
    may = {mine, *storey.core.get(mine, storey.core)}
    found = []
    for module in imported(ast.parse(source)):
        prefix = f"slategym.{name}."
        if not module.startswith(prefix):
            continue
        if any(
            path.as_posix() == file and module.startswith(allowed) for file, allowed in storey.but
        ):
            continue
        theirs = room(tuple(module.removeprefix(prefix).split(".")))
        if theirs not in may:
            found.append(f"{mine} imports {module}; it may import {', '.join(sorted(may))}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_families_do_not_know_each_other(path: Path) -> None:
    assert violations(path.read_text(), path.relative_to(ROOT)) == []


@pytest.mark.parametrize("storey", STOREYS)
def test_the_table_names_rooms_that_there_are(storey: str) -> None:
    table = STOREYS[storey]
    there = {room(path.relative_to(ROOT / storey).parts) for path in (ROOT / storey).rglob("*.py")}
    assert {*table.core, *table.top} <= there
    for file, module in table.but:
        source = (ROOT / file).read_text()
        assert any(name.startswith(module) for name in imported(ast.parse(source)))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("agents/sb3/proto.py", "from slategym.agents.bandits.linear import LinUCB"),
        ("agents/sb3/proto.py", "def f():\n    import slategym.agents.registry"),
        ("agents/core/agent.py", "from slategym.agents.slateq import agent"),
        ("agents/slates/top.py", "from slategym.agents.core.inputs import Inputs"),
        ("agents/slateq/agent.py", "from slategym.agents import baselines"),
        ("models/classics/ials.py", "from slategym.models.multitask.network import MultiTaskBert"),
        ("models/data/log.py", "from slategym.models.text.vectors import encode"),
        ("experiments/measure/play.py", "import slategym.experiments.report.page"),
    ],
)
def test_the_test_sees(path: str, source: str) -> None:
    assert len(violations(source, Path(path))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("agents/sb3/proto.py", "from slategym.agents.sb3.env import View"),
        ("agents/sb3/proto.py", "from slategym.agents.core.inputs import Inputs"),
        ("agents/registry.py", "from slategym.agents.slateq.agent import SlateQ"),
        ("agents/core/agent.py", "from slategym.envs.luck import Luck"),
    ],
)
def test_the_test_allows(path: str, source: str) -> None:
    assert violations(source, Path(path)) == []
