"""slategym ope: what a log already says of a policy that did not write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_policies
from slategym.experiments.cli.options import AsJson, Trust, place
from slategym.experiments.runs.store import check_place
from slategym.models.console import plain_console

EPILOG = r"""
**Real logs, both ways, beside what each policy earned itself**\
`slategym ope open-bandit-bts --policy as:open-bandit-random`\
`slategym ope open-bandit-random --policy as:open-bandit-bts`

**A log of your own: would showing what is popular have earned more?**\
`slategym ope my-log/ --policy popularity-softmax`

**A policy that does not draw, with a tenth of its slates at random; whole visits**\
`slategym ope my-log/ --policy popularity --smooth 0.1 --per visit`

**A simulated log: what it says of a policy, beside what that one earns when it acts there**\
`slategym simulate Scenario-Shop-v0 --policy popularity-softmax --out shop.parquet`\
`slategym ope shop.parquet --policy random --per visit --act`

**Other rewards than the log's; numbers for programs**\
`slategym ope my-log/ --policy random --reward purchase=5 --reward click=1 --json`

A log names its slates (column slate_id) and, best, how likely they were: propensity (of the whole
slate), slot_propensity (of the slot's item given those before it) and position_propensity (of the
item in that slot, whatever the others hold). Without, propensities are estimated, and it is said.
What cannot be said is withheld, with the reason; exit code 1 where nothing can. Which estimator
assumes what: docs/ope.md.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ope", epilog=EPILOG)(ope)


def ope(
    log: Annotated[
        str,
        typer.Argument(
            help="A log's folder, a data set's name, or what slategym simulate --out wrote."
        ),
    ],
    policy: Annotated[
        str,
        typer.Option(
            autocompletion=of_policies,
            help="random, popularity, popularity-softmax (drawn in proportion to clicks), or "
            "as:LOG, the policy that showed another log's slates. Of a simulated log: any name "
            "that slategym agents lists, or the folder of a trained one.",
        ),
    ],
    per: Annotated[
        str,
        typer.Option(help="slate: as if none changed what came later. visit: they may."),
    ] = "slate",
    smooth: Annotated[
        float,
        typer.Option(help="Share of slates drawn at random instead, from 0 to below 1."),
    ] = 0.0,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIGNAL=WEIGHT", help="Reward per unit of a signal; repeatable. Else the log's."
        ),
    ] = None,
    discount: Annotated[
        float, typer.Option(help="Per slate of a visit, above 0, at most 1.")
    ] = 1.0,
    estimators: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Only these; by default all that apply.")
    ] = None,
    act: Annotated[
        bool,
        typer.Option(
            "--act", help="Of a simulated log, with --per visit: let the policy act there, too."
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of resamples and of the model's folds.")
    ] = 0,
    trust: Trust = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=place, metavar="PATH", help="Write the numbers here (.json)."),
    ] = None,
) -> None:
    """Say what a log already tells of a policy: off-policy evaluation of slates.

    Importance weights, reward models and both together, with 95 % intervals over people, beside
    what the log's own policy earned; how much of the log speaks for the policy; and a refusal where
    the log cannot know. Standard output holds the result and nothing else.
    """
    from slategym.models.data.datasets import find_log

    simulated = log.endswith(".parquet")
    if not simulated:
        find_log(log)  # names first: torch takes seconds to import
    elif not Path(log).is_file():
        raise UsageError(f"there is no file {log}; slategym simulate WORLD --out {log} writes one")
    if per not in ("slate", "visit"):
        raise UsageError(f"--per is slate or visit, got {per!r}")
    if not 0 <= smooth < 1:
        raise UsageError(f"--smooth must be in [0, 1), got {smooth:g}")
    if not 0 < discount <= 1:
        raise UsageError(f"--discount must be in (0, 1], got {discount:g}")
    if out is not None and out.suffix != ".json":
        raise UsageError(f"--out writes JSON: give a name in .json, got {out.name!r}")
    if policy.startswith("as:"):
        find_log(policy.removeprefix("as:"))
    if out is not None:
        check_place(out)
    weights = dict(map(_weight, reward)) if reward else None
    import torch

    from slategym.experiments.ope.offline import evaluate_offline
    from slategym.experiments.ope.table import document, next_step, print_evaluation
    from slategym.experiments.runs.store import write_json

    torch.set_num_threads(1)
    screen = plain_console(stderr=True)
    columns = ("asked of the policy:", MofNCompleteColumn(), "slates", TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None)
        found = evaluate_offline(
            log,
            policy,
            per="visit" if per == "visit" else "slate",
            reward=weights,
            smooth=smooth,
            discount=discount,
            estimators=None if estimators is None else _names(estimators),
            act=act,
            seed=seed,
            trust=trust,
            tell=lambda number: bar.advance(task, number),
        )
    if out is not None:
        write_json(document(found), out)
    if as_json:
        typer.echo(json.dumps(document(found)))
    else:
        print_evaluation(found, plain_console())
        typer.echo(next_step(found, log, policy))
        if out is not None:
            typer.echo(f"numbers: {out}")
    if not found.answered:
        raise typer.Exit(1)


def _weight(text: str) -> tuple[str, float]:
    """A signal and its weight, as typed."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise UsageError(f"--reward takes SIGNAL=WEIGHT, as click=1; got {text!r}") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
