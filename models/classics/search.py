"""Choosing settings: up and down the ladders of one setting after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Settings = Mapping[str, float]


def climb(
    ladders: Mapping[str, Sequence[float]],
    start: Settings,
    loss: Callable[[Settings], float],
    *,
    sweeps: int = 2,
) -> tuple[dict[str, float], float]:
    """Move each setting to its neighbour on the ladder for as long as that lowers the loss.

    Args:
        ladders: values of each setting, in order; settings without a ladder stay as they are.
        start: where to begin; a value on every ladder.
        loss: what to lower; asked once for each combination.
        sweeps: over all settings; fewer if one changes nothing.

    Returns:
        The settings found and their loss.

    Raises:
        ValueError: if a setting does not begin on its ladder.

    >>> climb({"x": [0, 1, 2, 3, 4]}, {"x": 0, "y": 5}, lambda s: (s["x"] - 3) ** 2)
    ({'x': 3, 'y': 5}, 0)
    """
    for name, ladder in ladders.items():
        if start[name] not in ladder:
            raise ValueError(f"{name} begins at {start[name]}, which is not among {list(ladder)}")
    asked: dict[tuple[float, ...], float] = {}

    def of(settings: Settings) -> float:
        key = tuple(settings.values())
        if key not in asked:
            asked[key] = loss(settings)
        return asked[key]

    best = dict(start)
    for _ in range(sweeps):
        before = dict(best)
        for name, ladder in ladders.items():
            for step in (1, -1):
                at = ladder.index(best[name]) + step
                while 0 <= at < len(ladder) and of(best | {name: ladder[at]}) < of(best):
                    best[name] = ladder[at]
                    at += step
        if best == before:
            break
    return best, of(best)
