"""slategym explain: why a model recommends an item, and whether that can be believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from slategym.experiments.cli.next_step import quoted, say_next
from slategym.experiments.cli.options import AsJson, Quiet
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.models.quality.explain import Explanation

SHOWN = 8  # events of a history in a table; --json has all
EPILOG = r"""
**Why are these three recommended to user 42?**\
`slategym explain runs/fit-my-log my-log/ --user 42`

**Why would she like this one?**\
`slategym explain runs/fit-my-log my-log/ --user 42 --items tt0111161 --head like`

A head's output for an item is parted into the item itself, what running statistics add, what is
said of somebody unknown, the context, each event of the history, and a rest that the method misses
(integrated gradients over what enters the transformer; of statistics, what they lose without the
event). Then a deletion test over many people: without the events that are attributed most the
output must fall by more than without random ones. It is printed with its interval, also when it
fails. Needs captum: `pip install 'slategym[explain]'`.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=EPILOG)(explain)


def explain(
    model: Annotated[
        str, typer.Argument(help="The model's folder, or the Hugging Face hub's owner/name.")
    ],
    log: Annotated[str, typer.Argument(help="A log's folder, or a data set's name.")],
    user: Annotated[str, typer.Option(help="Whose recommendations, as the log names them.")],
    items: Annotated[
        str | None,
        typer.Option(help="Items, with commas between; without it those recommended first."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A signal's name, or next; the click by default.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many, where no items are named.")] = 3,
    people: Annotated[
        int, typer.Option(min=0, help="Of the deletion test, at most; 0: no test.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the test's draws.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what an item, a context and each event of a history add to a recommendation."""
    from slategym.models.data.datasets import find_log

    find_log(log)
    import numpy as np
    import torch

    from slategym.models.data.datasets import load_log
    from slategym.models.multitask.grow import grown
    from slategym.models.multitask.network import MultiTaskBert
    from slategym.models.quality.explain import Explainer

    torch.set_num_threads(1)
    fitted = MultiTaskBert.from_pretrained(model)
    found = load_log(log, progress=not quiet)
    every_E = np.ones(len(found.events), bool)
    explainer = Explainer(grown(fitted, found, every_E, progress=not quiet).model, found, head)
    asked = None if items is None else [item.strip() for item in items.split(",")]
    told = explainer.explain(user, asked, top=top)
    test = explainer.deletion_test(people=people, seed=seed) if people else None
    if as_json:
        document = {
            "explanations": [one.to_json() for one in told],
            "deletion_test": None if test is None else test.to_json(),
        }
        typer.echo(json.dumps(document, indent=1, allow_nan=False))
        return
    console = plain_console()
    for one in told:
        console.print(_table(one))
    sentence = "no deletion test was asked for" if test is None else test.sentence()
    console.print(sentence, soft_wrap=True)
    say_next(f"slategym evaluate-model {quoted(log)} --groups")


def _table(one: Explanation) -> Table:
    """An explanation as lines that add up."""
    heads = ", ".join(
        f"{head} {value:+z.2f} (above {below:.0%} of all)"
        for head, (value, below) in one.heads.items()
    )
    total = sum(one.worth.values())
    parts = ", ".join(f"{name} {part:.2f}" for name, part in one.worth.items())
    table = Table(
        title=f"{one.title} ({one.item}) for {one.user}: {one.head} {one.output:+z.3f}",
        title_justify="left",
        caption=(
            f"heads: {heads}\na click is worth {total:.2f}: {parts}\n"
            f"the moment of the request moves {one.head} by {one.asked:+z.3f}"
        ),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("what")
    table.add_column("adds", justify="right", no_wrap=True)
    table.add_row("the item itself", f"{one.itself:+z.3f}")
    table.add_row("running statistics", f"{one.statistics:+z.3f}")
    table.add_row("said of somebody unknown", f"{one.empty:+z.3f}")
    table.add_row("profile and context", f"{one.context:+z.3f}")
    for event in one.history[:SHOWN]:
        seen = ", ".join(f"{name} {value:g}" for name, value in event.feedback.items())
        table.add_row(f"{event.title} ({seen})", f"{event.adds:+z.3f}")
    others = one.history[SHOWN:]
    if others:
        table.add_row(f"{len(others)} other events", f"{sum(e.adds for e in others):+z.3f}")
    table.add_row("rest, which the method misses", f"{one.rest:+z.3f}")
    return table
