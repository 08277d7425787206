"""RecSim's two smaller worlds: who has to be explored, and who is worn out by what engages now.

InterestExploration: people of two types that only trying tells apart; nothing that is shown changes
them, so that greedy told the truth is the best there is and the question is who finds it out.
LongTermSatisfaction: clickbait engages now and less later. At the original's sensitivity of .01 the
effect is too small to pay; at .1 it is not, and both stand here, beside the static twin.

Source: Ie et al. 2019, RecSim, arXiv:1909.04847; google-research/recsim 55e50e4. The paper shows
these worlds in figures without numbers, and the program prints none, so that none stand beside.
"""

from __future__ import annotations

from slategym.agents.bandits.linear import LinearBanditSettings
from slategym.experiments.places import Place
from slategym.experiments.presets import tuned
from slategym.experiments.study import Baseline, Learner, Profile, Roles, Study

EXPLORE, TASTY, LASTING = "InterestExploration", "LongTermSatisfaction", "LTS, sensitivity .1"
LTS = "LongTermSatisfaction-v0"
REFERENCES = "slategym.experiments.studies.recsim_references"
PPO = tuned("plackett-luce", LTS)

STUDY = Study(
    name="recsim",
    title="RecSim's worlds: interests that must be explored, and satisfaction that wears out",
    question=(
        "Who likes what has to be found out by showing it; and what engages most now wears people "
        "out. Does a learner that sees clicks alone come near those who are told the truth?"
    ),
    places=(
        Place(LASTING, LTS, {"sensitivity": 0.1}),
        Place(TASTY, LTS),
        Place(EXPLORE, "InterestExploration-v0", policies=("random", "myopic", "optimal")),
        Place("static twin", LTS, {"sensitivity": 0.1, "static": True}, role="control"),
    ),
    policies=(
        "random",
        Baseline(f"{REFERENCES}:Kale", "kale", privileged=False),
        "myopic",
        Baseline(f"{REFERENCES}:optimal", "optimal", privileged=True),
    ),
    learners=(
        Learner("plackett-luce", PPO, cost=1e-4, together=True),
        Learner("plackett-luce-gamma0", PPO, cost=1e-4, together=True),
        Learner(
            "slateq",
            tuned("slateq", "InterestExploration-v0"),
            places=(EXPLORE,),
            cost=1e-4,
            together=True,
        ),
        Learner("thompson", LinearBanditSettings(num_steps=15_360), cost=1e-4, together=True),
    ),
    roles=Roles(opponent="myopic", reference="optimal", control_reference="myopic"),
    rule="slategym.experiments.statistics.oracle:against_oracle",
    unit="reward per session",
    profiles={
        "smoke": Profile(
            "1 seed, 40 users, a fiftieth of the training: does it run?",
            seeds=1,
            users=40,
            training=0.02,
        ),
        "quick": Profile("2 seeds, 200 users", seeds=2, users=200),
        "full": Profile("5 seeds, 1,000 users", seeds=5, users=1_000, control_seeds=5),
    },
    notes=(
        "optimal is told what people feel or like: by dynamic programming in LongTermSatisfaction; "
        "in InterestExploration, where nothing that is shown changes anybody, it is myopic. kale "
        "shows the documents of least clickbait, whoever asks. plackett-luce-gamma0 and thompson "
        "look at the present only.",
        "Engagement is log-normal with a spread of one: a few clicks make much of a return.",
    ),
)
