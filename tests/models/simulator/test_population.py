"""Who may arrive, checked against a walk through the log."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from small_worlds import learned_world, plain_taste, small_log

from slategym.envs import engine
from slategym.envs.types import Population
from slategym.models.data.log import Log
from slategym.models.simulator.population import population
from slategym.models.simulator.users import LearnedUsers

PEOPLE, WARM = np.arange(3, 20), 10


@pytest.fixture(scope="module")
def log() -> Log:
    return small_log()


@pytest.fixture(scope="module")
def people(log: Log) -> Population:
    return population(log, PEOPLE, starts=4, warm=WARM, seed=5)


def past(log: Log, people: Population, row: int) -> pd.DataFrame:
    """Everything that this arrival has behind it, found by its history."""
    assert people.person is not None and people.history is not None
    events = log.events[log.events["user"] == int(people.person[row])]
    history = people.history[row].tolist()
    found = [
        events.iloc[: end + 1]
        for end in range(WARM - 1, len(events))
        if events["item"].iloc[end + 1 - WARM : end + 1].tolist() == history
    ]
    assert len(found) == 1  # nobody meets an item twice
    return found[0]


def test_each_arrival_is_a_point_of_its_persons_log(log: Log, people: Population) -> None:
    assert people.size == len(people.history) > 40
    points = set()
    for row in range(people.size):
        events = past(log, people, row)
        last = events.iloc[-WARM:]
        points.add((int(people.person[row]), len(events)))
        signals = last[["click", "like", "rating"]].to_numpy(np.float32)
        np.testing.assert_array_equal(people.feedback[row].numpy(), signals)
        seconds = np.diff(events["time"].to_numpy(), prepend=events["time"].iloc[0])[-WARM:]
        np.testing.assert_array_equal(people.gap[row].numpy(), seconds.astype(np.float32))
        assert float(people.hour[row]) == pytest.approx(last["hour"].iloc[-1])
        assert int(people.weekday[row]) == last["weekday"].iloc[-1]
        consumed = people.consumed.rows(torch.tensor([row]))[0].tolist()
        assert [item for item in consumed if item >= 0] == events["item"].tolist()
        traits = log.users.loc[int(people.person[row]), ["age", "sex"]]
        assert people.profile[row].tolist() == traits.tolist()
    assert len(points) == people.size  # nobody arrives twice at one point


def test_rounds_spread_any_prefix_over_people(log: Log, people: Population) -> None:
    length_U = log.events.groupby("user").size()
    able = [p for p in PEOPLE if length_U[p] >= WARM]
    assert people.person[: len(able)].tolist() == able
    counts = pd.Series(people.person.tolist()).value_counts()
    assert {p: min(4, length_U[p] - WARM + 1) for p in able} == counts.to_dict()


def test_more_starts_only_add_rows(log: Log, people: Population) -> None:
    few = population(log, PEOPLE, starts=2, warm=WARM, seed=5)
    assert 0 < few.size < people.size
    for field in fields(Population):
        table = getattr(few, field.name)
        if isinstance(table, torch.Tensor):
            assert torch.equal(getattr(people, field.name)[: few.size], table), field.name
    everybody = torch.arange(few.size)
    fewer_UW = few.consumed.rows(everybody)
    assert torch.equal(people.consumed.rows(everybody)[:, : fewer_UW.shape[1]], fewer_UW)


def test_the_seed_decides_the_points(log: Log, people: Population) -> None:
    again = population(log, PEOPLE, starts=4, warm=WARM, seed=5)
    other = population(log, PEOPLE, starts=4, warm=WARM, seed=6)
    assert torch.equal(again.history, people.history)
    assert not torch.equal(other.history[:10], people.history[:10])


def test_what_was_not_observed_stays_so_and_agents_are_shown_zero(log: Log) -> None:
    rating = log.events["rating"].where(log.events.index % 2 == 0)
    half = population(
        replace(log, events=log.events.assign(rating=rating)), PEOPLE, starts=2, warm=WARM, seed=0
    )
    whole = population(log, PEOPLE, starts=2, warm=WARM, seed=0)
    unknown_UH = half.feedback[..., 2].isnan()
    assert 0.3 < float(unknown_UH.float().mean()) < 0.7
    assert torch.equal(half.feedback[..., :2], whole.feedback[..., :2])
    users = LearnedUsers(plain_taste([0.0] * 40, [0.0] * 40), skip=0.0, temperature=1.0)
    world = replace(
        learned_world(), population=half, users=users, observer=None, history_size=WARM + 2
    )
    user_B = torch.arange(half.size, dtype=torch.int32)
    session = engine.start(world, user_B * 0, user_B, user_B * 0)
    shown_UH = session.history.feedback[:, -WARM:, 2]
    assert torch.equal(shown_UH, whole.feedback[..., 2].masked_fill(unknown_UH, 0.0))


def test_impossible_arrivals_are_refused(log: Log) -> None:
    with pytest.raises(ValueError, match="no person has the 99 events"):
        population(log, PEOPLE, starts=1, warm=99, seed=0)
    with pytest.raises(ValueError, match="starts and warm must be at least 1, got 0 and 10"):
        population(log, PEOPLE, starts=0, warm=WARM, seed=0)
