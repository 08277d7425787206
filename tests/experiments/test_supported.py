"""What a log speaks for: its policy's answer to moods is no boredom, and want of clicks is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slategym.experiments.validation.boredom import EXPOSURE, TIRING
from slategym.experiments.validation.evidence import IMPATIENCE, evidence
from slategym.experiments.validation.supported import supported, supported_by
from slategym.experiments.validation.traces import SURE, Trace
from slategym.models.data.datasets import load_log

USERS, VISITS, SLATES, SLOTS, ITEMS, TOPICS = 150, 3, 10, 4, 24, 4
DRAWN = 0.3  # of the slates at random, the others by the visit's mood, which no column holds


def write_log(
    folder: Path,
    *,
    tiring: float = 0.0,
    leaving: float = 0.0,
    boring: float = 0.0,
    moods: float = 1.5,
    propensities: bool = True,
) -> Path:
    """Log-odds that a topic loses that filled the slate before; chance to go without a click.

    And log-odds that a topic loses with 3 of the visit's last 5 clicks; spread of visits' moods.
    """
    rng = np.random.default_rng(1)
    topic_N = np.arange(ITEMS) % TOPICS
    rows = []
    for user in range(USERS):
        for visit in range(VISITS):
            mood_G, before_G = moods * rng.normal(size=TOPICS), np.zeros(TOPICS)
            last: list[int] = []
            weight_N = np.exp(mood_G[topic_N])
            weight_N /= weight_N.sum()
            for turn in range(SLATES):
                drawn = rng.random() < DRAWN
                items = rng.choice(ITEMS, SLOTS, replace=False, p=None if drawn else weight_N)
                left = 1.0 - np.cumsum(np.r_[0.0, weight_N[items[:-1]]])
                by_mood = float(np.prod(weight_N[items] / left))
                alike = float(np.prod(1.0 / (ITEMS - np.arange(SLOTS))))
                chance = DRAWN * alike + (1.0 - DRAWN) * by_mood
                bored_G = np.bincount(last, minlength=TOPICS) >= 3
                odds_G = mood_G - 1.5 - tiring * before_G - boring * bored_G
                click = rng.random(SLOTS) < 1 / (1 + np.exp(-odds_G[topic_N[items]]))
                before_G = np.bincount(topic_N[items], minlength=TOPICS) / SLOTS
                last = [*last, *topic_N[items[click]]][-5:]
                time = 1_700_000_000 + visit * 3 * 86_400 + turn * 60 + user
                rows += [
                    (user, items[k], time, f"{user}-{visit}-{turn}", k, int(click[k]), chance)
                    for k in range(SLOTS)
                ]
                if not click.any() and rng.random() < leaving:
                    break
    names = ["user", "item", "time", "slate_id", "position", "click", "propensity"]
    events = pd.DataFrame(rows, columns=names)
    folder.mkdir()
    (events if propensities else events.drop(columns="propensity")).to_csv(
        folder / "events.csv", index=False
    )
    items_of = {"item": range(ITEMS), "topics": [f"topic {g}" for g in topic_N]}
    pd.DataFrame(items_of).to_csv(folder / "items.csv", index=False)
    (folder / "log.toml").write_text("repeats = true\n")
    return folder


def exposure(folder: Path) -> Trace:
    found = evidence(load_log(str(folder)))
    [trace] = [x for x in found.traces if x.name == EXPOSURE]
    return trace


def test_logged_chances_tell_a_mood_from_carry_over(tmp_path: Path) -> None:
    """The same slates and clicks: without their chances what the policy answered to looks alive."""
    folder = write_log(tmp_path / "blind", propensities=False)
    blind = exposure(folder)
    assert blind.clear and blind.figure is not None and blind.figure > 0
    assert supported(load_log(str(folder))) == "none"  # more of the same is no boredom
    told = exposure(write_log(tmp_path / "told"))
    assert not told.clear, told
    assert "weighed" in told.said and "weighed" not in blind.said


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({}, "none"),
        ({"leaving": 0.7}, "impatience"),
        ({"tiring": 3.0}, "carryover"),
        ({"tiring": 3.0, "moods": 0.7, "propensities": False}, "mild"),
    ],
)
def test_a_log_says_what_to_assume(tmp_path: Path, how: dict[str, Any], name: str) -> None:
    found = supported(load_log(str(write_log(tmp_path / "log", **how))))
    assert found.partition(":")[0] == name


def test_as_much_boredom_is_assumed_as_clicks_show(tmp_path: Path) -> None:
    """Without chances: where what was shown lately is clicked less; here 3 log-odds."""
    how = {"boring": 3.0, "tiring": 3.0, "moods": 0.7}
    folder = write_log(tmp_path / "log", **how, propensities=False)
    base, _, size = supported(load_log(str(folder))).partition(":boredom=")
    assert base == "mild" and 2.0 <= float(size) <= 4.0
    found = evidence(load_log(str(folder)))
    [trace] = [x for x in found.traces if x.name == TIRING]
    assert trace.p is not None and trace.p < SURE and not trace.clear
    exposed = replace(found, traces=tuple(replace(x, figure=0.0) for x in found.traces))
    assert supported_by(exposed) == "none"  # by itself it says nothing: taste, mood and habit


def test_clicks_on_what_bored_lately_are_told_from_moods(tmp_path: Path) -> None:
    """Of 3 log-odds moods that last hide a half."""
    found = evidence(load_log(str(write_log(tmp_path / "log", boring=3.0, moods=1.0))))
    [trace] = [x for x in found.traces if x.name == TIRING]
    assert trace.figure is not None and 1.2 <= -trace.figure <= 3.0


def test_impatience_is_no_reason_to_plan(tmp_path: Path) -> None:
    found = evidence(load_log(str(write_log(tmp_path / "log", leaving=0.7))))
    [trace] = [x for x in found.traces if x.name == IMPATIENCE]
    assert not trace.clear and trace.p is not None and trace.p < SURE
    assert trace.figure is not None and 0.4 < trace.figure < 0.8  # of .7, people's last visits cut
