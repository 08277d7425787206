"""slategym simulate: people, one policy, and what happens."""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from slategym.envs.names import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from slategym.agents.types import Policy
    from slategym.envs.types import World

EPILOG = """
[bold]A random slate of MovieLens films for 200 people[/bold]

$ slategym simulate slategym/MovieLens-v0 --policy random --users 200

[bold]The same people, the ranker, one JSON object, and every slate kept[/bold]

$ slategym simulate MovieLens-v0 --policy supervised --users 200 --json --out slates.parquet

[bold]A world with other settings[/bold]

$ slategym simulate MovieLens-v0 --policy myopic --set static=true --set slate_size=10
"""

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate", epilog=EPILOG)(simulate)


def simulate(
    world: Annotated[str, typer.Argument(help="A world's id; see slategym worlds.")],
    policy: Annotated[
        str,
        typer.Option(help="A policy's name, see slategym agents, or a trained policy's folder."),
    ] = "random",
    users: Annotated[int, typer.Option(help="Simulated users, one session each.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides what happens, not who the users are.")] = 0,
    batch: Annotated[int, typer.Option(help="Users side by side; changes no result.")] = 512,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, a setting of the world.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write every slate and its feedback to this Parquet file.")
    ] = None,
) -> None:
    """Let people meet a policy, session by session, and say how it went."""
    import torch

    from slategym.agents.policies import make_policy
    from slategym.envs.registry import make_world
    from slategym.experiments.cli import resolve_device

    if users < 1 or batch < 1:
        raise UsageError(f"users and batch must be at least 1, got {users} and {batch}")
    if out is not None and out.suffix != ".parquet":
        raise UsageError(f"--out writes Parquet: give a name ending in .parquet, got {out.name!r}")
    on = resolve_device(device)
    torch.set_num_threads(1)
    given = _settings(settings or [])
    if "device" in given:
        raise UsageError("--set device: give --device instead")
    _check_kinds(world, given)
    where = make_world(world, **given, **({} if on == "cpu" else {"device": on}))
    if users > where.population.size:
        raise UsageError(
            f"{where.name} has {where.population.size} arrivals with these settings, "
            f"got --users {users}"
        )
    chosen = make_policy(policy, where)
    began = time.perf_counter()
    rows, slates = _run(where, chosen, users, seed, batch, out)
    seconds = time.perf_counter() - began
    summary = _summary(where.name, chosen.name, seed, rows, slates, seconds)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        _print(summary, out)


def _run(
    world: World, policy: Policy, users: int, seed: int, batch: int, out: Path | None
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Play, with a progress bar, and write the slates if asked; sums of the signals on the way."""
    from contextlib import ExitStack

    import torch

    from slategym.experiments.evaluate import play
    from slategym.experiments.slate_log import writing

    names = [signal.name for signal in world.users.signals]
    sums = dict.fromkeys(names, 0.0)
    with ExitStack() as stack:
        bar = stack.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} users"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        )
        task = bar.add_task(policy.name, total=users)
        log = stack.enter_context(writing(world, out)) if out is not None else None

        def on_slate(session: Any, items: Any, action: Any, outcome: Any) -> None:
            for name, value in zip(names, outcome.feedback.sum((0, 1)).tolist(), strict=True):
                sums[name] += value
            if log is not None:
                log.add(session, items, action, outcome)

        rows = play(
            world,
            policy,
            torch.arange(users, dtype=torch.int32),
            seed=seed,
            batch=batch,
            on_batch=lambda n: bar.advance(task, n),
            on_slate=on_slate,
        )
    return rows, sums


def _summary(
    world: str, policy: str, seed: int, rows: pd.DataFrame, sums: dict[str, float], seconds: float
) -> dict[str, Any]:
    """One flat record."""
    steps = int(rows["length"].sum())
    clicks = float(rows["clicks"].sum())
    half = 1.96 * float(rows["return"].std(ddof=1)) / len(rows) ** 0.5 if len(rows) > 1 else None
    per_click = {
        f"{name}_mean": total / clicks
        for name, total in sums.items()
        if name in ("quality", "rating") and clicks
    }
    return {
        "world": world,
        "policy": policy,
        "users": len(rows),
        "seed": seed,
        "return_mean": float(rows["return"].mean()),
        "return_ci95": half,
        "clicks_mean": float(rows["clicks"].mean()),
        **per_click,
        "episode_length_mean": float(rows["length"].mean()),
        "user_steps": steps,
        "user_steps_per_second": steps / seconds,
    }


def _print(summary: dict[str, Any], out: Path | None) -> None:
    console = Console()
    half = "" if summary["return_ci95"] is None else f" ± {summary['return_ci95']:.2f}"
    console.print(
        f"{summary['policy']} in {summary['world']}: "
        f"return {summary['return_mean']:.2f}{half} over {summary['users']} users "
        f"({summary['clicks_mean']:.2f} clicks in {summary['episode_length_mean']:.1f} slates); "
        f"{summary['user_steps_per_second']:,.0f} user-steps/s",
        highlight=False,
    )
    if out is not None:
        console.print(f"slates: {out}", highlight=False)


def _check_kinds(world: str, settings: dict[str, Any]) -> None:
    """Refuse values of another kind than the default; unknown names are for the registry."""
    from inspect import signature

    from slategym.envs.registry import find_world

    name, entry = find_world(world)
    module, _, function = entry.builder.partition(":")
    parameters = signature(getattr(import_module(module), function)).parameters
    for setting, value in settings.items():
        default = parameters[setting].default if setting in parameters else None
        kind, wanted = type(default), KINDS.get(type(default))
        fits = type(value) is kind or (kind is float and type(value) is int)
        if wanted is not None and not fits:
            raise UsageError(f"{name}: {setting} is {wanted}, got {value!r}")


def _settings(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; values are read as JSON where they are JSON, else as text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes NAME=VALUE, got {pair!r}")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings
