"""slategym simulate: people, one policy, and what happens."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

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
    import pandas as pd

    from slategym.agents.types import Policy
    from slategym.envs.types import World

EPILOG = r"""
**Random slates, in a world that needs no download**\
`slategym simulate InterestEvolution-v0 --users 200`

**The supervised ranker, one JSON object, every slate kept**\
`slategym simulate MovieLens-v0 --policy supervised --json --out slates.parquet`

**Another slate size in the static twin** (`slategym worlds MovieLens-v0` lists the settings)\
`slategym simulate MovieLens-v0 --set static=true --set slate_size=10`

**What `slategym train` has trained; as it explores, every slate with its propensity**\
`slategym simulate InterestEvolution-v0 --policy runs/slateq-InterestEvolution-v0-seed0`\
`slategym simulate InterestEvolution-v0 --policy runs/slateq-... --explore --out slates.parquet`

**A world of known truth writes a log, for the whole road from log to verdict**\
`slategym simulate Scenario-News-v0 --users 2000 --out slates.parquet --log news-log`

**What a benchmark has trained**\
`slategym simulate MovieLens-v0 --policy runs/movielens-quick/work/plackett-luce-...`

**One of several training seeds; without a choice, all of them**\
`slategym simulate InterestEvolution-v0 --policy runs/slateq-InterestEvolution-v0-seeds0-2#1`

A trained policy meets the world with the settings that it was trained with, unless `--set` says
otherwise.

A log of slates has one row per slot: user, item, time, slate_id, position, context, propensity and
signals, under the names that `slategym data check` knows; also visit, step, action, the chances of
every slot, reward, terminated, truncated, what was offered where that changes, and what the policy
was shown (`--no-observations` leaves that out). The file's metadata says world, settings, policy
and seed. `slategym.experiments` makes Minari, d3rlpy and Open Bandit data of it: `minari_dataset`,
`d3rlpy_dataset`, `obp_feedback`.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate", epilog=EPILOG)(simulate)


