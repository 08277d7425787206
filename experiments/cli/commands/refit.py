"""slategym refit: a fitted model, fitted further on what its log has had since."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from slategym.experiments.cli.column_blocks import print_whole
from slategym.experiments.cli.next_step import quoted, say_next
from slategym.experiments.cli.options import AsJson, Device, Quiet, Seed, place
from slategym.experiments.runs.store import check_folder
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.models.quality.drift import DriftReport

EPILOG = r"""
**A model, and a month later the same log with more in it**\
`slategym fit my-log/ --out runs/may`\
`slategym refit runs/may my-log/ --out runs/june`

**Forget nothing: three of four rows learned from are old ones**\
`slategym refit runs/may my-log/ --replay 0.75`

New are the rows after the last moment that the model was fitted on, or after `--since`. People,
items and categories may be new: an item that nobody has met is its text. All new rows are learned
from, and so many old ones as `--replay` says. Whoever was held out stays held out, and on them the
model before and the model after are read, on old rows (what is forgotten) and on new ones (what is
gained). `drift.json` and `drift.png` say what moved, each beside what chance would do.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("refit", epilog=EPILOG)(refit)


def refit(
    model: Annotated[
        str, typer.Argument(help="The model's folder, or the Hugging Face hub's owner/name.")
    ],
    log: Annotated[str, typer.Argument(help="The grown log's folder, or a data set's name.")],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="The new model's folder; runs/refit-LOG by default."
        ),
    ] = None,
    replay: Annotated[
        float, typer.Option(help="Share of old rows among those learned from, from 0 to below 1.")
    ] = 0.5,
    epochs: Annotated[
        int | None, typer.Option(help="At most; it stops early where more does not help.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Rows after this moment are new, such as 2024-05-01T00:00; UTC."),
    ] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="Also to tensorboard, wandb or mlflow; may be given several times."),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model further on new rows, with old ones replayed, and say what moved.

    The model given is left as it is. A refit that was killed goes on where it stopped, to the same
    weights; a finished one computes only its report.
    """
    from slategym.models.data.datasets import find_log
    from slategym.models.multitask.reporters import check_reporters

    find_log(log)
    check_reporters(report_to or ())
    if out is not None:
        check_folder(out)
    moment = None if since is None else _seconds(since)
    import torch

    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.report.model_figures import draw_drift
    from slategym.models.data.datasets import load_log
    from slategym.models.multitask.network import MultiTaskBert
    from slategym.models.multitask.refit import RefitSettings
    from slategym.models.quality import refitting

    settings = RefitSettings(replay=replay, **({} if epochs is None else {"epochs": epochs}))
    on = resolve_device(device)
    torch.set_num_threads(1)
    before = MultiTaskBert.from_pretrained(model)
    found = load_log(log, progress=not quiet)
    folder = out or Path("runs") / f"refit-{found.name}"
    done = refitting.refit(
        before,
        found,
        folder,
        settings=settings,
        since=moment,
        seed=seed,
        device=on,
        progress=not quiet,
        report_to=report_to or (),
    )
    picture = draw_drift(done.drift, folder)
    if as_json:
        typer.echo(json.dumps({"model": str(folder), **done.drift.to_json()}, indent=1))
        return
    console = plain_console(soft_wrap=True)
    for table in _tables(done.drift):
        print_whole(console, table)
    for line in done.drift.summary():
        console.print(line)
    console.print(f"model: {folder} (README.md is its card); figure: {picture.path}")
    say_next(f"slategym explain {quoted(folder, log)} --user USER")


def _seconds(moment: str) -> int:
    """Unix seconds of an ISO time, UTC where it names no zone.

    Raises:
        UsageError: it is none.
    """
    from slategym.envs.names import UsageError

    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise UsageError(
            f"--since is a time such as 2024-05-01 or 2024-05-01T12:00, got {moment!r}"
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _tables(report: DriftReport) -> list[Table]:
    """What moved, and what came of it."""
    from slategym.models.multitask.scores import heading

    rows = report.rows
    moved = _table(
        f"{rows['old']:,} old rows, {rows['new']:,} new "
        f"({rows['new, by people who came since']:,} by people who came since, "
        f"{rows['new, of new items']:,} of new items)",
        ("what", "old", "new", "distance, bits", "chance 95 %", "moved"),
    )
    for shift in report.shifts:
        values = ["" if v is None else f"{v:.3f}" for v in (shift.old, shift.new)]
        told = (f"{shift.distance:.4f}", f"{shift.null:.4f}", "yes" if shift.moved else "no")
        moved.add_row(shift.name, *values, *told)
    figures = _table(
        "on people held out: the model before, the model after",
        ("figure", "rows", "before", "after", "change", "95 %", "so"),
    )
    for r in report.readings:
        c = r.change
        change = (f"{c.value:+z.4f}", f"[{c.low:+z.4f}, {c.high:+z.4f}]")
        figures.add_row(
            heading(r.figure), r.rows, f"{r.old:.4f}", f"{r.new:.4f}", *change, r.verdict
        )
    return [table for table in (moved, figures) if table.row_count]


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for n, column in enumerate(columns):
        table.add_column(column, no_wrap=True, justify="left" if n == 0 else "right")
    return table
