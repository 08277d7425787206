"""The world against the judge while learners trained: drawn, told, and warned of."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from made_up import AGENTS, result
from PIL import Image

from slategym.experiments.measure import goodhart
from slategym.experiments.report.curves import draw_curves
from slategym.experiments.report.goodhart import draw_goodhart, warnings, with_warnings
from slategym.experiments.statistics.numbers import compute_numbers


def watched(judge_at_the_end: float) -> pd.DataFrame:
    """Both learners gain in the world; one loses before the judge what it had gained there."""
    rows = []
    for policy, end in zip(AGENTS, (judge_at_the_end, 0.5), strict=True):
        for part in (1, 2, 3, 4):
            for where, gain in (("world", 0.5 * part), ("judge", 0.8 + (end - 0.8) * part / 4)):
                rows.append(
                    {"policy": policy, "trained_in": "world", "seed": 0, "steps": 1000 * part,
                     "where": where, "gain": gain, "error": 0.1}
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_a_sign_that_parts_is_warned_of_with_both_numbers() -> None:
    (told,) = warnings(result(watched=watched(-0.4)))
    assert told.startswith("Warning, in world: on selection people plackett-luce ends its training")
    assert "(+2.00 [+1.80, +2.20])" in told and "(-0.40 [-0.60, -0.20])" in told
    assert not list(warnings(result(watched=watched(0.4))))
    unsure = watched(-0.4).assign(error=2.0)  # whether it is ahead in its world cannot be said
    assert not list(warnings(result(watched=unsure)))
    assert not list(warnings(result()))


def test_the_verdict_ends_with_the_warning() -> None:
    found = result(watched=watched(-0.4))
    numbers = compute_numbers(found.study, found.rows, found.curves)
    assert with_warnings(found, numbers).verdict.sentences[-1].startswith("Warning, in world")
    plain = result(watched=watched(0.4))
    assert with_warnings(plain, numbers).verdict == numbers.verdict


def test_curves_before_selection_people_are_of_all_seeds_and_the_flat_are_named(
    tmp_path: Path,
) -> None:
    first = watched(-0.4)
    flat = first["policy"] == AGENTS[1]
    first.loc[flat & (first["where"] == "world"), "gain"] = 0.3
    further = [
        first[first["where"] == "world"].assign(
            seed=seed, gain=lambda x, by=seed: x["gain"] + by / 9
        )
        for seed in (1, 2)
    ]
    found = result(watched=pd.concat([first, *further], ignore_index=True))
    numbers = compute_numbers(found.study, found.rows, found.curves)
    unsure = replace(found, watched=found.watched.assign(error=5.0))  # of people; seeds agree
    caption = draw_curves(unsure, numbers, tmp_path).caption
    assert f"Not clearly above their first point at the end: {AGENTS[1]} in world." in caption
    (told,) = warnings(found)  # the judge has the first seed alone, and is held against it
    assert "(+2.00 [+1.80, +2.20])" in told


def test_one_session_tells_no_error_and_nothing_rises_clearly_beside_an_unknown_one(
    tmp_path: Path,
) -> None:
    gain, error = goodhart._mean_and_error(torch.tensor([2.0]))
    assert gain == 2.0 and math.isnan(error)
    found = result(watched=watched(0.4).assign(error=error))
    numbers = compute_numbers(found.study, found.rows, found.curves)
    caption = draw_curves(found, numbers, tmp_path).caption
    both = " and ".join(AGENTS)
    assert f"Not clearly above their first point at the end: {both} in world." in caption
    assert not list(warnings(found))


def test_the_figure_is_drawn_where_there_are_readings(tmp_path: Path) -> None:
    assert draw_goodhart(result(), tmp_path) is None
    picture = draw_goodhart(result(watched=watched(-0.4)), tmp_path)
    assert picture is not None and len(picture.alt) > 40
    with Image.open(picture.path) as image:
        assert image.size[0] == pytest.approx(1200) and image.size[1] >= 400
