"""From a study to its units: what has to be fitted, trained and read, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from slategym.envs.registry import find_world
from slategym.experiments.measure.goodhart import SNAPSHOTS
from slategym.experiments.measure.judging import asked_for, judging_unit, log_of
from slategym.experiments.measure.showing import serving_of, slates_of, traits_of, with_traits
from slategym.experiments.measure.tunings import (
    Tunings,
    ranker_of,
    tunings_for,
    tunings_of,
    tunings_there,
)
from slategym.experiments.measure.watching import READ_COST, stops_of, watched_in, watches_of
from slategym.experiments.measure.where import grouped, in_split, said_of, where_of
from slategym.experiments.places import Place
from slategym.experiments.request import Request
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, read_rows
from slategym.experiments.study import Baseline, Learner, Profile, Study

PARTIES = {"A": 40.0, "B": 40.0, "J": 12.0}  # seconds, roughly
USUAL_PEOPLE = (("A", "bert"), ("J", "factor"))  # who play the world's people and the judge's
FURTHER = "constants of further families"
FIT, ACCURACY = "fit@2", "accuracy@2"
FAMILY_COST = 20.0  # seconds, roughly
OTHERWISE = 200  # users before whom policies are read under other assumptions, at most
STARTS = ("supervised", "history-rule")  # policies at which a learner may begin, by name
TRAINED = 1  # the one snapshot of a training in a control: what it ends with
HEADROOM_COST = 0.6  # seconds per user, roughly
VALIDATION_COST = 40.0  # seconds, roughly


@dataclass(frozen=True)
class Plan:
    """A study's units, and what becomes of their results."""

    study: Study
    size: Profile
    command: str  # that repeats the study
    # of the first split of the people into parties alone: preparation by its bare names (log, fits,
    # constants, accuracy; empty without a log), descriptions, headroom and watches
    preparation: Mapping[str, Unit]
    judging: Mapping[str, Unit]  # how families do that judge, or were to, "J: gp"
    descriptions: Mapping[str, Unit]  # of the worlds, by name of a main place
    tunings: Mapping[str, Unit]  # by name of the policy whose settings are tuned
    headroom: Mapping[str, Unit]  # of open places, by name
    validations: Mapping[str, Unit]  # of open places learned from a log, by name
    trainings: tuple[Unit, ...]
    watches: tuple[Unit, ...]  # of a learner in its world and before the judge, while it trained
    stops: tuple[Unit, ...]  # what it would be worth to stop where the judge's readings are best
    readings: tuple[Unit, ...]
    traits: tuple[Unit, ...]  # of evaluation people, by open place and split
    slates: tuple[Unit, ...]  # sessions of a few people, of the first split
    serving: tuple[Unit, ...]  # what a slate costs, in the first place alone

    @property
    def before_learning(self) -> list[Unit]:
        """What is fixed before any learner sees a world."""
        models = (self.preparation, self.judging)
        first = (*models, self.descriptions, self.validations, self.tunings, self.headroom)
        units = [unit for units in first for unit in units.values()]
        return list({unit.id: unit for unit in units}.values())  # several policies, one tuning

    @property
    def units(self) -> list[Unit]:
        """All that must be there in the end."""
        after = (*self.trainings, *self.watches, *self.stops, *self.readings)
        shown = (*self.traits, *self.slates, *self.serving)
        return [*self.before_learning, *after, *shown]

    def rows(self, store: Store) -> pd.DataFrame:
        """One row per session, in the columns that `statistics/cells.py` selects by."""
        return _with_splits(store, self.readings, "settings")

    def rows_with_traits(self, store: Store) -> pd.DataFrame:
        """The same with what sets people apart, in columns `trait_NAME`."""
        return with_traits(self.rows(store), self.study, self.traits, store)

    def slate_rows(self, store: Store) -> pd.DataFrame:
        """A row per slot of the sessions of a few people; see docs/rows.md."""
        parts = [part for unit in self.slates if len(part := store.read(unit))]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def curves(self, store: Store) -> pd.DataFrame:
        """Learning curves, one row per point, with the CPU seconds of the whole training."""
        return (
            _with_splits(store, self.trainings, "world_settings")
            if self.trainings
            else pd.DataFrame()
        )

    def watched(self, store: Store) -> pd.DataFrame:
        """Gains over the opponent while learners trained; see `goodhart`."""
        return read_rows(store, self.watches) if self.watches else pd.DataFrame()

    def stopped(self, store: Store) -> pd.DataFrame:
        """Early stopping by the judge's readings minus the end of training; see `goodhart.stop`."""
        return read_rows(store, self.stops) if self.stops else pd.DataFrame()


