"""A model's card says what was trained, not what is usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from slategym.models.multitask.card import card_text
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.text.settings import EncoderSettings

QUICK = TrainingSettings(epochs=1, batch_events=64, warmup_steps=2)


@pytest.fixture(scope="module")
def model(tiny_log, tiny_settings, tiny_vectors, tmp_path_factory) -> MultiTaskBert:
    return train_multitask(
        tiny_log,
        np.arange(15),
        tiny_settings,
        QUICK,
        tmp_path_factory.mktemp("model"),
        validation=np.arange(15, 20),
        text_vectors_ND0=tiny_vectors,
        progress=False,
    )


def test_data_splits_metrics_limits_and_how_the_heads_agree(model, tiny_log):
    text, last = card_text(model), pd.Timestamp(tiny_log.events["time"].max(), unit="s")
    for wanted in (
        "A causal BERT over a user's events with heads for click, like, rating given click, and",
        f"of 15 users; 30 items; the log's last moment is {last:%Y-%m-%d %H:%M:%S} UTC",
        "rows of 5 people held out from training",
        "which also served early stopping and calibration: a little flattering",
        "Read beside the sequence: values of a click by running statistics",
        "## Limits",
        "## Do the heads agree?",
    ):
        assert wanted in text, wanted
    row = next(line for line in text.splitlines() if line.startswith("| like | "))
    assert row.split(" | ")[2] == "+1.00"


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"sequence": "gru"}, "A gated recurrent network (GRU) over"),
        ({"sequence": "cloze"}, "A BERT that sees both sides of what is asked (Cloze) over"),
        ({"wide": "none", "prior": "none"}, "Read beside the sequence: nothing."),
        ({"text": EncoderSettings(tuning="lora")}, "tuned with the network (lora); what was"),
        ({"text": EncoderSettings(pooling="attention")}, "pooling of its tokens that was learned"),
        ({"text": EncoderSettings(masked_epochs=2)}, "by guessing masked words (passes: 2); what"),
    ],
    ids=str,
)
def test_choices_are_named(model, changed, wanted, monkeypatch):
    monkeypatch.setattr(model, "settings", replace(model.settings, **changed))
    text = card_text(model)
    assert wanted in text
    assert ("frozen encoder" in text) == ("text" not in changed)


def test_figures_of_a_private_model_served_nothing(model, monkeypatch):
    spent = {"spent": {"sentences": ["epsilon 3"]}}
    monkeypatch.setattr(model, "about", {**model.about, **spent})
    assert "flattering" not in card_text(model)
