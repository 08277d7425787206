"""Which policy of a folder `slategym serve` serves. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from slategym.agents.core.files import ABOUT, read_about
from slategym.agents.registry import find_entry, folder_and_seed
from slategym.envs.names import UsageError
from slategym.experiments.measure.acted import STUDY, SUMMARY, acting, open_place
from slategym.models.checksums import read_json

POLICY = "policy.json"
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
    kept, said = read_about(folder), read_json(inside / POLICY)
    trained = {"seed": kept["seeds"][0] if seed is None else seed, "steps": kept["steps"]}
    same = {"seed": said.get("seed"), "steps": said.get("slates_of_training")} == trained
    there = any((inside / name).is_file() for name in wanted)
    return inside if same and there and "num_items" in said else None


def best_of_study(run: str, trust: bool = False) -> Best | None:
    """Of a study's folder; None: it is no such folder.

    References are left out: they are told what no service knows.

    Raises:
        UsageError: the study has no result yet, or cannot be read; nothing in it can be served; it
            names code that is not registered, and is not trusted.
    """
    folder = Path(run)
    if not (folder / STUDY).is_file():
        return None
    if not (folder / SUMMARY).is_file():
        raise UsageError(f"{folder} holds a study without a result; let slategym benchmark finish")
    place = open_place(folder, trust=trust)
    means = place.means or {}
    for policy in sorted(means, key=lambda name: -means[name]):
        taken = acting(folder, policy, place.name)
        if taken is not None and not _is_told(policy):
            return Best(policy, place.name, means[policy], taken, place.world, place.settings)
    raise UsageError(
        f"{folder} has nothing to serve in {place.name}: references, or trainings that are gone"
    )


def _is_told(policy: str) -> bool:
    """Whether it is a reference, which no service can be."""
    try:
        return find_entry(policy).kind == "reference"
    except UsageError:
        return False  # a learner under the study's own name
