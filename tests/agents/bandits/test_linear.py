"""Linear bandits: the algebra against plain sums, the known optimum, resuming, seeds apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from five_items import APPEAL, BEST, five_items
from torch import Tensor

from slategym.agents.bandits.linear import (
    Evidence,
    LinearBanditSettings,
    LinUCB,
    Posterior,
    Thompson,
)
from slategym.agents.registry import load_agent
from slategym.envs import engine
from slategym.envs.choice import Cascade
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

S, B, K, Q, P, N = 2, 5, 3, 3, 4, 6
SHORT = LinearBanditSettings(num_steps=3_000, num_users=16, slates=4)
BOTH = pytest.mark.parametrize("kind", [LinUCB, Thompson])


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def read() -> tuple[Evidence, Tensor, Tensor]:
    """Two rounds of evidence; and the same as plain rows x (S, R, W) and rewards (S, R)."""
    evidence, rows, rewards = Evidence.none(S, Q * P, torch.device("cpu")), [], []
    for turn in range(2):
        user, item = some(S, B, Q) + turn, some(S, B, K, P) - turn
        read, reward = (some(S, B, K).abs() < 1.5) * 0.5, some(S, B, K + turn)[..., :K]
        reward = reward * (read > 0)
        evidence = evidence.plus(user, item, read, reward)
        x = (user[:, :, None, :, None] * item[:, :, :, None, :]).flatten(3) * read[..., None]
        rows.append(x.flatten(1, 2))
        rewards.append(reward.flatten(1))
    return evidence, torch.cat(rows, 1).double(), torch.cat(rewards, 1).double()


def posterior_of(read: tuple[Evidence, Tensor, Tensor]) -> tuple[Posterior, Tensor]:
    """The posterior, and V^-1 by plain inversion."""
    evidence, x, _ = read
    inverse = torch.linalg.inv(x.transpose(1, 2) @ x + 0.7 * torch.eye(Q * P))
    return Posterior.given(evidence, 0.7, Q), inverse


def test_the_regression_is_the_textbooks(read: tuple[Evidence, Tensor, Tensor]) -> None:
    posterior, inverse = posterior_of(read)
    _, x, reward = read
    theta = (inverse @ x.transpose(1, 2) @ reward[..., None])[..., 0]
    torch.testing.assert_close(posterior.mean.flatten(1), theta.float(), atol=1e-5, rtol=1e-4)
    user, items = some(S, B, Q), some(N, P)
    pairs = (user[:, :, None, :, None] * items[:, None, :]).flatten(3).double()
    worth = (pairs @ theta[:, None, :, None])[..., 0]
    torch.testing.assert_close(posterior.worth(user, items), worth.float(), atol=1e-4, rtol=1e-3)
    error = reward - (x @ theta[..., None])[..., 0]
    squares = error.square().sum(1) + 0.7 * theta.square().sum(1)
    noise = (squares / (x != 0).any(2).sum(1)).sqrt()
    torch.testing.assert_close(posterior.noise, noise.float(), rtol=1e-4, atol=1e-5)
    width = ((pairs @ inverse[:, None]) * pairs).sum(3).sqrt() * noise[:, None, None]
    torch.testing.assert_close(
        posterior.deviation(user, items), width.float(), rtol=1e-3, atol=1e-4
    )


def test_draws_have_the_posteriors_mean_and_covariance(
    read: tuple[Evidence, Tensor, Tensor],
) -> None:
    posterior, inverse = posterior_of(read)
    luck = Luck.at(torch.arange(S * 20_000, dtype=torch.int32), torch.ones(1, dtype=torch.int32))
    drawn = posterior.draw(luck.normal(1, Q * P).view(S, 20_000, -1), 2.0).flatten(2)
    off = (drawn - posterior.mean.flatten(1)[:, None]).double()
    seen = off.transpose(1, 2) @ off / 20_000
    want = 4.0 * posterior.noise.double().square()[:, None, None] * inverse
    assert (seen - want).abs().max() < 0.05 * want.abs().max()


def observed(world: World, size: int = 8) -> tuple[Observation, Luck]:
    user_B = torch.arange(size, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def shown(agent: LinUCB | Thompson, world: World) -> list[set[int]]:
    return [set(slate) for slate in agent.act(*observed(world)).slate.tolist()]


@BOTH
def test_it_finds_the_best_slate(kind: type[LinUCB]) -> None:
    world = five_items()
    agent = kind(world, SHORT, seeds=[0, 1]).learn(world)
    for agent.serving in (0, 1):
        assert shown(agent, world) == [BEST] * 8
    assert len(agent.curve) > 3


@BOTH
def test_people_who_stop_reading_are_understood(kind: type[LinUCB]) -> None:
    """Else what stands below a good item would look bad."""
    world = replace(five_items(), choice=Cascade(), slate_size=3)
    agent = kind(world, SHORT).learn(world)
    seen, luck = observed(world)
    assert agent.act(seen, luck).slate[:, :2].tolist() == [[1, 4]] * 8
    user_1BQ = agent.features.users(seen)[None]
    worth_BN = agent.posterior.worth(user_1BQ, agent.features.items_NP)[0]
    chance_2 = torch.tensor([APPEAL[1], APPEAL[4]]).sigmoid()  # the second is read by 4 in 10
    worth_2 = worth_BN[0, [1, 4]] / world.objective[0]  # clicks
    torch.testing.assert_close(worth_2, chance_2, atol=0.1, rtol=0)


@BOTH
def test_seed_3_of_4_is_seed_3_alone(kind: type[LinUCB]) -> None:
    world, brief = five_items(), replace(SHORT, num_steps=640)
    together = kind(world, brief, seeds=[5, 1, 3, 0]).learn(world)
    alone = kind(world, brief, seeds=[3]).learn(world)
    torch.testing.assert_close(together.evidence.gram[2], alone.evidence.gram[0])
    torch.testing.assert_close(together.evidence.moment[2], alone.evidence.moment[0])
    assert not torch.equal(together.evidence.gram[0], alone.evidence.gram[0])


@BOTH
def test_killed_and_resumed_it_ends_where_the_unbroken_one_does(
    kind: type[LinUCB], tmp_path
) -> None:  # type: ignore[no-untyped-def]
    world, brief = five_items(), replace(SHORT, num_steps=640)
    whole = kind(world, brief).learn(world)
    kind(world, brief).learn(
        world, folder=tmp_path, checkpoint_every=0.0, callback=lambda now: now.steps < 320
    )
    again = kind(world, brief).learn(world, folder=tmp_path)
    expected, found = whole.state_dict(), again.state_dict()
    assert expected.keys() == found.keys()
    for name, x in expected.items():
        assert torch.equal(found[name], x), name
    with pytest.raises(UsageError, match=r"other settings .*exploration"):
        kind(world, replace(brief, exploration=2.0)).learn(world, folder=tmp_path)


@BOTH
def test_loaded_it_serves_the_same_slates(kind: type[LinUCB], tmp_path) -> None:  # type: ignore[no-untyped-def]
    world = make_world("InterestEvolution-v0")
    agent = kind(world, replace(SHORT, num_steps=640)).learn(world)
    agent.save(tmp_path)
    back = load_agent(tmp_path, world)
    seen, luck = observed(world)
    assert torch.equal(back.act(seen, luck).slate, agent.act(seen, luck).slate)
    exploring = agent.explore(seen, luck)
    assert torch.equal(back.explore(seen, luck).slate, exploring.slate) and exploring.logp is None
    assert not torch.equal(exploring.slate, agent.act(seen, luck).slate)


def test_it_learns_whom_to_show_what() -> None:
    """Random slates would have a regret of one."""
    world = make_world("InterestEvolution-v0")
    agent = LinUCB(world, LinearBanditSettings(num_steps=7_680)).learn(world)
    seen, luck = observed(world, 500)
    assert seen.candidates is not None and seen.revealed is not None
    interest_BC = seen.revealed.gather(1, seen.candidates.long())
    best_BK = interest_BC.sort(1, descending=True).values[:, :3].mean(1)
    chosen_BK = interest_BC.gather(1, agent.act(seen, luck).slate.long()).mean(1)
    regret = (best_BK - chosen_BK).mean() / (best_BK - interest_BC.mean(1)).mean()
    assert regret < 0.3


@pytest.mark.parametrize(
    ("name", "value"), [("exploration", -1.0), ("ridge", 0.0), ("num_users", 0)]
)
def test_settings_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} must be|{name}={value}"):
        LinearBanditSettings(**{name: value})  # type: ignore[arg-type]
