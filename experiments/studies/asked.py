"""What the command line asks of a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """The options of `slategym benchmark`. None: the study's own."""

    profile: str  # how much of everything
    out: Path  # run folder
    workers: int  # processes; 0: this one
    device: str  # to compute on
    seeds: int | None = None  # of training, each agent
    users: int | None = None  # on whom policies are read
    slate_size: int | None = None  # K, where a study has it
