"""What may be shown: offers renew, consumed items go."""

from dataclasses import replace

import torch

from slategym.envs import engine
from slategym.envs.candidates import FreshDocuments, UnseenCatalogue
from slategym.envs.choice import MultinomialLogit
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
