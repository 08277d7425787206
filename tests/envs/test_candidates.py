"""What may be shown: offers renew, consumed items go."""

from dataclasses import replace

import pytest
import torch

from slategym.envs import engine
from slategym.envs.candidates import FreshDocuments, UnseenCatalogue, UnseenOfMany, unseen
from slategym.envs.choice import MultinomialLogit
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Items, Population


def consumer_world():
    """Everybody clicks the first slot; user u has seen item u and 49 before."""
    history = torch.stack([torch.arange(20), torch.full((20,), 49), torch.full((20,), -1)], 1)
    return replace(
        make_world("Sardine-SlateTopK-Bored-v0", num_items=50, static=True),
        population=Population(size=20, history=history.int(), feedback=torch.ones(20, 3, 1)),
        candidates=UnseenCatalogue(),
        choice=MultinomialLogit(skip=-1e9),
        slate_size=2,
        history_size=4,
    )


def begin(world, B):
    lane_B = torch.arange(B, dtype=torch.int32)
    return engine.start(world, lane_B, lane_B, torch.zeros_like(lane_B))


def test_what_was_consumed_before_is_not_offered():
    world = consumer_world()
    session = begin(world, 3)
    allowed_BC = engine.observe(world, session).allowed
    assert allowed_BC.shape == (3, 50)
    assert (~allowed_BC).nonzero().tolist() == [[0, 0], [0, 49], [1, 1], [1, 49], [2, 2], [2, 49]]
    assert session.history.id[1].tolist() == [-1, 1, 49, -1]


def test_a_clicked_item_is_gone_and_a_repeat_does_not_bring_it_back():
    world = consumer_world()
    session = begin(world, 2)
    slate_BK = torch.tensor([[7, 7], [9, 1]], dtype=torch.int32)  # user 1 has consumed item 1
    session, outcome = engine.transition(world, session, slate_BK)
    assert outcome.feedback[:, :, 0].tolist() == [[1, 0], [1, 0]]
    allowed_BC = engine.observe(world, session).allowed
    assert (~allowed_BC[0]).nonzero().flatten().tolist() == [0, 7, 49]
    assert (~allowed_BC[1]).nonzero().flatten().tolist() == [1, 9, 49]
    _, again = engine.transition(world, session, torch.tensor([[7, 3], [9, 1]]).int())
    assert again.feedback[:, :, 0].tolist() == [[0, 1], [0, 0]]  # nothing to choose from: no click


def test_only_clicked_items_are_consumed():
    seen_BN = torch.zeros(1, 5, dtype=torch.bool)
    items = Items(torch.tensor([[2, 4, 2]], dtype=torch.int32), None)
    feedback_BKM = torch.tensor([[[1.0], [0.0], [0.0]]])
    luck = Luck(torch.zeros(1, dtype=torch.int32))
    after_BN = UnseenCatalogue().renew(seen_BN, None, items, feedback_BKM, luck)
    assert after_BN.tolist() == [[False, False, True, False, False]]
    assert not seen_BN.any()


def test_fresh_documents_are_uniform_and_new_each_time():
    world = make_world("InterestEvolution-v0")
    first = begin(world, 5000)
    after, _ = engine.transition(world, first, torch.zeros(5000, 3, dtype=torch.int32))
    assert isinstance(world.candidates, FreshDocuments)
    counts = torch.bincount(first.offer.flatten(), minlength=20) / first.offer.numel()
    torch.testing.assert_close(counts, torch.full((20,), 0.05), atol=0.005, rtol=0)
    assert (first.offer == after.offer).float().mean() < 0.07


def test_rows_of_items_allow_what_a_row_of_all_items_allows():
    dense = consumer_world()
    rows = replace(dense, candidates=UnseenOfMany(50, most=3 + 6 * 2))
    sessions = [begin(world, 20) for world in (dense, rows)]
    assert sessions[1].offer.shape == (20, 15) and sessions[1].offer.dtype == torch.int32
    g = torch.Generator().manual_seed(0)
    for _ in range(6):
        slate_BK = torch.randint(50, (20, 2), generator=g, dtype=torch.int32)  # some are taken
        found = [
            engine.transition(world, session, slate_BK)
            for world, session in zip((dense, rows), sessions, strict=True)
        ]
        sessions = [session for session, _ in found]
        (_, first), (_, second) = found
        assert torch.equal(first.feedback, second.feedback)
        pairs = zip((dense, rows), sessions, strict=True)
        allowed = [engine.observe(world, session).allowed for world, session in pairs]
        assert torch.equal(*allowed)
    assert (~allowed[0]).sum(1).max() > 5  # something was consumed on the way


def test_more_than_there_is_room_for_is_not_forgotten_in_silence():
    world = replace(consumer_world(), candidates=UnseenOfMany(50, most=3))
    session = begin(world, 2)  # two of three places are taken
    session, _ = engine.transition(world, session, torch.tensor([[7, 8], [9, 8]]).int())
    with pytest.raises(RuntimeError, match="out of bounds"):
        engine.transition(world, session, torch.tensor([[10, 8], [9, 11]]).int())


def test_a_longer_session_has_room_for_what_it_consumes():
    world = replace(consumer_world(), candidates=UnseenOfMany(50, most=2 + 2 * 2), horizon=2)
    env = SlateVectorEnv(world, num_envs=2, max_episode_steps=6)
    env.reset(seed=0)
    for step in range(5):
        new = 20 + 4 * step  # nobody's history holds items 20 to 48
        env.step(torch.tensor([[new, new + 1], [new + 2, new + 3]]).int())
    session = env.session
    assert session is not None
    assert session.offer.shape == (2, 2 + 2 * 6)


def test_the_form_that_takes_fewer_bytes_is_kept():
    assert unseen(1_682, most=800) == UnseenCatalogue()
    assert unseen(100_000, most=800) == UnseenOfMany(100_000, most=800)
