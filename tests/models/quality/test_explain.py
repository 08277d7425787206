"""Explanations add up, find what the model was made to look at, and fail where they should."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import predict
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.quality.explain import Explainer, Readers


@pytest.fixture(scope="module")
def model(tiny_log, tiny_settings, tiny_vectors, tmp_path_factory) -> MultiTaskBert:
    return train_multitask(
        tiny_log,
        np.arange(20),
        replace(tiny_settings, max_history=20),
        TrainingSettings(epochs=12, batch_events=64, warmup_steps=10, learning_rate=0.01),
        tmp_path_factory.mktemp("model"),
        text_vectors_ND0=tiny_vectors,
        progress=False,
    )


@pytest.fixture(scope="module")
def explainer(model, tiny_log) -> Explainer:
    return Explainer(model, tiny_log, "like")


def test_an_explanation_adds_up(explainer, tiny_log):
    found = explainer.explain("3", top=2)
    met = set(tiny_log.items["key"].iloc[tiny_log.events["item"][tiny_log.events["user"] == 3]])
    assert len(found) == 2 and not {one.item for one in found} & met
    for one in found:
        total = one.itself + one.statistics + one.empty + one.context + one.rest
        total += sum(e.adds for e in one.history)
        assert total == pytest.approx(one.output, abs=1e-4)
        assert abs(one.rest) < 0.05 * max(1.0, sum(abs(e.adds) for e in one.history))
        assert set(one.heads) == {"click", "like", "rating", "next"}
        assert one.heads["like"][0] == pytest.approx(one.output, abs=1e-5)
        sizes = [abs(event.adds) for event in one.history]
        assert sizes == sorted(sizes, reverse=True)
        assert {event.item for event in one.history} <= met
        assert all(set(e.feedback) == {"click", "like", "rating"} for e in one.history)


def test_the_worth_of_a_click_is_the_reward_that_heads_expect(model, tiny_log):
    weights = {"click": 0.5, "like": 2.0, "rating": 0.0}
    signals = tuple(s._replace(weight=weights[s.name]) for s in tiny_log.signals)
    (one,) = Explainer(model, replace(tiny_log, signals=signals), "like").explain("3", top=1)
    at = [task.signal.name for task in model.tasks].index("like")
    scaled = one.heads["like"][0] * float(model.platt_scale_M[at]) + float(model.platt_shift_M[at])
    likely = 1 / (1 + np.exp(-scaled))
    assert one.worth == {"click": 0.5, "like": pytest.approx(2.0 * likely, abs=1e-5)}


def test_a_click_is_worth_one_where_no_signal_has_a_weight(explainer):
    assert explainer.explain("3", top=1)[0].worth == {"click": 1.0}


def test_the_output_is_that_of_predictions(explainer, model, tiny_log):
    """The last row of a user, read from all before it: two ways to one number."""
    user, events = 4, tiny_log.events
    rows = np.flatnonzero(events["user"] == user)
    shorter = replace(tiny_log, events=events.drop(index=rows[-1]).reset_index(drop=True))
    predicted = predict(model, Sequences.from_log(tiny_log), rows[-1:], negatives=0)
    readers = Readers.of(Sequences.from_log(shorter), torch.tensor([user]), 20)
    last = Sequences.from_log(tiny_log)
    asked = tuple(x[rows[-1:]] for x in (last.hour_E, last.weekday_E, last.extra_EZ))
    item = torch.tensor([int(events["item"][rows[-1]])])
    with torch.no_grad():
        output = explainer._output(replace(readers, asked_BX=asked), item)
    assert float(output) == pytest.approx(float(predicted.output_xM[0, 1]), abs=1e-5)


def test_without_events_is_as_if_they_had_not_been(explainer, tiny_log):
    sequences = Sequences.from_log(tiny_log)
    readers = Readers.of(sequences, torch.tensor([1, 2]), 20)
    gone_BH = torch.zeros_like(readers.used_BH)
    gone_BH[:, 1] = True
    left = readers.without(gone_BH)
    for b in range(2):
        count = int(readers.length_B[b])
        kept = [h for h in range(count) if h != 1]
        assert left.id_BH[b, : count - 1].tolist() == readers.id_BH[b, kept].tolist()
        assert int(left.length_B[b]) == count - 1


def test_attributed_events_matter_more_than_random_ones(explainer):
    found = explainer.deletion_test(people=20, removed=2)
    assert found.passed and found.people >= 15
    assert found.difference.value == pytest.approx(
        found.attributed.value - found.random.value, abs=1e-6
    )
    assert "deletion test passed: without the 2 most attributed" in found.sentence()


def test_attributions_that_say_nothing_fail_the_test(explainer, monkeypatch):
    """The test can fail: with random attributions it does, and says so."""

    def random(readers, item_B):
        adds_BS, empty_B, output_B = Explainer.attributions(explainer, readers, item_B)
        noise = torch.rand(adds_BS.shape, generator=torch.Generator().manual_seed(0))
        return noise, empty_B, output_B

    monkeypatch.setattr(explainer, "attributions", random)
    found = explainer.deletion_test(people=20, removed=2)
    assert not found.passed and "FAILED" in found.sentence() and not found.to_json()["passed"]


def test_what_cannot_be_explained_is_said(explainer, model, tiny_log, monkeypatch):
    with pytest.raises(UsageError, match="unknown user 'u3'"):
        explainer.explain("u3")
    with pytest.raises(UsageError, match=r"unknown item 'Film 99'; did you mean"):
        explainer.explain("3", ["Film 99"])
    with pytest.raises(UsageError, match="unknown head 'lik'; did you mean 'like'"):
        Explainer(model, tiny_log, "lik")
    with pytest.raises(UsageError, match="histories of more than 80; nobody"):
        explainer.deletion_test(removed=40)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UsageError, match=r"need captum: pip install 'slategym\[explain\]'"):
        Explainer(model, tiny_log)
