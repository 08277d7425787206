"""A log as sequences: who saw what before each event, in the shapes that the model takes.

What a user clicked makes the history; every row of the log, clicked or passed over, is a target. A
row is predicted from the clicks before its request: before its slate where the log has slates.

Axis letters beyond the legend of `envs/types.py`: E rows of the log, Q clicked rows, S positions of
a sequence (position s has seen s of its window's clicks; H = S - 1 are fed), R target rows of a
window, x the real targets of a batch in row-major order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.models.data.log import REQUEST, Log
from slategym.models.data.slates import has_slates

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NEVER = 2**30  # rank of an item that the user never meets
POOL = 128  # chunks sorted by length together: less padding, order still random
MAX_REDRAWS = 20  # of a negative that turns out to be consumed


class Windows(NamedTuple):
    """B stretches of positions, each of one user, and the rows that are predicted from them."""

    start_B: Ints  # first position
    stop_B: Ints  # past the last position
    row_B: Ints  # first target row
    end_B: Ints  # past the last target row

    def part(self, chosen: Ints) -> Windows:
        """Some of them."""
        return Windows(*(values_B[chosen] for values_B in self))


@dataclass(frozen=True)
class Rehearsal:
    """New rows are all learned from, of the old ones only so many: against forgetting."""

    fresh_E: Bools  # (E,) the new rows
    share: float  # of the rows learned from that are old ones, in [0, 1)

    def chosen(self, windows: Windows, rng: np.random.Generator) -> Ints:
        """Windows with a new row, and of the others as many as make up the share."""
        before = np.concatenate([[0], np.cumsum(self.fresh_E)])
        fresh_B = before[windows.end_B] - before[windows.row_B]
        rows_B = windows.end_B - windows.row_B
        new_B = np.flatnonzero(fresh_B > 0)
        wanted = fresh_B.sum() * self.share / (1 - self.share)
        wanted -= (rows_B - fresh_B)[new_B].sum()  # in one window with new ones
        old_B = rng.permutation(np.flatnonzero(fresh_B == 0))
        taken = np.searchsorted(np.cumsum(rows_B[old_B]), wanted) if wanted > 0 else 0
        return np.concatenate([new_B, old_B[: int(taken)]])


@dataclass(frozen=True)
class Batch:
    """Windows of B users, padded on the right."""

    row_BR: Tensor  # (B, R) int64, rows of the log to predict; 0 where padded
    real_BR: Tensor  # (B, R) bool
    at_BR: Tensor  # (B, R) int64, position from which each is predicted; 0 where padded
    user_B: Tensor  # (B,) int64
    profile_BF: Tensor  # (B, F) int64
    hour_B: Tensor  # (B,) float32, of the window's first event
    weekday_B: Tensor  # (B,) int64
    extra_BZ: Tensor  # (B, Z) float32, its further context columns
    id_BH: Tensor  # (B, H) int64, items of the clicks before the last position
    feedback_BHM: Tensor  # (B, H, M) float32, their signals, NaN where unobserved
    gap_BH: Tensor  # (B, H) float32, seconds since the user's click before


@dataclass(frozen=True)
class Sequences:
    """The rows of a log in (user, time) order, as flat tensors on one device.

    A user with q clicks has q + 1 positions, one after another, users in order.
    """

    user_E: Tensor  # (E,) int64
    item_E: Tensor  # (E,) int64
    feedback_EM: Tensor  # (E, M) float32, every signal, click first, NaN where unobserved
    hour_E: Tensor  # (E,) float32
    weekday_E: Tensor  # (E,) int64
    extra_EZ: Tensor  # (E, Z) float32, further context columns: codes and numbers; -1, NaN: unknown
    order_E: Tensor  # (E,) int64, clicks of the user before the row's request
    slot_E: Tensor | None  # (E,) int64, position in the slate that was shown; None: no slates
    first_U: Tensor  # (U,) int64, row of each user's first event
    count_U: Tensor  # (U,) int64, rows of each user
    click_Q: Tensor  # (Q,) int64, the clicked rows
    gap_Q: Tensor  # (Q,) float32, seconds since the user's click before, 0 for the first
    first_click_U: Tensor  # (U,) int64, place in click_Q of each user's first click
    clicks_U: Tensor  # (U,) int64, clicks of each user
    profile_UF: Tensor  # (U, F) int64
    pair_P: Tensor  # (P,) int64, sorted: user * N + item of every pair that met by a click
    met_P: Tensor  # (P,) int64, clicks of the user before their first meeting
    num_items: int  # N
    repeats: bool  # whether a user may consume an item again

    @staticmethod
    def from_log(log: Log, device: torch.device | str = "cpu") -> Sequences:
        """Flatten a log; its events must be sorted by (user, time), as `Log` promises."""
        events = log.events
        user_E, item_E = events["user"].to_numpy(np.int64), events["item"].to_numpy(np.int64)
        num_users, num_rows = len(log.users), len(events)
        count_U = np.bincount(user_E, minlength=num_users)
        first_U = np.cumsum(count_U) - count_U
        clicked_E = events["click"].to_numpy() > 0
        click_Q = np.flatnonzero(clicked_E)
        clicks_U = np.bincount(user_E[click_Q], minlength=num_users)
        first_click_U = np.cumsum(clicks_U) - clicks_U
        before_E = np.cumsum(clicked_E) - clicked_E - first_click_U[user_E]
        gap_Q = np.diff(events["time"].to_numpy(np.int64)[click_Q], prepend=0)
        gap_Q[first_click_U[clicks_U > 0]] = 0
        gap_Q = np.maximum(gap_Q, 0)  # rows held out at random come after later ones
        pair_P, at = np.unique(
            user_E[click_Q] * len(log.items) + item_E[click_Q], return_index=True
        )
        met_P = at - first_click_U[user_E[click_Q[at]]]
        columns = [events[signal.name].to_numpy(np.float32) for signal in log.signals]
        extra = [events[column.name].to_numpy(np.float32) for column in log.context]
        shown = has_slates(log)

        def tensor(values: NDArray[np.generic], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        return Sequences(
            user_E=tensor(user_E, torch.int64),
            item_E=tensor(item_E, torch.int64),
            feedback_EM=tensor(np.stack(columns, axis=1), torch.float32),
            hour_E=tensor(events["hour"].to_numpy(), torch.float32),
            weekday_E=tensor(events["weekday"].to_numpy(), torch.int64),
            extra_EZ=tensor(
                np.stack(extra, axis=1) if extra else np.zeros((num_rows, 0)), torch.float32
            ),
            order_E=tensor(_before_slate(events, before_E), torch.int64),
            slot_E=tensor(_slots(events), torch.int64) if shown else None,
            first_U=tensor(first_U, torch.int64),
            count_U=tensor(count_U, torch.int64),
            click_Q=tensor(click_Q, torch.int64),
            gap_Q=tensor(gap_Q, torch.float32),
            first_click_U=tensor(first_click_U, torch.int64),
            clicks_U=tensor(clicks_U, torch.int64),
            profile_UF=tensor(log.users[list(log.profile_names)].to_numpy(), torch.int64),
            pair_P=tensor(pair_P, torch.int64),
            met_P=tensor(met_P, torch.int64),
            num_items=len(log.items),
            repeats=log.repeats,
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

    @cached_property
    def base_U(self) -> Tensor:
        """First position of each user, (U,) int64."""
        return self.first_click_U + torch.arange(self.num_users, device=self.user_E.device)

    @cached_property
    def position_E(self) -> Tensor:
        """The position from which each row is predicted, (E,) int64, never falling."""
        return self.base_U[self.user_E] + self.order_E

    def batch(self, windows: Windows) -> Batch:
        """The tensors of these windows."""
        device = self.user_E.device
        start, stop, row, end = (torch.as_tensor(x, device=device)[:, None] for x in windows)
        row_BR = row + torch.arange(int((windows.end_B - windows.row_B).max()), device=device)
        real_BR = row_BR < end
        row_BR = row_BR * real_BR
        user_B = self.user_E[row[:, 0]]
        longest = int((windows.stop_B - windows.start_B).max())
        fed_BH = start + torch.arange(longest - 1, device=device)
        into_BH = fed_BH - (self.base_U - self.first_click_U)[user_B][:, None]
        fed_BH = torch.where(fed_BH < stop - 1, into_BH, 0)
        start_B = (start - (self.base_U - self.first_click_U)[user_B][:, None])[:, 0]
        known_B = start_B < (self.first_click_U + self.clicks_U)[user_B]
        first_B = self.click_Q[start_B.clamp(max=max(len(self.click_Q) - 1, 0))]
        first_B = torch.where(known_B, torch.minimum(first_B, row[:, 0]), row[:, 0])
        click_BH = self.click_Q[fed_BH]
        return Batch(
            row_BR=row_BR,
            real_BR=real_BR,
            at_BR=torch.where(real_BR, self.position_E[row_BR] - start, 0),
            user_B=user_B,
            profile_BF=self.profile_UF[user_B],
            hour_B=self.hour_E[first_B],
            weekday_B=self.weekday_E[first_B],
            extra_BZ=self.extra_EZ[first_B],
            id_BH=self.item_E[click_BH],
            feedback_BHM=self.feedback_EM[click_BH],
            gap_BH=self.gap_Q[fed_BH],
        )

    def earlier(self, windows: Windows, most: int) -> Tensor:
        """Items of the clicks before these windows, the latest last; -1 where there is none.

        Args:
            windows: of users.
            most: clicks, for each window.

        Returns:
            (B, most) int64.
        """
        device = self.user_E.device
        user_B = self.user_E[torch.as_tensor(windows.row_B, device=device)]
        clicks_B = torch.as_tensor(windows.start_B, device=device) - self.base_U[user_B]
        place_BP = clicks_B[:, None] - most + torch.arange(most, device=device)
        at_BP = (self.first_click_U[user_B][:, None] + place_BP).clamp(min=0)
        if not len(self.click_Q):
            return torch.full_like(at_BP, -1)
        at_BP = at_BP.clamp(max=len(self.click_Q) - 1)
        return torch.where(place_BP >= 0, self.item_E[self.click_Q[at_BP]], -1)

    def rank(self, user_B: Tensor, item_A: Tensor | None = None) -> Tensor:
        """When each user first meets each item by a click: (B, A) int32, NEVER if never.

        Args:
            user_B: int64.
            item_A: sorted item ids; None: all N items.
        """
        count_B = self.clicks_U[user_B]
        line_x = torch.repeat_interleave(torch.arange(len(user_B), device=user_B.device), count_B)
        before_B = count_B.cumsum(0) - count_B
        order_x = torch.arange(len(line_x), device=user_B.device) - before_B[line_x]
        item_x = self.item_E[self.click_Q[self.first_click_U[user_B][line_x] + order_x]]
        width = self.num_items if item_A is None else len(item_A)
        if item_A is not None:
            at_x = torch.searchsorted(item_A, item_x).clamp(max=width - 1)
            there_x = item_A[at_x] == item_x
            line_x, order_x, item_x = line_x[there_x], order_x[there_x], at_x[there_x]
        shape = (len(user_B), width)
        rank_BA = torch.full(shape, NEVER, dtype=torch.int32, device=user_B.device)
        flat_x = line_x * width + item_x
        rank_BA.view(-1).scatter_reduce_(0, flat_x, order_x.int(), reduce="amin")
        return rank_BA

    def met(self, user_x: Tensor, item_x: Tensor) -> Tensor:
        """The same for some pairs of equal shape, int64."""
        pair_x = user_x * self.num_items + item_x
        if not len(self.pair_P):
            return torch.full_like(pair_x, NEVER)
        at_x = torch.searchsorted(self.pair_P, pair_x).clamp(max=len(self.pair_P) - 1)
        return torch.where(self.pair_P[at_x] == pair_x, self.met_P[at_x], NEVER)

    def prefix_lengths(self, train_E: Bools) -> Ints:
        """Training rows of each user, (U,): they must be the user's first ones.

        Raises:
            ValueError: if some user has a training row after one that is not: the model would read
                held-out feedback as history.
        """
        user_E = self.user_E.cpu().numpy()
        place_E = np.arange(self.num_rows) - self.first_U.cpu().numpy()[user_E]
        length_U = np.bincount(user_E[train_E], minlength=self.num_users)
        late_E = train_E & (place_E >= length_U[user_E])
        if late_E.any():
            raise ValueError(
                "training rows must be the first rows of each user (split by user or by time), "
                f"user {user_E[late_E.argmax()]} has a held-out row before a training row"
            )
        return length_U

    def clicks_within(self, train_E: Bools) -> Ints:
        """Clicks of each user among these rows, (U,)."""
        click_Q = self.click_Q.cpu().numpy()
        kept = click_Q[train_E[click_Q]]
        return np.bincount(self.user_E.cpu().numpy()[kept], minlength=self.num_users)


def _before_slate(events: pd.DataFrame, before_E: Ints) -> Ints:
    """Clicks before each row's request, or slate, began; without either, before the row itself."""
    name = next((name for name in (REQUEST, "slate_id") if name in events), None)
    if name is None:
        return before_E
    keys = [events["user"], events[name]]
    first_E = pd.Series(before_E).groupby([key.to_numpy() for key in keys]).transform("first")
    before_slate_E: Ints = first_E.groupby(events["user"].to_numpy()).cummax().to_numpy(np.int64)
    return before_slate_E


