"""How much of each part is served: what people held out speak for, multiplied into the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from small_worlds import small_log

from slategym.models.closed_form.cooccurrence import USUAL
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.predict import Predictions, predict
from slategym.models.multitask.requests import Known
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.shares import (
    ADDED,
    HeldOut,
    Shares,
    _better,
    find_shares,
    serve_shares,
)
from slategym.models.multitask.train import read_about, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("whole_searches")

SMALL = MultiTaskSettings(width=16, feedforward=32, max_history=30)
HELD = np.arange(20)
LOG = small_log(60, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shares")
    train_multitask(
        LOG,
        np.arange(20, 60),
        SMALL,
        TrainingSettings(epochs=2, batch_events=200, warmup_steps=4),
        folder,
        validation=HELD,
        text_vectors_ND0=torch.randn(30, 12, generator=torch.Generator().manual_seed(1)),
        progress=False,
    )
    return folder


@pytest.fixture
def model(folder: Path) -> MultiTaskBert:
    return MultiTaskBert.from_pretrained(folder)


def asked(model: MultiTaskBert) -> HeldOut:
    sequences = Sequences.from_log(LOG)
    rows = np.flatnonzero(np.isin(LOG.events["user"], HELD))
    known = Known.of(model, sequences, rows)
    return HeldOut(sequences, rows, known, 4, lambda generator: None, 30, None, 0)


def found(model: MultiTaskBert) -> Shares:
    return find_shares(model, asked(model), model.heads)


def read(model: MultiTaskBert) -> Predictions:
    held = asked(model)
    return predict(model, held.sequences, held.row_x)


def test_a_part_that_is_noise_is_left_out(model: MultiTaskBert) -> None:
    assert model.wide is not None
    with torch.no_grad():
        torch.manual_seed(0)
        model.wide.last.weight.normal_(std=3.0)
        model.queries.networks[-1][-1].weight.normal_(std=2.0)
    shares = found(model)
    assert shares["like"][0] < 0.2 and shares["rating"][0] < 0.2
    assert shares["next"][0] < 0.3
    before = read(model)
    serve_shares(model, shares)
    after = read(model)
    assert after.surprise_x.mean() < before.surprise_x.mean()
    error, was = (np.abs(p.output_xM[:, 2] - p.value_xM[:, 2]).mean() for p in (after, before))
    assert error < was


def test_what_serves_people_held_out_stays_whole(model: MultiTaskBert) -> None:
    serve_shares(model, found(model))
    again = found(model)  # served at their best, none is better
    for head, shares in again.items():
        parts = shares[:-1] if head == "click" else shares
        assert parts == pytest.approx([1.0] * len(parts), abs=0.25), head


@pytest.mark.parametrize(
    ("best", "share"),
    [
        ((0.3, 0.5), 0.4),
        ((0.3, 0.9), None),  # of two folds both must be served
        ((0.3, 0.4, 0.3, 0.7), 0.425),  # of more it is enough that they are clearly, on average
        ((0.3, 0.4, 0.4, 0.95), None),  # better on average, not clearly
        ((0.3, 0.4, None, 0.5), 0.4),  # a fold of which no row is read says nothing
        ((0.3, None), None),
    ],
)
def test_shares_must_clearly_serve_folds_they_were_not_found_on(
    best: tuple[float | None, ...], share: float | None
) -> None:
    def loss(reads: Sequence[float], share_W: torch.Tensor) -> torch.Tensor:
        """Of each read the share that serves it best is that number."""
        return (share_W - torch.tensor(reads)).square().mean()

    folds = [[] if one is None else [one] for one in best]
    with torch.no_grad():
        found = _better(loss, folds, torch.tensor([0.75]), [ADDED])
    assert (found is None) == (share is None)
    if found is not None:
        assert float(found) == pytest.approx(share, abs=0.01)


def test_no_more_is_served_than_was_learned(model: MultiTaskBert) -> None:
    assert model.wide is not None
    with torch.no_grad():
        for _ in range(3):  # too little of everything
            serve_shares(model, {"like": (0.3, 0.3), "next": (0.3, 0.3, 0.3, 0.3)})
    shares = found(model)
    assert max(shares.get("like", (1.0,))) <= 1.0
    assert shares["next"][0] <= 1.0 < max(shares["next"][1:])  # what is counted is not bounded


def test_shares_are_multiplied_into_each_part(model: MultiTaskBert) -> None:
    assert model.wide is not None and model.prior is not None
    with torch.no_grad():
        model.wide.gate_V.fill_(0.5)
    held = asked(model)
    whole = read(model)
    serve_shares(model, {"rating": (0.0, 0.0), "next": (0.0, 0.0, 0.0, 0.0)})
    bare = read(model)
    described = Known.of(model, held.sequences, held.row_x).described
    assert described is not None
    alone_xV = model.wide.closed_form(described.expected_xV, model.tasks[1:])
    np.testing.assert_allclose(bare.output_xM[:, 2], alone_xV[:, 1].detach(), rtol=1e-5)
    assert np.ptp(bare.rank_x) < np.ptp(whole.rank_x)  # nothing is told apart but what is barred
    np.testing.assert_array_equal(bare.output_xM[:, 1], whole.output_xM[:, 1])  # likes are as was
    as_it_is = model.prior.length.tolist()
    serve_shares(model, {"click": (1.0, 1.0, 1.0, 1.0, 0.75, *as_it_is)})
    np.testing.assert_allclose(read(model).click_xC, bare.click_xC + 0.75, atol=1e-5)


def test_what_a_historys_length_adds_to_a_click_is_found(model: MultiTaskBert) -> None:
    """On people held out; what is served then is taken for it, not added."""
    assert model.prior is not None
    held, before = asked(model), read(model).click_xC
    serve_shares(model, {"click": (1.0, 1.0, 1.0, 1.0, 0.0, 0.1, 0.2, 0.3, 5.0)})
    assert model.prior.length.tolist() == pytest.approx([0.1, 0.2, 0.3, 5.0])
    order_x = held.sequences.order_E.numpy()[np.sort(held.row_x)]
    added_x = (read(model).click_xC - before)[:, 0]
    far_x = np.log((1 + order_x) / USUAL)
    assert np.corrcoef(added_x, far_x)[0, 1] > 0.9  # nearly the level alone, which is far too high
    *_, level = find_shares(model, held, ["click"])["click"]
    assert abs(level) < 2.5


def test_a_trained_model_says_what_it_serves(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    said = card.partition("## Shares served\n")[2].partition("\n\n")[0].splitlines()
    assert len(said) == max(1, len(read_about(folder)["shares"]))
    for head, shares in read_about(folder)["shares"].items():
        assert head in ("click", "like", "rating", "next")
        assert len(shares) == {"click": 9, "next": 4}.get(head, 2)


def test_one_person_alone_decides_nothing(model: MultiTaskBert) -> None:
    held = asked(model)
    rows = held.row_x[np.flatnonzero(LOG.events["user"].to_numpy()[held.row_x] == 3)]
    known = Known.of(model, held.sequences, rows)
    alone = HeldOut(held.sequences, rows, known, 4, held.draw, 30, None, 0)
    assert find_shares(model, alone, model.heads) == {}
