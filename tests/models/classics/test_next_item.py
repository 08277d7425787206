"""Item-to-item scores, fading histories and iALS, against brute force."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.models.classics.families import Rows
from slategym.models.classics.ials import fit_ials
from slategym.models.classics.replay import moments, rank
from slategym.models.classics.search import climb
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.fading import Fading, FadingPair, Popular
from slategym.models.closed_form.item_to_item import (
    MOST_ITEMS,
    cosine_neighbours,
    ease,
    transition_counts,
    transitions,
)
from slategym.models.multitask.sequences import Sequences


@pytest.fixture(scope="module")
def events(tiny_log) -> Events:
    return Events.from_log(tiny_log)


@pytest.fixture(scope="module")
def everything(events) -> np.ndarray:
    return np.ones(events.num_rows, bool)


def small_events(rows: list[tuple[int, int]], num_users: int, num_items: int) -> Events:
    user_E, item_E = (np.array(column) for column in zip(*rows, strict=True))
    return Events(user_E, item_E, np.ones(len(rows), bool), {}, num_users, num_items)


def test_ease_solves_every_items_ridge_regression(events, everything):
    """Column j: regress item j on all others; 30 small regressions say the same."""
    met_UN = events.met(everything).toarray()
    weight_NN = ease(events.met(everything), ridge=3.0).numpy()
    for item in range(events.num_items):
        others = np.delete(np.arange(events.num_items), item)
        x, y = met_UN[:, others], met_UN[:, item]
        want = np.linalg.solve(x.T @ x + 3.0 * np.eye(len(others)), x.T @ y)
        np.testing.assert_allclose(weight_NN[others, item], want, atol=1e-5)
        assert weight_NN[item, item] == 0


def test_ease_is_the_same_from_few_users_as_from_many(events, everything):
    """20 users of 30 items take the smaller inverse; with copies of nobody they do not."""
    met_UN = events.met(everything)
    more = replace(events, num_users=40).met(everything)  # 20 users without a row
    np.testing.assert_allclose(ease(met_UN, 2.0), ease(more, 2.0), atol=1e-5)


def test_ease_refuses_what_it_cannot_do(events, everything):
    with pytest.raises(ValueError, match="ridge must be above 0, got 0"):
        ease(events.met(everything), 0)
    wide = replace(events, num_items=MOST_ITEMS + 1)
    with pytest.raises(ValueError, match="20001 items exceed 20000: keep the items"):
        ease(wide.met(everything), 1.0)


def test_cosine_neighbours_by_hand():
    # item 0 with users 0, 1; item 1 with users 0, 1, 2; item 2 with user 2
    events = small_events([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)], 3, 3)
    met_UN = events.met(np.ones(6, bool))
    weight_NN = cosine_neighbours(met_UN, most=9, shrink=0.0, power=0.5)
    assert weight_NN[0, 1] == pytest.approx(2 / np.sqrt(6))
    assert weight_NN[1, 2] == pytest.approx(1 / np.sqrt(3))
    assert weight_NN[0, 2] == weight_NN[1, 1] == 0
    shrunk_NN = cosine_neighbours(met_UN, most=9, shrink=1.0, power=0.5)
    assert shrunk_NN[0, 1] == pytest.approx(2 / (np.sqrt(6) + 1))
    best_NN = cosine_neighbours(met_UN, most=1, shrink=0.0, power=0.5)
    assert best_NN[:, 1].count_nonzero() == 1 and best_NN[0, 1] == weight_NN[0, 1]


def test_transition_counts_by_hand():
    # user 0 takes 0, 1, 2; user 1 takes 1, 0; a row that is not kept is as if it were not
    events = small_events([(0, 0), (0, 3), (0, 1), (0, 2), (1, 1), (1, 0)], 2, 4)
    keep_E = np.array([1, 0, 1, 1, 1, 1], bool)
    count_NN = transition_counts(events, keep_E, window=2, decay=0.5)
    want_NN = np.zeros((4, 4))
    want_NN[0, 1] = want_NN[1, 2] = want_NN[1, 0] = 1
    want_NN[0, 2] = 0.5
    np.testing.assert_allclose(count_NN.toarray(), want_NN)
    scaled_NN = transitions(count_NN, np.array([2.0, 2, 1, 0]), power=1.0, prior=5.0)
    assert scaled_NN[1, 0] == pytest.approx(1 / (2 + 5) / np.sqrt(2))


def test_an_unclicked_row_is_no_history(events, everything):
    took_E = everything.copy()
    took_E[5] = False
    passed = replace(events, took_E=took_E)
    assert passed.met(everything).sum() == events.met(everything).sum() - 1
    user = events.user_E[5]
    rows = np.array([5, 6])
    assert events.user_E[6] == user
    eye = Fading("own clicks", torch.eye(events.num_items), 0.5)
    (before, after) = sorted(moments(eye, passed, rows), key=lambda m: m.row[0])
    torch.testing.assert_close(before.score, after.score)
    assert after.seen.sum() == before.seen.sum() + 1


def test_a_fading_history_is_a_weighted_sum(events, everything):
    weight_NN = torch.randn(30, 30, generator=torch.Generator().manual_seed(0))
    model = Fading("any", weight_NN, 0.7)
    history_BH = torch.tensor([[-1, 4, -1, 7, 2], [-1, -1, -1, -1, -1]])
    state_BN = model.initial(history_BH)
    want_N = 0.49 * weight_NN[4] + 0.7 * weight_NN[7] + weight_NN[2]
    torch.testing.assert_close(state_BN[0], want_N)
    assert state_BN[1].abs().max() == 0
    on_BN = model.after(state_BN, torch.tensor([9, 9]), torch.tensor([True, False]))
    torch.testing.assert_close(on_BN[0], 0.7 * want_N + weight_NN[9])
    torch.testing.assert_close(on_BN[1], state_BN[1])
    with pytest.raises(ValueError, match=r"in \(0, 1\], got 0"):
        Fading("none", weight_NN, 0.0)


@pytest.mark.parametrize("name", ["fading", "pair", "ials", "popular"])
def test_histories_at_once_and_click_by_click_are_the_same(events, everything, name):
    linear = Fading("EASE", ease(events.met(everything), 5.0), 0.8)
    counts = transition_counts(events, everything, window=3, decay=0.9)
    popular_N = events.met(everything).sum(axis=0)
    logged = Fading("transitions", transitions(counts, popular_N, power=1.0, prior=1.0), 0.6)
    ials = fit_ials(events.met(everything), width=4, ridge=0.1, unseen=0.2, fade=0.9)
    model = {
        "fading": linear,
        "pair": FadingPair("pair", linear, logged, weight=0.3, floor=1e-3),
        "ials": ials,
        "popular": Popular(torch.as_tensor(popular_N, dtype=torch.float32)),
    }[name]
    history_BH = torch.tensor([[3, 8, 1, 29], [-1, -1, 5, 6], [-1, -1, -1, -1]])
    at_once = model.score(model.initial(history_BH))
    state = model.initial(torch.full((3, 1), -1))
    for item_B in history_BH.unbind(1):
        state = model.after(state, item_B.clamp(min=0), item_B >= 0)
    torch.testing.assert_close(model.score(state), at_once, atol=1e-5, rtol=1e-5)


def test_ials_solves_the_weighted_least_squares_of_both_sides(events, everything):
    """At a fixed point, each user's factors minimise the loss that is written out in full."""
    met_UN = events.met(everything).toarray()
    model = fit_ials(events.met(everything), width=3, ridge=0.05, unseen=0.1, sweeps=60)
    V = model.factor_ND.double().numpy()
    clicks = np.flatnonzero(met_UN[0])
    history_BH = torch.as_tensor(clicks)[None]
    scores_N = model.score(model.initial(history_BH))[0].double().numpy()
    # observed pairs have weight 1 + unseen of which `unseen` is for the target 0, as for all pairs
    weight_N = 0.1 + met_UN[0]
    left = (V * weight_N[:, None]).T @ V + 0.05 * (len(clicks) + 0.1 * 30) * np.eye(3)
    want_N = V @ np.linalg.solve(left, V[clicks].sum(0))
    np.testing.assert_allclose(scores_N, want_N, atol=1e-4)


