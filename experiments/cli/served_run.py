"""Which policy of a folder `slategym serve` serves. Nothing here imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from slategym.agents.core.files import ABOUT, read_about
from slategym.agents.registry import find_entry, folder_and_seed
from slategym.envs.names import UsageError

POLICY, SUMMARY, STUDY = "policy.json", "summary.json", "study.json"
PROGRAMS = {"torch": "policy.pt", "onnxruntime": "policy.onnx"}


class Best(NamedTuple):
    """The policy that earned most in a study's world, and no reference."""

    policy: str
    place: str
    value: float  # return a session, mean
    run: str  # what `slategym export` takes: a training's folder, or the policy's name
    world: str
    settings: dict[str, Any]


def exported_in(run: str, runtime: str = "") -> Path | None:
    """The exported folder that is meant; None: there is none, or of an earlier training.

    Args:
        run: an exported folder, or a training's.
        runtime: which program must be there; "": any.
    """
    folder, seed = folder_and_seed(run)
    wanted = [PROGRAMS[runtime]] if runtime else list(PROGRAMS.values())
    if (folder / POLICY).is_file():
        return folder
    inside = folder / "export"
    if not ((folder / ABOUT).is_file() and (inside / POLICY).is_file()):
        return None
    kept, said = read_about(folder), json.loads((inside / POLICY).read_text(encoding="utf-8"))
    trained = {"seed": kept["seeds"][0] if seed is None else seed, "steps": kept["steps"]}
    same = {"seed": said.get("seed"), "steps": said.get("slates_of_training")} == trained
    there = any((inside / name).is_file() for name in wanted)
    return inside if same and there and "num_items" in said else None


def best_of_study(run: str) -> Best | None:
    """Of a study's folder; None: it is no such folder.

    References are left out: they are told what no service knows.

    Raises:
        UsageError: the study has no result yet; the training's folder is gone.
    """
    folder = Path(run)
    if not (folder / STUDY).is_file():
        return None
    if not (folder / SUMMARY).is_file():
        raise UsageError(f"{folder} holds a study without a result; let slategym benchmark finish")
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    places = json.loads((folder / STUDY).read_text(encoding="utf-8"))["places"]
    place = next(one for one in places if one["role"] == "open")
    means: dict[str, float] = summary["means"][place["name"]]
    real = {name: x for name, x in means.items() if find_entry(name).kind != "reference"}
    if not real:
        raise UsageError(f"{folder}: every policy in {place['name']} is a reference")
    policy = max(real, key=real.__getitem__)
    taken = policy
    if find_entry(policy).agent is not None:
        found = sorted((folder / "work").glob(f"{policy}-{place['name']}-seed-*/{ABOUT}"))
        if not found:
            raise UsageError(f"{folder / 'work'} holds no training of {policy} any more")
        taken = str(found[0].parent)
    return Best(policy, place["name"], real[policy], taken, place["world"], place["settings"])
