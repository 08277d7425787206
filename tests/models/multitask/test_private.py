"""DP-SGD with people as the unit: bounded, noised, accounted for, and nothing past the noise."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import BaseFileLock

from slategym.envs.names import UsageError
from slategym.models.multitask import private
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.private import (
    PrivacySettings,
    PrivateFit,
    Spent,
    budget,
    clipped,
    train_private,
)
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.train import read_about
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.tasks import tasks_of

SETTINGS = MultiTaskSettings(
    width=8, num_layers=1, feedforward=8, max_history=8, wide="none", prior="none"
)
TRAINING = TrainingSettings(epochs=2, warmup_steps=2)
PRIVACY = PrivacySettings(epsilon=20.0, rate=0.3)
PEOPLE, HELD = np.arange(15), np.arange(15, 20)


class Killed(BaseException):
    pass


@pytest.fixture
def train(tiny_log, tiny_vectors):
    def run(folder, log=tiny_log, settings=SETTINGS, training=TRAINING, **others):
        return train_private(
            log, PEOPLE, settings, training, PRIVACY, folder, held=HELD,
            text_vectors_ND0=tiny_vectors, progress=False, **others,
        )  # fmt: skip

    return run


@pytest.fixture
def fit(tiny_log, tiny_vectors):
    """Without noise, so that sums can be checked."""
    model = MultiTaskBert(
        SETTINGS, tasks_of(tiny_log.signals, 4.0), text_vectors_ND0=tiny_vectors,
        biases=ItemBiases.neutral(30, 3), profile_sizes=(3, 2), num_items=30,
    )  # fmt: skip
    spent = Spent(math.inf, 0.01, 0.0, 7, 15)
    return PrivateFit(model, Sequences.from_log(tiny_log), PEOPLE, TRAINING, PRIVACY, spent)


def test_the_budget_is_kept_and_more_noise_buys_less_epsilon():
    found = [budget(900, 5, PrivacySettings(epsilon=e)) for e in (1.0, 8.0)]
    for spent, asked in zip(found, (1.0, 8.0), strict=True):
        assert 0.8 * asked < spent.epsilon <= asked and spent.delta == 1 / 9000
        assert spent.steps == 100
    assert found[0].noise > found[1].noise > 0
    # the accountant beside a bound that needs none: one full-batch Gaussian mechanism
    whole = budget(900, 1, PrivacySettings(epsilon=2.0, rate=1.0))
    assert whole.steps == 1
    classic = math.sqrt(2 * math.log(1.25 * 9000)) / whole.noise
    assert 0.5 * classic < whole.epsilon < 2 * classic


def test_a_gradient_is_clipped_over_all_parameters_together():
    gradient = [torch.full((2, 2), 3.0), torch.full((4,), -4.0)]
    norm = math.sqrt(4 * 9 + 4 * 16)
    for part, whole in zip(clipped(gradient, 2.0), gradient, strict=True):
        torch.testing.assert_close(part, whole * 2 / norm)
    for part, whole in zip(clipped(gradient, 100.0), gradient, strict=True):
        torch.testing.assert_close(part, whole)


def test_one_person_moves_the_sum_by_no_more_than_the_clip(fit):
    """The sensitivity that the accountant assumes, with and without each person."""
    sums = []
    for left_out in (None, *PEOPLE[:6]):
        total = None
        for person in PEOPLE:
            if person == left_out:
                continue
            rng = np.random.default_rng(person)
            draws = torch.Generator().manual_seed(int(person))
            torch.manual_seed(int(person))
            parts = clipped(fit.gradient(int(person), rng, draws), 0.5)
            total = parts if total is None else [a + b for a, b in zip(total, parts, strict=True)]
        sums.append(torch.cat([part.flatten() for part in total]))
    distances = [float((one - sums[0]).norm()) for one in sums[1:]]
    assert max(distances) <= 0.5 + 1e-4 and max(distances) > 0.4  # the clip is reached


def test_a_persons_gradient_reads_no_other_person(fit, tiny_log):
    def gradient(log):
        torch.manual_seed(0)
        other = replace(fit, sequences=Sequences.from_log(log))
        rng, draws = np.random.default_rng(0), torch.Generator().manual_seed(0)
        return other.gradient(3, rng, draws)

    events = tiny_log.events.copy()
    others = events["user"] != 3
    events.loc[others, "rating"] = 6 - events.loc[others, "rating"]
    events.loc[others, "item"] = (events.loc[others, "item"] + 7) % 30
    changed = gradient(replace(tiny_log, events=events))
    assert all(map(torch.equal, gradient(tiny_log), changed))


def test_a_window_is_of_rows_in_reach(fit):
    rng = np.random.default_rng(0)
    s = fit.sequences
    for person in (0, 3, 7):
        seen = set()
        for _ in range(200):
            windows = fit._window(person, rng)
            start, stop, row, end = (int(x[0]) for x in windows)
            assert stop - start <= 9 and end - row <= 9
            assert (s.user_E[row:end] == person).all()
            assert (s.position_E[row:end] >= start).all() and (s.position_E[row:end] < stop).all()
            seen |= set(range(row, end))
        first = int(s.first_U[person])
        assert seen == set(range(first, first + int(s.count_U[person])))


def test_heads_start_from_what_is_declared(train, tiny_log, tmp_path):
    model = train(tmp_path)
    middle = [task.signal.name == "rating" and 3.0 / task.scale for task in model.tasks]
    assert model.offset_M.tolist() == middle  # of stars from 1 to 5; nothing is said of clicks
    point = torch.tensor([middle[-1]])
    assert float(model.tasks[-1].mean(point, None)) == pytest.approx(3.0, abs=0.01)


def test_nothing_of_the_rows_passes_the_noise(train, tiny_log, tmp_path):
    """With the same noise, other rows of people that take no part change not one weight."""
    before = {}
    for name, swap in (("a", False), ("b", True)):
        log = tiny_log
        if swap:
            events = tiny_log.events.copy()
            events["rating"] = 6 - events["rating"]
            events["like"] = 1 - events["like"]
            events["item"] = (events["item"] + 11) % 30
            log = replace(tiny_log, events=events, sha256="5" * 64)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(private.secrets, "randbits", lambda bits: 5)
            patch.setattr(PrivateFit, "gradient", lambda *given: None)  # nobody takes part
            before[name] = train(tmp_path / name, log)
    same = zip(before["a"].state_dict().values(), before["b"].state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    told = [read_about(tmp_path / name) for name in "ab"]
    for about in told:  # figures are of people held out; the processor's time is its own
        del about["figures"], about["cpu_seconds"]
    assert told[0] == told[1]
    files = [(tmp_path / name / "vocabulary.json").read_text() for name in "ab"]
    assert files[0] == files[1]


def test_what_is_spent_is_on_the_card_and_the_noise_is_forgotten(train, tmp_path, monkeypatch):
    first = train(tmp_path / "a")
    about = read_about(tmp_path / "a")
    assert 10 < about["spent"]["epsilon"] <= 20
    assert [row["epoch"] for row in about["history"]] == [1, 2]
    assert about["history"][-1]["epsilon"] == pytest.approx(about["spent"]["epsilon"])
    assert set(about["history"][0]) == {"epoch", "epsilon"}
    card = (tmp_path / "a" / "README.md").read_text()
    assert "## Spent by epoch" in card and "## Losses" not in card
    assert "## Privacy" in card and "unit: a person with all rows" in card
    assert "epsilon 1" in card and "who are not protected" in card
    text = json.dumps(about) + card
    assert "noise_seed" not in text and "withheld" in about["data"]["sha256"]
    assert {p.name for p in (tmp_path / "a").iterdir()} >= {"config.json", "model.safetensors"}
    assert not list((tmp_path / "a").glob("checkpoint*"))
    other = train(tmp_path / "b")
    weights = zip(first.state_dict().values(), other.state_dict().values(), strict=True)
    assert not all(torch.equal(one, two) for one, two in weights)
    monkeypatch.setattr(BaseFileLock, "acquire", lambda *_, **__: pytest.fail("wanted a lock"))
    again = train(tmp_path / "a").state_dict()  # as from a folder that cannot be written to
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())


def test_a_killed_training_goes_on_to_the_same_weights(train, tmp_path, monkeypatch):
    monkeypatch.setattr(private.secrets, "randbits", lambda bits: 5)
    whole = train(tmp_path / "whole")

    def kill(epoch, row):
        raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", on_epoch=kill)
    monkeypatch.setattr(private.secrets, "randbits", lambda bits: 6)  # kept in the checkpoint
    resumed = train(tmp_path / "killed")
    same = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in same)


@pytest.mark.parametrize(
    ("settings", "training", "message"),
    [
        ({"items.residual": "seen"}, {}, "residuals of items with training rows"),
        ({"text.tuning": "full"}, {}, "a tuned text encoder"),
        ({}, {"unseen": "left-out"}, "leaving unseen items out"),
        ({}, {"balance": "pcgrad"}, "a balance reads losses"),
    ],
)
def test_what_is_not_private_is_refused(train, tmp_path, settings, training, message):
    wanted = SETTINGS
    for name, value in settings.items():
        part, _, inner = name.partition(".")
        changed = replace(getattr(wanted, part), **{inner: value}) if inner else value
        wanted = replace(wanted, **{part: changed})
    with pytest.raises(UsageError, match=f"not private: {message}"):
        train(tmp_path / "m", settings=wanted, training=replace(TRAINING, **training))
    assert not (tmp_path / "m").exists()


def test_a_budget_that_cannot_be_is_said(monkeypatch):
    with pytest.raises(UsageError, match="epsilon and clip must be above 0"):
        PrivacySettings(epsilon=0.0)
    with pytest.raises(UsageError, match="rate is a probability"):
        PrivacySettings(rate=0.0)
    with pytest.raises(UsageError, match="delta must be below one over the number of people"):
        budget(100, 1, PrivacySettings(delta=0.02))
    monkeypatch.setitem(sys.modules, "opacus.accountants.utils", None)
    with pytest.raises(UsageError, match=r"needs opacus: pip install 'slategym\[privacy\]'"):
        budget(100, 1, PrivacySettings())
