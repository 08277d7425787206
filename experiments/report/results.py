"""What a study hands to its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from slategym.experiments.statistics.verdict import Roles

EPISODE_COLUMNS = (
    *("world", "variant", "boredom", "policy", "trained_in", "seed", "user", "person", "group"),
    *("return", "clicks", "likes", "rating_mean", "length", "bored_share", "topics"),
    "expected_return",
)
CURVE_COLUMNS = ("policy", "trained_in", "seed", "steps", "seconds", "return_mean")
NOTES = (  # the report's sections, and "capped": which cap was chosen, and how
    *("verdict", "ladder", "differences", "capped", "control", "judge", "grid", "learning"),
    *("assumptions", "models", "protocol", "repeat"),
)
RELIABILITY_COLUMNS = ("model", "head", "bin", "predicted", "observed", "count")


class Constant(NamedTuple):
    """A number that decides what the world is like."""

    name: str
    value: float
    unit: str
    origin: str  # what it was calibrated on, or why it is assumed


class Label(NamedTuple):
    """What a part of the world rests on. A world's `labels` have this shape."""

    what: str
    label: str  # logged | derived | assumed | synthetic
    why: str


class Artefact(NamedTuple):
    """A file beside the report that belongs to it."""

    path: Path
    what: str


@dataclass(frozen=True)
class StudyResult:
    """All that a report says, as data.

    Raises:
        ValueError: if a table lacks a column, if the rows lack a policy that has a role, or if
            there is no section for a note.
    """

    title: str
    question: str
    command: str  # that repeats the study
    roles: Roles
    rows: pd.DataFrame  # EPISODE_COLUMNS, one per simulated session
    curves: pd.DataFrame  # CURVE_COLUMNS, steps in user-steps; may be empty
    reliability: pd.DataFrame  # RELIABILITY_COLUMNS; may be empty
    model_metrics: tuple[Mapping[str, Any], ...]  # one per model: "model", numbers, "protocol"
    labels: tuple[tuple[str, str, str], ...]  # Label
    constants: tuple[Constant, ...]
    settings: tuple[tuple[str, str], ...]  # the protocol: what, how
    timings: tuple[tuple[str, float], ...]  # what, seconds
    artefacts: tuple[Artefact, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)  # a remark for some of NOTES

    def __post_init__(self) -> None:
        tables = {
            "rows": (self.rows, EPISODE_COLUMNS),
            "curves": (self.curves, CURVE_COLUMNS),
            "reliability": (self.reliability, RELIABILITY_COLUMNS),
        }
        for name, (frame, columns) in tables.items():
            lacking = [column for column in columns if column not in frame.columns]
            if lacking and not (frame.empty and name != "rows"):
                raise ValueError(f"the study's {name} lack {lacking}; needed: {list(columns)}")
        if stray := sorted(set(self.notes) - set(NOTES)):
            raise ValueError(f"a report has no section for the notes {stray}; it has {list(NOTES)}")
        known = set(self.rows["policy"].unique())
        roles = self.roles
        needed = [roles.random, roles.supervised, roles.capped, roles.myopic, *roles.agents]
        missing = [policy for policy in needed if policy not in known]
        if missing:
            raise ValueError(
                f"the study's rows lack the policies {missing}; there: {sorted(known)}"
            )
