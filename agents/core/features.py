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
BY_CLICK = 0.8  # what the fourth trace keeps from click to click, however long between them
PER_TOPIC, PER_VISIT = 4, 3  # features of a topic and of a visit from the clicks alone

# where slates are remembered
BY_CLICK_TOO = (0.5, 0.7, 0.9)  # what further traces keep from click to click
PASSED = 2  # features of a topic from what was passed over
PER_SLATE = 4  # features of a remembered slate
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
        return PER_TOPIC + (len(BY_CLICK_TOO) + PASSED) * self.slates

    @property
    def per_visit(self) -> int:
        """Features of a visit."""
        return PER_VISIT + (len(BY_CLICK_TOO) + 2 * PER_SLATE) * self.slates

    def by_topic(self, observation: Observation) -> Tensor:
        """(B, per_topic, G), of order 1.

        Clicks on the topic: three traces that fade with every slate, one with every click. Where
        slates are remembered, three more that fade with every click, and two of the topic's items
        that were shown and passed over, fading fast and slow with every slate.
        """
        history = observation.history
        inside_BH = history.age < LONG_AGO
        newer_BH = _newer(inside_BH)
        age_BH = (history.age - 1).clamp(max=OLDEST).float()
        weights_BH = (
            QUICK**age_BH / 2.0,
            FAST**age_BH / 3.0,
            SLOW**age_BH / 6.0,
            BY_CLICK**newer_BH / 3.0,
        )
        taken_B4G = self._summed(torch.stack([w * inside_BH for w in weights_BH], 1), history.id)
        if not self.slates:
            return taken_B4G
        past = _past(observation)
        passed_BPK = (past.id >= 0) & ~past.taken
        shown_BPK = (past.id >= 0).float()
        share_BPK = passed_BPK / shown_BPK.sum(2, keepdim=True).clamp(min=1.0)
        age_P = _ages(past)
        weight_B2PK = torch.stack(
            [share_BPK * (keep**age_P * (1.0 - keep))[:, None] for keep in (FAST, SLOW)], 1
        )
        passed_B2G = self._summed(weight_B2PK.flatten(2), past.id.flatten(1))
        return torch.cat([taken_B4G, self._by_click(observation), passed_B2G], 1)

    def of_visit(self, observation: Observation) -> Tensor:
        """(B, per_visit), of order 1.

        Share of the session gone, slates since the last click / 3, clicks / 10. Where slates are
        remembered, the largest of the topics' traces by click, and `of_slates`, fading fast and
        slow: so, what share of slates was refused, and how more of the same was answered.
        """
        inside_BH = observation.history.age < LONG_AGO
        step_B = observation.step.float()
        since_B = observation.history.age[:, -1].float() - 1.0
        misses_B = torch.where(inside_BH[:, -1], since_B, step_B)
        clicks_B = inside_BH.sum(1).float()
        plain_B3 = torch.stack([step_B / self.horizon, misses_B / 3.0, clicks_B / 10.0], 1)
        if not self.slates:
            return plain_B3
        past = _past(observation)
        most_BR = self._by_click(observation).amax(2)
        age_P = _ages(past)
        fading_2P = torch.stack([keep**age_P * (1.0 - keep) for keep in (FAST, SLOW)])
        answers_B2E = fading_2P @ self.of_slates(past)
        return torch.cat([plain_B3, most_BR, answers_B2E.flatten(1)], 1)

    def of_slates(self, past: PastSlates) -> Tensor:
        """Of each remembered slate, (B, P, PER_SLATE); 0 where there was none yet.

        Whether it was refused; how much of the same it showed; that again where something was
        taken; how much of the same what was taken was. An item is as much of the same as the trace
        of earlier clicks on its topic says, which fades with every click.
        """
        topic_BPK = self.topic_N[past.id.clamp(min=0).long()].long()
        took_BPG = _by_topic(past.taken.float(), topic_BPK, self.num_topics)
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

    def _by_click(self, observation: Observation) -> Tensor:
        """Further traces of clicks that fade with every click, (B, 3, G)."""
        history = observation.history
        inside_BH = history.age < LONG_AGO
        newer_BH = _newer(inside_BH)
        faded_BRH = torch.stack([keep**newer_BH * (1.0 - keep) for keep in BY_CLICK_TOO], 1)
        return self._summed(faded_BRH * inside_BH[:, None], history.id)

    def _summed(self, weight_BRX: Tensor, id_BX: Tensor) -> Tensor:
        """Weights of items summed by topic, (B, R, G); an id below 0 must weigh nothing."""
        topic_BX = self.topic_N[id_BX.clamp(min=0).long()].long()
        return _by_topic(weight_BRX, topic_BX[:, None].expand_as(weight_BRX), self.num_topics)


def _by_topic(weight_BRX: Tensor, topic_BRX: Tensor, num_topics: int) -> Tensor:
    """Sums of weights by topic, (B, R, G); no shape is a number, which a recording would fix."""
    zero_BRG = torch.zeros_like(weight_BRX[:, :, :1]).expand(-1, -1, num_topics)
    return zero_BRG.scatter_add(2, topic_BRX, weight_BRX)


def _past(observation: Observation) -> PastSlates:
    assert observation.past is not None, "a world that remembers slates shows them"
    return observation.past


def _newer(inside_BH: Tensor) -> Tensor:
    """How many clicks of the session are newer than each, (B, H) float32: 0 is the newest."""
    return (inside_BH.flip(1).cumsum(1).flip(1) - 1).clamp(min=0).float()


def _ages(past: PastSlates) -> Tensor:
    """Slates since each remembered one, (P,) float32: 0 is the newest."""
    P = past.id.shape[1]
    return torch.arange(P - 1, -1, -1, device=past.id.device).float()
