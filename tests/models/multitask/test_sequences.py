from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.models.multitask.sequences import (
    NEVER,
    Sequences,
    as_mask,
    draw_negatives,
    plan_epoch,
    windows_before,
)


@pytest.fixture(scope="module")
def sequences(tiny_log):
    return Sequences.from_log(tiny_log)


def test_a_batch_feeds_the_events_before_the_last(tiny_log, sequences):
    first, count = int(sequences.first_U[3]), int(sequences.count_U[3])
    batch = sequences.batch(np.array([first, first + 1]), np.array([first + 5, first + 3]))
    events = tiny_log.events
    assert batch.row_BS[0].tolist() == list(range(first, first + 5))
    assert batch.real_BS.tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    assert batch.id_BH[0].tolist() == events["item"][first : first + 4].tolist()
    assert batch.feedback_BHM[0, :, 2].tolist() == events["rating"][first : first + 4].tolist()
    assert batch.gap_BH[0, 0] == 0
    assert batch.gap_BH[1, 0] == events["time"][first + 1] - events["time"][first]
    assert batch.hour_B[1] == np.float32(events["hour"][first + 1])
    assert batch.user_B.tolist() == [3, 3]
    assert batch.last().row_BS.tolist() == [[first + 4], [first + 2]]
    assert count >= 5


def test_rank_is_when_an_item_was_first_met(tiny_log):
    events = tiny_log.events[tiny_log.events["user"] == 2].copy()
    events["item"] = [4, 7, 4, *range(10, 10 + len(events) - 3)]
    log = replace(tiny_log, events=events.reset_index(drop=True))
    rank_1N = Sequences.from_log(log).rank(torch.tensor([2]))
    assert rank_1N[0, [4, 7, 10, 5]].tolist() == [0, 1, 3, NEVER]


def test_an_epoch_covers_every_training_row_once_within_one_user(sequences):
    length_U = sequences.count_U.numpy() - 2
    rng = np.random.default_rng(0)
    plan = plan_epoch(sequences.first_U.numpy(), length_U, 9, 40, rng)
    rows = [
        r for starts, stops in plan for a, b in zip(starts, stops, strict=True) for r in range(a, b)
    ]
    want = np.flatnonzero((sequences.order_E < sequences.count_U[sequences.user_E] - 2).numpy())
    assert sorted(rows) == want.tolist()
    users = sequences.user_E.numpy()
    for starts, stops in plan:
        assert (users[starts] == users[stops - 1]).all()
        assert (stops - starts).max() <= 9
        assert (stops - starts).max() * len(starts) <= 40


def test_epochs_cut_at_other_places(sequences):
    def cuts(seed):
        plan = plan_epoch(
            sequences.first_U.numpy(), sequences.count_U.numpy(), 9, 40, np.random.default_rng(seed)
        )
        return sorted(int(a) for starts, _ in plan for a in starts)

    assert cuts(0) != cuts(1)


def test_windows_reach_back_as_far_as_allowed(sequences):
    rows = np.arange(sequences.num_rows)
    seen = {}
    for row, start, stop in windows_before(sequences, rows, 8, size=7):
        assert len(row) <= 7
        windows = zip(start.tolist(), stop.tolist(), strict=True)
        seen |= dict(zip(row.tolist(), windows, strict=True))
    assert sorted(seen) == rows.tolist()
    for row, (start, stop) in seen.items():
        assert stop == row + 1
        assert start == row - min(8, int(sequences.order_E[row]))


def test_negatives_were_never_consumed_and_are_uniform_over_the_rest():
    rank_BN = torch.full((1, 6), NEVER, dtype=torch.int32)
    rank_BN[0, 2], rank_BN[0, 5] = 0, 3
    line_x, limit_x = torch.zeros(3000, dtype=torch.int64), torch.full((3000,), 2)
    id_xC, free_xC = draw_negatives(rank_BN, line_x, limit_x, 2, torch.Generator().manual_seed(0))
    assert free_xC.all()
    share_N = torch.bincount(id_xC.flatten(), minlength=6) / 6000
    assert share_N[2] == 0  # consumed before the limit; item 5 only after it
    torch.testing.assert_close(share_N[[0, 1, 3, 4, 5]], torch.full((5,), 0.2), atol=0.02, rtol=0)


def test_someone_who_consumed_everything_gets_no_negatives():
    rank_BN = torch.arange(4, dtype=torch.int32)[None]
    _, free_xC = draw_negatives(
        rank_BN, torch.zeros(2, dtype=torch.int64), torch.tensor([4, 4]), 3, torch.Generator()
    )
    assert not free_xC.any()


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
