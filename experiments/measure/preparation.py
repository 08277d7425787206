"""What has to be there before a learned world is: a log, three models, constants, their quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from slategym.experiments.runs.units import Progress, Work
from slategym.models.judge.factor import against
from slategym.models.multitask.calibrate import reliability_rows
from slategym.models.multitask.fit import Listener
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.simulator.assumptions import find_assumptions
from slategym.models.simulator.builder import WorldBuilder, builder_of
from slategym.models.simulator.movielens import MOVIELENS
from slategym.models.simulator.world import LOG
from slategym.models.tasks import NEXT
from slategym.models.text.vectors import item_text_vectors

METRIC_ROWS = 4000  # events of selection people on which A's and B's models are measured
OWN = "a tenth of J's own people, held out"
STRANGERS = "selection people, unknown to the model"
RECIPES = {"movielens": MOVIELENS, "log": LOG}


def builder_for(spec: Mapping[str, Any]) -> WorldBuilder:
    """What all worlds of the spec's log share."""
    return builder_of(spec["log"], RECIPES[spec["recipe"]])


def log(work: Work) -> dict[str, Any]:
    """The log and the item vectors, fetched and computed once for everybody."""
    work.progress(0, 2, "reading")
    builder = builder_for(work.spec)
    log, people = builder.log, builder.parties.people
    work.progress(1, 2, "encoding the item texts")
    item_text_vectors(log.items["text"].tolist(), progress=False)
    return {
        "sha256": log.sha256,
        "events": len(log.events),
        "users": len(log.users),
        "items": len(log.items),
        "people": {group: len(rows) for group, rows in people.items()},
    }


def fit(work: Work) -> dict[str, Any]:
    """One party's model, kept in the cache folder under a name that is part of the result."""
    party, parties = work.spec["party"], builder_for(work.spec).parties
    epochs = parties.settings.training.epochs
    parties.prepare(party, progress=False, listener=_epochs(work.progress, epochs))
    return {"party": party, "folder": parties.folder(party).name}


def constants(work: Work) -> dict[str, Any]:
    """Choice constants of the world and of the judge's world, and patience, before any learning.

    Returns:
        "constants": name, value (None where the log does not say), unit and origin of each.
    """
    builder = builder_for(work.spec)
    assumed = find_assumptions(work.spec["assumptions"])
    rows: list[tuple[str, float | None, str, str]] = []
    for party, whose in (("A", "world"), ("J", "judge's world")):
        found, rates = builder.click_constants(party), builder.recipe.rates
        origin = (
            f"fitted on {found.slates} logged slates of calibration people"
            if found.slates
            else f"solved on calibration people for assumed click rates of random and popular "
            f"slates, {rates.random:g} and {rates.popular:g}; reached {found.random_rate:.3f} and "
            f"{found.popular_rate:.3f}"
        )
        rows += [
            (f"skip, {whose}", found.skip, "log-odds", origin),
            (f"temperature, {whose}", found.temperature, "", origin),
        ]
    words, topics = builder.log.words, len(builder.log.topic_names)
    if topics > 1:
        rows += assumed.constants()
    if assumed.impatience:
        rows += _patience(builder)
    pace = builder.pace
    rows += [
        ("seconds per slate", pace.seconds_per_slate, "s", "see the labels"),
        (f"longest {words.session}", pace.horizon, "slates", "see the labels"),
    ]
    keys = ("name", "value", "unit", "origin")
    return {
        "constants": [dict(zip(keys, (n, number(v), u, o), strict=True)) for n, v, u, o in rows]
    }


def _patience(builder: WorldBuilder) -> list[tuple[str, float | None, str, str]]:
    """How much there is of it, and what boredom's rule does to stretches on one topic."""
    stay, words = builder.patience, builder.log.words
    if builder.pace.visit is None:
        stated = f"stated: the log's {words.sessions} do not tell"
        return [("patience", stay.patience, "slates without a click", stated)]
    return [
        (
            "patience",
            stay.patience,
            "slates without a click",
            f"chosen on calibration people: {words.sessions} under popular slates last "
            f"{stay.reached_length:.1f} slates, the log's {stay.wanted_length:.1f} (cut at "
            f"{builder.pace.horizon})",
        ),
        (
            f"stretches on one {words.topic}, log",
            stay.log_repetition,
            "",
            "derived: share of clicks in a row that would meet the rule of boredom",
        ),
        (
            f"stretches on one {words.topic}, world",
            stay.world_repetition,
            "",
            "the same for clicks on popular slates, where boredom holds people back",
        ),
    ]


def number(value: float | None) -> float | None:
    """The value; None where it is not a number, as what a log is silent about is not."""
    return None if value is None or not np.isfinite(value) else float(value)


def accuracy(work: Work) -> dict[str, Any]:
    """A's and B's model on selection people, whom neither has met; the judge on its held-out."""
    builder = builder_for(work.spec)
    log, parties = builder.log, builder.parties
    sequences = Sequences.from_log(log)
    rows_E = np.flatnonzero(np.isin(log.events["user"], parties.people["selection"]))
    rows_E = np.sort(np.random.default_rng(0).permutation(rows_E)[:METRIC_ROWS])
    table, reliability, compared = [], [], against(log)
    for turn, party in enumerate(("A", "B")):
        work.progress(turn, 3, f"model {party}")
        model = parties.bert(party, progress=False)
        said = predict(model, sequences, rows_E)
        platt = platt_of(model)
        weights = {**dict.fromkeys(model.heads, 1.0), NEXT: 0.0}
        found = model_figures("", said, platt, weights).values
        figures: dict[str, Any] = {"model": f"{party}: multi-task BERT", "rows": len(rows_E)}
        figures |= {n: number(value) for n, value in found.items() if not n.endswith("_raw")}
        for head, scaling in platt.items():
            reliability += reliability_rows(said, party, head, scaling)
        table.append({**figures, "protocol": f"{STRANGERS}; {compared}"})
    work.progress(2, 3, "judge")
    judge = {name: number(value) for name, value in parties.judge_metrics().items()}
    table.append({"model": "J: factor model", **judge, "protocol": f"{OWN}; {compared}"})
    return {"metrics": table, "reliability": reliability}


def _epochs(progress: Progress, epochs: int) -> Listener:
    """Turns a training's epochs into progress."""

    def listener(epoch: int, losses: dict[str, float]) -> None:
        shown = {name: value for name, value in losses.items() if name != "epoch"}
        progress(epoch, epochs, " ".join(f"{name} {value:.2f}" for name, value in shown.items()))

    return listener
