"""Estimators: by hand, against known truths, and how often their intervals hold them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from made_slates import Made, apart

from slategym.experiments.ope.estimators import (
    ESTIMATORS,
    Evidence,
    Predicted,
    effective_size,
    readable,
    value_of,
)
from slategym.experiments.ope.evaluation import LEAST_SIZE
from slategym.experiments.ope.intervals import intervals
from slategym.experiments.ope.weights import even_weight

CONSISTENT = ("ips", "snips", "rips", "snrips", "dr", "cascade-dr")  # where slots are a cascade
STEPS = ("pdis", "wpdis")


def by_hand() -> Evidence:
    """Two visits of one slate of two slots; ratios 2 and 3, then 1/2 and 1."""
    ratio_ETK = np.array([[[2.0, 3.0]], [[0.5, 1.0]]])
    return Evidence(
        reward_ETK=np.array([[[1.0, 1.0]], [[0.0, 4.0]]]),
        slate_ET=np.log(ratio_ETK.prod(2)),
        slot_ETK=np.log(ratio_ETK),
        position_ETK=np.log(ratio_ETK),
        additive_ET=ratio_ETK.sum(2) - 1,
        predicted=Predicted(
            logged_ETK=np.array([[[0.5, 0.5]], [[1.0, 1.0]]]),
            given_ETK=np.array([[[0.4, 0.6]], [[0.8, 1.2]]]),
            free_ETK=np.array([[[0.4, 0.7]], [[0.8, 0.9]]]),
        ),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ips", (6 * 2 + 0.5 * 4) / 2),
        ("snips", (6 * 2 + 0.5 * 4) / 6.5),
        ("clipped", (2**0.5 * 2 + 0.5 * 4) / 2),
        ("iips", (2 + 3 + 0 + 4) / 2),
        ("rips", (2 + 6 + 0 + 0.5 * 4) / 2),
        ("snrips", 2 / 2.5 + (6 + 2) / 6.5),
        ("pi", (4 * 2 + 0.5 * 4) / 2),
        ("dm", (1.1 + 1.7) / 2),
        ("dr", (1.1 + 6 * (2 - 1) + 1.7 + 0.5 * (4 - 2)) / 2),
        # before slot 1: .4 + .7; its error 1 + .6 - (.5 + .7); slot 2's 1 - .5
        # the other: .8 + .9; 0 + 1.2 - (1 + .9); 4 - 1
        ("cascade-dr", (1.1 + 2 * 0.4 + 6 * 0.5 + 1.7 + 0.5 * -0.7 + 0.5 * 3) / 2),
    ],
)
def test_one_slate_by_hand(name: str, expected: float) -> None:
    evidence = by_hand()
    assert set(readable(evidence)) == set(ESTIMATORS) - set(STEPS)
    assert value_of(ESTIMATORS[name].terms(evidence)) == pytest.approx(expected)


def test_two_steps_by_hand() -> None:
    reward = np.array([[[1.0], [2.0]], [[3.0], [0.0]]])  # the second visit ends after one slate
    ratio = np.array([[2.0, 0.5], [0.5, 1.0]])
    evidence = Evidence(reward, np.log(ratio), np.log(ratio)[..., None], None, None, None, 0.9)
    pdis = (2 * 1 + 0.9 * 1 * 2 + 0.5 * 3) / 2
    wpdis = (2 * 1 + 0.5 * 3) / 2.5 + 0.9 * (1 * 2) / 1.5
    found = {name: value_of(one.terms(evidence)) for name, one in readable(evidence).items()}
    assert found["pdis"] == pytest.approx(pdis) and found["wpdis"] == pytest.approx(wpdis)
    assert found["ips"] == pytest.approx((1 * (1 + 0.9 * 2) + 0.5 * 3) / 2)


def test_a_policy_that_never_shows_a_slate_gives_it_no_weight() -> None:
    evidence = Evidence(
        np.ones((2, 2, 1)), np.array([[-np.inf, 0.0], [0.0, -np.inf]]), None, None, None, None
    )
    assert value_of(ESTIMATORS["pdis"].terms(evidence)) == 0.5
    assert value_of(ESTIMATORS["ips"].terms(evidence)) == 0.0


@pytest.mark.parametrize("steps", [1, 3])
def test_bias_goes_to_zero(steps: int) -> None:
    made, rng = Made(steps=steps), np.random.default_rng(steps)
    evidence, truth = made.log(100_000, rng), made.truth()
    found = {name: value_of(one.terms(evidence)) for name, one in readable(evidence).items()}
    for name in (*CONSISTENT, *(STEPS if steps > 1 else ())):
        assert found[name] == pytest.approx(truth, rel=0.02), name
    assert abs(found["iips"] - truth) > 0.02  # its assumption does not hold: slots interact
    assert abs(found["dm"] - truth) > 0.2  # nor does the model's


def test_independent_slots_are_read_right_by_independent_weights() -> None:
    made = Made(clicks=apart)
    evidence = made.log(100_000, np.random.default_rng(0))
    assert value_of(ESTIMATORS["iips"].terms(evidence)) == pytest.approx(made.truth(), rel=0.01)


@pytest.mark.parametrize("steps", [1, 3])
def test_intervals_hold_the_truth(steps: int) -> None:
    """In 90 to 98 of 100 logs, for every estimator whose assumptions hold."""
    made, rng, logs = Made(steps=steps), np.random.default_rng(10 + steps), 200
    truth, size, person_E = made.truth(), 400, np.repeat(np.arange(200), 2)
    names = (*CONSISTENT, *(STEPS if steps > 1 else ()))
    held = dict.fromkeys(names, 0)
    for at in range(logs):
        evidence = made.log(size, rng)
        terms = {name: ESTIMATORS[name].terms(evidence) for name in names}
        for name, (low, high) in intervals(terms, person_E, resamples=300, seed=at).items():
            held[name] += low <= truth <= high
    share = {name: count / logs for name, count in held.items()}
    assert min(share.values()) >= 0.9 and max(share.values()) <= 0.98, share


@pytest.mark.slow
def test_intervals_are_trusted_only_where_they_hold() -> None:
    """Policies far from the log's: with too small a sample intervals fail, and are withheld."""
    rng, held = np.random.default_rng(5), {False: list[bool](), True: list[bool]()}
    for sharpness in (1.25, 1.5, 4.0, 5.0):
        made = Made(steps=3, sharpness=sharpness)
        truth = made.truth()
        for at in range(60):
            terms = {name: ESTIMATORS[name].terms(made.log(600, rng)) for name in ("ips", "pdis")}
            ends = intervals(terms, np.arange(600), resamples=300, seed=at)
            for name, one in terms.items():
                assert one.weight_E is not None
                enough = effective_size(one.weight_E) >= LEAST_SIZE
                held[enough].append(ends[name].low <= truth <= ends[name].high)
    assert min(len(held[False]), len(held[True])) > 100
    assert np.mean(held[True]) >= 0.9 > np.mean(held[False])


