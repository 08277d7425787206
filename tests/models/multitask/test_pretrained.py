"""A model's folder, written, read, pushed: in the Hugging Face way, and only when it is whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_worlds import TASKS

from slategym.envs.names import UsageError
from slategym.models.checksums import with_checksum
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.pretrained import PUBLISHED, push_model
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.multitask.vocabulary import anonymous


@pytest.fixture
def model(tiny_settings, tiny_vectors):
    """Untrained."""
    model = MultiTaskBert(
        tiny_settings,
        TASKS,
        text_vectors_ND0=tiny_vectors,
        biases=ItemBiases.neutral(30, 3),
        profile_sizes=(3, 2),
        num_items=30,
        seed=3,
    )
    model.set_calibration({"click": 1.5}, {"like": 0.25})
    return model.eval()


@pytest.fixture(scope="module")
def trained(tiny_log, tiny_settings, tiny_vectors, tmp_path_factory) -> Path:
    """The folder of a trained model."""
    import numpy as np

    folder = tmp_path_factory.mktemp("trained")
    train_multitask(
        tiny_log,
        np.arange(15),
        tiny_settings,
        TrainingSettings(epochs=1, batch_events=64),
        folder,
        validation=np.arange(15, 20),
        text_vectors_ND0=tiny_vectors,
        progress=False,
    )
    return folder


def test_what_is_read_is_what_was_written(model, tmp_path):
    model.about = {"seed": 4}
    model.save_pretrained(tmp_path / "m")
    loaded = MultiTaskBert.from_pretrained(tmp_path / "m")
    assert not loaded.training and loaded.settings == model.settings and loaded.about == {"seed": 4}
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md"}


def test_what_is_known_of_the_training_travels(trained, tmp_path):
    MultiTaskBert.from_pretrained(trained).save_pretrained(tmp_path / "copy")
    for name in PUBLISHED:
        assert (tmp_path / "copy" / name).read_bytes() == (trained / name).read_bytes(), name


def test_the_vocabulary_says_what_rows_stand_for_and_no_persons_key(trained, tiny_log):
    found = MultiTaskBert.from_pretrained(trained).vocabulary
    assert found is not None
    assert found.items == tuple(tiny_log.items["key"]) and found.rows == len(tiny_log.events)
    assert found.profile == (("age", ("0", "1", "2")), ("gender", ("0", "1")))
    assert found.held == tuple(anonymous(str(user)) for user in range(15, 20))
    assert not {str(user) for user in range(15, 20)} & set(found.held)


def test_the_hub_reads_the_card(trained):
    from huggingface_hub import ModelCard

    card = ModelCard.load(trained / "README.md")
    assert card.data.library_name == "slategym" and card.data.license == "other"
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    figures = json.loads((trained / "config.json").read_text())["about"]["figures"]
    assert found["like_auc"] == pytest.approx(figures["like_auc"], abs=1e-6)
    for heading in ("## Data", "## Metrics", "## Limits", "## Terms", "## Use"):
        assert heading in card.content


def _spoil(folder: Path, how: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    if how == "config":
        (folder / "config.json").unlink()
    elif how == "weights":
        (folder / "model.safetensors").unlink()
    elif how == "altered":
        tensors = load_file(folder / "model.safetensors")
        tensors["queries.user_levels.0.bias"] += 1.0
        save_file(tensors, folder / "model.safetensors")
    elif how == "vocabulary":
        path = folder / "vocabulary.json"
        path.write_text(path.read_text().replace("Film 3", "Film 4"))
    elif how == "one digit":
        path = folder / "config.json"
        path.write_text(re.sub(r'"seed": \d', '"seed": 9', path.read_text()))
    elif how == "json":
        (folder / "config.json").write_text("{")
    else:
        config |= json.loads(how)
        (folder / "config.json").write_text(json.dumps(with_checksum(config)))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("config", r"no complete model: config\.json is missing"),
        ("weights", r"no complete model: .*model\.safetensors is missing"),
        ("altered", r"model\.safetensors was altered: its sha256 is"),
        ("vocabulary", r"vocabulary\.json was altered"),
        ("one digit", r"config\.json was altered"),
        ("json", r"config\.json is damaged"),
        ('{"class": "Other"}', r"holds class 'Other' format \d+, this reads 'MultiTaskBert'"),
        ('{"format": 1}', r"format 1, this reads 'MultiTaskBert' format"),
        ('{"sha256": {"model.safetensors": ""}}', r"model\.safetensors was altered"),
        ('{"settings": {"depth": 2}}', r"does not describe a model .*depth"),
    ],
)
def test_a_spoilt_folder_is_refused(trained, tmp_path, how, message):
    MultiTaskBert.from_pretrained(trained).save_pretrained(tmp_path)
    _spoil(tmp_path, how)
    with pytest.raises(ValueError, match=message):
        MultiTaskBert.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        push_model(tmp_path, "me/model", api=_Hub())


def test_a_model_that_failed_to_be_written_is_none(model, tmp_path):
    model.save_pretrained(tmp_path)
    model.about = {"not": {"json"}}
    with pytest.raises(TypeError):
        model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is missing"):
        MultiTaskBert.from_pretrained(tmp_path)


def test_what_is_neither_folder_nor_repository_is_said(tmp_path):
    for source in (tmp_path / "nope", "nope", "a/b/c"):
        with pytest.raises(UsageError, match="no such folder; a model is a folder that"):
            MultiTaskBert.from_pretrained(source)
    with pytest.raises(UsageError, match="owner/name: no such folder, and not to be had from"):
        MultiTaskBert.from_pretrained("owner/name")  # tests are offline


class _Hub:
    """Takes the calls that `huggingface_hub.HfApi` would."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> None:
        self.made.append((repo_id, private, exist_ok))

    def upload_folder(
        self, *, repo_id: str, folder_path: str, commit_message: str, allow_patterns: list[str]
    ) -> str:
        for name in allow_patterns:
            self.files[name] = (Path(folder_path) / name).read_bytes()
        return f"https://hub/{repo_id}/commit/1"


def test_pushing_uploads_the_folder_in_one_commit(trained, tmp_path):
    (trained / "checkpoint.safetensors").write_bytes(b"not to be published")
    hub = _Hub()
    address = push_model(trained, "me/model", private=True, api=hub)
    (trained / "checkpoint.safetensors").unlink()
    assert address == "https://hub/me/model/commit/1" and hub.made == [("me/model", True, True)]
    assert set(hub.files) == set(PUBLISHED)
    for name, content in hub.files.items():
        (tmp_path / name).write_bytes(content)
    there, here = MultiTaskBert.from_pretrained(tmp_path), MultiTaskBert.from_pretrained(trained)
    assert all(torch.equal(v, here.state_dict()[k]) for k, v in there.state_dict().items())


def test_the_real_api_takes_these_calls():
    import inspect

    from huggingface_hub import HfApi

    assert {"repo_id", "private", "exist_ok"} <= set(
        inspect.signature(HfApi.create_repo).parameters
    )
    needed = {"repo_id", "folder_path", "commit_message", "allow_patterns"}
    assert needed <= set(inspect.signature(HfApi.upload_folder).parameters)
