"""The world against the judge while learners trained: a figure, and a warning where signs part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from slategym.experiments.report.figures import (
    AGENT_COLOURS,
    INK,
    LEGEND,
    TITLE_WIDTH,
    Picture,
    grid_of,
    save_picture,
    thousands,
    wrapped,
)
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import known_as
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.sentences import under
from slategym.experiments.statistics.verdict import Part
from slategym.experiments.statistics.words import signed, signed_number

NORMAL = 1.96  # standard errors of a 95 % interval over many people
WATCHED, STOPPED = "watched.parquet", "stopped.parquet"


def warnings(result: Result) -> Iterator[str]:
    """Every learner that ends clearly ahead of the opponent in its world, and behind elsewhere."""
    watched = _before_judges(result)
    if watched.empty:
        return
    study, opponent = result.study, result.study.roles.say(result.study.roles.opponent)
    for (policy, home), mine in watched.groupby(["policy", "trained_in"], sort=False):
        last = mine[mine["steps"] == mine["steps"].max()].set_index("where")
        judges = [name for name in last.index if name != home]
        if home not in last.index or not judges:
            continue
        world, judge = last.loc[str(home)], last.loc[judges[0]]
        clearly = world["gain"] > NORMAL * world["error"]
        if clearly and judge["gain"] < 0:
            yield (
                f"Warning, {under(study, study.place(str(home)))}: on selection people {policy} "
                f"ends its training ahead of {opponent} in its world "
                f"({_signed(world)}) and behind before the judge ({_signed(judge)}): part of what "
                "it learned are the simulator's mistakes."
            )


def _before_judges(result: Result) -> pd.DataFrame:
    """What was read of the trainings that were read before a judge as well, of the first seed."""
    watched = result.watched
    if watched.empty or (watched["where"] == watched["trained_in"]).all():
        return watched[:0]
    return watched[watched["seed"] == watched["seed"].min()]


def _signed(row: pd.Series) -> str:
    reach = NORMAL * float(row["error"])
    return signed(float(row["gain"]), float(row["gain"]) - reach, float(row["gain"]) + reach)


def with_warnings(result: Result, numbers: Numbers) -> Numbers:
    """The numbers with a verdict that ends with them."""
    found = tuple(warnings(result))
    if not found:
        return numbers
    verdict = numbers.verdict
    return replace(numbers, verdict=replace(verdict, parts=(*verdict.parts, Part("", found))))


def draw_goodhart(result: Result, folder: Path) -> Picture | None:
    """Gains over the opponent by slates of training, in the world and before the judge."""
    watched, study = _before_judges(result), result.study
    if watched.empty:
        return None
    homes, names = (list(dict.fromkeys(watched[c])) for c in ("trained_in", "policy"))
    figure, panels = grid_of(len(homes), 3.4, most=2, sharey=True)
    for panel, home in zip(panels, homes, strict=True):
        panel.axhline(0, color=INK, linewidth=1)
        for (policy, where), line in watched[watched["trained_in"] == home].groupby(
            ["policy", "where"], sort=False
        ):
            line = line.sort_values("steps")
            colour = AGENT_COLOURS[names.index(str(policy)) % len(AGENT_COLOURS)]
            dash, shape = ("-", "o") if where == home else ("--", "s")
            panel.errorbar(
                line["steps"],
                line["gain"],
                yerr=line["error"],
                color=colour,
                linestyle=dash,
                marker=shape,
                markersize=4,
                linewidth=1.3,
                elinewidth=0.7,
            )
        panel.set_title(wrapped(study.place(home).heading, 2 * TITLE_WIDTH))
        panel.set_xlabel("slates shown in training")
        panel.xaxis.set_major_formatter(FuncFormatter(thousands))
    opponent = wrapped(f"minus {known_as(study, study.roles.opponent)}", LEGEND)
    panels[0].set_ylabel(f"{opponent}\n({study.unit})", fontsize=8)
    handles = [
        Line2D(
            [],
            [],
            color=AGENT_COLOURS[n % len(AGENT_COLOURS)],
            label=wrapped(known_as(study, name), LEGEND),
        )
        for n, name in enumerate(names)
    ]
    handles.append(Line2D([], [], color=INK, marker="o", label="in its world"))
    handles.append(Line2D([], [], color=INK, linestyle="--", marker="s", label="before the judge"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return save_picture(
        figure,
        folder,
        f"{study.name}-goodhart",
        "Does what is gained in the world carry over while it is gained?",
        f"Expected return minus that of {study.roles.say(study.roles.opponent)}, the same "
        "selection people with the same luck, at points of the training of each learner's first "
        "seed; bars are standard errors. Where lines part, what is still gained is the "
        "simulator's alone.",
        "Line plots of gains over the opponent, in the world and before the judge, for "
        f"{', '.join(names)}.",
    )


def goodhart_section(result: Result, ledger: Ledger) -> list[Html | None]:
    """World minus judge at the end of every training, and warnings."""
    watched = _before_judges(result)
    if watched.empty:
        return []
    body = []
    for (policy, home, steps), mine in watched.groupby(
        ["policy", "trained_in", "steps"], sort=False
    ):
        gains = {str(row["where"]): row for _, row in mine.iterrows()}
        judges = [name for name in gains if name != home]
        if str(home) not in gains or not judges:
            continue
        world, judge = gains[str(home)], gains[judges[0]]
        source = f"{WATCHED}: policy == {policy!r}, trained_in == {home!r}, steps == {steps}"
        apart = signed_number(float(world["gain"] - judge["gain"]))
        body.append(
            [
                str(policy),
                result.study.place(str(home)).heading,
                f"{steps:,}",
                ledger.number(_signed(world), source),
                ledger.number(_signed(judge), source),
                ledger.number(apart, source),
            ]
        )
    opponent = result.study.roles.opponent
    head = ["learner", "trained in", "slates", "in the world", "before the judge", "world - judge"]
    caption = f"Expected return minus {opponent} on selection people ({result.study.unit})."
    return [
        *(element("p", warning) for warning in warnings(result)),
        table(caption, head, body, wide=True),
        _early_stopping(result, ledger),
    ]


def _early_stopping(result: Result, ledger: Ledger) -> Html | None:
    """What stopping where the judge's readings are best would be worth."""
    stopped, study = result.stopped, result.study
    if stopped.empty:
        return None
    body = []
    for (policy, home), mine in stopped.groupby(["policy", "trained_in"], sort=False):
        first = mine.iloc[0]
        early = first["steps"] < first["last_steps"]
        for _, row in mine.iterrows():
            source = (
                f"{STOPPED}: policy == {policy!r}, trained_in == {home!r}, where == "
                f"{row['where']!r}"
            )
            body.append(
                [
                    str(policy),
                    study.place(str(home)).heading,
                    f"{row['steps']:,} of {row['last_steps']:,}",
                    study.place(str(row["where"])).heading,
                    ledger.number(_signed(row), source) if early else "as it ended",
                ]
            )
    judge = study.place(str(stopped["judge"].iloc[0])).heading
    caption = (
        f"Early stopping: the point of training (of its first seed) at which selection people are "
        f"best off before the {judge}, minus its end, on evaluation people ({study.unit}), 95 %. "
        f"The {judge} chose, so that its people here are new but its model is not; of every other "
        "judge both are. Nothing in other tables is stopped early."
    )
    head = ["learner", "trained in", "slates until then", "read", "stopped - ended"]
    return table(caption, head, body, wide=True)
