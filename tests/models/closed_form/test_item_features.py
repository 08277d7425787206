"""Directions in which items are alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from small_worlds import small_log

from slategym.models.closed_form import sides as sides_module
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.item_features import (
    COMPANY_PRIOR,
    Amplitudes,
    company_features,
    item_blocks,
    standardised,
    text_features,
)
from slategym.models.closed_form.item_statistics import TEXT, ItemSources
from slategym.models.closed_form.sides import Sides


def two_circles(people: int = 40) -> csr_array:
    """Half the people take up items 0 to 3, half items 4 to 7; item 8 all, item 9 nobody."""
    met_UN = np.zeros((people, 10))
    met_UN[: people // 2, :4] = met_UN[people // 2 :, 4:8] = met_UN[:, 8] = 1.0
    return csr_array(met_UN)


def test_items_taken_up_by_the_same_people_are_alike() -> None:
    x_ND = company_features(two_circles(), 5)
    alike_NN = x_ND @ x_ND.T
    pulled = 20 / (20 + COMPANY_PRIOR)  # of a length of 1, squared
    assert alike_NN[:4, :4] == pytest.approx(pulled, abs=1e-6)
    assert alike_NN[:4, 4:8] == pytest.approx(-pulled, abs=1e-6)
    assert alike_NN[8, :8] == pytest.approx(0, abs=1e-6)  # what everybody takes up tells nothing
    assert not x_ND[9].any() and x_ND.shape == (10, 5)


def test_directions_are_those_of_the_whole_decomposition() -> None:
    met_UN = (np.random.default_rng(0).random((50, 30)) < 0.3).astype(float)
    x_ND = company_features(csr_array(met_UN), 29)
    scale_N = np.maximum(met_UN.sum(0), 5) ** 0.5
    _, value_R, turn_RN = np.linalg.svd(met_UN / scale_N, full_matrices=False)
    whole_NR = (turn_RN.T * value_R)[:, 1:] * scale_N[:, None]
    whole_NR /= np.linalg.norm(whole_NR, axis=1, keepdims=True)
    count_N = met_UN.sum(0)
    whole_NR *= np.sqrt(count_N / (count_N + COMPANY_PRIOR))[:, None]
    np.testing.assert_allclose(x_ND @ x_ND.T, whole_NR @ whole_NR.T, atol=1e-8)


def test_few_directions_keep_what_is_met_most() -> None:
    one_N2 = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    clicks_N = np.array([100, 100, 1, 1])
    amplitudes = Amplitudes(bias=0.25, company=4.0)
    blocks = item_blocks({"company": one_N2}, amplitudes, 1, clicks_N)
    assert blocks.widths == (1, 1)
    torch.testing.assert_close(blocks.feature_NR[:, 0], torch.full((4,), 0.5))
    torch.testing.assert_close(blocks.feature_NR[:, 1].abs(), torch.tensor([2.0, 2.0, 0.0, 0.0]))
    wide = item_blocks({"company": one_N2}, amplitudes, 3, clicks_N).feature_NR[:, 1:]
    torch.testing.assert_close(wide @ wide.T, torch.as_tensor(4 * one_N2 @ one_N2.T).float())


def test_numbers_are_told_in_deviations_over_clicks() -> None:
    value_N, clicks_N = np.array([0.0, 2.0, np.nan, 100.0]), np.array([1, 1, 5, 0])
    assert standardised(value_N, clicks_N).tolist() == [-1.0, 1.0, 0.0, 3.0]
    assert not standardised(np.ones(4), clicks_N).any()
    assert not standardised(value_N, np.zeros(4, int)).any()


def test_features_of_texts_are_found_once_for_all_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    log, found = small_log(20, 30), []

    def counted(*args: Any) -> torch.Tensor:
        found.append(args[1:])
        return text_features(*args)

    monkeypatch.setattr(sides_module, "text_features", counted)
    text_ND0 = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    sides = Sides.from_log(log, text_ND0)
    first = sides.text_features(0.3, 6)
    assert sides.text_features(0.3, 6) is first
    np.testing.assert_array_equal(first, text_features(sides.text_ND, 0.3, 6).numpy())
    assert sides.text_features(0.3, 4).shape == (30, 4)
    events = Events.from_log(log)
    every_E = np.ones(len(log.events), bool)
    for keep_E in (every_E, every_E & (events.user_E > 5)):
        ItemSources.of(events, ["rating"], ["rating"], keep_E, sides)
    assert found == [(0.3, 6), (0.3, 4), (Amplitudes().length, TEXT)]
