"""Exact retrieval in blocks is retrieval of the whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_worlds import learned_world, ranker_in

from slategym.agents.core import ranker as ranking
from slategym.agents.slates.retrieval import best_products
from slategym.envs import engine


@settings(deadline=None, max_examples=40)
@given(
    num_items=st.integers(1, 60),
    block=st.integers(1, 70),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 100),
)
def test_blocks_find_what_the_whole_has(
    num_items: int, block: int, share: float, seed: int
) -> None:
    count = max(1, round(share * num_items))
    generator = torch.Generator().manual_seed(seed)
    query_SBD = torch.randn(2, 3, 4, generator=generator).double()
    item_SND = torch.randn(2, num_items, 4, generator=generator).double()
    score, id = best_products(query_SBD, item_SND, count, block)
    whole = (query_SBD @ item_SND.transpose(1, 2)).topk(count, dim=2)
    assert torch.equal(id, whole.indices)
    assert torch.allclose(score, whole.values)


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"count must be in \[1, 3\], the number of items; got 4"):
        best_products(torch.zeros(1, 2), torch.zeros(3, 2), 4)


def test_the_ranker_takes_few_users_at_a_time_of_many_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = learned_world(slate_size=3)
    ranker = ranker_in(world, shortlist=20)
    user_B = torch.arange(10, dtype=torch.int32)
    seen = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    whole = ranker.retrieve(seen, 5)
    asked: list[int] = []
    own = ranking.Ranker._retrieve

    def noted(self, observation, count):  # type: ignore[no-untyped-def]
        asked.append(len(observation.step))
        return own(self, observation, count)

    monkeypatch.setattr(ranking, "MOST_PAIRS", 3 * world.catalogue.num_items + 1)
    monkeypatch.setattr(ranking.Ranker, "_retrieve", noted)
    parts = ranker.retrieve(seen, 5)
    assert asked == [3, 3, 3, 1]
    assert torch.equal(parts.id, whole.id) and torch.allclose(parts.score, whole.score, atol=1e-5)
