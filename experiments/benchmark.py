"""A study from start to end: compute what is missing, then write and print what it says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from slategym.agents.core.files import ABOUT, read_about
from slategym.agents.core.step_back import as_json as served_as_json
from slategym.agents.core.step_back import from_json
from slategym.experiments.measure.judging import with_families, with_fit_judges
from slategym.experiments.measure.plan import ACCURACY, FIT, FURTHER, Plan, plan_of
from slategym.experiments.report.report import write_report
from slategym.experiments.report.results import Artefact, Constant, Result
from slategym.experiments.report.terminal import print_report
from slategym.experiments.report.words import fewer_seeds
from slategym.experiments.request import Request
from slategym.experiments.runs.backends.here import Here
from slategym.experiments.runs.origin import origin
from slategym.experiments.runs.run import backend_of, run_units
from slategym.experiments.runs.store import Store, open_store, write_json
from slategym.experiments.statistics.words import per_cent
from slategym.experiments.study import Study
from slategym.models.console import plain_console
from slategym.models.hashes import as_json

FIXED = "study.json"  # everything that was decided before a learner learned
ORIGIN = ("date", "version", "commit", "machine")


def run_study(
    study: Study,
    request: Request,
    screen: Console | None = None,
    progress: Console | None = None,
) -> Path:
    """Fit, train and read what is missing in the run folder; a finished study computes nothing.

    Args:
        study: what.
        request: how much of it, where, and with how many processes.
        screen: for the tables and the verdict; standard output if None.
        progress: for progress; standard error if None.

    Returns:
        where the report is.

    Raises:
        UsageError: the size is out of range, or a learner cannot act in a world.
        UnitError: a unit failed; the next call goes on from there.
    """
    began, progress = time.monotonic(), progress or plain_console(stderr=True)
    plan = plan_of(study, request)
    store = open_store(Path(request.out))
    compute = partial(
        run_units,
        store=store,
        settings={
            "device": request.device,
            "tensorboard": str((store.folder / "tensorboard").absolute()),
        },
        console=progress,
    )
    # without models to fit there is nothing for which starting processes would pay
    alone = not plan.preparation
    with closing(backend_of(request.workers, request.ray)) as where:
        first = partial(compute, where=Here() if alone else where)
        for chosen in (with_fit_judges, with_families):
            study = chosen(study, plan.study, request, first, store)
            plan = plan_of(study, request)
        before = first(plan.before_learning)
        write_json(fixed(plan, store), store.folder / FIXED)  # before anything is learned
        after = compute(plan.units, where=where)
    if not before.computed + after.computed:
        progress.print(f"nothing to compute: all {after.reused} results are there", highlight=False)
    result = result_of(plan, store, time.monotonic() - began)
    report = write_report(result, store.folder)
    print_report(result, report.numbers, screen or plain_console())
    return report.path


def fixed(plan: Plan, store: Store) -> dict[str, Any]:
    """Everything that was decided before a learner learned, as JSON values.

    Args:
        plan: the study's units, of which those before learning are completed.
        store: where they are.
    """
    return {
        "command": plan.command,
        "study": plan.study.name,
        "places": as_json(plan.study.places),
        "size": as_json(plan.size),
        "preparation": {name: store.read(unit) for name, unit in plan.preparation.items()},
        "judging": {name: store.read(unit) for name, unit in plan.judging.items()},
        "worlds": {name: store.read(unit) for name, unit in plan.descriptions.items()},
        "tunings": {name: store.read(unit) for name, unit in plan.tunings.items()},
        "validation": {name: store.read(unit) for name, unit in plan.validations.items()},
        "headroom": {name: store.read(unit) for name, unit in plan.headroom.items()},
        "trainings": [as_json(unit.spec) for unit in plan.trainings],
    }


def result_of(plan: Plan, store: Store, seconds: float) -> Result:
    """Everything the report says, read from the store.

    Args:
        plan: the study's units, all completed.
        store: where they are.
        seconds: wall clock of this call.
    """
    study, size = plan.study, plan.size
    accuracy = _accuracy(plan, store)
    constants = [
        constant
        for name in ("constants", FURTHER)
        if name in plan.preparation
        for constant in store.read(plan.preparation[name])["constants"]
    ]
    written = Artefact(store.folder / FIXED, "what was fixed before any learning")
    return Result(
        study=study,
        size=size,
        command=plan.command,
        rows=plan.rows_with_traits(store),
        curves=plan.curves(store),
        reliability=pd.DataFrame(accuracy.get("reliability", [])),
        watched=plan.watched(store),
        stopped=plan.stopped(store),
        slates=plan.slate_rows(store),
        signals=_signals(plan, store),
        made=origin(),
        computed=_computed(plan, store),
        serving=next((store.read(unit) for unit in plan.serving), {}),
        met={name: (met, of) for name, (met, of) in accuracy.get("met", {}).items()},
        model_metrics=tuple(accuracy.get("metrics", [])),
        labels=_labels(plan, store),
        headroom={name: store.read(unit) for name, unit in plan.headroom.items()},
        validation={name: store.read(unit) for name, unit in plan.validations.items()},
        constants=tuple(dict.fromkeys(Constant(**constant) for constant in constants)),
        settings=_settings(plan, store),
        learners=tuple(dict(_trained(plan)).items()),
        served=tuple(_served(plan, store)),
        timings=_timings(plan, store, seconds),
        artefacts=(written,),
        tunings=tuple(_tunings(plan, store)),
        remarks=study.remarks,
    )


def _signals(plan: Plan, store: Store) -> tuple[tuple[str, str, str], ...]:
    """Name, kind and unit of each signal of the first place."""
    told = store.read(plan.descriptions[plan.study.main[0].name])["signals"]
    return tuple((signal["name"], signal["kind"], signal["unit"]) for signal in told)


def _accuracy(plan: Plan, store: Store) -> dict[str, Any]:
    """Of the models of the first split, and figures of those of the others, which say so."""
    found: dict[str, Any] = {}
    for name, unit in plan.preparation.items():
        if unit.function != ACCURACY:
            continue
        read, split = store.read(unit), name.partition(",")[2].strip()
        if not split:
            found = dict(read)
            continue
        more = [{**row, "model": f"{row['model']}, {split}"} for row in read["metrics"]]
        found["metrics"] = [*found["metrics"], *more]
    return found


def _tunings(plan: Plan, store: Store) -> Iterator[dict[str, Any]]:
    """Every step of every tuning, with where it was made; what several begin with, once."""
    home = plan.study.main[0].name
    made: dict[str, str] = {}
    for name, unit in plan.tunings.items():
        made.setdefault(unit.id, name.partition(", ")[2] or home)
    units = {unit.id: unit for unit in plan.tunings.values()}
    told: list[dict[str, Any]] = []
    for id, where in made.items():
        for step in store.read(units[id])["steps"]:
            one = {**step, "where": where}
            if one not in told:
                told.append(one)
                yield one


def _labels(plan: Plan, store: Store) -> tuple[tuple[str, str, str], ...]:
    """What every world says of itself, each line once."""
    lines = [tuple(x) for unit in plan.descriptions.values() for x in store.read(unit)["labels"]]
    return tuple(dict.fromkeys(lines))


def _settings(plan: Plan, store: Store) -> tuple[tuple[str, str], ...]:
    study, size = plan.study, plan.size
    first = store.read(plan.descriptions[study.main[0].name])
    paid = [
        f"{s['weight']:g} per {s['name']}" + (f" ({s['unit']})" if s["kind"] != "binary" else "")
        for s in first["signals"]
        if s["weight"]
    ]
    words, found = study.words, list(study.settings)
    if plan.preparation:
        people = store.read(plan.preparation["log"])["people"]
        found.append(("people", ", ".join(f"{group} {count}" for group, count in people.items())))
    if size.splits > 1:
        found.append(
            (
                "splits of the people",
                f"{size.splits}: parties change places, all is fitted and trained anew; headroom, "
                "labels, constants and what is watched while learning are of the first",
            )
        )
    found += [
        ("read", f"{size.users} {words.sessions}, the same and with the same luck for all"),
        ("training seeds", f"{size.seeds} a learner and place, {fewer_seeds(study, size)}"),
        ("training", f"{per_cent(size.training)} of each learner's slates"),
        (
            "slates",
            f"{first['slate_size']} of {first['items']:,} {words.items}, up to "
            f"{first['horizon']} slates a {words.session}",
        ),
        ("reward", " + ".join(paid)),
    ]
    return tuple(found)


def _served(plan: Plan, store: Store) -> Iterator[dict[str, Any]]:
    """By training and seed: whether selection people had what it made served, or its start."""
    for unit in plan.trainings:
        about = store.folder_of(unit) / ABOUT
        kept = read_about(about.parent) if about.is_file() else {}
        decided = served_as_json(from_json(kept.get("served", ())))
        begun = kept.get("start") or ""
        for seed, one in zip(unit.spec["seeds"], decided, strict=False):
            split = int(unit.spec["world_settings"].get("split", 0))
            yield {
                "learner": unit.spec["policy"],
                "place": unit.spec["place"],
                "split": split,
                "seed": seed,
                "begun": begun,
                **one,
            }


def _trained(plan: Plan) -> list[tuple[str, str]]:
    """Settings of every learner, as text."""
    found = []
    for unit in plan.trainings:
        settings = unit.spec["settings"]
        parts = asdict(settings) if is_dataclass(settings) else dict(settings)  # type: ignore[arg-type]
        text = ", ".join(f"{key}={value}" for key, value in parts.items())
        found.append((unit.spec["policy"], text))
    return found


def _computed(plan: Plan, store: Store) -> tuple[dict[str, str], ...]:
    """By which code, when and where the units were computed, each once, with how many."""
    found: Counter[tuple[tuple[str, str], ...]] = Counter()
    for unit in plan.units:
        stamp = store.stamp(unit)
        found[tuple((n, stamp[n]) for n in ORIGIN if n in stamp)] += 1
    return tuple({**dict(made), "units": f"{count}"} for made, count in found.most_common())


def _timings(plan: Plan, store: Store, seconds: float) -> tuple[tuple[str, float], ...]:
    trainings: dict[str, float] = {}
    for unit in plan.trainings:
        name = unit.spec["policy"]
        trainings[name] = trainings.get(name, 0.0) + store.seconds(unit)
    models = [unit for unit in plan.preparation.values() if unit.function == FIT]
    fitting = sum(store.seconds(unit) for unit in models)
    tunings = {unit.id: unit for unit in plan.tunings.values()}
    tuning = sum(store.seconds(unit) for unit in tunings.values())
    return (
        ("this call, wall clock", seconds),
        *((("fitting the models", fitting),) if models else ()),
        *((f"training {name}, all runs", total) for name, total in trainings.items()),
        *((("tuning policies", tuning),) if plan.tunings else ()),
        *((f"headroom, {name}", store.seconds(unit)) for name, unit in plan.headroom.items()),
        ("reading policies, all runs", sum(store.seconds(unit) for unit in plan.readings)),
    )
