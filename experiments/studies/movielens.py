"""Does reinforcement learning beat the supervised multi-task ranker on MovieLens?

From the log to the rows behind a verdict. Everything that decides it stands here and is fixed
before anything is learned:

    log -> A, B, J fitted apart -> the world's constants
        -> what does not learn by trial tuned on selection people, with a learner's budget of slates
        -> learners trained in the world and, as the negative control, in its static twin
        -> everybody read on the same evaluation people with the same luck: in the world, before
           the judge, in the static twin, and over a grid of boredom strengths
"""

from __future__ import annotations

from dataclasses import replace

from slategym.experiments.places import CONTROL_LUCK, EVALUATION_LUCK, SELECTION_LUCK, Place
from slategym.experiments.presets import tuned
from slategym.experiments.studies.ladder import ADAPTIVE, SLOW, ladder
from slategym.experiments.study import Learner, Profile, Roles, Study, Sweep
from slategym.models.data.log import Words
from slategym.models.simulator.movielens import BOREDOM, DATASET

WORLD, JUDGE = "slategym/MovieLens-v0", "slategym/MovieLens-Judge-v0"
GRID = (0.0, 2.0, 4.0, 8.0)  # boredom strengths at which everybody is read, log-odds
GRID_POLICIES = ("supervised", "supervised-capped", "rule-aware")
COMPARED = (
    *("supervised-untuned", "supervised", "supervised-capped", "history-rule", "ease", "myopic"),
)
HEADROOM_USERS = 100  # on whom the headroom is read
PEOPLE = 105  # for evaluation, beside 52 for the control
MOST_USERS = 8 * PEOPLE  # at 8 points of their history
TRAINING = {"users": "training", "starts": 4}  # of A's and B's people


def _place(name: str, strength: float = BOREDOM, **changes: object) -> Place:
    """The world, the judge or the static twin, before evaluation people."""
    control = name == "static"
    settings = {
        "users": "control" if control else "evaluation",
        "slate_size": 5,
        "boredom": strength,
        "static": control,
    }
    place = Place(
        name,
        JUDGE if name == "judge" else WORLD,
        settings,
        training=TRAINING,
        strength=strength,
        group="control" if control else "evaluation",
        luck=CONTROL_LUCK if control else EVALUATION_LUCK,
        first_user=0,
    )
    return replace(place, **changes)  # type: ignore[arg-type]


def _of_family(family: str) -> Place:
    """Another judge, whose people another family plays: for whoever is compared.

    Its labels and the report's table of models say if it does worse than no model.
    """
    place = _place("judge", role="judge", of="world", title=f"judge of family {family}")
    return replace(
        place,
        name=f"judge-{family}",
        settings={**place.settings, "family": family, "anyway": True},
        policies=COMPARED,
        people=("J", family),
    )


def _selection() -> Place:
    """The world before people on whom something is chosen."""
    place = _place("world", role="selection", of="world", group="selection", luck=SELECTION_LUCK)
    place = replace(place, policies=())  # tuned on other luck of theirs: only learners are read
    return replace(place, settings={**place.settings, "users": "selection"})


STUDY = Study(
    name="movielens",
    title="MovieLens: reinforcement learning against the supervised multi-task ranker",
    question=(
        "For slates of films shown to people who tire of genres and lose patience, does RL beat "
        "a good supervised multi-task ranker, and can the answer be believed?"
    ),
    places=(
        _place("world", title="simulated world"),
        _place("judge", role="judge", of="world", title="independent judge"),
        _of_family("gp"),
        _place("static", 0.0, role="control", title="static twin (control)"),
        _selection(),
        *(
            _place(name, strength, role="sweep", of="world", policies=GRID_POLICIES)
            for name in ("world", "judge")
            for strength in GRID
            if strength != BOREDOM
        ),
    ),
    policies=(
        "random",
        "popularity",
        "ease",
        "transitions",
        "supervised-untuned",
        "supervised",
        "supervised-capped",
        "supervised-quota",
        "supervised-mmr",
        "supervised-dpp",
        "history-rule",
        "rule-aware",
        "myopic",
    ),
    learners=ladder(
        Learner("plackett-luce", tuned("plackett-luce", "MovieLens-v0"), cost=2.3e-4),
        ADAPTIVE,
        Learner("proto-sac", tuned("proto-sac", "MovieLens-v0"), cost=1.3e-3),
    ),
    roles=Roles(
        opponent="supervised",
        reference="rule-aware",
        others=("supervised-capped", "history-rule", "ease"),
        called={
            "supervised": "the supervised ranker",
            "supervised-capped": "the tuned diversity cap",
            "history-rule": "a rule on genres clicked lately, two numbers",
            "ease": "EASE over a fading history, its cap tuned",
            "myopic": "the myopic policy",
        },
    ),
    log=DATASET,
    recipe="movielens",
    slates=5,
    sweep=Sweep("boredom", "Boredom strength", "log-odds", BOREDOM),
    words=Words("film", "films", "genre", "genres", "session", "sessions"),
    most_users=MOST_USERS,
    headroom=HEADROOM_USERS,
    profiles={
        "smoke": Profile(
            "1 seed, 60 users, a fiftieth of the training: does it run?",
            seeds=1,
            users=60,
            training=0.02,
            left_out=SLOW,
        ),
        "quick": Profile(
            "3 seeds (1 under mild), 315 users, a quarter of the slates, two sets of assumptions: "
            "a first answer",
            seeds=3,
            place_seeds={"world": 1},
            every_seed_watched=True,
            users=3 * PEOPLE,  # everybody three times
            training=1 / 4,
            assumptions={"lasting": ()},
            left_out=SLOW,
            sweep=False,
        ),
        "full": Profile(
            "5 seeds in each of 3 splits of the people, 840 users, 4.5 times the training: the "
            "answer to quote",
            seeds=5,
            splits=3,
            users=MOST_USERS,
            training=4.5,
            every_seed_watched=True,
            control_seeds=None,
            validated=1_000,
            families=True,
            assumptions={"lasting": ()},
        ),
    },
    settings=(
        ("who fits what", "A the world, B ranker and state, J the judge: nobody in two of them"),
        ("who is read", "J's people, in groups: calibration, selection, evaluation, control"),
        ("who trains", "arrivals of A's and B's people"),
    ),
    remarks={
        "verdict": (
            "supervised-refit, linear-bandit and plackett-luce-gamma0 had the slates that "
            "plackett-luce had, and look no further than the slate: what a learner earns beyond "
            "the best of them is planning. The history rule has two numbers and learns nothing. An "
            "audit of an earlier version: docs/results/movielens.md."
        ),
        "sweep": (
            f"Learners were trained at a boredom of {BOREDOM:g} log-odds only; at the other "
            "strengths they meet a world that they were not trained in."
        ),
        "judge": (
            "The judge is fitted on J's people, those on whom policies are read among them: it "
            "stands for what they would do. It shares the assumed rules of boredom and patience, "
            "so it tests whether what was learned of people's preferences carries over, not "
            "whether the rules are true."
        ),
        "control": (
            "The control has people of its own, 52 of the 157 whom J has for evaluation, and luck "
            "of its own: nothing in this study is chosen on either. When earlier learners were "
            "made, returns of all 157 were looked at under other luck (the shortlist's correction "
            "was once chosen so that the control would pass); the margin was set before any "
            "figure was read under the luck of today."
        ),
    },
)
