"""The headroom of a world in a figure: what looking further ahead earns, told the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slategym.experiments.report.figures import Picture, panels_of, save_picture

LINES = {"random": ":", "supervised": "-.", "greedy, told": "--", "rule, told": "-"}


def draw_depths(found: Mapping[str, Any], folder: Path, name: str, title: str = "") -> Picture:
    """Return by how far the planner looks ahead, beside those who look no further than the slate.

    Args:
        found: a headroom, as `measure/headroom` has it in JSON values.
        folder: where the figure goes.
        name: of the file, without its suffix.
        title: of the figure; "": the world's.
    """
    figure, (panel,) = panels_of(1, 1, 3.2)
    depths = [d["slates"] for d in found["depths"]]
    values = [d["value"] for d in found["depths"]]
    spread = [
        [d["value"] - d["low"] for d in found["depths"]],
        [d["high"] - d["value"] for d in found["depths"]],
    ]
    panel.errorbar(depths, values, yerr=spread, marker="o", color="C0", label="planner, told")
    for who, dash in LINES.items():
        if who in found["returns"]:
            level = found["returns"][who]["value"]
            panel.axhline(level, linestyle=dash, color="0.35", linewidth=1.2, label=who)
    panel.set_xscale("log", base=2)
    panel.set_xticks(depths, [str(depth) for depth in depths])
    panel.set_xlabel("slates looked ahead")
    panel.set_ylabel("expected return")
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    heading = title or f"{found['world']}: what looking ahead is worth, told the truth"
    caption = (
        f"Mean over {found['users']} sessions of {found['people']} people, bars 95 % over people. "
        f"{found['sentence']}"
    )
    return save_picture(figure, folder, name, heading, caption, f"{heading}. {found['sentence']}")
