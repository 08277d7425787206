"""Choice models: from appeal (log-odds) to click probabilities and clicks.

All draw the same numbers whatever is shown, so that policies can be compared under equal luck. An
appeal of -inf is an empty slot: it is never clicked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose

CHOICE, CONTINUE = purpose("choice"), purpose("choice.continue")


@dataclass(frozen=True)
class MultinomialLogit:
    """At most one click: P(k) = exp(a_k) / (exp(skip) + sum_j exp(a_j)).

    Source: McFadden 1974; in recommendation Ie et al. 2019, arXiv:1905.12767, section 7.1.
    """

    skip: float = 0.0  # appeal of choosing nothing, log-odds

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        prob_BK = pad(appeal_BK, (0, 1), value=self.skip).softmax(1)[:, :-1]
        return prob_BK, luck.categorical(CHOICE, prob_BK)


@dataclass(frozen=True)
class MultinomialProportional:
    """At most one click: P(k) = w_k / (w_skip + sum_j w_j) with w_k = max(a_k - lowest, 0).

    Source: RecSim 55e50e4, choice_model.py, MultinomialProportionalChoiceModel.
    """

    lowest: float = -1.0  # the appeal that is worth nothing
    skip: float = 1.0  # appeal of choosing nothing, above the lowest: w_skip = skip - lowest

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        weight_BK = (appeal_BK - self.lowest).clamp(min=0.0)
        prob_BK = weight_BK / (self.skip - self.lowest + weight_BK.sum(1, keepdim=True))
        return prob_BK, luck.categorical(CHOICE, prob_BK)


@dataclass(frozen=True)
class PositionBased:
    """Slots are clicked independently: P(k) = decay^k sigmoid(a_k), k = 0 first.

    Source: Richardson et al. 2007; the decay as in SARDINE and GeMS ("tdPBM").
    """

    decay: float = 0.85  # examination kept from one slot to the next, in [0, 1]

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        # a table: compiled, decay ** arange would be a power per user and slot
        K = appeal_BK.shape[1]
        examine_K = constant(tuple(self.decay**k for k in range(K)), appeal_BK)
        prob_BK = examine_K * appeal_BK.sigmoid()
        return prob_BK, luck.uniform(CHOICE, K) < prob_BK


@dataclass(frozen=True)
class MixedPositionBased:
    """As PositionBased, where half of the people begin at the last slot.

    P(k) = (decay^k + decay^(K-1-k)) / 2 sigmoid(a_k).

    Source: GeMS, Deffayet et al. 2023, arXiv:2301.08632 ("mixPBM").
    """

    decay: float = 0.85  # examination kept from one slot to the next, in [0, 1]

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        K, d = appeal_BK.shape[1], self.decay
        examine_K = constant(tuple((d**k + d ** (K - 1 - k)) / 2 for k in range(K)), appeal_BK)
        prob_BK = examine_K * appeal_BK.sigmoid()
        return prob_BK, luck.uniform(CHOICE, K) < prob_BK


@dataclass(frozen=True)
class Cascade:
    """Read from the top, stop at the first click: P(k) = c_k prod_{j<k} patience (1 - c_j).

    c_j = sigmoid(a_j). Source: Craswell et al. 2008, with an abandonment rate 1 - patience.
    """

    patience: float = 1.0  # P(read the next slot | no click on this one), in [0, 1]

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        attract_BK = appeal_BK.sigmoid()
        prob_BK = attract_BK * _reach(self.patience * (1.0 - attract_BK))
        return prob_BK, luck.categorical(CHOICE, prob_BK)


@dataclass(frozen=True)
class ExponentialCascade:
    """Read from the top, stop at the first click, each slot with attention scale exp(a_k).

    P(k) = c_k prod_{j<k} (1 - c_j), c_k = attention min(scale exp(a_k), 1).

    Source: RecSim 55e50e4, choice_model.py, ExponentialCascadeChoiceModel (which refuses
    scale exp(a) > 1 where this one cuts it).
    """

    attention: float = 0.65  # in [0, 1]
    scale: float = 0.05  # chance of a click per unit of exp(a)

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        attract_BK = self.attention * (self.scale * appeal_BK.exp()).clamp(max=1.0)
        prob_BK = attract_BK * _reach(1.0 - attract_BK)
        return prob_BK, luck.categorical(CHOICE, prob_BK)


@dataclass(frozen=True)
class UserBrowsing:
    """Attention falls with the distance to the last click: P(k | last) = keep^(k-last-1) c_k.

    c_k = sigmoid(a_k); before the first click, last = -1. The probabilities sum over where the
    last click may have been.

    Source: Dupret and Piwowarski 2008, with a geometric table of examination.
    """

    keep: float = 0.85  # examination kept per slot without a click, in [0, 1]

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        K = appeal_BK.shape[1]
        attract_BK, u_BK = appeal_BK.sigmoid(), luck.uniform(CHOICE, K)
        decay_K = constant(tuple(self.keep**k for k in range(K)), appeal_BK)
        last_BK = torch.ones_like(attract_BK[:, :1])  # column r: P(the last click was in slot r-1)
        seen_B = torch.ones_like(attract_BK[:, 0])  # examination of the next slot, as sampled
        prob, click = [], []
        for k in range(K):
            see_k = decay_K[: k + 1].flip(0)
            hit_Bk = last_BK * see_k * attract_BK[:, k : k + 1]
            prob.append(hit_Bk.sum(1))
            last_BK = torch.cat([last_BK - hit_Bk, prob[-1][:, None]], 1)
            click.append(u_BK[:, k] < seen_B * attract_BK[:, k])
            seen_B = torch.where(click[-1], 1.0, seen_B * self.keep)
        return torch.stack(prob, 1), torch.stack(click, 1)


@dataclass(frozen=True)
class DynamicBayesian:
    """Read from the top; a click satisfies and ends it, else one reads on: several clicks.

    P(k) = c_k prod_{j<k} patience (1 - satisfied c_j), c_j = sigmoid(a_j).

    Source: Chapelle and Zhang 2009, with one rate of satisfaction for all items.
    """

    satisfied: float = 0.5  # P(reads no further | click), in [0, 1]
    patience: float = 0.9  # P(reads the next slot | not satisfied), in [0, 1]

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Click probabilities (B, K) and a sample (B, K) bool."""
        K = appeal_BK.shape[1]
        attract_BK = appeal_BK.sigmoid()
        prob_BK = attract_BK * _reach(self.patience * (1.0 - self.satisfied * attract_BK))
        would_BK = luck.uniform(CHOICE, K) < attract_BK
        go_on_BK = luck.uniform(CONTINUE, K) < self.patience * (1.0 - self.satisfied * would_BK)
        return prob_BK, would_BK & (_reach(go_on_BK.to(attract_BK.dtype)) > 0)


def _reach(pass_BK: Tensor) -> Tensor:
    """Probability of reading each slot, given those of passing from one to the next, (B, K)."""
    return pad(pass_BK[:, :-1].cumprod(1), (1, 0), value=1.0)


CHOICES = {
    "multinomial-logit": MultinomialLogit,
    "multinomial-proportional": MultinomialProportional,
    "position-based": PositionBased,
    "mixed-position-based": MixedPositionBased,
    "cascade": Cascade,
    "exponential-cascade": ExponentialCascade,
    "user-browsing": UserBrowsing,
    "dynamic-bayesian": DynamicBayesian,
}
