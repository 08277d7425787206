"""slategym export: a trained policy that runs without the environment, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from slategym.envs.names import UsageError, in_markdown, lookup
from slategym.experiments.cli.options import Trust, place
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.agents.core.agent import Agent
    from slategym.agents.serving.export import Exported
    from slategym.experiments.measure.latency import Latency, Unmeasured

EPILOG = r"""
**Train, export, and look at how fast it is**\
`slategym train slateq --world InterestEvolution-v0`\
`slategym export runs/slateq-InterestEvolution-v0-seed0`

**Somewhere else, without timing**\
`slategym export runs/slateq-InterestEvolution-v0-seed0 --out policy --no-latency`

The folder holds `policy.pt` (TorchScript), `policy.json` (its inputs in order, with shapes and
types; latencies) and `README.md` (how to call it). To use it, torch is enough:
`torch.jit.load("policy.pt")(*inputs)`. What is written serves exactly what the agent serves on
observations that its own slates lead to; what does not is refused. A policy of a learned world
takes the user's raw events: the model that reads them is in the program, `policy.json` has the
log's keys, and serve.py beside them takes events by the log's own names and answers with item
keys.
"""
FORMAT = 1  # of policy.json
FORMATS = {"torchscript": "a program that torch.jit.load reads"}
MEANINGS = {
    "step": "slates that the user has seen in this session",
    "history_item": "the last clicked items, newest last, -1: none",
    "history_feedback": "the feedback to them, a column per signal",
    "history_age": "slates since then",
    "shown_item": "the last slates of this session, newest last, -1: none",
    "shown_taken": "1 where the item was taken",
    "context": "the context, a column per field of the world's",
    "profile": "categories of the user's profile",
    "candidate_item": "ids of the items that may be shown",
    "candidate_embedding": "their vectors",
    "action_mask": "1 where a position may be shown",
    "event_item": "what the user took last, by item id, oldest first, -1: none; the newest last",
    "earlier_item": "all that the user took before, in any order and number, -1: none; what was "
    "taken is not served again",
    "event_feedback": "the feedback to them, a column per signal",
    "event_gap": "seconds since the event before",
    "event_age": "slates of this visit since then, 10000: before this visit",
    "arrival": "hour, weekday (0: Monday), then the log's context columns as this visit began: a "
    "category's number, -1: unknown; or a number",
    "user": "what the user model reveals",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EPILOG)(export)


def export(
    folder: Annotated[
        Path,
        typer.Argument(
            help="What slategym train left; FOLDER#3 for seed 3 of several.", metavar="run_folder"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Where to write; RUN_FOLDER/export by default."
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="torchscript.")] = "torchscript",
    latency: Annotated[
        bool, typer.Option("--latency/--no-latency", help="Time it at 1 k, 10 k and 100 k items.")
    ] = True,
    trust: Trust = False,
) -> None:
    """Write a trained policy as a program of its own, check it, and time it.

    Observations in, slates out: item ids where the whole catalogue is on offer, positions among the
    candidates elsewhere. The number of users in a call is free.
    """
    lookup("format", format, FORMATS)
    from slategym.agents.registry import find_policy, folder_and_seed, load_agent

    find_policy(folder)  # before torch, which takes seconds to import
    import torch

    from slategym.agents.serving import export as exporting
    from slategym.agents.serving.keys import write_program
    from slategym.envs.registry import make_world
    from slategym.experiments.measure.latency import measure
    from slategym.experiments.measure.training import trained_in
    from slategym.experiments.runs.store import check_folder, write_json
    from slategym.models.checksums import sha256_of
    from slategym.models.files import atomic_path

    place, _ = folder_and_seed(folder)
    home = trained_in(place, trust=trust)
    if home is None:
        raise UsageError(f"{folder} does not say where it was trained; slategym train's folders do")
    target = out or place / "export"
    check_folder(target)
    torch.set_num_threads(1)
    agent = load_agent(folder, make_world(home.world, **home.settings), trust=trust)
    exported = exporting.export(agent)
    exported.write(target / "policy.pt")
    times = measure(agent, exported, home) if latency else []
    about = _about(agent, exported, home.world, home.settings, times)
    about |= {"format": FORMAT, "sha256": {"policy.pt": sha256_of(target / "policy.pt")}}
    write_json(about, target / "policy.json")
    with atomic_path(target / "README.md") as temporary:
        temporary.write_text(_readme(about), encoding="utf-8")
    if about["log"] is not None:
        write_program(target)
    console = plain_console(soft_wrap=True)
    if times:
        _print(times, console)
    console.print(
        f"{target / 'policy.pt'}: the agent's own slates on {exporting.CHECKED} observations"
    )


def _about(
    agent: Agent,
    exported: Exported,
    world: str,
    settings: dict[str, Any],
    times: list[Latency | Unmeasured],
) -> dict[str, Any]:
    import torch

    from slategym.agents.serving.export import CHECKED
    from slategym.agents.serving.keys import keys_of

    whole = "candidate_item" not in exported.inputs
    return {
        "agent": agent.name,
        "world": world,
        "world_settings": settings,
        "seed": agent.seeds[agent.serving],
        "slates_of_training": agent.steps,
        "inputs": [
            {
                "name": name,
                "shape": ["B", *x.shape[1:]],
                "dtype": str(x.dtype).removeprefix("torch."),
                "meaning": _meaning(name),
            }
            for name, x in exported.inputs.items()
        ],
        "output": {
            "shape": ["B", agent.world.slate_size],
            "dtype": "int32",
            "meaning": "item ids, best first"
            if whole
            else "positions in candidate_item, best first",
        },
        "masked": hasattr(exported.program, "masked"),  # a method that takes a mask besides
        "log": keys_of(agent.world),  # its keys and words, by number; null: no log
        "observations_checked": CHECKED,
        "torch": torch.__version__,
        "latency": [vars(time) for time in times],
    }


def _meaning(name: str) -> str:
    """Of an input, for people."""
    from slategym.envs.observation import COLUMN

    if name.startswith(COLUMN):
        return f"the context's {name.removeprefix(COLUMN)}, a number or the number of a category"
    return MEANINGS[name]


def _readme(about: dict[str, Any]) -> str:
    """How to call it, for who finds the folder."""
    rows = "\n".join(
        f"| {in_markdown(x['name'])} | ({', '.join(map(str, x['shape']))}) | {x['dtype']} | "
        f"{in_markdown(x['meaning'])} |"
        for x in about["inputs"]
    )
    names = ", ".join(x["name"] for x in about["inputs"])
    timed = "\n".join(
        f"| {x['items']:,} | {x['batch']} | {x['p50']:.3f} | {x['p95']:.3f} |"
        for x in about["latency"]
        if "p50" in x
    )
    shape = ", ".join(map(str, about["output"]["shape"]))
    masked = (
        f"""    slate = policy.masked({names}, action_mask)

