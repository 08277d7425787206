"""Boredom by genre and patience: by hand, and against a plain re-telling of the rule."""

import pytest
import torch

from slategym.envs.luck import Luck, purpose
from slategym.envs.registry import make_world
from slategym.envs.types import Catalogue, Items
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation

A, C = purpose("test.a"), purpose("test.c")
CATALOGUE = Catalogue(torch.arange(4).int(), torch.eye(4), torch.zeros(4))
USER_1 = torch.zeros(1, dtype=torch.int32)


def show(rule, state, topics, clicks):
    items = Items(torch.tensor([topics], dtype=torch.int32), CATALOGUE)
    return rule.update(state, items, torch.tensor([clicks], dtype=torch.float32)[..., None])


def test_three_of_five_clicks_bore_for_eight_slates():
    rule = GenreSatiation(num_topics=4)
    state = rule.initial(USER_1)
    state = show(rule, state, [0, 1], [1, 0])
    state = show(rule, state, [0, 1], [0, 1])
    state = show(rule, state, [0, 1], [1, 0])
    assert not state.bored.any()
    state = show(rule, state, [0, 1], [1, 0])
    for slate in range(8):
        assert state.bored.tolist() == [[True, False, False, False]], slate
        assert rule.cost(state).tolist() == [[4.0, 0.0, 0.0, 0.0]]
        state = show(rule, state, [2, 3], [0, 0])
    assert not state.bored.any()


def test_a_click_in_a_boring_topic_prolongs_the_boredom_and_old_clicks_are_forgotten():
    rule = GenreSatiation(num_topics=4, memory=3, threshold=2, duration=2)
    state = rule.initial(USER_1)
    for _ in range(2):
        state = show(rule, state, [1], [1])
    assert state.remaining[0, 1] == 2
    state = show(rule, state, [1], [1])
    assert state.remaining[0, 1] == 2
    for topic in (2, 3, 0, 1):
        state = show(rule, state, [topic], [1])
    assert not state.bored.any()  # only one of the last three clicks was on topic 1


def test_several_clicks_in_one_slate_all_count():
    rule = GenreSatiation(num_topics=4)
    state = show(rule, rule.initial(USER_1), [2, 2, 1, 2], [1, 1, 1, 1])
    assert state.last.tolist() == [[-1, 2, 2, 1, 2]]
    assert state.bored.tolist() == [[False, False, True, False]]


def test_many_random_sessions_follow_the_rule_as_told_plainly():
    """Cumulative lists and absolute times, user by user, as one would write it first."""
    B, rule = 40, GenreSatiation(num_topics=4)
    lane_B = torch.arange(B, dtype=torch.int32)
    state = rule.initial(lane_B)
    clicked, until = [[] for _ in range(B)], [[0] * 4 for _ in range(B)]
    for t in range(60):
        luck = Luck.at(lane_B, torch.full_like(lane_B, t))
        topic_B1 = luck.integers(A, 1, 3)
        click_B1 = (luck.uniform(C, 1) < 0.6).float()
        bored = [[until[b][g] > t for g in range(4)] for b in range(B)]
        assert state.bored.tolist() == bored
        state = rule.update(state, Items(topic_B1, CATALOGUE), click_B1[..., None])
        for b in range(B):
            if click_B1[b]:
                topic = int(topic_B1[b])
                clicked[b].append(topic)
                if clicked[b][-5:].count(topic) >= 3:
                    until[b][topic] = t + 1 + 8


def test_patience_by_hand():
    rule = Patience(start=2.0, miss=1.0, gain=0.5)
    patience_B = rule.initial(torch.zeros(2, dtype=torch.int32))
    click = torch.tensor([[[1.0]], [[0.0]]])
    patience_B = rule.update(patience_B, click)
    assert patience_B.tolist() == [2.0, 1.0] and rule.leave(patience_B).tolist() == [0.0, 0.0]
    patience_B = rule.update(patience_B, 1 - click)
    assert patience_B.tolist() == [1.0, 1.5]
    for _ in range(2):
        patience_B = rule.update(patience_B, 0 * click)
    assert patience_B.tolist() == [-1.0, -0.5] and rule.leave(patience_B).tolist() == [1.0, 1.0]


def test_assuming_nothing_changes_nothing():
    world = make_world("InterestEvolution-v0")
    inner, both = world.users, Assumed(world.users)
    items = Items(torch.arange(6, dtype=torch.int32).view(2, 3), world.catalogue)
    luck = Luck(torch.arange(2, dtype=torch.int32))
    a, b = inner.initial(None, luck), both.initial(None, luck)
    assert b.bored is None
    assert torch.equal(inner.appeal(a, items, None), both.appeal(b, items, None))
    feedback_BKM = torch.ones(2, 3, 3)
    a = inner.evolve(a, items, feedback_BKM, None, luck)
    b = both.evolve(b, items, feedback_BKM, None, luck)
    assert torch.equal(a.interest, b.inner.interest)
    assert torch.equal(inner.leave(a), both.leave(b))


def test_leaving_takes_either_reason():
    world = make_world("InterestEvolution-v0")
    users = Assumed(world.users, patience=Patience(start=1.0))
    arrival = type("Seat", (), {"user_id": torch.arange(3, dtype=torch.int32)})
    luck = Luck(torch.arange(3, dtype=torch.int32))
    state = users.initial(arrival, luck)
    state.inner.budget[0], state.patience[1] = -1.0, 0.0
    assert users.leave(state).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("settings", [{"threshold": 0}, {"threshold": 6}, {"penalty": -1.0}])
def test_impossible_rules_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        GenreSatiation(num_topics=4, **settings)
