"""EASE's ridge and rate: as serve people of a log whom it was not fitted on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slategym.models.closed_form.cooccurrence import CooccurrenceSettings
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.fades import FEWEST
from slategym.models.closed_form.item_to_item import ease
from slategym.models.closed_form.ridges import LeftOut, climb, nearest_of, with_ease_for

PEOPLE, ITEMS, CLICKS, GROUPS = 400, 60, 12, 6


def made(alike: bool) -> Events:
    """People who take up popular items, each more of one group than of the others, or not."""
    rng = np.random.default_rng(0)
    popular_N = np.exp(-np.arange(ITEMS) / 15.0)
    items = []
    for _ in range(PEOPLE):
        own_N = np.arange(ITEMS) % GROUPS == rng.integers(GROUPS)
        share_N = popular_N * np.where(own_N & alike, 8.0, 1.0)
        items.append(rng.choice(ITEMS, CLICKS, replace=False, p=share_N / share_N.sum()))
    return Events(
        user_E=np.repeat(np.arange(PEOPLE), CLICKS),
        item_E=np.concatenate(items),
        took_E=np.ones(PEOPLE * CLICKS, bool),
        values={},
        num_users=PEOPLE,
        num_items=ITEMS,
    )


def chosen(events: Events, usual: CooccurrenceSettings, people: int = PEOPLE) -> float:
    return with_ease_for(events, events.user_E < people, usual, repeats=False).ridge


GREAT = CooccurrenceSettings(ridge=1_600.0)


def test_where_people_are_alike_a_ridge_that_hides_it_is_left() -> None:
    assert chosen(made(alike=True), GREAT) < 1_600.0


def test_where_only_popularity_tells_it_does_not_shrink() -> None:
    assert chosen(made(alike=False), CooccurrenceSettings(ridge=400.0)) >= 400.0


@pytest.mark.parametrize("people", [0, 1, 99])
def test_where_too_few_are_asked_nothing_is_changed(people: int) -> None:
    events = made(alike=True)
    keep_E = events.user_E < people
    assert with_ease_for(events, keep_E, GREAT, repeats=False) is GREAT


def test_people_whose_histories_are_too_short_are_not_asked() -> None:
    events = made(alike=True)
    short_E = (np.arange(events.num_rows) % CLICKS < FEWEST) | (events.user_E < 99)
    assert with_ease_for(events, short_E, GREAT, repeats=False) is GREAT


def test_order_tells_nothing_so_all_clicks_count() -> None:
    events, quick = made(alike=True), CooccurrenceSettings(fades=(0.8, 0.6))
    everybody = np.ones(events.num_rows, bool)
    assert with_ease_for(events, everybody, quick, repeats=False).fades[0] == 0.8
    assert with_ease_for(events, everybody, quick, repeats=False).fades[1] > 0.9


@pytest.mark.parametrize("people", [30, 90])  # fewer than items, more
@pytest.mark.parametrize("ridge", [5.0, 400.0])
def test_a_person_is_left_out_exactly(people: int, ridge: float) -> None:
    events = made(alike=True)
    met_UN = events.met(events.user_E < people)[:people]
    history_BH = torch.tensor([[-1, 3, 8, 3], [5, 2, 40, 17]])
    left_out = LeftOut.fit(met_UN)
    found_BN = left_out.sums(torch.tensor([0, 7]), history_BH, ridge, 0.8)
    for b, user in enumerate((0, 7)):
        others_UN = met_UN[np.arange(people) != user]
        weight_NN = ease(others_UN, ridge)
        expected_N = torch.zeros(ITEMS)
        for item in history_BH[b].tolist():
            expected_N = 0.8 * expected_N + (weight_NN[item] if item >= 0 else 0.0)
        torch.testing.assert_close(found_BN[b], expected_N, atol=1e-5, rtol=1e-4)


def test_the_climb_ends_either_way_where_nothing_more_is_gained() -> None:
    height = {1.0: 9.0, 2.0: 1.0, 3.0: 2.0, 4.0: 3.0, 5.0: 2.5, 6.0: 8.0}
    tried = climb(tuple(height), 3.0, np.full(2, 2.0), lambda value: np.full(2, height[value]))
    assert sorted(tried) == [2.0, 3.0, 4.0, 5.0]


def test_no_further_from_the_usual_than_people_tell_apart() -> None:
    user_x = np.repeat(np.arange(4), 2)
    same_x = np.tile([0.0, 0.4], 4)  # of everybody
    gain = {0.9: same_x, 0.95: same_x + 0.1, 0.98: same_x + 0.2, 1.0: same_x + 0.2}
    assert nearest_of(gain, 0.9, user_x) == 0.98  # as good as the best, and nearer
    assert nearest_of({**gain, 1.0: same_x + 0.3}, 0.9, user_x) == 1.0
    unsure_x = np.where(user_x % 2, 0.11, -0.09)  # a gain of half of the people alone
    assert nearest_of({**gain, 1.0: gain[0.98] + unsure_x}, 0.9, user_x) == 0.98
    assert nearest_of({0.9: same_x, 1.0: same_x + unsure_x, 0.8: same_x - 0.1}, 0.9, user_x) == 0.9
