"""What `slategym export` writes: programs, what they take, how to call them, how fast they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from slategym.agents.core.agent import Agent
from slategym.agents.registry import find_policy, folder_and_seed, load_agent, make_policy
from slategym.agents.serving.export import CHECKED, Exported, export
from slategym.agents.serving.keys import keys_of, made_up_requests, write_program
from slategym.agents.serving.load import EXAMPLES
from slategym.agents.types import Policy
from slategym.envs.names import UsageError, in_markdown
from slategym.envs.observation import COLUMN
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.measure.latency import Latency, Unmeasured, measure
from slategym.experiments.measure.training import Home, trained_in
from slategym.experiments.runs.store import check_folder, write_json
from slategym.models.checksums import sha256_of
from slategym.models.files import atomic_path

FORMAT = 2  # of policy.json; 1 did not have num_items
FILES = {"torchscript": "policy.pt", "onnx": "policy.onnx"}  # by format
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


_CALLS = {
    "policy.pt": """By the inputs below:

    import torch
    policy = torch.jit.load("policy.pt")
    slate = policy({names})

""",
    "policy.onnx": """With onnxruntime, where given holds the inputs below by name:

    import onnxruntime
    slate, = onnxruntime.InferenceSession("policy.onnx").run(None, given)

""",
}


@dataclass(frozen=True)
class Written:
    """What was written where."""

    folder: Path
    programs: tuple[Path, ...]
    latencies: tuple[Latency | Unmeasured, ...]


def write_export(
    name: str,
    target: Path | None = None,
    *,
    home: Home | None = None,
    formats: tuple[str, ...] = ("torchscript",),
    latency: bool = False,
    trust: bool = False,
) -> Written:
    """Write a policy's programs, check them, and say how to call them.

    Args:
        name: a folder that `slategym train` left, FOLDER#SEED, or a policy's name.
        target: where; None: `export` in the training's folder.
        home: where it acts; None: where it was trained.
        formats: keys of `FILES`.
        latency: whether to time the TorchScript program.
        trust: see `load_agent`.

    Raises:
        UsageError: there is no such policy; it cannot be exported; it does not say where it was
            trained.
    """
    place, _ = folder_and_seed(name)
    trained = find_policy(name) is None
    if home is None:
        home = trained_in(place, trust=trust) if trained else None
    if home is None:
        raise UsageError(
            f"{name} does not say where it was trained (slategym train's folders do): say so with "
            "--world NAME, and --set NAME=VALUE for each setting of the world"
            if trained
            else f"{name} was not trained anywhere: say where it acts with --world"
        )
    if target is None and not trained:
        raise UsageError(f"{name} has no folder of its own: say where to write with --out")
    target = target or place / "export"
    check_folder(target)
    torch.set_num_threads(1)
    world = make_world(home.world, **home.settings)
    policy = load_agent(name, world, trust=trust) if trained else make_policy(name, world)
    recorded = None
    if "onnx" in formats:  # first: torch.export does not read what TorchScript's recording leaves
        from slategym.agents.serving.onnx_export import export_onnx

        recorded = export_onnx(policy, world)
    exported = export(policy, world)
    hashes = {}
    for format in formats:
        path = target / FILES[format]
        if format == "onnx" and recorded is not None:
            recorded.write(path)
        else:
            exported.write(path)
        hashes[path.name] = sha256_of(path)
    for left_over in set(FILES.values()) - set(hashes):  # of another policy, exported before
        (target / left_over).unlink(missing_ok=True)
    times = _times(policy, exported, home) if latency else []
    about = _about(policy, world, exported, home, times) | {"format": FORMAT, "sha256": hashes}
    log = about["log"]
    write_json(_examples(exported) if log is None else made_up_requests(log), target / EXAMPLES)
    write_json(about, target / "policy.json")
    with atomic_path(target / "README.md") as temporary:
        temporary.write_text(_readme(about), encoding="utf-8")
    write_program(target)
    return Written(target, tuple(target / file for file in hashes), tuple(times))


def _times(policy: Policy, exported: Exported, home: Home) -> list[Latency | Unmeasured]:
    return measure(policy, exported, home) if isinstance(policy, Agent) else []


def _examples(exported: Exported) -> list[dict[str, Any]]:
    """Requests by the inputs' names."""
    columns = {name: x.tolist() for name, x in exported.inputs.items()}
    count = len(next(iter(columns.values())))
    return [{name: rows[n] for name, rows in columns.items()} for n in range(count)]


def _about(
    policy: Policy,
    world: World,
    exported: Exported,
    home: Home,
    times: list[Latency | Unmeasured],
) -> dict[str, Any]:
    whole = "candidate_item" not in exported.inputs
    learner = policy if isinstance(policy, Agent) else None
    return {
        "agent": policy.name,
        "world": home.world,
        "world_settings": home.settings,
        "seed": learner.seeds[learner.serving] if learner else None,
        "slates_of_training": learner.steps if learner else 0,
        "num_items": world.catalogue.num_items,
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
            "shape": ["B", world.slate_size],
            "dtype": "int32",
            "meaning": "item ids, best first"
            if whole
            else "positions in candidate_item, best first",
        },
        "masked": exported.masked,  # a method that takes a mask besides
        "log": keys_of(world),  # its keys and words, by number; null: no log
        "observations_checked": CHECKED,
        "torch": torch.__version__,
        "latency": [vars(time) for time in times],
    }


def _meaning(name: str) -> str:
    """Of an input, for people."""
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
    programs = "".join(_CALLS[file].format(names=names) for file in about["sha256"])
    table = f"\n| items | users a call | p50, ms | p95, ms |\n|---|---|---|---|\n{timed}\n"
    return f"""# {in_markdown(about["agent"])}, of {in_markdown(about["world"])}

    from serve import Policy  # with torch, or with onnxruntime and policy.onnx, alone
    slates = Policy(".")(requests)  # examples.json has some; serve.py says what a request holds

{programs}{masked}{about["output"]["meaning"]}: ({shape}) int32.
B, the number of users in a call, is free.

| input | shape | dtype | meaning |
|---|---|---|---|
{rows}

It serves what the agent serves on {about["observations_checked"]} observations that were compared.
Recorded with torch {about["torch"]}.
{table if timed else ""}"""