`masked` takes a mask of your own besides, (B, N) int8, 1 where an item may be shown.

"""
        if about["masked"]
        else ""
    )
    raw = "" if about["log"] is None else _by_keys(about["log"])
    table = f"\n| items | users a call | p50, ms | p95, ms |\n|---|---|---|---|\n{timed}\n"
    return f"""# {in_markdown(about["agent"])}, trained in {in_markdown(about["world"])}

    import torch
    policy = torch.jit.load("policy.pt")
    slate = policy({names})

{raw}{masked}{about["output"]["meaning"]}: ({shape}) int32.
B, the number of users in a call, is free.

| input | shape | dtype | meaning |
|---|---|---|---|
{rows}

It serves what the agent serves on {about["observations_checked"]} observations that were compared.
Recorded with torch {about["torch"]}.
{table if timed else ""}"""


def _by_keys(log: dict[str, Any]) -> str:
    """How to ask with the log's own keys and words."""
    user = {column["name"]: column["categories"][0] for column in log["profile"]}
    visit = {column["name"]: (column["categories"] or [0.0])[0] for column in log["context"]}
    event = {"item": log["items"][0], "time": 1_700_000_000}
    event |= {signal["name"]: 1.0 for signal in log["signals"] if signal["at_least"] is None}
    request = {"user": user, "events": [event], "visit": {"time": 1_700_003_600} | visit}
    return f"""Or with the log's own keys, and torch alone (serve.py says what a request holds):

    from serve import Policy
    keys = Policy(".")([{request}])

"""


def _print(times: list[Latency | Unmeasured], console: Console) -> None:
    """The table, and why some sizes are not in it."""
    lines = Table(title="Latency of a call, one thread", title_justify="left", box=SIMPLE_HEAD)
    for head in ("items", "users a call", "p50, ms", "p95, ms"):
        lines.add_column(head, justify="right")
    left_out: dict[str, list[str]] = {}
    for time in (vars(time) for time in times):
        if "reason" in time:
            left_out.setdefault(time["reason"], []).append(f"{time['items']:,}")
        else:
            numbers = (f"{time['p50']:.3f}", f"{time['p95']:.3f}")
            lines.add_row(f"{time['items']:,}", str(time["batch"]), *numbers)
    console.print(lines)
    for reason, sizes in left_out.items():
        console.print(f"not measured with {', '.join(sizes)} items: {reason}")
