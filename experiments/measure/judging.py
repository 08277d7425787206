"""Which families of people judge in a study: none that does worse than no model, if others do not.

A family is read on selection people whom its fit has not met, in every split of the people. Who
does worse than online biases or popularity is replaced by the next family of another kind than the
world's; where too few pass, the study has fewer judges, and where none passes, those that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from slategym.experiments.places import Judging, Place, family_of, in_family, judged_by
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


def with_families(
    study: Study,
    asked: Study,
    request: Request,
    compute: Callable[[Sequence[Unit]], object],
    store: Store,
) -> Study:
    """The study with a world and a judge of every family that is asked for and passes.

    They vary the study's first open place and its first judge; everybody is read in all of them
    with what was tuned and learned in that open place. A family that does worse than no model is
    left out there, and said. The arguments are those of `with_fit_judges`, which comes first.
    """
    names = request.in_families(asked)
    opens = [place for place in study.places if place.role == "open"][:1]
    if not names or not opens:
        return study
    judges = [p for p in study.of_role("judge") if p.of == opens[0].name]
    read = {("A", family_of(place, USUAL["A"])) for place in opens}
    read |= {("J", family_of(place, USUAL["J"])) for place in judges}
    cells = [
        (place, party, family)
        for party, places in (("A", opens), ("J", judges[:1]))
        for place in places
        for family in names
        if (party, family) not in read
    ]
    splits = range(request.size(asked).splits)
    units = {(p, f, n): judging_unit(study, p, f, n) for _, p, f in cells for n in splits}
    compute(list(units.values()))
    found, unread = list[Place](), dict[str, str]()
    for place, party, family in cells:
        there = in_family(place, party, family)
        if why := _why_not([store.read(units[party, family, n])["why"] for n in splits]):
            unread[there.heading] = why
        else:
            found.append(there)
    before = study.judging or Judging((), ())
    tried = dict.fromkeys((*before.tried, *((party, family) for _, party, family in cells)))
    whole = tuple(replace(p, policies=None) if p in judges else p for p in study.places)
    judging = replace(before, tried=tuple(tried), unread=unread)
    return replace(study, places=(*whole, *found), judging=judging)


def _why_not(reasons: Sequence[str]) -> str:
    """What speaks against a family in some split; "": nothing in any."""
    return "; ".join(
        f"split {n}: {why}" if len(reasons) > 1 else why for n, why in enumerate(reasons) if why
    )
