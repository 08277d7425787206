"""slategym compare: policies before the same people, and the differences between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_policies, of_worlds
from slategym.experiments.cli.next_step import quoted, say_next, with_settings
from slategym.experiments.cli.options import (
    AsJson,
    Batch,
    Device,
    Luck,
    Trust,
    Users,
    WorldSettings,
    place,
)
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.measure.compare import Comparison

OF_A_LOG = "slategym/Log-v0"
EPILOG = r"""
**Does looking ahead by a rule pay, told the truth?**\
`slategym compare Sardine-SlateTopK-Bored-v0 --policies myopic,capped,random --users 500`

**What was trained, beside what needs no training; the rows for a closer look**\
`slategym compare InterestEvolution-v0 --policies runs/slateq-InterestEvolution-v0-seed0,myopic \
--out rows.parquet`

**A user model of your own, one JSON object**\
`slategym compare Workbench-v0 --set users=weary_users:Weary --policies popularity,random --json`

**Does a lead depend on who plays the people? Worlds and judges of every family**\
`slategym compare Log-v0 --set log=my-log/ --policies supervised,ease,popularity --families all \
--users 200`

Every policy meets the same people with the same luck, so that a difference is taken user by user;
its 95 % interval resamples people. It is called clear where the interval and the p-value, adjusted
for the number of differences (Holm), agree.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", epilog=EPILOG)(compare)


def compare(
    world: Annotated[
        str,
        typer.Argument(
            autocompletion=of_worlds, help="A world's name, as slategym worlds lists it."
        ),
    ],
    policies: Annotated[
        str,
        typer.Option(
            autocompletion=of_policies,
            metavar="A,B,...",
            help="Names that slategym agents lists, folders of trained ones.",
        ),
    ],
    users: Users = 1000,
    seed: Luck = 0,
    batch: Batch = 512,
    device: Device = "auto",
    settings: WorldSettings = None,
    families: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Read them in worlds and before judges of these families of people, or of all "
            "(worlds of a log, Log-v0).",
        ),
    ] = None,
    trust: Trust = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Write a row per session to this Parquet file."
        ),
    ] = None,
) -> None:
    """Let the same people meet some policies, and say who earns more, with intervals.

    Any registered world, any policy or trained folder. Standard output holds the result and nothing
    else.
    """
    from slategym.agents.registry import find_policy
    from slategym.envs.registry import find_world
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.world_settings import read_settings

    names = [name.strip() for name in policies.split(",") if name.strip()]
    id, _ = find_world(world)  # what may be mistyped first: torch takes seconds to import
    for name in names:
        find_policy(name)
    for option, number in (("--users", users), ("--batch", batch)):
        if number < 1:
            raise UsageError(f"{option} must be at least 1, got {number}")
    if out is not None and out.suffix != ".parquet":
        raise UsageError(f"--out writes Parquet: give a name in .parquet, got {out.name!r}")
    given, on = read_settings(world, settings or []), resolve_device(device)
    import torch

    from slategym.experiments.measure import compare as comparing
    from slategym.experiments.runs.store import check_place, write_parquet
    from slategym.models.files import checked_path

    if families is not None:
        made = {**given, **({} if on == "cpu" else {"device": on})}
        _in_families(id, names, users, seed, batch, families, made, out, as_json)
        return
    if out is not None:
        check_place(out)
    torch.set_num_threads(1)
    screen = plain_console(stderr=True, soft_wrap=True)
    found = comparing.compare(
        world,
        names,
        users,
        seed=seed,
        batch=batch,
        settings={**given, **({} if on == "cpu" else {"device": on})},
        on_batch=(lambda name, n: screen.print(f"{name}: {n} sessions"))
        if screen.is_terminal
        else None,
        trust=trust,
    )
    about = {"world": id, "settings": given, "policies": names, "users": users, "seed": seed}
    if out is not None:
        with checked_path(out) as whole:
            write_parquet(found.rows, whole, about)
    if as_json:
        typer.echo(json.dumps({**about, **_document(found)}, allow_nan=False))
        return
    typer.echo(str(found))
    if out is not None:
        typer.echo(f"rows: {out}")
    at = with_settings(world, given)
    say_next(quoted("slategym", "diagnose", *at), quoted("slategym", "app", *at))


def _in_families(
    id: str,
    names: list[str],
    users: int,
    seed: int,
    batch: int,
    families: str,
    given: dict[str, Any],
    out: Path | None,
    as_json: bool,
) -> None:
    """Read the policies in every role and family, and print the table."""
    import torch

    from slategym.experiments.cli.family_table import families_json, print_families
    from slategym.experiments.measure.families import compare_families

    if id != OF_A_LOG or "log" not in given:
        raise UsageError(
            "--families reads worlds and judges of a log: slategym compare Log-v0 --set log=LOG"
        )
    if out is not None:
        raise UsageError("--out writes the rows of one world; leave it or --families out")
    torch.set_num_threads(1)
    screen = plain_console(stderr=True, soft_wrap=True)
    settings = dict(given)
    grid = compare_families(
        settings.pop("log"),
        names,
        users,
        families=None if families == "all" else [name.strip() for name in families.split(",")],
        seed=seed,
        batch=batch,
        on_cell=(lambda role, family: screen.print(f"{role} {family}"))
        if screen.is_terminal
        else None,
        **settings,
    )
    if as_json:
        typer.echo(json.dumps({"world": id, "settings": given, **families_json(grid)}))
        return
    print_families(grid)
    say_next(quoted("slategym", "benchmark", "log", given["log"]))


def _document(found: Comparison) -> dict[str, Any]:
    """Means, differences and what is shown, for programs."""
    from slategym.experiments.statistics.exposure import exposure_means

    return {
        "returns": {name: estimate.to_json() for name, estimate in found.means.items()},
        "differences": [
            {
                "policy": difference.policy,
                "minus": difference.minus,
                **difference.estimate.to_json(),
                "p": difference.estimate.p_value,
                "adjusted_p": difference.adjusted_p,
                "clear": difference.clear,
            }
            for difference in found.differences
        ],
        "shown": {
            str(policy): dict(values)
            for policy, values in exposure_means(found.rows).to_dict("index").items()
        },
        "interval": "95 %, resamples people",
        "people": next(iter(found.means.values())).num_people,
        "notes": list(found.notes),
    }
