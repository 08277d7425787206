"""Worlds reproduce what was published for, or measured with, the originals.

Sizes are chosen so that the whole file takes seconds; tolerances are four standard errors of our
own mean or the spread of the reference, whichever is larger. SARDINE's rows were measured with
sardine-rec 1.0.8, 1,000 episodes (SlateRerank 10,000), policies: distinct random items, the
original's own oracle, and the best by true taste with at most two of a topic (400 episodes).
"""

import pytest
import torch

from slategym.envs import engine
from slategym.envs.luck import Luck, purpose
from slategym.envs.registry import make_world
from slategym.envs.types import Items

POLICY = purpose("test.reference.policy")


def rollout(world, policy, num_sessions, seed=1):
    """Sum of every signal over each session, (B, M); finished sessions count no further."""
    user_B = torch.arange(num_sessions, dtype=torch.int32)
    seed_B = torch.full_like(user_B, seed)
    session = engine.start(world, seed_B, user_B, torch.zeros_like(user_B))
    total_BM = torch.zeros(num_sessions, world.num_signals)
    alive_B = torch.ones(num_sessions, dtype=torch.bool)
    while alive_B.any():
        session, outcome = engine.transition(world, session, policy(world, session))
        total_BM += alive_B[:, None] * outcome.feedback.sum(1)
        alive_B &= ~(outcome.left | outcome.cut)
    return total_BM


def at_random(world, session):
    luck = Luck.at(session.key, session.step)
    return luck.uniform(POLICY, world.num_candidates).topk(world.slate_size).indices.int()


def appeal(world, session):
    ids_BC = world.candidates.ids(session.offer)
    if ids_BC is None:
        lane = torch.arange(world.num_candidates, dtype=torch.int32)
        ids_BC = lane.repeat(session.step.shape[0], 1)
    return world.users.appeal(session.user, Items(ids_BC, world.catalogue), session.context)


@pytest.mark.parametrize(
    "id", ["Sardine-SlateTopK-Bored-v0", "TopicRec-TopDown-Focused-v0", "InterestEvolution-v0"]
)
def test_the_outlook_on_all_items_is_their_appeal(id):
    world = make_world(id)
    user_B = torch.arange(5, dtype=torch.int32)
    session = engine.start(world, user_B * 0, user_B, user_B * 0)
    if world.candidates.ids(session.offer) is None:
        for _ in range(5):  # some are bored by then
            session, _ = engine.transition(world, session, myopic(world, session))
    lane_BN = torch.arange(world.catalogue.num_items, dtype=torch.int32).repeat(5, 1)
    expected_BN = world.users.appeal(session.user, Items(lane_BN, world.catalogue), session.context)
    luck = Luck.at(session.key, session.step)
    appeal_BN, _ = world.users.outlook(session.user, world.catalogue, session.context, luck)
    torch.testing.assert_close(appeal_BN, expected_BN, rtol=1e-4, atol=1e-3)


def myopic(world, session):
    return appeal(world, session).topk(world.slate_size).indices.int()


def best_quality(world, session):
    """Interest evolution: the three documents whose topics are best on average."""
    return world.catalogue.quality[session.offer.long()].topk(world.slate_size).indices.int()


def most_clickbait(world, session):
    return world.catalogue.quality[session.offer.long()].topk(world.slate_size).indices.int()


def capped(world, session, cap=2):
    """The best matches by the user's own taste, bored or not, with at most `cap` of a topic."""
    match_BN = session.user.taste @ world.catalogue.embedding.T
    order_BN = match_BN.argsort(1, descending=True)
    onehot_BNG = torch.nn.functional.one_hot(world.catalogue.topic.long())[order_BN]
    nth_BN = (onehot_BNG.cumsum(1) * onehot_BNG).sum(2)  # 1 for the best of its topic, ...
    place_BN = torch.where(nth_BN <= cap, torch.arange(0, -order_BN.shape[1], -1), -(10**6))
    return order_BN.gather(1, place_BN.topk(world.slate_size).indices).int()


