"""What a session has shown so far, as a few fading sums that one slate moves on.

The same numbers are read off a remembered session (`remembered`) and moved on slate by slate in
an imagined one (`Traces.after`). Nothing in them knows how many clicks bore anybody, or for how
long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from slategym.agents.core.history_rule import FADINGS
from slategym.envs.types import PastSlates

BY_SLATE = tuple(sorted(FADINGS))  # what a click on a topic keeps from slate to slate
BY_CLICK = (0.5, 0.7, 0.9)  # and from click to click, however long between them
REFUSED = (0.5, 0.8, 0.95)  # what a refused slate keeps from slate to slate
SINCE = 3.0  # refused slates in a row that count one
OF_TOPIC = len(BY_SLATE) + len(BY_CLICK)  # features of a topic alone
OF_VISIT = len(REFUSED) + 1  # of a visit, from what was refused
WIDTH = 2 * OF_TOPIC + OF_VISIT  # X: of a topic in its session


class Traces(NamedTuple):
    """Of B sessions."""

    topic: Tensor  # (B, OF_TOPIC, G) float32: clicks by topic
    visit: Tensor  # (B, OF_VISIT) float32: refused slates

    def after(self, took_BG: Tensor) -> Traces:
        """One slate on.

        Args:
            took_BG: float32, clicks of the slate by topic; at most one slate's.
        """
        clicked_B1 = took_BG.sum(1, keepdim=True).clamp(max=1.0)
        slate_R1, click_R1 = _keeps(took_BG)
        number = len(BY_SLATE)
        before = self.topic[:, :number], self.topic[:, number:]
        by_slate = slate_R1 * before[0] + took_BG[:, None]
        kept_BR1 = 1.0 - clicked_B1[:, None] * (1.0 - click_R1)
        by_click = kept_BR1 * before[1] + (1.0 - click_R1) * took_BG[:, None]
        refused_B1 = 1.0 - clicked_B1
        keep_R = took_BG.new_tensor(REFUSED)
        refused_BR = keep_R * self.visit[:, :-1] + (1.0 - keep_R) * refused_B1
        since_B1 = refused_B1 * (self.visit[:, -1:] + 1.0 / SINCE)
        topic = torch.cat([by_slate, by_click], 1)
        return Traces(topic, torch.cat([refused_BR, since_B1], 1))

    @property
    def features(self) -> Tensor:
        """Of every topic, (B, G, WIDTH): its own traces, the largest of any, and the visit."""
        own_BGR = self.topic.transpose(1, 2)
        most_BR = self.topic.amax(2)
        shared_BX = torch.cat([most_BR, self.visit], 1)[:, None]
        return torch.cat([own_BGR, shared_BX.expand(-1, own_BGR.shape[1], -1)], 2)

    def features_after(self, taken_BX: Tensor, of_BK: Tensor) -> Tensor:
        """Of these topics one slate on, were an item of each of those taken, (B, X, K, WIDTH).

        Args:
            taken_BX: topics of which one is taken, each on its own.
            of_BK: topics whose features they are.
        """
        slate_R1, click_R1 = _keeps(self.topic)
        keep_R1 = torch.cat([slate_R1, click_R1])
        adds_R1 = torch.cat([torch.ones_like(slate_R1), 1.0 - click_R1])
        kept_BRG = keep_R1 * self.topic
        R = len(keep_R1)
        own_BRX = kept_BRG.gather(2, taken_BX[:, None].expand(-1, R, -1)) + adds_R1
        most_BRX = torch.maximum(kept_BRG.amax(2, keepdim=True), own_BRX)
        of_BRK = kept_BRG.gather(2, of_BK[:, None].expand(-1, R, -1))
        same_BXK = (taken_BX[:, :, None] == of_BK[:, None]).float()
        own_BRXK = of_BRK[:, :, None] + adds_R1[:, :, None] * same_BXK[:, None]
        keep_R = self.visit.new_tensor(REFUSED)
        visit_BV = torch.cat([keep_R * self.visit[:, :-1], 0.0 * self.visit[:, -1:]], 1)
        X, K = taken_BX.shape[1], of_BK.shape[1]
        most_BXKR = most_BRX.permute(0, 2, 1)[:, :, None].expand(-1, -1, K, -1)
        visit_BXKV = visit_BV[:, None, None].expand(-1, X, K, -1)
        return torch.cat([own_BRXK.permute(0, 2, 3, 1), most_BXKR, visit_BXKV], 3)

    def at(self, row_R: Tensor) -> Traces:
        """Of these sessions."""
        return Traces(self.topic[row_R], self.visit[row_R])


def nothing_yet(number: int, num_topics: int, device: torch.device | str) -> Traces:
    """Of sessions in which nothing was shown."""
    topic = torch.zeros(number, OF_TOPIC, num_topics, device=device)
    return Traces(topic, torch.zeros(number, OF_VISIT, device=device))


def remembered(
    past: PastSlates, topic_N: Tensor, num_topics: int
) -> Iterator[tuple[Tensor, Traces]]:
    """Before each remembered slate which of the sessions had been shown it, and their traces.

    The last is of now: everybody's.

    Args:
        past: P slates.
        topic_N: main topic of each item, int64.
        num_topics: G.
    """
    traces = nothing_yet(past.id.shape[0], num_topics, past.id.device)
    for id_BK, taken_BK in zip(past.id.unbind(1), past.taken.unbind(1), strict=True):
        shown_B = (id_BK >= 0).any(1)
        yield shown_B, traces
        moved = traces.after(
            took_by_topic(topic_N[id_BK.clamp(min=0).long()], taken_BK, num_topics)
        )
        traces = Traces(
            torch.where(shown_B[:, None, None], moved.topic, traces.topic),
            torch.where(shown_B[:, None], moved.visit, traces.visit),
        )
    yield torch.ones(past.id.shape[0], dtype=torch.bool, device=past.id.device), traces


def took_by_topic(topic_BK: Tensor, taken_BK: Tensor, num_topics: int) -> Tensor:
    """Clicks of a slate by topic, (B, G) float32."""
    zero_BG = torch.zeros(topic_BK.shape[0], num_topics, device=topic_BK.device)
    return zero_BG.scatter_add(1, topic_BK, taken_BK.float())


def _keeps(like: Tensor) -> tuple[Tensor, Tensor]:
    return like.new_tensor(BY_SLATE)[:, None], like.new_tensor(BY_CLICK)[:, None]
