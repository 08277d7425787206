"""What a training keeps in its folder while it runs: which it is, how it stands, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from slategym.agents.core.files import ABOUT, BEGUN, CHECKPOINT, FORMAT, WEIGHTS, set_damage_aside
from slategym.envs.names import UsageError
from slategym.models.checksums import read_json
from slategym.models.files import sweep
from slategym.models.status import Status, status_kept, write_status
from slategym.models.tensor_files import load_checkpoint, save_checkpoint

UNTOLD = (
    "fingerprint",
    "steps",
    "served",
    "format",
    "status",
    "reason",
)  # no difference of settings


@dataclass(frozen=True)
class Keeping:
    """The folder of one training."""

    folder: Path
    description: Mapping[str, Any]  # all that determines the training, JSON
    fingerprint: str  # of the description

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, no other process trains in this folder.

        Raises:
            UsageError: another does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                for name in (BEGUN, WEIGHTS, ABOUT):
                    sweep(self.folder / name)
                yield
        except Timeout:
            raise UsageError(
                f"another process is training in {self.folder}; wait until it ends, or choose "
                "another folder"
            ) from None

    def take_up(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last whole checkpoint's tensors and notes; None: the training begins.

        Raises:
            UsageError: another training lies there, or the checkpoint of another.
        """
        set_damage_aside(self.folder)
        begun = self.folder / BEGUN
        if begun.is_file():
            theirs = read_json(begun)
            if theirs.get("fingerprint") != self.fingerprint:
                mine = json.loads(json.dumps(self.description))  # tuples as lists
                raise UsageError(
                    f"{self.folder} holds a training with other settings "
                    f"({differences(theirs, mine)}); resume with the same ones, or choose another "
                    "folder"
                )
        found = load_checkpoint(self.folder / CHECKPOINT)
        if found is None:
            return None
        tensors, notes = found
        if notes["fingerprint"] != self.fingerprint:
            raise UsageError(
                f"{self.folder / CHECKPOINT} is the checkpoint of another training (other "
                "settings, world or seed); delete it to begin anew, or choose another folder"
            )
        return tensors, json.loads(notes["so_far"])

    def checkpoint(self, tensors: Mapping[str, Tensor], so_far: Mapping[str, Any]) -> None:
        """Keep the state, and the one kept before."""
        notes = {"fingerprint": self.fingerprint, "so_far": json.dumps(so_far)}
        save_checkpoint(self.folder / CHECKPOINT, tensors, notes)

    def status(self, status: Status, reason: str = "") -> None:
        """Write down how the training stands."""
        about = {**self.description, "fingerprint": self.fingerprint, "format": FORMAT}
        write_status(self.folder / BEGUN, about, status, reason)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Within, the training runs; however the block ends, its status is written down."""
        with status_kept(self.status):
            yield


def differences(theirs: Mapping[str, Any], mine: Mapping[str, Any], limit: int = 3) -> str:
    """The first few values in which two descriptions differ, for people."""
    found = []
    for name in sorted(theirs.keys() | mine.keys()):
        a, b = theirs.get(name), mine.get(name)
        if a == b or name in UNTOLD:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            found.append(differences(a, b, limit))
        else:
            found.append(f"{name} {a} there, {b} here")
    return "; ".join(found[:limit])
