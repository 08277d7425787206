"""The law of slates without replacement, against every slate counted one by one."""

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slategym.agents.slates.plackett_luce import (
    SPAN,
    draw,
    entropy,
    log_prob,
    mode,
    scores_of,
    sharpened,
)

TOPIC_C = torch.tensor([0, 0, 1, 1, 2])


def made(logits, penalty, allowed=None):
    """Scores of a single request over five candidates of three topics."""
    allowed_BC = None if allowed is None else torch.tensor([allowed])
    return scores_of(torch.tensor([logits]), torch.tensor([penalty]), TOPIC_C[None], allowed_BC)


def by_hand(logits, penalty, slate, allowed=(True,) * 5):
    """Probability of an ordered slate, slot by slot in plain arithmetic."""
    prob, held = torch.tensor(1.0, dtype=torch.float64), [0, 0, 0]
    left = [c for c in range(5) if allowed[c]]
    for choice in slate:
        nats = {c: logits[c] - penalty[int(TOPIC_C[c])] * held[int(TOPIC_C[c])] for c in left}
        weight = {c: torch.tensor(x, dtype=torch.float64).exp() for c, x in nats.items()}
        prob = prob * weight[choice] / sum(weight.values())
        left.remove(choice)
        held[int(TOPIC_C[choice])] += 1
    return float(prob)


LOGITS, PENALTY = [0.3, -1.0, 2.0, 0.5, 1.1], [1.5, -0.5, 0.7]


@pytest.mark.parametrize("allowed", [None, (True, True, True, False, True)])
def test_every_slate_has_its_probability_and_they_add_up(allowed):
    scores = made(LOGITS, PENALTY, allowed)
    slates = [s for s in permutations(range(5), 3) if allowed is None or 3 not in s]
    many = type(scores)(*(x.expand(len(slates), -1) for x in scores))
    prob = log_prob(many, torch.tensor(slates)).sum(1).exp()
    expected = [by_hand(LOGITS, PENALTY, s, allowed or (True,) * 5) for s in slates]
    assert prob.tolist() == pytest.approx(expected, rel=1e-5)
    assert float(prob.sum()) == pytest.approx(1.0, abs=1e-5)


def test_slates_come_as_often_as_they_are_likely():
    scores, num = made(LOGITS, PENALTY), 60_000
    many = type(scores)(*(x.expand(num, -1) for x in scores))
    uniform = torch.rand(num, 2, generator=torch.Generator().manual_seed(0))
    slate_BK, logp_BK = draw(many, uniform)
    assert (slate_BK[:, 0] != slate_BK[:, 1]).all()
    torch.testing.assert_close(logp_BK, log_prob(many, slate_BK), atol=1e-5, rtol=0.0)
    found, count = slate_BK.unique(dim=0, return_counts=True)
    expected = torch.tensor([by_hand(LOGITS, PENALTY, s) for s in found.tolist()])
    torch.testing.assert_close(count / num, expected, atol=0.006, rtol=0.0)


def test_the_mode_takes_the_best_and_pays_for_the_topic():
    assert mode(made(LOGITS, [0.0, 0.0, 0.0]), 3)[0].tolist() == [2, 4, 3]
    assert mode(made(LOGITS, [0.0, 1.0, 0.0]), 3)[0].tolist() == [2, 4, 0]
    assert mode(made(LOGITS, PENALTY, (True, False, False, True, True)), 3)[0].tolist() == [4, 3, 0]


@pytest.mark.parametrize("allowed", [None, (True, True, True, False, True)])
def test_sharpened_scores_are_those_of_larger_logits_and_penalties(allowed):
    scores, slate_BK = made(LOGITS, PENALTY, allowed), torch.tensor([[2, 0, 4]])
    sharper = made([2.5 * x for x in LOGITS], [2.5 * x for x in PENALTY], allowed)
    logp_BK = log_prob(sharpened(scores, 2.5), slate_BK)
    torch.testing.assert_close(logp_BK, log_prob(sharper, slate_BK), atol=1e-5, rtol=0.0)
    assert sharpened(scores, 1.0) is scores


def slot_by_slot(scores, slate_BK):
    """Log-probability of a slate, (B,), by masking what is taken before every slot."""
    logits_BC, penalty_BC = scores.logits, scores.penalty.gather(1, scores.topic)
    logp_B = torch.zeros(len(slate_BK))
    for at_B1 in slate_BK[..., None].unbind(1):
        logp_B = logp_B + logits_BC.log_softmax(1).gather(1, at_B1)[:, 0]
        same_BC = scores.topic == scores.topic.gather(1, at_B1)
        logits_BC = (logits_BC - penalty_BC * same_BC).scatter(1, at_B1, -1e9)
    return logp_B


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.1, 3.0, 200.0]))
def test_one_pass_agrees_with_one_pass_a_slot(seed, scale):
    """Extremes included, gradients too."""
    g = torch.Generator().manual_seed(seed)
    logits_BC = scale * torch.randn(4, 12, generator=g)
    penalty_BG, topic_BC = torch.randn(4, 3, generator=g), torch.randint(3, (4, 12), generator=g)
    slate_BK, _ = draw(scores_of(logits_BC, penalty_BG, topic_BC), torch.rand(4, 5, generator=g))
    found = []
    for ours in (True, False):
        leaves = [x.clone().requires_grad_() for x in (logits_BC, penalty_BG)]
        scores = scores_of(leaves[0], leaves[1], topic_BC)
        logp_B = log_prob(scores, slate_BK).sum(1) if ours else slot_by_slot(scores, slate_BK)
        logp_B.sum().backward()
        found.append((logp_B.detach(), *(x.grad for x in leaves)))
    for a, b in zip(*found, strict=True):
        assert torch.isfinite(a).all()
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


def test_a_push_on_all_logits_alike_gains_nothing():
    """Nor does it where penalties make room for candidates at the end of the span."""
    logits_BC = torch.tensor([[0.0, -1.0, -50.0, -60.0, -70.0]], requires_grad=True)
    scores = scores_of(logits_BC, torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([[0, 0, 0, 1, 2]]))
    log_prob(scores, torch.tensor([[0, 1, 3]])).sum().backward()
    assert float(logits_BC.grad.abs().max()) > 0.1
    assert float(logits_BC.grad.sum()) == pytest.approx(0.0, abs=1e-5)


def test_one_candidate_may_dominate_all_others():
    """What is left after it has e^-30 of its weight, and is still told apart."""
    scores = made([0.0, -25.0, -26.0, -27.0, -200.0], [0.0, 0.0, 0.0])
    logp_K = log_prob(scores, torch.tensor([[0, 1, 4]]))[0]
    assert logp_K[1] == pytest.approx(
        -float(torch.tensor([0.0, -1.0, -2.0]).logsumexp(0)), abs=1e-2
    )
    assert scores.logits[0, 4] == -SPAN
    slate_BK, _ = draw(scores, torch.full((1, 5), 1 - 2.0**-24))
    assert sorted(slate_BK[0].tolist()) == [0, 1, 2, 3, 4]


def test_entropy_of_the_first_slot():
    assert float(entropy(made([0.0] * 5, PENALTY))) == pytest.approx(float(torch.tensor(5.0).log()))
    p = torch.tensor(LOGITS).softmax(0)
    assert float(entropy(made(LOGITS, PENALTY))) == pytest.approx(float(-(p * p.log()).sum()))
