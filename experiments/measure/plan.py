"""From a study to its units: what has to be fitted, trained and read, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from slategym.agents.core.tuning import SLATES
from slategym.agents.registry import POLICIES, STATE, find_learner, policies
from slategym.envs.registry import find_world
from slategym.experiments.measure.goodhart import SNAPSHOTS, WATCHED
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, read_rows
from slategym.experiments.study import (
    Baseline,
    Learner,
    Place,
    Profile,
    Request,
    Study,
)

PARTIES = {"A": 40.0, "B": 40.0, "J": 12.0}  # seconds, roughly
USUAL_PEOPLE = (("A", "bert"), ("J", "factor"))  # who play the world's people and the judge's
FIT = "fit@2"
FAMILY_COST = 20.0  # seconds, roughly
READ_COST = 1 / 100  # seconds per session, roughly
TUNE_COST = 40.0  # seconds, roughly
RANKER = POLICIES["supervised"].tuning  # of the supervised ranker, on which others rest
RULE = POLICIES["history-rule"].tuning
BEGINNING = POLICIES["plackett-luce"].tuning  # of what learners begin from
STARTS = ("supervised", "history-rule")  # policies at which a learner may begin, by name
HEADROOM_COST = 0.25  # seconds per user, roughly


@dataclass(frozen=True)
class Plan:
    """A study's units, and what becomes of their results."""

    study: Study
    size: Profile
    command: str  # that repeats the study
    preparation: Mapping[str, Unit]  # log, fits, constants, accuracy; empty without a log
    descriptions: Mapping[str, Unit]  # of the worlds, by name of a main place
    tunings: Mapping[str, Unit]  # by name of the policy whose settings are tuned
    headroom: Mapping[str, Unit]  # of open places, by name
    lessons: tuple[Unit, ...]
    watches: tuple[Unit, ...]  # of a learner in its world and before the judge, while it trained
    readings: tuple[Unit, ...]

    @property
    def before_learning(self) -> list[Unit]:
        """What is fixed before any learner sees a world."""
        first = (self.preparation, self.descriptions, self.tunings, self.headroom)
        units = [unit for units in first for unit in units.values()]
        return list({unit.id: unit for unit in units}.values())  # several policies, one tuning

    @property
    def units(self) -> list[Unit]:
        """All that must be there in the end."""
        return [*self.before_learning, *self.lessons, *self.watches, *self.readings]

    def rows(self, store: Store) -> pd.DataFrame:
        """One row per session, in the columns that `statistics/stats.py` selects by."""
        return read_rows(store, self.readings)

    def curves(self, store: Store) -> pd.DataFrame:
        """Learning curves, one row per point, with the CPU seconds of the whole training."""
        return read_rows(store, self.lessons) if self.lessons else pd.DataFrame()

    def watched(self, store: Store) -> pd.DataFrame:
        """Gains over the opponent while learners trained; see `goodhart`."""
        return read_rows(store, self.watches) if self.watches else pd.DataFrame()


def plan_of(study: Study, request: Request) -> Plan:
    """Every unit of the study at that size.

    Raises:
        UsageError: the size is out of range; the study names what there is not.
    """
    study = request.of(study)
    size = request.size(study)
    study = study.without(tuple(name for name in size.left_out if name not in request.agents))
    study = study if size.sweep else study.unswept()
    preparation = _preparation(study)
    first = (preparation["constants"],) if preparation else ()
    descriptions = {
        place.name: Unit(
            f"describe {place.name}",
            "describe@1",
            {
                "world": find_world(place.world)[0],
                "settings": place.settings,
                **_controls(study, place),
            },
            first,
            kind="json",
        )
        for place in study.main
    }
    tunings = _tunings(study, size, first)
    lessons = tuple(_lessons(study, size, first, tunings))
    readings = [
        _reading(place, size, baseline, (*first, *_tuned_for(baseline, _there(tunings, place))))
        for place in study.places
        for baseline in study.baselines
        if place.policies is None or baseline.name in place.policies
    ]
    readings += [
        _reading_of(place, size, learner, name, unit, (*first, *starts))
        for learner, unit in lessons
        for place in study.places
        if place.trained_in == unit.spec["place"] and learner.takes_part_in(place)
        for starts in [_starts(study, place, size, _there(tunings, place), first)]
        for name in learner.served
    ]
    return Plan(
        study,
        size,
        request.command(study),
        preparation,
        descriptions,
        {
            name if home == study.main[0].name else f"{name}, {home}": unit
            for home, units in tunings.items()
            for name, unit in units.items()
        },
        {
            place.name: _headroom(study, place, size, (*first, *_ranker(_there(tunings, place))))
            for place in _with_headroom(study)
        },
        tuple(unit for _, unit in lessons),
        tuple(_watches(study, [unit for _, unit in lessons], first, tunings)),
        tuple(readings),
    )