def simulate(
    world: Annotated[
        str,
        typer.Argument(
            autocompletion=of_worlds, help="A world's name, as slategym worlds lists it."
        ),
    ],
    policy: Annotated[
        str,
        typer.Option(
            autocompletion=of_policies,
            help="A name that slategym agents lists, or a trained policy's folder.",
        ),
    ] = "random",
    users: Users = 1000,
    seed: Luck = 0,
    batch: Batch = 512,
    device: Device = "auto",
    settings: WorldSettings = None,
    as_json: AsJson = False,
    explore: Annotated[
        bool, typer.Option("--explore", help="Let a trained learner act as it does in training.")
    ] = False,
    which_seed: Annotated[
        int | None,
        typer.Option(min=0, help="The policy of this training seed; by default of every one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="PATH",
            help="Write every slate and its feedback to this Parquet file.",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="FOLDER",
            help="Make a log's folder of them, as slategym data check, fit and worlds read it.",
        ),
    ] = None,
    observations: Annotated[
        bool,
        typer.Option(help="Keep in the file what the policy was shown; offline learners need it."),
    ] = True,
    trust: Trust = False,
) -> None:
    """Let people meet a policy, one session each, and say how it went.

    The same seed gives the same people with the same luck whatever the policy, so two calls can be
    compared user by user. Standard output holds the result and nothing else.
    """
    from slategym.agents.registry import find_policy, folder_and_seed, seeds_of
    from slategym.envs.registry import find_world, make_world
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.cli.world_settings import read_settings

    id, _ = find_world(world)
    find_policy(policy)  # what may be mistyped first: torch takes seconds to import
    for option, number in (("--users", users), ("--batch", batch)):
        if number < 1:
            raise UsageError(f"{option} must be at least 1, got {number}")
    if out is not None and out.suffix != ".parquet":
        raise UsageError(f"--out writes Parquet: give a name in .parquet, got {out.name!r}")
    if log is not None and out is None:
        raise UsageError("--log makes a log's folder of the slates that --out writes; give both")
    given, on = read_settings(world, settings or []), resolve_device(device)
    import torch

    from slategym.experiments.measure.training import trained_in
    from slategym.experiments.runs.store import check_folder, check_place
    from slategym.models.data.folder import check_replaceable

    policy = _of_seed(policy, which_seed)
    if out is not None and len(seeds_of(policy)) > 1:
        raise UsageError(
            "--out writes the slates of one policy, and there is one of every training seed in "
            f"{policy}: choose one by --which-seed, of {', '.join(map(str, seeds_of(policy)))}"
        )
    home = trained_in(folder_and_seed(policy)[0], trust=trust, world=id)
    if explore and home is None:
        raise UsageError(f"--explore needs the folder of a trained learner, got {policy!r}")
    if home is not None and home.world == id and not given.items() >= home.settings.items():
        given = {**home.settings, **given}
        _say_settings(given)
    if out is not None:
        check_place(out)
    if log is not None:
        check_replaceable(log)
        check_folder(log)
    torch.set_num_threads(1)
    where = make_world(world, **given, **({} if on == "cpu" else {"device": on}))
    if users > where.population.size:
        raise UsageError(
            f"--users must be in [1, {where.population.size}], the people of {id} with these "
            f"settings; got {users}"
        )
    chosen = _choosers(policy, where, explore, trust)
    began = time.perf_counter()
    name = _name(policy, next(iter(chosen.values())))
    asked: dict[str, Any] = {"world": id, "settings": given, "policy": name, "seed": seed}
    if seeds := [trained for trained in chosen if trained is not None]:
        asked["training_seeds"] = seeds
    asked |= {"explore": True} if explore else {}
    parts = [
        _run(where, one, users, seed, batch, out, asked, observations) for one in chosen.values()
    ]
    seconds = time.perf_counter() - began
    rows, sums = [rows for rows, _ in parts], _added([sums for _, sums in parts])
    summary = asked | _figures(rows, sums, seconds)
    if log is not None and out is not None:
        from slategym.experiments.measure.log_folder import write_log_folder

        write_log_folder(where, out, log)
    if as_json:
        typer.echo(json.dumps(summary, allow_nan=False))
    else:
        _print(summary, out, log)


def _of_seed(policy: str, seed: int | None) -> str:
    """The policy as it is asked for, with the training seed that was chosen beside it.

    Raises:
        UsageError: two seeds are named, or there are none to choose from.
    """
    from slategym.agents.registry import folder_and_seed, seeds_of

    folder, marked = folder_and_seed(policy)
    if seed is None:
        return policy
    if marked is not None:
        raise UsageError(f"{policy} names a training seed already; leave out --which-seed")
    if seed not in seeds_of(policy):
        known = ", ".join(map(str, seeds_of(policy))) or "none: it was not trained"
        raise UsageError(
            f"--which-seed {seed} is not among the training seeds of {policy}: {known}"
        )
    return f"{folder}#{seed}"


def _choosers(policy: str, world: World, explore: bool, trust: bool) -> dict[int | None, Policy]:
    """Who chooses the slates, by training seed; None where nothing was trained."""
    from slategym.agents.core.agent import Agent
    from slategym.agents.registry import Exploring, make_policies

    made = make_policies(policy, world, trust=trust)
    if not explore:
        return made
    return {seed: Exploring(one) for seed, one in made.items() if isinstance(one, Agent)}


def _added(parts: list[dict[str, float]]) -> dict[str, float]:
    """Sums of sums, name by name."""
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def _say_settings(settings: dict[str, Any]) -> None:
    """That they were taken over from training."""
    listed = ", ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
    plain_console(stderr=True, soft_wrap=True).print(f"the world as in training: {listed}")


