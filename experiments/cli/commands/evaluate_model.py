"""slategym evaluate-model: how good the supervised multi-task model is, and against what."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from slategym.experiments.cli.column_blocks import print_whole
from slategym.experiments.cli.next_step import further, say_next
from slategym.experiments.cli.options import AsJson, Device, Encoder, ModelSettings, Quiet
from slategym.experiments.runs.store import check_place
from slategym.models.console import plain_console

if TYPE_CHECKING:  # pandas, torch and transformers are imported by the command, when it runs
    from slategym.models.multitask.scores import Figures
    from slategym.models.quality.cold import ColdReading
    from slategym.models.quality.evaluation import Evaluation

HIDDEN = ("_ece_raw",)  # figures that only --json shows, by their ends
OWN = "--split, --classics, --single-task, --encoder, --set and --figure"
LABEL_SEEDS = 3  # of a label curve
OTHER_COSINES = (
    "no cosines between the heads' gradients: this fit of an earlier slategym took them at weights "
    "of one head too; to have them, remove {folder}"
)
EPILOG = r"""
**On what came later, as one JSON object**\
`slategym evaluate-model movielens-100k --split time --json`

**On each user's last film, beside everything it must beat**\
`slategym evaluate-model movielens-100k --split loo`

**Beside what is hardest to beat: EASE, transitions, Gaussian processes, boosted trees**\
`slategym evaluate-model movielens-100k --split loo --classics`

**Beside published errors: five random folds, or MovieLens-100K's u1**\
`slategym evaluate-model movielens-100k --split u1 --classics`

**Another text encoder, and losses balanced by projecting conflicts away**\
`slategym evaluate-model movielens-100k --encoder my-encoder/ --set balance=pcgrad`

**Items that nobody has met: what their texts are worth**\
`slategym evaluate-model movielens-100k --cold-items --cold-seeds 5`

**A log of your own, and whether groups of people are served alike**\
`slategym evaluate-model my-log/ --groups`

**How many labels are needed, and are they better asked for than drawn?**\
`slategym evaluate-model my-log/ --label-curve`

**A model that was saved, on rows that it was not fitted on**\
`slategym evaluate-model my-log/ --model runs/fit-my-log`

What --set takes, and which of it helped on which log: docs/results/options.md.
"""


def register(app: typer.Typer) -> None:
    """Add the `evaluate-model` command."""
    app.command("evaluate-model", epilog=EPILOG)(evaluate_model)


def evaluate_model(
    log: Annotated[str, typer.Argument(help="A log's folder, or a data set's name.")],
    split: Annotated[
        str,
        typer.Option(
            help="time: test on what came later. loo: test on each user's last event. random: on "
            "five random folds. u1: on MovieLens-100K's own u1.test."
        ),
    ] = "time",
    as_json: AsJson = False,
    anchors: Annotated[bool, typer.Option(help="Compare with bias-only and popularity.")] = True,
    classics: Annotated[
        bool,
        typer.Option(help="Compare with counts, closed forms, Gaussian processes and trees."),
    ] = False,
    single_task: Annotated[
        bool | None,
        typer.Option(
            "--single-task/--no-single-task",
            help="Compare with one head trained at a time; by default not with --json.",
        ),
    ] = None,
    loo: Annotated[
        bool,
        typer.Option(help="With --split time: take HR@10 and NDCG@10 from a leave-one-out model."),
    ] = True,
    encoder: Encoder = None,
    choices: ModelSettings = None,
    cold_items: Annotated[
        bool,
        typer.Option(
            "--cold-items",
            help="Instead: how well texts tell who wants items that nobody has met, against their "
            "topics and categories alone and no text; --seed is the first of --cold-seeds.",
        ),
    ] = False,
    cold_seeds: Annotated[
        int, typer.Option(min=1, help="Seeds of --cold-items, each with its own items.")
    ] = 3,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the cosines between the heads' gradients into this PNG file."),
    ] = None,
    groups: Annotated[
        bool,
        typer.Option(
            "--groups",
            help="Calibration and ranking for each group of people, for popular and rare items.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Read this saved model (a folder, or the hub's owner/name); fit none."),
    ] = None,
    label_curve: Annotated[
        bool,
        typer.Option(
            "--label-curve",
            help="Small models with 5 % to all labels, drawn or asked for, three seeds each.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Train the multi-task BERT on a log and measure it on rows that it has not seen.

    It is printed beside what it must beat: user and item biases (static, and online: with the
    user's running residual, as the model reads it), popularity, the same network trained on one
    task, and with --classics item-kNN, EASE, transitions, iALS, a Gaussian process for each user
    and boosted trees, each tuned on validation rows. Every figure comes with its protocol. What was
    trained once is kept.
    """
    from slategym.envs.names import UsageError, lookup
    from slategym.envs.outline import outline
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.model_settings import read_model_choices
    from slategym.models.data.datasets import data_sets, find_log, load_log

    find_log(log)  # what may be mistyped first: torch takes seconds to import
    if figure is not None:
        check_place(figure)
    published = data_sets.all()[log].splits if log in data_sets.all() else {}
    splits = outline("slategym.models.quality.evaluation:SPLITS")
    if splits is not None:
        lookup("split", split, {**dict.fromkeys(splits.keys), **published})
    settings = read_model_choices(choices or [], encoder)
    chosen = resolve_device(device)
    from slategym.experiments.cli.model_tables import print_groups, print_label_curve, print_saved
    from slategym.models.data.fitness import one_valued
    from slategym.models.quality.evaluation import FOLDS, Evaluation, mean_figures, recipe_of

    use_one_thread()
    own = split != "time" or classics or single_task or choices or encoder or figure
    if label_curve:
        if own or groups or model is not None or seed:
            raise UsageError(
                "--label-curve trains small models on parts of its own, with seeds 0 to 2; --seed, "
                f"{OWN} do not apply: leave them out"
            )
        print_label_curve(log, LABEL_SEEDS, chosen, as_json, quiet)
        return
    if model is not None:
        if own:
            raise UsageError(
                "--model reads a saved model on rows that it was not fitted on; "
                f"{OWN} are of models that are fitted here: leave them out"
            )
        print_saved(model, log, groups, seed, chosen, as_json, quiet)
        return
    data = load_log(log, progress=not quiet)
    for line in one_valued(data):
        typer.echo(line, err=True)
    if cold_items:
        if split != "time" or classics or single_task or groups or figure is not None:
            raise UsageError(
                "--cold-items trains with texts and without, on a split in time; --split, "
                "--classics, --single-task, --groups and --figure do not apply: leave them out"
            )
        from slategym.models.quality.cold import read_cold_items

        reading = read_cold_items(
            data,
            settings.settings(),
            settings.training(recipe_of("time").training),
            seeds=range(seed, seed + cold_seeds),
            device=chosen,
            progress=not quiet,
        )
        if as_json:
            found = {**asdict(reading), "protocol": reading.sentence()}
            typer.echo(json.dumps({"dataset": data.name, "cold_items": found}, indent=2))
        else:
            print_whole(plain_console(), _cold_table(data.name, reading))
        return
    asked = [(split, fold) for fold in range(FOLDS if split == "random" else 1)]
    asked += [("loo", 0)] if split == "time" and loo else []
    evaluations = [
        Evaluation(
            data,
            name,
            settings=settings.settings(),
            training=settings.training(recipe_of(name).training),
            seed=seed,
            device=chosen,
            progress=not quiet,
            fold=fold,
        )
        for name, fold in asked
    ]
    wants_single = not as_json if single_task is None else single_task
    results = [
        _figures(e, anchors, wants_single and e is evaluations[0], classics) for e in evaluations
    ]
    if split == "random":
        evaluations, results = evaluations[:1], [mean_figures(results)]
    cosines = evaluations[0].cosines()
    other = OTHER_COSINES.format(folder=evaluations[0].folder)
    if figure is not None:
        from slategym.experiments.report.cosines import draw_cosines

        if not cosines["epochs"]:
            raise UsageError(f"--figure {figure}: {other}")
        draw_cosines(cosines, figure)
    report = evaluations[0].groups() if groups else None
    if as_json:
        told = document(evaluations, results, seed)
        told |= {} if report is None else {"groups": report.to_json()}
        typer.echo(json.dumps(told, indent=2))
        return
    console = plain_console()
    for evaluation, figures in zip(evaluations, results, strict=True):
        print_whole(console, _table(evaluation, figures, console.width))
    if len(cosines["heads"]) > 1:
        print_whole(console, _cosine_table(cosines))
    elif not cosines["epochs"]:
        console.print(other)
    if report is not None:
        print_groups(console, report)
    after = further(data, log, "evaluate-model")
    shorter = {"slategym benchmark log movielens-100k": "slategym benchmark movielens"}
    say_next(*(shorter.get(each, each) for each in after))


def use_one_thread() -> None:
    """Keep torch on one thread: faster at this size, and the same numbers on every machine."""
    import torch

    torch.set_num_threads(1)


