"""How a number with its interval is said: in sentences, tables, figures, terminal and README alike.

Every comparison that is printed anywhere passes through `signed`, so that none has its own digits,
signs or rounding, and `said` adds the one rule of "clear".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slategym.experiments.statistics.differences import Difference

TRANSFER = (  # what its interval is, for captions
    "for the world that wrote the log, with the disagreement of judges and of assumptions, and the "
    "error of models as measured in worlds of known truth, allowed for"
)
NO_INTERVAL = "[no interval: one person]"
SIDES = {1: "clearly ahead", 0: "no clear difference", -1: "clearly behind"}


def level(
    value: float, low: float, high: float, digits: int = 2, by_split: Sequence[float] = ()
) -> str:
    """A level and its interval.

    >>> level(22.6, 21.0, 24.1)
    '22.60 [21.00, 24.10]'
    """
    number, ends = parts(value, low, high, digits=digits, by_split=by_split)
    return f"{number} {ends}"


def signed(
    value: float, low: float, high: float, digits: int = 2, by_split: Sequence[float] = ()
) -> str:
    """A difference and its interval, with explicit signs; what rounds to nothing has a plus.

    >>> signed(-0.001, -0.52, 0.5)
    '+0.00 [-0.52, +0.50]'
    >>> signed(1.6, 0.4, 2.8, by_split=(1.2, 2.1, 1.5))
    '+1.60 [+0.40, +2.80; splits +1.20 to +2.10]'
    """
    number, ends = parts(value, low, high, sign="+", digits=digits, by_split=by_split)
    return f"{number} {ends}"


def parts(
    value: float,
    low: float,
    high: float,
    *,
    sign: str = "",
    digits: int = 2,
    by_split: Sequence[float] = (),
) -> tuple[str, str]:
    """The number and its interval apart, for tables that set them differently.

    Args:
        value: of the estimate.
        low: end of its interval.
        high: the other end.
        sign: "+" for differences.
        digits: after the point.
        by_split: the same of each split of the people into parties; (): there is one.
    """
    number, least, most = (f"{x:{sign}z.{digits}f}" for x in (value, low, high))
    if not by_split:
        return number, f"[{least}, {most}]"
    first, last = (f"{x:{sign}z.{digits}f}" for x in (min(by_split), max(by_split)))
    return number, f"[{least}, {most}; splits {first} to {last}]"


def signed_number(value: float, digits: int = 2) -> str:
    """A difference without an interval, of one training seed say."""
    return f"{value:+z.{digits}f}"


def signed_values(found: Mapping[str, float]) -> str:
    """The same as `signed`, of JSON values "value", "low" and "high"."""
    return signed(found["value"], found["low"], found["high"])


def level_values(found: Mapping[str, float]) -> str:
    """The same as `level`, of JSON values."""
    return level(found["value"], found["low"], found["high"])


def per_cent(value: float, sign: str = "", digits: int = 0) -> str:
    """A share; "+" signs it.

    >>> per_cent(0.25), per_cent(0.482, "+", 1)
    ('25 %', '+48.2 %')
    """
    return f"{100 * value:{sign}z.{digits}f} %"


def share(value: float) -> str:
    """A signed share, per cent."""
    return per_cent(value, "+", 1)


AS_MUCH = "as much"  # to the tenth of a per cent


def more_or_less(difference: float, base: float) -> str:
    """A difference from a positive base in per cent, in words; as a number where the base is not.

    >>> more_or_less(-1.5, 30.0), more_or_less(0.001, 30.0), more_or_less(2.0, -1.0)
    ('5.0 % less', 'as much', '2.00 more')
    """
    if base > 0:
        size, unit = f"{abs(100 * difference / base):.1f}", " %"
    else:
        size, unit = f"{abs(difference):.2f}", ""
    if not float(size):
        return AS_MUCH
    return f"{size}{unit} {'more' if difference > 0 else 'less'}"


def shown(difference: Difference) -> str:
    """A comparison in a sentence: the number and its interval.

    Where the interval leaves out zero and the difference is not clear all the same, because it is
    one of many, the adjusted p-value says so.
    """
    estimate, p = difference.estimate, difference.adjusted
    text = estimate.signed()
    if difference.side or p is None or not (estimate.above_zero or estimate.below_zero):
        return text
    return f"{text.removesuffix(']')}; adjusted p {p:.3f}]"


def transferred(difference: Difference) -> str:
    """The interval of a difference for the world of the log; "" where there is no log."""
    found = difference.transfer
    return "" if found is None else parts(found.value, found.low, found.high, sign="+")[1]


def said(difference: Difference) -> str:
    """The same, and whether it is clear."""
    return f"{SIDES[difference.side]}, {shown(difference)}"


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
