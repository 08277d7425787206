"""What the MovieLens study says: its settings before anything is learned, its report afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from slategym.experiments.report.results import Artefact, Constant, StudyResult
from slategym.experiments.runs.spec import as_json
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.experiments.statistics.verdict import Roles
from slategym.experiments.studies.movielens import AGENTS, CAPS, MovieLensStudy, Plan
from slategym.models.simulator.assumptions import Assumptions
from slategym.models.simulator.movielens import BOREDOM, HORIZON, LABELS, RATES

ABOUT = "study.json"


def about(study: MovieLensStudy, plan: Plan, store: Store) -> dict[str, Any]:
    """Everything that was decided before an agent learned, as JSON values.

    Args:
        study: what was asked.
        plan: its units, of which those before learning are completed.
        store: where they are.
    """
    return {
        "command": study.command,
        "study": as_json(study),
        "assumptions": as_json(Assumptions()),
        "constants": store.read(plan.constants),
        "cap": store.read(plan.cap),
        "data": store.read(plan.data),
        "models": {party: store.read(unit)["folder"] for party, unit in plan.parties.items()},
        "labels": [list(label) for label in LABELS],
        "lessons": [as_json(unit.spec) for unit in plan.lessons],
    }


def result(study: MovieLensStudy, plan: Plan, store: Store, seconds: float) -> StudyResult:
    """Everything the report says, read from the store.

    Args:
        study: what was asked.
        plan: its units, all completed.
        store: where they are.
        seconds: wall clock of this call.
    """
    cap, accuracy = store.read(plan.cap), store.read(plan.accuracy)
    groups = store.read(plan.data)["people"]
    written = Artefact(store.folder / ABOUT, "settings and constants, fixed before any learning")
    return StudyResult(
        title="MovieLens: reinforcement learning against the supervised multi-task ranker",
        question=(
            "For slates of films shown to people who tire of genres and lose patience, does RL "
            "beat a good supervised multi-task ranker, and can the answer be believed?"
        ),
        command=study.command,
        roles=Roles(boredom=BOREDOM, agents=AGENTS),
        rows=plan.rows(store),
        curves=plan.curves(store),
        reliability=pd.DataFrame(accuracy["reliability"]),
        model_metrics=tuple(
            {**row, "protocol": _protocol(row["model"])} for row in accuracy["metrics"]
        ),
        labels=LABELS,
        constants=_constants(store.read(plan.constants)),
        settings=_settings(study, groups, cap["policy"]),
        timings=_timings(plan, store, seconds),
        artefacts=(written,),
        notes={
            "grid": (
                f"Agents were trained at a boredom of {BOREDOM:g} log-odds only; at the other "
                "strengths they meet a world that they were not trained in."
            ),
            "judge": (
                "The judge is fitted on J's people, those on whom policies are read among them: it "
                "stands for what they would do. It shares the assumed rules of boredom and "
                "patience, so it tests whether what was learned of people's preferences carries "
                "over, not whether the rules are true."
            ),
            "capped": _capped(cap["policy"]),
        },
    )


def _capped(chosen: str) -> str:
    others = " and ".join(name for name in CAPS if name != chosen)
    return (
        f"supervised-capped stands for {chosen}, which did better on selection users than {others}."
    )


def _protocol(model: str) -> str:
    if model.startswith("J"):
        return "a tenth of J's own people, held out; 4 uniform negatives per click"
    return "selection people, unknown to the model; 4 uniform negatives per click"


def _constants(solved: Mapping[str, Mapping[str, float]]) -> tuple[Constant, ...]:
    assumed, stay = Assumptions(), solved["patience"]
    rates = "assumed; skip and temperature are solved for it"
    rows = [
        Constant("click rate, random slate", RATES.random, "", rates),
        Constant("click rate, popular slate", RATES.popular, "", rates),
    ]
    for party, whose in (("A", "world"), ("J", "judge's world")):
        found = solved[party]
        origin = (
            f"solved on calibration users; reached {found['random_rate']:.3f} and "
            f"{found['popular_rate']:.3f}"
        )
        rows += [
            Constant(f"skip, {whose}", found["skip"], "log-odds", origin),
            Constant(f"temperature, {whose}", found["temperature"], "", origin),
        ]
    return (
        *rows,
        Constant("boredom", assumed.boredom, "log-odds", "assumed; see the grid of strengths"),
        Constant("boredom: clicks of one genre", assumed.threshold, "clicks", "assumed"),
        Constant("boredom: among the last", assumed.memory, "clicks", "assumed"),
        Constant("boredom: lasts", assumed.duration, "slates", "assumed"),
        Constant(
            "patience",
            stay["patience"],
            "slates without a click",
            f"chosen on calibration users: sessions under popular slates last "
            f"{stay['reached_length']:.1f} slates, the log's sittings {stay['wanted_length']:.1f} "
            f"ratings (cut at {HORIZON})",
        ),
        Constant(
            "stretches on one genre, log",
            stay["log_repetition"],
            "",
            f"derived: share of {assumed.memory} ratings in a row that meet the rule; the log's "
            "people do not seem to tire",
        ),
        Constant(
            "stretches on one genre, world",
            stay["world_repetition"],
            "",
            "the same for clicks on popular slates, where boredom holds people back",
        ),
        Constant("session", HORIZON, "slates", "assumed; the log's mean sitting has 36 ratings"),
    )


def _settings(
    study: MovieLensStudy, people: Mapping[str, int], cap: str
) -> tuple[tuple[str, str], ...]:
    return (
        ("people", ", ".join(f"{group} {count}" for group, count in people.items())),
        ("who fits what", "A the world, B ranker and state, J the judge: nobody in two of them"),
        ("who is read", "J's people in three groups: calibration, selection, evaluation"),
        ("simulated users", f"{study.num_users} arrivals, the same and with the same luck for all"),
        ("training seeds", f"{study.num_seeds} per agent and world"),
        ("training users", "arrivals of A's and B's people"),
        ("slates", f"{study.slate_size} films, up to {HORIZON} slates a session"),
        ("reward", "1 per click + 1 per like"),
        ("cap", f"{cap}, chosen on selection users"),
    )


def _timings(plan: Plan, store: Store, seconds: float) -> tuple[tuple[str, float], ...]:
    def total(units: tuple[Unit, ...]) -> float:
        return sum(store.seconds(unit) for unit in units)

    agents = {a: tuple(u for u in plan.lessons if u.spec.agent == a) for a in AGENTS}
    return (
        ("this call, wall clock", seconds),
        ("fitting the three models", total(tuple(plan.parties.values()))),
        *((f"training {agent}, all runs", total(units)) for agent, units in agents.items()),
        ("reading policies, all runs", total(plan.readings)),
    )
