"""What cannot be learned from is said before any training starts, and what is undefined as such."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.multitask.fitting import fit
from slategym.models.multitask.loss_settings import LossSettings
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.train import read_about, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.quality.evaluation import Evaluation
from slategym.models.text.encoder import find_encoder
from slategym.models.text.settings import EncoderSettings

QUICK = TrainingSettings(epochs=1, batch_events=64, warmup_steps=2)
NOWHERE = MultiTaskSettings(text=EncoderSettings(encoder="./nowhere"))


@pytest.fixture
def train(tiny_log, tiny_settings, tiny_vectors):
    def run(folder, log=tiny_log, settings=tiny_settings, training=QUICK, **others):
        given = {"validation": np.arange(15, 20), "text_vectors_ND0": tiny_vectors, **others}
        return train_multitask(
            log, np.arange(15), settings, training, folder, progress=False, **given
        )

    return run


def test_a_folder_that_is_no_encoder(train, tiny_settings, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no encoder")
    with pytest.raises(UsageError, match=r"the folder lacks config\.json and weights"):
        find_encoder(tmp_path / "folder")
    settings = replace(tiny_settings, text=EncoderSettings(encoder=str(tmp_path / "folder")))
    with pytest.raises(UsageError, match=r"the folder lacks config\.json"):
        train(tmp_path / "m", settings=settings, text_vectors_ND0=None)
    with pytest.raises(UsageError, match="no such folder"):
        find_encoder("./nowhere")
    assert not (tmp_path / "m").exists()


def test_altered_weights_are_refused_and_trained_anew(train, tmp_path: Path):
    before = train(tmp_path).state_dict()
    altered = bytearray((tmp_path / "model.safetensors").read_bytes())
    altered[-3] ^= 4
    (tmp_path / "model.safetensors").write_bytes(altered)
    with pytest.raises(ValueError, match=r"model\.safetensors was altered"):
        MultiTaskBert.from_pretrained(tmp_path)
    weights = train(tmp_path).state_dict()  # complete, and not what it was: set aside
    assert (tmp_path / "model.safetensors.damaged").read_bytes() == altered
    again = MultiTaskBert.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(again[name], before[name]) for name in before)
    assert weights.keys() == before.keys()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_task_of_one_class_has_no_auc_and_says_so(train, tiny_log, tmp_path: Path, value):
    log = replace(tiny_log, events=tiny_log.events.assign(like=np.float32(value)))
    train(tmp_path, log)
    figures = read_about(tmp_path)["figures"]
    assert "like_auc" not in figures and "like_gauc" not in figures
    assert "like AUC is not defined on these rows: only one outcome occurs" in figures["notes"]
    assert "only one outcome occurs" in (tmp_path / "README.md").read_text()
    model = MultiTaskBert.from_pretrained(tmp_path)
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_signal_that_never_differs_is_said_before_any_training(tiny_log, tmp_path, caplog):
    log = replace(tiny_log, events=tiny_log.events.assign(like=np.float32(0)))
    with pytest.raises(UsageError, match="no such folder"):
        fit(log, tmp_path / "m", settings=NOWHERE, progress=False)
    assert caplog.messages == ["like is 0 wherever it was observed: of one outcome there is no AUC"]


def test_an_empty_split(train, tiny_log, tmp_path: Path):
    none = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="there are no validation rows"):
        train(tmp_path / "m", validation=none)
    with pytest.raises(ValueError, match="there are no training rows"):
        train_multitask(tiny_log, none, MultiTaskSettings(), QUICK, tmp_path / "m", progress=False)
    once = tiny_log.events.groupby("user").head(1).reset_index(drop=True)
    with pytest.raises(ValueError, match="no training rows"):
        Evaluation(replace(tiny_log, events=once), "loo", progress=False).multi_task()
    still = tiny_log.events.assign(time=1)
    with pytest.raises(UsageError, match="too few distinct times"):
        Evaluation(replace(tiny_log, events=still), "time", progress=False)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (MultiTaskSettings, {"sharing": "mmo"}, "unknown sharing 'mmo'; did you mean 'mmoe'"),
        (TrainingSettings, {"balance": "pcgrd"}, "unknown balance 'pcgrd'; did you mean 'pcgrad'"),
        (TrainingSettings, {"precision": "float23"}, "did you mean 'float32'"),
        (LossSettings, {"click": "pairwis"}, "unknown loss of the click 'pairwis'; did you mean"),
        (EncoderSettings, {"tuning": "frozn"}, "unknown tuning 'frozn'; did you mean 'frozen'"),
        (EncoderSettings, {"pooling": "men"}, "unknown pooling 'men'; did you mean 'mean'"),
    ],
)
def test_the_nearest_name_is_offered(kind, name, message):
    with pytest.raises(UsageError, match=message):
        kind(**name)


def test_a_loss_of_no_head(train, tmp_path: Path):
    with pytest.raises(ValueError, match="did you mean 'rating'"):
        train(tmp_path / "m", training=replace(QUICK, weights={"ratin": 1.0}))
    assert not (tmp_path / "m").exists()
