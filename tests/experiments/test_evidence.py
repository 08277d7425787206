"""What a log says of carry-over: yes where slates change what comes later, no where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slategym.experiments.cli.main import answer, build
from slategym.experiments.validation.boredom import EXPOSURE
from slategym.experiments.validation.evidence import BACK, NAMES, WORTH, Evidence, evidence
from slategym.experiments.validation.supported import SPOKEN, error_rates
from slategym.experiments.validation.traces import Trace
from slategym.models.data.datasets import load_log

USERS, VISITS, SLATES, SLOTS, ITEMS, TOPICS = 120, 2, 12, 4, 40, 4
DAY = 86_400


def write_log(
    folder: Path,
    *,
    tiring: float = 0.0,
    trust: float = 0.0,
    slates: bool = True,
    favourites: float = 0.0,
) -> Path:
    """Random slates; log-odds that a topic shown lately loses, that a better click brings."""
    rng = np.random.default_rng(0)
    topic_N = np.arange(ITEMS) % TOPICS
    taste_UG = rng.normal(size=(USERS, TOPICS))
    mood_UV = rng.normal(size=(USERS, VISITS))  # a visit has its own, which no slate moves
    rows = []
    for user in range(USERS):
        for visit in range(VISITS):
            shown, last = np.zeros((0, TOPICS)), 0.0
            for turn in range(SLATES):
                weight_N = np.exp(favourites * taste_UG[user][topic_N])
                items = rng.choice(ITEMS, SLOTS, replace=False, p=weight_N / weight_N.sum())
                lately = shown[-5:].sum(0)
                share = lately / max(lately.sum(), 1.0)
                odds = taste_UG[user] + mood_UV[user, visit] - 1.0 - tiring * share + trust * last
                click = rng.random(SLOTS) < 1 / (1 + np.exp(-odds[topic_N[items]]))
                worth = np.where(click, rng.exponential(1.0, SLOTS).round(3), np.nan)
                if click.any():
                    last = float(np.nanmean(worth)) - 1.0
                shown = np.vstack([shown, np.bincount(topic_N[items], minlength=TOPICS)])
                time = 1_700_000_000 + visit * 3 * DAY + turn * 60 + user
                for slot in range(SLOTS):
                    key = f"{user}-{visit}-{turn}"
                    rows.append((user, items[slot], time, key, slot, int(click[slot]), worth[slot]))
    columns = ["user", "item", "time", "slate_id", "position", "click", "dwell"]
    events = pd.DataFrame(rows, columns=columns)
    if not slates:
        events = events[events["click"] > 0].drop(columns=["slate_id", "position"])
    folder.mkdir(exist_ok=True)
    events.to_csv(folder / "events.csv", index=False)
    topics = [f"topic {g}" for g in topic_N]
    pd.DataFrame({"item": range(ITEMS), "title": range(ITEMS), "topics": topics}).to_csv(
        folder / "items.csv", index=False
    )
    (folder / "log.toml").write_text(
        'repeats = true\n[signals.dwell]\nkind = "nonnegative"\nunit = "s"\nweight = 1.0\n'
    )
    return folder


def test_nothing_is_found_where_nothing_carries_over(tmp_path: Path) -> None:
    """Though visits have moods and people tastes, which slates do not move."""
    found = evidence(load_log(str(write_log(tmp_path / "log"))))
    assert not found.something, found.sentence
    assert found.sentence.startswith("No: of 3 traces"), found.sentence  # all visits last as long
    assert [x.counts for x in found.traces if x.name == BACK] == [False]


@pytest.mark.parametrize(
    ("how", "name", "sign"),
    [({"tiring": 2.5}, EXPOSURE, -1), ({"trust": 1.0}, WORTH, 1)],
)
def test_what_carries_over_is_found(
    tmp_path: Path, how: dict[str, float], name: str, sign: int
) -> None:
    found = evidence(load_log(str(write_log(tmp_path / "log", **how))))
    [trace] = [x for x in found.traces if x.name == name]
    assert trace.clear and trace.figure is not None and trace.figure * sign > 0
    assert found.something and name in found.sentence
    if name == EXPOSURE:  # 2.5 log-odds, a slot clicked about one time in three
        assert -2.5 < trace.figure < -1.0


def test_a_policy_that_shows_favourites_is_no_carry_over(tmp_path: Path) -> None:
    found = evidence(load_log(str(write_log(tmp_path / "log", favourites=1.0))))
    [trace] = [x for x in found.traces if x.name == EXPOSURE]
    assert not trace.clear, trace


def test_what_does_not_count_is_no_reason() -> None:
    back = Trace(BACK, "said", 0.2, 0.1, 0.3, p=1e-6, counts=False)
    assert not back.clear and Trace("x", "said", 0.2, 0.1, 0.3, p=1e-6).clear
    found = Evidence((back,))
    assert not found.something and found.sentence.startswith("The log does not tell")


def test_without_slates_the_log_says_what_to_log(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log", tiring=2.5, slates=False)
    found = evidence(load_log(str(folder)))
    assert found.sentence == "The log does not tell whether slates change what comes later."
    assert "slate_id and position" in next(x.wanted for x in found.traces if x.wanted)


def test_the_command_reads_a_log_and_says_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_log(tmp_path / "log", tiring=2.5)
    assert answer(build, ["diagnose", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Yes: what was shown lately")
    assert "--assumptions none,mild,lasting" in said
    assert "so worlds learned from it assume: mild" in said
    assert f"how often that is right: {error_rates()}" in said
    assert answer(build, ["diagnose", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["something"] is True and len(document["traces"]) == len(NAMES)
    assert [x["strength"] for x in document["of_known_truth"]] == [0.0, 1.0]
    for words, why in (
        (["diagnose", str(folder), "--set", "static=true"], "--set is for worlds"),
        (["diagnose", "TopicRec-v0", "--assumptions", "mild"], "--assumptions is for logs"),
        (["diagnose", str(folder), "--assumptions", "mlid"], "mild"),
    ):
        assert answer(build, words) == 2
        assert why in capsys.readouterr().err


def test_error_rates_are_those_of_the_published_table() -> None:
    """One line of docs/results/truth.md counts the logs of the grid that speak of carry-over."""
    page = (Path(__file__).parents[2] / "docs/results/truth.md").read_text(encoding="utf-8")
    (wrong, silent), (found, loud) = SPOKEN[0.0], SPOKEN[1.0]
    said = f"{wrong} of {silent} at strength 0, {found} of {loud} at strength 1"
    assert f"Logs that speak of carry-over, as slategym diagnose reads them: {said}." in page
