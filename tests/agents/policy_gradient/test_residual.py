"""The residual slate policy: an exact law, a start at the ranker, and two faces that agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from small_worlds import learned_world, ranker_in, recent_in
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor

from slategym.agents.baselines.fixed import Supervised
from slategym.agents.policy_gradient.residual import (
    SLOT,
    PlackettLuce,
    PlackettLucePolicy,
    RankedView,
    ResidualNetwork,
    ResidualSettings,
    Scored,
    draw,
    slate_logp,
)
from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

C, K, B = 12, 3, 16


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def network_for(world: World, *, shaken: bool) -> ResidualNetwork:
    """A fresh network, or one whose every weight has been moved."""
    recent, ranker = recent_in(world), ranker_in(world)
    settings = ResidualSettings(num_candidates=C, hidden=8, value_hidden=8, item_correction=True)
    network = ResidualNetwork(settings, ranker.unit_items, recent.topic_N, recent.num_topics, 3)
    if shaken:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network


def policy_in(world: World, *, shaken: bool, sample: bool = False) -> PlackettLuce:
    view = RankedView(ranker_in(world), recent_in(world), C, K)
    return PlackettLuce(network_for(world, shaken=shaken), view, world, sample)


def observed(world: World, size: int = B) -> tuple[Observation, Luck]:
    """Requests some slates into their sessions."""
    user_B = torch.arange(size, dtype=torch.int32) % world.population.size
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    for _ in range(2):
        slate_BK = engine.observe(world, session).allowed.float().topk(K).indices.int()
        session, _ = engine.transition(world, session, slate_BK)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def four_candidates(size: int = 1) -> Scored:
    """Two topics; one more of the first topic costs more than one more of the second."""
    return Scored(
        logits=torch.tensor([[1.0, 0.5, -0.3, 0.2]]).expand(size, -1).contiguous(),
        penalty=torch.tensor([[1.5, 1.5, -0.4, -0.4]]).expand(size, -1).contiguous(),
        topic=torch.tensor([[0, 0, 1, 1]]).expand(size, -1).contiguous(),
    )


def by_hand(scored: Scored, slate: tuple[int, ...]) -> float:
    """Probability of an ordered slate, slot by slot, from the definition."""
    logits = scored.logits[0].double()
    left, prob = list(range(len(logits))), 1.0
    for slot in slate:
        prob *= float(logits[slot].exp() / logits[left].exp().sum())
        left.remove(slot)
        same = scored.topic[0] == scored.topic[0, slot]
        logits = logits - scored.penalty[0].double() * same
    return prob


def test_the_law_is_exact_and_sums_to_one() -> None:
    scored = four_candidates()
    slates = list(permutations(range(4), 3))
    logp_B, entropy_B = slate_logp(
        Scored(*(x.expand(len(slates), -1) for x in scored)), torch.tensor(slates)
    )
    hand = torch.tensor([by_hand(scored, slate) for slate in slates])
    torch.testing.assert_close(logp_B.exp(), hand, atol=1e-6, rtol=0)
    assert float(logp_B.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    first_C = scored.logits[0].softmax(0)
    assert float(entropy_B[0]) == pytest.approx(float(-(first_C * first_C.log()).sum()))
    plain = scored._replace(penalty=torch.zeros(1, 4))
    assert by_hand(plain, (0, 1, 2)) > 1.5 * by_hand(scored, (0, 1, 2))  # the penalty matters


def test_what_is_drawn_follows_the_law() -> None:
    size = 30_000
    scored = four_candidates(size)
    _, now = (
        Luck(torch.arange(size, dtype=torch.int32)),
        Luck.at(torch.arange(size, dtype=torch.int32), torch.ones(size, dtype=torch.int32)),
    )
    slate_BK = draw(scored, K, lambda slot: now.gumbel(SLOT + slot, 4))
    code_B = slate_BK @ torch.tensor([16, 4, 1])
    share = torch.bincount(code_B, minlength=64) / size
    for slate in permutations(range(4), 3):
        prob = by_hand(four_candidates(), slate)
        seen = float(share[16 * slate[0] + 4 * slate[1] + slate[2]])
        assert seen == pytest.approx(prob, abs=4.5 * (prob * (1 - prob) / size) ** 0.5)


def test_the_mode_is_drawn_slot_by_slot_with_the_penalty() -> None:
    assert draw(four_candidates(), K, None).tolist() == [[0, 3, 2]]  # 1 - 1.5 < -.3 + .4
    plain = four_candidates()._replace(penalty=torch.zeros(1, 4))
    assert draw(plain, K, None).tolist() == [[0, 1, 3]]


def test_fresh_it_shows_the_rankers_own_slate(world: World) -> None:
    observation, now = observed(world)
    greedy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    ranked_BK = greedy.act(observation, now).slate
    action = policy_in(world, shaken=False).act(observation, now)
    assert torch.equal(action.slate, ranked_BK) and action.logp is None
    other_BK = policy_in(world, shaken=True).act(observation, now).slate
    assert not torch.equal(other_BK, ranked_BK)


def test_fresh_exploration_prefers_what_the_ranker_prefers(world: World) -> None:
    policy = policy_in(world, shaken=False)
    observation, _ = observed(world)
    shown = policy.view.show(world, observation)
    scored = policy.network.scored(shown)
    torch.testing.assert_close(
        scored.logits, 4.0 * (shown["score"] - shown["score"][:, :1]), atol=1e-5, rtol=0
    )
    assert (scored.penalty == 0).all()


def test_exploring_it_says_how_likely_its_slate_was(world: World) -> None:
    policy = policy_in(world, shaken=True, sample=True)
    observation, now = observed(world)
    action, again = policy.act(observation, now), policy.act(observation, now)
    assert action.logp is not None and torch.equal(action.slate, again.slate)
    shown = policy.view.show(world, observation)
    at_BK = (shown["id"][:, None, :] == action.slate[:, :, None].long()).float().argmax(2)
    logp_B, _ = slate_logp(policy.network.scored(shown), at_BK)
    torch.testing.assert_close(action.logp, logp_B)
    assert not torch.equal(action.slate, policy_in(world, shaken=True).act(observation, now).slate)


def test_corrections_go_to_topics_and_to_directions(world: World) -> None:
    """Each of the three parts moves what it should, and nothing else."""
    network, (observation, _) = network_for(world, shaken=False), observed(world)
    view = RankedView(ranker_in(world), recent_in(world), C, K)
    shown = view.show(world, observation)
    before = network.scored(shown)
    with torch.no_grad():
        network.topics[-1].bias.copy_(torch.tensor([0.2, 0.1]))
    moved = network.scored(shown)
    torch.testing.assert_close(moved.logits - before.logits, torch.full((B, C), 0.6))
    torch.testing.assert_close(moved.penalty, torch.full((B, C), 0.3))
    with torch.no_grad():
        network.topics[-1].bias.zero_()
        network.direction.bias.copy_(8.0 * network.items_ND[5])
    along_N = network.items_ND @ network.items_ND[5]
    torch.testing.assert_close(
        network.scored(shown).logits - before.logits, along_N[shown["id"]], atol=1e-3, rtol=0
    )


def test_the_default_leaves_the_ranking_inside_a_topic_alone(world: World) -> None:
    """However far its weights have moved, two candidates of a topic keep their order."""
    recent, ranker = recent_in(world), ranker_in(world)
    settings = ResidualSettings(num_candidates=C, hidden=8, value_hidden=8)
    network = ResidualNetwork(settings, ranker.unit_items, recent.topic_N, recent.num_topics, 3)
    with torch.no_grad():
        for parameter in network.topics.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    shown = RankedView(ranker, recent, C, K).show(world, observed(world)[0])
    scored = network.scored(shown)
    same_BCC = scored.topic[:, :, None] == scored.topic[:, None, :]
    gap_BCC = scored.logits[:, :, None] - scored.logits[:, None, :]
    score_BC = network.sharpness.detach() * shown["score"]
    want_BCC = score_BC[:, :, None] - score_BC[:, None, :]
    assert same_BCC.sum() > same_BCC.shape[0] * C  # some topics hold several candidates
    torch.testing.assert_close(gap_BCC[same_BCC], want_BCC[same_BCC], atol=1e-4, rtol=0)


def test_gradients_reach_every_weight(world: World) -> None:
    network, (observation, _) = network_for(world, shaken=True), observed(world)
    shown = RankedView(ranker_in(world), recent_in(world), C, K).show(world, observation)
    slate_BK = torch.tensor([[2, 0, 5]]).expand(B, -1)
    logp_B, entropy_B = slate_logp(network.scored(shown), slate_BK)
    (logp_B.sum() + entropy_B.sum() + network.worth(shown).square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_the_global_generator_is_left_as_it_was(world: World) -> None:
    before = torch.random.get_rng_state()
    first, again = network_for(world, shaken=False), network_for(world, shaken=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def faces(world: World) -> tuple[PlackettLucePolicy, dict[str, Tensor]]:
    """stable-baselines3's policy, and what its environment shows."""
    view = RankedView(ranker_in(world), recent_in(world), C, K)
    env = SlateVecEnv(world, B, view)
    policy = PlackettLucePolicy(
        env.observation_space,
        env.action_space,
        lambda left: 1e-3,
        network=network_for(world, shaken=True),
        num_slots=K,
        seed=0,
    )
    return policy, obs_as_tensor(env.reset(), torch.device("cpu"))


