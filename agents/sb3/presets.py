"""Settings of stable-baselines3's algorithms for worlds that were studied."""

from __future__ import annotations

from slategym.agents.sb3.algorithms import StableSAC

LEARNED_WORLD = StableSAC(
    num_steps=32_000,
    num_users=64,
    updates=6,
    buffer=32_000,
    warm_up=6_400,
    hidden=(128, 128),
    entropy=0.1,  # without it the actor runs after errors of the critic
)
"""proto-sac on the supervised ranker's scores, for MovieLens-v0 and worlds of other logs.

The settings with which MovieLens's study began, before any evaluation user was met; on its 600
selection users seed 0 earns .27 [-.28, .82] more than the ranker in the world and .51 [-.15, 1.17]
before the judge.
"""
