"""LoRA and full fine-tuning inside the joint loss, on the first two layers of MiniLM, on a CPU."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel

from slategym.models.data.datasets import load_log
from slategym.models.data.splits import split_time
from slategym.models.files import home
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.tasks import head_weights
from slategym.models.text.settings import DEFAULT_ENCODER, EncoderSettings
from slategym.models.text.tuned import TunedEncoder

HOME = home()  # of whoever runs the tests: the session's own is empty
ASSET = HOME / "assets" / DEFAULT_ENCODER
LOG = HOME / "assets" / "movielens-100k"
PEOPLE = 200
TRAINING = TrainingSettings(epochs=3)


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory):
    """MiniLM's embeddings and its first two layers, as a folder."""
    if not ASSET.is_dir() or not LOG.is_dir():
        pytest.skip(f"{DEFAULT_ENCODER} and movielens-100k are not in the cache")
    folder = tmp_path_factory.mktemp("two-layers")
    model = AutoModel.from_pretrained(ASSET)
    model.encoder.layer = model.encoder.layer[:2]
    model.config.num_hidden_layers = 2
    model.save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ASSET / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def log(two_layers):
    """MovieLens, some of its people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLATEGYM_HOME", str(HOME))
        whole = load_log("movielens-100k", progress=False)
    events = whole.events[whole.events["user"] < PEOPLE].reset_index(drop=True)
    return replace(whole, events=events, name="some of movielens-100k", sha256="1" * 64)


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_tuning_runs_end_to_end_and_says_what_it_gained(
    tuning, two_layers, log, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))
    parts = split_time(log)
    sequences, rows = Sequences.from_log(log), np.flatnonzero(parts.test)
    figures = {}
    for mode in ("frozen", tuning):
        text = EncoderSettings(str(two_layers), tuning=mode, texts_per_step=16)
        settings = MultiTaskSettings(text=text)
        model = train_multitask(
            *(log, parts.train, settings, TRAINING, tmp_path / mode),
            validation=parts.validation,
            progress=False,
        )
        weights = head_weights(model.tasks, {})
        figures[mode] = model_figures(
            mode, predict(model, sequences, rows), platt_of(model), weights
        ).values
    names = ("like_auc", "like_gauc", "rating_rmse", "click_auc", "hr10")
    moved = {name: figures[tuning][name] - figures["frozen"][name] for name in names}
    with capsys.disabled():
        said = ", ".join(f"{name} {value:+.4f}" for name, value in moved.items())
        print(f"\n{tuning} minus frozen, two layers, {PEOPLE} people, one seed: {said}")
    assert all(np.isfinite(list(moved.values())))
    assert any(moved.values())
    texts = log.items["text"].tolist()
    kept = TunedEncoder.load(tmp_path / tuning / "text", texts, progress=False)
    torch.testing.assert_close(kept.all_vectors(), model.vectors.text_vectors_ND0)
    fresh = TunedEncoder(texts[:2], model.settings.text, progress=False)
    assert kept.frozen_hash() == fresh.frozen_hash()
