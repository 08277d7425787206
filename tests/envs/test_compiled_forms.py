"""Operations that are written once for eager torch and once for a compiler: equal, bit for bit."""

import pytest
import torch

from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world

WORLDS = ["Sardine-SlateTopK-Bored-v0", "Sardine-SlateTopK-Uncertain-v0"]


@pytest.mark.parametrize("world_id", WORLDS)
def test_both_forms_tell_one_story(world_id, monkeypatch):
    """600 users, so that repeats are looked for slot by slot; slates repeat items on purpose."""
    world = make_world(world_id, num_items=40)
    user_B = torch.arange(600, dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    shape = (12, 600, world.slate_size)
    slates = torch.randint(40, shape, generator=generator, dtype=torch.int32)

    def told():
        session = engine.start(world, torch.zeros_like(user_B), user_B, torch.zeros_like(user_B))
        outcomes = []
        for slate_BK in slates:
            session, outcome = engine.transition(world, session, slate_BK)
            outcomes.append(outcome)
        return session, outcomes

    eager, outcomes = told()
    assert (eager.user.bored > 0).any() and (eager.user.count >= 4).any()  # something happens
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    other, others = told()
    torch.testing.assert_close(eager.user.count, other.user.count, rtol=0, atol=0)
    torch.testing.assert_close(eager.user.next, other.user.next, rtol=0, atol=0)
    torch.testing.assert_close(eager.user.clicks, other.user.clicks, rtol=0, atol=0)
    for one, two in zip(outcomes, others, strict=True):
        torch.testing.assert_close(one.feedback, two.feedback, rtol=0, atol=0)


def test_luck_is_the_same_in_both_forms(monkeypatch):
    word_B = torch.randint(-(2**31), 2**31 - 1, (1000,), dtype=torch.int32)
    draws = lambda: Luck.at(word_B, word_B.flip(0)).uniform(7, 5)  # noqa: E731
    eager = draws()
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(eager, draws()) and (eager >= 0).all() and (eager < 1).all()


def test_repeats_are_the_same_in_both_forms_and_by_definition(monkeypatch):
    slate_BK = torch.randint(9, (600, 6), dtype=torch.int32)
    rows = slate_BK.tolist()
    truth = torch.tensor([[x in row[:k] for k, x in enumerate(row)] for row in rows])
    assert torch.equal(engine.repeated(slate_BK), truth)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(engine.repeated(slate_BK), truth)
