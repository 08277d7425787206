"""Reading a policy: the same rows however it is computed, and fair to every policy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd
import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste

from slategym.agents.core.random_slates import Random
from slategym.agents.references.myopic import Myopic
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, Signal, World
from slategym.experiments.measure.play import column_of, people, play
from slategym.models.tasks import task_of, tasks_of

U = 20
COUNTS = ["user", "person", "return", "clicks", "likes", "length", "bored_share", "topics"]


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


def everybody(world: World) -> torch.Tensor:
    return torch.arange(world.population.size, dtype=torch.int32)


def random_in(world: World) -> Random:
    return Random(world.num_candidates, world.slate_size)


@dataclass(frozen=True)
class Spy:
    """Shows what another policy shows, and keeps what it was given."""

    other: Policy
    privileged: bool = False
    name: str = "spy"
    given: list[Observation] = field(default_factory=list)

    def act(self, observation: Observation, luck: Luck) -> Action:
        self.given.append(observation)
        luck.uniform(7, 3)  # what one policy draws changes nothing for others
        return self.other.act(observation, luck)


@pytest.mark.parametrize("privileged", [False, True])
def test_the_batch_changes_nothing(world: World, privileged: bool) -> None:
    policy = Myopic(world) if privileged else random_in(world)
    whole = play(world, policy, everybody(world), seed=3, batch=64)
    assert whole["user"].tolist() == list(range(U)) and whole["length"].nunique() > 2
    for batch in (1, 7):
        parts = play(world, policy, everybody(world), seed=3, batch=batch)
        pd.testing.assert_frame_equal(parts[COUNTS], whole[COUNTS])
        pd.testing.assert_frame_equal(parts, whole, atol=1e-4, rtol=0)


def test_some_users_are_rows_of_all_in_the_order_asked_for(world: World) -> None:
    whole = play(world, random_in(world), everybody(world), seed=3)
    some = play(world, random_in(world), torch.tensor([11, 2, 5]), seed=3)
    expected = whole.iloc[[11, 2, 5]].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected, atol=1e-4, rtol=0)
    assert some["person"].tolist() == [5, 1, 2]  # rows in twos, see `random_population`
    other = play(world, random_in(world), everybody(world), seed=4)
    assert other["return"].tolist() != whole["return"].tolist()


def test_a_row_is_the_walk_through_one_session(world: World) -> None:
    rows = play(world, random_in(world), everybody(world), seed=3)
    policy, walked = random_in(world), 0
    for user in range(U):
        user_1 = torch.tensor([user], dtype=torch.int32)
        session = engine.start(world, torch.tensor([3], dtype=torch.int32), user_1, 0 * user_1)
        total, expected, slates, bored, stars = 0.0, 0.0, 0, 0, []
        likes, topics, spread = 0, set(), 0
        while True:
            now = Luck.at(session.key, session.step)
            slate_1K = policy.act(engine.observe(world, session), now).slate
            bored += bool(session.user.satiation.bored.any())
            items, _ = engine.pick(world, session, slate_1K)
            spread += len(set(items.topic[0].tolist()))
            session, outcome = engine.transition(world, session, slate_1K)
            slates += 1
            total += float(outcome.reward)
            expected += float(outcome.expected_reward)
            for slot in outcome.feedback[0, :, 0].nonzero()[:, 0].tolist():
                stars.append(float(outcome.feedback[0, slot, 2]))
                likes += int(outcome.feedback[0, slot, 1])
                topics.add(int(items.topic[0, slot]))
            if outcome.left or outcome.cut:
                break
        row = rows.iloc[user]
        assert (row["length"], row["clicks"], row["likes"]) == (slates, len(stars), likes)
        assert row["return"] == pytest.approx(total) and row["topics"] == len(topics)
        assert row["expected_return"] == pytest.approx(expected, abs=1e-4)
        assert row["bored_share"] == pytest.approx(bored / slates)
        assert row["slate_topics"] == pytest.approx(spread / slates)
        if stars:
            walked += 1
            assert row["rating_mean"] == pytest.approx(sum(stars) / len(stars))
        else:
            assert pd.isna(row["rating_mean"])
    assert walked > U / 2 and rows["bored_share"].max() > 0


@pytest.mark.parametrize("name", ["Sardine-SlateTopK-Bored", "TopicRec-TopDown-Focused"])
def test_worlds_with_boredom_of_their_own_say_who_is_bored(name: str) -> None:
    sardine = make_world(f"slategym/{name}-v0", num_items=60)
    rows = play(sardine, Myopic(sardine), torch.arange(20, dtype=torch.int32), seed=0)
    assert 0.2 < rows["bored_share"].mean() < 1.0
    never = make_world(f"slategym/{name}-v0", num_items=60, static=True)
    rows = play(never, Myopic(never), torch.arange(20, dtype=torch.int32), seed=0)
    assert (rows["bored_share"] == 0.0).all()


def test_equal_slates_meet_equal_luck(world: World) -> None:
    plain = play(world, random_in(world), everybody(world), seed=3)
    spied = play(world, Spy(random_in(world)), everybody(world), seed=3)
    pd.testing.assert_frame_equal(plain, spied)


def test_only_the_privileged_are_told(world: World) -> None:
    for privileged in (True, False):
        spy = Spy(random_in(world), privileged)
        play(world, spy, everybody(world), seed=3, batch=8)
        told = [observation.hidden for observation in spy.given]
        assert all((hidden is not None) == privileged for hidden in told)
        if privileged:
            for observation, hidden in zip(spy.given, told, strict=True):
                assert torch.equal(observation.step, hidden.step)
                assert torch.equal(observation.history.id, hidden.history.id)


def test_progress_and_slates_are_told_as_they_go(world: World) -> None:
    done: list[int] = []
    shown: list[int] = []
    rows = play(
        world,
        random_in(world),
        everybody(world),
        seed=3,
        batch=8,
        on_batch=done.append,
        on_slate=lambda before, items, action, outcome, after: shown.append(len(items.id)),
    )
    assert done == [8, 8, 4] and sum(shown) == rows["length"].sum()


def test_the_best_policy_of_a_known_world_earns_what_it_should() -> None:
    """Ten slates without change: the mean return is ten times the expected reward of one."""
    taste = plain_taste([1.0, 0.0, -1.0], [0.5, 0.5, 0.5])
    world = fixed_world(taste, [0, 0, 0], [0.0] * 3, slate_size=1, horizon=10)
    rows = play(world, Myopic(world), everybody(world), seed=0)
    chance = torch.tensor(1.0).sigmoid()
    per_slate = float(chance * (1 + torch.tensor(0.5).sigmoid()))
    assert rows["expected_return"].tolist() == pytest.approx([10 * per_slate] * 64, rel=1e-4)
    error = 4 * float(rows["return"].std()) / 64**0.5
    assert rows["return"].mean() == pytest.approx(10 * per_slate, abs=error)
    assert (rows["length"] == 10).all() and "bored_share" not in rows  # these say nothing of it


def test_a_column_for_every_signal_and_none_for_what_the_world_does_not_have() -> None:
    world = make_world("InterestEvolution-v0")
    rows = play(world, random_in(world), torch.arange(5), seed=0)
    assert {"clicks", "quality_mean"} < set(rows)
    assert not {"likes", "rating_mean", "bored_share"} & set(rows)
    day = make_world("DayInLife-v0")
    rows = play(day, random_in(day), torch.arange(5), seed=0)
    assert {column_of(task) for task in tasks_of(day.users.signals)} < set(rows)
    assert rows["person"].tolist() == list(range(5))
    assert people(replace(world.population, person=None), torch.arange(5)).tolist() == [*range(5)]


@pytest.mark.parametrize(
    ("signal", "column"),
    [
        (Signal("click", "binary", "count", 0, 1), "clicks"),
        (Signal("return", "binary", "count", 0, 1), "returns"),
        (Signal("rating", "ordinal", "stars", 1, 5), "rating_mean"),
        (Signal("dwell", "nonnegative", "s", 0, 600), "dwell_total"),
        (Signal("topic", "binary", "count", 0, 1), "topics_signal"),  # rows have topics
    ],
)
def test_columns_of_signals(signal: Signal, column: str) -> None:
    assert column_of(task_of(signal)) == column
