"""From any log to a verdict: does RL beat the ranker that the same log gives?

The study follows from the log: its signals are the reward, its words the report's, and what it does
not have (topics, several signals, slates) is left out, which the report says.

    log -> A, B, J fitted on different people -> what no log shows is assumed, by name
        -> what does not learn by trial tuned on selection people
        -> learners trained in the world and in its static twin
        -> everybody read on the same evaluation people with the same luck
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from slategym.envs.names import UsageError
from slategym.experiments.places import (
    CONTROL_LUCK,
    EVALUATION_LUCK,
    SELECTION_LUCK,
    Place,
    under_others,
)
from slategym.experiments.presets import tuned
from slategym.experiments.request import Request
from slategym.experiments.studies.ladder import ADAPTIVE, SLOW, ladder
from slategym.experiments.study import SUPPORTED, Learner, Profile, Roles, Study, Sweep
from slategym.models.data.fitness import FEWEST_STUDIED
from slategym.models.data.log import Log
from slategym.models.simulator.assumptions import CARRY_OVER, MILD, Assumptions, find_assumptions
from slategym.models.simulator.builder import WorldBuilder
from slategym.models.simulator.cache import builder_of
from slategym.models.simulator.world import LOG, read_objective

WORLD, JUDGE = "slategym/Log-v0", "slategym/Log-Judge-v0"
HEADROOM_USERS = 200  # on whom the headroom is read
CLASSICS = ("ease", "transitions")
STRENGTHS = (0.0, 0.5, 1.0, 2.0)  # of boredom, at which everybody is read, times the study's own
OTHER = "gp"  # family of a second judge
# whom learners are compared with; a second judge reads who is told the truth of its people as well
OTHERS = ("supervised-untuned", "supervised", "supervised-capped", "history-rule", "ease")
COMPARED = (*OTHERS, "myopic")
# assumptions under which what was learned under others is read as well: what no log can tell is
# between them, and a difference that hangs on it is not one of the log's world
OTHERWISE = ("none", "mild")
TRAINING = {"users": "training", "starts": 4}  # of A's and B's people
PROFILES = {
    "smoke": Profile(
        "1 seed, 100 users, an eightieth of the training: does it run?",
        seeds=1,
        users=100,
        training=0.0125,
        left_out=SLOW,
    ),
    "quick": Profile(
        "3 seeds, 500 users, a quarter of the slates, two sets of assumptions: a first answer",
        seeds=3,
        users=500,
        every_seed_watched=True,
        training=1 / 4,
        assumptions={"lasting": ()},
        left_out=SLOW,
        sweep=False,
        validated=300,
    ),
    "full": Profile(
        "5 seeds in each of 3 splits of the people, 2,000 users, 4.5 times the training: the "
        "answer to quote",
        seeds=5,
        splits=3,
        users=2_000,
        training=4.5,
        every_seed_watched=True,
        control_seeds=None,
        validated=1_000,
        families=True,
        assumptions={"lasting": ()},
    ),
}


def study(request: Request) -> Study:
    """The study of the log that is asked for.

    Raises:
        UsageError: no log is named; it is no log, or too small for worlds; there are no such
            assumptions; the objective weighs what is no signal.
    """
    if request.log is None:
        raise UsageError("the study log needs a log: its folder, or the name of a data set")
    where = _whole(request.log)
    builder = builder_of(where, LOG)
    log, asked = builder.log, [name.strip() for name in (request.assumptions or "").split(",")]
    _check_people(log)
    said = _supported(log)
    name = said if asked[0] in ("", SUPPORTED) else asked[0]  # the others: `Request.of`
    assumed = find_assumptions(name)
    _check_objective(log, request)
    topics = len(log.topic_names) > 1
    capped = topics and builder.default_slate > 1
    bored = topics and assumed.bores
    words = log.words
    boredom = assumed.boredom if bored and request.profile != "smoke" else None
    sweep = None if boredom is None else Sweep("boredom", "Boredom strength", "log-odds", boredom)
    found = Study(
        name="log",
        title=f"{log.name}: reinforcement learning against the supervised ranker",
        question=(
            f"For slates of {words.items} shown to people like those of {log.name}, does RL beat "
            "a supervised multi-task ranker fitted on the same log, and can the answer be believed?"
        ),
        places=(
            *_places(where, name, request, boredom),
            *_swept(where, name, request, sweep, capped),
            *(_otherwise(where, name, request) if topics else ()),
        ),
        policies=_policies(builder, capped, topics, bored),
        learners=_learners(log),
        roles=Roles(
            opponent="supervised",
            reference="rule-aware" if bored else "myopic",
            others=(
                *(("supervised-capped",) if capped else ()),
                *(("history-rule",) if topics else ()),
                "ease",
            ),
            control_reference="myopic",
            called={
                "supervised": "the supervised ranker",
                "supervised-capped": f"the cap per {words.topic} tuned on selection people",
                "history-rule": f"a rule on {words.topics} clicked lately, two numbers",
                "ease": "EASE over a fading history",
                "myopic": "the best slate of the moment",
            },
        ),
        profiles=PROFILES,
        headroom=HEADROOM_USERS,
        unit=f"reward per {words.session}",
        log=where,
        content=log.sha256,
        assumptions=name,
        supported=said,
        slates=builder.default_slate,
        sweep=sweep,
        words=words,
        settings=(
            ("who fits what", "A the world, B ranker and state, J the judge: nobody in two"),
            ("who is read", "J's people, in groups: calibration, selection, evaluation, control"),
            ("who trains", "arrivals of A's and B's people"),
            ("assumptions", _assumed_of(name, said)),
        ),
        remarks=_remarks(),
        left_out=tuple(_left_out(builder, assumed, request.profile == "smoke")),
    )
    return found if bored else replace(found, profiles=_without_boredom())


def _supported(log: Log) -> str:
    from slategym.experiments.validation.supported import kept_supported  # figures come with it

    return kept_supported(log)


def _without_boredom() -> dict[str, Profile]:
    """Of a log that has no topics, or shows that nobody tires of them: no set in which they do."""
    return {name: replace(profile, assumptions={}) for name, profile in PROFILES.items()}


def _assumed_of(name: str, said: str) -> str:
    """Why these assumptions: a line of the protocol."""
    seen = "see “What it rests on”"
    if name != said:
        return f"{name}, as asked for; the log itself speaks for {said}; {seen}"
    if said == MILD.name:
        return f"{name}: the log cannot tell of boredom with topics, or not how much; {seen}"
    if find_assumptions(said).base == CARRY_OVER.name:
        return f"{name}: what a click changes of later ones, by what was drawn to be shown; {seen}"
    if find_assumptions(said).bores:
        return f"{name}: the log speaks of boredom with topics, and of so much; {seen}"
    return f"{name}: of carry-over and impatience the log shows no more; {seen}"


def _whole(log: str) -> str:
    """A folder's absolute path, or a data set's name."""
    folder = Path(log).expanduser()
    return str(folder.resolve()) if folder.is_dir() else log


def _check_people(log: Log) -> None:
    number = log.events.loc[log.events["click"] > 0, "user"].nunique()
    if number < FEWEST_STUDIED:
        raise UsageError(
            f"a study reads policies on three groups of a third of the people, and its intervals "
            f"are over people: {FEWEST_STUDIED} with a click are needed, {log.name} has {number}; "
            "its model is had by slategym fit, a world by make_world"
        )


def _check_objective(log: Log, request: Request) -> None:
    known = [signal.name for signal in log.signals]
    for name, _ in request.objective:
        if name not in known:
            raise UsageError(
                f"--objective weighs {name!r}, which is no signal of {log.name}; it has "
                f"{', '.join(known)}"
            )
    if request.objective:
        read_objective(",".join(f"{name}={weight}" for name, weight in request.objective))


def _places(
    where: str, assumptions: str, request: Request, boredom: float | None
) -> tuple[Place, ...]:
    """The world, the judge, the static twin, and the world before selection people."""
    shared: dict[str, Any] = {"log": where, "assumptions": assumptions, "users": "evaluation"}
    if request.objective:
        shared["objective"] = ",".join(f"{name}={weight:g}" for name, weight in request.objective)
    world = Place(
        "world",
        WORLD,
        shared,
        title="simulated world",
        training=TRAINING,
        strength=boredom,
        luck=EVALUATION_LUCK,
        first_user=0,
    )
    judge = replace(
        world, name="judge", world=JUDGE, role="judge", of="world", title="independent judge"
    )
    other = replace(
        judge,
        name=f"judge-{OTHER}",
        settings={**shared, "family": OTHER, "anyway": True},
        title=f"judge of family {OTHER}",
        policies=COMPARED,
        people=("J", OTHER),
    )
    return (
        world,
        judge,
        other,
        replace(
            world,
            name="static",
            luck=CONTROL_LUCK,
            group="control",
            settings={**shared, "users": "control", "static": True},
            strength=None if boredom is None else 0.0,
            role="control",
            title="static twin (control)",
        ),
        replace(
            world,
            settings={**shared, "users": "selection"},
            role="selection",
            of="world",
            group="selection",
            luck=SELECTION_LUCK,
            policies=(),  # tuned on other luck of theirs: only learners are read
        ),
    )


def _swept(
    where: str, assumptions: str, request: Request, sweep: Sweep | None, capped: bool
) -> Iterator[Place]:
    """The world and the judge with weaker and stronger boredom, in which nobody was trained."""
    if sweep is None:
        return
    policies = ("supervised", *(["supervised-capped"] if capped else []), "rule-aware")
    for strength in (sweep.value * times for times in STRENGTHS):
        if strength != sweep.value:
            name = find_assumptions(f"{assumptions}:boredom={strength:g}").name
            world, judge, *_ = _places(where, name, request, strength)
            for place in (world, judge):
                yield replace(place, role="sweep", of="world", policies=policies)


def _otherwise(where: str, assumptions: str, request: Request) -> Iterator[Place]:
    """The world under other assumptions, in which nobody was trained."""
    world, *_ = _places(where, assumptions, request, None)
    for name in OTHERWISE:
        if name != find_assumptions(assumptions).base:
            yield under_others(world, name, OTHERS)


def _policies(builder: WorldBuilder, capped: bool, topics: bool, bored: bool) -> tuple[str, ...]:
    """The whole ladder, as far as the log allows it."""
    found = ["random", "popularity", *CLASSICS, "supervised-untuned", "supervised"]
    if capped:
        found += ["supervised-capped", "supervised-quota"]
    if builder.default_slate > 1:
        found += ["supervised-mmr", "supervised-dpp"]
    if topics:
        found.append("history-rule")
    if bored:
        found.append("rule-aware")
    return (*found, "myopic")


def _learners(log: Log) -> tuple[Learner, ...]:
    """Those that start from the ranker, as on MovieLens."""
    corrected = replace(tuned("plackett-luce", "Log-v0"), shortlist=min(100, log.num_items))
    return ladder(
        Learner("plackett-luce", corrected, cost=2.3e-4),
        *((ADAPTIVE,) if len(log.topic_names) > 1 else ()),
        Learner("proto-sac", tuned("proto-sac", "Log-v0"), cost=1.3e-3),
    )


def _remarks() -> dict[str, str]:
    return {
        "verdict": (
            "supervised-refit, linear-bandit and plackett-luce-gamma0 had the slates that "
            "plackett-luce had, and look no further than the slate: what a learner earns beyond "
            "the best of them is planning."
        ),
        "judge": (
            "The judge is fitted on J's people, those on whom policies are read among them: it "
            "stands for what they would do. It shares the assumed rules, so it tests whether what "
            "was learned of people's preferences carries over, not whether the rules are true."
        ),
    }


def _left_out(builder: WorldBuilder, assumed: Assumptions, smoke: bool) -> list[str]:
    """What this log does not allow, and why."""
    log, words, found = builder.log, builder.log.words, []
    if len(log.topic_names) < 2:
        found.append(
            f"the cap per {words.topic}, boredom and the policy that is told its rule: the log has "
            f"no {words.topics}"
        )
    elif builder.default_slate < 2:
        found.append(f"the cap per {words.topic}: slates have one {words.item}")
    if not assumed.bores and len(log.topic_names) > 1:
        found.append("the policy that is told the rule of boredom: nobody is bored here")
    if len(log.signals) == 1:
        found.append(
            f"everything beside {log.signals[0].name}s: the log has that signal alone, so the "
            "reward counts them and the models have no other head"
        )
    if builder.pace.visit is None and assumed.impatience:
        found.append(
            f"patience that follows from the log: its {words.sessions} are too short, or its times "
            "too coarse, to tell; it is stated"
        )
    if assumed.boredom is None or len(log.topic_names) < 2:
        found.append("a sweep over the strength of boredom: nobody is bored, or not all alike")
    elif smoke:
        found.append("a sweep over the strength of boredom: the profiles quick and full have it")
    return found
