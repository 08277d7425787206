"""Heads that follow from signals train to the weights that four written-out heads had.

The numbers were taken from the code before `models/tasks` (commit 027fba9); on one machine the two
gave equal tensors bit for bit. Another processor may round otherwise, hence a tolerance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_worlds import small_log

from slategym.models.multitask.network import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask

CLOSE = 1e-5  # relative
HEADS = ("click", "like", "rating", "next")

# Sums of absolute weights; those of the network by their names of today.
BERT = {
    "item_bias_YN": 185.75078794400906,
    "vectors.residual.weight": 12.04070356246666,
    "sequence.signal_tokens.2.weight": 7.783610211045016,
    "sequence.gap_token.weight": 18.94297818504856,
    "sequence.bert.encoder.layer.1.output.dense.weight": 15.013447052799165,
    "queries.networks.0.0.weight": 30.09359159097221,
    "queries.networks.2.3.weight": 32.948029540712014,
    "queries.networks.3.3.weight": 30.988214412820525,
    "queries.user_levels.1.weight": 1.6536664164159447,
    "offset_M": 3.1746764183044434,
}
LOSSES = (
    (0.5376084242996416, 0.7089894413948059, 2.681242215005975, 3.1614538995843184),
    (0.4581038594245911, 0.6925318598747253, 2.565165877342224, 3.1418863892555238),
    (0.45062906444072726, 0.6922389268875122, 2.4956311702728273, 3.1377373218536375),
)
FIGURES = {
    "click_auc": 0.6896487675543383,
    "click_ece": 0.029549131047634673,
    "click_ece_raw": 0.04537184367539319,
    "hr10": 0.6145038167938931,
    "like_auc": 0.4888111888111888,
    "like_ece": 0.08254923455360284,
    "like_ece_raw": 0.08254923455360284,
    "like_gauc": 0.4712565953978167,
    "ndcg10": 0.36158253025955134,
    "rating_rmse": 1.6007107096452176,
}


def sums(model: torch.nn.Module, names: dict[str, float]) -> dict[str, float]:
    weights = model.state_dict()
    return {name: float(weights[name].double().abs().sum()) for name in names}


def test_the_multi_task_model_is_the_one_of_before(tmp_path: Path) -> None:
    text_ND = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    model = train_multitask(
        small_log(60, 40),
        np.arange(45),
        MultiTaskSettings(width=16, feedforward=32, max_history=8, wide="none", prior="none"),
        TrainingSettings(
            epochs=3,
            batch_events=64,
            learning_rate=2e-3,
            warmup_steps=4,
            weights={"next": 0.2},
        ),
        tmp_path / "m",
        validation=np.arange(45, 60),
        refit=True,
        text_vectors_ND0=text_ND,
        progress=False,
    )
    about = read_about(tmp_path / "m")
    for row, losses in zip(about["history"], LOSSES, strict=True):
        assert [row[head] for head in HEADS] == pytest.approx(losses, rel=CLOSE)
    assert about["figures"] == pytest.approx(FIGURES, rel=1e-3)
    assert sums(model, BERT) == pytest.approx(BERT, rel=CLOSE)
