"""A unit of work: one spec, one function, one file written whole or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from slategym.envs.names import UsageError, load_object, lookup
from slategym.models.hashes import hash_of

if TYPE_CHECKING:
    import pandas as pd

    from slategym.experiments.runs.store import Store


MEASURE = "slategym.experiments.measure"
FUNCTIONS = {  # what units compute: a name for good, with its version, and where it stands today
    "learn@1": f"{MEASURE}.units:learn",
    "read@1": f"{MEASURE}.units:read",
    "stop@1": f"{MEASURE}.goodhart:stop",
    "watch@1": f"{MEASURE}.goodhart:watch",
    "tune@1": f"{MEASURE}.units:tune",
    "slates@1": f"{MEASURE}.slates:slates",
    "traits@1": f"{MEASURE}.traits:traits",
    "serving@1": f"{MEASURE}.latency:serving",
    "trial@1": f"{MEASURE}.search:trial",
    "describe@1": f"{MEASURE}.units:describe",
    "headroom@1": f"{MEASURE}.units:headroom",
    "log@1": f"{MEASURE}.preparation:log",
    "fit@2": f"{MEASURE}.preparation:fit",
    "constants@1": f"{MEASURE}.preparation:constants",
    "accuracy@2": f"{MEASURE}.preparation:accuracy",
    "judging@1": f"{MEASURE}.preparation:judging",
    "validate@1": "slategym.experiments.validation.unit:validate",
    "write-log@2": "slategym.experiments.truth.units:write",
    "told@1": "slategym.experiments.truth.units:told",
    "read-truth@1": "slategym.experiments.truth.units:read",
    "watch-truth@1": "slategym.experiments.truth.units:watch",
}
"""A function that computes something else than before gets another version, never another name.

A unit's id holds the name, so that finished runs survive when a function moves.
"""


class Progress(Protocol):
    """How a unit says how far it is, in any unit, with a word on what is going on."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """At done of total."""
        ...


@dataclass(frozen=True)
class Unit:
    """Something to compute once.

    Everything that may change its result is in `function`, `spec` and `needs`; together they make
    its id. Everything else (device, log folder) is given to `run_units` as settings.
    """

    label: str  # for people: "plackett-luce, seed 1"
    function: str  # name in FUNCTIONS, or another package's "module:name": from Work to its result
    spec: Any  # see hashes.canonical_json
    needs: tuple[Unit, ...] = ()  # done before it
    kind: Literal["parquet", "json"] = "parquet"  # what the function returns: DataFrame or values
    cost: float = field(default=1.0, compare=False)  # seconds, roughly: for order and ETA only

    @cached_property
    def id(self) -> str:
        """Short name, the same in every process."""
        return hash_of(
            {"function": self.function, "spec": self.spec, "needs": [u.id for u in self.needs]}
        )

    @cached_property
    def world(self) -> str:
        """Hash of the world that it is about, which a process keeps ready for a while; "": none."""
        if not isinstance(self.spec, Mapping) or "world" not in self.spec:
            return ""
        settings = self.spec.get("world_settings", self.spec.get("settings"))
        return hash_of([self.spec["world"], settings])

    @cached_property
    def name(self) -> str:
        """File name without suffix: readable, then the id."""
        readable = re.sub(r"[^a-z0-9.]+", "-", self.label.lower()).strip("-.")[:60]
        return f"{readable}-{self.id}"

    def load(self) -> Callable[[Work], Any]:
        """The function.

        Raises:
            ValueError: if there is no such function.
        """
        try:
            path = self.function
            path = path if ":" in path else lookup("unit", path, FUNCTIONS)
            function: Callable[[Work], Any] = load_object(path)
        except UsageError as error:
            raise ValueError(f"{self.label}: there is no function {self.function}") from error
        return function


@dataclass(frozen=True)
class Work:
    """What a unit's function is given."""

    unit: Unit
    store: Store
    settings: Mapping[str, Any]  # may not change a result
    progress: Progress

    @property
    def spec(self) -> Any:
        """All that determines the result."""
        return self.unit.spec

    @property
    def folder(self) -> Path:
        """A folder of this unit's own, for what does not fit one table (weights, checkpoints).

        It survives a kill, so that a checkpoint in it can be taken up. What lies in it when the
        unit is done belongs to the result: if a file of it is lost, the unit runs again.
        """
        return self.store.folder_of(self.unit)

    def need(self, function: str) -> Unit:
        """The one unit of this function that this one needs."""
        (found,) = (unit for unit in self.unit.needs if unit.function == function)
        return found

    def needed(self, function: str) -> Any:
        """Its result: a DataFrame or JSON values."""
        return self.store.read(self.need(function))

    def needed_folder(self, function: str) -> Path:
        """Its folder."""
        return self.store.folder_of(self.need(function))


def closure(units: Iterable[Unit]) -> list[Unit]:
    """These units and all that they need, each id once, what is needed first."""
    found: dict[str, Unit] = {}

    def visit(unit: Unit) -> None:
        if unit.id not in found:
            for needed in unit.needs:
                visit(needed)
            found[unit.id] = unit

    for unit in units:
        visit(unit)
    return list(found.values())


def read_rows(store: Store, units: Iterable[Unit]) -> pd.DataFrame:
    """The tables of these units, one below the other, in this order."""
    import pandas as pd

    return pd.concat([store.read(unit) for unit in units], ignore_index=True)


def compute(unit: Unit, store: Store, settings: Mapping[str, Any], progress: Progress) -> None:
    """Run one unit and keep its result."""
    began = time.monotonic()
    result = unit.load()(Work(unit, store, settings, progress))
    store.write(unit, result, time.monotonic() - began)
