"""What learners read: in every world, finite, of order one, and nothing but the observation."""

from dataclasses import replace

import pytest
import small_worlds
import torch

from slategym.agents.core import sessions
from slategym.agents.core.inputs import Inputs
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.observation import read, show
from slategym.envs.registry import make_world

WORLDS = [
    *("InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0", "DayInLife-v0", "small"),
    "TopicRec-TopDown-Focused-v0",
]


def world_of(id):
    if id == "small":
        return small_worlds.learned_world()
    if "TopicRec" in id:
        return make_world(id, history_size=12, shown_size=6)
    return make_world(id, history_size=12) if "Sardine" in id else make_world(id)


def played(world, steps=8, num_users=16):
    users, turn = sessions.seat(world, [3], num_users), turn_of(world)
    for _ in range(steps):
        luck = sessions.luck_of(users)
        slate = luck.uniform(1, world.num_candidates).topk(world.slate_size).indices.int()
        users, _ = sessions.show(world, turn, users, slate)
    return users


@pytest.mark.parametrize("id", WORLDS)
def test_they_are_finite_and_of_order_one(id):
    world = world_of(id)
    inputs, users = Inputs(world), played(world)
    seen_BX = inputs.vector(engine.observe(world, users.session))
    assert seen_BX.shape == (16, inputs.width)
    assert seen_BX.isfinite().all() and seen_BX.abs().max() < 20


@pytest.mark.parametrize("id", WORLDS)
def test_an_observation_survives_the_faces(id):
    """What `read` makes of what `show` shows gives the same input, and the same mask and offer."""
    world = world_of(id)
    seen = engine.observe(world, played(world).session)
    back = read(world, {name: x.numpy() for name, x in show(world, seen).items()})
    inputs = Inputs(world)
    torch.testing.assert_close(inputs.vector(back), inputs.vector(seen))
    for name in ("allowed", "candidates"):
        mine, theirs = getattr(seen, name), getattr(back, name)
        assert (mine is None and theirs is None) or torch.equal(mine, theirs)


def test_a_missing_entry_is_named():
    world = world_of("InterestEvolution-v0")
    with pytest.raises(ValueError, match="have an entry 'step'; got user"):
        read(world, {"user": torch.zeros(1, 21)})


def test_clicks_move_them():
    world = world_of("Sardine-SlateTopK-Bored-v0")
    users = played(world)
    seen = engine.observe(world, users.session)
    other = replace(seen, history=replace(seen.history, id=torch.flip(seen.history.id, [0])))
    inputs = Inputs(world)
    assert not torch.allclose(inputs.vector(seen), inputs.vector(other))
