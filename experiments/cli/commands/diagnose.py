"""slategym diagnose: is there anything to plan for, in a world or by a log? Before learning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_worlds
from slategym.experiments.cli.options import AsJson, Device, Luck, Users, WorldSettings, place
from slategym.experiments.runs.store import check_place
from slategym.models.console import plain_console

EPILOG = r"""
**A log: does it show that slates change what comes later? Seconds, and nothing is fitted**\
`slategym diagnose my-folder`

**The same, and what looking ahead is worth in the worlds that are learned from it**\
`slategym diagnose my-folder --assumptions none,mild,lasting`

**A world learned from a log, on people whom nothing was trained on**\
`slategym diagnose MovieLens-v0 --set users=selection --set assumptions=lasting`

**A log of your own, with other numbers in what is assumed; the figure for a closer look**\
`slategym diagnose Log-v0 --set log=my-folder --set users=selection \
--set assumptions=lasting:duration=8 --out headroom.json`

**Any other world, on fewer people: sessions there are long**\
`slategym diagnose Sardine-SlateTopK-Bored-v0 --users 30`

In a log: what was shown lately and what it was worth, held against what is clicked next, within
people; runs of topics; variety against the length of a visit; when people come back. What it
cannot tell, it says what to log for.

In a world: greedy told the truth shows the best slate of the moment. The planner, told no more,
plays some slates out in the true world and shows the one after which most is earned, further and
further ahead until that gains nothing. What it earns above greedy is the headroom. Returns are
expected ones, with 95 % intervals over people; differences are paired. A result is kept: asking
again computes nothing.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diagnose", epilog=EPILOG)(diagnose)


def diagnose(
    world: Annotated[
        str,
        typer.Argument(
            autocompletion=of_worlds,
            help="A world's name, as slategym worlds lists it; or a log: a folder, a data set.",
        ),
    ],
    settings: WorldSettings = None,
    users: Users = 300,
    seed: Luck = 3,
    rollouts: Annotated[int, typer.Option(help="Futures of every slate that is tried.")] = 8,
    assumptions: Annotated[
        str | None,
        typer.Option(help="Of a log: fit its world, and read it under each of these, by commas."),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="PATH",
            help="Write the numbers here (.json), and the figure beside it (.png).",
        ),
    ] = None,
) -> None:
    """Say what looking ahead could be worth in a world, told the truth, before anything is learned.

    Reads random, the supervised ranker where the world has one, greedy and a planner that are told
    the truth, and what the log itself says of what is assumed. Standard output holds the result and
    nothing else.
    """
    from slategym.envs.registry import find_world

    if users < 2:
        raise UsageError(f"--users must be at least 2, got {users}")
    if rollouts < 1:
        raise UsageError(f"--rollouts must be at least 1, got {rollouts}")
    if out is not None and out.suffix != ".json":
        raise UsageError(f"--out writes JSON: give a name in .json, got {out.name!r}")
    if out is not None:
        check_place(out)
    if is_log(world):
        if settings:
            raise UsageError(f"--set is for worlds, and {world} is a log; see --assumptions")
        names = [name for name in (assumptions or "").split(",") if name]
        diagnose_log(world, names, users, seed, rollouts, as_json, out)
        return
    if assumptions is not None:
        raise UsageError(f"--assumptions is for logs; {world} takes --set assumptions=...")
    id, _ = find_world(world)  # names first: torch takes seconds to import
    import torch

    from slategym.envs.registry import make_world
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.world_settings import read_settings
    from slategym.experiments.measure.headroom import kept_headroom
    from slategym.experiments.report.headroom import draw_depths
    from slategym.experiments.runs.store import write_json

    given, on = read_settings(world, settings or []), resolve_device(device)
    torch.set_num_threads(1)
    where = make_world(world, **given, **({} if on == "cpu" else {"device": on}))
    size = where.population.size
    if users > size:
        raise UsageError(f"users must be in [2, {size}], the people of {id}; got {users}")
    user_U = torch.arange(users, dtype=torch.int32)
    screen = plain_console(stderr=True)
    with _Bar(screen, users) as bar:
        found = kept_headroom(where, user_U, seed=seed, rollouts=rollouts, tell=bar.advance)
    document = {"settings": given, "seed": seed, **found}
    document["labels"] = [list(label) for label in where.labels]
    if out is not None:
        write_json(document, out)
        draw_depths(found, out.parent, out.stem)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    typer.echo(found["text"])
    for what, label, why in where.labels:
        typer.echo(f"  {label:9}  {what}: {why}")
    if out is not None:
        typer.echo(f"numbers: {out}\nfigure: {out.with_suffix('.png')}")


