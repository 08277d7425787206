"""TorchRL's face: its checker on every world, and the same story as Gymnasium's."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of imports that are not ours
    pytest.importorskip("torchrl", reason="pip install slategym[torchrl]")
    from torchrl.envs.utils import check_env_specs

from own_worlds import OWN
from small_worlds import learned_world

from slategym.agents.adapters.torchrl import SlateTensorDictEnv
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World

pytestmark = pytest.mark.filterwarnings("ignore")  # TorchRL's own
FRESH = "slategym/InterestEvolution-v0"


@pytest.mark.parametrize("id", [*OWN, "learned"])
def test_its_checker_passes(id: str) -> None:
    where: World | str = learned_world() if id == "learned" else id
    check_env_specs(SlateTensorDictEnv(where, 3, max_episode_steps=4))


@pytest.mark.parametrize("id", [FRESH, "slategym/DayInLife-v0", "learned"])
def test_it_tells_gymnasiums_story_through_ends(id: str) -> None:
    world = learned_world() if id == "learned" else make_world(id)
    ours = SlateTensorDictEnv(world, 5, seed=3, max_episode_steps=6)
    theirs = SlateVectorEnv(world, 5, as_tensor=True, max_episode_steps=6)
    now, (seen, _) = ours.reset(), theirs.reset(seed=3)
    theirs.action_space.seed(0)
    for _ in range(14):
        for name, x in seen.items():
            if name == "action_mask":  # for every slot here
                x = x[:, None].expand(-1, world.slate_size, -1)
            torch.testing.assert_close(now[name].to(x.dtype), x, atol=1e-5, rtol=1e-5)
        slate_BK = torch.as_tensor(theirs.action_space.sample())
        stepped, now = ours.step_and_maybe_reset(now.set("action", slate_BK.long()))
        seen, reward_B, left_B, cut_B, _ = theirs.step(slate_BK)
        after = stepped["next"]
        torch.testing.assert_close(after["reward"][:, 0], reward_B, atol=1e-5, rtol=1e-5)
        assert torch.equal(after["terminated"][:, 0], left_B)
        assert torch.equal(after["truncated"][:, 0], cut_B)
        assert torch.equal(after["done"], after["terminated"] | after["truncated"])


def test_a_rollout_goes_over_ends_and_is_seeded() -> None:
    def reward(seed: int) -> torch.Tensor:
        env = SlateTensorDictEnv(FRESH, 4, max_episode_steps=5)
        env.set_seed(seed)
        first_BK = torch.arange(3).expand(4, 3)
        told = env.rollout(
            12, policy=lambda td: td.set("action", first_BK), break_when_any_done=False
        )
        assert told["next", "truncated"][..., 0].nonzero()[:, 1].tolist() == [4, 9] * 4
        return told["next", "reward"]

    assert torch.equal(reward(1), reward(1))
    assert not torch.equal(reward(1), reward(2))


def test_a_reset_seats_the_next_users_where_asked() -> None:
    env = SlateTensorDictEnv(FRESH, 3)
    env.reset()
    mask_B1 = torch.tensor([[True], [False], [True]])
    env.reset(env.fake_tensordict().exclude("next").set("_reset", mask_B1))
    assert env._session is not None and env._session.user_id.tolist() == [3, 1, 5]
    env.reset()
    assert env._session.user_id.tolist() == [6, 4, 8]
    env.set_seed(9)
    env.reset()
    assert env._session.user_id.tolist() == [0, 1, 2] and env._session.seed.tolist() == [9] * 3


def test_global_generators_are_untouched() -> None:
    def generators() -> tuple[object, ...]:
        theirs = str(np.random.get_state())  # noqa: NPY002
        return torch.get_rng_state().tolist(), random.getstate(), theirs

    env, before = SlateTensorDictEnv(FRESH, 3, max_episode_steps=2), generators()
    now = env.reset()
    for _ in range(4):
        _, now = env.step_and_maybe_reset(now.set("action", torch.zeros(3, 3).long()))
    assert generators() == before


def test_mistakes_are_named() -> None:
    with pytest.raises(UsageError, match="num_envs must be positive, a whole number; got 0"):
        SlateTensorDictEnv(FRESH, 0)
    env = SlateTensorDictEnv(FRESH, 2)
    now = env.reset()
    with pytest.raises(ValueError, match=r"in \[0, 10\).*got 10"):
        env.step(now.set("action", torch.full((2, 3), 10)))
    with pytest.raises(ValueError, match=r"got torch\.float32"):
        env.step(now.set("action", torch.zeros(2, 3)))