PROPORTIONAL = {"choice": "proportional"}
ORIGINAL = {"original_influence": True}
CASES = [  # world, settings, policy, signal, sessions, reference, tolerance
    ("InterestEvolution-v0", {}, at_random, 1, 4000, 159.2, 1.0),  # SlateQ; 159.3 +- .4
    ("InterestEvolution-v0", {}, myopic, 1, 4000, 166.8, 1.5),  # SlateQ 166.3
    ("InterestEvolution-v0", {}, best_quality, 1, 1000, 267.5, 4.0),
    # RecSim 0.2.4 itself: 1,000 episodes (interest exploration 600 of 100 slates), fresh documents
    ("InterestEvolution-v0", {"slate_size": 2}, at_random, 1, 1000, 153.02, 2.0),
    ("InterestEvolution-v0", {"slate_size": 2}, myopic, 1, 1000, 164.7, 4.7),
    ("InterestEvolution-v0", {"slate_size": 2} | PROPORTIONAL, at_random, 1, 1000, 153.91, 2.0),
    ("InterestEvolution-v0", {"slate_size": 2} | PROPORTIONAL, myopic, 1, 1000, 165.9, 4.7),
    ("InterestEvolution-v0", PROPORTIONAL, at_random, 1, 1000, 161.11, 2.2),
    ("InterestEvolution-v0", {"choice": "cascade"}, at_random, 1, 1000, 159.65, 2.3),
    ("InterestEvolution-v0", {"choice": "cascade"}, myopic, 1, 1000, 170.9, 4.9),
    ("InterestExploration-v0", {}, at_random, 0, 600, 23.12, 1.3),
    ("InterestExploration-v0", {}, myopic, 0, 600, 39.35, 1.9),
    ("LongTermSatisfaction-v0", {}, at_random, 1, 2000, 954.2, 21.0),
    ("LongTermSatisfaction-v0", {}, most_clickbait, 1, 1000, 1121.0, 34.0),
    ("LongTermSatisfaction-v0", {"num_candidates": 20}, at_random, 1, 2000, 951.0, 20.0),  # RLlib
    ("Sardine-SingleItem-Static-v0", {}, at_random, 0, 400, 8.65, 0.8),
    ("Sardine-SingleItem-Static-v0", {}, myopic, 0, 50, 100.0, 0.1),
    ("Sardine-SingleItem-BoredInf-v0", ORIGINAL, at_random, 0, 400, 8.99, 0.8),
    ("Sardine-SingleItem-BoredInf-v0", ORIGINAL, myopic, 0, 400, 50.70, 0.3),
    ("Sardine-SingleItem-Uncertain-v0", {}, at_random, 0, 400, 11.56, 0.8),
    ("Sardine-SingleItem-Uncertain-v0", {}, myopic, 0, 100, 94.80, 1.3),
    ("Sardine-SlateTopK-Bored-v0", {}, at_random, 0, 400, 43.76, 1.9),
    ("Sardine-SlateTopK-Bored-v0", {}, myopic, 0, 200, 144.3, 12.0),
    ("Sardine-SlateTopK-Bored-v0", {}, capped, 0, 100, 423.0, 35.0),
    ("Sardine-SlateTopK-BoredInf-v0", ORIGINAL, at_random, 0, 400, 41.77, 2.0),
    ("Sardine-SlateTopK-BoredInf-v0", ORIGINAL, myopic, 0, 200, 148.2, 12.0),
    ("Sardine-SlateTopK-BoredInf-v0", ORIGINAL, capped, 0, 100, 296.0, 15.0),
    ("Sardine-SlateTopK-Uncertain-v0", ORIGINAL, at_random, 0, 400, 70.11, 2.0),
    ("Sardine-SlateTopK-Uncertain-v0", ORIGINAL, myopic, 0, 200, 138.0, 9.0),
    ("Sardine-SlateTopK-Uncertain-v0", ORIGINAL, capped, 0, 100, 251.6, 13.0),
    ("Sardine-SlateRerank-Static-v0", {}, at_random, 0, 2000, 14.71, 0.4),
    ("Sardine-SlateRerank-Static-v0", {}, myopic, 0, 2000, 21.40, 0.4),
    ("Sardine-SlateRerank-Bored-v0", {}, at_random, 0, 2000, 13.16, 0.4),
    ("Sardine-SlateRerank-Bored-v0", {}, myopic, 0, 2000, 14.01, 0.4),
    # plain re-tellings of GeMS' program; the paper says 107.7 of the oracle in TopDown-Focused;
    # of Diffuse, another draw by the same law, what it earned here first
    ("TopicRec-TopDown-Focused-v0", {}, at_random, 0, 400, 33.3, 1.6),
    ("TopicRec-TopDown-Focused-v0", {}, myopic, 0, 400, 105.2, 9.0),
    ("TopicRec-TopDown-Diffuse-v1", {}, at_random, 0, 200, 34.7, 2.5),
    ("TopicRec-TopDown-Diffuse-v1", {}, myopic, 0, 200, 108.6, 15.0),
    ("TopicRec-Mixed-Focused-v0", {}, at_random, 0, 200, 33.7, 2.5),
    ("TopicRec-Mixed-Focused-v0", {}, myopic, 0, 200, 95.4, 12.0),
    ("TopicRec-Mixed-Diffuse-v1", {}, at_random, 0, 200, 35.1, 2.5),
    ("TopicRec-Mixed-Diffuse-v1", {}, myopic, 0, 200, 110.5, 15.0),
    ("TopicRec-DivPen-Focused-v0", {}, at_random, 0, 200, 31.2, 2.5),
    ("TopicRec-DivPen-Focused-v0", {}, myopic, 0, 200, 76.5, 8.0),
    ("TopicRec-DivPen-Diffuse-v1", {}, at_random, 0, 200, 32.6, 2.5),
    ("TopicRec-DivPen-Diffuse-v1", {}, myopic, 0, 200, 81.6, 10.0),
]


