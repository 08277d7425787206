"""What has to be there before a learned world is: a log, three models, constants, their quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from slategym.envs.names import UsageError
from slategym.experiments.runs.units import Progress, Work
from slategym.models.multitask.fit import Listener
from slategym.models.people.card import against
from slategym.models.people.figures import Quality
from slategym.models.people.registry import BERT
from slategym.models.simulator.assumptions import find_assumptions
from slategym.models.simulator.builder import WorldBuilder
from slategym.models.simulator.cache import builder_of
from slategym.models.simulator.movielens import MOVIELENS
from slategym.models.simulator.parties import USUAL
from slategym.models.simulator.world import LIGHT, LOG
from slategym.models.text.vectors import item_text_vectors

STRANGERS = "selection people, unknown to the model"
UNMET = "selection people, unknown to the fit that is read: on J's other people"
CALLED = {BERT: "multi-task BERT"}  # families, in tables
RECIPES = {"movielens": MOVIELENS, "log": LOG, "light": LIGHT}


def builder_for(spec: Mapping[str, Any]) -> WorldBuilder:
    """What all worlds of the spec's log share."""
    return builder_of(spec["log"], RECIPES[spec["recipe"]], spec.get("split", 0))


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
    epochs = parties.training(party).epochs
    family = work.spec.get("family")
    listener = _epochs(work.progress, epochs)
    parties.prepare(party, progress=False, listener=listener, family=family)
    return {"party": party, "folder": parties.folder(party, 0, family).name}


def constants(work: Work) -> dict[str, Any]:
    """Choice constants of the world and of the judge's world, and patience, before any learning.

    Returns:
        "constants": name, value (None where the log does not say), unit and origin of each.
    """
    builder = builder_for(work.spec)
    assumed = find_assumptions(work.spec["assumptions"])
    rows: list[tuple[str, float | None, str, str]] = []
    for party, family in work.spec["families"]:
        whose = "world" if party == "A" else "judge's world"
        whose += "" if family == USUAL[party] else f" of family {family}"
        found, rates = builder.click_constants(party, family), builder.recipe.rates
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
    """Every model on selection people, whom its fit has not met, beside no model at all.

    Returns:
        "metrics" and "reliability" of the models. "met": by judge, how many of the people before
        whom policies are read its fit has met, and of how many.
    """
    parties = builder_for(work.spec).parties
    (first, *others) = work.spec["families"]
    asked = [tuple(first), ("B", BERT), *map(tuple, others)]
    table: list[dict[str, Any]] = []
    reliability: list[dict[str, Any]] = []
    anchors: dict[str, list[dict[str, Any]]] = {}
    for turn, (party, family) in enumerate(asked):
        work.progress(turn, len(asked), f"{family} of {party}")
        found = parties.quality(family, party)
        name = f"{party}: {CALLED.get(family, family)}"
        worse = f"; worse than no model in {', '.join(found.worse)}" if found.worse else ""
        how = f"{UNMET if party == 'J' else STRANGERS}; clicks {against(parties.log)}"
        figures = {key: number(value) for key, value in found.figures.items()}
        table.append({"model": name, "rows": found.rows, **figures, "protocol": how + worse})
        short = party if family == USUAL[party] else f"{party}: {family}"
        reliability += [{"model": short, **row} for row in found.reliability]
        anchors[party] = [
            {
                "model": f"{party}: {anchor}",
                "rows": found.rows,
                **{key: number(value) for key, value in own.items()},
                "protocol": f"no model: {anchor} of {party}'s people, on the same rows",
            }
            for anchor, own in found.anchors.items()
        ]
    read = parties.people["evaluation"]
    judges = [tuple(who) for who in work.spec["families"] if who[0] == "J"]
    met = [int(np.isin(read, parties.people[party]).sum()) for party, _ in judges]
    return {
        "met": {
            f"{party}: {CALLED.get(family, family)}": [number, len(read)]
            for (party, family), number in zip(judges, met, strict=True)
        },
        "metrics": [*table, *(row for rows in anchors.values() for row in rows)],
        "reliability": reliability,
    }


def judging(work: Work) -> dict[str, Any]:
    """Whether a family may play people: how it does on selection people, beside no model.

    Returns:
        "people", "worse" (names of figures), "why" (what speaks against it, "": nothing).
    """
    try:
        found = builder_for(work.spec).parties.quality(work.spec["family"], work.spec["party"])
    except UsageError as error:
        return {"people": 0, "worse": [], "why": f"it cannot be fitted on this log: {error}"}
    why = found.shortfall()
    why = f"{why}, on {found.people} people unknown to it" if why else ""
    return {"people": found.people, "worse": list(found.worse), "why": why}


def _epochs(progress: Progress, epochs: int) -> Listener:
    """Turns a training's epochs into progress."""

    def listener(epoch: int, losses: dict[str, float]) -> None:
        shown = {name: value for name, value in losses.items() if name != "epoch"}
        progress(epoch, epochs, " ".join(f"{name} {value:.2f}" for name, value in shown.items()))

    return listener


def quality_of(id: str, settings: Mapping[str, Any]) -> Quality | None:
    """How good the model behind a learned world is on people unknown to it; None: it has none.

    Args:
        id: of the world.
        settings: as it is made with.
    """
    named = id.removeprefix("slategym/")
    recipe = next((r for r in RECIPES if named.lower().startswith(f"{r}-")), None)
    if recipe is None:
        return None
    judge = "judge" in named.lower() or settings.get("role") == "judge"
    party = "J" if judge else "A"
    recipe = "light" if settings.get("fit") == "light" else recipe
    spec = {"recipe": recipe, "log": settings.get("log", "movielens-100k")}
    family = settings.get("family") or USUAL[party]
    return builder_for(spec).parties.quality(family, party)
