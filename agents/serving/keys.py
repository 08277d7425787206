"""A log's own keys beside an exported policy, and the program that takes requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slategym.envs.types import Column, World

SERVE = "serve.py"  # lies in the exported folder too, as it is


def keys_of(world: World) -> dict[str, Any] | None:
    """What `policy.json` says of the log, as `serve.py` reads it; None: the world has no log.

    Returns:
        items: N keys, by item number. signals: M in the order of the feedback's columns, each with
        name, kind, unit, scale and, where it follows from another signal, at_least. profile and
        context: columns with the categories that the numbers stand for; a context column also with
        the number of what is unknown.
    """
    keys = world.keys
    if keys is None:
        return None
    signals = []
    for signal in world.users.signals:
        rule = None
        if signal.name == "like" and keys.like is not None:
            rule = {"signal": keys.like[0], "value": keys.like[1]}
        end = None if signal.high == float("inf") else signal.high  # JSON has no infinity
        about = {"name": signal.name, "kind": signal.kind, "unit": signal.unit, "low": signal.low}
        signals.append(about | {"high": end, "at_least": rule})
    return {
        "items": list(keys.item),
        "signals": signals,
        "profile": [_column(column) for column in keys.traits],
        "context": [
            _column(column) | {"unknown": x}
            for column, x in zip(world.context.columns, keys.usual, strict=True)
        ],
    }


def made_up_requests(log: dict[str, Any], count: int = 20) -> list[dict[str, Any]]:
    """Requests under the log's own names; nobody's: made from its keys and bounds alone.

    Args:
        log: what `keys_of` said.
        count: of requests, each with some events more than the one before.
    """
    said = [signal for signal in log["signals"] if signal["at_least"] is None]
    requests = []
    for number in range(count):
        began = 1_700_000_000 + 3_600 * number
        events = [
            {
                "item": log["items"][(7 * number + 13 * back) % len(log["items"])],
                "time": began - 60 * (number - back),
                **{s["name"]: s["low"] if s["high"] is None else s["high"] for s in said},
            }
            for back in range(min(number, len(log["items"])))
        ]
        visit = {"time": began}
        for column in log["context"]:
            words = column["categories"]
            visit[column["name"]] = words[number % len(words)] if words else column["unknown"]
        user = {x["name"]: x["categories"][number % len(x["categories"])] for x in log["profile"]}
        requests.append({"user": user, "visit": visit, "events": events})
    return requests


def write_program(folder: Path) -> None:
    """Lay `serve.py` beside the policy."""
    text = Path(__file__).with_name(SERVE).read_text(encoding="utf-8")
    (folder / SERVE).write_text(text, encoding="utf-8")


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "categories": list(column.categories), "unit": column.unit}
