"""Every choice of the settings trains, is decided by the seed, resumes, saves and loads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.multitask.balance import BALANCES
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.sharing import SHARINGS
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask
from slategym.models.text.settings import TUNINGS, EncoderSettings

FAST = TrainingSettings(epochs=3, batch_events=64, warmup_steps=4)
HELD = np.arange(15, 20)  # users
TEXT = EncoderSettings(texts_per_step=4, learning_rate=1e-3)


class Killed(BaseException):
    pass


def same(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def holds(tmp_path, train, settings, training=FAST):
    """Train whole, killed and resumed, and loaded: the same weights. Returns the model."""

    def kill(epoch, losses):
        if epoch == 1:
            raise Killed

    whole = train(tmp_path / "whole", settings, training)
    with pytest.raises(Killed):
        train(tmp_path / "killed", settings, training, on_epoch=kill)
    assert same(whole, train(tmp_path / "killed", settings, training))
    assert same(whole, MultiTaskBert.from_pretrained(tmp_path / "whole"))
    history = read_about(tmp_path / "whole")["history"]
    assert all(np.isfinite(list(row.values())).all() for row in history)
    total = [sum(row[head] for head in whole.heads) for row in history]
    assert total[-1] < total[0]
    assert MultiTaskBert.from_pretrained(tmp_path / "whole").settings == settings
    return whole


@pytest.fixture
def train(tiny_log, tiny_vectors):
    """Train on users 0 to 14."""

    def run(folder, settings, training=FAST, **others):
        given = {} if settings.text.learns else {"text_vectors_ND0": tiny_vectors}
        rows = np.arange(15)
        return train_multitask(
            *(tiny_log, rows, settings, training, folder),
            **{"validation": HELD, "progress": False, **given, **others},
        )

    return run


@pytest.mark.parametrize("balance", [name for name in BALANCES if name != "fixed"])
def test_balance(balance, train, tiny_settings, tmp_path):
    model = holds(tmp_path, train, tiny_settings, replace(FAST, balance=balance))
    assert not same(model, train(tmp_path / "fixed", tiny_settings))


@pytest.mark.parametrize("sharing", [name for name in SHARINGS if name != "shared-bottom"])
def test_sharing(sharing, train, tiny_settings, tmp_path):
    holds(tmp_path, train, replace(tiny_settings, sharing=sharing))


@pytest.mark.parametrize("tuning", TUNINGS)
def test_text(tuning, train, tiny_settings, encoder, tmp_path):
    text = replace(TEXT, encoder=str(encoder), tuning=tuning)
    text = replace(text, pooling="attention") if tuning == "frozen" else text
    settings = replace(tiny_settings, text=text)
    model = holds(tmp_path, train, settings)
    before = train(
        tmp_path / "before", replace(settings, text=replace(text, tuning="frozen", pooling="mean")),
        text_vectors_ND0=None,
    )  # fmt: skip
    vectors = [m.vectors.text_vectors_ND0 for m in (model, before)]
    assert not torch.equal(*vectors)
    assert (tmp_path / "whole" / "text" / "tuned.safetensors").exists()


def test_cosines_between_gradients_are_kept(train, tiny_settings, tmp_path):
    train(tmp_path, tiny_settings)
    found = read_about(tmp_path)["gradient_cosines"]
    assert found["heads"] == ["click", "like", "rating", "next"]
    last = np.array(found["epochs"][-1])
    assert len(found["epochs"]) == 3 and last.shape == (4, 4)
    np.testing.assert_allclose(last.diagonal(), 1, atol=1e-6)
    np.testing.assert_allclose(last, last.T, atol=1e-9)
    assert last[1, 2] > 0  # who likes more, rates higher


def test_given_vectors_and_an_encoder_that_learns_is_refused(train, tiny_settings, tmp_path):
    settings = replace(tiny_settings, text=replace(TEXT, tuning="lora"))
    with pytest.raises(ValueError, match="no encoder can be tuned"):
        train(tmp_path / "m", settings, text_vectors_ND0=torch.zeros(30, 4))
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_no_encoder_is_refused_before_training(train, tiny_settings, tmp_path):
    (tmp_path / "empty").mkdir()
    text = replace(TEXT, encoder=str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"no text encoder at .*lacks config.json"):
        train(tmp_path / "m", replace(tiny_settings, text=text), text_vectors_ND0=None)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: MultiTaskSettings(sharing="mmo"), "did you mean 'mmoe'"),
        (lambda: TrainingSettings(balance="uncertain"), "did you mean 'uncertainty'"),
        (lambda: EncoderSettings(tuning="loar"), "did you mean 'lora'"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_nearest(settings, message):
    with pytest.raises(UsageError, match=message):
        settings()
