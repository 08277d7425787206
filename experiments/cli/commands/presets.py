"""slategym presets: settings that suit a learner in a world, and what they reach."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_learners, of_worlds
from slategym.experiments.cli.options import ListAsJson
from slategym.models.console import plain_console

EPILOG = r"""
**All presets; those of a world; one as a file**\
`slategym presets`\
`slategym presets InterestEvolution-v0`\
`slategym presets InterestEvolution-v0 slateq`

**Train with one; start a file of your own from it**\
`slategym train slateq --world InterestEvolution-v0 --preset`\
`slategym presets InterestEvolution-v0 slateq > mine.toml`\
`slategym train --config mine.toml`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("presets", epilog=EPILOG)(presets)


def presets(
    world: Annotated[
        str, typer.Argument(autocompletion=of_worlds, help="Only those of this world.")
    ] = "",
    agent: Annotated[
        str, typer.Argument(autocompletion=of_learners, help="Print this learner's, as a file.")
    ] = "",
    as_json: ListAsJson = False,
) -> None:
    """List settings that suit a learner in a world, with the return that they reached."""
    from slategym.envs.registry import NAMESPACE, find_world
    from slategym.experiments.presets import all_presets, find_preset

    bare = find_world(world)[0].removeprefix(NAMESPACE) if world else ""
    if agent:
        text = find_preset(agent, bare).path.read_text(encoding="utf-8")
        typer.echo(text, nl=False)
        return
    found = [find_preset(a, w) for w, a in all_presets() if bare in ("", w)]
    if not found:
        raise UsageError(f"there is no preset in {bare}; slategym presets lists all")
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "world": each.world,
                        "agent": each.agent,
                        "agent_settings": each.agent_settings,
                        "world_settings": each.world_settings,
                        "chosen": each.chosen,
                        "page": each.page,
                        "reached": None if each.reached is None else each.reached._asdict(),
                    }
                    for each in found
                ],
                indent=1,
            )
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (
        ("world", "left"), ("learner", "left"), ("slates", "right"), ("return [95 %]", "right"),
        ("beside", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=name != "beside")  # type: ignore[arg-type]
    for each in found:
        curve = each.reached
        beside = "" if curve is None else ", ".join(f"{n} {x:.1f}" for n, x in curve.beside.items())
        table.add_row(
            each.world,
            each.agent,
            f"{each.agent_settings['num_steps']:,}",
            str(curve) if curve else "its log decides" if each.of_a_log else "not measured",
            beside,
        )
    console = plain_console()
    console.print(table)
    console.print(
        "Return a session at the end, mean over people and training seeds, 95 % over people; "
        "beside it others on the same people."
    )
    console.print("To train with one: slategym train LEARNER --world WORLD --preset")
    console.print(
        "One as a file, with its curve and how it was chosen: slategym presets WORLD LEARNER"
    )
