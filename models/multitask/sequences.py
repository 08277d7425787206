"""A log as sequences: who saw what before each event, in the shapes that the model takes.

Axis letters beyond the legend of `envs/types.py`: E rows of the log, S positions of a sequence
(position s predicts the s-th event of its window; H = S - 1 events are fed), x the real positions
of a batch in row-major order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.models.data.log import Log
from slategym.models.multitask.network import MultiTaskBert

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NEVER = 2**30  # rank of an item that the user never meets
POOL = 128  # chunks sorted by length together: less padding, order still random
MAX_REDRAWS = 20  # of a negative that turns out to be consumed


@dataclass(frozen=True)
class Batch:
    """Windows of B users' events, padded on the right."""

    row_BS: Tensor  # (B, S) int64, row of the log predicted at each position; 0 where padded
    real_BS: Tensor  # (B, S) bool
    user_B: Tensor  # (B,) int64
    profile_BF: Tensor  # (B, F) int64
    hour_B: Tensor  # (B,) float32, of the window's first event
    weekday_B: Tensor  # (B,) int64
    id_BH: Tensor  # (B, H) int64, items of the events before the last position
    feedback_BHM: Tensor  # (B, H, M) float32, their signals, NaN where unobserved
    gap_BH: Tensor  # (B, H) float32, seconds since the user's event before

    def last(self) -> Batch:
        """The same windows with only their last real position to predict: S = 1."""
        last_B1 = self.real_BS.sum(1, keepdim=True) - 1
        row_B1 = self.row_BS.gather(1, last_B1)
        return replace(self, row_BS=row_B1, real_BS=torch.ones_like(row_B1, dtype=torch.bool))


@dataclass(frozen=True)
class Sequences:
    """The rows of a log in (user, time) order, as flat tensors on one device."""

    user_E: Tensor  # (E,) int64
    item_E: Tensor  # (E,) int64
    feedback_EM: Tensor  # (E, M) float32, every signal, click first, NaN where unobserved
    hour_E: Tensor  # (E,) float32
    weekday_E: Tensor  # (E,) int64
    gap_E: Tensor  # (E,) float32, seconds since the user's event before, 0 for the first
    order_E: Tensor  # (E,) int64, 0 for a user's first event
    first_U: Tensor  # (U,) int64, row of each user's first event
    count_U: Tensor  # (U,) int64, rows of each user
    profile_UF: Tensor  # (U, F) int64
    num_items: int  # N

    @staticmethod
    def from_log(log: Log, device: torch.device | str = "cpu") -> Sequences:
        """Flatten a log; its events must be sorted by (user, time), as `Log` promises."""
        events = log.events
        user_E = events["user"].to_numpy(np.int64)
        num_users, num_rows = len(log.users), len(events)
        count_U = np.bincount(user_E, minlength=num_users)
        first_U = np.cumsum(count_U) - count_U
        order_E = np.arange(num_rows) - first_U[user_E]
        gap_E = np.diff(events["time"].to_numpy(np.int64), prepend=0)
        gap_E[order_E == 0] = 0
        columns = [events[signal.name].to_numpy(np.float32) for signal in log.signals]

        def tensor(values: NDArray[np.generic], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        return Sequences(
            user_E=tensor(user_E, torch.int64),
            item_E=tensor(events["item"].to_numpy(), torch.int64),
            feedback_EM=tensor(np.stack(columns, axis=1), torch.float32),
            hour_E=tensor(events["hour"].to_numpy(), torch.float32),
            weekday_E=tensor(events["weekday"].to_numpy(), torch.int64),
            gap_E=tensor(gap_E, torch.float32),
            order_E=tensor(order_E, torch.int64),
            first_U=tensor(first_U, torch.int64),
            count_U=tensor(count_U, torch.int64),
            profile_UF=tensor(log.users[list(log.profile_names)].to_numpy(), torch.int64),
            num_items=len(log.items),
        )

    @property
    def click_E(self) -> Tensor:
        """(E,) float32, 0 or 1."""
        return self.feedback_EM[:, 0]

    @property
    def num_rows(self) -> int:
        """E."""
        return len(self.user_E)

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.first_U)

    def batch(self, start_B: Ints, stop_B: Ints) -> Batch:
        """The windows [start, stop) of rows, each within one user's events."""
        device = self.user_E.device
        start = torch.as_tensor(start_B, device=device)[:, None]
        stop = torch.as_tensor(stop_B, device=device)[:, None]
        row_BS = start + torch.arange(int((stop_B - start_B).max()), device=device)
        real_BS = row_BS < stop
        row_BS = row_BS * real_BS
        user_B, fed_BH = self.user_E[start[:, 0]], row_BS[:, :-1]
        return Batch(
            row_BS=row_BS,
            real_BS=real_BS,
            user_B=user_B,
            profile_BF=self.profile_UF[user_B],
            hour_B=self.hour_E[start[:, 0]],
            weekday_B=self.weekday_E[start[:, 0]],
            id_BH=self.item_E[fed_BH],
            feedback_BHM=self.feedback_EM[fed_BH],
            gap_BH=self.gap_E[fed_BH],
        )

    def rank(self, user_B: Tensor) -> Tensor:
        """When each user first meets each item: (B, N) int32 in `order_E`; NEVER if never."""
        count_B = self.count_U[user_B]
        line_x = torch.repeat_interleave(torch.arange(len(user_B), device=user_B.device), count_B)
        before_B = count_B.cumsum(0) - count_B
        order_x = torch.arange(len(line_x), device=user_B.device) - before_B[line_x]
        item_x = self.item_E[self.first_U[user_B][line_x] + order_x]
        shape = (len(user_B), self.num_items)
        rank_BN = torch.full(shape, NEVER, dtype=torch.int32, device=user_B.device)
        flat_x = line_x * self.num_items + item_x
        rank_BN.view(-1).scatter_reduce_(0, flat_x, order_x.int(), reduce="amin")
        return rank_BN

    def prefix_lengths(self, train_E: Bools) -> Ints:
        """Training rows of each user, (U,): they must be the user's first ones.

        Raises:
            ValueError: if some user has a training row after one that is not: the model would read
                held-out feedback as history.
        """
        user_E, order_E = self.user_E.cpu().numpy(), self.order_E.cpu().numpy()
        length_U = np.bincount(user_E[train_E], minlength=self.num_users)
        late_E = train_E & (order_E >= length_U[user_E])
        if late_E.any():
            raise ValueError(
                "training rows must be the first rows of each user (split by user or by time), "
                f"user {user_E[late_E.argmax()]} has a held-out row before a training row"
            )
        return length_U