def plan_of(study: Study, request: Request) -> Plan:
    """Every unit of the study at that size.

    Raises:
        UsageError: the size is out of range; the study names what there is not.
    """
    study = request.of(study)
    size = request.size(study)
    study = study.without(tuple(name for name in size.left_out if name not in request.agents))
    study = study if size.sweep else study.unswept()
    parts = [_plan_in(study.in_split(n), size, request, n) for n in range(size.splits)]
    first = parts[0]
    return replace(
        first,
        study=study,
        preparation=_joined([part.preparation for part in parts]),
        judging=_joined([part.judging for part in parts]),
        tunings=_joined([part.tunings for part in parts]),
        trainings=tuple(unit for part in parts for unit in part.trainings),
        readings=tuple(unit for part in parts for unit in part.readings),
        traits=tuple(unit for part in parts for unit in part.traits),
    )


def _plan_in(study: Study, size: Profile, request: Request, split: int) -> Plan:
    """The units of one split of the people into parties."""
    preparation = _preparation(study, split)
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
    tunings = tunings_of(study, size, first)
    trainings = tuple(_trainings(study, size, first, tunings))
    watches = tuple(watches_of(study, [unit for _, unit in trainings], first, tunings))
    before = dict.fromkeys((place.role for place in study.places), first)
    if FURTHER in preparation:
        before["family"] = (*first, preparation[FURTHER])
    readings = [
        _reading(
            place,
            size,
            baseline,
            (*before[place.role], *tunings_for(baseline, tunings_there(tunings, place))),
        )
        for place in study.places
        for baseline in study.baselines
        if place.policies is None or baseline.name in place.policies
    ]
    readings += [
        _reading_of(place, size, learner, name, unit, (*before[place.role], *starts))
        for learner, unit in trainings
        for place in study.places
        if place.trained_in == unit.spec["place"] and learner.takes_part_in(place)
        if place.role != "assumed" or 0 in unit.spec["seeds"]
        for starts in [
            ()
            if _of_training(place, unit)
            else _starts(study, place, size, tunings_there(tunings, place), before[place.role])
        ]
        for name in learner.served
    ]
    return Plan(
        study,
        size,
        request.command(study),
        preparation,
        {
            f"{who}: {family}": judging_unit(study, who, family, split)
            for who, family in asked_for(study)
        },
        descriptions,
        {
            name if home == study.main[0].name else f"{name}, {home}": unit
            for home, units in tunings.items()
            for name, unit in units.items()
        },
        {
            place.name: _headroom(
                study, place, size, (*first, *ranker_of(tunings_there(tunings, place)))
            )
            for place in _with_headroom(study)
        },
        {} if split else {p.name: unit for p, unit in _validations(study, size, preparation)},
        tuple(unit for _, unit in trainings),
        watches,
        tuple(stops_of(study, size, watches, first)),
        tuple(readings),
        tuple(traits_of(study, size, first)),
        tuple(slates_of(study, readings, first)),
        tuple(serving_of(study, readings, first)),
    )


def _joined(parts: Sequence[Mapping[str, Unit]]) -> dict[str, Unit]:
    """Units of all splits by name; those of further splits say which."""
    return {
        f"{name}, split {split}" if split else name: unit
        for split, units in enumerate(parts)
        for name, unit in units.items()
    }


