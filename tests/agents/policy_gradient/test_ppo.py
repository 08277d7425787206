"""Native PPO: a known optimum, credit by item, the ranker as a start, seeds that pause."""

from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import pytest
import torch
from five_items import BEST, five_items
from small_worlds import learned_world, ranker_in

from slategym.agents.policy_gradient import ppo as plackett_luce_ppo
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings, clipped_gain
from slategym.agents.serving.export import check, export
from slategym.agents.slates.plackett_luce import log_prob
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.presets import find_preset, tuned

SHORT = PPOSettings(num_steps=4_096, num_users=32, rollout=8, minibatch=128, gamma=0.0, entropy=0.0)
TINY = PPOSettings(num_steps=256, num_users=8, rollout=8, minibatch=32, epochs=2)
WORLDS = ["InterestEvolution-v0", "Sardine-SlateTopK-BoredInf-v0", "TopicRec-Mixed-Diffuse-v1"]


class Request(NamedTuple):
    """What users are at, what it looks like, and their luck."""

    session: object
    observation: object
    luck: Luck


def requests(world, num=16):
    """The first of these users."""
    user_B = torch.arange(num, dtype=torch.int32)
    session = engine.start(world, user_B, user_B % world.population.size, 0 * user_B)
    return Request(session, engine.observe(world, session), Luck.at(session.key, session.step))


@pytest.mark.parametrize("credit", ["slate", "item"])
def test_it_finds_the_best_slate_of_five_items(credit):
    world = five_items()
    agent = PlackettLuce(world, replace(SHORT, credit=credit)).learn(world)
    slate_BK = agent.act(*requests(world)[1:]).slate
    assert {frozenset(slate) for slate in slate_BK.tolist()} == {frozenset(BEST)}


@pytest.mark.parametrize("id", WORLDS)
def test_it_acts_in_any_world_with_exact_log_probabilities(id):
    world = make_world(id)
    agent = PlackettLuce(world, TINY).learn(world)
    session, observation, luck = requests(world)
    action = agent.explore(observation, luck)
    assert engine.pick(world, session, action.slate)[1].all()
    scores = agent._served(agent.face.show(observation))
    torch.testing.assert_close(action.logp, log_prob(scores, action.slate.long()).sum(1))


@pytest.mark.parametrize("serve", ["mode", "draw", "sharp"])
def test_it_says_how_likely_it_serves_a_slate(serve):
    """Over all slates of two from five items; what it shows is as likely as it says."""
    world = five_items()
    agent = PlackettLuce(world, replace(TINY, serve=serve))
    _, observation, luck = requests(world, 4)
    slates = torch.tensor(list(permutations(range(5), 2)), dtype=torch.int32)
    logp_LB = torch.stack([agent.logp(observation, slate.expand(4, -1)).sum(1) for slate in slates])
    torch.testing.assert_close(logp_LB.exp().sum(0), torch.ones(4))
    action = agent.act(observation, luck)
    own_B = torch.zeros(4) if action.logp is None else action.logp
    torch.testing.assert_close(agent.logp(observation, action.slate).sum(1), own_B)


def test_it_serves_its_mode_or_draws_as_it_says():
    world = five_items()
    _, observation, luck = requests(world, 64)
    for serve, as_explored in (("mode", False), ("draw", True)):
        agent = PlackettLuce(world, replace(TINY, serve=serve))
        slate_BK, explored = agent.act(observation, luck).slate, agent.explore(observation, luck)
        assert torch.equal(slate_BK, explored.slate) == as_explored
        assert (agent.act(observation, luck).logp is not None) == as_explored


def test_as_a_residual_it_begins_as_the_ranker():
    world = learned_world()
    agent = PlackettLuce(world, replace(TINY, shortlist=20), seeds=[1, 2])
    observation = requests(world).observation
    best_BK = ranker_in(world).retrieve(observation, world.slate_size).id
    assert torch.equal(agent.act(*requests(world)[1:]).slate.long(), best_BK)
    before = {name: x.clone() for name, x in agent.weights().items()}
    agent.learn(world)
    assert all(not torch.equal(x, before[name]) for name, x in agent.weights().items())
    assert agent.explore(observation, requests(world).luck).logp.lt(0).all()


def test_seeds_of_a_residual_policy_begin_apart():
    world = learned_world()
    agent = PlackettLuce(world, replace(TINY, shortlist=20), seeds=[1, 2])
    first = agent.weights()["network.topics.0.weight"]
    assert not torch.equal(first[0], first[1])


def test_a_residual_policy_can_be_recorded_for_any_number_of_users():
    world = learned_world()
    agent = PlackettLuce(world, replace(TINY, shortlist=20))
    assert check(agent, export(agent)) == 100


def test_a_slot_is_not_credited_with_what_others_earned():
    """Two slates that differ in who earned: by item the earner gains, by slate all alike."""
    world = make_world("Sardine-SlateTopK-Bored-v0", num_items=30, slate_size=2)
    found = {}
    for credit in ("slate", "item"):
        agent = PlackettLuce(world, replace(TINY, credit=credit, gamma=0.0))
        agent.begin(world)
        rollout = agent._play()
        reward = torch.zeros_like(rollout.reward)
        reward[:, :, ::2, 0], reward[:, :, 1::2, 1] = 1.0, 1.0
        found[credit] = agent._batch(rollout._replace(reward=reward)).advantage
    assert found["slate"].shape == (1, 64, 1) and found["item"].shape == (1, 64, 2)
    first_earns = found["item"].view(8, 8, 2)[:, ::2].mean((0, 1))
    assert first_earns[0] > 0.5 > -0.5 > first_earns[1]
    assert abs(found["slate"].view(8, 8)[:, ::2].mean()) < 0.5


