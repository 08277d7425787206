"""What has to be there before a learned world is: a log, three models, constants, their quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from slategym.experiments.runs.units import Progress, Work
from slategym.models import metrics
from slategym.models.assets.registry import fetch
from slategym.models.multitask.calibrate import Platt, labelled, reliability_rows
from slategym.models.multitask.fit import Listener
from slategym.models.multitask.network import CALIBRATED
from slategym.models.multitask.predict import predict
from slategym.models.multitask.sequences import Sequences
from slategym.models.simulator.movielens import (
    HORIZON,
    RATES,
    Assumptions,
    click_constants,
    parties,
    patience_chosen,
)
from slategym.models.text.vectors import item_text_vectors

METRIC_ROWS = 4000  # events of selection people on which A's and B's models are measured
PROTOCOLS = {
    "J": "a tenth of J's own people, held out; 4 uniform negatives per click",
    "": "selection people, unknown to the model; 4 uniform negatives per click",
}


def log(work: Work) -> dict[str, Any]:
    """The log and the item vectors, fetched and computed once for everybody."""
    work.progress(0, 3, "fetching")
    fetch(work.spec["log"], progress=False)
    fetch("all-minilm-l6-v2", progress=False)
    work.progress(1, 3, "encoding the item texts")
    log = parties().log
    item_text_vectors(log.items["text"].tolist(), progress=False)
    return {
        "sha256": log.sha256,
        "events": len(log.events),
        "users": len(log.users),
        "items": len(log.items),
        "people": {group: len(people) for group, people in parties().people.items()},
    }


def fit(work: Work) -> dict[str, Any]:
    """One party's model, kept in the cache folder under a name that is part of the result."""
    party = work.spec["party"]
    epochs = parties().settings.training.epochs
    parties().prepare(party, progress=False, listener=_epochs(work.progress, epochs))
    return {"party": party, "folder": parties().folder(party).name}


def constants(work: Work) -> dict[str, Any]:
    """Choice constants of the world and of the judge's world, and patience, before any learning."""
    solved = {party: asdict(click_constants(party)) for party in ("A", "J")}
    return {"constants": _constants({**solved, "patience": asdict(patience_chosen())})}


def _constants(solved: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """For the report: name, value, unit, origin."""
    assumed, stay = Assumptions(), solved["patience"]
    rates = "assumed; skip and temperature are solved for it"
    rows: list[tuple[str, float | None, str, str]] = [
        ("click rate, random slate", RATES.random, "", rates),
        ("click rate, popular slate", RATES.popular, "", rates),
    ]
    for party, whose in (("A", "world"), ("J", "judge's world")):
        found = solved[party]
        origin = (
            f"solved on calibration users; reached {found['random_rate']:.3f} and "
            f"{found['popular_rate']:.3f}"
        )
        rows += [
            (f"skip, {whose}", found["skip"], "log-odds", origin),
            (f"temperature, {whose}", found["temperature"], "", origin),
        ]
    rows += [
        ("boredom", assumed.boredom, "log-odds", "assumed; see the grid of strengths"),
        ("boredom: clicks of one topic", assumed.threshold, "clicks", "assumed"),
        ("boredom: among the last", assumed.memory, "clicks", "assumed"),
        ("boredom: lasts", assumed.duration, "slates", "assumed"),
        (
            "patience",
            stay["patience"],
            "slates without a click",
            f"chosen on calibration users: sessions under popular slates last "
            f"{stay['reached_length']:.1f} slates, the log's sittings {stay['wanted_length']:.1f} "
            f"ratings (cut at {HORIZON})",
        ),
        (
            "stretches on one topic, log",
            stay["log_repetition"],
            "",
            f"derived: share of {assumed.memory} ratings in a row that meet the rule; the log's "
            "people do not seem to tire",
        ),
        (
            "stretches on one topic, world",
            stay["world_repetition"],
            "",
            "the same for clicks on popular slates, where boredom holds people back",
        ),
        ("session", HORIZON, "slates", "assumed; the log's mean sitting has 36 ratings"),
    ]
    keys = ("name", "value", "unit", "origin")
    return [dict(zip(keys, (n, number(v), u, o), strict=True)) for n, v, u, o in rows]


def number(value: float | None) -> float | None:
    """The value; None where it is not a number, as what a log is silent about is not."""
    return None if value is None or not np.isfinite(value) else float(value)


def accuracy(work: Work) -> dict[str, Any]:
    """A's and B's model on selection people, whom neither has met; the judge on its held-out."""
    sides, log = parties(), parties().log
    sequences = Sequences.from_log(log)
    rows_E = np.flatnonzero(np.isin(log.events["user"], sides.people["selection"]))
    rows_E = np.sort(np.random.default_rng(0).permutation(rows_E)[:METRIC_ROWS])
    table, reliability = [], []
    for turn, party in enumerate(("A", "B")):
        work.progress(turn, 3, f"model {party}")
        model = sides.bert(party, progress=False)
        said = predict(model, sequences, rows_E)
        figures: dict[str, Any] = {"model": f"{party}: multi-task BERT", "rows": len(rows_E)}
        for at, head in enumerate(CALIBRATED):
            logit_x, label_x, user_x = labelled(said, head)
            platt = Platt(float(model.platt_scale_2[at]), float(model.platt_shift_2[at]))
            figures[f"{head}_auc"] = metrics.auc(label_x, logit_x)
            if head == "like":
                figures["like_gauc"] = metrics.gauc(user_x, label_x, logit_x)
            calibrated_x = 1.0 / (1.0 + np.exp(-platt(logit_x)))
            figures[f"{head}_ece"] = metrics.ece(label_x, calibrated_x)
            reliability += reliability_rows(said, party, head, platt)
        rated_x = ~np.isnan(said.stars_x)
        figures["rating_rmse"] = metrics.rmse(said.stars_x[rated_x], said.expected_x[rated_x])
        table.append({**figures, "protocol": PROTOCOLS[""]})
    work.progress(2, 3, "judge")
    judge = {"model": "J: factor model", **sides.judge_metrics(), "protocol": PROTOCOLS["J"]}
    return {"metrics": [*table, judge], "reliability": reliability}


def _epochs(progress: Progress, epochs: int) -> Listener:
    """Turns a training's epochs into progress."""

    def listener(epoch: int, losses: dict[str, float]) -> None:
        shown = {name: value for name, value in losses.items() if name != "epoch"}
        progress(epoch, epochs, " ".join(f"{name} {value:.2f}" for name, value in shown.items()))

    return listener