def _run(
    world: World,
    policy: Policy,
    users: int,
    seed: int,
    batch: int,
    out: Path | None,
    asked: dict[str, Any],
    observations: bool,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Play, with a progress bar, and write the slates if asked; sums of the signals on the way."""
    from contextlib import ExitStack

    import torch

    from slategym.agents.registry import Exploring
    from slategym.experiments.measure.play import play
    from slategym.experiments.measure.slate_log import writing

    names, explored = [s.name for s in world.users.signals], isinstance(policy, Exploring)
    sums = dict.fromkeys(names, 0.0)
    screen = plain_console(stderr=True)
    with ExitStack() as stack:
        bar = stack.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} users"),
                TimeRemainingColumn(),
                console=screen,
                transient=True,
                disable=not screen.is_terminal,
            )
        )
        task = bar.add_task(policy.name, total=users)
        log = None
        if out is not None:
            log = stack.enter_context(writing(world, out, asked, observations))

        def on_slate(session: Any, items: Any, action: Any, outcome: Any, after: Any) -> None:
            for name, value in zip(
                names, outcome.feedback.double().sum((0, 1)).tolist(), strict=True
            ):
                sums[name] += value
            if log is not None:
                if explored and action.logp is None:
                    raise UsageError(
                        f"{policy.name} cannot say how likely the slates are that it explores "
                        "with, so that no log of them is exact; leave out --out or --explore"
                    )
                log.add(session, items, action, outcome, after)

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


def _name(asked: str, policy: Policy) -> str:
    """The policy's name as `slategym agents` has it; of a trained one, what it calls itself."""
    from slategym.agents.entries import POLICIES

    return asked if asked in POLICIES else policy.name


def _figures(parts: list[pd.DataFrame], sums: dict[str, float], seconds: float) -> dict[str, Any]:
    """What came of it. Means are per user, of rating and quality per click.

    Args:
        parts: rows by user, of every training seed.
        sums: of the signals, over everything.
        seconds: it took.
    """
    import numpy as np
    import pandas as pd

    rows = pd.concat(parts).astype(float)  # from float32, in which a mean has seven digits
    means, half = rows.mean(), None
    return_SU = np.stack([part["return"].to_numpy(np.float64) for part in parts])
    if return_SU.shape[1] > 1:  # what varies from user to user and, beside it, from seed to seed
        variance = return_SU.mean(0).var(ddof=1) / return_SU.shape[1]
        if len(parts) > 1:
            variance += return_SU.mean(1).var(ddof=1) / len(parts)
        half = 1.96 * float(variance) ** 0.5
    clicks, steps = sums["click"], int(rows["length"].sum())
    per_click = {
        f"{name}_mean": total / clicks if clicks else None
        for name, total in sums.items()
        if name in ("rating", "quality")
    }
    return {
        "users": return_SU.shape[1],
        "return_mean": float(means["return"]),
        "return_ci95": half,
        "clicks_mean": float(means["clicks"]),
        **({"likes_mean": float(means["likes"])} if "like" in sums else {}),
        **per_click,
        "episode_length_mean": float(means["length"]),
        "user_steps": steps,
        "user_steps_per_second": steps / seconds,
    }


def _print(summary: dict[str, Any], out: Path | None, log: Path | None) -> None:
    console = plain_console(soft_wrap=True)
    half = "" if summary["return_ci95"] is None else f" ± {summary['return_ci95']:.2f} (95 %)"
    seeds = summary.get("training_seeds", [])
    of_seeds = f" and {len(seeds)} training seeds" if len(seeds) > 1 else ""
    console.print(
        f"{summary['policy']} in {summary['world']}: "
        f"return {summary['return_mean']:.2f}{half} over {summary['users']} users{of_seeds} "
        f"({summary['clicks_mean']:.2f} clicks in {summary['episode_length_mean']:.1f} slates); "
        f"{summary['user_steps_per_second']:,.0f} user-steps/s",
        markup=False,
    )
    if out is not None:
        console.print(f"slates: {out}")
    if log is not None:
        console.print(f"log: {log}")
        return say_next(f"slategym data check {quoted(log)}")
    at = with_settings(str(summary["world"]).removeprefix("slategym/"), summary["settings"])
    policy, other = summary["policy"], "myopic" if summary["policy"] == "random" else "random"
    say_next(quoted("slategym", "compare", *at, "--policies", f"{policy},{other}"))
