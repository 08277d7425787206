"""What a tag releases: python .ci/release.py v0.1.0 [--out dist] [--build].

Checks that the tag, pyproject.toml, slategym/__init__.py, CITATION.cff and the newest dated section
of CHANGELOG.md name one version, and that nothing is left under [Unreleased]; writes that section
to OUT/notes.md, the text of the release's page, an entry a line (that page keeps breaks); with
--build also the source archive and the wheel beside it. One line and exit code 1 where they
disagree. Run by .github/workflows/release.yml, and by hand before a tag is made.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAG = re.compile(r"v(\d+\.\d+\.\d+)")
SECTION = re.compile(
    r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})\n(.*?)(?=^## |\Z)", re.M | re.S
)


UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.M | re.S)


def main() -> int:
    """Check, and write what is released."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--build", action="store_true")
    asked = parser.parse_args()
    try:
        notes = released(asked.tag)
    except ValueError as error:
        print(f"not released: {error}", file=sys.stderr)
        return 1
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "notes.md").write_text(notes, encoding="utf-8")
    if asked.build:
        command = [sys.executable, "-m", "build", "--outdir", str(asked.out), str(ROOT)]
        subprocess.run(command, check=True)
    print(f"{asked.tag}: {asked.out / 'notes.md'}")
    return 0


def released(tag: str, root: Path = ROOT) -> str:
    """The changelog's section of that tag.

    Raises:
        ValueError: a file names another version, the section is missing or empty, or changes are
            still said to be unreleased.
    """
    found = TAG.fullmatch(tag)
    if found is None:
        raise ValueError(f"a release's tag is vX.Y.Z, got {tag!r}")
    version = found[1]
    stated = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    coded = re.search(r'^__version__ = "(.+)"', (root / "slategym/__init__.py").read_text(), re.M)
    cited = re.search(r"^version: *[\"']?([\w.]+)", (root / "CITATION.cff").read_text(), re.M)
    log = (root / "CHANGELOG.md").read_text("utf-8")
    sections = SECTION.findall(log)
    newest, _, text = sections[0] if sections else ("none", "", "")
    for where, other in (
        ("pyproject.toml", stated),
        ("slategym/__init__.py", coded[1] if coded else "none"),
        ("CITATION.cff", cited[1] if cited else "none"),
        ("the newest dated section of CHANGELOG.md", newest),
    ):
        if other != version:
            raise ValueError(f"the tag says {version}, {where} says {other}")
    if not text.strip():
        raise ValueError(f"CHANGELOG.md says nothing of {version}")
    if any(part.strip() for part in UNRELEASED.findall(log)):
        raise ValueError(f"CHANGELOG.md has changes under [Unreleased]: move them to [{version}]")
    return re.sub(r"\n +(?=\S)", " ", str(text).strip()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
