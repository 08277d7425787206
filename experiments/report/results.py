"""What a study hands to its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from slategym.experiments.study import Profile, Study

NEEDED = {  # columns of the tables
    "rows": (
        *("world", "variant", "policy", "trained_in", "seed", "user", "person", "group"),
        *("return", "length"),
    ),
    "curves": ("policy", "trained_in", "split", "seed", "steps", "seconds", "return_mean"),
    "reliability": ("model", "head", "bin", "predicted", "observed", "count"),
}
SECTIONS = (
    *(
        "short",
        "headroom",
        "verdict",
        "attribution",
        "ladder",
        "places",
        "exposure",
        "differences",
        "control",
        "judge",
        "sweep",
    ),
    *(
        "slates",
        "segments",
        "cost",
        "learning",
        "assumptions",
        "validation",
        "models",
        "protocol",
        "tuning",
        "learners",
        "repeat",
    ),
)


class Constant(NamedTuple):
    """A number that decides what the world is like."""

    name: str
    value: float | None  # None: the log does not say
    unit: str
    origin: str  # what it was calibrated on, or why it is assumed


class Artefact(NamedTuple):
    """A file beside the report that belongs to it."""

    path: Path
    what: str


@dataclass(frozen=True)
class Result:
    """All that a report says, as data.

    Raises:
        ValueError: if a table lacks a column, if the rows lack a policy that has a role, or if
            there is no section for a remark.
    """

    study: Study
    size: Profile
    command: str  # that repeats the study
    rows: pd.DataFrame  # one per simulated session
    curves: pd.DataFrame  # steps in user-steps; may be empty
    reliability: pd.DataFrame  # predicted and observed, in bins; may be empty
    # gains over the opponent while learners trained, `measure/goodhart`; may be empty
    watched: pd.DataFrame = field(default_factory=pd.DataFrame)
    # early stopping by the judge minus the end of training, `measure/goodhart`; may be empty
    stopped: pd.DataFrame = field(default_factory=pd.DataFrame)
    # sessions of a few people, a row a slot, `measure/slates`; may be empty
    slates: pd.DataFrame = field(default_factory=pd.DataFrame)
    signals: tuple[tuple[str, str, str], ...] = ()  # name, kind and unit of each, click first
    serving: Mapping[str, Any] = field(default_factory=dict)  # of `measure/latency.serving`
    made: Mapping[str, str] = field(default_factory=dict)  # date, version, commit, machine
    # the same of what it was computed by, each once, with how many "units"
    computed: tuple[Mapping[str, str], ...] = ()
    model_metrics: tuple[Mapping[str, Any], ...] = ()  # one a model: "model", numbers, "protocol"
    served: tuple[Mapping[str, Any], ...] = ()  # of every training: what selection people decided
    # by judge, as "model" of its metrics: of the people before whom policies are read, how many its
    # fit has met, and how many there are
    met: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    labels: tuple[tuple[str, str, str], ...] = ()  # what, label, why
    constants: tuple[Constant, ...] = ()
    headroom: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by open place
    validation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by open place
    settings: tuple[tuple[str, str], ...] = ()  # the protocol: what, how
    tunings: tuple[Mapping[str, Any], ...] = ()  # a `Tuning` each: what was tried, what was taken
    learners: tuple[tuple[str, str], ...] = ()  # of every training: name, settings
    timings: tuple[tuple[str, float], ...] = ()  # what, seconds
    artefacts: tuple[Artefact, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)  # by section

    @property
    def starts(self) -> dict[tuple[str, str], str]:
        """By learner and place: where its trainings began, if all did so at the same policy."""
        begun: dict[tuple[str, str], set[str]] = {}
        for one in self.served:
            begun.setdefault((one["learner"], one["place"]), set()).add(one.get("begun", ""))
        return {
            whose: next(iter(names))
            for whose, names in begun.items()
            if len(names) == 1 and "" not in names
        }

    def __post_init__(self) -> None:
        for name, columns in NEEDED.items():
            frame = getattr(self, name)
            lacking = [column for column in columns if column not in frame.columns]
            if lacking and not (frame.empty and name != "rows"):
                raise ValueError(f"the study's {name} lack {lacking}; needed: {list(columns)}")
        if stray := sorted(set(self.remarks) - set(SECTIONS)):
            raise ValueError(f"a report has no section for {stray}; it has {list(SECTIONS)}")
        known, roles = set(self.rows["policy"].unique()), self.study.roles
        needed = [roles.random, roles.opponent, *self.study.learned]
        missing = [policy for policy in needed if policy not in known]
        if missing:
            raise ValueError(
                f"the study's rows lack the policies {missing}; there: {sorted(known)}"
            )
