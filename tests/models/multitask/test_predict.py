from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import clearly_above, loss_parts, mean_losses, predict
from slategym.models.multitask.sequences import Sequences
from slategym.models.tasks import tasks_of


@pytest.fixture
def popular(tiny_log, tiny_settings, tiny_vectors):
    """A model that ranks items by their number alone, the highest first."""
    biases = ItemBiases(np.stack([np.arange(30.0)] * 4), (0.0, 0.0, 3.0))
    model = MultiTaskBert(
        tiny_settings,
        tasks_of(tiny_log.signals, tiny_log.like_from),
        text_vectors_ND0=tiny_vectors,
        biases=biases,
        profile_sizes=(3, 2),
        num_items=30,
    ).eval()
    with torch.no_grad():
        for head in model.queries.networks:
            head[-1].weight.zero_()
            head[-1].bias.zero_()
    return model


def test_full_rank_counts_better_items_that_were_not_met_before(popular, tiny_log):
    sequences = Sequences.from_log(tiny_log)
    rows = np.arange(sequences.num_rows)[::-1]
    predictions = predict(popular, sequences, rows)
    events = tiny_log.events
    assert predictions.row_x.tolist() == list(range(sequences.num_rows))
    for row in (0, 7, 100, 200):
        user, item = events["user"][row], events["item"][row]
        before = set(events["item"][(events["user"] == user) & (events.index < row)])
        better = set(range(item + 1, 30)) - before
        assert predictions.rank_x[row] == len(better)
        assert predictions.id_xC[row, 0] == item


def test_negatives_are_never_met_by_the_user(popular, tiny_log):
    sequences = Sequences.from_log(tiny_log)
    predictions = predict(popular, sequences, np.arange(sequences.num_rows), negatives=3)
    met = {u: set(rows) for u, rows in tiny_log.events.groupby("user")["item"]}
    used_xC = predictions.used_xC[:, 1:]
    assert used_xC.mean() > 0.95  # someone who met 25 of 30 items may draw in vain
    rows = zip(predictions.user_x, predictions.id_xC[:, 1:], used_xC, strict=True)
    for user, id_C, used_C in rows:
        assert not met[int(user)] & set(id_C[used_C].tolist())
    assert predictions.clicked_xC.sum(1).tolist() == [1.0] * sequences.num_rows


def test_a_prediction_does_not_depend_on_the_rows_predicted_with_it(popular, tiny_log):
    sequences = Sequences.from_log(tiny_log)
    together = predict(popular, sequences, np.arange(60), negatives=0)
    alone = predict(popular, sequences, np.array([37]), negatives=0)
    np.testing.assert_allclose(alone.output_xM, together.output_xM[37:38], atol=1e-5)


def test_the_rows_own_feedback_is_not_read(popular, tiny_log):
    events = tiny_log.events.copy()
    events.loc[20:, ["rating", "like"]] = [1.0, 0.0]
    changed = Sequences.from_log(replace(tiny_log, events=events))
    before = predict(popular, Sequences.from_log(tiny_log), np.array([20]))
    after = predict(popular, changed, np.array([20]))
    assert (before.output_xM == after.output_xM).all()


def test_peoples_parts_add_up_to_the_weighted_loss(popular, tiny_log):
    found = predict(popular, Sequences.from_log(tiny_log), np.arange(len(tiny_log.events)))
    weights = {head: 0.5 + k for k, head in enumerate(popular.heads)}
    part_B = loss_parts(found, weights)
    losses = mean_losses(found, weights)
    assert len(part_B) == len(np.unique(found.user_x)) > 1
    whole = sum(weights[head] * loss for head, loss in losses.items())
    assert part_B.sum() == pytest.approx(whole, rel=1e-5)


def test_a_sum_is_clearly_above_another_beyond_a_standard_error_of_people():
    best_B = np.array([1.0, 1.0, 1.0, 1.0])
    # differences .3 and -.1 twice each: sum .4, deviation .23094, standard error of the sum .46188
    assert not clearly_above(best_B + [0.3, -0.1, 0.3, -0.1], best_B)
    assert clearly_above(best_B + [0.3, 0.1, 0.3, 0.1], best_B)
    assert not clearly_above(best_B - [0.3, 0.1, 0.3, 0.1], best_B)
    assert not clearly_above(np.array([2.0]), np.array([1.0]))  # one person's noise is unknown
