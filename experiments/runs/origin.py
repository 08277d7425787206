"""When, from which code and on which machine something is computed."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from slategym import __version__

SECONDS = 5.0  # that git may take


def origin() -> dict[str, str]:
    """Date, version, commit ("": not from a checkout) and machine."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "version": __version__,
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }


@cache
def _commit() -> str:
    """Of the checkout in which this file is tracked, "+" behind it if the checkout was changed.

    Read once a process, whose code stays what it was when it was imported.
    """
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
