"""SARDINE: is planning learned by agents that see neither what people like nor what bores them?

The two environments of the paper in which ten of a thousand items are shown to people who are
bored by too much of what they like, and their static twin (one for both: without boredom and
influence they are the same world) as the negative control.

Source: Deffayet et al. 2024, SARDINE; github.com/naver/sardine 5093bde. Boredom is its own, and
influence draws taste towards what was clicked, which the original means to and does not (see the
world's page), so that its figures stand beside Bored alone.
"""

from __future__ import annotations

from slategym.agents.bandits.linear import LinearBanditSettings
from slategym.agents.latent.hac import HacSettings
from slategym.agents.sb3.algorithms import StablePPO, StableSAC
from slategym.experiments.places import Place
from slategym.experiments.presets import tuned
from slategym.experiments.study import Baseline, Learner, Profile, Published, Roles, Study

BORED = "Sardine-SlateTopK-Bored-v0"
SEEN = {"history_size": 20, "shown_size": 20}  # clicks and slates; boredom looks back on ten clicks
MEASURED = "the authors' program, measured"

STUDY = Study(
    name="sardine",
    title="SARDINE: slates for people who are bored by too much of what they like",
    question=(
        "Ten of a thousand items, a hundred times; five clicks on a topic within five slates, and "
        "the person clicks nothing for five slates. Does an agent that sees clicks, but no "
        "preferences, earn more than a greedy one that sees them?"
    ),
    places=(
        Place("Bored", BORED, SEEN),
        Place("BoredInf", "Sardine-SlateTopK-BoredInf-v0", SEEN),
        Place("static twin", BORED, {**SEEN, "static": True}, role="control"),
    ),
    policies=(
        "random",
        "popularity",
        Baseline(
            "slategym.experiments.studies.sardine_references:OneDirection",
            "one direction",
            privileged=True,
        ),
        Baseline(
            "slategym.experiments.studies.sardine_references:MoreButVaried",
            "more, but varied",
            privileged=False,
        ),
        Baseline(
            "slategym.experiments.studies.sardine_references:FromSlates",
            "from slates",
            privileged=False,
        ),
        "myopic",
        "capped",
        "planner",
    ),
    learners=(  # slates that cost each about as many minutes, some less
        Learner("plackett-luce", tuned("plackett-luce", BORED), cost=2e-4, together=True),
        Learner("reinforce-topk", tuned("reinforce-topk", BORED), cost=2e-4, together=True),
        Learner("proto-sac", StableSAC(num_steps=25_000), cost=8e-4),
        Learner("hac", HacSettings(num_steps=25_000), cost=8e-4),
        Learner("linucb", LinearBanditSettings(num_steps=15_000), cost=4e-4),
        Learner("thompson", LinearBanditSettings(num_steps=15_000), cost=4e-4),
        Learner("ppo-multidiscrete", StablePPO(num_steps=25_000), cost=4e-3),
    ),
    roles=Roles(opponent="myopic", reference="capped", control_reference="myopic"),
    rule="slategym.experiments.statistics.oracle:against_oracle",
    unit="clicks per session",
    profiles={
        "smoke": Profile(
            "1 seed, 40 users, a fiftieth of the training: does it run?",
            seeds=1,
            users=40,
            training=0.02,
            left_out=("planner",),
        ),
        "quick": Profile(
            "2 seeds, 200 users, no planner",
            seeds=2,
            users=200,
            left_out=("planner",),
            control_seeds=1,
        ),
        "full": Profile(
            "5 seeds, 1,000 users, four times the slates",
            seeds=5,
            users=1_000,
            training=4.0,
            control_seeds=2,
        ),
    },
    published=(
        Published("random", "Bored", 43.8, MEASURED),
        Published("greedy oracle", "Bored", 144.3, MEASURED),
        Published("capped oracle", "Bored", 423.0, MEASURED),
    ),
    notes=(
        "myopic is SARDINE's greedy oracle; capped shows at most two of its items of a topic, as "
        "a person who plans by hand would. Both see what people like; the learners see the last "
        "clicks and slates and how near each topic is to boring.",
        "one direction is the slate of a proto-action that is told what people like: the ten items "
        "furthest along all liked topics alike, the best of seven such directions (133 to 171 "
        "clicks in Bored). Items along one direction are of one kind, and bore: proto-sac and hac, "
        "whose slates are such, stay low here for what they can show, not only for how they learn.",
        "more, but varied is a rule of two numbers that learns nothing: items along what was "
        "clicked lately, and hardly two of a topic. Its numbers were "
        "chosen among fifteen on people who are in no table.",
        "from slates is a rule of four numbers that learns nothing and reads what learners read: "
        "what was clicked against what was passed over above it, clicks on a topic lately, and how "
        "near it is to boring. The networks of plackett-luce and reinforce-topk begin as a softer "
        "form of it without the last two. Its numbers were chosen among eight in Bored, on people "
        "who are in no table: it is the opponent that a learner has to beat here.",
        "linucb and thompson learn what people like and do not look ahead: the control for the "
        "question whether planning is needed. ppo-multidiscrete is stable-baselines3 as most "
        "people would try it, on a position per slot.",
        "A slate does not cost the same to all of them: in the quick profile each learner gets "
        "what takes it a minute or two, the cheap ones less. Both are in the tables.",
    ),
)
