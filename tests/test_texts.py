"""Every file and folder of the repository that a text or a docstring names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("slategym", "envs", "models", "agents", "experiments")
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TOP = "envs|models|agents|experiments|tests|docs|benchmarks|examples"
PLACE = re.compile(rf"(?<![\w./-])((?:{TOP})/[\w./-]*\w)")  # from the root of the repository
QUOTED = re.compile(r"`([\w/-]+\.(?:py|md))`")  # as a docstring names the file beside it
LINK = re.compile(r"\]\(([^)#:\s]+)\)")
TO_WRITE = {  # by who follows a recipe
    "envs/users/habitual.py",
    "envs/worlds/habits.py",
    "agents/greedy_counts.py",
}


def missing(text: str, folder: Path) -> Iterator[str]:
    """What the text names and nobody finds: from the root, or from the folder of the text."""
    for place in PLACE.findall(text):
        found = ROOT / place
        if not (found.exists() or found.with_suffix(".py").exists() or place in TO_WRITE):
            yield place
    for place in QUOTED.findall(text):
        inside = any((ROOT / top / place).exists() for top in ("", *FOLDERS))
        if not (inside or (folder / place).exists() or place in TO_WRITE):
            yield place


@pytest.mark.parametrize("path", [*TEXTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    assert list(missing(path.read_text(), path.parent)) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert [x for x in LINK.findall(path.read_text()) if not (path.parent / x).exists()] == []


def test_the_test_sees() -> None:
    text = "`slate_law.py` and `core/tree.py`, docs/results/nowhere.md, models/data/log"
    assert list(missing(text, ROOT / "agents")) == ["docs/results/nowhere.md", "slate_law.py"]
