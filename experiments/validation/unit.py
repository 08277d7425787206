"""Validation as a unit of a study: its world held against its log before anything is learned."""

from __future__ import annotations

from typing import Any

from slategym.experiments.measure.preparation import builder_for, quality_of
from slategym.experiments.measure.units import world_of
from slategym.experiments.runs.units import Work
from slategym.experiments.validation.validate import validate_world

STEPS = 4  # that a validation tells, roughly


def validate(work: Work) -> dict[str, Any]:
    """The world of a place against the log that it was learned from, as `slategym validate` does.

    Returns:
        what `Validation.to_json` gives.
    """
    spec, done = work.spec, 0

    def tell(step: str) -> None:
        nonlocal done
        work.progress(done, STEPS, step)
        done += 1

    world = world_of(spec["world"], spec["settings"], work.settings.get("device", "cpu"))
    found = validate_world(
        world,
        builder_for(spec).log,
        users=spec["users"],
        seed=0,
        quality=quality_of(spec["world"], spec["settings"]),
        tell=tell,
    )
    return found.to_json()
