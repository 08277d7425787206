"""Which units show people: their traits, slates of a few of them, and what a slate costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from slategym.experiments.measure.where import said_of, where_of
from slategym.experiments.places import Place
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.experiments.study import Profile, Study

SHOWN_IN = 2  # open places, the study's first
PEOPLE = 33  # whose sessions are kept, at as many quantiles
SERVED = 64  # users a call, at most, when a policy is timed
SLATES_COST, TRAITS_COST, SERVING_COST = 8.0, 2.0, 6.0  # seconds, roughly


def traits_of(study: Study, size: Profile, first: tuple[Unit, ...]) -> Iterator[Unit]:
    """What sets the evaluation people of every open place apart; its judges have the same."""
    for place in study.of_role("open"):
        spec = where_of(place, size.users)
        yield Unit(f"traits, {said_of(place)}", "traits@1", spec, first, cost=TRAITS_COST)


def with_traits(
    rows: pd.DataFrame, study: Study, units: Sequence[Unit], store: Store
) -> pd.DataFrame:
    """The rows of evaluation people with their traits, in open places and before their judges.

    Args:
        rows: sessions.
        study: that they are of.
        units: of `traits_of`, of every split.
        store: where their results are.
    """
    homes = {place.name: place.trained_in for place in study.of_role("open", "judge")}
    parts = [
        store.read(unit).assign(
            home=unit.spec["place"], split=int(unit.spec["settings"].get("split", 0))
        )
        for unit in units
    ]
    if not parts or all(len(part.columns) == 3 for part in parts):
        return rows
    traits = pd.concat(parts, ignore_index=True).assign(group="evaluation")
    home = rows["variant"].map(homes).astype(object)
    keys = ["home", "split", "group", "user"]
    found = rows.assign(home=home).merge(traits, "left", keys, validate="many_to_one")
    return found.drop(columns="home")


def slates_of(study: Study, readings: Sequence[Unit], first: tuple[Unit, ...]) -> Iterator[Unit]:
    """Sessions of a few people under the opponent, the best other policy and the one for RL."""
    deciding = _deciding(study)
    others = [b.name for b in study.baselines if b.kind == "baseline"]
    others = [name for name in others if name not in (study.roles.opponent, study.roles.random)]
    for place in study.of_role("open")[:SHOWN_IN]:
        spec = {
            **where_of(place, PEOPLE),
            "decided": {n: getattr(deciding, n) for n in ("name", "group", "strength")},
            "opponent": study.roles.opponent,
            "others": [*others, *study.present],
            "ahead": list(study.ahead),
        }
        spec["decided"]["place"] = spec["decided"].pop("name")
        shown = {study.roles.opponent, *spec["others"], *spec["ahead"]}
        needs = [u for u in readings if _is_at(u, place) and u.spec["label"] in shown]
        learned = [u for u in needs if u.spec["label"] in study.ahead]
        if not learned:
            continue
        if len(study.ahead) > 1:
            needs += [u for u in readings if _is_at(u, deciding) and u.spec["label"] in study.ahead]
        needs = list({unit.id: unit for unit in (*first, *needs)}.values())
        yield Unit(f"slates, {said_of(place)}", "slates@1", spec, tuple(needs), cost=SLATES_COST)


def serving_of(study: Study, readings: Sequence[Unit], first: tuple[Unit, ...]) -> Iterator[Unit]:
    """What a slate costs of the opponent and of whoever looks ahead, in the first open place."""
    for place in study.of_role("open")[:1]:
        shown = (study.roles.opponent, *study.ahead)
        needs = [u for u in readings if _is_at(u, place) and u.spec["label"] in shown]
        spec = where_of(place, SERVED)
        label, needs = f"serving, {said_of(place)}", [*first, *needs]
        yield Unit(label, "serving@1", spec, tuple(needs), "json", SERVING_COST)


def _deciding(study: Study) -> Place:
    """Where it is decided which learner speaks for RL: before selection people, if there are."""
    return (*study.of_role("selection"), *study.main)[0]


def _is_at(unit: Unit, place: Place) -> bool:
    mine = (unit.spec["place"], unit.spec["group"], unit.spec["strength"])
    return mine == (place.name, place.group, place.strength)
