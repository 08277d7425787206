"""What a click changes of later ones, in logs of people of whom everything is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slategym.experiments.validation.carry_over import CLICKS, TOPIC, WORTH, Carried, _faded
from slategym.experiments.validation.evidence import evidence
from slategym.experiments.validation.supported import carried_numbers, supported
from slategym.models.data.datasets import load_log
from slategym.models.simulator.assumptions import find_assumptions

USERS, VISITS, SLATES, SLOTS, ITEMS, TOPICS = 400, 3, 8, 4, 24, 4
DRAWN = 0.3  # of the slates at random, the others by what the person likes in this visit


@dataclass(frozen=True)
class Truth:
    """Log-odds that a click takes from its topic, and adds to everything if worth one more."""

    tiring: float = 0.0
    left: float = 0.5  # of it, with every slate
    trust: float = 0.0
    kept: float = 0.8
    moods: float = 1.0


def write_log(folder: Path, truth: Truth, propensities: bool = True) -> Path:
    """Everybody at once: moods by visit, items that tempt, and that are worth much."""
    rng = np.random.default_rng(1)
    B = USERS * VISITS
    topic_N = np.arange(ITEMS) % TOPICS
    kind_N = np.arange(ITEMS) // TOPICS
    tempting_N, good_N = np.where(kind_N % 2 == 0, 0.8, -0.8), 0.8 * (kind_N // 2 - 1)
    mood_BG = truth.moods * rng.normal(size=(B, TOPICS))
    level_BG, trust_B = np.zeros((B, TOPICS)), np.zeros(B)
    weight_BN = np.exp(mood_BG[:, topic_N])
    weight_BN /= weight_BN.sum(1, keepdims=True)
    visit_B, row_B = np.arange(B), np.arange(B)[:, None]
    parts = []
    for turn in range(SLATES):
        drawn_B1 = rng.random((B, 1)) < DRAWN
        chance_BN = np.where(drawn_B1, 1.0 / ITEMS, weight_BN)
        slate_BK = (np.log(chance_BN) + rng.gumbel(size=(B, ITEMS))).argsort(1)[
            :, : -SLOTS - 1 : -1
        ]
        taken_BK = weight_BN[row_B, slate_BK]
        left_BK = 1.0 - np.c_[np.zeros(B), taken_BK.cumsum(1)[:, :-1]]
        by_mood_B = (taken_BK / left_BK).prod(1)
        alike = float(np.prod(1.0 / (ITEMS - np.arange(SLOTS))))
        topic_BK = topic_N[slate_BK]
        odds_BK = mood_BG[row_B, topic_BK] + tempting_N[slate_BK] - 1.5
        odds_BK += truth.trust * trust_B[:, None] - truth.tiring * level_BG[row_B, topic_BK]
        click_BK = rng.random((B, SLOTS)) < 1 / (1 + np.exp(-odds_BK))
        dwell_BK = np.exp(rng.normal(size=(B, SLOTS)) * 0.3 + good_N[slate_BK])
        level_BG *= truth.left
        np.add.at(level_BG, (row_B, topic_BK), click_BK)
        worth_BK = np.tanh((dwell_BK - 1.0) / 0.9)
        trust_B = truth.kept * trust_B + (click_BK * worth_BK).sum(1)
        frame = {
            "user": np.repeat(visit_B // VISITS, SLOTS),
            "item": slate_BK.ravel(),
            "time": np.repeat(1_700_000_000 + visit_B % VISITS * 259_200 + turn * 60, SLOTS),
            "slate_id": np.repeat(visit_B * SLATES + turn, SLOTS),
            "position": np.tile(np.arange(SLOTS), B),
            "click": click_BK.ravel().astype(int),
            "dwell": np.where(click_BK, dwell_BK, np.nan).ravel(),
            "propensity": np.repeat(DRAWN * alike + (1.0 - DRAWN) * by_mood_B, SLOTS),
        }
        parts.append(pd.DataFrame(frame))
    events = pd.concat(parts, ignore_index=True)
    folder.mkdir()
    (events if propensities else events.drop(columns="propensity")).to_parquet(
        folder / "events.parquet"
    )
    items = {"item": range(ITEMS), "topics": [f"topic {g}" for g in topic_N]}
    pd.DataFrame(items).to_csv(folder / "items.csv", index=False)
    (folder / "log.toml").write_text(
        'repeats = true\n[signals.dwell]\nkind = "nonnegative"\nunit = "s"\nweight = 1.0\n'
    )
    return folder


def read(folder: Path) -> dict[str, Carried]:
    return {one.name: one for one in evidence(load_log(str(folder))).carried}


def test_moods_and_a_policy_that_follows_them_carry_nothing_over(tmp_path: Path) -> None:
    found = read(write_log(tmp_path / "log", Truth(moods=1.5)))
    assert set(found) == {TOPIC, CLICKS, WORTH}
    assert all(one.p > 0.01 for one in found.values()), found
    assert supported(load_log(str(tmp_path / "log"))) == "none"


@pytest.mark.parametrize("moods", [0.0, 1.0])
def test_what_a_click_takes_from_its_topic_is_found_whatever_the_moods(
    tmp_path: Path, moods: float
) -> None:
    """In log-odds of the average person, which are less than each person's own."""
    found = read(write_log(tmp_path / "log", Truth(tiring=0.8, moods=moods)))
    topic = found[TOPIC]
    assert topic.p < 1e-3 and abs(-topic.figure - 0.8) < 2 * topic.error + 0.25, topic
    assert topic.left == 0.5, topic
    assert found[WORTH].p > 0.01, found
    name = supported(load_log(str(tmp_path / "log")))
    assert name.startswith("carryover:boredom=0.") and "keep=0.5" in name
    effect = find_assumptions(name).effect
    assert effect is not None and effect.penalty == pytest.approx(-topic.figure, abs=0.01)


