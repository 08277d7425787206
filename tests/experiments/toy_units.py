"""Units small enough to run many of. Importable by the processes that tests start."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from slategym.envs.names import UsageError
from slategym.experiments.runs.units import Unit, Work


@dataclass(frozen=True)
class Toy:
    """What a toy unit is told."""

    seed: int
    deed: str = "work"


def toy(seed: int, deed: str = "work", needs: tuple[Unit, ...] = (), cost: float = 1.0) -> Unit:
    return Unit(f"toy {deed} {seed}", "toy_units:run", Toy(seed, deed), needs, cost=cost)


def run(work: Work) -> pd.DataFrame:
    """Does what the spec says, and leaves a mark that it was asked."""
    marks = Path(work.settings["marks"])
    mark = marks / work.unit.id
    mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
    with (marks / "order").open("a") as order:
        order.write(f"{work.spec.seed}\n")
    work.progress(1, 2, "half way")
    deed = work.spec.deed
    if deed == "fail":
        raise ValueError("the toy\nbroke")
    if deed == "misuse":
        raise UsageError("no such toy")
    if deed == "die" or (deed == "die once" and mark.read_text() == "x"):
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "wait once":
        (marks / f"pid-{work.spec.seed}").write_text(str(os.getpid()))
        time.sleep(120 if mark.read_text() == "x" else 0)
    if deed == "sleep":
        (marks / f"pid-{work.spec.seed}").write_text(str(os.getpid()))
        time.sleep(120)
    if deed == "weights":
        (work.folder / "weights.bin").write_bytes(b"12345")
    if deed == "name your process":
        return pd.DataFrame({"value": [os.getpid()]})
    below = sum(float(work.store.read(unit)["value"].sum()) for unit in work.unit.needs)
    if deed != "torch":
        return pd.DataFrame({"value": [work.spec.seed + below]})
    import torch

    torch.manual_seed(work.spec.seed)
    value = torch.randn(1000, 1000).sum().item() + below
    return pd.DataFrame({"value": [value], "threads": [torch.get_num_threads()]})


def metrics(work: Work) -> dict[str, Any]:
    return {"auc": 0.1 + 0.2, "protocol": "made up", "none": None}


def not_a_number(work: Work) -> dict[str, Any]:
    return {"auc": float("nan")}
