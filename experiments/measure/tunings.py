"""Which units tune the policies of a study, and on which of them others rest."""

from __future__ import annotations

from collections.abc import Mapping

from slategym.agents.core.tuning import SLATES
from slategym.agents.entries import POLICIES, STATE
from slategym.agents.registry import find_learner, policies
from slategym.envs.registry import find_world
from slategym.experiments.measure.where import in_split
from slategym.experiments.places import Place
from slategym.experiments.runs.units import Unit
from slategym.experiments.study import Baseline, Profile, Study

TUNE_COST = 40.0  # seconds, roughly
RANKER = POLICIES["supervised"].tuning  # of the supervised ranker, on which others rest
RULE = POLICIES["history-rule"].tuning
BEGINNING = POLICIES["plackett-luce"].tuning  # of what learners begin from
DECIDED = 2  # how a learner's start is: 1 by the higher mean, 2 the rule where it is clearly better
Tunings = Mapping[str, Mapping[str, Unit]]  # by open place, then by policy


def tunings_of(study: Study, size: Profile, first: tuple[Unit, ...]) -> Tunings:
    """What is tuned of the policies, in every open world before its selection people, once.

    With as many slates as a learner has in a study of this size.
    """
    known, found = policies.all(), dict[str, str]()
    for baseline in study.baselines:
        entry = known.get(baseline.policy)
        if entry is not None and entry.tuning is not None:
            found[baseline.name] = entry.tuning
        elif entry is not None and entry.needs == STATE and RANKER is not None:
            found[baseline.name] = RANKER
    for learner in study.learners:  # where there is a ranker, what they begin from
        entry = None if ":" in learner.agent else find_learner(learner.agent)
        if RANKER in found.values() and entry is not None and entry.tuning is not None:
            found[learner.name] = entry.tuning
    open_places = study.of_role("open")
    return {place.name: _tuned_in(place, study, size, found, first) for place in open_places}


def _tuned_in(
    place: Place, study: Study, size: Profile, found: Mapping[str, str], first: tuple[Unit, ...]
) -> dict[str, Unit]:
    """The tunings of one open place, by policy."""
    where = {"world": find_world(place.world)[0], "settings": place.settings}
    units = dict[str, Unit]()
    for path in sorted(set(found.values()), key=lambda path: (path != RANKER, path == BEGINNING)):
        name = next(name for name, its in found.items() if its == path)
        # all but the classics rest on the ranker, and a learner's start on the rule as well; who
        # waits for them does not compute them twice
        before = (RANKER, RULE) if path == BEGINNING else (RANKER,)
        needs = (*first, *(unit for at, unit in units.items() if at in before))
        spec = {**where, "tuning": path, "slates": round(size.training * SLATES)}
        if path == BEGINNING:
            spec["decided"] = DECIDED
        label = f"tune {name}" + ("" if place == study.of_role("open")[0] else f", {place.name}")
        label += in_split(place)
        units[path] = Unit(label, "tune@1", spec, needs, "json", cost=TUNE_COST)
    return {name: units[path] for name, path in found.items()}


def tunings_there(tunings: Tunings, place: Place) -> Mapping[str, Unit]:
    """Those that hold in a place: of its own world, else of the study's first open one."""
    return tunings.get(place.trained_in) or next(iter(tunings.values()), {})


def ranker_of(tunings: Mapping[str, Unit]) -> tuple[Unit, ...]:
    """The ranker's own, if it is tuned."""
    return tuple(unit for unit in tunings.values() if unit.spec["tuning"] == RANKER)[:1]


def tunings_for(baseline: Baseline, tunings: Mapping[str, Unit]) -> tuple[Unit, ...]:
    """The tunings on which a policy rests: its own, and the ranker's where it ranks by that."""
    own, ranker = tunings.get(baseline.name), ranker_of(tunings)
    if own is None or own in ranker:
        return () if own is None else (own,)
    return (*ranker, own)
