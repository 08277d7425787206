"""A trained text encoder lives in its model's folder, and goes where the model goes."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.multitask.grow import grown
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.pretrained import PUBLISHED, push_model, read_config
from slategym.models.multitask.refit import RefitSettings, refit_multitask
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.text.kept import kept_vectors
from slategym.models.text.settings import EncoderSettings
from slategym.models.text.vectors import item_text_vectors

QUICK = TrainingSettings(epochs=1, batch_events=64, warmup_steps=2)
ITEMS = 26  # of the first log; the last four come later
MODES = {
    "lora": {"tuning": "lora"},
    "full": {"tuning": "full"},
    "attention": {"pooling": "attention"},
    "adapted": {"masked_epochs": 1},
    "adapted, then tuned": {"masked_epochs": 1, "tuning": "adapter"},
}


@pytest.fixture(scope="module")
def worded(tiny_log) -> Log:
    """Items whose texts the encoder knows, each other words."""
    texts = [f"toy story {n} {n % 7} space film" for n in range(tiny_log.num_items)]
    return replace(tiny_log, items=tiny_log.items.assign(text=texts))


@pytest.fixture(scope="module")
def first_log(worded) -> Log:
    events = worded.events
    rows = (events["item"] < ITEMS) & (events["time"] < events["time"].quantile(0.6))
    return replace(
        worded,
        name="first",
        events=events[rows].reset_index(drop=True),
        items=worded.items.iloc[:ITEMS],
        item_topics=worded.item_topics[:ITEMS],
        sha256="2" * 64,
    )


@pytest.fixture
def train(first_log, tiny_settings, encoder, tmp_path):
    def run(**text) -> MultiTaskBert:
        learns = {"texts_per_step": 4, "learning_rate": 0.01, **text}
        settings = replace(tiny_settings, text=EncoderSettings(str(encoder), **learns))
        model = train_multitask(
            first_log, np.arange(15), settings, QUICK, tmp_path / "first", progress=False,
            validation=np.arange(15, 20),
        )  # fmt: skip
        return model

    return run


@pytest.mark.parametrize("mode", MODES)
def test_a_refit_reads_new_items_with_the_trained_encoder(mode, train, worded, encoder, tmp_path):
    train(**MODES[mode])
    model = MultiTaskBert.from_pretrained(tmp_path / "first")
    texts = worded.items["text"].tolist()
    new = refit_multitask(
        model, worded, tmp_path / "new", RefitSettings(epochs=1), progress=False
    ).model
    vectors_ND = new.vectors.text_vectors_ND0
    torch.testing.assert_close(vectors_ND[:ITEMS], model.vectors.text_vectors_ND0)
    again_ND = kept_vectors(tmp_path / "new" / "text", texts, new.settings.text, progress=False)
    torch.testing.assert_close(vectors_ND, again_ND)
    plain_ND = item_text_vectors(texts, encoder, progress=False)
    assert float((vectors_ND - plain_ND).abs()[ITEMS:].max()) > 1e-4  # not what it started as
    assert list((tmp_path / "new" / "text").rglob("tokenizer.json"))


def test_the_folder_goes_where_the_model_goes(train, worded, tmp_path):
    train(masked_epochs=1, tuning="lora")
    shutil.move(tmp_path / "first", tmp_path / "moved")
    MultiTaskBert.from_pretrained(tmp_path / "moved").save_pretrained(tmp_path / "copy")
    shutil.rmtree(tmp_path / "moved")
    model = MultiTaskBert.from_pretrained(tmp_path / "copy")
    kept = set(read_config(tmp_path / "copy")["sha256"])
    assert {"text/tuned.safetensors", "text/encoder/model.safetensors"} <= kept
    every = np.ones(len(worded.events), bool)
    assert grown(model, worded, every, progress=False).new_items.tolist() == [26, 27, 28, 29]
    path = tmp_path / "copy" / "text" / "tuned.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"text/tuned\.safetensors was altered"):
        MultiTaskBert.from_pretrained(tmp_path / "copy")


def test_what_is_pushed_has_it_and_comes_down_as_links(train, worded, tmp_path):
    train(tuning="lora")
    snapshot, blobs = tmp_path / "hub" / "snapshots" / ("a" * 40), tmp_path / "hub" / "blobs"
    blobs.mkdir(parents=True)

    class Hub:
        def create_repo(self, repo_id, *, private, exist_ok):
            pass

        def upload_folder(self, *, repo_id, folder_path, commit_message, allow_patterns):
            for number, name in enumerate(allow_patterns):
                shutil.copy(Path(folder_path) / name, blobs / str(number))
                (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
                up = os.path.relpath(blobs / str(number), (snapshot / name).parent)
                (snapshot / name).symlink_to(up)
            return "done"

    assert push_model(tmp_path / "first", "me/model", api=Hub()) == "done"
    names = {p.relative_to(snapshot).as_posix() for p in snapshot.rglob("*") if p.is_file()}
    assert set(PUBLISHED) | {"text/encoder.json", "text/tuned.safetensors"} <= names
    model = MultiTaskBert.from_pretrained(snapshot)
    grown(model, worded, np.ones(len(worded.events), bool), progress=False)


def test_a_folder_without_it_says_so_before_anything_is_read_wrongly(train, worded, tmp_path):
    model = train(masked_epochs=1)
    model.text_folder = None
    every = np.ones(len(worded.events), bool)
    with pytest.raises(UsageError, match=r"4 items of .* lacks its text encoder, which was"):
        grown(model, worded, every, progress=False)


def test_of_known_items_those_whose_text_changed_are_read_again(train, worded, encoder, tmp_path):
    model = train()
    assert model.text_folder is None and not (tmp_path / "first" / "text").exists()
    items = worded.items.copy()
    items.loc[3, "text"] = "alien film 8"
    log = replace(worded, items=items)
    done = refit_multitask(model, log, tmp_path / "new", RefitSettings(epochs=1), progress=False)
    assert done.old.changed == 1
    same_N = (done.model.vectors.text_vectors_ND0[:ITEMS] == model.vectors.text_vectors_ND0).all(1)
    assert same_N.tolist() == [n != 3 for n in range(ITEMS)]
    wanted_1D = item_text_vectors(["alien film 8"], encoder, progress=False)
    torch.testing.assert_close(done.model.vectors.text_vectors_ND0[3:4], wanted_1D)
    card = (tmp_path / "new" / "README.md").read_text()
    assert "items whose text is another than at the first fit, read anew: 1" in card


def test_a_model_of_before_knows_no_texts_and_keeps_its_vectors(train, worded, tmp_path):
    model = train()
    model.vocabulary = replace(model.vocabulary, texts=())
    log = replace(worded, items=worded.items.assign(text="alien"))
    start = grown(model, log, np.ones(len(log.events), bool), progress=False)
    assert start.changed == 0
    kept_ND = start.model.vectors.text_vectors_ND0[:ITEMS]
    torch.testing.assert_close(kept_ND, model.vectors.text_vectors_ND0)
