"""The same policies in worlds and before judges of every family: does a lead depend on it?

What is tuned, is tuned once, in the world of the usual family, and read everywhere as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slategym.agents.core.tuning import Tuned
from slategym.agents.registry import make_policies
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.experiments.measure.compare import Comparison, compare
from slategym.models.data.log import Log
from slategym.models.people.registry import family_names, find_family
from slategym.models.simulator.world import learned_world

ROLES = ("world", "judge")


@dataclass(frozen=True)
class FamilyGrid:
    """One comparison for every role and family."""

    cells: Mapping[tuple[str, str], Comparison]  # by role and family
    notes: tuple[str, ...]  # what was tuned; who does worse than no model

    @property
    def policies(self) -> tuple[str, ...]:
        """Their names, as given."""
        return tuple(next(iter(self.cells.values())).means)

    def summary(self) -> list[str]:
        """A sentence for each policy but the first: in how many cells the first is ahead.

        Clear is clear in a cell alone: p-values are not adjusted for the number of cells.
        """
        first, *others = self.policies
        said = []
        for at, other in enumerate(others):
            found = [cell.differences[at] for cell in self.cells.values()]
            ahead = sum(d.estimate.value > 0 for d in found)
            clear = sum(d.clear and d.estimate.value > 0 for d in found)
            against = sum(d.clear and d.estimate.value < 0 for d in found)
            said.append(
                f"{first} - {other}: above zero in {ahead} of {len(found)} (clearly in {clear}), "
                f"clearly below in {against}"
            )
        return said


def compare_families(
    log: Log | str | Path,
    policies: Sequence[str],
    users: int = 200,
    *,
    families: Sequence[str] | None = None,
    seed: int = 0,
    batch: int = 512,
    on_cell: Callable[[str, str], None] | None = None,
    **settings: Any,
) -> FamilyGrid:
    """Read policies in worlds of each family and before judges of each.

    Args:
        log: a log, its folder, or the name of a data set.
        policies: two or more, names that `slategym agents` lists or folders of trained ones.
        users: of the evaluation people's arrivals, the first so many.
        families: of people; None: all of ours. One that does worse than no model is taken all the
            same, and said.
        seed: of the luck, the same everywhere.
        batch: users side by side; changes no result.
        on_cell: told of the role and the family that are about to be read.
        settings: of `learned_world`, such as assumptions.

    Raises:
        UsageError: there is no such family, policy or log.
    """
    names = [find_family(name) for name in families or family_names()]
    taken = {"role", "family", "anyway", "static"} & settings.keys()
    if taken:
        raise UsageError(f"{', '.join(sorted(taken))}: every role and family is read; leave it out")
    given = {"users": "evaluation", **settings}
    chosen, notes = _chosen(learned_world(log, **given), policies)
    cells = {}
    for role in ROLES:
        for family in names:
            if on_cell is not None:
                on_cell(role, family)
            world = learned_world(log, role=role, family=family, anyway=True, **given)  # type: ignore[arg-type]
            notes += [f"{role} {what}: {why}" for what, _, why in world.labels if "anyway" in why]
            there = replace(world, chosen={**world.chosen, **chosen})
            cells[role, family] = compare(there, policies, users, seed=seed, batch=batch)
    return FamilyGrid(cells, tuple(notes))


def _chosen(world: World, policies: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What is tuned in the usual world, by name, and a line of each."""
    chosen, notes = dict[str, Any](), list[str]()
    for name in policies:
        for policy in make_policies(name, world).values():
            for step in policy.steps if isinstance(policy, Tuned) else ():
                chosen[step.name] = dict(step.chosen)
                notes += [str(step)] if str(step) not in notes else []
    return chosen, notes
