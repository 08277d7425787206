"""Top-K REINFORCE: its weights in closed form, a known optimum, and logs of other policies."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from five_items import BEST, five_items

from slategym.agents.core.random_slates import Random
from slategym.agents.policy_gradient import reinforce
from slategym.agents.policy_gradient.reinforce import ReinforceSettings, ReinforceTopK
from slategym.agents.policy_gradient.replayed_log import replayed
from slategym.agents.slates.off_policy import chance, importance, multiplier
from slategym.agents.slates.plackett_luce import log_prob
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import writing

SHORT = ReinforceSettings(
    num_steps=4_096, num_users=32, rollout=8, updates=8, gamma=0.0, entropy=0.0
)


def lucks(num):
    """Many streams of one request."""
    return Luck.at(torch.arange(num).int(), torch.zeros(num).int())


def test_with_one_slot_it_is_plain_reinforce():
    logp = torch.linspace(-8.0, -0.01, 20)
    torch.testing.assert_close(multiplier(logp, 1), torch.ones(20))
    torch.testing.assert_close(importance(logp, logp, 20.0), torch.ones(20))


@pytest.mark.parametrize("slots", [1, 2, 10])
def test_the_multiplier_is_the_slope_of_being_in_the_slate(slots):
    prob, step = torch.linspace(0.01, 0.95, 30, dtype=torch.float64), 1e-6
    slope = chance((prob + step).log(), slots) - chance((prob - step).log(), slots)
    torch.testing.assert_close(multiplier(prob.log(), slots), slope / (2 * step))


def test_limits_of_the_multiplier():
    """Section 4.3: K where the policy hardly shows it, nothing where it is sure to."""
    few = torch.tensor([1e-9, 1.0]).log()
    assert multiplier(few, 16).tolist() == pytest.approx([16.0, 0.0], abs=1e-5)


def test_weights_are_capped():
    assert importance(torch.tensor(0.0), torch.tensor(-9.0), 20.0) == pytest.approx(20.0)


@pytest.fixture(scope="module")
def trained():
    world = five_items()
    return ReinforceTopK(world, SHORT).learn(world)


def everybody(world, num):
    """The same request, many times."""
    zero_B = torch.zeros(num, dtype=torch.int32)
    return engine.observe(world, engine.start(world, zero_B, zero_B, zero_B))


def test_it_finds_the_best_slate_of_five_items(trained):
    slate_BK = trained.act(everybody(trained.world, 4), lucks(4)).slate
    assert {frozenset(slate) for slate in slate_BK.tolist()} == {frozenset(BEST)}


@pytest.fixture(scope="module")
def distinct():
    world = five_items()
    return ReinforceTopK(world, replace(SHORT, draws="distinct", uniform_prob=0.0)).learn(world)


def test_distinct_draws_find_the_best_slate_too(distinct):
    slate_BK = distinct.act(everybody(distinct.world, 4), lucks(4)).slate
    assert {frozenset(slate) for slate in slate_BK.tolist()} == {frozenset(BEST)}


def test_distinct_draws_hold_no_item_twice_and_have_their_exact_probability():
    agent = ReinforceTopK(five_items(), replace(SHORT, draws="distinct"))
    people, luck = everybody(agent.world, 500), lucks(500)
    drawn = agent.explore(people, luck)
    assert (drawn.slate[:, 0] != drawn.slate[:, 1]).all() and len(drawn.slate.unique(dim=0)) > 5
    scores = agent._scores(agent.policy, agent.face.show(people))
    torch.testing.assert_close(drawn.logp, log_prob(scores, drawn.slate.long()).sum(1).detach())


def test_distinct_draws_may_be_served_more_sharply(distinct):
    people, luck = everybody(distinct.world, 500), lucks(500)
    scores = distinct._scores(distinct.policy, distinct.face.show(people))
    seen = {}
    for sharpness in (0.2, 1.0, 5.0):
        agent = ReinforceTopK(distinct.world, replace(SHORT, draws="distinct", sharpness=sharpness))
        agent.load_weights(distinct.weights())
        slate_BK = agent.act(people, luck).slate
        seen[sharpness] = float(log_prob(scores, slate_BK.long()).sum(1).detach().mean())
        assert torch.equal(slate_BK, agent.explore(people, luck).slate) == (sharpness == 1.0)
    assert seen[0.2] < seen[1.0] - 0.1 and seen[1.0] < seen[5.0]


def moved(most_kl):
    """Half the mean squared change of log-probabilities over a rollout's updates, nats a slot."""
    settings = replace(SHORT, draws="distinct", uniform_prob=0.0, remembered=1)
    settings = replace(settings, learning_rate=1e-2, most_kl=most_kl)
    agent = ReinforceTopK(five_items(), settings)
    agent.begin(agent.world)
    agent.cycle()
    shown = {name: x.flatten(0, 3) for name, x in agent.memory.shown.items()}
    scores = agent._scores(agent.policy, shown)
    after = log_prob(scores, agent.memory.slate.flatten(0, 3)).detach()
    return float(0.5 * (after - agent.memory.logp.flatten(0, 3)).square().mean())