def document(
    evaluations: list[Evaluation], results: list[list[Figures]], seed: int
) -> dict[str, Any]:
    """The JSON object: the multi-task model's figures, the protocol, and the whole comparison.

    Args:
        evaluations: the split asked for; then leave-one-out, if it gives hr10 and ndcg10.
        results: figures of each, the multi-task model first.
        seed: of training.
    """
    first = evaluations[0]
    figures: dict[str, Any] = results[0][0].to_json()
    del figures["model"]
    protocol = f"{first.protocol()} {' '.join(f'{s}.' for s in first.calibration())}"
    if len(evaluations) > 1:
        last = results[-1][0]
        ranks = ("hr10", "ndcg10")
        figures |= {f"{first.split.name}_{name}": figures.get(name) for name in ranks}
        figures |= {name: last.get(name) for name in ranks}
        protocol = (
            f"All but hr10 and ndcg10: {protocol} hr10 and ndcg10, of a second model: "
            f"{evaluations[-1].protocol()}"
        )
    return {
        "dataset": first.log.name,
        "split": first.split.name,
        "seed": seed,
        **figures,
        "protocol": protocol,
        "gradient_cosines": first.cosines(),
        "comparison": {
            evaluation.split.name: [row.to_json() for row in rows]
            for evaluation, rows in zip(evaluations, results, strict=True)
        },
    }


def _figures(
    evaluation: Evaluation, anchors: bool, single_task: bool, classics: bool
) -> list[Figures]:
    """The multi-task model's first, then what was asked for."""
    figures = [evaluation.multi_task()]
    if single_task:
        figures += evaluation.single_tasks()
    if anchors:
        figures += evaluation.anchors()
    if classics:
        told = {row.model for row in figures}
        figures += [row for row in evaluation.classics() if row.model not in told]
    return figures


def _cold_table(log: str, reading: ColdReading) -> Table:
    """What cold items say of the texts, a row a figure."""
    from slategym.models.multitask.scores import heading

    table = Table(
        title=f"{log}, items that nobody has met: text against less",
        caption=reading.sentence(),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("figure", no_wrap=True)
    table.add_column("against", no_wrap=True)
    for name in ("text", "other", "difference", "95 %", "clear"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in reading.figures:
        between = "" if isnan(row.low) else f"[{row.low:+z.4f}, {row.high:+z.4f}]"
        table.add_row(
            heading(row.name),
            row.against,
            f"{row.text:.4f}",
            f"{row.other:.4f}",
            f"{row.difference:+z.4f}",
            between,
            "yes" if row.clear else "no",
        )
    return table


def _cosine_table(cosines: dict[str, Any]) -> Table:
    """Cosines between the heads' gradients in the last epoch, a row a head."""
    table = Table(
        title="cosines between the heads' gradients at the weights they share, last epoch",
        caption="1: they pull the same way; below 0: against each other. Weighted losses.",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("head", no_wrap=True)
    for head in cosines["heads"]:
        table.add_column(head, justify="right", no_wrap=True)
    for head, row in zip(cosines["heads"], cosines["epochs"][-1], strict=True):
        table.add_row(head, *(f"{value:+z.2f}" for value in row))
    return table


def _table(evaluation: Evaluation, figures: list[Figures], width: int) -> Table:
    """Models by figures, or figures by models, whichever the width has room for."""
    from slategym.models.multitask.scores import heading

    notes = [f"{row.model}: {note}." for row in figures for note in row.notes]
    caption = [evaluation.protocol(), *evaluation.calibration(), *notes]
    names = dict.fromkeys(name for row in figures for name in row.values)
    shown = [name for name in names if not name.endswith(HIDDEN)]
    table = Table(
        title=f"{evaluation.log.name}, split {evaluation.split.name}",
        caption="\n".join(caption),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    cells = [[_four(figure.get(name)) for name in shown] for figure in figures]
    models, headings = [figure.model for figure in figures], [heading(name) for name in shown]
    across = [[model, *row] for model, row in zip(models, cells, strict=True)]
    down = [[name, *row] for name, row in zip(headings, zip(*cells, strict=True), strict=True)]
    grids = [(["model", *headings], across), (["figure", *models], down)]
    grids += [([head.replace(" ", "\n") for head in heads], rows) for heads, rows in grids]
    heads, rows = next((grid for grid in grids if _width(*grid) <= width), grids[2])
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for line in rows:
        table.add_row(*line)
    return table


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _width(heads: list[str], rows: list[list[str]]) -> int:
    """Of a table of these, with a blank between columns and at both ends."""
    columns = zip(heads, *rows, strict=True)
    wide = [max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
    return sum(wide) + len(wide) + 1
