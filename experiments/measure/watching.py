"""Which units look on while learners train, and ask what stopping early would be worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from slategym.experiments.measure.goodhart import SNAPSHOTS, STOPPED, WATCHED
from slategym.experiments.measure.tunings import Tunings, ranker_of, tunings_there
from slategym.experiments.measure.where import where_of
from slategym.experiments.places import SELECTION_LUCK, Place
from slategym.experiments.runs.units import Unit
from slategym.experiments.study import Profile, Study

READ_COST = 1 / 100  # seconds per session, roughly


def watched_in(study: Study, place: Place) -> tuple[Place, ...]:
    """Where what is trained in that place is read on selection people; (): nowhere.

    The world and its first judge, if the study sets people aside. If its people are made up, the
    world alone: other people than those of the tables, with other luck.
    """
    chosen = [p for p in study.of_role("selection") if p.trained_in == place.name]
    judges = [p for p in study.of_role("judge") if p.of == place.name]
    if study.log is None and place.role == "open" and not chosen:
        before = max(0, place.first_user - WATCHED)
        return (replace(place, group="selection", luck=SELECTION_LUCK, first_user=before),)
    if not chosen or not judges:
        return ()
    world, judge = chosen[0], judges[0]
    settings = {**judge.settings, "users": world.settings["users"]}
    changes = {"group": world.group, "luck": world.luck, "first_user": world.first_user}
    return replace(world, name=place.name), replace(judge, settings=settings, **changes)  # type: ignore[arg-type]


def watches_of(
    study: Study, trainings: Sequence[Unit], first: tuple[Unit, ...], tunings: Tunings
) -> Iterator[Unit]:
    """Every training that keeps snapshots, read at them; first seeds before the judge as well."""
    opponent = next(b.policy for b in study.baselines if b.name == study.roles.opponent)
    for training in trainings:
        place = study.place(training.spec["place"])
        if place.role == "control" or "snapshots" not in training.spec:
            continue
        both = watched_in(study, place)
        where = [where_of(p, WATCHED) for p in (both if 0 in training.spec["seeds"] else both[:1])]
        spec = {
            "places": where,
            "opponent": opponent,
            "snapshots": training.spec["snapshots"],
        }
        needs = (*first, *ranker_of(tunings_there(tunings, place)), training)
        cost = READ_COST * WATCHED * len(where) * (1 + SNAPSHOTS * len(training.spec["seeds"]))
        yield Unit(f"watch {training.label}", "watch@1", spec, needs, cost=cost)


def stops_of(
    study: Study, size: Profile, watches: Sequence[Unit], first: tuple[Unit, ...]
) -> Iterator[Unit]:
    """Of learners that look ahead: the best snapshot before the judge, against the last."""
    users = min(size.users, STOPPED)
    for watch in watches:
        (training,) = (unit for unit in watch.needs if unit.function == "learn@1")
        if training.spec["policy"] not in study.ahead or 0 not in training.spec["seeds"]:
            continue
        home = study.place(training.spec["place"])
        judges = [p for p in study.of_role("judge") if p.of == home.name]
        if not judges:
            continue
        spec = {
            "places": [where_of(place, users) for place in (home, *judges)],
            "judge": judges[0].name,
        }
        cost = 2 * READ_COST * users * len(spec["places"])
        yield Unit(f"stop {training.label}", "stop@1", spec, (*first, training, watch), cost=cost)
