from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from slategym.models.multitask.sequences import (
    NEVER,
    Sequences,
    Windows,
    as_mask,
    draw_negatives,
    plan_epoch,
    windows_before,
)


@pytest.fixture(scope="module")
def sequences(tiny_log):
    return Sequences.from_log(tiny_log)


def windows(*parts):
    """Windows from (start, stop, first row, row past the last)."""
    return Windows(*(np.array(values) for values in zip(*parts, strict=True)))


def test_a_batch_feeds_the_clicks_before_the_last(tiny_log, sequences):
    first, base = int(sequences.first_U[3]), int(sequences.base_U[3])
    assert base == first + 3  # every user has one position more than clicks
    batch = sequences.batch(
        windows((base, base + 5, first, first + 5), (base + 1, base + 3, first + 1, first + 3))
    )
    events = tiny_log.events
    assert batch.row_BR[0].tolist() == list(range(first, first + 5))
    assert batch.real_BR.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    assert batch.at_BR.tolist() == [[0, 1, 2, 3, 4], [0, 1, 0, 0, 0]]
    assert batch.id_BH[0].tolist() == events["item"][first : first + 4].tolist()
    assert batch.feedback_BHM[0, :, 2].tolist() == events["rating"][first : first + 4].tolist()
    assert batch.gap_BH[0, 0] == 0
    assert batch.gap_BH[1, 0] == events["time"][first + 1] - events["time"][first]
    assert batch.hour_B[1] == np.float32(events["hour"][first + 1])
    assert batch.user_B.tolist() == [3, 3]
    assert batch.extra_BZ.shape == (2, 0)


def test_rank_is_when_an_item_was_first_met(tiny_log):
    events = tiny_log.events[tiny_log.events["user"] == 2].copy()
    events["item"] = [4, 7, 4, *range(10, 10 + len(events) - 3)]
    log = replace(tiny_log, events=events.reset_index(drop=True))
    rank_1N = Sequences.from_log(log).rank(torch.tensor([2]))
    assert rank_1N[0, [4, 7, 10, 5]].tolist() == [0, 1, 3, NEVER]


def rows_of(plan):
    return [r for w in plan for a, b in zip(w.row_B, w.end_B, strict=True) for r in range(a, b)]


def test_an_epoch_covers_every_training_row_once_within_one_user(sequences):
    length_U = sequences.count_U.numpy() - 2
    rng = np.random.default_rng(0)
    plan = plan_epoch(sequences, length_U, 9, 40, rng)
    want = np.flatnonzero((sequences.order_E < sequences.count_U[sequences.user_E] - 2).numpy())
    assert sorted(rows_of(plan)) == want.tolist()
    users = sequences.user_E.numpy()
    for w in plan:
        assert (users[w.row_B] == users[w.end_B - 1]).all()
        assert (w.stop_B - w.start_B).max() <= 9
        assert (w.stop_B - w.start_B).max() * len(w.start_B) <= 40


def test_epochs_cut_at_other_places(sequences):
    def cuts(seed):
        rng = np.random.default_rng(seed)
        plan = plan_epoch(sequences, sequences.count_U.numpy(), 9, 40, rng)
        return sorted(int(a) for w in plan for a in w.start_B)

    assert cuts(0) != cuts(1)


def test_windows_reach_back_as_far_as_allowed(sequences):
    rows = np.arange(sequences.num_rows)
    seen = {}
    for row, found in windows_before(sequences, rows, 8, size=7):
        assert len(row) <= 7
        assert found.row_B.tolist() == row.tolist() == (found.end_B - 1).tolist()
        seen |= dict(zip(row.tolist(), (found.stop_B - found.start_B).tolist(), strict=True))
    assert sorted(seen) == rows.tolist()
    for row, length in seen.items():
        assert length == 1 + min(8, int(sequences.order_E[row]))


def consumer(log, items):
    """Sequences in which user 2 met these items, in order, and nothing else."""
    events = log.events[log.events["user"] == 2].iloc[: len(items)].copy()
    return Sequences.from_log(replace(log, events=events.assign(item=items).reset_index(drop=True)))


