"""Requests in, slates out: a policy that slategym exported, with torch or onnxruntime alone.

    from serve import Policy
    policy = Policy("this folder")
    policy([{"user": {"age": "young"}, "visit": {"time": 1700000000, "device": "phone"},
             "events": [{"item": "p007", "time": 1699999000, "dwell": 2.5}]}])

A request is one user's next slate; examples.json has some. Of a policy that was trained in a world
learned from a log:
- user: the traits that the log has, each one of its categories.
- events: what the user took, each with item, time (unix seconds, UTC) and the signals that were
  observed, under the log's names. One of this visit also says on which of the visit's slates the
  item was, counted from 0: slate. What was shown and not taken is left out.
- visit: time at which the visit began, and the log's context columns then; what is not known may be
  absent. Clocks that are not UTC say hour (0 to 24) and weekday (0: Monday) besides.
- now: the same of this moment; absent: as the visit began.
- slates: how many the user has seen in this visit; absent: none.
- shown: the last of them, newest last, each a list of item keys; what was taken of them follows
  from the events; absent: not known, as if none had been shown.
- earlier: keys of items taken before that are not among the events.
Of any other policy: its inputs by name, as policy.json lists them, one user's each.

From a shell: `python serve.py examples.json` prints the slates as JSON.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

LONG_AGO = 10_000  # age of an event before this visit, slates
MOST = 10_000  # entries of a list in a request
LATEST = 1e11  # unix seconds
FILE = 100_000_000  # bytes of policy.json, and numbers of an input of one user, at most
FIELDS = ("user", "events", "visit", "now", "slates", "shown", "earlier")
ABOUT = "policy.json"
RUNTIMES = {"torch": "policy.pt", "onnxruntime": "policy.onnx"}
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "float32", "float64")
Request = Mapping[str, Any]
Row = dict[str, Any]  # one user's inputs by name, nested lists


class Policy:
    """The program in a folder, between requests and its numbers."""

    def __init__(self, folder: str | Path = ".", runtime: str | None = None) -> None:
        """Read `policy.json` and the program.

        Args:
            folder: that `slategym export` wrote.
            runtime: "torch" or "onnxruntime"; None: the first that is installed and has a program.

        Raises:
            ValueError: there is no program for it; the program or policy.json was altered.
        """
        folder = Path(folder)
        self.about = _about(folder)
        _check(self.about, folder / ABOUT)
        self.inputs = {x["name"]: x for x in self.about["inputs"]}
        log = self.about["log"]
        self._reader = _Plain(self.about) if log is None else _Keys(log, self.inputs)
        self.runtime = _runtime(folder) if runtime is None else runtime
        if self.runtime not in RUNTIMES or not (folder / RUNTIMES[self.runtime]).is_file():
            raise ValueError(
                f"{folder} has no program for {_said(self.runtime)}; export the policy again"
            )
        _check_programs(folder, self.about["sha256"], RUNTIMES[self.runtime])
        self._run = _program(folder / RUNTIMES[self.runtime], self.runtime, self.inputs)

    def __call__(self, requests: Sequence[Request]) -> list[list[Any]]:
        """Items, best first, a slate per request: keys where there is a log, else numbers.

        Raises:
            ValueError: a request has a key, a word or a value that the policy does not know.
        """
        return self.slates([self.row(request) for request in requests]) if requests else []

    def row(self, request: Request) -> Row:
        """The inputs of one user.

        Raises:
            ValueError: see `__call__`.
        """
        if not isinstance(request, Mapping):
            raise ValueError(f"a request is an object, got {_said(request)}")
        return self._reader.row(request)

    def slates(self, rows: Sequence[Row]) -> list[list[Any]]:
        """Of requests that were read, in one call of the program."""
        padded: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in self.inputs}
        if "earlier_item" in padded:
            most = max(map(len, padded["earlier_item"]))
            padded["earlier_item"] = [_last(x, most, -1) for x in padded["earlier_item"]]
        return [[self._reader.said(n) for n in slate] for slate in self._run(padded)]


class _Plain:
    """A policy's inputs by name."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.inputs = {x["name"]: x for x in about["inputs"]}
        self.num_items, self.slots = int(about["num_items"]), int(about["output"]["shape"][1])

    def row(self, request: Request) -> Row:
        _only(request, self.inputs, "a request of this policy")
        row = {}
        for name, about in self.inputs.items():
            if name not in request:
                raise ValueError(f"a request of this policy has {name}; got none")
            whole = about["dtype"] != "float32"
            row[name] = _array(request[name], name, about["shape"][1:], whole)
            if name.endswith("_item"):
                for number in _flat(row[name]):
                    if not -1 <= number < self.num_items:
                        raise ValueError(
                            f"{name} holds item numbers in [-1, {self.num_items}), got {number}"
                        )
        allowed = row.get("action_mask")
        if allowed is not None and (set(allowed) - {0, 1} or sum(allowed) < self.slots):
            raise ValueError(
                f"action_mask holds 0 and 1, and lets {self.slots} items be shown or more"
            )
        return row

    def said(self, number: int) -> int:
        return number


