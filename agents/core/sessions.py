"""The training users: B of every seed side by side, in one world, on its device.

Lane s * B + b belongs to seed s and meets users b, b + B, b + 2B, ... with that seed's luck: the
same people and the same luck that seed s would meet alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.gym import Turn
from slategym.envs.luck import Luck, seed_words
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, Outcome, Session, World


@dataclass(frozen=True)
class TrainingSessions:
    """L = S * B sessions and what has been earned in them."""

    session: Session
    earned: Tensor  # (L,) float32, reward of the session so far
    slates: Tensor  # (L,) int32, of the session so far
    closed: Tensor  # (S, 3) float64, of sessions ended since `harvest`: number, return, slates


@dataclass(frozen=True)
class Step:
    """What a slate brought."""

    outcome: Outcome
    ended: Tensor  # (L,) bool
    last: Observation  # after the slate, before anybody new is seated
    next: Observation  # of whoever is seated now


def seat(world: World, seeds: Sequence[int], num_users: int) -> TrainingSessions:
    """B users of every seed at their first request.

    Args:
        world: where.
        seeds: decide what happens, one per training seed.
        num_users: B, of each seed.
    """
    lane_B = torch.arange(num_users, dtype=torch.int32, device=world.device)
    lane_L = lane_B.repeat(len(seeds))
    seed_L = seed_words(seeds, world.device).repeat_interleave(num_users)
    size = world.population.size
    return TrainingSessions(
        session=engine.start(world, seed_L, lane_L % size, lane_L // size),
        earned=torch.zeros(len(lane_L), device=world.device),
        slates=torch.zeros_like(lane_L),
        closed=torch.zeros(len(seeds), 3, dtype=torch.float64, device=world.device),
    )


def luck_of(sessions: TrainingSessions) -> Luck:
    """Of every user, for this request."""
    return Luck.at(sessions.session.key, sessions.session.step)


@torch.no_grad()
def show(
    world: World, turn: Turn, sessions: TrainingSessions, slate_LK: Tensor
) -> tuple[TrainingSessions, Step]:
    """Show every user a slate; seat the next user where a session has ended.

    Args:
        world: where.
        turn: `slategym.envs.gym.turn_of(world)`, compiled or not.
        sessions: before.
        slate_LK: int32 positions.
    """
    session, outcome, last, ended_L = turn(sessions.session, slate_LK)
    earned_L, slates_L = sessions.earned + outcome.reward, sessions.slates + 1
    S = sessions.closed.shape[0]
    over_L = torch.stack([torch.ones_like(earned_L), earned_L, slates_L.float()], 1).double()
    closed_S3 = sessions.closed + (over_L * ended_L[:, None]).view(S, -1, 3).sum(1)
    observation = last
    if bool(ended_L.any()):
        row_R, before = ended_L.nonzero()[:, 0], session
        session, fresh = engine.replace_rows(world, before, row_R, len(ended_L) // S)
        first = engine.observe(world, fresh)
        if fresh is session:
            observation = first
        else:
            put = _rows_put(row_R, before, fresh, session)
            observation = map_tensors(put, last, first)
    after = TrainingSessions(
        session=session,
        earned=earned_L.masked_fill(ended_L, 0.0),
        slates=slates_L.masked_fill(ended_L, 0),
        closed=closed_S3,
    )
    return after, Step(outcome, ended_L, last, observation)


def _rows_put(
    row_R: Tensor, before: Session, fresh: Session, both: Session
) -> Callable[[Tensor, Tensor], Tensor]:
    """Put new rows into what was seen; what sessions hold themselves is not copied once more.

    Args:
        row_R: int64, where the new ones sit.
        before: sessions of which some are over.
        fresh: the R new ones.
        both: what came of them.
    """
    joined = dict[tuple[int, int], Tensor]()

    def note(old: Tensor, new: Tensor, whole: Tensor) -> Tensor:
        joined[id(old), id(new)] = whole
        return whole

    map_tensors(note, before, fresh, both)

    def put(old: Tensor, new: Tensor) -> Tensor:
        whole = joined.get((id(old), id(new)))
        return old.index_copy(0, row_R, new) if whole is None else whole

    return put


def harvest(sessions: TrainingSessions) -> tuple[TrainingSessions, dict[str, float]]:
    """Mean return and length of the sessions that ended since the last harvest, over all seeds.

    Empty where none has ended.
    """
    number, earned, slates = sessions.closed.sum(0).tolist()
    if not number:
        return sessions, {}
    figures = {"rollout/ep_rew_mean": earned / number, "rollout/ep_len_mean": slates / number}
    return replace(sessions, closed=torch.zeros_like(sessions.closed)), figures
