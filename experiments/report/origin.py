"""When, from which code and on which machine a report was made."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from slategym import __version__
from slategym.experiments.report.markup import Html, element, join

SECONDS = 5.0  # that git may take


def origin() -> dict[str, str]:
    """Date, version, commit ("": not from a checkout) and machine."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "version": __version__,
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }


def _commit() -> str:
    """Of the checkout in which this file is tracked, "+" behind it if the checkout was changed."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here.parent, capture_output=True, text=True, timeout=SECONDS,
            check=True,
        )  # fmt: skip
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def origin_line(made: Mapping[str, str], command: str) -> Html | None:
    """The same for people; None where it is not known."""
    if not made:
        return None
    commit = f", commit {made['commit']}" if made["commit"] else ""
    return element(
        "p",
        join(
            [
                f"{made['date']} · slategym {made['version']}{commit} · {made['machine']} · ",
                element("code", command),
            ]
        ),
        class_="soft",
    )
