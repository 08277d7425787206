"""Raw events in, item keys out: a policy that slategym exported, with torch alone.

    from serve import Policy
    policy = Policy("this folder")
    policy([{"user": {"age": "young"}, "visit": {"time": 1700000000, "device": "phone"},
             "events": [{"item": "p007", "time": 1699999000, "dwell": 2.5}]}])

A request is one user's next slate:
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

From a shell: `python serve.py requests.json` prints the slates as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LONG_AGO = 10_000  # age of an event before this visit, slates
Request = Mapping[str, Any]


class Policy:
    """The program in a folder, between the log's keys and its numbers."""

    def __init__(self, folder: str | Path = ".") -> None:
        """Read `policy.json` and `policy.pt`.

        Raises:
            ValueError: the policy was not trained in a world that was learned from a log; its
                program was altered.
        """
        about = json.loads((Path(folder) / "policy.json").read_text(encoding="utf-8"))
        for name, stated in about.get("sha256", {}).items():
            with (Path(folder) / Path(name).name).open("rb") as file:
                if file_digest(file, "sha256").hexdigest() != stated:
                    raise ValueError(f"{folder}: {name} was altered; export the policy again")
        if about.get("log") is None:
            raise ValueError(f"{folder}: the policy's world has no log, so there are no keys")
        self.program = torch.jit.load(str(Path(folder) / "policy.pt"))  # type: ignore[no-untyped-call]
        self.inputs = {x["name"]: x for x in about["inputs"]}
        self.items: list[str] = about["log"]["items"]
        self.signals: list[dict[str, Any]] = about["log"]["signals"]
        self.profile: list[dict[str, Any]] = about["log"]["profile"]
        self.context: list[dict[str, Any]] = about["log"]["context"]
        self.number = {key: n for n, key in enumerate(self.items)}

    def __call__(self, requests: Sequence[Request]) -> list[list[str]]:
        """Item keys, best first, a slate per request.

        Raises:
            ValueError: a request has a key, a word or a column that the log does not know.
        """
        rows = [self._row(request) for request in requests]
        most = max(len(row["earlier_item"]) for row in rows)
        for row in rows:
            row["earlier_item"] = _last(row["earlier_item"], most, -1)
        with torch.no_grad():
            slate_BK: Tensor = self.program(*(self._tensor(name, rows) for name in self.inputs))
        return [[self.items[n] for n in slate_K] for slate_K in slate_BK.tolist()]

    def _tensor(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Tensor:
        values = [row[name] for row in rows]
        return torch.tensor(values, dtype=getattr(torch, self.inputs[name]["dtype"]))

    def _row(self, request: Request) -> dict[str, Any]:
        """The inputs of one user, and what others ask for."""
        events = sorted(request.get("events", ()), key=lambda event: float(event["time"]))
        seen, began = int(request.get("slates", 0)), request["visit"]
        now = request.get("now", began)
        item_E = [self._item(event["item"]) for event in events]
        feedback_EM = [self._feedback(event) for event in events]
        age_E = [seen - int(e["slate"]) if "slate" in e else LONG_AGO for e in events]
        time_E = [float(event["time"]) for event in events]
        gap_E = [t - before for t, before in zip(time_E, [*time_E[:1], *time_E], strict=False)]
        taken = [*(self._item(key) for key in request.get("earlier", ())), *item_E] or [-1]
        room, remembered = self._room("event_item"), self._room("history_item")
        nothing_M = [0.0 for _ in self.signals]
        known_EM = [[0.0 if x != x else x for x in feedback_M] for feedback_M in feedback_EM]
        row: dict[str, Any] = {
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
            **self._past(request, events),
            "context": _clock(now),
            "profile": [_trait(column, request.get("user", {})) for column in self.profile],
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

    def _past(self, request: Request, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The slates shown in this visit, newest last, and what was taken of each."""
        room = self._room("shown_item")
        if not room:
            return {}
        width, seen = int(self.inputs["shown_item"]["shape"][2]), int(request.get("slates", 0))
        slates = list(request.get("shown", ()))
        if len(slates) > seen:
            raise ValueError(f"slates is {seen}, but {len(slates)} were shown")
        took = {(int(e["slate"]), str(e["item"])) for e in events if "slate" in e}
        item, taken = [], []
        for number, keys in enumerate(slates, start=seen - len(slates)):
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
        if str(key) not in self.number:
            raise ValueError(
                f"the policy knows no item {key!r}; leave out events of items that came after it"
            )
        return self.number[str(key)]

    def _feedback(self, event: Mapping[str, Any]) -> list[float]:
        """A number per signal, NaN where it was not observed; a click and a like as they follow."""
        values = []
        for signal in self.signals:
            name, rule = signal["name"], signal["at_least"]
            value = event.get(name, 1.0 if name == "click" else None)
            if value is None and rule is not None and event.get(rule["signal"]) is not None:
                value = float(event[rule["signal"]] >= rule["value"])
            values.append(float("nan") if value is None else float(value))
        return values


def _last(values: list[Any], room: int, nothing: Any) -> list[Any]:
    """The newest of them behind as many nothings as there is room for."""
    kept = values[max(0, len(values) - room) :]
    return [nothing] * (room - len(kept)) + kept


def _clock(moment: Mapping[str, Any]) -> list[float]:
    """Hour and weekday, 0: Monday."""
    hour, weekday = moment.get("hour"), moment.get("weekday")
    if hour is None:
        hour = moment["time"] % 86_400 / 3_600
    if weekday is None:
        weekday = moment["time"] // 86_400 + 3  # 1 January 1970 was a Thursday
    return [float(hour), float(weekday % 7)]


def _column(column: Mapping[str, Any], moment: Mapping[str, Any]) -> float:
    """A context column's number; what stands for it where it is not known."""
    value = moment.get(column["name"])
    if value is None:
        return float(column["unknown"])
    return float(_word(column, value)) if column["categories"] else float(value)


def _trait(column: Mapping[str, Any], user: Mapping[str, Any]) -> int:
    if column["name"] not in user:
        raise ValueError(f"user has no {column['name']}; one of {', '.join(column['categories'])}")
    return _word(column, user[column["name"]])


def _word(column: Mapping[str, Any], value: Any) -> int:
    categories: list[str] = column["categories"]
    if str(value) not in categories:
        raise ValueError(f"{column['name']} is one of {', '.join(categories)}; got {value!r}")
    return categories.index(str(value))


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(Policy(Path(__file__).parent)(asked)))
