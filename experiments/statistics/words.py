"""How a number with its interval is said: in sentences, tables, figures, terminal and README alike.

Every comparison that is printed anywhere passes through `signed`, so that none has its own digits,
signs or rounding, and `said` adds the one rule of "clear".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slategym.experiments.statistics.differences import Difference

SIDES = {1: "clearly ahead", 0: "no clear difference", -1: "clearly behind"}


def level(value: float, low: float, high: float, digits: int = 2) -> str:
    """A level and its interval.

    >>> level(22.6, 21.0, 24.1)
    '22.60 [21.00, 24.10]'
    """
    number, ends = parts(value, low, high, digits=digits)
    return f"{number} {ends}"


def signed(value: float, low: float, high: float, digits: int = 2) -> str:
    """A difference and its interval, with explicit signs; what rounds to nothing has a plus.

    >>> signed(-0.001, -0.52, 0.5)
    '+0.00 [-0.52, +0.50]'
    """
    number, ends = parts(value, low, high, sign="+", digits=digits)
    return f"{number} {ends}"


def parts(
    value: float, low: float, high: float, *, sign: str = "", digits: int = 2
) -> tuple[str, str]:
    """The number and its interval apart, for tables that set them differently.

    Args:
        value: of the estimate.
        low: end of its interval.
        high: the other end.
        sign: "+" for differences.
        digits: after the point.
    """
    number, least, most = (f"{x:{sign}z.{digits}f}" for x in (value, low, high))
    return number, f"[{least}, {most}]"


def signed_number(value: float, digits: int = 2) -> str:
    """A difference without an interval, of one training seed say."""
    return f"{value:+z.{digits}f}"


def signed_values(found: Mapping[str, float]) -> str:
    """The same as `signed`, of JSON values "value", "low" and "high"."""
    return signed(found["value"], found["low"], found["high"])


def level_values(found: Mapping[str, float]) -> str:
    """The same as `level`, of JSON values."""
    return level(found["value"], found["low"], found["high"])


def share(value: float) -> str:
    """A signed share, per cent."""
    return f"{value:+z.1%}"


def said(difference: Difference) -> str:
    """A comparison in a sentence: the number, its interval, and whether it is clear."""
    return f"{SIDES[difference.side]}, {difference.estimate.signed()}"


def said_in_a_cell(difference: Difference) -> str:
    """A comparison in a cell of a Markdown table: bold where it is clear."""
    shown = difference.estimate.signed()
    return f"**{shown}**" if difference.side else shown


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names with commas, and an "and" before the last.

    >>> listed(("a", "b", "c"))
    'a, b and c'
    """
    if not names:
        return ""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
