"""Who learns in the study of a log: with the same slates as the learners, what does not look ahead.

What a learner earns over the tuned ranker is tuning, interaction and planning. A supervised model
trained further on as many slates, a linear bandit, and every learner told to look at the present
only have the first two: what is left is planning.
"""

from __future__ import annotations

from slategym.experiments.study import Learner

PRESENT = (
    Learner("supervised-refit", cost=5e-4),
    Learner("linear-bandit", cost=4e-4),
)
"""Learners that look no further than the slate, with their own defaults: as many slates as
plackett-luce has."""

SLOW = ("proto-sac", "proto-sac-gamma0")
"""Left out where time is short: updates of stable-baselines3 are not batched over users."""


def ladder(*learners: Learner) -> tuple[Learner, ...]:
    """These learners, each followed by itself told to look at the present, after `PRESENT`."""
    pairs = (x for learner in learners for x in (learner, learner.present_only))
    return (*PRESENT, *pairs)