def test_ranks_count_what_is_ahead_and_half_of_what_is_level():
    events = small_events([(0, 0), (0, 1), (0, 2)], 1, 5)
    model = Popular(torch.tensor([9.0, 3.0, 1.0, 3.0, 5.0]))
    ranking = rank(model, events, np.array([1, 2]), np.array([[4], [3]]))
    # row 1: item 0 is seen, item 4 ahead, item 3 level; row 2: 0 and 1 seen, 4 and 3 ahead
    assert ranking.rank_x.tolist() == [1.5, 2.0]
    assert ranking.own_x.tolist() == [3.0, 1.0]
    assert ranking.others_xC[:, 0].tolist() == [5.0, 3.0]
    again = rank(model, events, np.array([1, 2]), repeats=True)
    assert again.rank_x.tolist() == [2.5, 4.0]


def test_moments_know_earlier_rows_only(events, everything, tiny_log):
    """Every row's score is that of its history; what was seen agrees with the sequences."""
    model = Fading("EASE", ease(events.met(everything), 5.0), 0.8)
    rows = np.flatnonzero(np.random.default_rng(0).random(events.num_rows) < 0.3)
    sequences = Sequences.from_log(tiny_log)
    found = 0
    for moment in moments(model, events, rows):
        for row, score_N, seen_N in zip(moment.row, moment.score, moment.seen, strict=True):
            begin = row - events.order_E[row]
            history = torch.as_tensor(events.item_E[begin:row]).long()
            want_N = model.initial(torch.cat([torch.tensor([-1]), history])[None])[0]
            torch.testing.assert_close(score_N, want_N, atol=1e-5, rtol=1e-5)
            rank_N = sequences.rank(sequences.user_E[row : row + 1])[0]
            assert torch.equal(seen_N, rank_N < int(events.order_E[row]))
            found += 1
    assert found == len(rows)


def test_climb_finds_the_bottom_and_says_where_it_may_begin():
    def bowl(settings):
        return (settings["x"] - 2) ** 2 + (settings["y"] - settings["x"]) ** 2 / 4

    ladder = [0, 1, 2, 3, 4]
    found, loss = climb({"x": ladder, "y": ladder}, {"x": 4, "y": 0}, bowl, sweeps=5)
    assert (found, loss) == ({"x": 2, "y": 2}, 0)
    with pytest.raises(ValueError, match="x begins at 9, which is not among"):
        climb({"x": ladder}, {"x": 9}, bowl)


def test_tables_used_last_are_kept(events, everything):
    rows, made = Rows(events, everything), []
    for name in ("a", "b", "c", "a", "d", "a", "b"):  # when d comes, b has waited the longest
        rows.table(name, [], lambda name=name: made.append(name))
    assert made == ["a", "b", "c", "d", "b"]
