"""What one check says, and where the bounds between pass, warn and fail lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["pass", "warn", "fail", "left out"]
STATUSES: tuple[Status, ...] = ("fail", "warn", "pass", "left out")


@dataclass(frozen=True)
class Bounds:
    """Up to `passes` a figure passes, up to `warns` it is warned of, above that it fails."""

    passes: float
    warns: float

    def status(self, least: float) -> Status:
        """Of a figure that is at least so large, once its uncertainty is allowed for."""
        if least <= self.passes:
            return "pass"
        return "warn" if least <= self.warns else "fail"

    def __str__(self) -> str:
        return f"pass to {self.passes:g}, warn to {self.warns:g}"


@dataclass(frozen=True)
class Line:
    """One check."""

    part: str  # heading that it stands under
    check: str  # what is compared
    status: Status
    said: str  # in words: both sides, or why it is left out
    figure: float | None = None  # what the bounds are for; None: left out
    low: float | None = None  # of a 95 % interval, where there is one
    high: float | None = None
    bounds: Bounds | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        bounds = None if self.bounds is None else [self.bounds.passes, self.bounds.warns]
        own = {
            key: None if value is None or not math.isfinite(value) else value
            for key, value in (("figure", self.figure), ("low", self.low), ("high", self.high))
        }
        head = {"part": self.part, "check": self.check, "status": self.status, "said": self.said}
        return {**head, **own, "bounds": bounds}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Line:
        """What `to_json` gave."""
        bounds = values["bounds"]
        own = {**values, "bounds": None if bounds is None else Bounds(*bounds)}
        return Line(**own)


def left_out(part: str, check: str, why: str) -> Line:
    """A check that this log or this world does not allow."""
    return Line(part, check, "left out", why)
