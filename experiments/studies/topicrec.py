"""GeMS' worlds: does an agent that sees no preferences get past the short-term oracle?

The paper's own comparison, TopDown-Focused, with its figures beside ours, its five other
environments, and the static twin of the first as the negative control.

Source: Deffayet et al. 2023, "Generative slate recommendation with reinforcement learning",
arXiv:2301.08632.
"""

from __future__ import annotations

from dataclasses import replace

from slategym.agents.latent.gems import GemsSettings
from slategym.agents.latent.hac import HacSettings
from slategym.agents.sb3.proto import topic_rec_settings
from slategym.experiments.places import Place
from slategym.experiments.presets import tuned
from slategym.experiments.study import Baseline, Learner, Profile, Published, Roles, Study

WORLDS = {
    f"{click}-{items}": f"TopicRec-{click}-{items}-{version}"
    for items, version in (("Focused", "v0"), ("Diffuse", "v1"))
    for click in ("TopDown", "Mixed", "DivPen")
}
OPEN, TWIN = "TopDown-Focused", "static twin"
OTHERS = tuple(name for name in WORLDS if name != OPEN)
HISTORY = {"history_size": 20}
PAPER = "Deffayet et al. 2023, ten seeds"
GEMS = GemsSettings(num_steps=40_000, num_logged=20_000)

STUDY = Study(
    name="topicrec",
    title="TopicRec: slates as points of a latent space, among other learners",
    question=(
        "Does an agent that sees nothing but clicks earn more than the short-term oracle, which "
        "sees what people want and shows the best slate of the moment until they are bored?"
    ),
    places=(
        *(Place(name, world, HISTORY) for name, world in WORLDS.items()),
        Place(TWIN, WORLDS[OPEN], {**HISTORY, "static": True}, role="control"),
    ),
    policies=(
        "random",
        Baseline(
            "slategym.experiments.studies.sardine_references:more_but_varied_in_topic_rec",
            "more, but varied",
            privileged=False,
        ),
        "myopic",
        "capped",
    ),
    learners=(
        Learner("proto-sac", topic_rec_settings(), cost=2e-3),
        Learner("gems", GEMS, cost=2e-3),
        Learner(
            "gems",
            replace(GEMS, logging="random"),
            label="gems, random log",
            places=(OPEN,),
            cost=2e-3,
        ),
        Learner("hac", HacSettings(num_steps=20_000), cost=1.7e-3),
        Learner("plackett-luce", tuned("plackett-luce", WORLDS[OPEN]), cost=4e-4),
        Learner("reinforce-topk", tuned("reinforce-topk", WORLDS[OPEN]), cost=2e-4, together=True),
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
            left_out=OTHERS,
        ),
        "quick": Profile(
            "1 seed, 300 users, TopDown-Focused alone", seeds=1, users=300, left_out=OTHERS
        ),
        "six": Profile("1 seed, 300 users, all six environments", seeds=1, users=300),
        "full": Profile(
            "5 seeds, 2,000 users, five times the training", seeds=5, users=2_000, training=5.0
        ),
    },
    published=(
        Published("short-term oracle", OPEN, 107.7, PAPER),
        Published("SAC, gamma 0", OPEN, 194.3, PAPER),
        Published("SAC+GeMS", OPEN, 305.3, PAPER),
    ),
    notes=(
        "myopic is the paper's short-term oracle; capped shows at most two of its items of a "
        "topic, so that nobody is ever bored of much.",
        "more, but varied is a rule of two numbers that learns nothing: items along what was "
        "clicked lately, and hardly two of a topic. What a learner earns above it is what it has "
        "learned.",
        "gems fits its auto-encoder on a log that is given to it and not counted among its "
        "slates: as in the paper, half of that log's slots come from the short-term oracle, which "
        "sees preferences. The log of `gems, random log` is of random slates and needs no "
        "privilege.",
        "The paper trains on ten million slates. What is printed here was reached within the "
        "slates in the table; the curve says whether it had flattened. Items are drawn anew, so "
        "the published figures are beside ours, not under them.",
        "hac's settings were chosen among about ten by short trainings of seed 0 in this world, "
        "gems' size of log and rate of updates among three, proto-sac's among a few; all on other "
        "people than those of this table. With one training seed the intervals hold people only, "
        "not what another seed would have learned.",
    ),
)