def _slots(events: pd.DataFrame) -> Ints:
    """The slot in which each row was shown; where it was not logged, its place in the slate."""
    if "position" in events:
        slot_E: Ints = events["position"].to_numpy(np.int64).clip(min=0)
        return slot_E
    keys = [events["user"].to_numpy(), events["slate_id"].to_numpy()]
    place_E: Ints = events.groupby(keys, sort=False).cumcount().to_numpy(np.int64)
    return place_E


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
    sequences: Sequences,
    length_U: Ints,
    chunk: int,
    batch_events: int,
    rng: np.random.Generator,
    replay: Rehearsal | None = None,
) -> list[Windows]:
    """Cut each user's training rows into chunks from a random offset, and group them by length.

    Args:
        sequences: the log.
        length_U: training rows of each user, from the first.
        chunk: longest chunk, positions.
        batch_events: positions, or rows if there are more of them, of a batch, padding included;
            one chunk at least is taken.
        rng: offsets, order.
        replay: which chunks are learned from; None: all.

    Returns:
        The windows of each batch, in random order.
    """
    first_U, base_U = sequences.first_U.cpu().numpy(), sequences.base_U.cpu().numpy()
    position_E = sequences.position_E.cpu().numpy()
    trained_U = np.flatnonzero(length_U > 0)
    last_U = first_U[trained_U] + length_U[trained_U]
    starts: list[Ints] = []
    stops: list[Ints] = []
    for base, last in zip(base_U[trained_U], position_E[last_U - 1] + 1, strict=True):
        cuts = np.arange(rng.integers(1, chunk + 1), last - base, chunk)
        starts.append(base + np.concatenate([[0], cuts]))
        stops.append(base + np.concatenate([cuts, [last - base]]))
    start, stop = np.concatenate(starts), np.concatenate(stops)
    limit = np.repeat(last_U, [len(part) for part in starts])
    row = np.searchsorted(position_E, start)
    end = np.minimum(np.searchsorted(position_E, stop), limit)
    filled = end > row  # positions inside a slate of several clicks have no row of their own
    windows = Windows(start, stop, row, end).part(np.flatnonzero(filled))
    if replay is not None:
        windows = windows.part(replay.chosen(windows, rng))
    length = np.maximum(windows.stop_B - windows.start_B, windows.end_B - windows.row_B)
    order = rng.permutation(len(length))
    batches: list[Ints] = []
    for pool in np.split(order, range(POOL, len(order), POOL)):
        pool = pool[np.argsort(-length[pool], kind="stable")]  # longest first
        while len(pool):
            size = max(1, batch_events // int(length[pool[0]]))
            batches.append(pool[:size])
            pool = pool[size:]
    return [windows.part(batches[i]) for i in rng.permutation(len(batches))]


def windows_before(
    sequences: Sequences, row_E: Ints, max_history: int, size: int
) -> Iterator[tuple[Ints, Windows]]:
    """For each row, the window that predicts it alone and reaches back max_history clicks.

    Yields:
        rows and their windows: batches of `size`; windows of like length come together.
    """
    order_E, position_E = sequences.order_E.cpu().numpy(), sequences.position_E.cpu().numpy()
    back = np.minimum(order_E[row_E], max_history)
    row_E = row_E[np.argsort(back, kind="stable")]
    for part in np.split(row_E, range(size, len(row_E), size)):
        at = position_E[part]
        start = at - np.minimum(order_E[part], max_history)
        yield part, Windows(start, at + 1, part, part + 1)


def draw_negatives(
    sequences: Sequences, user_x: Tensor, limit_x: Tensor, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Items drawn uniformly among those that the user has not consumed.

    Args:
        sequences: the log; where items may be consumed again, every item may be drawn.
        user_x: whose row it is.
        limit_x: an item met with fewer clicks before it than this counts as consumed.
        num: draws per row.
        generator: on the CPU.

    Returns:
        id_xC: (x, num) items. free_xC: (x, num) False where every redraw met a consumed item.
    """
    device = user_x.device

    def draw(count: int) -> Tensor:
        return torch.randint(sequences.num_items, (count,), generator=generator).to(device)

    def free(id_xC: Tensor) -> Tensor:
        if sequences.repeats:
            return torch.ones_like(id_xC, dtype=torch.bool)
        user_xC = user_x[:, None].expand_as(id_xC)
        return sequences.met(user_xC, id_xC) >= limit_x[:, None]

    id_xC = draw(len(user_x) * num).view(len(user_x), num)
    free_xC = free(id_xC)
    for _ in range(MAX_REDRAWS):
        taken_xC = ~free_xC
        count = int(taken_xC.sum())
        if not count:
            break
        id_xC[taken_xC] = draw(count)
        free_xC = free(id_xC)
    return id_xC, free_xC
