"""slategym train: one learner, one world, from its first slate to the folder that serves it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slategym.envs.names import UsageError, lookup
from slategym.experiments.cli.completion import of_learners, of_worlds
from slategym.experiments.cli.next_step import quoted, say_next, with_settings
from slategym.experiments.cli.options import (
    MOST_SEEDS,
    AgentSettings,
    Device,
    Trust,
    WorldSettings,
    place,
)
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.agents.core.agent import Agent
    from slategym.experiments.measure.training import Training

EPILOG = r"""
**What SlateQ learns in its own world, in a minute**\
`slategym train slateq --world InterestEvolution-v0`

**Bored people, who show what they clicked; another learning rate**\
`slategym train plackett-luce --world Sardine-SlateTopK-Bored-v0 --set history_size=20`\
`slategym train slateq --world InterestEvolution-v0 --agent-set learning_rate=0.002`

**Four seeds side by side, and what TensorBoard shows of them**\
`slategym train slateq --world InterestEvolution-v0 --seeds 4 --tensorboard`\
`tensorboard --logdir runs`

**With settings that suit that world, and reach a known curve; all of a training in a file**\
`slategym presets`\
`slategym train plackett-luce --world Sardine-SlateTopK-Bored-v0 --preset`\
`slategym train --config training.toml --seed 3`

**Let it act**\
`slategym simulate InterestEvolution-v0 --policy runs/slateq-InterestEvolution-v0-seed0`

Interrupt it at any time, or kill it: the same call goes on from its last checkpoint to the same
result, and a finished one computes nothing. `slategym agents` lists the learners,
`slategym agents NAME` shows what `--agent-set` takes, `slategym worlds NAME` what `--set` takes. A
file for `--config` has agent, world, steps, seed or seeds, device and the tables agent_settings and
world_settings.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog=EPILOG)(train)


def train(
    agent: Annotated[
        str,
        typer.Argument(
            autocompletion=of_learners,
            help="A learner's name, as slategym agents lists it.",
            metavar="agent",
        ),
    ] = "",
    world: Annotated[
        str,
        typer.Option(autocompletion=of_worlds, help="Where: a name that slategym worlds lists."),
    ] = "",
    settings: WorldSettings = None,
    agent_settings: AgentSettings = None,
    steps: Annotated[
        int | None, typer.Option(help="Slates shown, of each seed; by default the learner's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Decides all that is drawn.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SEEDS, help="Train seeds 0, 1, ... side by side, as one model."
        ),
    ] = None,
    device: Device = "",
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="TOML, YAML or JSON with all of this; what is typed goes first."
        ),
    ] = None,
    use_preset: Annotated[
        bool, typer.Option("--preset", help="Take the settings that slategym presets lists.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Its folder; runs/AGENT-WORLD-seedS by default."
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files into the folder.")
    ] = False,
    report_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Tell each cycle's figures to wandb or mlflow too; repeatable."
        ),
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(min=0.0, help="Seconds between checkpoints.")
    ] = 60.0,
    evaluate_every: Annotated[
        int,
        typer.Option(
            min=0,
            help="Slates between two readings on selection people; the best model is kept in "
            "FOLDER/best. 0: none.",
        ),
    ] = 0,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many readings without a new best. 0: go on.")
    ] = 0,
    trust: Trust = False,
) -> None:
    """Train a learner in a world; its folder is what `simulate` and `export` take.

    A training that was stopped goes on where its last checkpoint was, to the same result bit for
    bit on a CPU. Another training in the same folder is refused.
    """
    from slategym.agents.registry import find_learner
    from slategym.envs.registry import find_world
    from slategym.experiments.cli.agent_settings import read_agent_settings
    from slategym.experiments.cli.config_file import (
        Config,
        read_config,
        with_config,
    )
    from slategym.experiments.cli.main import DEVICES, resolve_device
    from slategym.experiments.cli.world_settings import read_settings
    from slategym.experiments.presets import find_preset

    said = Config() if config is None else read_config(config, trust=trust)
    agent, world, device = (
        agent or said.agent or "",
        world or said.world or "",
        device or said.device or "auto",
    )
    steps = said.steps if steps is None else steps
    if seed is None and seeds is None:
        seed, seeds = said.seed, said.seeds
    if patience and not evaluate_every:
        raise UsageError("--patience counts readings: say how often with --evaluate-every")
    if seed is not None and seeds is not None:
        raise UsageError("--seed trains one seed, --seeds N trains 0 to N - 1; give one of them")
    for name, what in ((agent, "an agent"), (world, "--world")):
        if not name:
            raise UsageError(f"{what} is missing; see slategym train --help")
    find_learner(agent)  # what may be mistyped first: torch takes seconds to import
    find_world(world)
    tuned = find_preset(agent, world) if use_preset else None
    lookup("device", device, DEVICES)
    settings = with_config(settings, said.world_settings)
    agent_settings = with_config(agent_settings, said.agent_settings)
    if tuned is not None:
        settings = with_config(settings, tuned.world_settings)
        kept = {n: x for n, x in tuned.agent_settings.items() if steps is None or n != "num_steps"}
        agent_settings = with_config(agent_settings, kept)
    given = read_settings(world, settings)
    own = read_agent_settings(agent, agent_settings, steps)
    import torch

    from slategym.experiments.cli.training_told import Told
    from slategym.experiments.measure.training import Training
    from slategym.experiments.runs.store import check_folder
    from slategym.models.multitask.reporters import check_reporters

    check_reporters(report_to or ())
    training = Training(
        agent,
        world,
        given,
        own,
        tuple(range(seeds)) if seeds is not None else (seed or 0,),
    )
    folder = out or Path("runs") / training.name
    console = plain_console(stderr=True, soft_wrap=True)
    if tuned is not None:
        console.print(tuned.summary(), markup=False)
    if training.finished(folder):
        console.print(f"{folder} is finished; nothing to do")
        return
    on = resolve_device(device)
    check_folder(folder)
    torch.set_num_threads(1)
    with Told(training, folder, report_to or (), tensorboard) as told:
        trained = training.run(
            folder,
            device=on,
            callback=told.progress,
            tensorboard=folder / "tensorboard" if tensorboard else None,
            progress=console.is_terminal,
            checkpoint_every=checkpoint_every,
            watched=partial(told.reading, evaluate_every, patience) if evaluate_every else None,
        )
        if not evaluate_every:  # else there is one of every reading
            told.picture(trained, trained.steps)
    for point in told.points:
        console.print(str(point))
    _print(training, trained, folder)


def _print(training: Training, trained: Agent, folder: Path) -> None:
    from slategym.experiments.runs.progress import duration

    console = plain_console(soft_wrap=True)
    earned = f", return {trained.curve[-1].return_mean:.1f} at the end" if trained.curve else ""
    rate = trained.steps * len(trained.seeds) / max(trained.seconds, 1e-9)
    console.print(
        f"{training.agent} in {training.about['world']}: {trained.steps:,} slates of each of "
        f"{len(trained.seeds)} seed(s){earned} (exploring); {duration(trained.seconds)}, "
        f"{rate:,.0f} user-steps/s",
        markup=False,
    )
    for at_seed, served in zip(trained.seeds, trained.served, strict=False):
        console.print(f"seed {at_seed} serves its {served}")
    console.print(f"agent: {folder}")
    at = with_settings(training.world, training.world_settings)
    say_next(
        quoted("slategym", "compare", *at, "--policies", f"{folder},random"),
        quoted("slategym", "app", folder),
        quoted("slategym", "export", folder),
    )
