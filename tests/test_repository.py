"""What a repository owes to people who come to it: its files agree, and nothing is missing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import slategym

ROOT = Path(__file__).parents[1]
LIBRARIES = (  # whose users look for what they know: docs/habits.md
    *("Gymnasium", "stable-baselines3", "Hugging Face", "RecBole", "Open Bandit Pipeline"),
    *("Weights & Biases", "Ray Tune", "Hydra"),
)


def test_the_version_is_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert version == slategym.__version__ == cited["version"]
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", name) for name in sections[1:])


def test_people_find_how_to_take_part() -> None:
    for name in ("LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"):
        assert len((ROOT / name).read_text().split()) > 60, name
    assert (ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md").is_file()
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 3
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert form["name"] and form["description"] and form["body"], path.name
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {hook["id"] for repo in hooks["repos"] for hook in repo["hooks"]} >= {"format", "lint"}


def test_users_of_other_libraries_find_theirs() -> None:
    lines = [line for line in (ROOT / "docs" / "habits.md").read_text().splitlines() if "|" in line]
    named = " ".join(line.split("|")[1] for line in lines)
    for name in LIBRARIES:
        assert name in named or name in " ".join(lines), name
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 3 and cells[1] and cells[2], line