def test_negatives_were_never_consumed_and_are_uniform_over_the_rest(tiny_log):
    sequences = consumer(tiny_log, np.arange(0, 5, dtype=np.int32))
    user_x, limit_x = torch.full((3000,), 2), torch.full((3000,), 3)
    generator = torch.Generator().manual_seed(0)
    id_xC, free_xC = draw_negatives(sequences, user_x, limit_x, 2, generator)
    assert free_xC.all()
    share_N = torch.bincount(id_xC.flatten(), minlength=30) / 6000
    assert (share_N[:3] == 0).all()  # consumed before the limit; items 3 and 4 only after it
    torch.testing.assert_close(share_N[3:], torch.full((27,), 1 / 27), atol=0.01, rtol=0)


def test_where_items_come_again_everything_may_be_drawn(tiny_log):
    sequences = replace(consumer(tiny_log, np.arange(0, 5, dtype=np.int32)), repeats=True)
    user_x, limit_x = torch.full((3000,), 2), torch.full((3000,), 5)
    id_xC, free_xC = draw_negatives(sequences, user_x, limit_x, 2, torch.Generator())
    assert free_xC.all() and set(range(30)) == set(id_xC.unique().tolist())


def test_pairs_say_what_rows_of_all_items_say(sequences):
    user_B = torch.tensor([0, 7, 19])
    rank_BN = sequences.rank(user_B)
    everything = torch.arange(30).expand(3, 30)
    assert torch.equal(sequences.met(user_B[:, None].expand(3, 30), everything), rank_BN.long())
    some = torch.tensor([1, 4, 9, 28])
    assert torch.equal(sequences.rank(user_B, some), rank_BN[:, some])


def test_someone_who_consumed_everything_gets_no_negatives(tiny_log):
    items = np.arange(30, dtype=np.int32)
    events = pd.concat([tiny_log.events.iloc[:1]] * 30).assign(item=items, user=np.int32(2))
    sequences = Sequences.from_log(replace(tiny_log, events=events.reset_index(drop=True)))
    two = torch.tensor([2, 2])
    _, free_xC = draw_negatives(sequences, two, torch.tensor([30, 30]), 3, torch.Generator())
    assert not free_xC.any()


def test_a_slate_is_predicted_from_the_clicks_before_it(tiny_log):
    """Two clicks in one slate: neither is seen by the other, nor by what was passed over."""
    events = tiny_log.events[tiny_log.events["user"] == 4].iloc[:6].copy()
    events = events.assign(slate_id=[0, 0, 0, 1, 1, 2], click=[0, 1, 1, 0, 1, 0], position=0)
    events["position"] = [0, 1, 2, 0, 1, 0]
    log = replace(tiny_log, events=events.reset_index(drop=True))
    sequences = Sequences.from_log(log)
    assert sequences.order_E.tolist() == [0, 0, 0, 2, 2, 3]
    assert sequences.click_Q.tolist() == [1, 2, 4]
    assert sequences.slot_E.tolist() == [0, 1, 2, 0, 1, 0]
    assert sequences.clicks_U[4] == 3
    whole = plan_epoch(sequences, sequences.count_U.numpy(), 20, 99, np.random.default_rng(0))
    assert sorted(rows_of(whole)) == list(range(6))
    batch = sequences.batch(windows((4, 8, 0, 6)))
    assert batch.at_BR.tolist() == [[0, 0, 0, 2, 2, 3]]
    item = log.events["item"]
    assert batch.id_BH.tolist() == [[item[1], item[2], item[4]]]


def test_training_rows_after_held_out_ones_are_refused(sequences):
    train_E = np.ones(sequences.num_rows, bool)
    train_E[int(sequences.first_U[4])] = False
    with pytest.raises(ValueError, match="user 4 has a held-out row before a training row"):
        sequences.prefix_lengths(train_E)


def test_rows_by_mask_or_by_user(sequences):
    mask_E = as_mask(sequences, np.array([1, 3]))
    assert set(sequences.user_E[torch.as_tensor(mask_E)].tolist()) == {1, 3}
    assert mask_E.sum() == sequences.count_U[[1, 3]].sum()
    assert (as_mask(sequences, mask_E) == mask_E).all()
    with pytest.raises(ValueError, match="one entry per row of the log"):
        as_mask(sequences, mask_E[:-1])
    with pytest.raises(ValueError, match="got float64"):
        as_mask(sequences, np.array([1.0]))
