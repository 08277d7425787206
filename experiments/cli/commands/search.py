"""slategym search: settings of supervised and learned policies, with the same budget each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_policies, of_worlds
from slategym.experiments.cli.next_step import quoted, say_next
from slategym.experiments.cli.options import (
    AsJson,
    Device,
    RayCluster,
    Workers,
    WorldSettings,
    place,
)
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.measure.search import Search, Trial

EPILOG = r"""
**The ranker and a learner, 16 trials of 20,000 slates each**\
`slategym search supervised,plackett-luce --world MovieLens-v0 --trials 16 --slates 20000`

**On a Ray cluster**\
`slategym search slateq --world InterestEvolution-v0 --ray auto`

Interrupt it at any time: the same call goes on where it stopped. What was found is
`OUT/found.json`; a learner's settings are what `--agent-set` of `slategym train` takes.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", epilog=EPILOG)(search)


def search(
    policies: Annotated[
        str,
        typer.Argument(
            autocompletion=of_policies, help="Whose settings: supervised and learners, with commas."
        ),
    ],
    world: Annotated[
        str,
        typer.Option(autocompletion=of_worlds, help="Where: a name that slategym worlds lists."),
    ],
    settings: WorldSettings = None,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="Settings tried, of each.")] = 16,
    slates: Annotated[int, typer.Option(min=1, help="Slates of each trial.")] = 20_000,
    together: Annotated[
        int, typer.Option(min=1, max=1_000, help="Trials side by side; changes what is tried.")
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Decides what is tried.")] = 0,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(parser=place, metavar="PATH", help="Its folder; runs/search-WORLD."),
    ] = None,
    workers: Workers = None,
    ray: RayCluster = None,
    as_json: AsJson = False,
) -> None:
    """Search settings with Optuna, as many trials of as many slates for each (extra search).

    A trial of a learner trains with three quarters of its slates and reads with the rest; one of
    supervised reads with all. Selection people are read, whom no comparison meets.
    """
    from functools import partial

    from slategym.envs.registry import find_world
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.world_settings import read_settings
    from slategym.experiments.runs.run import check_where, run_units
    from slategym.experiments.runs.store import open_store, write_json
    from slategym.models.threads import processors

    id, _ = find_world(world)
    check_where(workers, ray)
    given = read_settings(world, settings or [])
    from slategym.experiments.measure import search as searching
    from slategym.experiments.measure.units import world_of

    searching.check_installed()
    on = resolve_device(device)
    built = world_of(id, given, "cpu")
    asked = [
        searching.Search(
            name,
            id,
            given,
            searching.space_of(name, built),
            trials,
            slates,
            seed,
            together,
        )
        for name in (word.strip() for word in policies.split(","))
        if name
    ]
    if not asked:
        raise UsageError("whose settings? give supervised, or a learner's name")
    store = open_store(out or Path("runs") / f"search-{id.rpartition('/')[2]}")
    run = partial(
        run_units,
        store=store,
        workers=processors() if workers is None else workers,
        ray=ray,
        settings={"device": on},
        console=plain_console(stderr=True),
    )
    found = [(each, searching.search(each, store, run)) for each in asked]
    documents = [_document(each, searching.best(tried), tried) for each, tried in found]
    write_json({"found": documents}, store.folder / "found.json")
    if as_json:
        typer.echo(json.dumps(documents, allow_nan=False))
        return
    _print(documents, built.selection is not None)
    say_next(*(_served(found, world, settings or []) for found in documents))


def _served(found: Mapping[str, Any], world: str, settings: Sequence[str]) -> str:
    """How a learner is trained with what was found, or what stands beside a policy's own."""
    from slategym.agents.registry import policies

    where = [word for pair in settings for word in ("--set", pair)]
    if not policies.find(found["policy"]).agent:  # nothing to train
        among = f"{found['policy']},random"
        return quoted("slategym", "compare", world, *where, "--policies", among)
    own = [word for n, x in found["setting"].items() for word in ("--agent-set", f"{n}={x}")]
    return quoted("slategym", "train", found["policy"], "--world", world, *where, *own)


def _document(asked: Search, best: Trial, tried: list[Trial]) -> dict[str, Any]:
    """What was found of one policy, as JSON values."""
    return {
        "policy": asked.policy,
        "world": asked.world,
        "setting": dict(best.setting),
        "mean": best.mean,
        "sessions": best.sessions,
        "first": tried[0].mean,
        "trials": len(tried),
        "slates": asked.slates * len(tried),
    }


def _print(documents: Sequence[Mapping[str, Any]], apart: bool) -> None:
    from rich.table import Table

    whose = "selection people" if apart else "people of the world, which has no selection people"
    title = f"Return a session on {whose}; the best of what was tried is too good by chance"
    table = Table("policy", "best", "of the first", "trials", "slates", "setting", title=title)
    for found in documents:
        setting = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in found["setting"].items()
        )
        table.add_row(
            found["policy"],
            f"{found['mean']:.2f}",
            f"{found['first']:.2f}",
            str(found["trials"]),
            f"{found['slates']:,}",
            setting,
        )
    plain_console(soft_wrap=True).print(table)