def test_a_rollout_moves_the_policy_no_further_than_it_may():
    """Far steps are taken back to less than asked: what they change is less than quadratic."""
    near, nearer = moved(4e-3), moved(1e-3)
    assert 2e-4 < near < 6e-3 and 5e-5 < nearer < 1.5e-3
    assert nearer < 0.5 * near
    assert moved(None) > 10 * 4e-3


def test_a_critic_credits_a_slot_with_its_own_part_of_what_follows():
    """A slate's surprise beyond its reward reaches a slot through the critic alone."""
    world = five_items()
    gains = {}
    for draws in ("distinct", "credited"):
        agent = ReinforceTopK(world, replace(SHORT, draws=draws))
        agent.begin(world)
        few = agent._play()
        few = replace(few, shown={n: x.flatten(1, 2) for n, x in few.shown.items()})
        few = replace(few, slate=few.slate.flatten(1, 2), reward=few.reward.flatten(1, 2))
        surprise_SR = torch.linspace(0.0, 9.0, few.slate.shape[1])[None]
        with torch.no_grad():
            gains[draws], _ = agent._gains(few, surprise_SR)
            other, missed_S = agent._gains(few, 2.0 * surprise_SR)
        assert torch.equal(gains[draws], other) == (draws == "credited")
        assert (missed_S > 0).all() == (draws == "credited")
    # of two slots, what one is credited with is taken from the other
    torch.testing.assert_close(gains["credited"].sum(2), torch.zeros_like(surprise_SR))


def test_what_follows_a_slate_may_be_what_was_expected(monkeypatch):
    """TD(0): a slate's total is its reward and the discounted value of the next request."""
    monkeypatch.setattr(reinforce, "TD_LAMBDA", 0.0)
    agent = ReinforceTopK(five_items(), replace(SHORT, gamma=0.5, draws="distinct"))
    generator = torch.Generator().manual_seed(0)
    x_STBX = torch.randn(1, 3, 4, agent.value.weights["trunk.0.weight"].shape[2])
    reward_STB = torch.rand(1, 3, 4, generator=generator)
    ended_STB = torch.zeros(1, 3, 4, dtype=torch.bool)
    ended_STB[0, 1, 2] = True
    with torch.no_grad():
        total_STB = agent._totals(reward_STB, x_STBX, x_STBX[:, 0], ended_STB)
        value_STB = agent.value(x_STBX.flatten(1, 2)).view(1, 3, 4) * agent.scale_S
    next_STB = torch.cat([value_STB[:, 1:], value_STB[:, :1]], 1) * ~ended_STB
    torch.testing.assert_close(total_STB, reward_STB + 0.5 * next_STB)


