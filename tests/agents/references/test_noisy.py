"""The ranker that is nearly right: its law is what it draws, and it is nearly right."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.references.noisy import NoisyGreedy
from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world

DRAWN = 20_000
WORLD = make_world("Scenario-Finance-v0", num_items=12, slate_size=2)


def seen(user_B):
    session = engine.start(WORLD, 0 * user_B, user_B, 0 * user_B)
    return replace(engine.observe(WORLD, session), hidden=session)


@pytest.mark.parametrize("name", ["noisy-greedy", "noisy-greedy-mixed", "popularity-softmax"])
def test_slates_come_as_often_as_they_say(name):
    """One person at one request, again and again; what the rule forbids never comes."""
    policy, user = make_policy(name, WORLD), 1
    one = seen(torch.tensor([user], dtype=torch.int32))
    assert 2 <= int(one.allowed.sum()) < 12
    prob = {
        slate: float(policy.logp(one, torch.tensor([slate])).sum().exp())
        for slate in permutations(range(12), 2)
    }
    assert sum(prob.values()) == pytest.approx(1.0, abs=1e-5)
    many = seen(torch.full((DRAWN,), user, dtype=torch.int32))
    action = policy.act(many, Luck(torch.arange(DRAWN, dtype=torch.int32)))
    torch.testing.assert_close(action.slot_logp.sum(1), action.logp)
    torch.testing.assert_close(policy.logp(many, action.slate), action.slot_logp)
    rows, counts = action.slate.unique(dim=0, return_counts=True)
    often = dict(zip(map(tuple, rows.tolist()), (counts / DRAWN).tolist(), strict=True))
    for slate, p in prob.items():
        error = 5 * (max(p, 1 / DRAWN) / DRAWN) ** 0.5
        assert abs(often.get(slate, 0.0) - p) <= error, slate
        if not bool(one.allowed[0, list(slate)].all()):
            assert p == 0.0


def test_it_earns_between_random_and_the_truth():
    world = make_world("Scenario-Shop-v0", strength=0.0, num_items=80)
    user_B = torch.arange(128, dtype=torch.int32)
    policies = [make_policy("random", world), NoisyGreedy(world), Myopic(world)]
    low, noisy, best = (float(earned(world, one, user_B, 3).mean()) for one in policies)
    assert low + 0.2 * (best - low) < noisy < 0.95 * best
    sharp = float(earned(world, NoisyGreedy(world, 0.0, 0.05), user_B, 3).mean())
    assert sharp > noisy and sharp == pytest.approx(best, rel=0.1)


def test_without_the_truth_it_says_so():
    hidden = seen(torch.arange(2, dtype=torch.int32))
    with pytest.raises(ValueError, match=r"needs observation\.hidden"):
        NoisyGreedy(WORLD).act(replace(hidden, hidden=None), Luck(torch.arange(2)))
    with pytest.raises(UsageError, match=r"temperature must be above 0"):
        NoisyGreedy(WORLD, temperature=0.0)
