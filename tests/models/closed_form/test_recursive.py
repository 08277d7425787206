"""The Kalman filter is the Gaussian process, click by click."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from slategym.models.closed_form.recursive import Regression, kernel_features

N, D, T = 12, 4, 7


@pytest.fixture
def regression() -> Regression:
    rng = np.random.default_rng(0)
    return Regression(
        feature_ND=torch.as_tensor(rng.normal(size=(N, D)) * 0.7),
        rest_N=torch.as_tensor(rng.uniform(0, 0.3, N)),
        level_N=torch.as_tensor(rng.normal(3.0, 0.5, N)),
        scale=1.3,
        bias=0.4,
        drift=0.5,
        events=6.0,
    )


def brute_force(r: Regression, item_T: np.ndarray, value_T: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and variance of every item's next value, by one solve of the whole covariance."""
    told = np.isfinite(value_T)
    feature_ND, rest_N, level_N = (x.numpy() for x in (r.feature_ND, r.rest_N, r.level_N))

    def kernel(left: np.ndarray, right: np.ndarray, apart: np.ndarray) -> np.ndarray:
        shared = feature_ND[left] @ feature_ND[right].T + r.bias
        return shared + r.drift * np.exp(-np.abs(apart) / r.events)

    at = np.arange(len(item_T))
    K = kernel(item_T, item_T, at[:, None] - at) + np.diag(1.0 + rest_N[item_T])
    every = np.arange(N)
    cross = kernel(every, item_T, np.full((N, 1), len(item_T)) - at)
    K, cross = K[np.ix_(told, told)], cross[:, told]
    residual = ((value_T - level_N[item_T]) / r.scale)[told]
    mean_N = level_N + r.scale * cross @ np.linalg.solve(K, residual)
    own_N = np.square(feature_ND).sum(1) + r.bias + r.drift + rest_N
    variance_N = own_N - (cross * np.linalg.solve(K, cross.T).T).sum(1)
    return mean_N, r.scale**2 * variance_N


def test_beliefs_are_those_of_the_whole_covariance(regression: Regression) -> None:
    rng = np.random.default_rng(1)
    item_BT = rng.integers(0, N, (3, T))
    value_BT = rng.normal(3, 1, (3, T))
    value_BT[1, 2] = np.nan  # unobserved: time passes, nothing is learned
    belief = regression.initial(torch.as_tensor(item_BT), torch.as_tensor(value_BT))
    mean_BN = regression.mean(belief, None)
    id_BN = torch.arange(N).expand(3, N)
    variance_BN = regression.variance(belief, id_BN)
    torch.testing.assert_close(regression.mean(belief, id_BN), mean_BN)
    for b in range(3):
        mean_N, variance_N = brute_force(regression, item_BT[b], value_BT[b])
        np.testing.assert_allclose(mean_BN[b].numpy(), mean_N, rtol=1e-9)
        np.testing.assert_allclose(variance_BN[b].numpy(), variance_N, rtol=1e-9)


def test_rows_without_a_click_stay_as_they_are(regression: Regression) -> None:
    belief = regression.initial(torch.tensor([[1, 2], [3, -1]]), torch.tensor([[4.0, 2.0]] * 2))
    alone = regression.initial(torch.tensor([[3]]), torch.tensor([[4.0]]))
    torch.testing.assert_close(belief.mean[1:], alone.mean)
    torch.testing.assert_close(belief.covariance[1:], alone.covariance)
    took_B = torch.tensor([True, False])
    after = regression.after(belief, torch.tensor([5, 5]), torch.tensor([1.0, 1.0]), took_B)
    assert torch.equal(after.mean[1], belief.mean[1])
    assert torch.equal(after.covariance[1], belief.covariance[1])
    assert not torch.equal(after.mean[0], belief.mean[0])


def test_without_features_and_drift_it_is_a_shrunk_running_mean() -> None:
    zero_N = torch.zeros(N, dtype=torch.float64)
    plain = Regression(zero_N.new_zeros(N, 0), zero_N, zero_N + 3.0, 1.0, 1 / 15, 0.0, 1.0)
    values = [4.0, 5.0, 2.0]
    belief = plain.initial(torch.tensor([[0, 4, 7]]), torch.tensor([values], dtype=torch.float64))
    want = 3.0 + sum(v - 3.0 for v in values) / (len(values) + 15)
    assert float(plain.mean(belief, torch.tensor([[2]]))) == pytest.approx(want)


@pytest.mark.parametrize("length", [0.3, math.inf])
def test_features_of_a_kernel_and_what_they_leave_out(length: float) -> None:
    rng = np.random.default_rng(2)
    unit_ND = rng.normal(size=(30, 6))
    unit_ND /= np.linalg.norm(unit_ND, axis=1, keepdims=True)
    cosine = unit_ND @ unit_ND.T
    kernel = cosine if math.isinf(length) else np.exp((cosine - 1) / length)
    whole, nothing = kernel_features(unit_ND, length, 30)
    np.testing.assert_allclose(whole @ whole.T, kernel, atol=1e-6)
    np.testing.assert_allclose(nothing, 0, atol=1e-6)
    few, rest_N = kernel_features(unit_ND, length, 4)
    assert few.shape == (30, 4)
    np.testing.assert_allclose(np.square(few).sum(1) + rest_N, np.diag(kernel), atol=1e-6)
    left_out = kernel - few @ few.T
    other = kernel - whole[:, 5:9] @ whole[:, 5:9].T
    assert np.square(left_out).sum() < np.square(other).sum()  # the best four directions
