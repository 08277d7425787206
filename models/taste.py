"""What a fitted model must offer to be people's taste, or to watch a session."""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

from slategym.envs.types import Arrival, Context, Items, Population
from slategym.models.tasks import Task

Outputs = tuple[Tensor, ...]  # of each task in order, (x, C) each: log-odds, or as `Task.link` says
S = TypeVar("S")


class Taste(Protocol[S]):
    """A fitted model of one user's taste, moved event by event."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Of the M signals that it knows, click first."""
        ...

    def initial(self, arrival: Arrival) -> S:
        """State after the history with which users arrive."""
        ...

    def after(
        self, state: S, item_B: Tensor, feedback_BM: Tensor, took_B: Tensor, context: Context
    ) -> S:
        """State after one more event; rows where took_B is False stay as they are.

        Args:
            state: before it.
            item_B: int64 ids.
            feedback_BM: every signal, NaN where it was not observed; further columns are not read.
            took_B: bool.
            context: of the request.
        """
        ...

    def score(self, state: S, id_BC: Tensor | None, context: Context) -> Outputs:
        """Every task's output for these items, or for all N where id_BC is None."""
        ...

    def prepared(self, population: Population) -> Taste[S]:
        """The same taste with these people's histories read once, so that arrivals are look-ups."""
        ...


def clicked(items: Items, feedback_BKM: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The one clicked item of each slate.

    Returns:
        item_B: int64 ids. feedback_BM: every signal of it. took_B: whether there is one, bool.
    """
    took_B = feedback_BKM[..., 0].sum(1) > 0
    slot_B1 = feedback_BKM[..., 0].argmax(1, keepdim=True)
    item_B = items.id.gather(1, slot_B1)[:, 0].long()
    slot_B1M = slot_B1[..., None].expand(-1, -1, feedback_BKM.shape[2])
    return item_B, feedback_BKM.gather(1, slot_B1M)[:, 0], took_B


def clicks_in_order(
    items: Items, feedback_BKM: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
    """The first clicked item of every slate, the second, and so on: see `clicked`; at least one."""
    click_BK = feedback_BKM[..., 0] > 0
    order_BK = (~click_BK).int().argsort(dim=1, stable=True)  # clicked slots first
    number_B = click_BK.sum(1)
    id_BK = items.id.gather(1, order_BK).long()
    sorted_BKM = feedback_BKM.gather(1, order_BK[..., None].expand_as(feedback_BKM))
    most = max(1, int(number_B.max()))
    return tuple((id_BK[:, k], sorted_BKM[:, k], number_B > k) for k in range(most))
