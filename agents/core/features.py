"""What a learner reads off a session: topics taken and passed over lately, and how it goes.

Traces that fade at several rates, by time and by clicks: nothing in them knows how many clicks bore
anybody, or for how long. Whatever rule people follow, and who follows which, has to be learned.

Where the world remembers slates (`World.shown_size`), what was passed over is read as well, and how
people answered to more of the same: what an item repeats is the trace, as that slate was shown, of
the clicks on its topic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.types import LONG_AGO, Observation, PastSlates

QUICK, FAST, SLOW = 0.5, 0.8, 0.95  # what a trace keeps from slate to slate
BY_CLICK = (0.5, 0.7, 0.9)  # what a trace keeps from click to click, however long between them
TAKEN = 3 + len(BY_CLICK)  # features of a topic from what was taken
PASSED = 2  # and from what was shown and passed over, where slates are remembered
VISIT = 3 + len(BY_CLICK)  # features of a visit
PER_SLATE = 4  # features of a remembered slate
ANSWERS = 2 * PER_SLATE  # features of a visit from its slates, where they are remembered
AGAIN = 0.7  # what the trace of which an item is more of the same keeps from click to click
OLDEST = 200  # slates; what is older weighs nothing


@dataclass(frozen=True)
class RecentTopics:
    """Fading traces of a session by topic, and of how it goes; from the observation alone."""

    topic_N: Tensor  # (N,) int, main topic of each item
    num_topics: int  # G
    horizon: int  # slates of a whole session
    slates: bool = False  # whether the world remembers slates

    @property
    def per_topic(self) -> int:
        """Features of a topic."""
        return TAKEN + PASSED * self.slates

    @property
    def per_visit(self) -> int:
        """Features of a visit."""
        return VISIT + ANSWERS * self.slates

    def by_topic(self, observation: Observation) -> Tensor:
        """(B, per_topic, G), of order 1.

        Clicks on the topic: three traces that fade with every slate, three with every click. Then
        items of the topic that were shown and passed over: two traces, fast and slow.
        """
        history = observation.history
        inside_BH = history.age < LONG_AGO
        newer_BH = (inside_BH.flip(1).cumsum(1).flip(1) - 1).clamp(min=0).float()  # 0: the newest
        age_BH = (history.age - 1).clamp(max=OLDEST).float()
        weights_BH = (
            QUICK**age_BH / 2.0,
            FAST**age_BH / 3.0,
            SLOW**age_BH / 6.0,
            *(keep**newer_BH * (1.0 - keep) for keep in BY_CLICK),
        )
        taken_BRG = self._summed(torch.stack([w * inside_BH for w in weights_BH], 1), history.id)
        if observation.past is None:
            return taken_BRG
        past = observation.past
        passed_BPK = (past.id >= 0) & ~past.taken
        shown_BPK = (past.id >= 0).float()
        share_BPK = passed_BPK / shown_BPK.sum(2, keepdim=True).clamp(min=1.0)
        age_P = _ages(past)
        weight_B2PK = torch.stack(
            [share_BPK * (keep**age_P * (1.0 - keep))[:, None] for keep in (FAST, SLOW)], 1
        )
        passed_B2G = self._summed(weight_B2PK.flatten(2), past.id.flatten(1))
        return torch.cat([taken_BRG, passed_B2G], 1)

    def of_visit(self, observation: Observation) -> Tensor:
        """(B, per_visit), of order 1.

        Share of the session gone, slates since the last click / 3, clicks / 10; the largest of the
        topics' traces that fade with every click. Then, fading fast and slow: the share of slates
        refused, how much of the same was shown, and of that, how much in slates of which something
        was taken; last, how much of the same the taken items were.
        """
        inside_BH = observation.history.age < LONG_AGO
        step_B = observation.step.float()
        since_B = observation.history.age[:, -1].float() - 1.0
        misses_B = torch.where(inside_BH[:, -1], since_B, step_B)
        clicks_B = inside_BH.sum(1).float()
        newer_BH = (inside_BH.flip(1).cumsum(1).flip(1) - 1).clamp(min=0).float()
        weight_BRH = torch.stack(
            [inside_BH * keep**newer_BH * (1.0 - keep) for keep in BY_CLICK], 1
        )
        most_BR = self._summed(weight_BRH, observation.history.id).amax(2)
        plain_B3 = torch.stack([step_B / self.horizon, misses_B / 3.0, clicks_B / 10.0], 1)
        parts = [plain_B3, most_BR]
        if observation.past is not None:
            parts.append(self._answers(observation.past))
        return torch.cat(parts, 1)

    def of_slates(self, past: PastSlates) -> Tensor:
        """Of each remembered slate, (B, P, PER_SLATE); 0 where there was none yet.

        Whether it was refused; how much of the same it showed; that again where something was
        taken; how much of the same what was taken was. An item is as much of the same as the trace
        of earlier clicks on its topic says, which fades with every click.
        """
        topic_BPK = self.topic_N[past.id.clamp(min=0).long()].long()
        zero_BPG = torch.zeros(*past.id.shape[:2], self.num_topics, device=past.id.device)
        took_BPG = zero_BPG.scatter_add(2, topic_BPK, past.taken.float())
        clicks_BP = took_BPG.sum(2).cumsum(1)
        since_BPP = (clicks_BP - took_BPG.sum(2))[:, :, None] - clicks_BP[:, None, :]
        weight_BPP = (1.0 - AGAIN) * AGAIN ** since_BPP.clamp(min=0.0)
        trace_BPG = weight_BPP.tril(-1) @ took_BPG
        shown_BPK = (past.id >= 0).float()
        again_BPK = trace_BPG.gather(2, topic_BPK) * shown_BPK
        again_BP = again_BPK.sum(2) / shown_BPK.sum(2).clamp(min=1.0)
        answered_BP = past.taken.any(2).float()
        refused_BP = shown_BPK.amax(2) - answered_BP
        taken_again_BP = (again_BPK * past.taken).sum(2)
        return torch.stack([refused_BP, again_BP, again_BP * answered_BP, taken_again_BP], 2)

    def _answers(self, past: PastSlates) -> Tensor:
        """How people answered to the slates of the session, fading fast and slow, (B, ANSWERS)."""
        age_P = _ages(past)
        fading_2P = torch.stack([keep**age_P * (1.0 - keep) for keep in (FAST, SLOW)])
        return (fading_2P @ self.of_slates(past)).flatten(1)

    def _summed(self, weight_BRX: Tensor, id_BX: Tensor) -> Tensor:
        """Weights of items summed by topic, (B, R, G); an id below 0 must weigh nothing."""
        topic_BX = self.topic_N[id_BX.clamp(min=0).long()].long()
        zero_BRG = weight_BRX.new_zeros(*weight_BRX.shape[:2], self.num_topics)
        return zero_BRG.scatter_add(2, topic_BX[:, None].expand_as(weight_BRX), weight_BRX)


def _ages(past: PastSlates) -> Tensor:
    """Slates since each remembered one, (P,) float32: 0 is the newest."""
    P = past.id.shape[1]
    return torch.arange(P - 1, -1, -1, device=past.id.device).float()