class _Keys:
    """Raw events under a log's own names."""

    AXES: ClassVar[Mapping[str, int]] = {  # of inputs; each context column has one besides
        "step": 2, "event_item": 2, "event_feedback": 3, "event_gap": 2, "event_age": 2,
        "arrival": 2, "earlier_item": 2, "history_item": 2, "history_feedback": 3,
        "history_age": 2, "shown_item": 3, "shown_taken": 3, "context": 2, "profile": 2,
        "action_mask": 2,
    }  # fmt: skip

    def __init__(self, log: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> None:
        self.inputs = inputs
        self.items: list[str] = log["items"]
        self.signals: list[dict[str, Any]] = log["signals"]
        self.profile: list[dict[str, Any]] = log["profile"]
        self.context: list[dict[str, Any]] = log["context"]
        self.number = {key: n for n, key in enumerate(self.items)}

    def said(self, number: int) -> str:
        return self.items[number]

    def row(self, request: Request) -> Row:
        _only(request, FIELDS, "a request")
        for number, event in enumerate(_list(request, "events")):
            _object(event, f"events[{number}]")
            _number(event.get("time"), f"time of events[{number}]", 0.0, LATEST)
        events = sorted(_list(request, "events"), key=lambda event: float(event["time"]))
        seen = _count(request.get("slates", 0), "slates", LONG_AGO)
        began = _object(request.get("visit"), "visit")
        now = _object(request.get("now", began), "now")
        item_E = [self._item(event.get("item")) for event in events]
        feedback_EM = [self._feedback(event) for event in events]
        age_E = [self._age(event, seen) for event in events]
        time_E = [float(event["time"]) for event in events]
        gap_E = [t - before for t, before in zip(time_E, [*time_E[:1], *time_E], strict=False)]
        taken = [*(self._item(key) for key in _list(request, "earlier")), *item_E] or [-1]
        room, remembered = self._room("event_item"), self._room("history_item")
        nothing_M = [0.0 for _ in self.signals]
        known_EM = [[0.0 if x != x else x for x in feedback_M] for feedback_M in feedback_EM]
        user = _object(request.get("user", {}), "user")
        row: Row = {
            "step": [seen],
            "event_item": _last(item_E, room, -1),
            "event_feedback": _last(feedback_EM, room, nothing_M),
            "event_gap": _last(gap_E, room, 0.0),
            "event_age": _last(age_E, room, LONG_AGO),
            "arrival": [*_clock(began), *(_column(column, began) for column in self.context)],
            "earlier_item": taken,
            "history_item": _last(item_E, remembered, -1),
            "history_feedback": _last(known_EM, remembered, nothing_M),
            "history_age": _last(age_E, remembered, LONG_AGO),
            **self._past(request, events, seen),
            "context": _clock(now),
            "profile": [_trait(column, user) for column in self.profile],
        }
        for column in self.context:
            x = _column(column, now)
            unknown = bool(column["categories"]) and x < 0
            row[f"context_{column['name']}"] = [len(column["categories"]) if unknown else x]
        if "action_mask" in self.inputs:
            row["action_mask"] = [1] * len(self.items)
            for number in taken:
                if number >= 0:
                    row["action_mask"][number] = 0
        return row

    def _past(self, request: Request, events: Sequence[Mapping[str, Any]], seen: int) -> Row:
        """The slates shown in this visit, newest last, and what was taken of each."""
        slates = _list(request, "shown")
        room = self._room("shown_item")
        if not room:
            return {}
        width = int(self.inputs["shown_item"]["shape"][2])
        if len(slates) > seen:
            raise ValueError(f"slates is {seen}, but {len(slates)} were shown")
        took = {(int(e["slate"]), str(e["item"])) for e in events if e.get("slate") is not None}
        item, taken = [], []
        for number, keys in enumerate(slates, start=seen - len(slates)):
            if not isinstance(keys, list):
                raise ValueError(f"shown is a list of lists of item keys, got {_said(keys)} in it")
            if len(keys) > width:
                raise ValueError(f"slates hold at most {width} items, one shown has {len(keys)}")
            missing = width - len(keys)
            item.append([self._item(key) for key in keys] + [-1] * missing)
            taken.append([int((number, str(key)) in took) for key in keys] + [0] * missing)
        nothing = [-1] * width
        return {
            "shown_item": _last(item, room, nothing),
            "shown_taken": _last(taken, room, [0] * width),
        }

    def _room(self, name: str) -> int:
        """How many events an input takes; 0: it is none."""
        return int(self.inputs[name]["shape"][1]) if name in self.inputs else 0

    def _item(self, key: Any) -> int:
        number = self.number.get(str(key)) if isinstance(key, str | int) else None
        if number is None:
            raise ValueError(
                f"the policy knows no item {_said(key)}; leave out events of items that came after "
                "it"
            )
        return number

    def _age(self, event: Mapping[str, Any], seen: int) -> int:
        """Slates since the event, if it was in this visit."""
        if event.get("slate") is None:
            return LONG_AGO
        return seen - _count(event["slate"], "slate of an event", seen)

    def _feedback(self, event: Mapping[str, Any]) -> list[float]:
        """A number per signal, NaN where it was not observed; a click and a like as they follow."""
        values = []
        for signal in self.signals:
            name, rule = signal["name"], signal["at_least"]
            value = event.get(name, 1.0 if name == "click" else None)
            other = None if rule is None else event.get(rule["signal"])
            if value is None and rule is not None and other is not None:
                value = float(_number(other, rule["signal"], -1e30, 1e30) >= rule["value"])
            high = math.inf if signal["high"] is None else signal["high"]
            known = value is not None and value == value
            values.append(_number(value, name, signal["low"], high) if known else math.nan)
        return values


def _about(folder: Path) -> dict[str, Any]:
    """What `policy.json` says."""
    path = folder / ABOUT
    if path.is_file() and path.stat().st_size > FILE:
        raise ValueError(f"{path} has more than {FILE:,} bytes; export the policy again")
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); export the policy again") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is missing or describes no policy; export it again")
    stated = found.pop("checksum", None)  # an earlier slategym wrote none
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    if stated not in (None, sha256(text.encode()).hexdigest()):
        raise ValueError(f"{path} was altered; export the policy again")
    if "num_items" not in found:
        raise ValueError(f"{folder} was exported by an older slategym; export the policy again")
    return found


