"""A world held against a log: every check, in the order of the page.

The world plays what the log's policy showed (`rows.LoggedSlates`), so that what differs is the
world's doing. Bounds are stated in every line, and a figure counts as far as luck does not explain
it. What a log does not hold cannot be checked: it is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.experiments.validation import marginals, physics, twosample
from slategym.experiments.validation.lines import STATUSES, Bounds, Line, Status, left_out
from slategym.experiments.validation.rows import (
    clicks_lately,
    items_of,
    log_policy,
    logged_rows,
    simulated_rows,
)
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.multitask.scores import heading
from slategym.models.people.figures import Quality
from slategym.models.simulator.assumptions import MILD_RULE

CLOCK = ("hour", "weekday")
PAGE = ("predictions", "calibration", "marginals", "autocorrelation", "two-sample test", "value")
ECE = Bounds(0.03, 0.08)
NO_SLATES = "the log holds no slates: what was passed over is not known"
SATED = f"click rate of topics with {MILD_RULE.threshold} of the last {MILD_RULE.memory} clicks"
DAYTIMES = ("night", "morning", "afternoon", "evening")
Tell = Callable[[str], None]
Sides = marginals.Sides


@dataclass(frozen=True)
class Validation:
    """What a log says of a world."""

    lines: tuple[Line, ...]
    shown: str  # what the world was made to show
    rows: tuple[pd.DataFrame, pd.DataFrame]  # of the log and of the world, for figures
    unit: str  # what a visit is called

    def of(self, status: Status) -> tuple[Line, ...]:
        """The lines with this status."""
        return tuple(line for line in self.lines if line.status == status)

    @property
    def sentence(self) -> str:
        """The result in one sentence, worst first."""
        counts = {status: len(self.of(status)) for status in STATUSES}
        said = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        failed = "; ".join(line.check for line in self.of("fail"))
        return f"{said}. Fails: {failed}." if failed else f"{said}."

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "sentence": self.sentence,
            "shown": self.shown,
            "lines": [line.to_json() for line in self.lines],
        }


def validate_world(
    world: World,
    log: Log,
    *,
    users: int = 1_000,
    seed: int = 0,
    quality: Quality | None = None,
    tell: Tell = lambda step: None,
) -> Validation:
    """Hold a world against a log.

    Args:
        world: any; its items must be the log's (by title or by number).
        log: from `load_log`.
        users: rows of the population that play one session each; all of them, if there are fewer.
        seed: of luck, halves and bootstraps.
        quality: of the world's model on people unknown to it, where it was learned from the log.
        tell: called with the name of each step as it begins.

    Raises:
        UsageError: none of the log's items is in the world, or `users` is below 2.
    """
    if users < 2:
        raise UsageError(f"users must be at least 2, got {users}")
    rng = np.random.default_rng(seed)
    place_N = items_of(log, world)
    columns = _shared_columns(log, world)
    tell("reading the log")
    logged = _named(logged_rows(log, world.horizon, columns), log, columns)
    policy = log_policy(log, world, logged_rows(log, 10**9, []))
    if policy is None:
        raise UsageError(
            "this world draws the items that may be shown anew at every request, so that the log's "
            "slates cannot be shown in it; validate a world that offers its whole catalogue"
        )
    tell("playing the log's slates in the world")
    user_U = torch.arange(min(users, world.population.size), dtype=torch.int32)
    played = simulated_rows(world, policy, user_U, columns, seed)
    played = _world_named(played, world, columns)
    logged["item"] = place_N[logged["item"]]
    logged = logged[logged["item"] >= 0].reset_index(drop=True)
    taken_only = not has_slates(log)
    if taken_only:
        played = _consumed_turns(played)
    signals = [s.name for s in log.signals if s.name in played.columns][1:]
    tell("comparing")
    lines = [*_predictions(quality), *_calibration(logged, played, columns, taken_only, rng)]
    lines += _marginals(logged, played, columns, signals, log, world, taken_only, rng)
    topic_N = world.catalogue.topic.cpu().numpy().astype(np.int64)
    lines.insert(_after(lines, "calibration"), _sated((logged, played), topic_N, taken_only, rng))
    lifts = [physics.topic_lift(rows, topic_N, rng) for rows in (logged, played)]
    lines.append(physics.runs(*lifts))
    fame_N = np.bincount(logged["item"][logged["click"] > 0], minlength=world.catalogue.num_items)
    visits = _both(
        (logged, played),
        lambda rows: twosample.features(rows, topic_N, fame_N.astype(np.float64), signals),
    )
    lines.append(twosample.told_apart(visits, rng))
    lines.append(_value(logged, played, log, world, taken_only, rng))
    tell("asking the people")
    if taken_only:
        lines += [
            left_out(physics.PART, check, NO_SLATES)
            for check in (
                "click probabilities span the logged range",
                "what is clicked often there is clicked often here",
            )
        ]
    else:
        lines += [
            physics.spread(logged, played),
            physics.order_of_items(logged, played, rng),
        ]
    lines += [physics.direction(world, lifts[0], seed), physics.identical(world, seed)]
    return Validation(tuple(lines), policy.name, (logged, played), log.words.session)


def _both(sides: Sides, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Sides:
    return change(sides[0]), change(sides[1])


def _shared_columns(log: Log, world: World) -> list[str]:
    shown = world.context.shown
    return [x for x in (*CLOCK, *(c.name for c in log.context)) if x in shown]


def _named(rows: pd.DataFrame, log: Log, columns: list[str]) -> pd.DataFrame:
    """Categories of context columns by their names."""
    for column in log.context:
        if column.name in columns and column.categories:
            words = np.array([*column.categories, "unknown"], dtype=object)
            rows[column.name] = words[rows[column.name].to_numpy(np.int64)]
    return rows


def _world_named(rows: pd.DataFrame, world: World, columns: list[str]) -> pd.DataFrame:
    names = world.context.names
    for name in columns:
        if name in names and name not in CLOCK:
            words = np.array(names[name], dtype=object)
            rows[name] = words[rows[name].to_numpy(np.int64)]
    return rows


def _consumed_turns(rows: pd.DataFrame) -> pd.DataFrame:
    """What a log without slates would hold of a world: the clicked rows, counted anew."""
    took = rows[rows["click"] > 0].copy()
    took["turn"] = took.groupby("visit").cumcount()
    took["slate"] = np.arange(len(took))
    took["position"] = 0
    return took.reset_index(drop=True)


def _predictions(quality: Quality | None) -> list[Line]:
    part = "predictions"
    if quality is None or not quality.rows:
        why = "no model of this world was fitted on this log" if quality is None else "no such rows"
        return [left_out(part, "signals of people unknown to the world's model", why)]
    lines = []
    for name, value in quality.figures.items():
        if name.endswith("_ece"):
            said = f"{value:.3f} on {quality.people} people unknown to the model"
            lines.append(Line(part, heading(name), ECE.status(value), said, value, bounds=ECE))
            continue
        anchor = quality.against(name)
        worse = name in quality.worse
        beside = "" if anchor is None else f"; {anchor[0]} {anchor[1]:.3f}"
        sure = ", surely worse" if worse else ""
        said = f"{value:.3f} on {quality.people} people unknown to the model{beside}{sure}"
        lines.append(Line(part, heading(name), "fail" if worse else "pass", said, value))
    return lines


def _calibration(
    logged: pd.DataFrame,
    played: pd.DataFrame,
    columns: list[str],
    taken_only: bool,
    rng: np.random.Generator,
) -> list[Line]:
    groups = ["position", *columns]
    if taken_only:
        return [left_out("calibration", f"click rate by {group}", NO_SLATES) for group in groups]

    def grouped(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.copy()
        if "hour" in rows:
            rows["hour"] = (rows["hour"] // 6).astype(int).clip(0, 3)
        for name in columns:
            if rows[name].dtype.kind == "f":
                rows[name] = _binned(rows[name], logged[name])
        return rows

    sides = _both((logged, played), grouped)
    clicks = (
        sides[0].assign(above=sides[0]["click"], below=1.0),
        sides[1].assign(above=sides[1]["expected"], below=1.0),
    )
    lines = [marginals.ratio("click rate", "calibration", clicks, rng, marginals.RATES)]
    for group in groups:
        named = DAYTIMES if group == "hour" else None
        lines.append(marginals.rates_by(group, sides, rng, named))
    return lines


def _after(lines: Sequence[Line], part: str) -> int:
    """Where the lines of a part end."""
    return 1 + max(n for n, line in enumerate(lines) if line.part == part)


def _sated(
    sides: Sides, topic_N: NDArray[np.int64], taken_only: bool, rng: np.random.Generator
) -> Line:
    """Whether topics that were clicked again and again lately are clicked as seldom as there."""
    if taken_only or len(np.unique(topic_N)) < 2:
        why = NO_SLATES if taken_only else "all items are of one topic"
        return left_out("calibration", SATED, why)

    def such(rows: pd.DataFrame, clicks: str) -> pd.DataFrame:
        lately = clicks_lately(rows.assign(topic=topic_N[rows["item"]]), MILD_RULE.memory)
        return rows[lately >= MILD_RULE.threshold].assign(above=lambda x: x[clicks], below=1.0)

    here = such(sides[0], "click"), such(sides[1], "expected")
    return marginals.ratio(SATED, "calibration", here, rng, marginals.RATES)


def _binned(values: pd.Series, as_in: pd.Series) -> NDArray[np.int64]:
    """Quarters of a number of the context, as the log has them."""
    known = as_in[np.isfinite(as_in)]
    edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75])) if len(known) else np.zeros(0)
    found: NDArray[np.int64] = np.searchsorted(edges, values.to_numpy(), side="left")
    return found


def _marginals(
    logged: pd.DataFrame,
    played: pd.DataFrame,
    columns: list[str],
    signals: list[str],
    log: Log,
    world: World,
    taken_only: bool,
    rng: np.random.Generator,
) -> list[Line]:
    unit, both = log.words.session, (logged, played)
    begins = _both(both, lambda rows: rows.groupby("visit", as_index=False).first())
    lines = []
    if not taken_only:
        lengths = _both(both, lambda rows: _per_visit(rows, "slate", "nunique"))
        lines.append(marginals.numbers(f"slates of a {unit}", lengths, rng))
    clicks = _both(both, lambda rows: _per_visit(rows, "click", "sum"))
    lines.append(marginals.numbers(f"clicks of a {unit}", clicks, rng))
    kinds = {signal.name: signal for signal in log.signals}
    for name in signals:
        check, took = f"{name} of what is clicked", _both(both, _values(name))
        if kinds[name].kind in ("binary", "ordinal"):
            lines.append(marginals.categories(check, took, rng))
        else:
            lines.append(marginals.numbers(check, took, rng, kinds[name].unit))
    if log.repeats:
        check = f"clicks on what was clicked before in the {unit}"
        lines.append(marginals.ratio(check, marginals.PART, _both(both, _repeats), rng))
    check = f"days between {log.words.sessions}"
    pauses = _both(begins, lambda x: x.dropna(subset="days").rename(columns={"days": "value"}))
    if len(pauses[1]):
        lines.append(marginals.numbers(check, pauses, rng))
    else:
        why = f"people of this world come for one {unit}"
        lines.append(left_out(marginals.PART, check, why))
    for name in columns:
        check, sides = f"{name} of a {unit}'s beginning", _both(begins, _values(name, False))
        if name == "hour":
            sides = _both(sides, lambda x: x.assign(value=x["value"].astype(int)))
        if name in CLOCK or not pd.api.types.is_float_dtype(logged[name]):
            lines.append(marginals.categories(check, sides, rng))
        else:
            lines.append(marginals.numbers(check, sides, rng))
    return lines


def _values(name: str, clicked: bool = True) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What takes a column's values, those of clicked rows that were observed."""

    def taken(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows[rows["click"] > 0] if clicked else rows
        found = rows[["user", name]].rename(columns={name: "value"}).dropna(subset="value")
        return found.assign(value=found["value"].round(3)) if clicked else found

    return taken


def _per_visit(rows: pd.DataFrame, column: str, how: str) -> pd.DataFrame:
    by_visit = rows.groupby("visit")
    return pd.DataFrame({"user": by_visit["user"].first(), "value": by_visit[column].agg(how)})


def _repeats(rows: pd.DataFrame) -> pd.DataFrame:
    took = rows[rows["click"] > 0]
    again = took.duplicated(["visit", "item"]).astype(float)
    return pd.DataFrame({"user": took["user"], "above": again, "below": 1.0})


def _value(
    logged: pd.DataFrame,
    played: pd.DataFrame,
    log: Log,
    world: World,
    taken_only: bool,
    rng: np.random.Generator,
) -> Line:
    """What the log's policy earns, there and here."""
    check = f"reward of a {log.words.session} under the log's policy"
    if taken_only:
        return left_out("value", check, NO_SLATES)
    weights = {
        signal.name: weight
        for signal, weight in zip(world.users.signals, world.objective, strict=True)
        if signal.name in logged.columns
    }

    def earned(rows: pd.DataFrame) -> pd.DataFrame:
        reward = sum(rows[name].fillna(0.0) * weight for name, weight in weights.items())
        by_visit = rows.assign(reward=reward).groupby("visit")
        sums = {"user": by_visit["user"].first(), "above": by_visit["reward"].sum(), "below": 1.0}
        return pd.DataFrame(sums)

    return marginals.ratio(check, "value", _both((logged, played), earned), rng)