def _with_splits(store: Store, units: Sequence[Unit], settings: str) -> pd.DataFrame:
    """The tables of these units, with the split of the people that each is of."""
    parts = [
        read_rows(store, [unit]).assign(split=int(unit.spec[settings].get("split", 0)))
        for unit in units
    ]
    return pd.concat(parts, ignore_index=True)


def _controls(study: Study, place: Place) -> dict[str, Any]:
    """Of a control, the first open place of its world, from which it has to differ."""
    open_places = study.of_role("open")
    if place.role != "control" or not open_places:
        return {}
    alike = [p for p in open_places if find_world(p.world)[0] == find_world(place.world)[0]]
    home = (alike or list(open_places))[0]
    # the same people in both: else two that are one would differ by who is there
    whose = {name: place.settings[name] for name in ("users",) if name in place.settings}
    settings = {**home.settings, **whose}
    return {"controls": {"world": find_world(home.world)[0], "settings": settings}}


def _validations(
    study: Study, size: Profile, preparation: Mapping[str, Unit]
) -> Iterator[tuple[Place, Unit]]:
    """Open places held against the log from which they were learned."""
    if study.log is None or not size.validated:
        return
    for place in study.of_role("open"):
        spec = {
            **preparation["log"].spec,
            "world": find_world(place.world)[0],
            "settings": place.settings,
            "users": size.validated,
        }
        label = f"{said_of(place)} against its log"
        needs = (preparation["constants"],)
        yield place, Unit(label, "validate@1", spec, needs, "json", VALIDATION_COST)


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
        **grouped(place),
    }
    label = f"headroom, {said_of(place)}"
    return Unit(label, "headroom@1", spec, needs, "json", HEADROOM_COST * users)


def _judges(study: Study, family: str) -> bool:
    """Whether the usual judge still judges: it may have been refused."""
    found = study.judging
    return found is None or family not in found.refused or family in found.families


def _preparation(study: Study, split: int) -> dict[str, Unit]:
    """The log's models and the worlds' constants, in the order in which they are needed."""
    if study.log is None:
        return {}
    about, log = log_of(study, split)
    there = f", split {split}" if split else ""
    usual = [who for who in USUAL_PEOPLE if who[0] != "J" or _judges(study, who[1])]
    fitted = {
        party: Unit(f"fit {party}{there}", FIT, {**about, "party": party}, (log,), "json", cost)
        for party, cost in PARTIES.items()
        if party == "B" or party in dict(usual)
    }
    fitted |= {f"{p}: {f}": _fit_of(about, log, p, f) for p, f in study.families}
    families, needs = (*usual, *study.families), tuple(fitted.values())
    further = {f"{p}: {f}": _fit_of(about, log, p, f) for p, f in study.further_families}
    every = (*families, *study.further_families)
    accuracy = {**about, "families": every}
    found = {
        "log": log,
        **fitted,
        "constants": _constants(study, about, families, f"world's constants{there}", needs),
        **further,
        "accuracy": Unit(
            f"model accuracy{there}",
            ACCURACY,
            accuracy,
            (*needs, *further.values()),
            "json",
            30.0,
        ),
    }
    if further:  # nothing that is trained or tuned rests on them
        families, label = study.further_families, f"constants of further families{there}"
        found[FURTHER] = _constants(study, about, families, label, tuple(further.values()))
    return found


def _fit_of(about: Mapping[str, Any], log: Unit, party: str, family: str) -> Unit:
    """The fit of a family on a party's people."""
    there = f", split {about['split']}" if "split" in about else ""
    spec = {**about, "party": party, "family": family}
    return Unit(f"fit {party}: {family}{there}", FIT, spec, (log,), "json", FAMILY_COST)


