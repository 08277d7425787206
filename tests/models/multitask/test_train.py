import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import BaseFileLock

from slategym.models import metrics
from slategym.models.closed_form.fades import reach
from slategym.models.multitask import judging, training_settings
from slategym.models.multitask import requests as asked
from slategym.models.multitask.losses import batch_targets, task_losses
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import mean_losses, predict
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.sequences import Sequences, Windows
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask
from slategym.models.tasks import head_weights

FAST = TrainingSettings(epochs=4, batch_events=64, warmup_steps=4)
ONE = replace(FAST, epochs=1)
HELD = np.arange(15, 20)  # users


class Killed(BaseException):
    pass


@pytest.fixture
def train(tiny_log, tiny_settings, tiny_vectors):
    """Train on users 0 to 14; the keywords change the rest."""

    def run(folder, training=FAST, **others):
        given = {"validation": HELD, "text_vectors_ND0": tiny_vectors, "progress": False, **others}
        return train_multitask(tiny_log, np.arange(15), tiny_settings, training, folder, **given)

    return run


@pytest.fixture(scope="module")
def trained(tiny_log, tiny_settings, tiny_vectors, tmp_path_factory):
    """A model of one epoch, and its folder, which no test changes."""
    folder = tmp_path_factory.mktemp("trained")
    given = {"validation": HELD, "text_vectors_ND0": tiny_vectors, "progress": False}
    rows = np.arange(15)
    return train_multitask(tiny_log, rows, tiny_settings, ONE, folder, **given), folder


