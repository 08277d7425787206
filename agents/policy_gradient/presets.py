"""Settings for worlds that were studied, and how each was chosen."""

from __future__ import annotations

from slategym.agents.policy_gradient.ppo import PPOSettings
from slategym.agents.policy_gradient.reinforce import ReinforceSettings

LEARNED_WORLD = PPOSettings(num_steps=307_200, learning_rate=2e-3, gamma=0.97, shortlist=100)
"""plackett-luce from tuned `supervised` on, for MovieLens-v0 and worlds of other logs.

Chosen on MovieLens's selection users, whom no comparison meets, under `lasting` assumptions;
trained on training users, four arrivals each. Return gained over `supervised`, 95 % over users:

    slates     learning rate, gamma    gain                                   read on
    51,200     1e-3, .95               seed 0 -.14 [-1.91, 1.49]              112 sessions
    51,200     2e-3, .97               seed 0 +1.97 [.97, 2.96]               448
                                       seed 1 +.31 [-.56, 1.14]               448
    51,200     4e-3, .97               seed 0 +1.26 [.30, 2.24]               448
                                       seed 1 +.25 [-.60, 1.11]               448
    102,400    2e-3, .97               seed 0 +1.72 [.24, 3.21]               216
                                       seed 1 +3.06 [2.25, 3.87]              752

With earlier models and 307,200 slates: 2e-3, .97 +4.23 [3.55, 4.94] (`docs/results/planning.md`).
"""

SARDINE_REINFORCE = ReinforceSettings(
    num_steps=204_800,
    num_users=128,
    remembered=1,
    uniform_prob=0.0,
    learning_rate=2e-3,
    gamma=0.9,
    entropy=0.01,
    td_lambda=0.8,
    distinct=True,
    sharpness=1.0,
)
"""reinforce-topk for the worlds of SARDINE with slates of ten, made with `history_size=20`.

Independent draws end in SARDINE with one item in all slots: lambda_K takes the gradient away from
what is shown for sure, and a repeated draw, which is an empty slot, is no longer unlearnt. Seed 0
in Bored, 100,000 slates, 200 people who are in no table (random 43):

    draws         served             clicks a session
    independent   the likeliest                    35
    independent   as in training                   75
    distinct      the likeliest                   127
    distinct      as in training                  160
"""

TOPIC_REC_REINFORCE = ReinforceSettings(
    num_steps=102_400,
    num_users=128,
    remembered=1,
    uniform_prob=0.0,
    learning_rate=1e-3,
    gamma=0.9,
    entropy=0.003,
    td_lambda=0.8,
    distinct=True,
    sharpness=1.0,
)
"""The same for the worlds of TopicRec; seed 0 in TopDown-Focused, 200 people who are in no table:
57 by independent draws with the defaults, 345 by distinct ones."""
