"""The figures by which models are compared, from their predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slategym.models import metrics
from slategym.models.multitask.calibrate import Platt, labelled
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import Predictions
from slategym.models.tasks import NEXT

TOP = 10  # places that count as a hit
NAMES = {  # of metrics, in headings
    "auc": "AUC",
    "gauc": "gAUC",
    "ece": "ECE",
    "rmse": "RMSE",
    "rmsle": "RMSLE",
}
KINDS = ("raw", "popular")  # of a metric: not calibrated, against popular items


@dataclass(frozen=True)
class Figures:
    """One line of the comparison."""

    model: str
    values: dict[str, float] = field(default_factory=dict)  # by name; a figure may be missing
    notes: tuple[str, ...] = ()  # sentences on what could not be measured, and why

    def get(self, name: str) -> float | None:
        """A figure; None where the model has no such output or the rows do not define it."""
        return self.values.get(name)

    def to_json(self) -> dict[str, Any]:
        """A flat dict that JSON can hold: the model, its figures, and notes where there are any."""
        notes = {"notes": list(self.notes)} if self.notes else {}
        return {"model": self.model, **self.values, **notes}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Figures:
        """What `to_json` gave."""
        figures = {name: v for name, v in values.items() if name not in ("model", "notes")}
        return Figures(values["model"], figures, tuple(values.get("notes", ())))


def heading(figure: str) -> str:
    """A figure's name for people.

    >>> [heading(name) for name in ("like_auc", "like_ece_raw", "click_auc_popular", "hr10")]
    ['like AUC', 'like ECE raw', 'click AUC popular', 'HR@10']
    """
    if figure in (f"hr{TOP}", f"ndcg{TOP}"):
        return figure.upper().replace(str(TOP), f"@{TOP}")
    kind = next((kind for kind in KINDS if figure.endswith(f"_{kind}")), "")
    signal, _, metric = figure.removesuffix(f"_{kind}").rpartition("_")
    return f"{signal} {NAMES.get(metric, metric)} {kind}".rstrip()


def platt_of(model: MultiTaskBert) -> dict[str, Platt]:
    """The scaling that a model's `score` applies, by binary signal."""
    pairs = zip(
        model.tasks, model.platt_scale_M.tolist(), model.platt_shift_M.tolist(), strict=True
    )
    return {task.signal.name: Platt(*pair) for task, *pair in pairs if task.calibrated}


def model_figures(
    name: str,
    predictions: Predictions,
    platt: Mapping[str, Platt],
    weights: Mapping[str, float],
) -> Figures:
    """All the figures of the heads that were trained.

    Args:
        name: of the model.
        predictions: at the test rows.
        platt: scaling by head; the identity where it is missing.
        weights: 0 marks a head that was not trained.
    """
    p = predictions
    values: dict[str, float] = {}
    for m, task in enumerate(p.tasks):
        head = task.signal.name
        if not weights[head]:
            continue
        if task.calibrated:
            output_x, value_x, user_x = labelled(p, head)
        else:
            seen_x = p.seen(m)
            output_x, value_x, user_x = p.output_xM[seen_x, m], p.value_xM[seen_x, m], p.user_x
            user_x = user_x[seen_x]
        delivered_x = platt.get(head, Platt())(output_x)
        figures = task.figures(value_x, output_x, user_x, delivered_x)
        if m == 0:  # against sampled items, whose number a user is: AUC inside users says the same
            figures.pop(f"{head}_gauc")
        values |= figures
    if weights[NEXT]:
        clicked_x = p.clicked_xC[:, 0] > 0
        if clicked_x.any():
            values[f"hr{TOP}"] = metrics.hit_rate(p.rank_x[clicked_x], TOP)
            values[f"ndcg{TOP}"] = metrics.ndcg(p.rank_x[clicked_x], TOP)
        else:
            values[f"hr{TOP}"] = values[f"ndcg{TOP}"] = math.nan
    return defined(name, values)


def defined(name: str, values: Mapping[str, float]) -> Figures:
    """Figures without those that these rows do not define, and a sentence on each of them."""
    missing = [figure for figure, value in values.items() if math.isnan(value)]
    notes = tuple(
        f"{heading(figure)} is not defined on these rows: {_why(figure)}" for figure in missing
    )
    return Figures(name, {k: v for k, v in values.items() if k not in missing}, notes)


def _why(figure: str) -> str:
    if figure.endswith("_gauc"):
        return "no user has both outcomes"
    if figure.endswith("_auc"):
        return "only one outcome occurs"
    return "no row observes it"
