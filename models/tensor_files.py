"""Tensors in a safetensors file with the hash of what it holds, and checkpoints made of them.

The last two checkpoints are kept: the older one is taken where the newer is damaged.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from slategym.models.checksums import Damaged, set_aside
from slategym.models.files import atomic_path, sweep

logger = logging.getLogger(__name__)

FORMAT = "1"  # of these files; raise it when what is written changes
HASH = "sha256"  # key of the notes: of names, kinds, shapes, values and all other notes


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write the file, whole or not at all.

    Args:
        path: its folder is made if absent.
        tensors: by name.
        notes: kept beside them.

    Raises:
        OSError: it cannot be written; the path is named.
    """
    flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    kept = {**notes, "format": FORMAT}
    kept[HASH] = _hash(flat, kept)
    with atomic_path(path) as temporary:
        try:
            save_file(flat, temporary, metadata=kept)
        except SafetensorError as error:  # it hides what the system said
            code = re.search(r"os error (\d+)", str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, on the CPU, and the notes.

    Raises:
        Damaged: the file is cut short or altered, or was not written by `write_tensors`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Damaged(f"{path} is damaged ({error})") from error
    if notes.pop(HASH, None) != _hash(tensors, notes):
        raise Damaged(f"{path} was altered, or written by an earlier version")
    return tensors, notes


def read_weights(
    path: Path, like: Mapping[str, Tensor], sparse: Collection[str] = ()
) -> dict[str, Tensor]:
    """A network's weights, which must be those of such a network and numbers.

    Args:
        path: safetensors.
        like: tensors of these names and shapes are wanted; values do not matter.
        sparse: names of tables in which NaN stands for a value that is not known.

    Raises:
        Damaged: the file cannot be read. ValueError: one is missing or too many, of another shape,
            or NaN.
    """
    weights = {}
    try:
        with safe_open(path, framework="pt") as file:
            if other := like.keys() ^ set(file.keys()):
                told = "lacks" if min(other) in like else "holds"
                raise ValueError(f"{path.name} {told} {min(other)}")
            for name, mine in like.items():
                shape = tuple(file.get_slice(name).get_shape())
                if shape != tuple(mine.shape):
                    raise ValueError(f"{path.name}: {name} is {shape}, not {tuple(mine.shape)}")
                weights[name] = file.get_tensor(name)
                if name not in sparse and weights[name].isnan().any():
                    raise ValueError(f"{path.name}: {name} is not a number throughout (NaN)")
    except SafetensorError as error:
        raise Damaged(f"{path} is damaged ({error})") from error
    return weights


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _new(path: Path) -> Path:
    return path.with_name(f"{path.stem}.new{path.suffix}")


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write a checkpoint; the last one becomes the previous one, and half a one is removed.

    Args, raises: as `write_tensors`.
    """
    new = _new(path)
    sweep(new)
    write_tensors(new, tensors, {**notes, "status": "training"})
    if path.is_file():
        os.replace(path, previous(path))
    os.replace(new, path)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The last checkpoint that is whole; None: there is none. Damaged ones are set aside."""
    for place in (path, previous(path)):
        if place.is_file():
            try:
                return read_tensors(place)
            except Damaged as error:
                then = "going on from the one before it" if place == path else "starting anew"
                if place == path and not previous(path).is_file():
                    then = "starting anew"
                logger.warning("%s; set aside as %s, %s", error, set_aside(place).name, then)
    return None


def remove_checkpoints(path: Path, *, but_last: bool = False) -> None:
    """Delete checkpoints, those set aside and a half-kept one too; `but_last`: keep the last."""
    sweep(_new(path))
    for part in path.parent.glob(f"{path.stem}*{path.suffix}*"):
        if not (but_last and part == path):
            part.unlink(missing_ok=True)


def _hash(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    digest = sha256(json.dumps(dict(notes), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}\n{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
