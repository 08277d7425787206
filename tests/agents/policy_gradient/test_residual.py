"""Corrections of a supervised ranking: a start at the ranker; parts that move what they should."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world, ranker_in, recent_in
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.start import Start
from slategym.agents.core.supervised import Supervised
from slategym.agents.policy_gradient.network import Shortlist, Whole
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.policy_gradient.residual import ResidualNetwork, ResidualSettings
from slategym.agents.slates.plackett_luce import log_prob
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

C, K, B = 12, 3, 16


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def network_for(world: World, *, shaken: bool, items: bool = True) -> ResidualNetwork:
    """A fresh network, or one whose every weight has been moved."""
    recent, ranker = recent_in(world), ranker_in(world)
    settings = ResidualSettings(hidden=8, item_correction=items)
    network = ResidualNetwork(settings, ranker.unit_items, recent, 3)
    if shaken:
        _shake(list(network.parameters()))
    return network


@torch.no_grad()
def _shake(parameters: list[Tensor]) -> None:
    generator = torch.Generator().manual_seed(1)
    for parameter in parameters:
        parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))


def agent_in(world: World, *, shaken: bool) -> PlackettLuce:
    agent = PlackettLuce(world, PPOSettings(shortlist=C))
    if shaken:
        _shake(agent.policy.parameters())
    return agent


def shown_in(world: World) -> dict[str, Tensor]:
    policy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    face = Shortlist(Start(policy, 4.0), C, world, Inputs(world))
    return face.show(observed(world)[0])


def observed(world: World, size: int = B) -> tuple[Observation, Luck]:
    """Requests some slates into their sessions."""
    user_B = torch.arange(size, dtype=torch.int32) % world.population.size
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    for _ in range(2):
        slate_BK = engine.observe(world, session).allowed.float().topk(K).indices.int()
        session, _ = engine.transition(world, session, slate_BK)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_the_input_vector_alone_is_that_which_is_shown(world: World) -> None:
    policy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    observation = observed(world)[0]
    for face in (
        Shortlist(Start(policy, 4.0), C, world, Inputs(world)),
        Whole(world, Inputs(world)),
    ):
        assert torch.equal(face.vector(observation), face.show(observation)["x"])


def test_fresh_it_shows_the_rankers_own_slate(world: World) -> None:
    observation, now = observed(world)
    greedy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    ranked_BK = greedy.act(observation, now).slate
    action = agent_in(world, shaken=False).act(observation, now)
    assert torch.equal(action.slate, ranked_BK) and action.logp is None
    other_BK = agent_in(world, shaken=True).act(observation, now).slate
    assert not torch.equal(other_BK, ranked_BK)


def test_fresh_exploration_prefers_what_the_ranker_prefers(world: World) -> None:
    shown = shown_in(world)
    logits_BC, penalty_BG = network_for(world, shaken=False).corrected(shown)
    torch.testing.assert_close(
        logits_BC, 4.0 * (shown["score"] - shown["score"][:, :1]), atol=1e-5, rtol=0
    )
    assert (penalty_BG == 0).all()


def test_exploring_it_says_how_likely_its_slate_was(world: World) -> None:
    agent, (observation, now) = agent_in(world, shaken=True), observed(world)
    action, again = agent.explore(observation, now), agent.explore(observation, now)
    assert action.logp is not None and torch.equal(action.slate, again.slate)
    shown = agent.face.show(observation)
    at_BK = (shown["id"][:, None, :] == action.slate[:, :, None].long()).float().argmax(2)
    logp_BK = log_prob(agent._served(shown), at_BK)
    torch.testing.assert_close(action.logp, logp_BK.sum(1))
    assert not torch.equal(action.slate, agent.act(observation, now).slate)
    agent.settings = replace(agent.settings, serve="draw")  # so that it serves what it explores
    torch.testing.assert_close(agent.logp(observation, action.slate), logp_BK)
    law_BKN = agent.law(observation, action.slate)  # of all items, in the shortlist or not
    torch.testing.assert_close(law_BKN.exp().sum(2), torch.ones(logp_BK.shape))


def test_corrections_go_to_topics_and_to_directions(world: World) -> None:
    """Each of the three parts moves what it should, and nothing else."""
    network, shown = network_for(world, shaken=False), shown_in(world)
    before_BC, _ = network.corrected(shown)
    with torch.no_grad():
        network.topics[-1].bias.copy_(torch.tensor([0.2, 0.1]))
    moved_BC, penalty_BG = network.corrected(shown)
    torch.testing.assert_close(moved_BC - before_BC, torch.full((B, C), 0.6))
    torch.testing.assert_close(penalty_BG, torch.full((B, 3), 0.3))
    with torch.no_grad():
        network.topics[-1].bias.zero_()
        network.direction.bias.copy_(8.0 * network.items_ND[5])
    along_N = network.items_ND @ network.items_ND[5]
    torch.testing.assert_close(
        network.corrected(shown)[0] - before_BC, along_N[shown["id"]], atol=1e-3, rtol=0
    )


def test_the_default_leaves_the_ranking_inside_a_topic_alone(world: World) -> None:
    """However far its weights have moved, two candidates of a topic keep their order."""
    network, shown = network_for(world, shaken=False, items=False), shown_in(world)
    _shake(list(network.topics.parameters()))
    logits_BC, _ = network.corrected(shown)
    topic_BC = world.catalogue.topic.long()[shown["id"]]
    same_BCC = topic_BC[:, :, None] == topic_BC[:, None, :]
    gap_BCC = logits_BC[:, :, None] - logits_BC[:, None, :]
    score_BC = network.sharpness.detach() * shown["score"]
    want_BCC = score_BC[:, :, None] - score_BC[:, None, :]
    assert same_BCC.sum() > same_BCC.shape[0] * C  # some topics hold several candidates
    torch.testing.assert_close(gap_BCC[same_BCC], want_BCC[same_BCC], atol=1e-4, rtol=0)


def test_gradients_reach_every_weight(world: World) -> None:
    network = network_for(world, shaken=True)
    logits_BC, penalty_BG = network.corrected(shown_in(world))
    (logits_BC.square().sum() + penalty_BG.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_the_global_generator_is_left_as_it_was(world: World) -> None:
    before = torch.random.get_rng_state()
    first, again = network_for(world, shaken=False), network_for(world, shaken=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_may_not_be_shown_is_not_shown_however_it_is_corrected(world: World) -> None:
    observation, now = observed(world)
    assert observation.allowed is not None
    some_BN = observation.allowed & (torch.arange(40) % 6 == 0)  # fewer than the candidates
    few = replace(observation, allowed=some_BN)
    agent = agent_in(world, shaken=True)
    with torch.no_grad():
        for parameter in agent.policy.parameters():
            parameter.mul_(10.0)  # penalties at their steepest
    for choose in (agent.act, agent.explore):
        assert some_BN.gather(1, choose(few, now).slate.long()).all()
