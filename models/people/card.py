"""The README.md of a folder that holds people of a family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slategym.envs.names import in_markdown
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.files import atomic_path
from slategym.models.terms import terms

NOT_READ = "not read yet: a study, or a world that is made of it, reads it"


def write_card(
    folder: Path, log: Log, family: str, one_line: str, about: Mapping[str, Any], figures: str
) -> None:
    """Write README.md.

    Args:
        folder: of the model.
        log: whose people.
        family: by name.
        one_line: what the family is.
        about: "party", and numbers of "people" and of those "held" among them.
        figures: a sentence.
    """
    lines = [
        f"# People of {in_markdown(log.name)}: {in_markdown(family)}",
        "",
        f"{one_line}. Fitted on {about['people']} people of party {about['party']} alone "
        f"(log sha256 `{log.sha256[:12]}`); settings chosen and outputs calibrated on "
        f"{about['held']} of them, whom the fit that was calibrated had not met, and then fitted "
        "again on all.",
        "",
        "## On selection people, unknown to the fit that is read",
        "",
        f"{figures}. Clicks {against(log)}.",
        "",
        terms(log.name),
        "",
    ]
    with atomic_path(folder / "README.md") as path:
        path.write_text("\n".join(lines), encoding="utf-8")


def against(log: Log) -> str:
    """What clicks are held against when people of a log are measured."""
    if has_slates(log):
        return "among what was shown"
    refused = " and the rows without a click" if (log.events["click"] == 0).any() else ""
    return f"against 4 uniform negatives per click{refused}"