def test_forward_and_evaluation_agree(
    faces: tuple[PlackettLucePolicy, dict[str, Tensor]],
) -> None:
    policy, seen = faces
    for deterministic in (False, True):
        slate_BK, value_B1, logp_B = policy(seen, deterministic=deterministic)
        value_too_B1, logp_too_B, entropy_B = policy.evaluate_actions(seen, slate_BK.float())
        torch.testing.assert_close(value_B1, value_too_B1)
        torch.testing.assert_close(logp_B, logp_too_B)
        assert torch.equal(policy.predict_values(seen), value_B1) and value_B1.shape == (B, 1)
        assert entropy_B.shape == (B,) and (entropy_B > 0).all()
        assert all(len(set(slate)) == K for slate in slate_BK.tolist())


def test_its_two_faces_show_the_same_slates(
    world: World, faces: tuple[PlackettLucePolicy, dict[str, Tensor]]
) -> None:
    policy, seen = faces
    at_BK, _ = policy.predict({name: x.numpy() for name, x in seen.items()}, deterministic=True)
    lane_B = torch.arange(B, dtype=torch.int32)
    session = engine.start(world, torch.zeros_like(lane_B), lane_B, torch.zeros_like(lane_B))
    served = policy_in(world, shaken=True).act(
        engine.observe(world, session), Luck.at(session.key, session.step)
    )
    shown_BK = seen["id"].gather(1, torch.as_tensor(at_BK).long())
    assert torch.equal(served.slate, shown_BK.int())