def is_log(name: str) -> bool:
    """Whether a name is a log's: a data set's, or a folder of tables."""
    from slategym.models.data.datasets import DATASETS

    return name in DATASETS or Path(name).is_dir()


def diagnose_log(
    name: str,
    assumptions: list[str],
    users: int,
    seed: int,
    rollouts: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Say what a log shows, and what looking ahead is worth in the worlds learned from it."""
    from slategym.experiments.runs.store import write_json
    from slategym.experiments.validation.evidence import evidence
    from slategym.experiments.validation.supported import SPOKEN, error_rates, supported_by
    from slategym.models.data.datasets import load_log
    from slategym.models.simulator.assumptions import find_assumptions

    for assumed in assumptions:
        find_assumptions(assumed)
    found = evidence(load_log(name), seed)
    said = supported_by(found)
    document = {"log": name, "seed": seed, **found.to_json(), "supported": said}
    document["of_known_truth"] = [
        {"strength": strength, "spoke_of_boredom": number, "logs": of}
        for strength, (number, of) in SPOKEN.items()
    ]
    if assumptions:
        document["headroom"] = _headroom_of(name, assumptions, users, seed, rollouts)
    if out is not None:
        write_json(document, out)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    typer.echo(found.sentence)
    for trace in found.traces:
        mark = "clear" if trace.clear else "-" if trace.figure is None else "not clear"
        mark = mark if trace.counts or trace.figure is None else "not counted"
        typer.echo(f"  {mark:11}  {trace.name}: {trace.said}")
        if trace.wanted:
            typer.echo(f"  {'':11}  to know: {trace.wanted}")
    typer.echo(f"so worlds learned from it assume: {said}")
    typer.echo(f"how often that is right: {error_rates()}; docs/results/truth.md")
    for assumed, read in document.get("headroom", {}).items():
        typer.echo(f"  {assumed}: {read['sentence']}")
    if not assumptions:
        typer.echo(f"next: slategym diagnose {name} --assumptions none,mild,lasting")
    if out is not None:
        typer.echo(f"numbers: {out}")


def _headroom_of(
    name: str, assumptions: list[str], users: int, seed: int, rollouts: int
) -> dict[str, dict[str, object]]:
    """What looking ahead is worth in the log's world under each set of assumptions."""
    import torch

    from slategym.envs.registry import make_world
    from slategym.experiments.measure.headroom import kept_headroom

    torch.set_num_threads(1)
    found: dict[str, dict[str, object]] = {}
    for assumed in assumptions:
        where = make_world("Log-v0", log=name, users="selection", assumptions=assumed)
        number = min(users, where.population.size)
        with _Bar(plain_console(stderr=True), number) as bar:
            user_U = torch.arange(number, dtype=torch.int32)
            read = kept_headroom(where, user_U, seed=seed, rollouts=rollouts, tell=bar.advance)
        found[assumed] = dict(read)
    return found


class _Bar:
    """How far the reading of each policy is."""

    def __init__(self, screen: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=screen, transient=True)
        self.total = total
        self.tasks = dict[str, int]()

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def advance(self, name: str, number: int) -> None:
        """So many sessions of that policy more."""
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=self.total)
        self.progress.advance(self.tasks[name], number)  # type: ignore[arg-type]
