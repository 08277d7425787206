"""How people answer slates, with a few kinds of people among them: learned from slates alone.

A latent-class conditional logit. Someone of kind z takes item i of a slate, or nothing, with
probability proportional to exp(v_i), or to 1, where

    v_i = scale_z * (the ranker's utility of i) + e_z(what the session has shown of i's topic)

and e_z is a small network. Who is of which kind is known of nobody: sessions are likely under one
kind or another, and what is maximised is the likelihood of whole sessions, kinds summed out. The
same sum read the other way says who somebody is: the posterior over kinds after what they took and
passed over. When people leave is a further network of what they refused.

Source: Kamakura and Russell 1989 (latent-class logit); McFadden 1974.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.rollout.traces import OF_VISIT, WIDTH, Traces

HIDDEN = 24  # units of a kind's network
LEAVING = 8  # units of the network of leaving
# before anything is learnt, log-odds
FIRST_LEVEL = -2.0  # of an item of average utility against nothing
STAYS = -3.0  # of leaving after a slate


class Response(nn.Module):
    """What is learned of people.

    Args:
        kinds: Z.
    """

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(kinds, WIDTH, HIDDEN) / WIDTH**0.5)
        self.bias = nn.Parameter(torch.zeros(kinds, 1, HIDDEN))
        self.outer = nn.Parameter(0.1 * torch.randn(kinds, HIDDEN, 1))
        self.level = nn.Parameter(torch.full((kinds, 1, 1), FIRST_LEVEL))
        self.scale = nn.Parameter(torch.zeros(kinds))  # its logarithm
        self.share = nn.Parameter(torch.zeros(kinds))  # of people, logits
        leave = nn.Linear(LEAVING, 1)
        nn.init.constant_(leave.bias, STAYS)
        self.leaving = nn.Sequential(nn.Linear(OF_VISIT, LEAVING), nn.Tanh(), leave)

    def effect(self, features_nX: Tensor) -> Tensor:
        """What the session does to an item's log-odds, for each kind, (Z, n)."""
        hidden_ZnH = torch.tanh(features_nX @ self.inner + self.bias)
        return (hidden_ZnH @ self.outer + self.level)[..., 0]

    def effect_of(self, traces: Traces, topic_nK: Tensor) -> Tensor:
        """The same on shown items of these topics, (Z, n, K)."""
        n, K = topic_nK.shape
        at_nRK = topic_nK[:, None].expand(-1, traces.topic.shape[1], -1)
        own_nKR = traces.topic.gather(2, at_nRK).transpose(1, 2)
        shared_nX = torch.cat([traces.topic.amax(2), traces.visit], 1)
        features_nKX = torch.cat([own_nKR, shared_nX[:, None].expand(-1, K, -1)], 2)
        return self.effect(features_nKX.reshape(n * K, -1)).view(-1, n, K)

    def effect_after(self, traces: Traces, taken_BX: Tensor, of_BK: Tensor) -> Tensor:
        """What would have been done to items of these topics at the next slate, (Z, B, X).

        Args:
            traces: now.
            taken_BX: topics of which an item is taken now, each on its own.
            of_BK: topics over whose items the effect is averaged.
        """
        features_BXKW = traces.features_after(taken_BX, of_BK)
        effect_Zn = self.effect(features_BXKW.flatten(0, 2))
        return effect_Zn.view(-1, *features_BXKW.shape[:3]).mean(3)

    def log_prob(self, utility_XK: Tensor, effect_ZXK: Tensor, taken_XK: Tensor) -> Tensor:
        """Of what was taken, or of nothing, for each kind, (Z, ...); X stands for any axes."""
        scale_Z = self.scale.exp().view(-1, *(1 for _ in utility_XK.shape))
        value_ZXK = scale_Z * utility_XK + effect_ZXK
        every_ZXJ = F.pad(value_ZXK, (0, 1)).log_softmax(-1)
        refused_X1 = ~taken_XK.any(-1, keepdim=True)
        return (every_ZXJ * torch.cat([taken_XK, refused_X1], -1)).sum(-1)

    def leave(self, visit_nV: Tensor) -> Tensor:
        """Log-odds of leaving after a slate, (n,)."""
        found_n1: Tensor = self.leaving(visit_nV)
        return found_n1[:, 0]

    @property
    def log_share(self) -> Tensor:
        """Of kinds among people, (Z,)."""
        return self.share.log_softmax(0)


def surprise(
    response: Response,
    features_nKX: Tensor,
    utility_nK: Tensor,
    taken_nK: Tensor,
    session_n: Tensor,
    sessions: int,
) -> Tensor:
    """Negative log-likelihood of whole sessions, kinds summed out, nats a slate.

    Args:
        response: what is learned.
        features_nKX: of each shown item's topic as the slate was shown.
        utility_nK: theirs.
        taken_nK: bool.
        session_n: int64, to which of the sessions each slate belongs.
        sessions: how many there are.
    """
    n, K, X = features_nKX.shape
    effect_ZnK = response.effect(features_nKX.reshape(n * K, X)).view(-1, n, K)
    logp_Zn = response.log_prob(utility_nK, effect_ZnK, taken_nK)
    whole_Zs = logp_Zn.new_zeros(logp_Zn.shape[0], sessions).index_add(1, session_n, logp_Zn)
    return -(response.log_share[:, None] + whole_Zs).logsumexp(0).sum() / n
