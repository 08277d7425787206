"""Prior variances chosen for a log: what the likelihood is, and that it finds what matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from slategym.models.closed_form import variances
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.item_statistics import ItemSources, RegressionSettings
from slategym.models.closed_form.sides import Sides
from slategym.models.closed_form.variances import _Asked, with_variances_for

N, EACH, FOLDS = 60, 25, 3


def _log(users: int, telling: float, seed: int = 0) -> tuple[Events, Sides]:
    """Ratings that follow the items' texts with this weight, in deviations of their noise."""
    rng = np.random.default_rng(seed)
    text_ND = rng.normal(size=(N, 4))
    text_ND /= np.linalg.norm(text_ND, axis=1, keepdims=True)
    user_E = np.repeat(np.arange(users), EACH)
    item_E = np.concatenate([rng.permutation(N)[:EACH] for _ in range(users)])
    taste_UD = telling * 2.0 * rng.normal(size=(users, 4))
    level_U = 0.5 * rng.normal(size=users)
    value_E = 3.0 + level_U[user_E] + (taste_UD[user_E] * text_ND[item_E]).sum(1)
    value_E = value_E + rng.normal(size=len(user_E))
    values = {"rating": value_E}
    events = Events(user_E, item_E, np.ones(len(user_E), bool), values, users, N)
    none = np.zeros((0, 0))
    sides = Sides(
        text_ND, np.zeros((N, 1)), np.zeros((N, 0)), (), (), (), none, np.zeros((len(user_E), 0))
    )
    return events, sides


def _parts(events: Events, sides: Sides) -> tuple[list[ItemSources], np.ndarray]:
    fold_U = np.arange(events.num_users) % FOLDS
    signals = ["rating"]
    others = [fold_U[events.user_E] != fold for fold in range(FOLDS)]
    return [ItemSources.of(events, signals, signals, rows_E, sides) for rows_E in others], fold_U


def _chosen(events: Events, sides: Sides) -> RegressionSettings:
    parts, fold_U = _parts(events, sides)
    every_E = np.ones(events.num_rows, bool)
    return with_variances_for(events, "rating", parts, fold_U, every_E)


def test_texts_count_where_they_tell_and_hardly_where_they_do_not() -> None:
    usual = RegressionSettings().amplitudes.text
    assert _chosen(*_log(150, 0.0)).amplitudes.text <= usual / 8
    assert _chosen(*_log(150, 1.0)).amplitudes.text >= usual


def test_of_few_people_nothing_is_chosen() -> None:
    assert _chosen(*_log(variances.PEOPLE - 1, 0.0)) == RegressionSettings()


def test_people_in_no_fold_are_not_asked() -> None:
    events, sides = _log(150, 0.0)
    parts, fold_U = _parts(events, sides)
    every_E = np.ones(events.num_rows, bool)
    fold_U[variances.PEOPLE - 1 :] = -1
    assert with_variances_for(events, "rating", parts, fold_U, every_E) == RegressionSettings()


def test_values_one_by_one_are_as_likely_as_all_together() -> None:
    events, sides = _log(120, 0.5)
    parts, fold_U = _parts(events, sides)
    every_E = np.ones(events.num_rows, bool)
    settings = RegressionSettings(drift=0.3, events=7.0)
    asked = _Asked.of(events, "rating", parts, fold_U, every_E)
    assert asked is not None and len(asked.user_x) == events.num_rows
    told_x = asked.likelihood(settings)
    # the same by each person's covariance, all values at once
    ago_TT = (torch.arange(EACH)[:, None] - torch.arange(EACH)).abs().double()
    whole_UTT, residual_UT = [], []
    for user in range(events.num_users):
        part = parts[fold_U[user]]
        feature_NR = part.blocks("rating", settings.amplitudes).feature_NR.double()
        at = slice(user * EACH, (user + 1) * EACH)
        own_TR = feature_NR[torch.as_tensor(events.item_E[at])]
        drift_TT = settings.drift * torch.exp(-ago_TT / settings.events)
        whole_UTT.append(own_TR @ own_TR.T + drift_TT + torch.eye(EACH, dtype=torch.float64))
        residual_UT.append(torch.as_tensor(part.signals["rating"].base.residual(events)[at]))
    whole, residual = torch.stack(whole_UTT), torch.stack(residual_UT)
    square_U = torch.einsum("ut,ut->u", residual, torch.linalg.solve(whole, residual))
    noise = square_U.sum() / events.num_rows
    normal = MultivariateNormal(torch.zeros_like(residual), noise * whole)
    constant = 0.5 * events.num_rows * np.log(2 * np.pi)
    joint = float(normal.log_prob(residual).sum()) + constant
    # the one counts the noise's scale beside the variances, the other does too
    assert float(told_x.sum()) == pytest.approx(joint, abs=0.05)


def test_a_variance_stays_where_nothing_is_clearly_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variances, "error_of", lambda gain_x, user_x: np.inf)
    assert _chosen(*_log(150, 0.0)) == RegressionSettings()
