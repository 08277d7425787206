"""What a policy shows, beside what it earns: how novel, how various, how fair to whom is shown.

Of every session: novelty, distance within slates, distance to what the person's clicks are of. Of a
whole reading, the same in all of its rows: how much of the catalogue is shown at all, how
unevenly, and how far apart providers and groups of people are. All slates count alike; within a
slate exposure falls with attention (`agents/core/shown.py`).

Source: Vargas and Castells 2011, doi:10.1145/2043932.2043955 (novelty, distance); Steck 2018,
doi:10.1145/3240323.3240372 (calibration); Singh and Joachims 2018, arXiv:1802.07281 (exposure).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.agents.core.shown import attention, providers, slate_distance
from slategym.envs.types import Catalogue, History, Items, World

SMOOTHING = 0.01  # of the slate's shares by the person's, so that no share is zero
FEWEST = 2  # sessions of a group of people, of which a mean is told


@dataclass
class Exposure:
    """Sums over a reading: what was shown to anybody. One instance, added to by every batch."""

    world: World

    def __post_init__(self) -> None:
        its, device = self.world.catalogue, self.world.device
        self.exposed_N = torch.zeros(its.num_items, dtype=torch.float64, device=device)
        self.bits_N = self_information(its)
        self.share_G = torch.bincount(its.topic.long(), minlength=its.num_topics).double()
        self.share_G = (self.share_G / self.share_G.sum()).float()
        self.weight_K = attention(self.world.slate_size).to(device)

    def add(self, items: Items, shown_BK: Tensor, history: History) -> dict[str, Tensor]:
        """A slate of each of B users.

        Args:
            items: (B, K).
            shown_BK: bool; the others are empty slots.
            history: what the users had clicked before.

        Returns:
            By column of `statistics.exposure.SESSION`, what this slate says of each user, (B,).
        """
        id_BK = items.id.long()
        self.exposed_N.index_add_(
            0, id_BK.flatten(), (self.weight_K * shown_BK).flatten().to(self.exposed_N.dtype)
        )
        number_B = shown_BK.sum(1).clamp(min=1)
        found = {"miscalibration": self._miscalibration(items, shown_BK, history)}
        if self.bits_N is not None:
            found["novelty"] = (self.bits_N[id_BK] * shown_BK).sum(1) / number_B
        found["slate_distance"] = slate_distance(items, shown_BK)
        return found

    def _miscalibration(self, items: Items, shown_BK: Tensor, history: History) -> Tensor:
        G = len(self.share_G)
        known_BH = history.id >= 0
        topic_BH = self.world.catalogue.topic[history.id.clamp(min=0).long()].long()
        clicked_BG = counts(topic_BH, known_BH, G)
        return miscalibration(clicked_BG, counts(items.topic.long(), shown_BK, G), self.share_G)

    def columns(self, return_U: NDArray[np.floating], user_U: Tensor) -> dict[str, float]:
        """Of the whole reading, columns of `statistics.exposure.READING` that mean something.

        Args:
            return_U: of every session.
            user_U: rows of the population.
        """
        exposed_N = self.exposed_N.cpu().numpy()
        if not exposed_N.sum():
            return {}
        found = {
            "coverage": float((exposed_N > 0).mean()),
            "exposure_gini": gini(exposed_N),
        }
        provider_N = providers(self.world.catalogue)[0].cpu().numpy()
        if len(np.unique(provider_N)) > 1:
            found["provider_gap"] = provider_gap(exposed_N, provider_N)
        profile_UF = self.world.population.profile
        if profile_UF is not None and profile_UF.shape[1]:
            group_U = profile_UF[user_U.to(profile_UF.device).long(), 0].cpu().numpy()
            gap = group_gap(return_U, group_U)
            found |= {} if gap is None else {"group_gap": gap}
        return found


def counts(group_BX: Tensor, mask_BX: Tensor, num_groups: int) -> Tensor:
    """How many of X are in each group, (B, G) float32."""
    none_BG = torch.zeros(len(group_BX), num_groups, device=group_BX.device)
    return none_BG.scatter_add(1, group_BX, mask_BX.float())


def self_information(catalogue: Catalogue) -> Tensor | None:
    """Bits that an item's popularity is worth, (N,): -log2 of its share, a click added to each.

    None: the catalogue has no popularity.
    """
    if catalogue.popularity is None:
        return None
    count_N = catalogue.popularity.float() + 1.0
    return -(count_N / count_N.sum()).log2()


def miscalibration(clicked_BG: Tensor, shown_BG: Tensor, share_G: Tensor) -> Tensor:
    """Kullback-Leibler divergence of shown topics from clicked ones, nats, (B,) >= 0.

    p: shares of the clicks, with one more click spread as the catalogue is, so that whoever has
    clicked nothing is compared with that. q: shares of the slate, smoothed towards p.

    Source: Steck 2018, equation 6, with alpha = .01.
    """
    p_BG = (clicked_BG + share_G) / (clicked_BG.sum(1, keepdim=True) + 1.0)
    q_BG = shown_BG / shown_BG.sum(1, keepdim=True).clamp(min=1.0)
    q_BG = (1.0 - SMOOTHING) * q_BG + SMOOTHING * p_BG
    there_BG = p_BG > 0
    ratio_BG = torch.where(there_BG, p_BG / q_BG.clamp(min=1e-12), 1.0)
    return (p_BG * ratio_BG.log()).sum(1).clamp(min=0.0)


def gini(value_N: NDArray[np.floating]) -> float:
    """Of non-negative values: 0 where all are alike, towards 1 where one has everything.

    >>> gini(np.array([1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 4.0]))
    (0.0, 0.75)
    """
    sorted_N = np.sort(value_N.astype(np.float64))
    N, total = len(sorted_N), sorted_N.sum()
    if not total:
        return 0.0
    rank_N = np.arange(1, N + 1)
    return float((2 * rank_N - N - 1) @ sorted_N / (N * total))


def provider_gap(exposed_N: NDArray[np.floating], provider_N: NDArray[np.integer]) -> float:
    """Exposure of the most favoured provider minus that of the least, per item and of the mean.

    0 where exposure is spread as the items are; 1: a provider's items have once the mean exposure
    more than another's.

    >>> provider_gap(np.array([3.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]))
    2.0
    """
    number_P = np.bincount(provider_N)
    per_item_P = np.bincount(provider_N, weights=exposed_N)[number_P > 0] / number_P[number_P > 0]
    return float((per_item_P.max() - per_item_P.min()) / exposed_N.mean())


def group_gap(return_U: NDArray[np.floating], group_U: NDArray[np.integer]) -> float | None:
    """Mean return of the best served group of people minus that of the worst.

    None: fewer than two groups have `FEWEST` sessions.
    """
    means = [
        float(return_U[group_U == group].mean())
        for group in np.unique(group_U)
        if (group_U == group).sum() >= FEWEST
    ]
    return max(means) - min(means) if len(means) > 1 else None
