"""The parts of SAC: densities that integrate to one, a replay that keeps order, a known optimum."""

from __future__ import annotations

import torch

from slategym.agents.core.ensemble import Ensemble
from slategym.agents.latent.sac import (
    GaussianActor,
    SacSettings,
    SoftActorCritic,
    TransitionReplay,
    mean_action,
    sample,
)
from slategym.envs.luck import Luck

CPU = torch.device("cpu")


def luck_at(count: int) -> Luck:
    return Luck.at(torch.tensor([3], dtype=torch.int32), torch.tensor([count], dtype=torch.int32))


def test_the_squashed_density_is_that_of_torch() -> None:
    actor = Ensemble(lambda: GaussianActor(2, 3, (8,)), [0, 1], CPU)
    seen_SBX, noise_SBA = torch.randn(2, 50, 2), torch.randn(2, 50, 3)
    with torch.no_grad():
        action_SBA, logp_SB = sample(actor, seen_SBX, noise_SBA)
        mean_SBA, log_std_SBA = actor(seen_SBX)
    normal = torch.distributions.Normal(mean_SBA.double(), log_std_SBA.double().exp())
    squashed = torch.distributions.TransformedDistribution(
        normal, [torch.distributions.TanhTransform()]
    )
    near = action_SBA.double().clamp(-1 + 1e-6, 1 - 1e-6)
    clear_SB = (action_SBA.abs() < 0.999).all(2)  # where the inverse of tanh is exact enough
    assert clear_SB.float().mean() > 0.5
    expected_SB = squashed.log_prob(near).sum(2)
    torch.testing.assert_close(
        logp_SB.double()[clear_SB], expected_SB[clear_SB], atol=1e-2, rtol=1e-3
    )


def test_the_oldest_make_room_and_seeds_keep_apart() -> None:
    replay = TransitionReplay(2, 5, {"x": torch.zeros(())})
    for begin in (0, 3, 6):
        x_B = torch.arange(begin, begin + 3).float()
        replay.add({"x": torch.stack([x_B, 100 + x_B])})
    assert sorted(replay.columns["x"][0].tolist()) == [4, 5, 6, 7, 8]
    luck = Luck.at(torch.tensor([1, 2], dtype=torch.int32), torch.zeros(2, dtype=torch.int32))
    drawn_SM = replay.draw(luck, 200)["x"]
    assert set(drawn_SM[0].tolist()) == {4, 5, 6, 7, 8}
    assert set(drawn_SM[1].tolist()) == {104, 105, 106, 107, 108}
    assert not torch.equal(drawn_SM[0] + 100, drawn_SM[1])


def test_only_what_is_there_is_drawn() -> None:
    replay = TransitionReplay(1, 50, {"x": torch.zeros(())})
    replay.add({"x": torch.ones(1, 4)})
    assert replay.draw(luck_at(0), 64)["x"].eq(1).all()


def test_it_finds_the_best_action_of_a_bandit() -> None:
    """The reward is -(a - x)^2: the best action is what is seen."""
    settings = SacSettings(gamma=0.0, batch=64, actor_rate=3e-3, critic_rate=1e-2, hidden=(32,))
    sac = SoftActorCritic(1, 1, settings, [0], CPU)
    for count in range(200):
        luck = luck_at(count)
        seen_1MX = luck.uniform(1, 64).view(1, 64, 1) - 0.5
        action_1MA = luck.uniform(2, 64).view(1, 64, 1) * 2 - 1
        batch = {
            "seen": seen_1MX,
            "action": action_1MA,
            "reward": -10 * (action_1MA - seen_1MX).square()[..., 0],
            "next": seen_1MX,
            "alive": torch.ones(1, 64),
        }
        sac.learn(batch, luck)
    x_1BX = torch.tensor([[[-0.4], [0.0], [0.4]]])
    with torch.no_grad():
        assert (mean_action(sac.actor, x_1BX) - x_1BX).abs().max() < 0.2


def test_its_entropy_goes_to_the_target() -> None:
    """With nothing to gain the temperature holds the actor at -A nats."""
    sac = SoftActorCritic(1, 2, SacSettings(gamma=0.0, hidden=(16,)), [0], CPU)
    with torch.no_grad():
        sac.log_alpha.fill_(-1.0)
    zero = torch.zeros(1, 64, 1)
    batch = {"seen": zero, "next": zero, "action": torch.zeros(1, 64, 2)}
    batch |= {"reward": torch.zeros(1, 64), "alive": torch.ones(1, 64)}
    first = float(sac.log_alpha.detach())
    for count in range(5):
        sac.learn(batch, luck_at(count))
    with torch.no_grad():
        _, logp_1M = sample(sac.actor, zero, luck_at(9).normal(5, 128).view(1, 64, 2))
    falls = -float(logp_1M.mean()) > -2.0  # more entropy than asked for
    assert (float(sac.log_alpha.detach()) < first) == falls
