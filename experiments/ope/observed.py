"""What a policy may see at each of a log's slates, from the rows before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.envs.types import LONG_AGO, Context, History, Observation
from slategym.experiments.ope.slates import LoggedSlates
from slategym.models.data.log import Log

HISTORY = 20  # clicks before the slate


class Observed(Protocol):
    """Observations of a log's slates."""

    @property
    def num_candidates(self) -> int:
        """C."""
        ...

    @property
    def profile_sizes(self) -> tuple[int, ...]:
        """F, number of categories of each trait."""
        ...

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Observation]]:
        """Of at most so many slates at a time, numbered as in `LoggedSlates`; of all in the end."""
        ...


class FromRows:
    """Profile, clicks before the slate, the clock, and what may be shown: what a log's rows say.

    All items are candidates; where the log's people have nothing twice, less what they had. A log
    does not say what else was withheld.

    Args:
        log: the data.
        slates: of that log.
    """

    def __init__(self, log: Log, slates: LoggedSlates) -> None:
        self.log, self.slates = log, slates
        rows = log.events
        user_R, self.row_S = rows["user"].to_numpy(np.int64), slates.row_S
        self.user_S = user_R[self.row_S]
        self.clicked_n = np.flatnonzero(rows["click"].to_numpy() > 0)
        self.item_n = rows["item"].to_numpy(np.int64)[self.clicked_n]
        names = [signal.name for signal in log.signals]
        self.feedback_nM = rows[names].to_numpy(np.float32)[self.clicked_n]
        first_S = np.searchsorted(user_R, self.user_S)  # the user's first row
        self.end_S = np.searchsorted(self.clicked_n, self.row_S)
        self.begin_S = np.searchsorted(self.clicked_n, first_S)

    @property
    def num_candidates(self) -> int:
        """N."""
        return self.log.num_items

    @property
    def profile_sizes(self) -> tuple[int, ...]:
        """Of the log's users."""
        return self.log.profile_sizes

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Observation]]:
        """See `Observed`."""
        for begin in range(0, len(self.row_S), size):
            slate_B = np.arange(begin, min(len(self.row_S), begin + size))
            yield slate_B, self.at(slate_B)

    def at(self, slate_B: NDArray[np.int64]) -> Observation:
        """Of these slates."""
        rows, row_B = self.log.events, self.row_S[slate_B]
        place_BH = self.end_S[slate_B][:, None] - HISTORY + np.arange(HISTORY)
        known_BH = place_BH >= self.begin_S[slate_B][:, None]
        at_BH = np.where(known_BH, place_BH, 0)
        M, B = self.feedback_nM.shape[1], len(slate_B)
        if len(self.item_n):
            item_BH = np.where(known_BH, self.item_n[at_BH], -1)
            feedback_BHM = np.nan_to_num(self.feedback_nM[at_BH]) * known_BH[..., None]
        else:
            item_BH = np.full((B, HISTORY), -1)
            feedback_BHM = np.zeros((B, HISTORY, M), np.float32)
        profile = self.log.users[list(self.log.profile_names)].to_numpy(np.int32)
        hour_B = torch.as_tensor(rows["hour"].to_numpy(np.float32)[row_B])
        none_B = torch.zeros(B, dtype=torch.int32)
        return Observation(
            profile=torch.as_tensor(profile[self.user_S[slate_B]]) if profile.size else None,
            history=History(
                torch.as_tensor(item_BH.astype(np.int32)),
                torch.as_tensor(feedback_BHM.astype(np.float32)),
                torch.full((B, HISTORY), LONG_AGO, dtype=torch.int32),
            ),
            context=Context(
                hour=hour_B,
                weekday=torch.as_tensor(rows["weekday"].to_numpy(np.int32)[row_B]),
                device=none_B,
                place=none_B,
                weather=none_B,
                gap=torch.zeros(B),
            ),
            candidates=None,
            allowed=None if self.log.repeats else self._not_had(slate_B),
            state=None,
            revealed=None,
            step=torch.as_tensor(self.slates.step_S[slate_B].astype(np.int32)),
        )

    def _not_had(self, slate_B: NDArray[np.int64]) -> torch.Tensor:
        """Items that the user had not clicked before, (B, N) bool."""
        allowed_BN = torch.ones(len(slate_B), self.num_candidates, dtype=torch.bool)
        for b, s in enumerate(slate_B):
            allowed_BN[b, self.item_n[self.begin_S[s] : self.end_S[s]]] = False
        return allowed_BN
