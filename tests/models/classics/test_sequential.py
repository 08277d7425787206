"""Networks for the next item: every target once, patterns learned, states moved click by click."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slategym.models import metrics
from slategym.models.classics.families import FAMILIES, Rows, choose
from slategym.models.classics.replay import rank
from slategym.models.classics.sequential import (
    WINDOW,
    Asymmetric,
    Encoded,
    FadingFactors,
    SASRec,
    Training,
    Windows,
    _readable,
    make_network,
    train_next,
)
from slategym.models.closed_form.events import Events

ITEMS = 24


@pytest.fixture(scope="module")
def events() -> Events:
    """Forty people who walk through the items in circles, from anywhere."""
    rng, rows = np.random.default_rng(0), []
    for user in range(40):
        at = int(rng.integers(ITEMS))
        for _ in range(int(rng.integers(10, 80))):
            rows.append((user, at))
            at = (at + (1 if rng.random() < 0.9 else int(rng.integers(ITEMS)))) % ITEMS
    user, item = (np.array(x) for x in zip(*rows, strict=True))
    return Events(user, item, np.ones(len(user), bool), {}, 40, ITEMS)


def test_every_target_is_in_one_window_after_what_came_before_it(events: Events) -> None:
    target_E = np.random.default_rng(1).random(events.num_rows) < 0.5
    every_E = np.ones(events.num_rows, bool)
    windows = Windows.of(events, every_E, target_E)
    found = []
    for id_T, next_T in zip(windows.id_ST, windows.next_ST, strict=True):
        for t in np.flatnonzero(next_T >= 0):
            fed = id_T[: t + 1]
            found.append((*fed[fed >= 0][-3:], next_T[t]))
    wanted = []
    for user in range(40):
        own = np.flatnonzero(events.user_E == user)
        for place, row in enumerate(own):
            if target_E[row] and place:
                wanted.append((*events.item_E[own[max(0, place - 3) : place]], events.item_E[row]))
    assert sorted(found) == sorted(wanted)
    assert windows.id_ST.shape[1] == WINDOW


@pytest.mark.parametrize("kind", [Asymmetric, SASRec])
def test_it_learns_what_follows_what(events: Events, kind: type[Asymmetric]) -> None:
    held_E = events.user_E >= 32
    training = Training(width=32, epochs=40, rate=1e-2, patience=40)
    network = make_network(kind, ITEMS, training)
    best = train_next(network, events, ~held_E, held_E, training)
    assert 1 <= best <= 40 and not network.training
    model = FadingFactors.of(network) if isinstance(network, Asymmetric) else Encoded(network)
    row_x = np.flatnonzero(held_E & (events.order_E > 2))
    found = rank(model, events, row_x, repeats=True)
    assert metrics.hit_rate(found.rank_x, 1) > (0.8 if kind is SASRec else 0.35)
    history_BH = torch.tensor([[-1, 3, 4, 5], [7, 8, 9, 10]])
    state = model.initial(history_BH[:, :2])
    took_B = torch.tensor([True, True])
    for h in (2, 3):
        state = model.after(state, history_BH[:, h], took_B)
    torch.testing.assert_close(model.score(state), model.score(model.initial(history_BH)))
    still = model.after(state, history_BH[:, 0].clamp(min=0), ~took_B)
    assert torch.equal(still, state)


def test_padding_in_front_changes_nothing(events: Events) -> None:
    network = make_network(SASRec, ITEMS, Training(width=16)).eval()
    short = torch.full((1, WINDOW), -1)
    short[0, -2:] = torch.tensor([3, 4])
    longer = short.clone()
    out = network(short)
    assert bool(out.isfinite().all())
    longer[0, -3] = 9
    assert not torch.allclose(network(longer)[0, -1], out[0, -1])
    alone = network(short[:, -5:])  # the same places, less padding
    torch.testing.assert_close(alone[0, -2:], out[0, -2:], atol=1e-5, rtol=1e-5)


def test_the_epochs_are_chosen_on_validation_rows_and_one_training_serves(events: Events) -> None:
    held_E = events.user_E >= 32
    rows = Rows(events, ~held_E)
    row_x = np.flatnonzero(held_E & (events.order_E > 2))
    settings, ndcg = choose("asymmetric", rows, row_x, repeats=True)
    assert settings["epochs"] >= 1 and 0.2 < ndcg <= 1
    first, again = (FAMILIES["asymmetric"].fit(rows, settings) for _ in range(2))
    assert torch.equal(first.item_ND, again.item_ND)


def test_held_out_people_are_read_from_their_first_click(events: Events) -> None:
    """Also where few of their rows are to be predicted: one in nine here, none beside another."""
    held_E = events.user_E >= 32
    row_x = np.flatnonzero(held_E & (events.order_E > 2))[::9]
    sparse_E = np.zeros(events.num_rows, bool)
    sparse_E[row_x] = True
    training = Training(width=32, epochs=12, rate=1e-2, patience=12)
    network = make_network(SASRec, ITEMS, training)
    assert train_next(network, events, ~held_E, sparse_E, training) > 6  # it goes on learning
    assert _readable(events, ~held_E, sparse_E).all()
    first_E = events.order_E < 5  # of everybody: what lies between the rows stays unread
    assert np.array_equal(_readable(events, first_E, sparse_E), first_E | sparse_E)


def test_without_a_row_to_stop_by_the_network_is_fitted_for_the_usual_epochs() -> None:
    user, item = np.repeat(np.arange(30), 3), np.tile([1, 2, 3], 30)
    took_E = np.tile([True, True, False], 30)
    events = Events(user, item, took_E, {}, 30, ITEMS)
    first_E = (events.order_E == 0) & (events.user_E >= 20)
    rows = Rows(events, events.user_E < 20)
    settings, _ = choose("asymmetric", rows, np.flatnonzero(first_E), repeats=True)
    assert settings == FAMILIES["asymmetric"].start


def test_short_windows_share_a_step(events: Events) -> None:
    every_E = np.ones(events.num_rows, bool)
    short = Windows.of(events, every_E, every_E & (events.order_E == 1))
    whole = Windows.of(events, every_E, every_E)
    assert [len(ids) for ids, _ in short.batches(None)] == [40]  # a target each
    assert sum(len(ids) for ids, _ in whole.batches(None)) == len(whole.id_ST)
