"""How long people stay, matched to the log; and how often they repeat a topic, beside the log's.

No log shows why people stop. What it shows is how long they stay: the patience with which sessions
under popular slates last as long as the log's visits is taken, on the calibration users and before
anything is learned. Popular slates, because they come closest to what the log's own people chose
from. How strongly and how long a topic bores cannot be read off any log: that stays assumed, and
how often the rule's condition is met is printed for both, as a check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.types import World
from slategym.envs.users.assumed import Assumed, AssumedState
from slategym.envs.users.satiation import GenreSatiation

PATIENCES = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)  # slates without a click


@dataclass(frozen=True)
class Sessions:
    """How sessions under popular slates went."""

    length: float  # slates, mean
    repetition: float  # share of clicks, from the memory's fill on, that meet the boredom rule


@dataclass(frozen=True)
class PatienceChosen:
    """What was chosen, what was sought and what was reached."""

    patience: float  # slates without a click
    wanted_length: float  # the log's mean visit, cut at the horizon
    reached_length: float
    log_repetition: float  # share of the log's stretches that meet the rule
    world_repetition: float  # the same under popular slates


def choose_patience(
    world_of: Callable[[float], World], popularity_N: Tensor, *, length: float, repetition: float
) -> PatienceChosen:
    """The patience whose sessions under popular slates come closest to the wanted length.

    Args:
        world_of: patience -> the world of the calibration users.
        popularity_N: clicks of each item in the log that agents may read.
        length: mean slates of a session to reach.
        repetition: the log's, to be kept beside the world's.
    """
    tried = {patience: popular_sessions(world_of(patience), popularity_N) for patience in PATIENCES}
    best = min(PATIENCES, key=lambda patience: abs(tried[patience].length - length))
    reached = tried[best]
    return PatienceChosen(best, length, reached.length, repetition, reached.repetition)


@torch.no_grad()
def popular_sessions(world: World, popularity_N: Tensor, seed: int = 0) -> Sessions:
    """One session of everybody, always shown the most popular items that they may be shown.

    Args:
        world: of people with an assumed boredom rule.
        popularity_N: clicks of each item.
        seed: of the luck.
    """
    user_B = torch.arange(world.population.size, dtype=torch.int32, device=world.device)
    zero_B = torch.zeros_like(user_B)
    session = engine.start(world, zero_B + seed, user_B, zero_B)
    going_B = torch.ones_like(user_B, dtype=torch.bool)
    slates = clicks = met = 0.0
    while going_B.any():
        allowed_BN = engine.observe(world, session).allowed
        score_BN = popularity_N.expand(len(user_B), -1)
        if allowed_BN is not None:
            score_BN = score_BN.masked_fill(~allowed_BN, -1.0)
        slate_BK = score_BN.topk(world.slate_size, dim=1).indices.int()
        session, outcome = engine.transition(world, session, slate_BK)
        slates += float(going_B.sum())
        full_B, met_B = _rule(world, session.user)
        clicked_B = going_B & full_B & (outcome.feedback[..., 0] > 0).any(1)
        clicks += float(clicked_B.sum())
        met += float((clicked_B & met_B).sum())
        going_B = going_B & ~(outcome.left | outcome.cut)
    return Sessions(slates / len(user_B), met / max(clicks, 1.0))


def _rule(world: World, state: AssumedState) -> tuple[Tensor, Tensor]:
    """Whether each user's memory of clicks is full, and whether its newest topic is repeated."""
    assert isinstance(world.users, Assumed)
    felt, rule = state.satiation, world.users.satiation
    if not isinstance(rule, GenreSatiation):
        assert state.patience is not None
        none_B = torch.zeros_like(state.patience, dtype=torch.bool)
        return none_B, none_B
    same_B = (felt.last == felt.last[:, -1:]).sum(1)
    return (felt.last >= 0).all(1), same_B >= rule.threshold
