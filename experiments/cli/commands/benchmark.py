"""slategym benchmark: a whole study, from log to verdict."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from slategym.agents.entries import plain_name
from slategym.agents.registry import find_learner
from slategym.envs.names import UsageError, lookup
from slategym.experiments.cli.completion import of_policies, of_studies
from slategym.experiments.cli.options import Device, RayCluster, Workers, place
from slategym.experiments.studies.registry import STUDIES, studies
from slategym.models.console import plain_console

T = TypeVar("T")
TRUTH = "truth"  # no study of one log, but a grid of many

EPILOG = r"""
**A first answer, in minutes on two cores: 3 seeds, 315 users**\
`slategym benchmark movielens`

**The answer to quote: 3 splits of the people, 5 seeds in each, longer training**\
`slategym benchmark movielens --profile full --out runs/movielens-full`

**SlateQ's published table, beside the same agent with a value for no click: 2 seeds**\
`slategym benchmark slateq`

**Bored people: does an agent that sees clicks alone beat one that sees preferences?**\
`slategym benchmark sardine`

**A quick look at another slate size**\
`slategym benchmark movielens --slate-size 10 --seeds 1 --users 200`

**A log of your own, from its folder to a verdict: first whether it runs, then a first answer**\
`slategym benchmark log my-log/ --profile smoke`\
`slategym benchmark log my-log/ --objective click=1,dwell=0.01`

**How often such verdicts are right: worlds of known truth write the logs (`docs/truth.md`)**\
`slategym benchmark truth --profile smoke`\
`slategym benchmark truth --scenarios News,Shop --strengths 0,1 --visits 10000 --seeds 2`

**On a Ray cluster: what is missing is computed there, and kept here**\
`slategym benchmark movielens --profile full --ray auto`

**Other learners, your own among them**\
`slategym benchmark movielens --agents plackett-luce,mine.agents:Mine`

Interrupt it at any time: the same call goes on where it stopped, and a finished one computes
nothing. The report is `OUT/report.html`, its numbers are `OUT/rows.parquet`, the trained policies
lie under `OUT/work/`, and `tensorboard --logdir OUT/tensorboard` shows the training.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG)(benchmark)


def benchmark(
    study: Annotated[
        str,
        typer.Argument(
            autocompletion=of_studies, help=f"Which study: {', '.join(STUDIES)}, {TRUTH}."
        ),
    ],
    log: Annotated[
        str | None, typer.Argument(help="Folder or name of the log (study log only).")
    ] = None,
    profile: Annotated[
        str, typer.Option(help="How much of everything: smoke, quick, full.")
    ] = "quick",
    agents: Annotated[
        str | None,
        typer.Option(
            autocompletion=of_policies,
            help="Learners instead of the study's: names or module:Class, with commas.",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="Reward per unit of signals, as click=1,dwell=0.01 (study log only)."),
    ] = None,
    assumptions: Annotated[
        str | None,
        typer.Option(
            help="What no log shows of people, by name, as mild,lasting; supported: what the log "
            "speaks for (studies of logs)."
        ),
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option(
            help="Ways to part the people, 1 to 3: all is fitted and trained anew in each "
            "(studies of logs)."
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(
            help="Read everybody in worlds and before judges of these families of people, too: "
            "names with commas, all or none; by default all in the full profile (studies of logs)."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per agent; by default the profile's.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(help="Simulated evaluation users; by default the profile's.")
    ] = None,
    slate_size: Annotated[
        int | None, typer.Option(help="Items per slate, in studies of logs.")
    ] = None,
    scenarios: Annotated[
        str | None, typer.Option(help="Which scenarios write logs, with commas (truth).")
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(help="Of what slates change later, in [0, 2], with commas (truth)."),
    ] = None,
    visits: Annotated[
        str | None, typer.Option(help="Visits of a log, with commas, as 1000,10000 (truth).")
    ] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Run folder; runs/STUDY-PROFILE by default."
        ),
    ] = None,
    workers: Workers = None,
    ray: RayCluster = None,
    open_report: Annotated[
        bool, typer.Option("--open", help="Open the report in a browser at the end.")
    ] = False,
) -> None:
    """Train what is missing, read every policy on the same people, and say who wins.

    Every study has a static twin, in which looking ahead is worth nothing: the control that RL must
    not win. In `movielens` and `log` the simulator's, the agents' and the judge's models are fitted
    on different people besides.
    """
    if workers is not None and workers < 0:
        raise UsageError(f"--workers must be 0 (this process) or more, got {workers}")
    grid = {"--scenarios": scenarios, "--strengths": strengths, "--visits": visits}
    if study == TRUTH:
        others = {"LOG": log, "--objective": objective, "--agents": agents, "--splits": splits}
        others |= {"--slate-size": slate_size, "--ray": ray, "--families": families}
        for option, value in others.items():
            if value is not None:
                raise UsageError(f"{option} is for other studies, not for {TRUTH}")
        asked = (profile, scenarios, strengths, visits, seeds, users, assumptions, out, workers)
        _truth(*asked, open_report)
        return
    for option, value in grid.items():
        if value is not None:
            raise UsageError(f"{option} is for the study {TRUTH}, not for {study}")
    studies.find(study)
    for option, value in (("--objective", objective), ("LOG", log)):
        if value is not None and study != "log":
            raise UsageError(f"{option} is for the study log, not for {study}")
    if study == "log" and log is None:
        raise UsageError("which log? give its folder or name: slategym benchmark log my-log/")
    if ray is not None:
        from slategym.experiments.runs.run import check_where

        check_where(workers, ray)
    weights = _weights(objective)
    learners = tuple(name.strip() for name in agents.split(",")) if agents else ()
    _check_words(study, profile, assumptions, learners, device)
    _check_families(families)
    if log is not None:
        from slategym.models.data.datasets import find_log

        find_log(log)  # before torch is imported, which takes seconds
    from slategym.experiments.benchmark import run_study
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.request import Request
    from slategym.experiments.studies.registry import find_study
    from slategym.models.threads import processors

    kind = study.replace(":", ".") if log is None else f"{study}-{Path(log).name}"
    request = Request(
        profile=profile,
        out=out or Path("runs") / f"{kind}-{profile}",
        workers=processors() if workers is None else workers,
        ray=ray,
        device=resolve_device(device),
        seeds=seeds,
        users=users,
        slate_size=slate_size,
        agents=learners,
        log=log,
        objective=weights,
        assumptions=assumptions,
        splits=splits,
        families=families,
    )
    report = run_study(find_study(study, request), request)
    screen = plain_console(stderr=True, soft_wrap=True)
    screen.print(f"report: {report}", highlight=False)
    at = shlex.quote(str(report.parent))
    screen.print(f"next: slategym app {at} · slategym serve {at}", highlight=False)
    if open_report:
        typer.launch(str(report.absolute()))