def test_what_a_click_was_worth_is_found(tmp_path: Path) -> None:
    found = read(write_log(tmp_path / "log", Truth(trust=0.5)))
    worth = found[WORTH]
    assert worth.p < 1e-3 and abs(worth.figure - 0.5) < 2 * worth.error + 0.15, worth
    assert worth.left >= 0.7 and found[TOPIC].p > 0.01, found
    assert "per_worth=0." in supported(load_log(str(tmp_path / "log")))


def test_without_chances_nothing_is_said_of_it(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "log", Truth(tiring=0.8), propensities=False)
    assert read(folder) == {}
    assert not supported(load_log(str(folder))).startswith("carryover")


def test_what_does_not_vary_says_nothing() -> None:
    assert _faded(np.zeros(3), np.zeros((20, 3))) == (0.0, math.inf, 0.5, 1.0)


def test_what_is_taken_up() -> None:
    topic = Carried(TOPIC, -0.4, 0.1, 0.7, 0.001)
    clicks, worth = Carried(CLICKS, -0.2, 0.1, 0.5, 0.005), Carried(WORTH, 0.3, 0.05, 0.9, 1e-6)
    assert carried_numbers((topic,), False) == {"boredom": 0.4, "keep": 0.7}
    both = {"per_click": -0.2, "per_worth": 0.3, "inertia": 0.9}  # of the clearer
    assert carried_numbers((clicks, worth), False) == both
    vague = Carried(TOPIC, -0.4, 0.2, 0.7, 0.05)
    assert carried_numbers((vague,), False) == {}
    assert carried_numbers((vague,), True) == {"boredom": 0.4, "keep": 0.7}
    assert carried_numbers((Carried(TOPIC, 0.4, 0.1, 0.7, 0.001),), True) == {}
    assert carried_numbers((Carried(TOPIC, -0.004, 0.1, 0.7, 0.5),), True) == {}