def test_intervals_keep_a_persons_visits_together() -> None:
    rng = np.random.default_rng(0)
    value_E = np.repeat(rng.normal(size=50), 8)  # all visits of a person are alike
    terms = {"x": ESTIMATORS["ips"].terms(Evidence(
        value_E[:, None, None], np.zeros((400, 1)), None, None, None, None
    ))}  # fmt: skip
    together = intervals(terms, np.repeat(np.arange(50), 8), seed=1)["x"]
    apart_ = intervals(terms, np.arange(400), seed=1)["x"]
    ratio = (together.high - together.low) / (apart_.high - apart_.low)
    assert ratio == pytest.approx(8**0.5, rel=0.15)


def test_effective_size() -> None:
    assert effective_size(np.array([3.0, 0.0, 0.0])) == 1.0
    assert effective_size(np.zeros(3)) == 0.0


def test_the_weight_of_even_slates_is_the_pseudo_inverses() -> None:
    """Against the matrix itself: mean of 1_A 1_A^T over all slates of three from five items."""
    N, K, rng = 5, 3, np.random.default_rng(3)
    slates = np.array(list(permutations(range(N), K)))
    asked_L = rng.dirichlet(np.ones(len(slates)))
    one_LJ = np.stack([np.eye(N)[slate].ravel() for slate in slates])
    mean_JJ = one_LJ.T @ one_LJ / len(slates)
    wanted_L = one_LJ @ np.linalg.pinv(mean_JJ) @ (asked_L @ one_LJ)
    place_KN = (asked_L @ one_LJ).reshape(K, N)
    prob_LK = place_KN[np.arange(K), slates]
    within_LK = place_KN.sum(0)[slates]
    found_L = even_weight(prob_LK, within_LK, np.full(len(slates), float(N)))
    np.testing.assert_allclose(found_L, wanted_L, atol=1e-9)
