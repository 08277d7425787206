"""A verdict held against the truth, in numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import AGENTS, episode_rows, numbers_of, paid, study

from slategym.experiments.statistics.differences import metric_of
from slategym.experiments.truth.claims import (
    Count,
    _judged_share,
    _under_others,
    binomial_interval,
    kendall,
    model_share,
    power,
    summaries,
    summary,
    transfers,
)


def claims_of(*lines: tuple[str, float, str, str, float]) -> pd.DataFrame:
    """A verdict each: scenario, strength, claim, truth, low end of the headroom."""
    return pd.DataFrame(
        [
            {
                **dict(scenario=scenario, strength=strength, visits=1_000, seed=0, place="world"),
                **dict(assumptions="mild", claim=claim, truth=truth, tau=0.5, regret_share=0.1),
                **dict(headroom_low=low, headroom_share=0.2),
            }
            for scenario, strength, claim, truth, low in lines
        ]
    )


def compared(scenario: str, learned: tuple[float, float, float, int], true: float, side: int,
             strength: float = 1.0) -> dict[str, object]:  # fmt: skip
    value, low, high, learned_side = learned
    return {
        **dict(scenario=scenario, strength=strength, visits=1_000, seed=0, place="world"),
        **dict(learned=value, learned_low=low, learned_high=high, learned_side=learned_side),
        **dict(true=true, true_low=true - 0.05, true_high=true + 0.05, true_side=side),
        **dict(judged=value + 0.1),
    }


CLAIMS = claims_of(
    ("News", 1.0, "wins", "wins", 1.0),
    ("Shop", 1.0, "wins", "no difference", -1.0),
    ("Video", 1.0, "wins", "loses", -1.0),
    ("Ads", 1.0, "no difference", "wins", 2.0),
    ("Film", 1.0, "loses", "loses", 3.0),
)
COMPARED = pd.DataFrame(
    [
        compared("News", (0.2, 0.1, 0.3, 1), 0.25, 1),  # clear, right, held
        compared("Shop", (0.2, 0.1, 0.3, 1), -0.1, -1),  # clear, the wrong way, not held
        compared("Ads", (0.0, -0.1, 0.1, 0), 0.2, 1),  # not clear, not held
        compared("Film", (0.0, 0.0, 0.0, 0), 0.0, 0),  # the same slates: nothing to hold
    ]
)


def test_counts_of_a_small_grid() -> None:
    found = summary("all", CLAIMS, COMPARED)
    assert (found.false_wins.number, found.false_wins.of) == (2, 3)
    assert (found.missed.number, found.missed.of) == (1, 2)
    assert (found.wrong_sign.number, found.wrong_sign.of) == (1, 2)
    assert (found.coverage.number, found.coverage.of) == (1, 3)
    # Shop needs .26 of models, Ads .14, News nothing: Shop is not held by what the others need
    assert (found.transfer.number, found.transfer.of) == (2, 3)
    assert found.tau == 0.5 and found.regret == pytest.approx(0.1)


def test_transfer_intervals_are_calibrated_on_other_scenarios() -> None:
    """Thirty differences need .3 of models, but for those of one scenario, which need .6."""
    alike, other = (
        [
            compared(name, (0.2, 0.1, 0.3, 1), 0.2 + apart, 1, strength=float(n)) | {"judged": 0.2}
            for n in range(30)
        ]
        for name, apart in (("News", np.hypot(0.1, 0.3)), ("Ads", np.hypot(0.1, 0.6)))
    )
    both = pd.DataFrame([*alike, *other])
    found = transfers(both).groupby("scenario")["half"].first()
    assert found["Ads"] == pytest.approx(np.hypot(0.1, 0.3))  # as News needs it, .1 is of people
    assert found["News"] == pytest.approx(np.hypot(0.1, 0.6))
    assert transfers(pd.DataFrame(alike)).empty  # no other scenario
    assert model_share(both) == pytest.approx(0.6)
    ads = claims_of(*(("Ads", float(n), "wins", "wins", 1.0) for n in range(30)))
    held = summary("Ads", ads, both)
    assert (held.transfer.number, held.transfer.of, held.coverage.number) == (0, 30, 0)
    news = claims_of(*(("News", float(n), "wins", "wins", 1.0) for n in range(30)))
    wide = summary("News", news, both)
    assert (wide.transfer.number, wide.carried.of) == (30, 0)  # held, and nothing is clear
    assert wide.half == pytest.approx(np.hypot(0.1, 0.6))


def test_what_assumptions_explain_is_not_left_to_models() -> None:
    """A difference of .2 that is -.4 in the true world, and -.3 under other assumptions."""
    one = compared("Service", (0.2, 0.1, 0.3, 1), -0.4, -1) | {"judged": 0.2}
    other = compared("News", (0.2, 0.1, 0.3, 1), 0.2, 1) | {"judged": 0.2}
    blind = pd.DataFrame([one, other])
    told = blind.assign(**{"under none": [-0.3, 0.2], "under habit": [-0.5, np.nan]})
    apart = (0.5**2 + 0.7**2) / 2
    assert model_share(blind) == pytest.approx((0.6**2 - 0.1**2) ** 0.5)
    assert model_share(told) == pytest.approx(max(0.0, 0.6**2 - 0.1**2 - apart) ** 0.5)
    assert transfers(blind).set_index("scenario")["half"]["Service"] == pytest.approx(0.1)
    half = transfers(told).set_index("scenario")["half"]
    assert half["Service"] == pytest.approx((0.1**2 + apart) ** 0.5)
    held = summary("all", claims_of(("Service", 1.0, "wins", "loses", 1.0)), told)
    assert (held.transfer.number, held.transfer.of) == (1, 1)


def test_policies_with_the_same_slates_do_not_calibrate() -> None:
    same = compared("Shop", (0.0, 0.0, 0.0, 0), 0.0, 0)
    alone = pd.DataFrame([same, compared("Ads", (0.2, 0.1, 0.3, 1), 0.4, 1)])
    assert transfers(alone).empty


def test_what_a_judge_says_is_a_share_of_what_the_other_earns_there() -> None:
    gains = {"world": 1.8, "judge": 2.4, "static": 0.0}
    rows = episode_rows(gains={k: {"plackett-luce": v} for k, v in gains.items()})
    numbers = numbers_of(rows, AGENTS[:1])
    judges = study(AGENTS[:1]).of_role("judge")
    pair = ("plackett-luce", "supervised")
    found = _judged_share(pair, numbers, judges, "supervised")
    read = rows[(rows["variant"] == "judge") & (rows["group"] == "evaluation")]
    mean = read.groupby("policy")[metric_of(read)].mean()
    assert found == pytest.approx(mean["plackett-luce"] / mean["supervised"] - 1.0)
    assert found != pytest.approx(0.0)
    assert np.isnan(_judged_share(("plackett-luce", "nobody"), numbers, judges, "supervised"))


def test_other_assumptions_are_read_in_their_own_places() -> None:
    """A lead of 1.8 before the supervised ranker, of 4 under "none"; judges read another."""
    rows = episode_rows(gains={k: {AGENTS[0]: 1.8} for k in ("world", "judge", "static")})
    here = (rows["variant"] == "world") & (rows["strength"] == 4.0)
    here &= rows["group"] == "evaluation"
    there = rows[here].assign(variant="world-under-none", strength=float("nan"))
    away = paid(there, there["policy"] == AGENTS[0], 2.2)
    made = study(AGENTS[:1])
    world = made.places[0]
    other = replace(
        world, name="world-under-none", of="world", role="assumed", strength=None,
        settings={"assumptions": "none"},
    )  # fmt: skip
    elsewhere = replace(other, name="static-under-none", of="static")
    made = replace(made, places=(*made.places, other, elsewhere))
    pair = (AGENTS[0], "supervised")
    found = _under_others(made, pd.concat([rows, away]), (pair,), world)
    earned = there[there["policy"] == "supervised"]["return"].mean()
    assert found == {"none": {pair: pytest.approx(4.0 / earned, abs=0.3 / earned)}}
    assert _under_others(study(AGENTS[:1]), rows, (pair,), world) == {}


def test_power_is_of_cells_with_something_to_plan_for() -> None:
    assert power(CLAIMS) == Count(1, 3)  # Shop's headroom is not shown


def test_only_the_cells_asked_for_count() -> None:
    silent = claims_of(("Shop", 0.0, "no difference", "no difference", 0.0))
    both = pd.concat([CLAIMS, silent], ignore_index=True)
    rows = pd.concat(
        [COMPARED, pd.DataFrame([compared("Shop", (0.2, 0.1, 0.3, 1), -0.1, -1, strength=0.0)])]
    )
    first, second, whole = summaries(both, rows)
    assert (first.what, second.what, whole.what) == ("strength 0", "strength 1", "all")
    assert (first.cells, first.wrong_sign) == (1, Count(1, 1))
    assert second == summary("strength 1", CLAIMS, COMPARED)
    assert whole.wrong_sign == Count(2, 3)


def test_kendall() -> None:
    up = np.arange(4.0)
    assert kendall(up, up) == 1.0 and kendall(up, -up) == -1.0
    # of pairs without a tie in either, 4 agree and 1 does not; 5 and 6 pairs without own ties
    assert kendall(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(
        3 / np.sqrt(5 * 6)
    )
    assert np.isnan(kendall(np.ones(3), up[:3]))


def test_interval_of_a_share() -> None:
    low, high = binomial_interval(5, 10)
    assert (low, high) == (pytest.approx(0.187, abs=1e-3), pytest.approx(0.813, abs=1e-3))
    assert binomial_interval(0, 0) == (0.0, 1.0)
    assert str(Count(0, 0)) == "none to count" and "2 of 4" in str(Count(2, 4))