def test_the_gain_is_clipped_on_one_side():
    """Equation 7: a good choice made likelier by more than the clip gains no more."""
    ratio, advantage = torch.tensor([1.5, 0.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert clipped_gain(ratio, advantage, 0.2).tolist() == pytest.approx([1.2, 0.5, -1.5, -0.8])


@pytest.mark.parametrize("most_kl", [1e-4, 10.0])
def test_seed_3_of_several_is_seed_3_alone_though_others_pause(most_kl, monkeypatch):
    monkeypatch.setattr(plackett_luce_ppo, "MOST_KL", most_kl)
    world = make_world("InterestEvolution-v0")
    together = PlackettLuce(world, TINY, seeds=[1, 3, 7]).learn(world)
    alone = PlackettLuce(world, TINY, seeds=[3]).learn(world)
    assert together.adam.updates_S[1] == alone.adam.updates_S[0]
    for name, x in alone.weights().items():
        torch.testing.assert_close(together.weights()[name][1:2], x, rtol=1e-3, atol=1e-4)


def test_epochs_end_early_where_a_policy_has_moved_far_enough(monkeypatch):
    world = make_world("InterestEvolution-v0")
    monkeypatch.setattr(plackett_luce_ppo, "MOST_KL", 10.0)
    full = PlackettLuce(world, TINY).learn(world)
    monkeypatch.setattr(plackett_luce_ppo, "MOST_KL", 1e-6)
    halted = PlackettLuce(world, TINY).learn(world)
    # of 4 rollouts with 2 epochs of 2 minibatches, the first epoch of each alone
    assert full.adam.updates_S.tolist() == [16.0] and halted.adam.updates_S.tolist() == [8.0]


def test_time_limits_end_a_session_or_are_looked_beyond():
    world = five_items()  # eight slates and out
    for bootstrap in (False, True):
        agent = PlackettLuce(world, replace(TINY, bootstrap=bootstrap))
        agent.begin(world)
        agent._batch(agent._play())  # sets the scale of values
        rollout = agent._play()
        assert rollout.ended[0, -1].all() and not rollout.ended[0, :-1].any()
        assert bool(rollout.beyond[0, -1].abs().gt(0).all()) == bootstrap
        assert not rollout.beyond[0, :-1].any()


def test_what_is_served_may_be_drawn_more_sharply_than_in_training():
    world = make_world("Sardine-SlateTopK-Bored-v0", history_size=4)
    _, people, luck = requests(world, 128)
    drawn = PlackettLuce(world, replace(TINY, serve="draw"))
    explored = drawn.explore(people, luck)
    assert torch.equal(drawn.act(people, luck).slate, explored.slate)
    scores = drawn._scores(drawn.policy, drawn.face, drawn.face.show(people))
    seen = []
    for serve in ("draw", "sharp"):
        agent = PlackettLuce(world, replace(TINY, serve=serve))
        assert torch.equal(agent.explore(people, luck).slate, explored.slate)
        slate_BK = agent.act(people, luck).slate.long()
        seen.append(float(log_prob(scores, slate_BK).sum(1).detach().mean()))
    assert seen[0] < seen[1] - 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minibatch": 100}, r"minibatch must divide num_users \* rollout = 64, got 100"),
        ({"credit": "topic"}, "credit is slate or item or critic, got 'topic'"),
        ({"serve": "best"}, "serve is mode or draw or sharp, got 'best'"),
        ({"shortlist": 2}, "shortlist must be 0 or at least 3"),
        ({"shortlist": 5}, "has no supervised model"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        PlackettLuce(make_world("InterestEvolution-v0"), replace(TINY, **changes))


@pytest.mark.parametrize("id", WORLDS[1:])
def test_topics_are_told_what_is_wanted_where_slates_are_remembered(id):
    """What was passed over changes the slate; without a memory of slates nobody knows of it."""
    world = make_world(id, history_size=8, shown_size=5)
    agent = PlackettLuce(world, replace(TINY, credit="item")).learn(world)
    plain = PlackettLuce(make_world(id, history_size=8), TINY)
    told, untold = (a.policy.weights["by_topic.0.weight"].shape[2] for a in (agent, plain))
    read = agent.face.inputs.topics
    revealed = int("Sardine" in id)
    assert told == read.per_topic + read.per_visit + 1 + revealed > untold
    assert (
        agent.policy.weights["last.bias"].shape[1] == 1 + plain.policy.weights["last.bias"].shape[1]
    )


@pytest.mark.slow
def test_it_learns_sardine():
    """A minute: what it reaches is in `docs/results/sardine.md`."""
    preset = find_preset("plackett-luce", "Sardine-SlateTopK-Bored-v0")
    world = make_world(preset.world, **preset.world_settings)
    settings = replace(tuned(preset.agent, preset.world), num_steps=64_000)
    agent = PlackettLuce(world, settings).learn(world)
    assert agent.curve[-1].return_mean > 110  # random 43
