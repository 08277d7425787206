"""Who learns in the study of a log: with the same slates as the learners, what does not look ahead.

What a learner earns over the tuned ranker is tuning, interaction and planning. A supervised model
trained further on as many slates, a linear bandit, and every learner told to look at the present
only have the first two: what is left is planning.
"""

from __future__ import annotations

from dataclasses import replace

from slategym.experiments.study import Learner

PRESENT = (
    Learner("supervised-refit", cost=5e-4),
    Learner("linear-bandit", cost=4e-4),
)
"""Learners that look no further than the slate, with their own defaults: as many slates as
plackett-luce has."""

WARY = "-pessimistic"  # at the end of a learner's name: trained where models that disagree cost
PENALTY = 1.0  # reward that a click loses there per unit of disagreement
ADAPTIVE = Learner("adaptive-trace", cost=1.1e-3)
"""Compares rules that allow for how somebody answers, with its own defaults."""

SLOW = (
    *("proto-sac", "proto-sac-gamma0", "adaptive-trace", "adaptive-trace-gamma0"),
    f"plackett-luce{WARY}",
)
"""Left out where time is short: updates of stable-baselines3 are not batched over users, a quarter
of the slates is too few to learn a model of people and to compare rules, and who is wary needs two
more models of the world's people."""


def ladder(*learners: Learner) -> tuple[Learner, ...]:
    """These learners, each followed by itself told to look at the present, after `PRESENT`.

    Last, the first of them trained with pessimism, in the study's first place.
    """
    pairs = (x for learner in learners for x in (learner, learner.present_only))
    first = learners[0]
    wary = replace(
        first, label=f"{first.name}{WARY}", places=("world",), training={"pessimism": PENALTY}
    )
    return (*PRESENT, *pairs, wary)
