"""Slates of a log as arrays, and how likely each was under the policy that showed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.names import UsageError, lookup
from slategym.models.data.description import PROPENSITIES
from slategym.models.data.log import Log
from slategym.models.data.sittings import visits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PSEUDO = 1.0  # rows added to the count of every item of a slot, where propensities are estimated


@dataclass(frozen=True)
class LoggedSlates:
    """Slates in order of episode and step. Axis S: slates of all episodes; P: people.

    Of a log that holds single slots of longer slates, K is 1; `position_SK` says which they were.
    """

    person_S: Ints  # 0..P-1; episodes of one person stay together in every resample
    episode_S: Ints  # 0..E-1
    step_S: Ints  # within the episode, from 0
    item_SK: Ints  # rows of the catalogue; -1: nothing in that slot
    position_SK: Ints  # slot on the screen, from 0
    reward_SK: Floats
    row_S: Ints  # of the table that it was read from, its first
    num_items: int  # N
    slate_logp_S: Floats | None = None  # of the whole ordered slate, nats
    slot_logp_SK: Floats | None = None  # of the slot's item given the slots before it, nats
    position_logp_SK: Floats | None = None  # of the item in that slot, whatever the others hold
    estimated: bool = False  # propensities are counted, not logged
    notes: tuple[str, ...] = ()

    @property
    def num_slates(self) -> int:
        """S."""
        return len(self.person_S)

    @property
    def num_slots(self) -> int:
        """K."""
        return int(self.item_SK.shape[1])

    @property
    def single_slots(self) -> bool:
        """Whether its rows are single slots of longer slates."""
        return self.num_slots == 1 and bool(self.position_SK.any())

    @property
    def num_episodes(self) -> int:
        """E."""
        return int(self.episode_S.max()) + 1

    @property
    def person_E(self) -> Ints:
        """Of each episode."""
        first_E: Ints = self.person_S[self.step_S == 0]
        return first_E

    def padded(self, x_S: Floats) -> Floats:
        """(S, ...) as (E, T, ...), zero behind each episode's end."""
        shape = (self.num_episodes, int(self.step_S.max()) + 1, *x_S.shape[1:])
        padded = np.zeros(shape, x_S.dtype)
        padded[self.episode_S, self.step_S] = x_S
        return padded

    def only(self, kept_S: NDArray[np.bool_]) -> LoggedSlates:
        """Those slates, whole episodes of them; people and episodes are numbered anew."""

        def cut(x_S: Floats | None) -> Floats | None:
            return None if x_S is None else x_S[kept_S]

        return replace(
            self,
            person_S=np.unique(self.person_S[kept_S], return_inverse=True)[1],
            episode_S=np.unique(self.episode_S[kept_S], return_inverse=True)[1],
            step_S=self.step_S[kept_S],
            item_SK=self.item_SK[kept_S],
            position_SK=self.position_SK[kept_S],
            reward_SK=self.reward_SK[kept_S],
            row_S=self.row_S[kept_S],
            slate_logp_S=cut(self.slate_logp_S),
            slot_logp_SK=cut(self.slot_logp_SK),
            position_logp_SK=cut(self.position_logp_SK),
        )

    def single(self) -> LoggedSlates:
        """The same, each slate an episode of its own: as if none changed what came later."""
        return replace(
            self, episode_S=np.arange(self.num_slates), step_S=np.zeros_like(self.step_S)
        )


def slates_of(log: Log, reward: Mapping[str, float] | None = None) -> LoggedSlates:
    """A log's slates, visit by visit.

    Args:
        log: with slates.
        reward: weight of signals, by name; None: those of the log.

    Raises:
        UsageError: the log has no slates, or a signal is not in it.
    """
    rows = log.events
    if "slate_id" not in rows:
        raise UsageError(
            f"{log.name} has no slates: a column slate_id says which rows were shown together; "
            "without what was shown and passed over there is nothing to weigh"
        )
    weights = {s.name: s.weight for s in log.signals if s.weight}
    if reward is not None:
        known = {signal.name: signal for signal in log.signals}
        weights = {lookup("signal", name, known).name: w for name, w in reward.items()}
    rows = rows.assign(
        visit=visits(rows, log.pause),
        reward=sum(w * rows[name].fillna(0.0).astype(float) for name, w in weights.items()),
    )
    found = from_rows(rows, log.num_items, log.slate_size)
    said = " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in weights.items())
    return replace(found, notes=(f"reward: {said or 0}", *found.notes))