def as_mask(sequences: Sequences, rows: NDArray[np.generic]) -> Bools:
    """Rows given as a bool mask over the log, or as user ids meaning all their rows: (E,) bool."""
    if rows.dtype == np.bool_:
        if len(rows) != sequences.num_rows:
            raise ValueError(
                f"a row mask needs one entry per row of the log: {sequences.num_rows}, "
                f"got {len(rows)}"
            )
        return rows.astype(np.bool_)
    if not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"rows are a bool mask or integer user ids, got {rows.dtype}")
    return np.isin(sequences.user_E.cpu().numpy(), rows)


def plan_epoch(
    first_U: Ints, length_U: Ints, chunk: int, batch_events: int, rng: np.random.Generator
) -> list[tuple[Ints, Ints]]:
    """Cut each user's training rows into chunks from a random offset, and group them by length.

    Args:
        first_U: row of each user's first event.
        length_U: training rows of each user, from the first.
        chunk: longest chunk, rows.
        batch_events: positions of a batch, padding included; one chunk at least is taken.
        rng: offsets, order.

    Returns:
        (start, stop) rows of the windows of each batch, in random order.
    """
    starts: list[Ints] = []
    stops: list[Ints] = []
    for first, length in zip(first_U[length_U > 0], length_U[length_U > 0], strict=True):
        cuts = np.arange(rng.integers(1, chunk + 1), length, chunk)
        starts.append(first + np.concatenate([[0], cuts]))
        stops.append(first + np.concatenate([cuts, [length]]))
    start, stop = np.concatenate(starts), np.concatenate(stops)
    order = rng.permutation(len(start))
    batches: list[Ints] = []
    for pool in np.split(order, range(POOL, len(order), POOL)):
        pool = pool[np.argsort((start - stop)[pool], kind="stable")]  # longest first
        while len(pool):
            size = max(1, batch_events // int((stop - start)[pool[0]]))
            batches.append(pool[:size])
            pool = pool[size:]
    return [(start[batches[i]], stop[batches[i]]) for i in rng.permutation(len(batches))]


def windows_before(
    sequences: Sequences, row_E: Ints, max_history: int, size: int
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """For each row, the window ending with it and reaching back max_history events.

    Yields:
        row, start, stop: batches of `size` windows; windows of like length come together.
    """
    order_E = sequences.order_E.cpu().numpy()
    back = np.minimum(order_E[row_E], max_history)
    row_E = row_E[np.argsort(back, kind="stable")]
    for part in np.split(row_E, range(size, len(row_E), size)):
        yield part, part - np.minimum(order_E[part], max_history), part + 1


def queries(model: MultiTaskBert, items_ND: Tensor, sequences: Sequences, batch: Batch) -> Tensor:
    """The model's query at every position of the windows, (B, S, D).

    Position s knows the profile, the events before it in the window, and the hour and weekday of
    the event to predict; not its gap to the event before.
    """
    context_BD = model.context_token(batch.profile_BF, batch.hour_B, batch.weekday_B)
    events_BHD = model.event_tokens(items_ND, batch.id_BH, batch.feedback_BHM, batch.gap_BH)
    # right padding under a causal mask is never seen by a real position: no mask is needed
    states_BSD = model.states(context_BD, events_BHD, None)
    return model.query(
        states_BSD, sequences.hour_E[batch.row_BS], sequences.weekday_E[batch.row_BS]
    )


def draw_negatives(
    rank_BN: Tensor, line_x: Tensor, limit_x: Tensor, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Items drawn uniformly among those that the user has not consumed.

    Args:
        rank_BN: from `Sequences.rank`.
        line_x: which line of rank_BN each row belongs to.
        limit_x: an item with rank below this counts as consumed.
        num: draws per row.
        generator: on the CPU.

    Returns:
        id_xC: (x, num) items. free_xC: (x, num) False where every redraw met a consumed item.
    """
    num_items = rank_BN.shape[1]
    base_x1 = (line_x * num_items)[:, None]
    ranks = rank_BN.view(-1)

    def draw(count: int) -> Tensor:
        return torch.randint(num_items, (count,), generator=generator).to(rank_BN.device)

    id_xC = draw(len(line_x) * num).view(len(line_x), num)
    free_xC = ranks[base_x1 + id_xC] >= limit_x[:, None]
    for _ in range(MAX_REDRAWS):
        taken_xC = ~free_xC
        count = int(taken_xC.sum())
        if not count:
            break
        id_xC[taken_xC] = draw(count)
        free_xC = ranks[base_x1 + id_xC] >= limit_x[:, None]
    return id_xC, free_xC