def _constants(
    study: Study,
    about: Mapping[str, Any],
    families: Sequence[tuple[str, str]],
    label: str,
    needs: tuple[Unit, ...],
) -> Unit:
    """What is calibrated of worlds in which these families play the people."""
    spec = {**about, "assumptions": study.assumptions, "families": tuple(families)}
    return Unit(label, "constants@1", spec, needs, "json", 8.0)


def _trainings(
    study: Study, size: Profile, first: tuple[Unit, ...], tunings: Tunings
) -> Iterator[tuple[Learner, Unit]]:
    """Every training, with the learner that it is of."""
    for learner in study.learners:
        settings = learner.trained_for(size.training)
        for place in study.of_role("open", "control"):
            if not learner.takes_part_in(place):
                continue
            every = tuple(range(size.seeds_in(place)))
            for seeds in [every] if learner.together else [(seed,) for seed in every]:
                spec = {
                    "agent": learner.agent,
                    "world": find_world(place.world)[0],
                    "world_settings": {**place.settings, **place.training, **learner.training},
                    "settings": settings,
                    "seeds": seeds,
                    "policy": learner.name,
                    "place": place.name,
                }
                every_seed = size.every_seed_watched or study.log is None
                asked = 0 in seeds or (every_seed and place.role == "open")
                if asked and not place.split and watched_in(study, place):
                    spec["snapshots"] = SNAPSHOTS
                elif place.role == "control" and study.of_role("selection"):
                    spec["snapshots"] = TRAINED
                many = "seed" if len(seeds) == 1 else "seeds"
                label = f"{learner.name}, {place.name}, {many} {_range(seeds)}{in_split(place)}"
                cost = learner.cost * settings.num_steps * len(seeds)
                there = tunings_there(tunings, place)
                begins = (there[learner.name],) if learner.name in there else ()
                needs = (*first, *ranker_of(there), *begins)
                yield learner, Unit(label, "learn@1", spec, needs, cost=cost)


def _range(seeds: tuple[int, ...]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


def _reading(place: Place, size: Profile, baseline: Baseline, needs: tuple[Unit, ...]) -> Unit:
    """A policy that needs no training, before the people of a place."""
    users = _users(place, size)
    spec = {**where_of(place, users), "policy": baseline.policy, "label": baseline.name}
    cost = READ_COST * users
    return Unit(f"read {baseline.name}, {said_of(place)}", "read@1", spec, needs, cost=cost)


def _users(place: Place, size: Profile) -> int:
    """On whom policies are read there: fewer under other assumptions, where no effect is tested."""
    return min(size.users, OTHERWISE) if place.role == "assumed" else size.users


def _of_training(place: Place, training: Unit) -> bool:
    """Whether what training made is read, whatever would be served: in a control."""
    return place.role == "control" and "snapshots" in training.spec


def _starts(study: Study, place: Place, size: Profile, tunings: Mapping[str, Unit],
            first: tuple[Unit, ...]) -> tuple[Unit, ...]:  # fmt: skip
    """Readings of what a learner may have begun at: whoever serves that is not read again."""
    return tuple(
        _reading(place, size, baseline, (*first, *tunings_for(baseline, tunings)))
        for baseline in study.baselines
        if baseline.policy in STARTS and baseline.name in tunings
    )


def _reading_of(
    place: Place, size: Profile, learner: Learner, name: str, trained: Unit, first: tuple[Unit, ...]
) -> Unit:
    """A trained policy, as it serves under that name, before the people of a place."""
    users = _users(place, size)
    spec = {
        **where_of(place, users),
        "policy": None,
        "label": name,
        "serve": learner.served[name],
    }
    if _of_training(place, trained):
        # whether or not selection people would have it served: the control is of what training made
        spec["snapshot"] = TRAINED
    own = name if name == learner.name else f"{name} of {learner.name}"
    seeds = trained.spec["seeds"]
    label = f"read {own}, seed {_range(seeds)}, {said_of(place)}"
    cost = READ_COST * users * len(seeds)
    return Unit(label, "read@1", spec, (*first, trained), cost=cost)
