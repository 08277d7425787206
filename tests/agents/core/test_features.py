"""What a learner reads off the history, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.features import (
    AGAIN,
    BY_CLICK,
    BY_CLICK_TOO,
    FAST,
    PASSED,
    QUICK,
    SLOW,
    RecentTopics,
)
from slategym.agents.core.inputs import Inputs
from slategym.envs import engine
from slategym.envs.types import LONG_AGO, History, Observation, PastSlates

TOPICS = torch.tensor([0, 0, 1, 2])
RECENT = RecentTopics(TOPICS, 3, horizon=20)


def seen(clicks: list[tuple[int, int]], step: int, *, before: int = 2) -> Observation:
    """Someone who clicked these (item, slates ago), oldest first, after `before` older events."""
    world = learned_world(num_items=12)
    zero_1 = torch.zeros(1, dtype=torch.int32)
    plain = engine.observe(world, engine.start(world, zero_1, zero_1, zero_1))
    H = 14
    id_1H = torch.full((1, H), -1, dtype=torch.int32)
    age_1H = torch.full((1, H), LONG_AGO, dtype=torch.int32)
    places = range(H - len(clicks), H)
    id_1H[0, H - len(clicks) - before : H - len(clicks)] = 3  # of topic 2, before the session
    for at, (item, age) in zip(places, clicks, strict=True):
        id_1H[0, at], age_1H[0, at] = item, age
    history = History(id_1H, torch.zeros(1, H, 3), age_1H)
    return replace(plain, history=history, step=torch.tensor([step], dtype=torch.int32))


def test_traces_by_hand() -> None:
    clicks = [(2, 9), (0, 7), (1, 6), (0, 5), (2, 4), (1, 2), (3, 1)]  # newest last
    by_topic_RG = RECENT.by_topic(seen(clicks, step=9))[0]
    ages = {0: (7, 6, 5, 2), 1: (9, 4), 2: (1,)}
    for row, keep, scale in ((0, QUICK, 2.0), (1, FAST, 3.0), (2, SLOW, 6.0)):
        trace = [sum(keep ** (age - 1) for age in ages[g]) / scale for g in range(3)]
        torch.testing.assert_close(by_topic_RG[row], torch.tensor(trace))
    newer = {0: (5, 4, 3, 1), 1: (6, 2), 2: (0,)}  # clicks since
    trace = [sum(BY_CLICK**number for number in newer[g]) / 3.0 for g in range(3)]
    torch.testing.assert_close(by_topic_RG[3], torch.tensor(trace))


def test_no_number_of_clicks_is_special() -> None:
    """One click more adds as much after the fifth as after the third: no window, no threshold."""
    traces = [
        RECENT.by_topic(seen([(0, number - n) for n in range(number)], step=number))[0, :, 0]
        for number in range(1, 13)
    ]
    added = torch.stack(traces).diff(dim=0)
    ratio = added[1:] / added[:-1]
    for row, keep in enumerate((QUICK, FAST, SLOW, BY_CLICK)):
        torch.testing.assert_close(ratio[:, row], torch.full((10,), keep), rtol=1e-3, atol=1e-3)


def test_what_happened_before_the_session_is_not_seen() -> None:
    start = seen([], step=0)
    assert RECENT.by_topic(start).count_nonzero() == 0
    assert RECENT.of_visit(start).count_nonzero() == 0


def test_the_visit_by_hand() -> None:
    unlucky = RECENT.of_visit(seen([], step=4))
    assert unlucky[0].tolist() == pytest.approx([4 / 20, 4 / 3, 0.0])
    lucky = RECENT.of_visit(seen([(0, 6), (1, 3)], step=8))
    assert lucky[0].tolist() == pytest.approx([8 / 20, 2 / 3, 2 / 10])
    just_now = RECENT.of_visit(seen([(0, 1)], step=8))
    assert just_now[0].tolist() == pytest.approx([8 / 20, 0.0, 1 / 10])


def test_features_follow_the_engine() -> None:
    """A click in the world is a click in the features of the next request."""
    world = learned_world()
    recent = Inputs(world).topics
    user_B = torch.arange(20, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    clicks_BG, faded_BG = torch.zeros(20, 3), torch.zeros(20, 3)
    for step in range(4):
        observation = engine.observe(world, session)
        torch.testing.assert_close(recent.by_topic(observation)[:, 1] * 3.0, faded_BG)
        visit_BV = recent.of_visit(observation)
        torch.testing.assert_close(visit_BV[:, 0], torch.full((20,), step / world.horizon))
        torch.testing.assert_close(visit_BV[:, 2] * 10, clicks_BG.sum(1))
        slate_BK = observation.allowed.float().topk(3).indices.int()
        items, _ = engine.pick(world, session, slate_BK)
        session, outcome = engine.transition(world, session, slate_BK)
        clicks_BG.scatter_add_(1, items.topic.long(), outcome.feedback[..., 0])
        faded_BG *= FAST
        faded_BG.scatter_add_(1, items.topic.long(), outcome.feedback[..., 0])
    assert clicks_BG.sum() > 10


def test_what_was_passed_over_by_hand() -> None:
    """Two slates of three: the newest refused, one slot of it empty; before it item 1 was taken."""
    id_1PK = torch.tensor([[[-1, -1, -1], [0, 1, 2], [0, 3, -1]]], dtype=torch.int32)
    taken_1PK = torch.zeros(1, 3, 3, dtype=torch.bool)
    taken_1PK[0, 1, 1] = True
    observation = replace(seen([(1, 2)], step=2), past=PastSlates(id_1PK, taken_1PK))
    recent = replace(RECENT, slates=True)
    by_topic_RG = recent.by_topic(observation)[0]
    assert by_topic_RG.shape == (recent.per_topic, 3)
    for row, keep in enumerate((FAST, SLOW), start=recent.per_topic - PASSED):
        old = keep / 3
        passed = torch.tensor([0.5 + old, old, 0.5]) * (1 - keep)
        torch.testing.assert_close(by_topic_RG[row], passed)
    of_slates_PE = recent.of_slates(observation.past)[0]
    again = (1 - AGAIN) / 2  # item 0 of the refused slate is of the topic of item 1, item 3 not
    torch.testing.assert_close(
        of_slates_PE, torch.tensor([[0.0] * 4, [0.0] * 4, [1.0, again, 0.0, 0.0]])
    )
    for row, keep in enumerate(BY_CLICK_TOO, start=4):
        trace = torch.tensor([1 - keep, 0.0, 0.0])  # one click, on item 1
        torch.testing.assert_close(by_topic_RG[row], trace)
    answers_A = recent.of_visit(observation)[0, -8:]
    newest = torch.cat([of_slates_PE[2] * (1 - FAST), of_slates_PE[2] * (1 - SLOW)])
    torch.testing.assert_close(answers_A, newest)


def test_taking_more_of_the_same_is_told_from_refusing_it() -> None:
    """Three clicks on a topic, then a slate of it: taken by one, refused by the other."""
    id_2PK = torch.tensor([[0, 2], [1, 2], [0, 3], [1, 0]], dtype=torch.int32).expand(2, 4, 2)
    taken_2PK = torch.zeros(2, 4, 2, dtype=torch.bool)
    taken_2PK[:, :3, 0] = True
    taken_2PK[0, 3, 0] = True
    told_2PE = replace(RECENT, slates=True).of_slates(PastSlates(id_2PK, taken_2PK))
    assert torch.equal(told_2PE[0, :3], told_2PE[1, :3])
    trace = (1 - AGAIN) * (1 + AGAIN + AGAIN**2)
    torch.testing.assert_close(told_2PE[0, 3], torch.tensor([0.0, trace, trace, trace]))
    torch.testing.assert_close(told_2PE[1, 3], torch.tensor([1.0, trace, 0.0, 0.0]))
