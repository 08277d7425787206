"""Laws of slates: they sum to one, and what is drawn comes as often as they say."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from slategym.agents.baselines.fixed import Popularity
from slategym.agents.core.random_slates import Random
from slategym.agents.core.stochastic import PointMass, PopularitySoftmax, SlotTable, smoothed
from slategym.agents.types import Stochastic
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world

C, K, DRAWN = 5, 2, 20_000
COUNT = torch.tensor([6.0, 1.0, 3.0, 0.0, 2.0])
TABLE = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.0], [0.5, 0.1, 0.1, 0.1, 0.2]])
POPULAR = PointMass(Popularity(COUNT, K), C)


def seen(allowed=None, users=1):
    """Requests of a catalogue of five, all alike."""
    world = make_world("Workbench-v0", num_items=C, slate_size=K)
    user_B = torch.zeros(users, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, user_B)
    observation = engine.observe(world, session)
    if allowed is None:
        return observation
    return type(observation)(**{**vars(observation), "allowed": allowed.expand(users, -1)})


def probabilities(policy: Stochastic, observation) -> dict[tuple[int, ...], float]:
    """Of every ordered slate, by its law."""
    return {
        slate: float(policy.logp(observation, torch.tensor([slate])).sum().exp())
        for slate in permutations(range(C), K)
    }


POLICIES = [
    Random(C, K),
    PopularitySoftmax(COUNT, K),
    SlotTable(TABLE, "table"),
    POPULAR,
    smoothed(POPULAR, Random(C, K), 0.3),
    smoothed(PopularitySoftmax(COUNT, K), POPULAR, 0.25),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_what_is_drawn_comes_as_often_as_the_law_says(policy: Stochastic) -> None:
    prob = probabilities(policy, seen())
    assert sum(prob.values()) == pytest.approx(1.0, abs=1e-5)
    slate_BK = policy.act(seen(users=DRAWN), Luck(torch.arange(DRAWN, dtype=torch.int32))).slate
    rows, counts = slate_BK.unique(dim=0, return_counts=True)
    often = {
        tuple(row): count / DRAWN for row, count in zip(rows.tolist(), counts.tolist(), strict=True)
    }
    for slate, p in prob.items():
        assert often.get(slate, 0.0) == pytest.approx(
            p, abs=4 * (p * (1 - p) / DRAWN) ** 0.5 + 1e-4
        )


@pytest.mark.parametrize("policy", [*POLICIES[:2], *POLICIES[3:5]], ids=lambda policy: policy.name)
def test_marginals_are_sums_of_the_law(policy: Stochastic) -> None:
    """Exact, or the mean of a few draws, which is right on average."""
    found_KC = policy.marginal(seen(users=200)).exp().mean(0)
    wanted_KC = torch.zeros(K, C)
    for slate, p in probabilities(policy, seen()).items():
        for k, item in enumerate(slate):
            wanted_KC[k, item] += p
    torch.testing.assert_close(found_KC, wanted_KC, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("policy", POLICIES[:2], ids=lambda policy: policy.name)
def test_what_may_not_be_shown_has_no_chance(policy: Stochastic) -> None:
    observation = seen(torch.tensor([True, True, False, True, True]))
    prob = probabilities(policy, observation)
    assert sum(prob.values()) == pytest.approx(1.0, abs=1e-5)
    assert all(p == 0 for slate, p in prob.items() if 2 in slate)


def test_empty_slots_say_nothing() -> None:
    whole = Random(C, K).logp(seen(), torch.tensor([[-1, 3]]))
    torch.testing.assert_close(whole, torch.tensor([[0.0, -torch.log(torch.tensor(5.0)).item()]]))


def test_a_share_is_a_share() -> None:
    with pytest.raises(UsageError, match=r"a share of slates is in \[0, 1\), got 1"):
        smoothed(POPULAR, Random(C, K), 1.0)
    assert smoothed(POPULAR, Random(C, K), 0.0) is POPULAR
