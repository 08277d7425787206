"""Which families of people judge in a study: none that does worse than no model, if others do not.

A family is read on selection people whom its fit has not met, in every split of the people. Who
does worse than online biases or popularity is replaced by the next family of another kind than the
world's; where too few pass, the study has fewer judges, and where none passes, those that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from slategym.experiments.places import Judging, family_of, judged_by
from slategym.experiments.request import Request
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.experiments.study import Study
from slategym.models.people.registry import BERT, families
from slategym.models.simulator.parties import USUAL

COST = 20.0  # seconds, roughly


def log_of(study: Study, split: int = 0) -> tuple[dict[str, Any], Unit]:
    """What the spec of a unit says of the study's log, and the unit that reads it."""
    about: dict[str, Any] = {"log": study.log, "content": study.content, "recipe": study.recipe}
    log = Unit("log and item texts", "log@1", about, kind="json")
    return {**about, **({"split": split} if split else {})}, log


def judging_unit(study: Study, party: str, family: str, split: int) -> Unit:
    """How well a family does beside no model, fitted on a party of one split of the people."""
    about, log = log_of(study, split)
    label = f"figures of {party}: {family}" + (f", split {split}" if split else "")
    spec = {**about, "party": party, "family": family}
    return Unit(label, "judging@1", spec, (log,), "json", COST)


def asked_for(study: Study) -> tuple[tuple[str, str], ...]:
    """Party and family of everybody whose figures decide on who plays people."""
    if study.judging is not None:
        return study.judging.tried
    return tuple(("J", family) for family in _judges(study))


def _judges(study: Study) -> tuple[str, ...]:
    """Families of a study's judges, the first judge's first."""
    if study.log is None:
        return ()
    return tuple(dict.fromkeys(family_of(p, USUAL["J"]) for p in study.of_role("judge")))


def with_fit_judges(
    study: Study,
    asked: Study,
    request: Request,
    compute: Callable[[Sequence[Unit]], object],
    store: Store,
) -> Study:
    """The study with judges of families that pass.

    Args:
        study: as it stands in its file.
        asked: the same as planned: with what was asked for, and without what the profile leaves
            out.
        request: how much of it.
        compute: computes units that are missing.
        store: where their results are.
    """
    own = _judges(asked)
    if not own:
        return study
    splits = range(request.size(asked).splits)
    worlds = {family_of(place, BERT) for place in asked.of_role("open")}
    waiting = [*own, *(name for name in families.own if name not in (*own, *worlds))]
    tried, refused, passed = list[tuple[str, str]](), dict[str, str](), list[str]()
    while waiting and len(passed) < len(own):
        some = waiting[: len(own) - len(passed)]
        waiting = waiting[len(some) :]
        units = {(name, n): judging_unit(study, "J", name, n) for name in some for n in splits}
        compute(list(units.values()))
        for name in some:
            tried.append(("J", name))
            why = _why_not([store.read(units[name, n])["why"] for n in splits])
            if why:
                refused[name] = why
            else:
                passed.append(name)
    judging = Judging(tuple(passed or own), tuple(tried), refused, len(own))
    others = [*passed, *[None] * len(own)] if passed else own
    places = judged_by(study.places, dict(zip(own, others, strict=False)), USUAL["J"])
    return replace(study, places=places, judging=judging)


def _why_not(reasons: Sequence[str]) -> str:
    """What speaks against a family in some split; "": nothing in any."""
    return "; ".join(
        f"split {n}: {why}" if len(reasons) > 1 else why for n, why in enumerate(reasons) if why
    )
