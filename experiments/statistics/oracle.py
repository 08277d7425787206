"""The verdict where the opponent itself knows the true model and looks one slate ahead.

In every open place the learner that comes furthest is held against it; what beats it in a control
by clearly more than the margin is not to be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.verdict import TAGS, Verdict, one_part
from slategym.experiments.statistics.words import listed
from slategym.experiments.study import Study

if TYPE_CHECKING:
    from slategym.experiments.statistics.numbers import Numbers, Standing


def against_oracle(study: Study, numbers: Numbers, rows: pd.DataFrame) -> Verdict:
    """Does a learner beat the policy that knows the true model and does not look ahead?"""
    opponent = study.roles.opponent
    best = {}
    for place in study.of_role("open"):
        there = [r for r in numbers.ladder if r.kind == "learns" and place.name in r.mean]
        if there:
            best[place.name] = max(there, key=lambda standing: standing.mean[place.name].value)
    over = {
        place: numbers.find(standing.policy, opponent, place) for place, standing in best.items()
    }
    caught = any(c.fails for c in numbers.controls)
    won = any(d is not None and d.side > 0 for d in over.values())
    outcome = "not believed" if caught else "beaten" if won else "not beaten"
    sentences = [
        _open_place(study, numbers, study.place(name), standing) for name, standing in best.items()
    ]
    sentences += [_controlled(study, numbers, place) for place in study.of_role("control")]
    tone, tag = TAGS[outcome]
    order = sorted(study.learned, key=lambda agent: -numbers.of(agent).order)
    return Verdict(outcome, tone, tag, one_part(study, sentences), agents=tuple(order))


def _open_place(study: Study, numbers: Numbers, place: Place, best: Standing) -> str:
    roles, d = study.roles, numbers.find(best.policy, study.roles.opponent, place.name)
    greedy, top = (numbers.of(name).mean[place.name] for name in (roles.opponent, roles.reference))
    assert d is not None
    verb = {1: "more than", -1: "less than", 0: "not clearly other than"}[d.side]
    score = best.score.get(place.name)
    scored = (
        f" Score {score.value:.2f}, where 0 is {roles.random} and 1 is {roles.reference} "
        f"({top.value:.1f})."
        if score
        else ""
    )
    return (
        f"{place.name}: of the learners, none of which sees preferences, {best.policy} comes "
        f"furthest, with {_short(best.mean[place.name])} {study.unit}: {verb} {roles.opponent}, "
        f"which sees them and takes the best slate of the moment ({greedy.value:.1f}; difference "
        f"{d.estimate.signed(1)}).{scored}"
    )


def _controlled(study: Study, numbers: Numbers, place: Place) -> str:
    opponent = study.roles.opponent
    mine = [
        c
        for c in numbers.controls
        if c.difference.place == place.name and c.difference.baseline == opponent
    ]
    if not mine:
        return f"{place.name}: no learner was trained there, so nothing is controlled."
    over = [c for c in mine if c.fails]
    if over:
        who = ", ".join(f"{c.difference.agent} ({c.difference.estimate.signed(1)})" for c in over)
        return (
            f"{place.name}: not to be believed, because where looking ahead is worth nothing {who} "
            f"beats {opponent}, which knows the true model, by clearly more than the margin of "
            f"{over[0].margin:.2f}."
        )
    nearest = max(mine, key=lambda c: c.difference.estimate.value)
    doubt = [c.difference.agent for c in mine if c.standing == "cannot tell"]
    unsure = f"; of {listed(doubt)} it cannot tell" if doubt else ""
    return (
        f"{place.name}: where looking ahead is worth nothing, no learner beats {opponent}, "
        f"which knows the true model, by clearly more than {nearest.margin:.2f}; nearest comes "
        f"{nearest.difference.agent} ({nearest.difference.estimate.signed(1)}){unsure}."
    )


def _short(estimate: Estimate) -> str:
    return estimate.rounded(1)
