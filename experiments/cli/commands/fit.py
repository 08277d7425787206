"""slategym fit: the multi-task model of a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slategym.experiments.cli.next_step import further
from slategym.experiments.cli.options import (
    AsJson,
    Device,
    Encoder,
    ModelSettings,
    Quiet,
    Seed,
    place,
)
from slategym.experiments.runs.store import check_folder
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.models.data.log import Log

EPILOG = r"""
**Is my log fit to learn from? Then fit it**\
`slategym data check my-log/`\
`slategym fit my-log/`

**A data set by name, a short training, somewhere else**\
`slategym fit movielens-100k --epochs 2 --out runs/short`

**Another text encoder, tuned with the network; experts for the heads**\
`slategym fit my-log/ --encoder my-encoder/ --set text.tuning=lora --set sharing=mmoe`

**Nobody's rows can be told from the model: epsilon at most 4, people as the unit**\
`slategym fit my-log/ --private 4 --out runs/private`

**Large batches on a small machine, in half the bytes, curves in Weights & Biases**\
`slategym fit my-log/ --set accumulate=4 --set precision=bfloat16 --report-to wandb`

What --set takes, and which of it helped on which log: docs/results/options.md.

The folder holds the weights, the settings and a card, README.md: what the model was fitted on, its
figures and calibration. A fit that was killed goes on where it stopped, and a finished one computes
nothing. For figures on rows that the model has not seen at all, beside what it must beat:
`slategym evaluate-model LOG`.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit", epilog=EPILOG)(fit)


def fit(
    log: Annotated[str, typer.Argument(help="A log's folder, or a data set's name.")],
    epochs: Annotated[
        int | None,
        typer.Option(
            help="At most; it stops early where more does not help. 6, and fewer for more than "
            "200,000 rows, by default."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="The model's folder; runs/fit-LOG by default."
        ),
    ] = None,
    encoder: Encoder = None,
    choices: ModelSettings = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="Also to tensorboard, wandb or mlflow; may be given several times."),
    ] = None,
    private: Annotated[
        float | None,
        typer.Option(
            metavar="EPSILON",
            help="Train under differential privacy for people (DP-SGD), spending at most this.",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit the multi-task model to a log, with a head for each of its signals.

    A tenth of the people is held out: training stops early and the heads are calibrated on their
    rows, and the figures are of these rows, so that they flatter a little.
    """
    from slategym.envs.names import UsageError
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.model_settings import read_model_choices
    from slategym.models.data.datasets import find_log
    from slategym.models.multitask.reporters import check_reporters

    find_log(log)  # before torch is imported, which takes seconds
    if epochs is not None and epochs < 1:
        raise UsageError(f"--epochs must be at least 1, got {epochs}")
    on = resolve_device(device)
    chosen = read_model_choices(choices or [], encoder)
    check_reporters(report_to or ())
    if out is not None:  # last: it makes the folder
        check_folder(out)
    import torch

    from slategym.models.data.datasets import load_log
    from slategym.models.multitask import fitting
    from slategym.models.multitask.private import PrivacySettings
    from slategym.models.multitask.team import Team
    from slategym.models.multitask.train import read_about
    from slategym.models.multitask.training_settings import TrainingSettings

    torch.set_num_threads(1)
    found = load_log(log, progress=not quiet)
    folder = out or Path("runs") / f"fit-{found.name}"
    fitting.fit(
        found,
        folder,
        epochs=epochs,
        settings=chosen.settings(private=private is not None),
        training=chosen.training(TrainingSettings()),
        privacy=None if private is None else PrivacySettings(epsilon=private),
        report_to=report_to or (),
        seed=seed,
        device=on,
        progress=not quiet,
    )
    if not Team.launched().first:  # of several processes one speaks
        return
    about = read_about(folder)
    if as_json:
        typer.echo(json.dumps(_document(about, folder), allow_nan=False, indent=1))
        return
    console = plain_console(soft_wrap=True)
    for line in _lines(found, about, folder, log):
        console.print(line)


def _document(about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What came of it, for programs."""
    names = ("data", "rows", "validation", "best_epoch", "cpu_seconds", "figures", "calibration")
    spent = {"privacy": about["spent"]} if "spent" in about else {}
    return {"model": str(folder), **{name: about[name] for name in names}, **spent}


def _lines(log: Log, about: dict[str, Any], folder: Path, given: str) -> list[str]:
    """What came of it, for people, and what to do next."""
    from slategym.models.data.fitness import left_out

    after = further(log, given, "fit")
    rows, held = about["rows"], about["validation"]
    measured = {n: x for n, x in about["figures"].items() if isinstance(x, int | float)}
    missing = [n for n, x in about["figures"].items() if x is None]
    notes = [f"  {note}" for note in about["figures"].get("notes", ())]
    notes += [f"  {name}: not defined on these rows" for name in missing]
    private = about.get("spent", {}).get("sentences", ())
    use = "" if private else " (which also served early stopping and calibration)"
    return [
        *left_out(log),
        *private,
        f"{log.name}: fitted on {rows['rows']:,} rows of {rows['users']:,} people, "
        f"{about['best_epoch'] + 1} epochs, {about['cpu_seconds']:.0f} CPU seconds",
        f"on {held['rows']:,} rows of {held['users']:,} people held out{use}:",
        *(f"  {name}: {value:.4f}" for name, value in measured.items()),
        *notes,
        *(f"  {row['sentence']}" for row in about["calibration"]),
        f"model: {folder} (README.md is its card)",
        *([f"next: {' · '.join(after)}"] if after else []),
    ]
