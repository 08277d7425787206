"""The slate auto-encoder: its sample, its gradients, its box, and slates without repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from five_items import five_items

from slategym.agents.core.ensemble import Ensemble
from slategym.agents.core.random_slates import Random
from slategym.agents.latent.gems import half_random
from slategym.agents.latent.slate_vae import (
    SlateDecoder,
    SlateEncoder,
    fill_slots,
    latent_bounds,
    vae_losses,
)
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation

N, K, E, Z, S, M = 20, 3, 4, 2, 2, 5
CPU = torch.device("cpu")


@pytest.fixture
def networks() -> tuple[Ensemble, Ensemble]:
    vectors_NE = torch.randn(N, E, generator=torch.Generator().manual_seed(0))
    encoder = Ensemble(lambda: SlateEncoder(vectors_NE, K, Z), [0, 1], CPU)
    return encoder, Ensemble(lambda: SlateDecoder(K, E, Z), [0, 1], CPU)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    slate = torch.rand(S, M, N, generator=generator).topk(K).indices
    return slate, torch.randint(0, 2, (S, M, K), generator=generator).float()


def nowhere() -> Observation:
    user_B = torch.arange(4, dtype=torch.int32)
    world = five_items()
    return engine.observe(world, engine.start(world, user_B, user_B, user_B))


def test_losses_by_hand(networks: tuple[Ensemble, Ensemble]) -> None:
    encoder, decoder = networks
    slate, click = batch()
    noise = torch.randn(S, M, Z, generator=torch.Generator().manual_seed(2))
    losses = vae_losses(encoder, decoder, slate, click, noise)
    with torch.no_grad():
        for s in range(S):
            items_NE = encoder.weights["items"][s]
            mean, log_var = (x[s] for x in encoder(slate, click))
            sigma = log_var.exp().sqrt()  # a standard deviation, not a variance
            latent = (mean + noise[s] * sigma).expand(S, -1, -1)
            vector, odds = (x[s] for x in decoder(latent))
            right = (vector @ items_NE.T).log_softmax(2).gather(2, slate[s][..., None])
            torch.testing.assert_close(losses.slate[s], -right.mean())
            q = torch.distributions.Normal(mean, sigma)
            p = torch.distributions.Normal(0.0, 1.0)
            kl = torch.distributions.kl_divergence(q, p).mean()
            torch.testing.assert_close(losses.divergence[s], kl, atol=1e-6, rtol=1e-4)
            p_click = odds.sigmoid()
            bce = -(click[s] * p_click.log() + (1 - click[s]) * (1 - p_click).log()).mean()
            torch.testing.assert_close(losses.click[s], bce)


def test_item_vectors_learn_by_the_encoder_alone(networks: tuple[Ensemble, Ensemble]) -> None:
    encoder, decoder = networks
    slate, click = batch()
    losses = vae_losses(encoder, decoder, slate, click, torch.zeros(S, M, Z))
    losses.slate.sum().backward()
    unseen_SN = torch.ones(S, N, dtype=torch.bool)
    for s in range(S):
        unseen_SN[s, slate[s].unique()] = False
    assert unseen_SN.any()
    grad = encoder.weights["items"].grad
    assert grad is not None and grad.abs().sum() > 0
    assert grad[unseen_SN].eq(0).all()  # through the softmax they would all have one


def test_the_box_holds_the_log(networks: tuple[Ensemble, Ensemble]) -> None:
    encoder, _ = networks
    slate, click = batch()
    low, high = latent_bounds(encoder, slate, click)
    with torch.no_grad():
        mean, log_var = encoder(slate, click)
    sigma = (log_var / 2).exp()
    torch.testing.assert_close(low, (mean - sigma).min(1).values)
    torch.testing.assert_close(high, (mean + sigma).max(1).values)


def test_slots_are_filled_in_order_without_repeats() -> None:
    score_KN = torch.tensor([[0.0, 9, 1, 2, 3], [0.0, 9, 1, 8, 3], [0.0, 9, 1, 8, 3]])
    observation = replace(nowhere(), allowed=None, candidates=None)
    score_BKN = score_KN.expand(4, -1, -1)
    assert fill_slots(score_BKN, observation).tolist() == [[1, 3, 4]] * 4
    allowed = torch.tensor([True, False, True, True, True]).expand(4, -1)
    assert fill_slots(score_BKN, replace(observation, allowed=allowed)).tolist() == [[4, 3, 2]] * 4
    offered = torch.tensor([4, 0, 3], dtype=torch.int32).expand(4, -1)  # positions, not ids
    found = fill_slots(score_BKN, replace(observation, candidates=offered))
    assert found.tolist() == [[0, 2, 1]] * 4


def test_where_few_are_allowed_the_last_slots_are_empty() -> None:
    allowed = torch.tensor([False, True, False, False, False]).expand(4, -1)
    observation = replace(nowhere(), allowed=allowed)
    slate_BK = fill_slots(torch.zeros(4, 3, 5), observation)
    assert (slate_BK == 1).sum(1).tolist() == [1] * 4
    assert all(len(set(slate)) == 3 for slate in slate_BK.tolist())


def test_half_of_a_mixed_slate_is_random_and_none_twice() -> None:
    B, C, K = 4000, 12, 6
    luck = Luck.at(torch.arange(B, dtype=torch.int32), torch.zeros(B, dtype=torch.int32))
    slate_BK = torch.arange(K, dtype=torch.int32).expand(B, -1)
    observation = replace(nowhere(), allowed=None)
    mixed_BK = half_random(slate_BK, observation, C, luck)
    assert all(len(set(slate)) == K for slate in mixed_BK.tolist())
    assert 0.48 < (mixed_BK == slate_BK).float().mean() < 0.58  # kept, or drawn again
    everything = Random(C, C).act(observation, luck).slate
    again = half_random(everything, observation, C, luck)  # nothing is left but the slate's own
    assert all(len(set(slate)) == C for slate in again.tolist())
