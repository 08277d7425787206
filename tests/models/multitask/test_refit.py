"""A model fitted further: on new rows, with old ones replayed, with new people and new items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import BaseFileLock

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.multitask.grow import grown
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import predict
from slategym.models.multitask.refit import RefitSettings, refit_multitask, since_fit
from slategym.models.multitask.sequences import Rehearsal, Sequences, Windows
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask
from slategym.models.multitask.vocabulary import anonymous

QUICK = RefitSettings(epochs=2, warmup_steps=2)
OLD_ITEMS, CAME = 26, 4  # the first log lacks the last items and the last people
LAST = 880_000_000 + 6 * 10**6


class Killed(BaseException):
    pass


def part(log: Log, events: pd.DataFrame, users: int, items: int, name: str) -> Log:
    """Some rows of a log as a log of its own."""
    return replace(
        log,
        name=name,
        events=events.reset_index(drop=True),
        users=log.users.iloc[:users],
        items=log.items.iloc[:items],
        item_topics=log.item_topics[:items],
        sha256=name.encode().hex().ljust(64, "0"),
    )


@pytest.fixture(scope="module")
def old_log(tiny_log) -> Log:
    events = tiny_log.events
    rows = (events["time"] <= LAST) & (events["item"] < OLD_ITEMS) & (events["user"] < 20 - CAME)
    return part(tiny_log, events[rows], 20 - CAME, OLD_ITEMS, "old")


@pytest.fixture(scope="module")
def new_log(tiny_log) -> Log:
    """All that the old one has, what came later, and items in another order."""
    events = tiny_log.events
    late = (events["item"] >= OLD_ITEMS) | (events["user"] >= 20 - CAME)
    events = events[(events["time"] > LAST) | ~late]
    turned = events.assign(item=(29 - events["item"]).astype(np.int32))
    return replace(
        tiny_log,
        name="new",
        events=turned.reset_index(drop=True),
        items=tiny_log.items.iloc[::-1].reset_index(drop=True),
        item_topics=tiny_log.item_topics[::-1],
        sha256="1" * 64,
    )


@pytest.fixture(scope="module")
def new_vectors(tiny_vectors) -> torch.Tensor:
    return tiny_vectors.flip(0)


@pytest.fixture(scope="module")
def model(old_log, tiny_settings, tiny_vectors, tmp_path_factory) -> MultiTaskBert:
    return train_multitask(
        old_log,
        np.arange(13),
        tiny_settings,
        TrainingSettings(epochs=3, batch_events=64, warmup_steps=4),
        tmp_path_factory.mktemp("old"),
        validation=np.arange(13, 16),
        text_vectors_ND0=tiny_vectors[:OLD_ITEMS],
        progress=False,
    )


@pytest.fixture
def refit(model, new_log, new_vectors):
    def run(folder, settings=QUICK, **others):
        given = {"text_vectors_ND0": new_vectors, "progress": False, **others}
        return refit_multitask(model, new_log, folder, settings, **given)

    return run


def same_weights(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_a_grown_model_says_of_known_items_what_it_said(model, old_log, new_log, new_vectors):
    train_E = np.ones(len(new_log.events), bool)
    start = grown(model, new_log, train_E, text_vectors_ND0=new_vectors, progress=False)
    assert start.new_items.tolist() == [0, 1, 2, 3] and start.left_out == 0
    old, new = Sequences.from_log(old_log), Sequences.from_log(new_log)
    first = np.flatnonzero(old_log.events["user"] == 2)[:3]
    also = np.flatnonzero(new_log.events["user"] == 2)[:3]
    was, now = predict(model, old, first, negatives=0), predict(start.model, new, also, negatives=0)
    np.testing.assert_allclose(was.output_xM, now.output_xM, atol=1e-5)


def test_a_new_item_is_its_text_alone(model, new_log, new_vectors):
    train_E = np.ones(len(new_log.events), bool)
    net = grown(model, new_log, train_E, text_vectors_ND0=new_vectors, progress=False).model
    residual_ND = next(v for k, v in net.state_dict().items() if k.endswith("residual.weight"))
    assert (residual_ND[:4] == 0).all() and (residual_ND[4:] != 0).any(1).all()


def test_every_table_of_items_and_categories_grows(new_log, model, new_vectors):
    """Whatever the network keeps for each item is moved; a table that nobody knows is a defect."""
    train_E = np.ones(len(new_log.events), bool)
    net = grown(model, new_log, train_E, text_vectors_ND0=new_vectors, progress=False).model
    for name, value in net.state_dict().items():
        old = model.state_dict()[name]
        for axis, (was, now) in enumerate(zip(old.shape, value.shape, strict=True)):
            if was == now:
                continue
            assert (was, now) == (OLD_ITEMS, 30), name
            value = value.index_select(axis, torch.arange(29, 3, -1))
        assert torch.equal(value, old), name


def test_who_was_held_out_stays_so_and_the_new_rows_are_the_later_ones(model, new_log):
    parted = since_fit(model, new_log)
    assert parted.until == model.vocabulary.until
    assert (parted.fresh_E == (new_log.events["time"] > parted.until)).all()
    held = set(new_log.events["user"][parted.held_E])
    assert {13, 14, 15} <= held and len(held - {13, 14, 15}) == round(0.1 * CAME)
    assert not parted.notes


def test_old_rows_make_the_share_that_is_asked():
    fresh_E = np.zeros(1000, bool)
    fresh_E[900:] = True
    first = np.arange(0, 1000, 10)
    windows = Windows(first, first + 10, first, first + 10)
    for share in (0.0, 0.25, 0.5):
        chosen = Rehearsal(fresh_E, share).chosen(windows, np.random.default_rng(0))
        rows = np.concatenate([np.arange(10) + first[w] for w in chosen])
        assert set(np.flatnonzero(fresh_E)) <= set(rows)
        assert 1 - fresh_E[rows].mean() == pytest.approx(share, abs=0.06)
    everything = Rehearsal(fresh_E, 0.99).chosen(windows, np.random.default_rng(0))
    assert sorted(everything) == list(range(100))


def test_it_learns_from_new_rows_and_the_model_given_is_untouched(refit, model, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    done = refit(tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not same_weights(done.old.model, done.model)
    about = read_about(tmp_path)
    assert about["from"]["new_rows"] == int(done.since.fresh_E.sum())
    assert about["from"]["new_items"] == 4 and about["from"]["replay"] == 0.5
    card = (tmp_path / "README.md").read_text()
    assert "fitted further from 'multi-task BERT'" in card and "4 items are new" in card
    loaded = MultiTaskBert.from_pretrained(tmp_path)
    held = {anonymous(str(user)) for user in (13, 14, 15)}
    assert held <= set(loaded.vocabulary.held) and len(loaded.vocabulary.items) == 30


def test_a_killed_refit_resumes_to_the_same_weights(refit, tmp_path, monkeypatch):
    whole = refit(tmp_path / "whole").model

    def kill(epoch, losses):
        raise Killed

    with pytest.raises(Killed):
        refit(tmp_path / "killed", on_epoch=kill)
    assert not (tmp_path / "killed" / "config.json").exists()
    epochs = []
    resumed = refit(tmp_path / "killed", on_epoch=lambda epoch, losses: epochs.append(epoch)).model
    assert epochs == [2] and same_weights(whole, resumed)
    monkeypatch.setattr(BaseFileLock, "acquire", lambda *_, **__: pytest.fail("wanted a lock"))
    again = refit(tmp_path / "killed", on_epoch=lambda *_: pytest.fail("fitted again")).model
    assert same_weights(again, whole)


def test_a_folder_of_another_refit_is_refused(refit, tmp_path):
    refit(tmp_path)
    with pytest.raises(ValueError, match="holds a model of another spec"):
        refit(tmp_path, replace(QUICK, replay=0.25))


def test_what_cannot_be_refitted_is_said_before_any_training(
    model, old_log, new_log, new_vectors, tmp_path
):
    def run(log, **others):
        refit_multitask(
            model, log, tmp_path, text_vectors_ND0=new_vectors, progress=False, **others
        )

    with pytest.raises(UsageError, match=r"old has no row after .* UTC, the last moment"):
        run(old_log)
    silent = new_log.events.assign(click=np.float32(0))
    with pytest.raises(UsageError, match=r"nothing was clicked in the \d+ new rows"):
        run(replace(new_log, events=silent))
    with pytest.raises(UsageError, match=r"profile columns age, the model was fitted on age, gen"):
        run(replace(new_log, profile_names=("age",), profile_sizes=(3,)))
    with pytest.raises(UsageError, match="in the same order"):
        run(replace(new_log, signals=new_log.signals[:2]))
    held = new_log.events["user"].isin([13, 14, 15])
    late = new_log.events["time"] > model.vocabulary.until
    with pytest.raises(UsageError, match="are of people held out"):
        run(replace(new_log, events=new_log.events[~late | held].reset_index(drop=True)))
    with pytest.raises(UsageError, match="it is not known which text encoder"):
        refit_multitask(model, new_log, tmp_path, progress=False)
    for wrong in ({"replay": 1.0}, {"epochs": 0}):
        with pytest.raises(UsageError):
            RefitSettings(**wrong)
    assert not list(tmp_path.iterdir())
