"""Several finished studies side by side: what they concluded, and what each policy earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import ArrowInvalid
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.envs.names import UsageError, plain
from slategym.experiments.runs.store import read_parquet
from slategym.experiments.statistics.cells import Cell
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.stats import mean
from slategym.models.checksums import check_files, read_json

SUMMARY, STUDY, ROWS, REPORT = "summary.json", "study.json", "rows.parquet", "report.html"


@dataclass(frozen=True)
class Finished:
    """What a study's folder says."""

    folder: Path
    study: str
    command: str
    verdict: str
    outcomes: dict[str, str]  # by open place, in two words
    metric: str  # column of the rows that the means are of
    means: dict[str, dict[str, Estimate]]  # by open place, then policy; 95 % intervals
    version: str

    @property
    def report(self) -> Path:
        """The page, for people."""
        return self.folder / REPORT


def read_finished(folder: str | Path) -> Finished:
    """A study's result from its files.

    Raises:
        UsageError: there is no finished study.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    missing = [name for name in (STUDY, SUMMARY, ROWS) if not (folder / name).is_file()]
    if STUDY in missing:
        raise UsageError(
            f"{folder} holds no study; give the folder that slategym benchmark names at its end"
        )
    if missing:
        raise UsageError(f"the study in {folder} is not finished: there is no {missing[0]}")
    try:
        return _finished(folder)
    except (KeyError, TypeError, AttributeError, ArrowInvalid) as error:
        raise UsageError(f"{folder} holds no study that can be read: {error!r}") from error


def _finished(folder: Path) -> Finished:
    summary, study = read_json(folder / SUMMARY), read_json(folder / STUDY)
    stated = {one["name"]: one["sha256"] for one in summary.get("files", ())}
    check_files(folder, {name: stated[name] for name in (ROWS,) if name in stated})
    rows, _ = read_parquet(folder / ROWS)
    metric = "expected_return" if "expected_return" in rows else "return"
    means: dict[str, dict[str, Estimate]] = {}
    for place in study["places"]:
        if place["role"] != "open":
            continue
        here = rows[rows["trained_in"].isin(["", place["name"]])]
        means[place["name"]] = {
            policy: mean(here, cell, metric)
            for policy in summary["means"].get(place["name"], {})
            if len((cell := _cell(policy, place)).among(here))
        }
    return Finished(
        folder,
        study["study"],
        summary["command"],
        summary["verdict"],
        summary.get("outcomes", {}),
        metric,
        means,
        summary["environment"]["slategym"],
    )


def _cell(policy: str, place: dict[str, Any]) -> Cell:
    return Cell(policy, place["name"], strength=place["strength"], group=place["group"])


def side_by_side(runs: Sequence[Finished], console: Console) -> None:
    """What each concluded, in full where it is alone, then a table of each open place.

    Args:
        runs: one or more.
        console: to print on.
    """
    for run in runs:
        console.print(Text(f"{run.folder} ({run.study}, slategym {run.version})", "bold"))
        short = "; ".join(f"{place}: {what}" for place, what in run.outcomes.items())
        console.print(Text(plain(run.verdict if len(runs) == 1 or not short else short)))
        console.print(Text(f"{run.command}; {run.report}", "dim"))
        console.print()
    for place in dict.fromkeys(place for run in runs for place in run.means):
        console.print(_table(place, [run for run in runs if place in run.means]))


def _table(place: str, runs: Sequence[Finished]) -> Table:
    metric = runs[0].metric.replace("_", " ")
    table = Table(
        title=Text(f"{place}: mean {metric} [95 % interval]", "italic"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("policy")
    for run in runs:
        table.add_column(Text(str(run.folder)), justify="right")
    first = runs[0].means[place]
    named = dict.fromkeys(policy for run in runs for policy in run.means[place])
    for policy in sorted(named, key=lambda p: -first[p].value if p in first else float("inf")):
        found = [run.means[place].get(policy) for run in runs]
        table.add_row(policy, *("" if x is None else str(x) for x in found))
    return table


def as_document(runs: Sequence[Finished]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "folder": str(run.folder),
            "study": run.study,
            "command": run.command,
            "verdict": run.verdict,
            "outcomes": run.outcomes,
            "metric": run.metric,
            "slategym": run.version,
            "means": {
                place: {policy: x.to_json() for policy, x in found.items()}
                for place, found in run.means.items()
            },
        }
        for run in runs
    ]
