"""Boosted oblivious trees: they answer as a loop over nodes does, and split where it is best."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slategym.models.classics.oblivious import Growing, ObliviousTrees, grow


def made(num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    feature_xX = rng.normal(size=(num, 5)).astype(np.float32)
    step_x = 1.0 * (feature_xX[:, 1] > 0.3) - 0.5 * (feature_xX[:, 3] > 0) * (feature_xX[:, 1] < 0)
    return feature_xX, step_x + 0.1 * rng.normal(size=num)


def test_trees_answer_as_a_loop_over_their_nodes_does() -> None:
    trees = ObliviousTrees(
        feature_SD=torch.tensor([[0, 1], [1, 0]]),
        threshold_SD=torch.tensor([[0.5, -1.0], [2.0, 0.0]]),
        value_SV=torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]),
    )
    # (right at level 0) + 2 (right at level 1): first tree's leaves 2, 3, 0; second's 0, 2, 1
    feature_xX = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 3.0]])
    assert trees(feature_xX).tolist() == [3.0 + 10.0, 4.0 + 30.0, 3.0 + 20.0]
    none, one, two = trees.firsts(feature_xX, (0, 1, 2))
    assert one.tolist() == [3.0, 4.0, 3.0] and none.tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(two, trees(feature_xX))
    assert trees(feature_xX[:0]).shape == (0,)


def test_the_first_split_is_the_best_of_all_that_there_are() -> None:
    feature_xX, value_x = made(300)
    one = Growing(most=1, rate=1.0, depth=1, ridge=1e-9, bins=16, rows=1.1, columns=1.0)
    trees = grow(feature_xX, value_x, one)
    edges = np.quantile(feature_xX, np.linspace(0, 1, 17)[1:-1], axis=0)

    def error(at: int, above: float) -> float:
        right = feature_xX[:, at] > above
        return sum(((v - v.mean()) ** 2).sum() for v in (value_x[right], value_x[~right]) if len(v))

    best = min((error(at, a), at, a) for at in range(5) for a in edges[:, at])
    assert int(trees.feature_SD[0, 0]) == best[1] == 1
    assert float(trees.threshold_SD[0, 0]) == pytest.approx(best[2])
    right = feature_xX[:, 1] > best[2]
    expected = [value_x[~right].mean(), value_x[right].mean()]
    assert trees.value_SV[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_boosting_learns_what_holds_for_other_rows() -> None:
    feature_xX, value_x = made(2_000)
    other_xX, other_x = made(1_000, seed=1)
    trees = grow(feature_xX, value_x, Growing(most=60, rate=0.2, depth=3))
    left = other_x - trees(torch.as_tensor(other_xX)).numpy()
    assert np.square(left).mean() < 0.03 < 0.2 < other_x.var()
    again = grow(feature_xX, value_x, Growing(most=60, rate=0.2, depth=3))
    assert torch.equal(again.value_SV, trees.value_SV)
    noise = grow(feature_xX, np.zeros(2_000), Growing(most=3))
    assert not noise.value_SV.any()