def from_rows(rows: pd.DataFrame, num_items: int, num_slots: int | None = None) -> LoggedSlates:
    """Slates from one row per slot.

    Args:
        rows: user, item, time, slate_id, visit, reward; position and `PROPENSITIES` where
            they were logged. In the order of users and time.
        num_items: N.
        num_slots: of a slate on the screen, where the rows may be single slots of it.

    Raises:
        UsageError: a slate holds a slot twice, or rows of one slate differ in its propensity.
    """
    slate_R, first_R = pd.factorize(rows["slate_id"])  # in order of appearance: by user and time
    size_S = np.bincount(slate_R)
    by_slot = "position" in rows
    position_R = (
        rows["position"].to_numpy(np.int64)
        if by_slot
        else rows.groupby("slate_id").cumcount().to_numpy(np.int64)
    )
    lone = by_slot and size_S.max() == 1 and (num_slots or 1) > 1
    column_R = np.zeros_like(position_R) if lone else position_R
    S, K = len(first_R), int(column_R.max()) + 1
    if (np.bincount(slate_R * K + column_R) > 1).any():
        raise UsageError("some slate holds two items in one slot; number positions from 0")

    def grid(values_R: NDArray[Any], empty: float) -> Floats:
        found_SK = np.full((S, K), empty, np.float64)
        found_SK[slate_R, column_R] = values_R
        return found_SK

    head_R = np.flatnonzero(~rows["slate_id"].duplicated().to_numpy())
    visit_S = rows["visit"].to_numpy()[head_R]
    episode_S = pd.factorize(visit_S)[0].astype(np.int64)
    step_S = pd.Series(episode_S).groupby(episode_S).cumcount().to_numpy(np.int64)
    logged = {name: rows[name].to_numpy(np.float64) for name in PROPENSITIES if name in rows}
    chance = {name: np.log(grid(x_R, 1.0)) for name, x_R in logged.items()}
    slate_S = np.log(logged["propensity"][head_R]) if "propensity" in logged else None
    alone = size_S.max() == 1  # a slate of one row: all three are the same
    item_SK = grid(rows["item"].to_numpy(), -1).astype(np.int64)
    return LoggedSlates(
        person_S=pd.factorize(rows["user"].to_numpy()[head_R])[0].astype(np.int64),
        episode_S=episode_S,
        step_S=step_S,
        item_SK=item_SK,
        position_SK=grid(position_R, 0).astype(np.int64) if lone else np.tile(np.arange(K), (S, 1)),
        reward_SK=grid(rows["reward"].to_numpy(np.float64), 0.0),
        row_S=head_R,
        num_items=num_items,
        slate_logp_S=slate_S,
        slot_logp_SK=_first(chance, "slot_propensity", *(["propensity"] if alone else [])),
        position_logp_SK=_first(chance, "position_propensity", *(["propensity"] if alone else [])),
        notes=("single slots of slates: each row is read on its own",) if lone else (),
    )


def _first(chance: Mapping[str, Floats], *names: str) -> Floats | None:
    return next((chance[name] for name in names if name in chance), None)


def counted(slates: LoggedSlates) -> LoggedSlates:
    """The same with propensities estimated where none were logged.

    How often each slot held each item, with `PSEUDO` rows more of each; given the slots before it,
    among what they leave. Blind to who was asked: right if the logging policy was, too.
    """
    if slates.slate_logp_S is not None:
        return slates
    N, there_SK = slates.num_items, slates.item_SK >= 0
    position_SK, item_SK = slates.position_SK, slates.item_SK.clip(min=0)
    num_positions = int(position_SK.max()) + 1
    count_KN = np.full((num_positions, N), PSEUDO)
    np.add.at(count_KN, (position_SK[there_SK], item_SK[there_SK]), 1.0)
    share_KN = count_KN / count_KN.sum(1, keepdims=True)
    prob_SK = share_KN[position_SK, item_SK]
    left_SK = np.ones_like(prob_SK)
    for k in range(1, slates.num_slots):
        for before in range(k):
            held_S = there_SK[:, before]
            left_SK[:, k] -= held_S * share_KN[position_SK[:, k], item_SK[:, before]]
    position_logp_SK = np.where(there_SK, np.log(prob_SK), 0.0)
    slot_logp_SK = np.where(there_SK, np.log(prob_SK / left_SK.clip(min=1e-12)).clip(max=0), 0.0)
    return replace(
        slates,
        slate_logp_S=slot_logp_SK.sum(1),
        slot_logp_SK=slot_logp_SK,
        position_logp_SK=position_logp_SK,
        estimated=True,
    )
