"""Units one after the other, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from slategym.envs.names import UsageError
from slategym.experiments.runs.errors import UnitError, describe
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import compute
from slategym.models.threads import one_torch_thread


class Here:
    """This process; a unit's error keeps its cause."""

    def run(self, queue: Queue, store: Store, settings: Mapping[str, Any], view: View) -> None:
        """See `Backend`."""
        with one_torch_thread():
            world = ""
            while (unit := queue.next(world)) is not None:
                view.start(unit)
                try:
                    compute(unit, store, settings, partial(view.progress, unit))
                except UsageError as error:
                    raise UsageError(f"{unit.label}: {error}") from error
                except Exception as error:
                    raise UnitError(f"{unit.label}: {describe(error)}") from error
                view.finish(unit)
                queue.done(unit)
                world = unit.world or world

    def close(self) -> None:
        """Nothing waits."""
