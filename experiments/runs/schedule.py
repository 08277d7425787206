"""Which units are missing, and which of them comes next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, closure

BUILT_IN = 3.0  # seconds in which a world is built, roughly: worth as much as a longer way


class Queue:
    """Units still to do. Those with the longest way to the end go first."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.waiting = {unit.id: unit for unit in units}
        self.undone = set(self.waiting)
        self.way = _way(units)

    def next(self, world: str = "", elsewhere: Collection[str] = ()) -> Unit | None:
        """Take a unit whose needs are done; None: there is none now.

        Of units whose ways are about as long, who asks is given one of the world that is there
        already, then one whose world nobody else has.

        Args:
            world: that who asks has ready; "": none.
            elsewhere: those that others have.
        """
        ready = [u for u in self.waiting.values() if not self.undone & {n.id for n in u.needs}]
        if not ready:
            return None
        longest = max(self.way[unit.id] for unit in ready)
        alike = [unit for unit in ready if self.way[unit.id] >= longest - BUILT_IN]
        here = [unit for unit in alike if unit.world and unit.world == world]
        free = [unit for unit in alike if unit.world not in elsewhere]
        chosen = max(here or free or ready, key=lambda unit: self.way[unit.id])
        return self.waiting.pop(chosen.id)

    def done(self, unit: Unit) -> None:
        """What waited for this one may start."""
        self.undone.remove(unit.id)


def missing(units: Iterable[Unit], store: Store) -> tuple[list[Unit], list[Unit]]:
    """Units to compute, what is needed first, and those of them whose file is no good.

    What only a completed unit needed is left alone.
    """
    ahead = list(units)
    state: dict[str, str] = {}
    asked = closure(ahead)
    while ahead:
        unit = ahead.pop()
        if unit.id not in state:
            state[unit.id] = store.state(unit)
            if state[unit.id] != "done":
                ahead.extend(unit.needs)
    todo = [unit for unit in asked if state.get(unit.id, "done") != "done"]
    return todo, [unit for unit in todo if state[unit.id] == "damaged"]


def _way(units: Sequence[Unit]) -> dict[str, float]:
    """Seconds from the start of each unit to the end of all that waits for it.

    Args:
        units: what is needed stands before what needs it.
    """
    way = {unit.id: unit.cost for unit in units}
    for unit in reversed(units):
        for needed in unit.needs:
            if needed.id in way:
                way[needed.id] = max(way[needed.id], needed.cost + way[unit.id])
    return way
