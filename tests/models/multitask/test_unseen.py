"""Items without training rows: described by the items whose texts are like theirs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_worlds import TASKS, small_log
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask import train, unseen
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.multitask.unseen import describe_unseen
from slategym.models.multitask.wide import WideSizes

N, TWINS, WIDTH = 70, 6, 4  # the last items are twins of the first ones by their texts
UNSEEN_N = torch.arange(N) >= N - TWINS
FIRST, LAST = slice(0, TWINS), slice(N - TWINS, N)
COUNTED = ItemBiases.neutral(N, len(TASKS))
SMALL = MultiTaskSettings(width=8, feedforward=16, max_history=8)


def _model(kept: int = 0, kinds: int = 2, settings: MultiTaskSettings = SMALL) -> MultiTaskBert:
    """Untrained, with tables and biases drawn at random: nothing of unseen items."""
    generator = torch.Generator().manual_seed(0)
    text_ND = torch.randn(N, WIDTH, generator=generator)
    text_ND[LAST] = text_ND[FIRST]
    model = MultiTaskBert(
        settings,
        TASKS,
        text_vectors_ND0=text_ND,
        biases=ItemBiases.neutral(N, len(TASKS)),
        profile_sizes=(),
        num_items=N,
        wide=WideSizes(about=1, blocks=(1, 2), kinds=kinds, kept=kept, values=False),
    )
    table_NTN = torch.randn(N, kinds, N, generator=generator)
    table_NTN.diagonal(dim1=0, dim2=2).zero_()
    table_NTN[LAST], table_NTN[..., LAST] = 0.0, 0.0
    with torch.no_grad():
        model.item_bias_YN.copy_(torch.randn(model.item_bias_YN.shape, generator=generator))
        tables = model.prior.tables
        if tables.id is None:
            tables.weight[0] = table_NTN
        else:
            tables.id[0] = table_NTN.abs().topk(kept, 2).indices
            tables.weight[0] = table_NTN.gather(2, tables.id[0].long())
    return model


def _whole(model: MultiTaskBert) -> Tensor:
    """(N, T, N)."""
    tables = model.prior.tables
    if tables.id is None:
        return tables.weight[0].clone()
    shape = (*tables.weight.shape[1:3], model.num_items)
    return torch.zeros(shape).scatter_add_(2, tables.id[0].long(), tables.weight[0])


def test_a_twin_of_one_item_is_described_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "NEAREST", 1)
    model = _model()
    before = _whole(model)
    describe_unseen(model, UNSEEN_N, COUNTED)
    after = _whole(model)
    others = slice(TWINS, N - TWINS)
    torch.testing.assert_close(after[others, 0, LAST], before[others, 0, FIRST])
    torch.testing.assert_close(after[LAST, :, others], before[FIRST, :, others])
    seen = slice(0, N - TWINS)
    torch.testing.assert_close(after[seen, :, seen], before[seen, :, seen])
    # EASE says most to what reads like an item, on the scale of its entries
    assert (after[seen, 1, LAST].argmax(0) == torch.arange(TWINS)).all()
    size, usual = (x.square().mean().sqrt() for x in (after[seen, 1, LAST], before[seen, 1, seen]))
    assert float(size) == pytest.approx(float(usual), rel=1e-4)
    assert not after.diagonal(dim1=0, dim2=2)[:, LAST].any()


def test_rows_that_are_cut_are_filled_in_as_whole_ones() -> None:
    whole, cut = _model(), _model(kept=N)
    describe_unseen(whole, UNSEEN_N, COUNTED)
    describe_unseen(cut, UNSEEN_N, COUNTED)
    torch.testing.assert_close(_whole(cut), _whole(whole))


def test_of_rows_that_are_cut_the_strongest_entries_stay() -> None:
    few = 9
    model, whole = _model(kept=few), _model()
    describe_unseen(model, UNSEEN_N, COUNTED)
    describe_unseen(whole, UNSEEN_N, COUNTED)
    row_NP, seen = _whole(model)[:, 1], slice(0, N - TWINS)
    assert (row_NP[seen].count_nonzero(1) == few).all()
    assert row_NP[seen, LAST].any()


def test_biases_of_click_and_next_follow_what_texts_tell_of_counts() -> None:
    model = _model()
    about_ND = model.vectors.text_vectors_ND0 - model.vectors.text_vectors_ND0[: N - TWINS].mean(0)
    told_N = 3.0 + F.normalize(about_ND, dim=1) @ torch.tensor([3.0, -2.0, 1.0, 0.0])
    counted_YN = np.zeros((len(TASKS) + 1, N))
    counted_YN[0], counted_YN[-1] = told_N, 2.0 * told_N
    before = copy.deepcopy(model.item_bias_YN)
    describe_unseen(model, UNSEEN_N, ItemBiases(counted_YN, (0.0,) * len(TASKS)))
    found, seen = model.item_bias_YN, slice(0, N - TWINS)
    for head, scale in ((0, 1.0), (-1, 2.0)):
        above_U = found[head, LAST] - before[head, seen].mean()
        right_U = scale * (told_N[LAST] - told_N[seen].mean())
        within = 0.1 * float(right_U.abs().max())  # the ridge pulls to the mean
        torch.testing.assert_close(above_U, right_U, rtol=0.0, atol=within)
    assert torch.equal(found[1:-1], before[1:-1])
    assert torch.equal(found[:, seen], before[:, seen])


def test_units_of_sums_stay_what_they_were_on_average() -> None:
    model = _model()
    fitted = float(model.prior.fitted)
    describe_unseen(model, UNSEEN_N, COUNTED)
    assert float(model.prior.fitted) == pytest.approx(fitted * N / (N - TWINS))


@pytest.mark.parametrize("why", ["no text", "none unseen", "few seen"])
def test_where_nothing_tells_nothing_changes(why: str) -> None:
    settings = replace(SMALL, items=replace(SMALL.items, text=why != "no text"))
    unseen_N = torch.zeros_like(UNSEEN_N) if why == "none unseen" else UNSEEN_N
    if why == "few seen":
        unseen_N = torch.arange(N) >= unseen.FEWEST - 1
    model = _model(settings=settings)
    before = copy.deepcopy(model.state_dict())
    describe_unseen(model, unseen_N, COUNTED)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_transitions_alone() -> None:
    model = _model(kinds=1)
    describe_unseen(model, UNSEEN_N, COUNTED)
    assert _whole(model)[: N - TWINS, 0, LAST].all(1).any()


@pytest.mark.parametrize("how", ["drawn", "left-out"])
def test_a_training_describes_them_where_they_are_left_out(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Tensor] = []
    described = lambda model, unseen_N, counted: told.append(unseen_N)  # noqa: E731
    monkeypatch.setattr(train, "describe_unseen", described)
    log = small_log(20, 30)
    kept_E = (log.events["item"] != 3).to_numpy()
    training = TrainingSettings(epochs=1, batch_events=200, warmup_steps=4, unseen=how)
    text_ND0 = torch.randn(30, WIDTH, generator=torch.Generator().manual_seed(0))
    log = replace(log, events=log.events[kept_E].reset_index(drop=True))
    people = np.arange(log.num_users)
    train.train_multitask(
        log, people, SMALL, training, tmp_path, text_vectors_ND0=text_ND0, progress=False
    )
    assert len(told) == (how == "left-out")
    assert all(bool(unseen_N[3]) for unseen_N in told)