def test_its_exploration_has_a_seed_of_its_own(
    world: World, faces: tuple[PlackettLucePolicy, dict[str, Tensor]]
) -> None:
    policy, seen = faces
    first = policy(seen)[0]
    assert not torch.equal(policy(seen)[0], first)
    policy._generator.manual_seed(0)
    torch.manual_seed(99)
    assert torch.equal(policy(seen)[0], first)


def test_exploration_on_a_box_is_refused(world: World) -> None:
    view = RankedView(ranker_in(world), recent_in(world), C, K)
    with pytest.raises(ValueError, match="slates are drawn by Gumbel"):
        PlackettLucePolicy(
            view.space(world),
            view.action_space(world),
            lambda left: 1e-3,
            network=network_for(world, shaken=False),
            num_slots=K,
            seed=0,
            use_sde=True,
        )


def test_what_may_not_be_shown_is_not_shown_however_it_is_corrected(world: World) -> None:
    observation, now = observed(world)
    assert observation.allowed is not None
    some_BN = observation.allowed & (torch.arange(40) % 6 == 0)  # fewer than the candidates
    few = replace(observation, allowed=some_BN)
    for sample in (False, True):
        slate_BK = policy_in(world, shaken=True, sample=sample).act(few, now).slate
        assert some_BN.gather(1, slate_BK.long()).all()
