"""Training users: each seed's are those it would meet alone."""

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core import sessions
from slategym.agents.core.tree import leaves
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.registry import make_world

WORLDS = ["InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0"]


def slates(world, users, slots):
    """A slate that depends on the user and the step alone."""
    session = users.session
    base_L1 = (session.user_id * 7 + session.step * 3)[:, None]
    return ((base_L1 + torch.arange(slots)) % world.num_candidates).int()


def run(world, seeds, steps=130, num_users=6):
    turn, users, last = turn_of(world), sessions.seat(world, seeds, num_users), None
    for _ in range(steps):
        users, last = sessions.show(world, turn, users, slates(world, users, world.slate_size))
    return users, last


@pytest.mark.parametrize("id", WORLDS)
def test_seed_2_of_3_meets_whom_it_would_meet_alone(id):
    world = make_world(id)
    together, step = run(world, [5, 8, 2])
    alone, own = run(world, [2])
    assert together.closed[:, 0].min() > 0  # sessions did end
    for name, x in leaves(alone.session).items():
        assert torch.equal(leaves(together.session)[name][12:], x), name
    assert torch.equal(together.closed[2], alone.closed[0])
    assert torch.equal(step.outcome.reward[12:], own.outcome.reward)


def test_the_last_observation_is_before_anybody_new_is_seated():
    world = make_world("Sardine-SlateTopK-Bored-v0")
    _, step = run(world, [0], steps=100)
    assert step.ended.all()
    assert step.last.step.eq(100).all() and step.next.step.eq(0).all()


def test_what_is_seen_next_is_what_the_sessions_say_and_is_not_copied_twice():
    world = learned_world()
    turn, users, mixed = turn_of(world), sessions.seat(world, [0, 1], 4), 0
    for _ in range(8):
        users, step = sessions.show(world, turn, users, slates(world, users, world.slate_size))
        seen, said = leaves(step.next), leaves(engine.observe(world, users.session))
        assert seen.keys() == said.keys()
        for name, x in seen.items():
            torch.testing.assert_close(x, said[name], rtol=0.0, atol=1e-6)
        if 0 < step.ended.sum() < len(step.ended):
            mixed += 1
            held = {id(x) for x in leaves(users.session).values()}
            assert {id(x) for name, x in seen.items() if name.startswith("view")} <= held
    assert mixed > 1


def test_harvest_speaks_of_sessions_that_ended_since():
    world = make_world("Sardine-SlateTopK-Bored-v0")
    users, _ = run(world, [0, 1], steps=99)
    assert sessions.harvest(users)[1] == {}
    users, _ = run(world, [0, 1], steps=100)
    total = float(users.closed[:, 1].sum())
    users, figures = sessions.harvest(users)
    assert figures["rollout/ep_len_mean"] == 100
    assert figures["rollout/ep_rew_mean"] == pytest.approx(total / 12)
    assert not users.closed.any() and not users.earned.any()