def _check(about: Mapping[str, Any], where: Path) -> None:
    """Hold `policy.json` against `_rules`: whatever a request needs of it is there.

    Raises:
        ValueError: one line, what is wrong and what to do.
    """
    broken: object = None
    try:
        for holds, rule in _rules(about):
            if not holds:
                broken = rule
                break
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        broken = _said(error)
    if broken is not None:
        raise ValueError(f"{where} describes no policy ({broken}); export it again")


def _rules(about: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Whether each holds, and what it says; each may take it that those before it hold."""
    items, inputs, log = about["num_items"], about["inputs"], about["log"]
    yield all(isinstance(about[name], str) for name in ("agent", "world")), "names are words"
    yield type(items) is int and 0 < items < 2**31, "num_items is a whole number below 2^31"
    yield isinstance(about["sha256"], dict), "sha256 is an object"
    names = [one["name"] for one in inputs]
    yield _are_words(names) and 0 < len({*names}) == len(names), "inputs have a name each"
    for name, shape, dtype in ((one["name"], one["shape"], one["dtype"]) for one in inputs):
        free, *sizes = shape
        right = free == "B" and all(type(size) is int and size >= 0 for size in sizes)
        yield right and len(sizes) > 0, f"the shape of {_said(name)} is [B, ...]"
        yield math.prod(sizes) <= FILE, f"{_said(name)} has at most {FILE:,} numbers"
        yield dtype in DTYPES, f"the dtype of {_said(name)} is one of {', '.join(DTYPES)}"
    slots = about["output"]["shape"][1]
    yield type(slots) is int and 0 < slots <= FILE, "output.shape is [B, slots]"
    if log is None:
        return
    yield _are_words(log["items"]) and len(log["items"]) == items, f"log.items are {items} keys"
    parts = [log[name] for name in ("signals", "profile", "context")]
    yield all(isinstance(part, list) for part in parts), "columns are lists"
    further = [*log["profile"], *log["context"]]
    yield _are_words([one["name"] for one in (*log["signals"], *further)]), "columns have names"
    yield all(_are_words(one["categories"]) for one in further), "categories are words"
    numbers = [one["unknown"] for one in log["context"]]
    for one in log["signals"]:
        rule = one["at_least"] or {"signal": "", "value": 0.0}
        yield isinstance(rule["signal"], str), "at_least names a signal"
        numbers += [one["low"], 0.0 if one["high"] is None else one["high"], rule["value"]]
    right = all(type(x) in (int, float) and math.isfinite(x) for x in numbers)
    yield right, "bounds and what is unknown are numbers"
    known = {**_Keys.AXES, **{f"context_{one['name']}": 2 for one in log["context"]}}
    for one in inputs:
        yield known.get(one["name"]) == len(one["shape"]), f"{_said(one['name'])} is no input here"


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _check_programs(folder: Path, stated: Mapping[str, Any], program: str) -> None:
    """Hold the programs against what `policy.json` says; nothing is read that is no file."""
    if program not in stated:
        raise ValueError(
            f"{folder / ABOUT} holds no sha256 of {program}: nobody knows whether it was altered; "
            "export the policy again"
        )
    for name, expected in stated.items():
        path = folder / Path(name).name
        if not path.is_file():
            raise ValueError(f"{path} is missing; export the policy again")
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != expected:
                shown = _said(name)[1:-1]
                raise ValueError(f"{folder}: {shown} was altered; export the policy again")


def _runtime(folder: Path) -> str:
    """The first that is installed and has a program here."""
    there = {name: file for name, file in RUNTIMES.items() if (folder / file).is_file()}
    for name in there:
        if find_spec(name):
            return name
    if not there:
        files = " nor ".join(RUNTIMES.values())
        raise ValueError(f"{folder} holds neither {files}; export the policy again")
    raise ValueError(f"{folder} asks for {' or '.join(there)}, which is not installed")


def _program(
    path: Path, runtime: str, inputs: Mapping[str, Mapping[str, Any]]
) -> Callable[[Mapping[str, list[Any]]], list[list[int]]]:
    """From inputs by name, a list of users' each, to slates of numbers."""
    try:
        if runtime == "torch":
            return _torch_program(str(path), inputs)
        return _onnx_program(str(path), inputs)
    except ImportError:
        raise
    except Exception as error:  # each runtime has kinds of its own, and their C++ lines
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = (lines or [type(error).__name__])[0][:200]
        raise ValueError(
            f"{path} is no program for {runtime} ({reason}); export the policy again"
        ) from error


def _torch_program(
    path: str, inputs: Mapping[str, Mapping[str, Any]]
) -> Callable[[Mapping[str, list[Any]]], list[list[int]]]:
    import torch

    program = torch.jit.load(path)  # type: ignore[no-untyped-call]
    takes = len(program.forward.schema.arguments) - 1
    if takes != len(inputs):
        raise ValueError(f"it takes {takes} inputs, {ABOUT} names {len(inputs)}")

    def run(batch: Mapping[str, list[Any]]) -> list[list[int]]:
        given = [
            torch.tensor(x, dtype=getattr(torch, inputs[name]["dtype"]))
            for name, x in batch.items()
        ]
        with torch.no_grad():
            slates: list[list[int]] = program(*given).tolist()
        return slates

    return run


def _onnx_program(
    path: str, inputs: Mapping[str, Mapping[str, Any]]
) -> Callable[[Mapping[str, list[Any]]], list[list[int]]]:
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    takes = [one.name for one in session.get_inputs()]
    if not {*takes} <= {*inputs}:  # what no slate depends on is left out of the program
        raise ValueError(f"it takes {', '.join(takes)}, {ABOUT} names {', '.join(inputs)}")

    def run(batch: Mapping[str, list[Any]]) -> list[list[int]]:
        given = {name: np.array(batch[name], inputs[name]["dtype"]) for name in takes}
        slates: list[list[int]] = session.run(None, given)[0].tolist()
        return slates

    return run


def _last(values: list[Any], room: int, nothing: Any) -> list[Any]:
    """The newest of them behind as many nothings as there is room for."""
    kept = values[max(0, len(values) - room) :]
    return [nothing] * (room - len(kept)) + kept


def _said(value: Any) -> str:
    """A value in a message, on one line and not long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _only(given: Mapping[str, Any], known: Any, what: str) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"{what} has {', '.join(known)}; got {_said(name)}")


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is an object, got {_said(value)}")
    return value


def _list(request: Request, name: str) -> list[Any]:
    value = request.get(name, [])
    if not isinstance(value, list) or len(value) > MOST:
        size = f"{len(value):,} entries" if isinstance(value, list) else _said(value)
        raise ValueError(f"{name} is a list of at most {MOST:,} entries, got {size}")
    return value


def _number(value: Any, name: str, low: float, high: float) -> float:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not low <= value <= high or math.isinf(value):
        raise ValueError(f"{name} is a number in [{low:g}, {high:g}], got {_said(value)}")
    return float(value)


def _count(value: Any, name: str, high: int) -> int:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not 0 <= value <= high or value != int(value):
        raise ValueError(f"{name} is a whole number in [0, {high:,}], got {_said(value)}")
    return int(value)


def _array(value: Any, name: str, shape: Sequence[int], whole: bool) -> Any:
    """Nested lists of that shape, numbers at the bottom."""
    if not shape:
        limit = 2.0**31 - 1 if whole else 1e30
        x = _number(value, f"each number of {name}", -limit, limit)
        if whole and x != int(x):
            raise ValueError(f"{name} holds whole numbers, got {_said(value)}")
        return int(x) if whole else x
    if not isinstance(value, list) or len(value) != shape[0]:
        size = f"{len(value)} entries" if isinstance(value, list) else _said(value)
        raise ValueError(f"{name} has {shape[0]} entries along an axis, got {size}")
    return [_array(x, name, shape[1:], whole) for x in value]


def _flat(value: Any) -> list[int]:
    return [n for x in value for n in _flat(x)] if isinstance(value, list) else [value]


def _clock(moment: Mapping[str, Any]) -> list[float]:
    """Hour and weekday, 0: Monday."""
    hour, weekday = moment.get("hour"), moment.get("weekday")
    if hour is None or weekday is None:
        seconds = _number(moment.get("time"), "time, without hour and weekday,", 0.0, LATEST)
        hour = seconds % 86_400 / 3_600 if hour is None else hour
        weekday = int(seconds // 86_400 + 3) % 7 if weekday is None else weekday  # 0 was a Thursday
    return [_number(hour, "hour", 0.0, 24.0), float(_count(weekday, "weekday", 6))]


def _column(column: Mapping[str, Any], moment: Mapping[str, Any]) -> float:
    """A context column's number; what stands for it where it is not known."""
    value = moment.get(column["name"])
    if value is None:
        return float(column["unknown"])
    if column["categories"]:
        return float(_word(column, value))
    return _number(value, column["name"], -1e30, 1e30)


def _trait(column: Mapping[str, Any], user: Mapping[str, Any]) -> int:
    if column["name"] not in user:
        raise ValueError(f"user has no {column['name']}; one of {_choices(column['categories'])}")
    return _word(column, user[column["name"]])


def _word(column: Mapping[str, Any], value: Any) -> int:
    categories: list[str] = column["categories"]
    if str(value) not in categories:
        raise ValueError(f"{column['name']} is one of {_choices(categories)}; got {_said(value)}")
    return categories.index(str(value))


def _choices(words: Sequence[str]) -> str:
    return ", ".join(words[:20]) + (f", ... ({len(words)} in all)" if len(words) > 20 else "")


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(Policy(Path(__file__).parent)(asked)))
