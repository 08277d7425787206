"""How fast co-occurrence sums fade: as serves a log's own rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slategym.models.closed_form.cooccurrence import CooccurrenceSettings, Tables, fit_tables
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.fades import LONGEST, _gains, reach, with_fades

PEOPLE, ITEMS, CLICKS, GROUPS = 80, 60, 30, 6
FOLDS = 4


def made(moving: bool, kept: int = 0) -> tuple[Events, Tables, np.ndarray]:
    """People who take up items of one group each, or of a group that is another every few clicks.

    A quarter of the clicks is anything, so that few of them tell little.
    """
    rng = np.random.default_rng(0)
    items = []
    for _ in range(PEOPLE):
        group = np.repeat(rng.integers(GROUPS, size=CLICKS // 5), 5)
        if not moving:
            group[:] = group[0]
        own = group + GROUPS * rng.integers(ITEMS // GROUPS, size=CLICKS)
        items.append(np.where(rng.random(CLICKS) < 0.5, rng.integers(ITEMS, size=CLICKS), own))
    events = Events(
        user_E=np.repeat(np.arange(PEOPLE), CLICKS),
        item_E=np.concatenate(items),
        took_E=np.ones(PEOPLE * CLICKS, bool),
        values={},
        num_users=PEOPLE,
        num_items=ITEMS,
    )
    fold_U = np.arange(PEOPLE) % FOLDS
    everything = np.ones(events.num_rows, bool)
    usual = 0.95 if moving else 0.8
    settings = CooccurrenceSettings(fades=(usual, usual))
    return events, fit_tables(events, everything, fold_U, FOLDS, settings, kept=kept), fold_U


def fades(moving: bool, kept: int = 0) -> list[float]:
    events, tables, fold_U = made(moving, kept)
    everything = np.ones(events.num_rows, bool)
    found = with_fades(tables, events, everything, fold_U, repeats=True)
    assert found.weight is tables.weight and found.id is tables.id
    return found.fade_T.tolist()


@pytest.mark.parametrize("kept", [0, 20])
def test_where_tastes_stay_all_clicks_count(kept: int) -> None:
    assert min(fades(moving=False, kept=kept)) >= 0.9


def test_where_tastes_move_old_clicks_do_not() -> None:
    transitions, _ = fades(moving=True)
    assert transitions < 0.85


def test_kinds_that_are_not_asked_for_keep_their_rate() -> None:
    events, tables, fold_U = made(moving=False)
    everything = np.ones(events.num_rows, bool)
    found = with_fades(tables, events, everything, fold_U, repeats=True, num_kinds=1)
    both = with_fades(tables, events, everything, fold_U, repeats=True)
    assert found.fade_T[0] == both.fade_T[0]
    assert found.fade_T[1] == tables.fade_T[1] != both.fade_T[1]


def test_a_rate_that_is_not_clearly_better_is_not_taken() -> None:
    events, tables, fold_U = made(moving=False)
    one = np.zeros(events.num_rows, bool)
    one[: 2 * CLICKS] = events.item_E[: 2 * CLICKS] >= 0  # two people: nothing is clear of them
    nothing = Tables(torch.zeros_like(tables.weight), None, tables.fade_T)
    found = with_fades(nothing, events, one, fold_U, repeats=True)
    assert found.fade_T.tolist() == tables.fade_T.tolist()


def test_nobody_to_ask_changes_nothing() -> None:
    events, tables, fold_U = made(moving=False)
    nobody = np.zeros(events.num_rows, bool)
    assert with_fades(tables, events, nobody, fold_U, repeats=False) is tables


def test_what_was_met_is_not_ranked_where_nothing_is_taken_up_again() -> None:
    weight_FNTN = torch.zeros(1, 3, 1, 3)
    weight_FNTN[0, 0, 0] = torch.tensor([1.0, 0.5, 0.2])  # the first speaks most for itself
    tables = Tables(weight_FNTN, None, torch.tensor([1.0]))
    fold, history_xH, item = np.array([0]), np.array([[0]]), np.array([1])
    assert _gains(tables, fold, history_xH, item, repeats=False).item() == 1.0
    assert _gains(tables, fold, history_xH, item, repeats=True).item() == pytest.approx(
        1 / np.log2(3)
    )


def test_reach() -> None:
    assert reach(torch.tensor([0.8, 0.9])) == 44  # .9^44 = .0097
    assert reach(torch.tensor([1.0])) == LONGEST