def _controls(study: Study, place: Place) -> dict[str, Any]:
    """Of a control, the first open place of its world, from which it has to differ."""
    open_places = study.of_role("open")
    if place.role != "control" or not open_places:
        return {}
    alike = [p for p in open_places if find_world(p.world)[0] == find_world(place.world)[0]]
    home = (alike or list(open_places))[0]
    return {"controls": {"world": find_world(home.world)[0], "settings": home.settings}}


def _with_headroom(study: Study) -> tuple[Place, ...]:
    return study.of_role("open") if study.headroom else ()


def _headroom(study: Study, place: Place, size: Profile, needs: tuple[Unit, ...]) -> Unit:
    """What looking ahead could be worth in an open place."""
    users = min(size.users, study.headroom)
    spec = {
        "world": find_world(place.world)[0],
        "settings": place.settings,
        "first_user": place.first_user,
        "num_users": users,
        "luck": place.luck,
    }
    label = f"headroom, {_said(place)}"
    return Unit(label, "headroom@1", spec, needs, "json", HEADROOM_COST * users)


def _preparation(study: Study) -> dict[str, Unit]:
    """The log's models and the worlds' constants, in the order in which they are needed."""
    if study.log is None:
        return {}
    about = {"log": study.log, "content": study.content, "recipe": study.recipe}
    log = Unit("log and item texts", "log@1", about, kind="json")
    fitted = {
        party: Unit(f"fit {party}", FIT, {**about, "party": party}, (log,), "json", cost)
        for party, cost in PARTIES.items()
    }
    for party, family in study.families:
        spec = {**about, "party": party, "family": family}
        label = f"{party}: {family}"
        fitted[label] = Unit(f"fit {label}", FIT, spec, (log,), "json", FAMILY_COST)
    families = (*USUAL_PEOPLE, *study.families)
    needs = tuple(fitted.values())
    return {
        "log": log,
        **fitted,
        "constants": Unit(
            "world's constants",
            "constants@1",
            {**about, "assumptions": study.assumptions, "families": families},
            needs,
            "json",
            8.0,
        ),
        "accuracy": Unit(
            "model accuracy", "accuracy@2", {**about, "families": families}, needs, "json", 30.0
        ),
    }


Tunings = Mapping[str, Mapping[str, Unit]]  # by open place, then by policy


def _tunings(study: Study, size: Profile, first: tuple[Unit, ...]) -> Tunings:
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
        label = f"tune {name}" + ("" if place == study.of_role("open")[0] else f", {place.name}")
        units[path] = Unit(label, "tune@1", spec, needs, "json", cost=TUNE_COST)
    return {name: units[path] for name, path in found.items()}


def _there(tunings: Tunings, place: Place) -> Mapping[str, Unit]:
    """Those that hold in a place: of its own world, else of the study's first open one."""
    return tunings.get(place.trained_in) or next(iter(tunings.values()), {})


def _ranker(tunings: Mapping[str, Unit]) -> tuple[Unit, ...]:
    return tuple(unit for unit in tunings.values() if unit.spec["tuning"] == RANKER)[:1]


def _tuned_for(baseline: Baseline, tunings: Mapping[str, Unit]) -> tuple[Unit, ...]:
    """The tunings on which a policy rests: its own, and the ranker's where it ranks by that."""
    own, ranker = tunings.get(baseline.name), _ranker(tunings)
    if own is None or own in ranker:
        return () if own is None else (own,)
    return (*ranker, own)


