"""From a fitted model and a log that has grown to the next model, with a report of what moved."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slategym.models.checksums import with_checksum
from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log
from slategym.models.files import atomic_path
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.refit import RefitSettings, refit_multitask
from slategym.models.quality.drift import DriftReport, drift_report

REPORT = "drift.json"  # in the new model's folder
FORMAT = 1  # of it; raise it when what is written changes


@dataclass(frozen=True)
class Refit:
    """The next model, and what moved since the one before."""

    model: MultiTaskBert
    drift: DriftReport


def refit(
    model: MultiTaskBert | str | os.PathLike[str],
    log: Log | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    settings: RefitSettings | None = None,
    since: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
    report_to: Sequence[str] = (),
) -> Refit:
    """Fit a model further on a log's new rows, replaying old ones, and say what moved.

    The new model goes to a folder of its own, beside `drift.json`; the old one is left as it is. A
    refit that was killed goes on where it stopped, to the same weights.

    Args:
        model: a model, its folder, or the hub's "owner/name".
        log: what it was fitted on and more: a log, its folder, or a data set's name. It may have
            new people, new items and new categories.
        folder: of the next model.
        settings: how; None: the default, half of the rows old ones.
        since: rows after this moment are new, unix seconds UTC; None: after the last moment that
            the model was fitted on.
        seed: decides everything random.
        device: "cpu" or "cuda".
        progress: whether to draw bars on stderr.
        report_to: names of reporters: tensorboard, wandb, mlflow.

    Raises:
        UsageError: there is no such model or log, nothing new in the log, or a reporter is not
            installed. ValueError: a folder
            is damaged or holds another model.
    """
    if not isinstance(model, MultiTaskBert):
        model = MultiTaskBert.from_pretrained(model if isinstance(model, str) else Path(model))
    if not isinstance(log, Log):
        log = load_log(log if isinstance(log, str) else Path(log), progress=progress)
    done = refit_multitask(
        model.to(device),
        log,
        Path(folder),
        settings,
        since=since,
        seed=seed,
        progress=progress,
        report_to=report_to,
    )
    report = drift_report(log, done, seed=seed)
    with atomic_path(Path(folder) / REPORT) as path:
        told = {"format": FORMAT, "status": "finished", **report.to_json()}
        text = json.dumps(with_checksum(told), indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
    return Refit(done.model, report)
