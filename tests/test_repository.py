"""What a repository owes to people who come to it: its files agree, and nothing is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import slategym
from slategym.experiments.cli.main import answer, build

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
    assert sections[0] == "Unreleased" and sections[1] == version
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", name) for name in sections[1:])
    order = [tuple(map(int, name.split("."))) for name in sections[1:]]
    assert order == sorted(order, reverse=True)


def test_the_command_says_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["--version"]) == 0
    assert capsys.readouterr().out == f"slategym {slategym.__version__}\n"


def release_of(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """.ci/release.py of a copy of the files that it reads."""
    command = [
        sys.executable,
        str(folder / ".ci" / "release.py"),
        tag,
        "--out",
        str(folder / "out"),
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_tag_releases_the_section_of_the_changelog(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "slategym").mkdir()
    coded = "slategym/__init__.py"
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", ".ci/release.py", coded):
        shutil.copy(ROOT / name, tmp_path / name)
    version = slategym.__version__
    log = (tmp_path / "CHANGELOG.md").read_text()
    head, _, rest = log.partition("## [Unreleased]\n")
    released = f"{head}## [Unreleased]\n\n## [{rest.partition('## [')[2]}"
    (tmp_path / "CHANGELOG.md").write_text(f"{head}## [Unreleased]\n\n- New.\n\n{released}")
    assert "under [Unreleased]: move them" in release_of(tmp_path, f"v{version}").stderr
    (tmp_path / "CHANGELOG.md").write_text(released)
    assert (done := release_of(tmp_path, f"v{version}")).returncode == 0, done.stderr
    notes = (tmp_path / "out" / "notes.md").read_text()
    assert notes.startswith("### ") and "## [" not in notes
    section = (ROOT / "CHANGELOG.md").read_text().split(f"## [{version}]")[1]
    assert " ".join(notes.split()) in " ".join(section.split())
    assert all(line.startswith(("- ", "#")) for line in notes.splitlines() if line)  # no wraps
    for tag, said in (
        (version, "a release's tag is vX.Y.Z"),
        ("v99.0.0", f"the tag says 99.0.0, pyproject.toml says {version}"),
    ):
        done = release_of(tmp_path, tag)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "CHANGELOG.md").write_text(released.replace(f"## [{version}]", "## [99.0.0]"))
    assert "CHANGELOG.md says 99.0.0" in release_of(tmp_path, f"v{version}").stderr
    (tmp_path / coded).write_text('__version__ = "99.0.0"\n')
    assert f"{coded} says 99.0.0" in release_of(tmp_path, f"v{version}").stderr


def test_a_tag_starts_the_release() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    said = yaml.load(text, yaml.BaseLoader)  # else "on" is True
    assert said["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    runs = [step.get("run", "") for step in said["jobs"]["release"]["steps"]]
    order = ['release.py "$GITHUB_REF_NAME"', "bash .ci/run", "--build", "gh release create"]
    places = [next(i for i, run in enumerate(runs) if part in run) for part in order]
    assert places == sorted(places) and "--notes-file dist/notes.md" in runs[-1]
    for path in re.findall(r"\.ci/\S+", text):
        assert (ROOT / path.rstrip(".")).is_file(), path


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
