"""Slates from scores, against the obvious slow way."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slategym.agents.slates.top import FORBIDDEN, allowed_only, capped_slate, top_slate


def slow_slate(scores: list[float], topics: list[int], num_slots: int, cap: int) -> list[int]:
    """Walk down the scores; what is over the cap waits, what is forbidden is left out."""
    order = sorted(range(len(scores)), key=lambda c: (-scores[c], c))
    shown = [c for c in order if scores[c] > FORBIDDEN]
    first: list[int] = []
    for c in shown:
        if sum(topics[c] == topics[d] for d in first) < cap:
            first.append(c)
    return (first + [c for c in shown if c not in first])[:num_slots]


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[list[float]], list[list[int]], int, int]:
    users, size = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    score = st.one_of(st.sampled_from([0.0, 1.0, FORBIDDEN]), st.floats(-5, 5, width=32))
    topic = st.integers(0, 3)
    scores = [[draw(score) for _ in range(size)] for _ in range(users)]
    topics = [[draw(topic) for _ in range(size)] for _ in range(users)]
    return scores, topics, draw(st.integers(1, size)), draw(st.integers(1, 4))


@settings(max_examples=200, deadline=None)
@given(requests())
def test_a_capped_slate_is_the_slow_walk(
    request: tuple[list[list[float]], list[list[int]], int, int],
) -> None:
    scores, topics, num_slots, cap = request
    slate_BK = capped_slate(torch.tensor(scores), torch.tensor(topics), num_slots, cap)
    assert slate_BK.dtype == torch.int32
    for slate, score, topic in zip(slate_BK.tolist(), scores, topics, strict=True):
        slow = slow_slate(score, topic, num_slots, cap)
        assert slate[: len(slow)] == slow
        assert len(set(slate)) == num_slots  # forbidden ones fill up, once each


def test_the_best_come_first_and_the_forbidden_last() -> None:
    score_BC = torch.tensor([[0.1, 3.0, -2.0, 1.0]])
    allowed_BC = torch.tensor([[True, False, True, True]])
    assert top_slate(allowed_only(score_BC, allowed_BC), 4).tolist() == [[3, 0, 2, 1]]
    assert top_slate(allowed_only(score_BC, None), 2).tolist() == [[1, 3]]
    assert allowed_only(score_BC, allowed_BC).isfinite().all()
