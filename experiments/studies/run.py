"""A study by name in one call, as a program asks for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from slategym.envs.names import UsageError
from slategym.experiments import benchmark
from slategym.experiments.request import Request
from slategym.experiments.studies.registry import find_study, studies
from slategym.experiments.study import Study


def run_study(
    study: str | Study,
    *,
    profile: str = "quick",
    out: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
    agents: Sequence[str] = (),
    objective: Mapping[str, float] | None = None,
    assumptions: str | None = None,
    splits: int | None = None,
    families: str | None = None,
    seeds: int | None = None,
    users: int | None = None,
    slate_size: int | None = None,
    device: str = "cpu",
    workers: int = 0,
    ray: str | None = None,
) -> Path:
    """Fit, train and read what is missing, and write the report; None: as the study has it.

    Args:
        study: a study, its name, or "module:name" of one.
        profile: how much of everything.
        out: run folder, in which a killed study goes on; runs/STUDY-PROFILE if None.
        log: folder or name of the log, for the study `log`.
        agents: learners instead of the study's: names, or "module:Class".
        objective: reward per unit of signals by name, for the study `log`.
        assumptions: what no log shows of people, by name, several with commas, for studies of logs.
        splits: ways to part the people, 1 to 3, for studies of logs.
        families: of people, in whose worlds and before whose judges everybody is read as well:
            names with commas, "all" or "none"; for studies of logs.
        seeds: of training, each learner.
        users: on whom policies are read.
        slate_size: items per slate, where the study lets it be chosen.
        device: to compute on.
        workers: processes; 0: this one.
        ray: address of a Ray cluster to compute on instead, or "auto" (extra `ray`).

    Returns:
        The report's path.

    Raises:
        UsageError: there is no such study, profile or log; a number is out of range; something is
            given that is not for this study.
    """
    name = study if isinstance(study, str) else study.name
    if isinstance(study, str):
        studies.find(study)
    for option, value in (("log", log), ("objective", objective)):
        if value is not None and name != "log":
            raise UsageError(f"{option} is for the study log, not for {name}")
    if name == "log" and log is None:
        raise UsageError("which log? give its folder or name: log=...")
    kind = name.replace(":", ".") + ("" if log is None else f"-{Path(log).name}")
    request = Request(
        profile=profile,
        out=Path(out) if out is not None else Path("runs") / f"{kind}-{profile}",
        workers=workers,
        ray=ray,
        device=device,
        seeds=seeds,
        users=users,
        slate_size=slate_size,
        agents=tuple(agents),
        log=None if log is None else os.fspath(log),
        objective=tuple((objective or {}).items()),
        assumptions=assumptions,
        splits=splits,
        families=families,
    )
    chosen = find_study(study, request) if isinstance(study, str) else study
    return benchmark.run_study(chosen, request)
