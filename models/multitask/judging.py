"""What validation rows say of a trained model: shares of its parts, calibration, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from slategym.models.multitask.calibrate import calibrate
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import Predictions, predict
from slategym.models.multitask.scores import model_figures
from slategym.models.multitask.sequences import Bools, Ints
from slategym.models.multitask.shares import HeldOut, Shares, find_shares, serve_shares
from slategym.models.tasks import Task

JUDGED_ROWS = 10_000  # validation rows that shares, calibration and figures are taken on


@dataclass(frozen=True)
class Judgement:
    """What the validation rows say of a trained model."""

    tasks: tuple[Task, ...]  # with their spreads measured
    calibration: list[dict[str, Any]]  # what calibrating did, per binary signal
    shares: Shares  # of the heads' parts, as served
    figures: dict[str, Any]  # of the calibrated model, with notes


def judge(
    model: MultiTaskBert,
    held: HeldOut | None,
    shared: tuple[str, ...],
    weights: Mapping[str, float],
) -> Judgement:
    """Shares, which the model serves from now on; then all else, of the model as it is served.

    Args:
        model: trained.
        held: the validation rows; None: there are none, and nothing is said.
        shared: heads whose parts have shares.
        weights: of every head's mean loss.
    """
    if held is None:
        return Judgement(model.tasks, [], {}, {})
    shares = find_shares(model, held, shared)
    serve_shares(model, shares)
    judged = predict(model, held.sequences, held.row_x, seed=held.seed, known=held.known)
    trained = [task.signal.name for task in model.tasks if task.calibrated]
    found = [calibrate(judged, head) for head in trained if weights[head]]
    platt = {calibration.head: calibration.platt for calibration in found}
    figures = model_figures("", judged, platt, dict(weights)).to_json()
    del figures["model"]
    return Judgement(
        tuple(_measured(task, judged, m) for m, task in enumerate(model.tasks)),
        [calibration.to_json() for calibration in found],
        shares,
        figures,
    )


def sample(mask_E: Bools, most: int) -> Ints:
    """At most so many of the rows, spread evenly, the same every time."""
    row_x = np.flatnonzero(mask_E)
    if len(row_x) <= most:
        return row_x
    return row_x[np.linspace(0, len(row_x) - 1, most).astype(np.int64)]


def _measured(task: Task, judged: Predictions, m: int) -> Task:
    """The task with its spread and level measured, where some row observes it."""
    seen_x = judged.seen(m)
    if not seen_x.any():
        return task
    return task.measured(judged.output_xM[seen_x, m], judged.value_xM[seen_x, m])