def same_weights(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_it_learns(train, tiny_log, tmp_path):
    training = replace(FAST, epochs=25, patience=25, learning_rate=0.01, warmup_steps=10)
    model = train(tmp_path, training)
    about = read_about(tmp_path)
    assert about["history"][-1]["like"] < 0.7 * about["history"][0]["like"]
    sequences = Sequences.from_log(tiny_log)
    held_E = np.isin(sequences.user_E.numpy(), HELD) & (sequences.order_E.numpy() >= 4)
    predictions = predict(model, sequences, np.flatnonzero(held_E))
    assert metrics.auc(predictions.value_xM[:, 1], predictions.output_xM[:, 1]) > 0.75


def test_a_killed_run_resumes_to_the_same_weights(train, tmp_path):
    whole = train(tmp_path / "whole")

    def kill(epoch, losses):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", on_epoch=kill)
    left = {p.name for p in (tmp_path / "killed").iterdir()}
    assert "checkpoint.safetensors" in left
    assert "config.json" not in left
    epochs = []
    resumed = train(tmp_path / "killed", on_epoch=lambda epoch, losses: epochs.append(epoch))
    assert epochs == [3, 4]
    assert same_weights(whole, resumed)
    histories = [read_about(tmp_path / f)["history"] for f in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()


def test_a_complete_folder_is_returned_at_once(train, trained, monkeypatch):
    first, folder = trained

    def refused(lock, *arguments, **options):
        raise PermissionError(f"read-only: {lock.lock_file}")

    monkeypatch.setattr(BaseFileLock, "acquire", refused)  # as where nothing may be written
    again = train(folder, ONE, on_epoch=lambda epoch, losses: pytest.fail("trained again"))
    assert same_weights(first, again)
    assert same_weights(first, MultiTaskBert.from_pretrained(folder))


def test_a_folder_of_another_spec_is_refused(train, trained):
    with pytest.raises(ValueError, match="holds a model of another spec"):
        train(trained[1], replace(ONE, negatives=3))


def test_a_checkpoint_of_another_spec_is_passed_over(train, tmp_path):
    def kill(epoch, losses):
        raise Killed

    few = replace(FAST, epochs=2)
    with pytest.raises(Killed):
        train(tmp_path / "a", few, on_epoch=kill, seed=9)
    assert same_weights(train(tmp_path / "a", few), train(tmp_path / "b", few))


def test_the_seed_decides_and_global_generators_are_untouched(train, trained, tmp_path):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, _ = trained
    torch.manual_seed(77)
    again = train(tmp_path / "2", ONE)
    torch.set_rng_state(before)
    other = train(tmp_path / "3", ONE, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert same_weights(first, again)
    assert not same_weights(first, other)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_it_stops_early_and_keeps_the_best_epoch(train, tiny_log, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "find_shares", lambda *asked: {})  # they come after, and change it
    # a rate this high overshoots: the validation loss rises from some epoch on
    training = replace(FAST, epochs=30, patience=2, learning_rate=0.03)
    model = train(tmp_path, training)
    about = read_about(tmp_path)
    losses = [row["held-out"] for row in about["history"]]
    assert len(losses) < 30
    assert int(np.argmin(losses)) <= about["best_epoch"] == len(losses) - 3
    sequences = Sequences.from_log(tiny_log)
    held = np.flatnonzero(np.isin(sequences.user_E.numpy(), HELD))
    found = mean_losses(predict(model, sequences, held), head_weights(model.tasks, {}))
    assert found["rating"] == pytest.approx(
        about["history"][about["best_epoch"]]["held-out rating"]
    )


def test_of_many_rows_fewer_epochs_are_enough():
    most, usual = training_settings.MOST_ROWS, TrainingSettings()
    assert usual.for_rows(100_000) == usual
    assert usual.for_rows(most // 3).epochs == 3
    assert usual.for_rows(100 * most).epochs == training_settings.FEWEST
    assert replace(usual, epochs=1).for_rows(100 * most).epochs == 1


def test_of_few_updates_a_quarter_at_most_warms_up(train, tmp_path):
    long = [
        train(tmp_path / str(steps), replace(FAST, epochs=2, warmup_steps=steps))
        for steps in (10_000, 20_000)
    ]
    assert same_weights(*long)


def test_refit_trains_on_both_for_the_best_number_of_epochs(train, tmp_path):
    train(tmp_path, replace(FAST, epochs=3), refit=True)
    selection, final = read_about(tmp_path / "selection"), read_about(tmp_path)
    assert len(final["history"]) == selection["best_epoch"] + 1
    assert final["calibration"] == selection["calibration"]
    assert "held-out" not in final["history"][0]
    assert not same_weights(
        MultiTaskBert.from_pretrained(tmp_path),
        MultiTaskBert.from_pretrained(tmp_path / "selection"),
    )


def test_a_refitted_model_serves_the_shares_that_held_out_people_gave(train, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "find_shares", lambda *of: {"rating": (0.0, 0.0)})
    model = train(tmp_path, ONE, refit=True)
    like, rating = model.wide.last.weight
    assert (rating == 0.0).all() and (like != 0.0).any()
    assert model.wide.gate_V[1] == 0.0


def test_sums_hold_all_clicks_that_still_count_before_a_window(
    train, tiny_settings, tmp_path, monkeypatch
):
    met = []

    def seen(known, *others):
        met.append(known)
        return sums_before(known, *others)

    sums_before = asked.sums_before
    monkeypatch.setattr(asked, "sums_before", seen)
    train(tmp_path, ONE)
    trained = [known for known in met if known.fold_U is not None]  # not those who are held out
    assert trained
    window = tiny_settings.max_history
    for known in trained:
        assert known.earlier >= max(window, reach(known.tables.fade_T)) > window


def test_the_card_says_what_it_is(trained):
    _, folder = trained
    card = (folder / "README.md").read_text(encoding="utf-8")
    config = json.loads((folder / "config.json").read_text())
    assert f"trained on {config['about']['rows']['rows']} rows of 15 users" in card
    assert "width: 16" in card
    assert "held-out ECE" in card
    assert "- like_auc: 0." in card
    assert "Of this model on the validation rows" in card
    assert "## Terms" in card


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"validation": np.arange(14, 20)}, "both training and validation"),
        ({"validation": np.array([], dtype=np.int64)}, "no validation rows"),
        ({"validation": None, "refit": True}, "refit needs validation rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused(train, tmp_path, others, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "m", **others)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (dict.fromkeys(("click", "like", "rating", "next"), 0.0), "one of them above 0"),
        ({"like": -1.0}, "at least 0"),
        ({"lik": 1.0}, "did you mean 'like'"),
    ],
)
def test_weights_that_cannot_be_are_refused(train, tmp_path, weights, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "m", replace(FAST, weights=weights))


def test_rows_without_any_click_are_refused(tiny_log, tiny_settings, tiny_vectors, tmp_path):
    log = replace(tiny_log, events=tiny_log.events.assign(click=0.0))
    training = TrainingSettings(epochs=1)
    with pytest.raises(ValueError, match=r"nothing was clicked in the \d+ training rows"):
        train_multitask(
            log, np.arange(10), tiny_settings, training, tmp_path, text_vectors_ND0=tiny_vectors
        )


def test_training_losses_equal_those_of_predictions(tiny_log, trained):
    """Two ways to the same numbers: masked losses of a batch, and from predicted rows."""
    model, _ = trained
    weights = head_weights(model.tasks, {})
    events = tiny_log.events.copy()
    events.loc[::3, "like"] = np.nan
    events.loc[1::3, "rating"] = np.nan
    sequences = Sequences.from_log(replace(tiny_log, events=events))
    first_B, base_B = sequences.first_U.numpy()[:6], sequences.base_U.numpy()[:6]
    length_B = np.minimum(sequences.count_U.numpy()[:6], 9)
    windows = Windows(base_B, base_B + length_B, first_B, first_B + length_B)
    batch = sequences.batch(windows)
    known = Known.of(model, sequences, np.arange(sequences.num_rows))
    limit_B = sequences.count_U[batch.user_B]
    targets = batch_targets(sequences, batch, limit_B, 0, torch.Generator())
    with torch.no_grad():
        table = model.item_table()
        query = requests(model, table, sequences, windows, batch, known)
        losses = task_losses(model, table, query, sequences, targets, weights)
    predictions = predict(model, sequences, targets.row_x.numpy(), negatives=0)
    expected = mean_losses(predictions, weights)
    for head in ("click", "like", "next"):
        assert float(losses[head]) == pytest.approx(expected[head], abs=1e-5), head
    expected_x = predictions.output_xM[:, 2]
    unclipped = (expected_x > 1) & (expected_x < 5)
    if unclipped.all():
        assert float(losses["rating"]) == pytest.approx(expected["rating"], abs=1e-5)
