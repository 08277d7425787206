"""Intervals for the world of a log, beside those over people of the learned one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from made_up import AGENTS, episode_rows, paid, study

from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.experiments.statistics.transfer import (
    MODEL,
    MODEL_ALONE,
    calibrated,
    transfer_of,
    unexplained,
)
from slategym.experiments.statistics.words import transferred

GAINS = {"world": 1.8, "judge": 2.4, "static": 0.0}  # of the learner


def numbers_of(log: str | None, judge: float = 2.4) -> Numbers:
    gains = {**GAINS, "judge": judge}
    rows = episode_rows(gains={k: {AGENTS[0]: v} for k, v in gains.items()})
    return compute_numbers(replace(study(AGENTS[:1]), log=log), rows, pd.DataFrame())


def test_an_interval_for_the_logs_world_adds_judges_and_models() -> None:
    numbers = numbers_of("movielens-100k")
    d = numbers.find(AGENTS[0], "supervised", "world")
    assert d is not None and d.transfer is not None
    earned = numbers.of("supervised").mean["world"].value
    assert d.transfer.people == pytest.approx((d.estimate.high - d.estimate.low) / 2)
    assert d.transfer.model == pytest.approx(MODEL_ALONE * earned)
    assert d.transfer.low < d.estimate.low and d.estimate.high < d.transfer.high
    assert d.transfer.value == d.estimate.value and d.side == 1
    assert transferred(d) == f"[{d.transfer.low:+.2f}, {d.transfer.high:+.2f}]"
    assert d.transfer.side == 0 and "nothing is shown of that world" in numbers.verdict.sentence
    before = numbers.find(AGENTS[0], "supervised", "judge")
    assert before is not None and before.transfer is None  # nobody trains there


def test_judges_that_disagree_make_it_wider() -> None:
    near, far = (numbers_of("log", judge).differences[0].transfer for judge in (1.8, 6.0))
    assert near is not None and far is not None
    assert far.judges > near.judges + 0.1 and far.half > near.half


def test_other_assumptions_that_disagree_make_it_wider() -> None:
    """The component, by hand; a smaller share is left to models where somebody was read so."""
    rows = episode_rows(gains={k: {AGENTS[0]: v} for k, v in GAINS.items()})
    here = (rows["variant"] == "world") & (rows["strength"] == 4.0)
    here &= (rows["group"] == "evaluation") & (rows["seed"] == 0)
    there = rows[here].assign(variant="world-under-none", strength=float("nan"))
    away = paid(there, there["policy"] == AGENTS[0], -6.0)
    learned = there["policy"] == AGENTS[0]
    control = paid(there.assign(variant="static-under-none"), learned, -20.0)  # no concern of it
    control.loc[learned, "trained_in"] = "static"
    found = {}
    for name, read in (("alike", there), ("away", away)):
        made = replace(study(AGENTS[:1]), log="log")
        assumed = replace(made.places[0], name="world-under-none", of="world", role="assumed")
        assumed = replace(assumed, strength=None)
        other = replace(assumed, name="static-under-none", of="static")
        made = replace(made, places=(*made.places, assumed, other))
        assert assumed not in made.main and other not in made.main
        numbers = compute_numbers(made, pd.concat([rows, read, control]), pd.DataFrame())
        found[name] = numbers.differences[0].transfer
        first = numbers.find(AGENTS[0], "supervised", "world-under-none")
        assert first is None and "under-none" not in numbers.verdict.sentence  # no place of its own
    near, far = found["alike"], found["away"]
    assert near is not None and far is not None and near.assumed is not None
    earned = numbers.of("supervised").mean["world"].value
    assert far.model == pytest.approx(MODEL * earned)
    assert near.assumed < 0.2 and far.assumed == pytest.approx(6.0, abs=0.3)
    assert far.half == pytest.approx(
        (far.people**2 + far.judges**2 + far.assumed**2 + far.model**2) ** 0.5
    )
    alone = numbers_of("log").differences[0].transfer
    assert alone is not None and alone.assumed is None
    assert alone.model == pytest.approx(MODEL_ALONE * earned) and MODEL <= MODEL_ALONE


def test_a_world_of_no_log_has_none() -> None:
    numbers = numbers_of(None)
    assert all(d.transfer is None for d in numbers.differences)
    assert "wrote the log" not in numbers.verdict.sentence


def test_parts_are_added_in_squares() -> None:
    assert transfer_of(0.0, 2.0, 3.0, 1.0, 6.0, model=0.0).half == 7.0
    found = transfer_of(5.0, 3.0, 0.0, -10.0, model=0.4)
    assert (found.half, found.low, found.high, found.side) == (5.0, 0.0, 10.0, 0)
    assert transfer_of(-6.0, 3.0, 0.0, 10.0, model=0.4).side == -1


def test_what_is_unexplained_is_what_makes_the_interval_hold() -> None:
    needed = unexplained(0.2, 0.5, 0.1, 0.15)
    assert needed == pytest.approx((0.09 - 0.01 - 0.0225) ** 0.5)
    assert transfer_of(0.2, 0.1, 0.15, 1.0, model=needed).high == pytest.approx(0.5)


def test_of_few_scenarios_the_largest_is_taken() -> None:
    """Nineteen are needed for 95 %; of 39, the 38th smallest."""
    assert calibrated([]) == float("inf")
    assert calibrated(range(18)) == 17.0
    assert calibrated(range(19)) == 18.0
    assert calibrated(range(39)) == 37.0
