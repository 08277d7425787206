"""Where the prior's weights begin: at the likeliest of what made the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_worlds import small_log

from slategym.models.closed_form.cooccurrence import Sums
from slategym.models.multitask import optimizer
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.prior_start import Sample, begin
from slategym.models.multitask.train import train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.multitask.wide import START

SMALL = MultiTaskSettings(width=16, feedforward=32, max_history=30)
ROWS, NEGATIVES = 6_000, 4
TRUE = {"next": (1.5, 2.0, 0.5), "click": (0.8, 1.0, 0.3)}  # transitions, EASE, popularity
LEVEL = -1.0  # of clicks


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MultiTaskBert:
    log = small_log(40, 30)
    return train_multitask(
        log,
        np.arange(40),
        SMALL,
        TrainingSettings(epochs=1, batch_events=200, warmup_steps=4),
        tmp_path_factory.mktemp("m"),
        text_vectors_ND0=torch.randn(30, 12, generator=torch.Generator().manual_seed(1)),
        progress=False,
    )


def made(model: MultiTaskBert, sampled: bool) -> Sample:
    """Rows of which the true weights are known."""
    generator = torch.Generator().manual_seed(2)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    N = model.num_items
    sums = Sums.of(uniform(ROWS, 2, N) ** 2)
    popular_N = 2.0 * uniform(N) - 1.0

    def logits(kind: str) -> torch.Tensor:
        weights, popularity = torch.tensor(TRUE[kind][:2]), TRUE[kind][2]
        return torch.einsum("xtn,t->xn", sums.evidence(), weights) + popularity * popular_N

    item_x = torch.multinomial(logits("next").softmax(1), 1, generator=generator)[:, 0]
    at_A = torch.arange(N) if sampled else None
    itself_xA = torch.nn.functional.one_hot(item_x, N).bool()
    return Sample(
        sums,
        popular_N,
        popular_N,
        item_x,
        torch.ones(ROWS),
        torch.zeros(ROWS, 0, dtype=torch.int64),
        torch.zeros(ROWS, 0, dtype=torch.bool),
        itself_xA if sampled else None,
        at_A,
        torch.zeros(N) if sampled else None,
    )


def started(model: MultiTaskBert, sample: Sample) -> MultiTaskBert:
    with torch.no_grad():
        model.item_bias_YN[:] = 1.0
        model.queries.user_levels[0].bias[:] = 0.0
    begin(model, [sample])
    return model


@pytest.mark.parametrize("sampled", [False, True])
def test_the_weights_of_the_next_item_are_found(model: MultiTaskBert, sampled: bool) -> None:
    found = started(model, made(model, sampled))
    transitions, ease = found.prior.weights["next"][0].tolist()
    assert (transitions, ease) == pytest.approx(TRUE["next"][:2], abs=0.15)
    assert found.item_bias_YN[-1].tolist() == pytest.approx([TRUE["next"][2]] * 30, abs=0.1)
    assert (found.item_bias_YN[1:-1] == 1.0).all()


def test_the_weights_of_a_click_are_found(model: MultiTaskBert) -> None:
    sample = made(model, False)
    generator = torch.Generator().manual_seed(3)
    item_x = torch.randint(model.num_items, (ROWS,), generator=generator)
    said_xT = sample.sums.evidence()[torch.arange(ROWS), :, item_x]
    logit_x = said_xT @ torch.tensor(TRUE["click"][:2])
    logit_x = logit_x + TRUE["click"][2] * sample.click_A[item_x] + LEVEL - 2.0
    clicked_x = torch.bernoulli(logit_x.sigmoid(), generator=generator)
    found = started(model, replace(sample, item_x=item_x, clicked_x=clicked_x))
    assert found.prior.weights["click"][0].tolist() == pytest.approx(TRUE["click"][:2], abs=0.25)
    assert float(found.queries.user_levels[0].bias.detach()) == pytest.approx(LEVEL - 2.0, abs=0.3)


def test_where_tables_say_nothing_popularity_stays(model: MultiTaskBert) -> None:
    sample = made(model, False)
    generator = torch.Generator().manual_seed(4)
    item_x = torch.multinomial(sample.next_A.softmax(0), ROWS, True, generator=generator)
    found = started(model, replace(sample, item_x=item_x))
    assert found.prior.weights["next"].abs().max() < 0.15
    assert found.item_bias_YN[-1].tolist() == pytest.approx([1.0] * 30, abs=0.1)


def test_a_training_begins_there_and_moves_on_at_a_rate_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, training = small_log(40, 30), TrainingSettings(epochs=1, batch_events=200, warmup_steps=4)
    found = []
    for rate in (0.0, 1.0):
        monkeypatch.setattr(optimizer, "SCALES_RATE", rate)
        model = train_multitask(
            log,
            np.arange(40),
            SMALL,
            training,
            tmp_path / str(rate),
            text_vectors_ND0=torch.randn(30, 12, generator=torch.Generator().manual_seed(1)),
            progress=False,
        )
        found.append(model.prior.weights["next"].detach()[0])
    start, moved = found
    assert float((start - torch.tensor(START["next"])).abs().min()) > 0.01
    assert float((moved - start).abs().max()) > 0.1