def _truth(
    profile: str,
    scenarios: str | None,
    strengths: str | None,
    visits: str | None,
    seeds: int | None,
    users: int | None,
    assumptions: str | None,
    out: Path | None,
    workers: int | None,
    open_report: bool,
) -> None:
    """The grid of logs whose truth is known."""
    named, supposed = (
        _listed(text, str, option)
        for text, option in ((scenarios, "--scenarios"), (assumptions, "--assumptions"))
    )
    strong = _listed(strengths, float, "--strengths")
    sizes = _listed(visits, int, "--visits")
    from slategym.experiments.truth.grid import GridSettings
    from slategym.experiments.truth.run import run_truth
    from slategym.models.threads import processors

    report = run_truth(
        GridSettings(
            profile=profile,
            out=out or Path("runs") / f"{TRUTH}-{profile}",
            workers=processors() if workers is None else workers,
            scenarios=named,
            strengths=strong,
            visits=sizes,
            seeds=seeds,
            users=users,
            assumptions=supposed,
        )
    )
    plain_console(stderr=True).print(f"report: {report}", highlight=False, soft_wrap=True)
    if open_report:
        typer.launch(str(report.absolute()))


def _listed(text: str | None, kind: Callable[[str], T], option: str) -> tuple[T, ...] | None:
    """Values with commas between them."""
    if text is None:
        return None
    try:
        found = tuple(kind(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas, got {text!r}") from None
    if not found:
        raise UsageError(f"{option} is empty; leave it out, or name some")
    return found


def _check_words(
    study: str, profile: str, assumptions: str | None, agents: tuple[str, ...], device: str
) -> None:
    """Refuse what may be mistyped before a study is imported, which takes seconds."""
    from slategym.envs.outline import outline
    from slategym.experiments.cli.main import DEVICES

    lookup("device", device, DEVICES)
    named = outline("slategym.models.simulator.assumptions:SAYS")
    if assumptions is not None and named is not None and named.keys:
        said = outline("slategym.experiments.study:SUPPORTED") if study == "log" else None
        known = dict.fromkeys([*named.keys, *(said.words if said else ())])
        for name in assumptions.split(","):
            lookup("assumptions", name.strip().partition(":")[0], known)
    found = outline(studies.find(study).where)
    profiles = found.argument("profiles") if found else None
    if profiles is not None and profiles.keys:
        lookup("profile", profile, dict.fromkeys(profiles.keys))
    own = found.texts if found and study in STUDIES else set(agents)  # learners of its own names
    for name in agents:
        if ":" not in name and name not in own and plain_name(name) not in own:
            find_learner(name)


def _check_families(names: str | None) -> None:
    """Refuse a mistyped family before anything is imported that takes seconds."""
    from slategym.models.people.registry import find_family

    for name in names.split(",") if names not in (None, "all", "none") else ():
        find_family(name.strip())


def _weights(objective: str | None) -> tuple[tuple[str, float], ...]:
    """The reward per unit of each signal, as written on the command line."""
    found = []
    for part in objective.split(",") if objective else ():
        name, equals, weight = part.strip().partition("=")
        try:
            found.append((name, float(weight)))
        except ValueError:
            equals = ""
        if not (name and equals):
            raise UsageError(f"--objective is written as click=1,dwell=0.01; got {part.strip()!r}")
    return tuple(found)