@pytest.mark.parametrize(
    ("id", "settings", "policy", "signal", "sessions", "expected", "tolerance"), CASES
)
def test_reference_returns(id, settings, policy, signal, sessions, expected, tolerance):
    total_BM = rollout(make_world(id, **settings), policy, sessions)
    assert total_BM[:, signal].mean().item() == pytest.approx(expected, abs=tolerance)


def test_clicked_quality_in_interest_evolution():
    """SlateQ, random slates: -.5929."""
    total_BM = rollout(make_world("InterestEvolution-v0"), at_random, 5000)
    assert (total_BM[:, 2].sum() / total_BM[:, 0].sum()).item() == pytest.approx(-0.5929, abs=0.02)


def test_directional_influence_is_not_the_originals():
    world = make_world("Sardine-SlateTopK-BoredInf-v0")
    assert rollout(world, at_random, 400)[:, 0].mean().item() == pytest.approx(49.0, abs=2.3)


def test_kale_pays_only_where_people_are_sensitive():
    """Least clickbait against most: the myopic order turns round with sensitivity."""
    returns = {}
    for sensitivity in (0.01, 0.3):
        world = make_world("LongTermSatisfaction-v0", sensitivity=sensitivity)
        for sign in (-1, 1):
            score = lambda world, session, sign=sign: (  # noqa: E731
                (sign * world.catalogue.quality[session.offer.long()]).topk(2).indices.int()
            )
            returns[sensitivity, sign] = rollout(world, score, 500)[:, 1].mean()
    assert returns[0.01, 1] > 1.2 * returns[0.01, -1]
    assert returns[0.3, -1] > 1.2 * returns[0.3, 1]


def test_in_the_static_twin_of_interest_evolution_no_slate_moves_the_future():
    """Everybody sees fifty slates, and is the same person at the end, whatever was shown."""
    world = make_world("InterestEvolution-v0", static=True)
    total_BM = {}
    for name, policy in (("random", at_random), ("myopic", myopic)):
        user_B = torch.arange(300, dtype=torch.int32)
        session = engine.start(world, torch.ones_like(user_B), user_B, user_B * 0)
        first, total_BM[name] = session.user.interest, torch.zeros(300, 3)
        for step in range(50):
            slate_BK = policy(world, session).int()
            session, outcome = engine.transition(world, session, slate_BK)
            assert outcome.left.all() == outcome.left.any() == (step == 49)
            total_BM[name] += outcome.feedback.sum(1)
        assert torch.equal(session.user.interest, first)
    assert total_BM["myopic"][:, 1].mean() > total_BM["random"][:, 1].mean() + 5
