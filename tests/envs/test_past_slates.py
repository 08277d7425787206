"""What was shown is remembered, taken or not: in sessions, observations and every face."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from small_worlds import learned_world

from slategym.envs import engine
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.observation import observation_space, read, show
from slategym.envs.single import SlateEnv
from slategym.envs.types import PastSlates, World

B, P, K = 12, 4, 3


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def seated(world: World):
    user_B = torch.arange(B, dtype=torch.int32)
    return engine.start(world, user_B, user_B, 0 * user_B)


def test_slates_are_remembered_with_what_was_taken(world: World) -> None:
    session = seated(world)
    assert session.past.id.shape == (B, P, K) and (session.past.id == -1).all()
    shown, taken = [], []
    for _ in range(P + 1):  # one more than there is room for
        slate_BK = engine.observe(world, session).allowed.float().topk(K).indices.int()
        session, outcome = engine.transition(world, session, slate_BK)
        shown.append(slate_BK)
        taken.append(outcome.feedback[..., 0] > 0)
    past = engine.observe(world, session).past
    assert torch.equal(past.id, torch.stack(shown[1:], 1))
    assert torch.equal(past.taken, torch.stack(taken[1:], 1))
    refused_BP = ~past.taken.any(2)
    assert refused_BP.any() and not refused_BP.all()


def test_a_repeated_item_is_an_empty_slot_and_a_new_user_was_shown_nothing(world: World) -> None:
    session = seated(world)
    first_B = engine.observe(world, session).allowed.int().argmax(1).int()
    session, _ = engine.transition(world, session, first_B[:, None].repeat(1, K))
    newest_BK = session.past.id[:, -1]
    assert torch.equal(newest_BK[:, 0], first_B) and (newest_BK[:, 1:] == -1).all()
    session, fresh = engine.replace_rows(world, session, torch.tensor([2, 5]))
    assert (fresh.past.id == -1).all() and (session.past.id[[2, 5]] == -1).all()
    assert torch.equal(session.past.id[3, -1], newest_BK[3])


def test_memory_changes_nothing_else(world: World) -> None:
    """The same slates, clicks and rewards as in the same world without it."""
    plain = learned_world(slate_size=K, shown_size=0)
    ours, theirs = seated(world), seated(plain)
    assert theirs.past is None
    for _ in range(3):
        slate_BK = engine.observe(plain, theirs).allowed.float().topk(K).indices.int()
        ours, outcome = engine.transition(world, ours, slate_BK)
        theirs, expected = engine.transition(plain, theirs, slate_BK)
        assert torch.equal(outcome.feedback, expected.feedback)
        assert torch.equal(outcome.expected_reward, expected.expected_reward)
    assert "shown_item" not in show(plain, engine.observe(plain, theirs))


def test_faces_show_it_and_it_is_read_back(world: World) -> None:
    one, many = SlateEnv(world), SlateVectorEnv(world, num_envs=B)
    seen, _ = one.reset(seed=1)
    assert one.observation_space.contains(seen) and seen["shown_item"].shape == (P, K)
    slate_K = np.flatnonzero(seen["action_mask"])[:K].astype(np.int32)
    seen, *_ = one.step(slate_K)
    assert one.observation_space.contains(seen)
    assert seen["shown_item"][-1].tolist() == slate_K.tolist()
    assert seen["shown_taken"].dtype == np.int8 and seen["shown_item"].dtype == np.int32
    batch, _ = many.reset(seed=1)
    assert isinstance(many.observation_space, gym.spaces.Dict)
    assert batch["shown_item"].shape == many.observation_space["shown_item"].shape == (B, P, K)

    session = seated(world)
    slate_BK = engine.observe(world, session).allowed.float().topk(K).indices.int()
    session, _ = engine.transition(world, session, slate_BK)
    observation = engine.observe(world, session)
    back = read(world, show(world, observation)).past
    assert isinstance(back, PastSlates)
    assert torch.equal(back.id, observation.past.id)
    assert torch.equal(back.taken, observation.past.taken)
    space = observation_space(world, observation)["shown_item"]
    assert space.contains(back.id[0].numpy()) and space.low.min() == -1


def test_a_missing_entry_and_a_wrong_size_are_refused(world: World) -> None:
    shown = show(world, engine.observe(world, seated(world)))
    shown.pop("shown_taken")
    with pytest.raises(ValueError, match="have an entry 'shown_taken'"):
        read(world, shown)
    with pytest.raises(UsageError, match=r"shown_size must be in \[0, 2\^31\), got -1"):
        learned_world(shown_size=-1)