def _lessons(
    study: Study, size: Profile, first: tuple[Unit, ...], tunings: Tunings
) -> Iterator[tuple[Learner, Unit]]:
    """Every training, with the learner that it is of."""
    for learner in study.learners:
        settings = learner.trained_for(size.training)
        for place in study.of_role("open", "control"):
            if not learner.takes_part_in(place):
                continue
            number = size.control_seeds if place.role == "control" else size.seeds
            every = tuple(range(number or size.seeds))
            for seeds in [every] if learner.together else [(seed,) for seed in every]:
                spec = {
                    "agent": learner.agent,
                    "world": find_world(place.world)[0],
                    "world_settings": {**place.settings, **place.training},
                    "settings": settings,
                    "seeds": seeds,
                    "policy": learner.name,
                    "place": place.name,
                }
                if _watched_in(study, place) and 0 in seeds:
                    spec["snapshots"] = SNAPSHOTS
                many = "seed" if len(seeds) == 1 else "seeds"
                label = f"{learner.name}, {place.name}, {many} {_range(seeds)}"
                cost = learner.cost * settings.num_steps * len(seeds)
                there = _there(tunings, place)
                begins = (there[learner.name],) if learner.name in there else ()
                needs = (*first, *_ranker(there), *begins)
                yield learner, Unit(label, "learn@1", spec, needs, cost=cost)


def _watched_in(study: Study, place: Place) -> tuple[Place, ...]:
    """The world and its first judge with selection people; (): a study does not have them."""
    chosen = [p for p in study.of_role("selection") if p.trained_in == place.name]
    judges = [p for p in study.of_role("judge") if p.of == place.name]
    if not chosen or not judges:
        return ()
    world, judge = chosen[0], judges[0]
    settings = {**judge.settings, "users": world.settings["users"]}
    changes = {"group": world.group, "luck": world.luck, "first_user": world.first_user}
    return replace(world, name=place.name), replace(judge, settings=settings, **changes)  # type: ignore[arg-type]


def _watches(
    study: Study, lessons: Sequence[Unit], first: tuple[Unit, ...], tunings: Tunings
) -> Iterator[Unit]:
    """The first seed of every learner, read at its snapshots."""
    for lesson in lessons:
        if "snapshots" not in lesson.spec:
            continue
        place = study.place(lesson.spec["place"])
        where = [_where(p, WATCHED) for p in _watched_in(study, place)]
        spec = {
            "places": where,
            "opponent": study.roles.opponent,
            "snapshots": lesson.spec["snapshots"],
        }
        needs = (*first, *_ranker(_there(tunings, place)), lesson)
        cost = READ_COST * WATCHED * len(where) * (1 + SNAPSHOTS)
        yield Unit(f"watch {lesson.label}", "watch@1", spec, needs, cost=cost)


def _range(seeds: tuple[int, ...]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


def _reading(place: Place, size: Profile, baseline: Baseline, needs: tuple[Unit, ...]) -> Unit:
    """A policy that needs no training, before the people of a place."""
    spec = {**_where(place, size.users), "policy": baseline.policy, "label": baseline.name}
    cost = READ_COST * size.users
    return Unit(f"read {baseline.name}, {_said(place)}", "read@1", spec, needs, cost=cost)


def _starts(study: Study, place: Place, size: Profile, tunings: Mapping[str, Unit],
            first: tuple[Unit, ...]) -> tuple[Unit, ...]:  # fmt: skip
    """Readings of what a learner may have begun at: whoever serves that is not read again."""
    return tuple(
        _reading(place, size, baseline, (*first, *_tuned_for(baseline, tunings)))
        for baseline in study.baselines
        if baseline.policy in STARTS and baseline.name in tunings
    )


def _reading_of(
    place: Place, size: Profile, learner: Learner, name: str, trained: Unit, first: tuple[Unit, ...]
) -> Unit:
    """A trained policy, as it serves under that name, before the people of a place."""
    spec = {
        **_where(place, size.users),
        "policy": None,
        "label": name,
        "serve": learner.served[name],
    }
    own = name if name == learner.name else f"{name} of {learner.name}"
    seeds = trained.spec["seeds"]
    label = f"read {own}, seed {_range(seeds)}, {_said(place)}"
    cost = READ_COST * size.users * len(seeds)
    return Unit(label, "read@1", spec, (*first, trained), cost=cost)


def _where(place: Place, num_users: int) -> dict[str, Any]:
    return {
        "world": find_world(place.world)[0],
        "settings": place.settings,
        "place": place.name,
        "group": place.group,
        "strength": place.strength,
        "first_user": place.first_user,
        "num_users": num_users,
        "luck": place.luck,
    }


def _said(place: Place) -> str:
    """The place for a label: with what sets it apart from others of its name."""
    words = [place.name]
    words += [] if place.strength is None else [f"strength {place.strength:g}"]
    words += [] if place.group == "evaluation" else [place.group]
    return ", ".join(words)
