"""The judge: it learns, its sums are the sums, and it reads only the people it is given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_worlds import TASKS, random_population, small_log

from slategym.envs.engine import arrive
from slategym.envs.types import map_tensors
from slategym.models.data.log import Log
from slategym.models.judge import fit
from slategym.models.judge.factor import (
    FactorModel,
    JudgeSettings,
    JudgeTaste,
    judge_card,
    load_judge,
    save_judge,
)
from slategym.models.judge.fit import HELD_OUT, stretches, train_judge

QUICK = JudgeSettings(factors=6, epochs=2)


@pytest.fixture(scope="module")
def log() -> Log:
    return small_log(num_users=60)


def same(a: FactorModel, b: FactorModel) -> bool:
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def random_model(num_items: int = 12, num_genres: int = 3) -> FactorModel:
    generator = torch.Generator().manual_seed(0)
    topics_NG = torch.eye(num_genres)[torch.arange(num_items) % num_genres]
    model = FactorModel(TASKS, topics_NG, torch.zeros(num_items, 3), [-1.0, 0.0, 3.5], 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


def test_training_beats_the_biases_on_people_it_has_not_met(log: Log) -> None:
    people = np.arange(60)
    slow = replace(QUICK, epochs=40, rate=0.02)
    _, before = train_judge(log, people, replace(slow, epochs=0))
    _, after = train_judge(log, people, slow)
    assert after["like_auc"] > before["like_auc"] + 0.1
    assert after["rating_rmse"] < before["rating_rmse"] - 0.1
    assert after["click_auc"] > 0.6


def test_the_same_twice_and_another_with_another_seed(log: Log) -> None:
    people = np.arange(30)
    (first, figures), (again, too) = (train_judge(log, people, QUICK) for _ in range(2))
    assert same(first, again) and figures == too
    other, _ = train_judge(log, people, replace(QUICK, seed=1))
    assert not same(first, other)


def altered(log: Log, users: np.ndarray) -> Log:
    """The same log where these users rated other things otherwise."""
    events = log.events.copy()
    mine = events["user"].isin(users)
    events.loc[mine, "item"] = (events.loc[mine, "item"] + 7) % log.num_items
    events.loc[mine, "rating"] = 6 - events.loc[mine, "rating"]
    events.loc[mine, "like"] = (events.loc[mine, "rating"] >= 4).astype(np.float32)
    return replace(log, events=events)


def test_only_its_own_people_are_read_and_the_held_out_only_measured(log: Log) -> None:
    people = np.arange(0, 60, 2)
    model, figures = train_judge(log, people, QUICK)
    others, too = train_judge(altered(log, np.arange(1, 60, 2)), people, QUICK)
    assert same(model, others) and figures == too
    held = np.random.default_rng(QUICK.seed).permutation(people)[: round(len(people) * HELD_OUT)]
    unheld, measured = train_judge(altered(log, held), people, QUICK)
    assert same(model, unheld) and measured != figures
    changed, _ = train_judge(altered(log, np.setdiff1d(people, held)[:1]), people, QUICK)
    assert not same(model, changed)


def test_running_sums_equal_recomputation() -> None:
    taste, people = JudgeTaste(random_model()), random_population(8, 12, 6, gaps=True)
    assert people.history is not None and people.feedback is not None
    arrival = arrive(people, torch.arange(8, dtype=torch.int32))
    state = taste.initial(replace(arrival, history=people.history[:, :3], feedback=feedback(3)))
    for h in range(3, 6):
        item_B, feedback_BM = people.history[:, h], people.feedback[:, h]
        took_B = item_B >= 0
        state = taste.after(state, item_B.clamp(min=0).long(), feedback_BM, took_B, None)
    whole = taste.initial(arrival)
    map_tensors(lambda a, b: torch.testing.assert_close(a, b) or a, state, whole)
    assert whole.events.tolist() == (people.history >= 0).sum(1).tolist()
    assert taste.prepared(people) is taste


def feedback(length: int) -> torch.Tensor:
    people = random_population(8, 12, 6, gaps=True)
    assert people.feedback is not None
    return people.feedback[:, :length]


def test_scores_by_hand_and_for_some_items_as_for_all() -> None:
    model = random_model()
    taste = JudgeTaste(model)
    tally = map_tensors(
        lambda x: x[None], model.gain(torch.tensor(4), torch.tensor([1.0, 1.0, 5.0]))
    )
    second = model.gain(torch.tensor([1]), torch.tensor([[1.0, 0.0, 2.0]]))
    tally = map_tensors(lambda a, b: a + b, tally, second)  # item 4 liked, item 1 not
    every = taste.score(tally, None, None)
    some = taste.score(tally, torch.tensor([[3, 0]], dtype=torch.int32), None)
    for all_BN, few_B2 in zip(every, some, strict=True):
        torch.testing.assert_close(few_B2, all_BN[:, [3, 0]])
    with torch.no_grad():
        for task, score in enumerate(every):
            past_R = (model.past[0, 4] + model.past[1, 1]) / 2**0.5
            genres_G = (model.topics[4] - 0.5 * model.topics[1]) / 2
            easy = (1 + 3) / (2 + 5) - 0.6
            by_hand = (
                past_R @ model.turn[task] @ model.item[task, 7]
                + genres_G @ model.taste[task] @ model.topics[7]
                + model.bias[7, task]
                + model.offset[task]
                + model.easy[task] * easy
            )
            torch.testing.assert_close(score[0, 7], by_hand)


def test_an_arrival_without_history_is_refused() -> None:
    arrival = arrive(random_population(2, 12, 3), torch.arange(2, dtype=torch.int32))
    with pytest.raises(ValueError, match="a population with a history"):
        JudgeTaste(random_model()).initial(replace(arrival, history=None))


def test_saved_and_loaded(log: Log, tmp_path: Path) -> None:
    model, figures = train_judge(log, np.arange(20), QUICK)
    save_judge(model, QUICK, figures, tmp_path / "judge", judge_card(log, figures))
    assert same(load_judge(tmp_path / "judge"), model)
    config = json.loads((tmp_path / "judge" / "config.json").read_text())
    assert config["metrics"] == figures and config["settings"]["factors"] == 6
    card = (tmp_path / "judge" / "README.md").read_text()
    assert "small" in card and f"like_auc: {figures['like_auc']:.4f}" in card


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 9))
def test_stretches_cover_every_row_once_and_nobody_twice(
    sizes: list[int], longest: int, seed: int
) -> None:
    user_E = np.repeat(np.arange(len(sizes)) * 3, sizes)
    begin_S, end_S = stretches(user_E, longest, np.random.default_rng(seed))
    rows = np.concatenate([np.arange(b, e) for b, e in zip(begin_S, end_S, strict=True)])
    assert (rows == np.arange(len(user_E))).all()
    assert (end_S - begin_S).max() <= longest
    for begin, end in zip(begin_S, end_S, strict=True):
        assert len(set(user_E[begin:end])) == 1
    whole = pd.Series(end_S - begin_S).groupby(user_E[begin_S]).agg(lambda x: list(x[1:-1]))
    assert all(size == longest for inner in whole for size in inner)


def test_a_large_log_is_read_in_larger_batches(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, events = np.random.default_rng(0), log.events
    small = list(fit._batches(events, log, replace(QUICK, batch=2, stretch=10), rng))
    monkeypatch.setattr(fit, "MOST_STEPS", 5)
    large = list(fit._batches(events, log, replace(QUICK, batch=2, stretch=10), rng))
    assert len(small) > 20 and len(large) == 5
    assert sum(int(b.used.sum()) for b in small) == len(events)
    assert sum(int(b.used.sum()) for b in large) == len(events)


def test_the_card_says_what_clicks_were_held_against() -> None:
    log = small_log(12, 30)
    assert "4 uniform negatives per click:" in judge_card(log, {})
    refused = log.events.assign(click=np.arange(len(log.events)) % 2.0)
    assert "and the rows without a click" in judge_card(replace(log, events=refused), {})
    shown = refused.assign(slate_id=0, position=0)
    assert "clicks among what was shown" in judge_card(replace(log, events=shown), {})
