"""A variational auto-encoder of slates: a slate and its clicks in, a point of the latent space out.

    q(z | slate, clicks) = N(mu, sigma^2)          p(item in slot k | z) ~ exp(g_k(z) . e_item)

Two networks, so that what they share is in sight: the item vectors are the encoder's, and the
decoder is handed them without gradient. The leading axis S is the training seed.

Source: Deffayet et al. 2023, arXiv:2301.08632. Two things differ from the program
published with it (naver/gems 277a85f): there the latent sample is mu + noise * sigma^2, here it is
mu + noise * sigma; and there an item can fill two slots, here the slots are filled in order from
what is left.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.ensemble import Ensemble
from slategym.agents.latent.sac import mlp
from slategym.agents.slates.top import allowed_only
from slategym.envs.types import Observation

WIDE, NARROW = 512, 256  # hidden widths of both networks, as published


class SlateEncoder(nn.Module):
    """A slate and its clicks in, mean and log variance of its place in the latent space out."""

    def __init__(self, vectors_NE: Tensor, num_slots: int, latent_width: int) -> None:
        super().__init__()
        self.items = nn.Parameter(vectors_NE.clone())  # (N, E)
        entries = num_slots * (vectors_NE.shape[1] + 1)
        self.body = mlp(entries, WIDE, NARROW, 2 * latent_width)

    def forward(self, slate_BK: Tensor, click_BK: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Z) each."""
        entry_BKE = torch.cat([F.embedding(slate_BK, self.items), click_BK[..., None]], 2)
        mean_BZ, log_var_BZ = self.body(entry_BKE.flatten(1)).chunk(2, dim=1)
        return mean_BZ, log_var_BZ


class SlateDecoder(nn.Module):
    """A point of the latent space in, an item vector and a click's log-odds per slot out."""

    def __init__(self, num_slots: int, item_width: int, latent_width: int) -> None:
        super().__init__()
        self.num_slots = num_slots
        self.body = mlp(latent_width, NARROW, WIDE, num_slots * (item_width + 1))

    def forward(self, latent_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, E) and (B, K)."""
        out_BKE = self.body(latent_BZ).view(latent_BZ.shape[0], self.num_slots, -1)
        return out_BKE[..., :-1], out_BKE[..., -1]


class Losses(NamedTuple):
    """Of every seed, nats, (S,) each: means over slates and slots, or over latent dimensions."""

    slate: Tensor
    click: Tensor
    divergence: Tensor


def vae_losses(
    encoder: Ensemble, decoder: Ensemble, slate_SMK: Tensor, click_SMK: Tensor, noise_SMZ: Tensor
) -> Losses:
    """What a minibatch costs.

    Args:
        encoder: of SlateEncoder.
        decoder: of SlateDecoder.
        slate_SMK: item ids, int64.
        click_SMK: 0 or 1, float.
        noise_SMZ: standard normal.

    Source: Deffayet et al. 2023; means rather than sums, as in its program.
    """
    mean_SMZ, log_var_SMZ = encoder(slate_SMK, click_SMK)
    latent_SMZ = mean_SMZ + (0.5 * log_var_SMZ).exp() * noise_SMZ
    vector_SMKE, odds_SMK = decoder(latent_SMZ)
    items_SNE = encoder.weights["items"].detach()
    logit_SMKN = item_scores(vector_SMKE, items_SNE)
    wrong_SMK = F.cross_entropy(
        logit_SMKN.flatten(0, 2), slate_SMK.flatten(), reduction="none"
    ).view_as(click_SMK)
    surprise_SMK = F.binary_cross_entropy_with_logits(odds_SMK, click_SMK, reduction="none")
    spread_SMZ = mean_SMZ.square() + log_var_SMZ.exp() - log_var_SMZ - 1.0
    means_S = (x.flatten(1).mean(1) for x in (wrong_SMK, surprise_SMK, 0.5 * spread_SMZ))
    return Losses(*means_S)


@torch.no_grad()
def latent_bounds(encoder: Ensemble, slate_SRK: Tensor, click_SRK: Tensor) -> tuple[Tensor, Tensor]:
    """Where slates of a log lie: the least mu - sigma and the greatest mu + sigma, (S, Z) each.

    Source: Deffayet et al. 2023: the box in which the agent acts.
    """
    mean_SRZ, log_var_SRZ = encoder(slate_SRK, click_SRK)
    sigma_SRZ = (0.5 * log_var_SRZ).exp()
    return (mean_SRZ - sigma_SRZ).amin(1), (mean_SRZ + sigma_SRZ).amax(1)


def item_scores(vector_SBKE: Tensor, items_SNE: Tensor) -> Tensor:
    """Logits of every item in every slot, (S, B, K, N)."""
    S, B, K, _ = vector_SBKE.shape
    score_SXN = vector_SBKE.reshape(S, B * K, -1) @ items_SNE.transpose(1, 2)
    return score_SXN.view(S, B, K, -1)


def fill_slots(score_BKN: Tensor, observation: Observation) -> Tensor:
    """Slot by slot the best item that is offered, allowed and not yet in the slate.

    Args:
        score_BKN: of every item of the catalogue in every slot.
        observation: says what is offered.

    Returns:
        (B, K) int32 positions; where too few are allowed the last ones are forbidden, and empty.
    """
    if observation.candidates is not None:
        offered_BKC = observation.candidates.long()[:, None].expand(-1, score_BKN.shape[1], -1)
        score_BKN = score_BKN.gather(2, offered_BKC)
    taken_BC = torch.zeros_like(score_BKN[:, 0], dtype=torch.bool)
    slots = []
    for score_BC in score_BKN.unbind(1):
        free_BC = allowed_only(score_BC, observation.allowed).masked_fill(taken_BC, -torch.inf)
        at_B1 = free_BC.argmax(1, keepdim=True)
        taken_BC = taken_BC.scatter(1, at_B1, at_B1 >= 0)
        slots.append(at_B1)
    return torch.cat(slots, 1).int()