def test_without_the_multiplier_a_single_item_is_enough(trained):
    """What lambda_K is for: at equal steps the second item keeps more of the policy with it.

    How much both keep falls with every step, so their shares are held against each other.
    """
    world = five_items()
    alone = ReinforceTopK(world, replace(SHORT, draws="single")).learn(world)
    shares = []
    for agent in (trained, alone):
        shown = agent.face.show(everybody(world, 1))
        share_5 = agent._logp(agent.policy, shown).detach().exp()[0]
        shares.append(sorted(share_5.tolist(), reverse=True)[:2])
    assert shares[1][0] > 0.95 > shares[0][0]
    assert shares[0][1] > 3.0 * shares[1][1]


def test_draws_are_what_their_propensities_say_and_weights_are_unbiased(trained):
    """A value under the policy from slates of the mix, whose mean the weights put right."""
    world, num = trained.world, 40_000
    agent = ReinforceTopK(world, replace(SHORT, uniform_prob=0.5))
    agent.load_weights(trained.weights())
    shown = agent.face.show(everybody(world, num))
    target_BN = agent._logp(agent.policy, shown).detach()
    slate_BK, logp_BK = agent._draw(target_BN, shown, lucks(num))
    mix_N = 0.5 * target_BN[0].exp() + 0.1
    share_N = torch.nn.functional.one_hot(slate_BK, 5).float().mean((0, 1))
    torch.testing.assert_close(share_N, mix_N, atol=0.01, rtol=0.0)
    torch.testing.assert_close(logp_BK[0], mix_N.log()[slate_BK[0]])
    worth_N = torch.tensor([3.0, 1.0, -2.0, 5.0, 0.5])
    weight_BK = importance(target_BN.gather(1, slate_BK), logp_BK, 1e9)
    estimate = (weight_BK * worth_N[slate_BK]).mean()
    truth = (target_BN[0].exp() * worth_N).sum()
    assert estimate == pytest.approx(float(truth), abs=0.05)
    assert abs(worth_N[slate_BK].mean() - truth) > 0.2  # without the weights it is another number


def write(world, policy, path, num=400, seed=3):
    with writing(world, path) as log:
        play(world, policy, torch.arange(num), seed=seed, on_slate=log.add)


def test_it_learns_from_the_log_of_a_random_policy(tmp_path):
    world, path = five_items(), tmp_path / "slates.parquet"
    write(world, Random(5, 2), path)
    agent = ReinforceTopK(world, replace(SHORT, learning_rate=1e-3))
    agent.learn_log(world, path, seed=3, updates=100)
    assert set(agent.act(everybody(world, 1), lucks(1)).slate[0].tolist()) == BEST


def test_a_log_is_lived_through_as_it_was(tmp_path):
    world, path = make_world("InterestEvolution-v0"), tmp_path / "slates.parquet"
    write(world, Random(10, 3), path, num=20)
    log = replayed(world, path, 3, lambda observation: {"revealed": observation.revealed})
    rows = pd.read_parquet(path)
    assert int(log.alive.sum()) * 3 == len(rows) and log.ended.sum(0).tolist() == [1] * 20
    first = rows[(rows["user"] == 7) & (rows["step"] == 0)]
    assert log.logp[0, 7].exp() == pytest.approx(first["propensity"].iloc[0])
    assert log.shown["revealed"].shape[:2] == log.alive.shape


def test_a_log_from_elsewhere_is_refused(tmp_path):
    world, path = five_items(), tmp_path / "slates.parquet"
    agent = ReinforceTopK(world, SHORT)
    write(world, Random(5, 2), path)
    with pytest.raises(UsageError, match="seed 4: at step 0 other slots are clicked"):
        agent.learn_log(world, path, seed=4, updates=1)
    write(world, agent, path)  # it serves its mode
    with pytest.raises(UsageError, match="did not draw its slates"):
        agent.learn_log(world, path, seed=3, updates=1)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"uniform_prob must be in \[0, 1\], got 1.5"):
        ReinforceTopK(five_items(), replace(SHORT, uniform_prob=1.5))
