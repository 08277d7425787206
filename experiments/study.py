"""A study is a value: where, who, how much of it, and by which rule its rows become a sentence.

It names places (a world with its settings, and what part it plays), policies that need no training
and learners, a line each:

    STUDY = Study(
        name="sardine",
        title="SARDINE: slates for people who are easily bored",
        question="Does an agent that does not see preferences beat a greedy one that does?",
        places=(
            Place("Bored", "Sardine-SlateTopK-Bored-v0", {"history_size": 20}),
            Place("twin", "Sardine-SlateTopK-Bored-v0", {"static": True}, role="control"),
        ),
        policies=("random", "popularity", "myopic", "capped"),
        learners=(Learner("plackett-luce", SARDINE, cost=2e-4), Learner("proto-sac")),
        roles=Roles(opponent="myopic", reference="capped"),
        profiles={"quick": Profile("2 seeds, 300 users", seeds=2, users=300, training=0.2), ...},
        published=(Published("greedy oracle", "Bored", 139.2, "the authors' program"),),
    )

Everything else follows: `measure/plan.py` says which trainings and readings there are, each a unit
that is computed once and taken up where it was killed; `benchmark.run_study(STUDY, request)`
computes them and writes one report, whose sections appear where there are rows for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from slategym.agents.entries import PRESENT
from slategym.agents.registry import find_agent, find_learner, policies
from slategym.envs.names import UsageError
from slategym.experiments.places import (
    FIRST_USER,
    MAIN,
    Judging,
    Place,
    Role,
    assuming,
    elsewhere,
    read_under,
)
from slategym.models.data.log import Words

SUPPORTED = "supported"  # as a name of assumptions: those that the log itself speaks for
WORDS = Words()
REFIT = "supervised-refit"  # the ranker trained further on the slates of its own rounds
CALLED = {
    REFIT: "the supervised model trained further on as many slates",
    "linear-bandit": "a linear bandit",
}
MOST_SLOTS = 50  # K of a study whose slates may be chosen


@dataclass(frozen=True)
class Baseline:
    """A policy that needs no training."""

    policy: str  # its registered name, or "module:function" from a world to a policy
    label: str = ""  # as in tables; "": the name
    privileged: bool | None = None  # told hidden truths; None: as registered

    @property
    def name(self) -> str:
        """As in tables."""
        return self.label or self.policy

    @property
    def kind(self) -> str:
        """Whether it is told hidden truths."""
        told = self.privileged
        if told is None:
            entry = policies.all().get(self.policy)
            told = entry is not None and entry.kind == "reference"
        return "privileged" if told else "baseline"


@dataclass(frozen=True)
class Learner:
    """A learner in a study."""

    agent: str  # its registered name, or "module:Class"
    settings: Any = None  # its frozen dataclass; None: its own defaults
    label: str = ""  # as in tables; "": its name
    places: tuple[str, ...] | None = None  # where it takes part; None: everywhere
    cost: float = 5e-4  # seconds per slate, roughly: for the order of work and the time to go
    together: bool = False  # True: one training of all seeds side by side, where the agent can
    serve: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # further ways in which one training serves: name in tables, and settings that then differ
    training: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the worlds in which it is trained

    @property
    def name(self) -> str:
        """Of the training."""
        return self.label or self.agent.rpartition(":")[2]

    @property
    def served(self) -> Mapping[str, Mapping[str, Any]]:
        """Every policy that comes of it, by name in tables, with the settings that differ."""
        return self.serve or {self.name: {}}

    @property
    def _own(self) -> Any:
        """Its settings."""
        if self.settings is not None:
            return self.settings
        return find_agent(self.agent).default_settings()

    @property
    def looks_ahead(self) -> bool:
        """Whether it learns to look further than the slate that it shows.

        Bandits and supervised models that are fitted further do not, nor what has a gamma of 0:
        what they gain, they gain without planning.
        """
        if REFIT in (self.name, self.agent) or self.name.endswith(PRESENT):
            return False
        if ":" not in self.agent and find_learner(self.agent).kind in ("bandit", "supervised"):
            return False
        return getattr(self._own, "gamma", None) != 0.0

    def trained_for(self, share: float) -> Any:
        """Its settings with this share of its slates."""
        settings, decided = self._own, dict(find_learner(self.agent).fixed)
        return replace(settings, **decided, num_steps=max(1, round(share * settings.num_steps)))

    @property
    def present_only(self) -> Learner:
        """The same told to look at the present only, in all else alike."""
        label = self.label and f"{self.label}{PRESENT}"
        serve = {f"{name}{PRESENT}": settings for name, settings in self.serve.items()}
        return replace(self, agent=f"{self.agent}{PRESENT}", label=label, serve=serve)

    def takes_part_in(self, place: Place) -> bool:
        """Whether it is trained there, or read there having been trained elsewhere."""
        return self.places is None or place.trained_in in self.places


@dataclass(frozen=True)
class Profile:
    """How much of everything."""

    one_line: str
    seeds: int  # of training, each learner and place
    users: int  # on whom policies are read, one session each
    training: float = 1.0  # share of each learner's slates
    control_seeds: int | None = 1  # of training in the controls; None: as many as elsewhere
    # of training in an open place by name, where there are further open places; (): as elsewhere
    place_seeds: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()  # policies, learners and places that take too long for it
    validated: int = 0  # users by whom learned worlds are held against their log; 0: they are not
    # whether every training seed is read on selection people while it learns, not the first alone
    every_seed_watched: bool = False
    sweep: bool = True  # whether everybody is read where an assumption is weaker and stronger
    splits: int = 1  # of the people into parties, in each of which all is done again
    families: bool = False  # whether all is read in worlds and before judges of every family
    # further assumptions by name, under which all is done as well, each with the learners that are
    # trained under it; (): all of them
    assumptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def seeds_in(self, place: Place) -> int:
        """Of training, each learner, in that place."""
        if place.role == "control":
            return self.control_seeds or self.seeds
        return self.place_seeds.get(place.name, self.seeds)


@dataclass(frozen=True)
class Published:
    """A figure that others printed."""

    policy: str  # in their words, or ours where it is the same policy
    place: str
    value: float  # return
    source: str
    also: Mapping[str, float] = field(default_factory=dict)  # by column of the rows


@dataclass(frozen=True)
class Weighted:
    """A column of means whose mean over sessions is weighted by another column."""

    column: str  # "quality_mean", of what was clicked in a session
    by: str  # "clicks"
    name: str  # in tables


@dataclass(frozen=True)
class Sweep:
    """An assumption that places of the role `sweep` make weaker or stronger."""

    name: str  # "boredom"
    title: str  # "Boredom strength"
    unit: str
    value: float  # at which learners are trained


@dataclass(frozen=True)
class Roles:
    """Which policy plays which part."""

    opponent: str  # whom learners have to beat
    reference: str  # score 1; score 0 is `random`
    others: tuple[str, ...] = ()  # compared with as well
    truth: str | None = "myopic"  # knows the true model, looks one slate ahead; None: nobody does
    random: str = "random"
    control_reference: str | None = None  # score 1 in the controls; None: as elsewhere
    called: Mapping[str, str] = field(default_factory=dict)  # what sentences call them

    def say(self, policy: str) -> str:
        """What a sentence calls it."""
        if policy.endswith(PRESENT) and policy not in self.called:
            return f"{policy.removesuffix(PRESENT)} that looks at the present only"
        return self.called.get(policy, CALLED.get(policy, policy))


@dataclass(frozen=True)
class Study:
    """A whole study."""

    name: str  # on the command line
    title: str
    question: str
    places: tuple[Place, ...]  # the first is the one that the verdict speaks of first
    policies: tuple[str | Baseline, ...]
    learners: tuple[Learner, ...]
    profiles: Mapping[str, Profile]
    roles: Roles
    rule: str = "slategym.experiments.statistics.verdict:against_opponent"  # from rows to sentences
    unit: str = "reward per session"
    log: str | None = None  # a named log, or its folder: models are fitted on it before all else
    content: str = ""  # hash of a log that may change under its name; "": it may not
    recipe: str = "log"  # of its worlds: "log" or "movielens"
    assumptions: str = "mild"  # of its worlds, by name
    supported: str = ""  # assumptions that its log speaks for, by name; "": nobody asked it
    slates: int | None = None  # K, where it may be chosen: `slate_size` of every world
    sweep: Sweep | None = None
    published: tuple[Published, ...] = ()
    weighted: tuple[Weighted, ...] = ()
    notes: tuple[str, ...] = ()  # paragraphs of its own
    remarks: Mapping[str, str] = field(default_factory=dict)  # by section of the report
    settings: tuple[tuple[str, str], ...] = ()  # of the protocol, for people: what, how
    left_out: tuple[str, ...] = ()  # what this log or world does not allow, and why
    headroom: int = 0  # users on whom the headroom of open places is read; 0: it is not
    most_users: int = FIRST_USER
    judging: Judging | None = None  # of its judges, once families were read; None: as they stand
    words: Words = WORDS  # what people call things

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """Policies that need no training."""
        return tuple(Baseline(p) if isinstance(p, str) else p for p in self.policies)

    def of_role(self, *roles: Role) -> tuple[Place, ...]:
        """Places of these roles, in the study's order."""
        return tuple(place for place in self.places if place.role in roles)

    @property
    def main(self) -> tuple[Place, ...]:
        """Open places, judges and controls."""
        return tuple(place for place in self.places if place.role in MAIN)

    @property
    def families(self) -> tuple[tuple[str, str], ...]:
        """Party and family of everybody who plays people beside the usual ones."""
        found = (p.people for p in self.places if p.people is not None and p.role != "family")
        return tuple(dict.fromkeys(found))

    @property
    def further_families(self) -> tuple[tuple[str, str], ...]:
        """The same of those who play people only where everybody is read by family."""
        found = dict.fromkeys(p.people for p in self.of_role("family") if p.people is not None)
        return tuple(who for who in found if who not in self.families)

    def place(self, name: str) -> Place:
        """The main place of that name."""
        return next(place for place in self.main if place.name == name)

    @property
    def learned(self) -> tuple[str, ...]:
        """Every policy that is learned, as in tables."""
        return tuple(self.trainings)

    @cached_property
    def ahead(self) -> tuple[str, ...]:
        """Of these, whoever learns to look ahead, and so speaks for RL; else all of them."""
        found = dict.fromkeys(
            name for learner in self.learners if learner.looks_ahead for name in learner.served
        )
        return tuple(found) or self.learned

    @property
    def present(self) -> tuple[str, ...]:
        """Whatever else is learned: it looks no further than the slate."""
        return tuple(name for name in self.learned if name not in self.ahead)

    @property
    def trainings(self) -> Mapping[str, tuple[str, ...]]:
        """The learners of which each learned policy comes: another in another place, perhaps."""
        found: dict[str, tuple[str, ...]] = {}
        for learner in self.learners:
            for name in learner.served:
                found[name] = (*found.get(name, ()), learner.name)
        return found

    def opponents(self, agent: str) -> tuple[str, ...]:
        """What a learner is compared with: the opponent, others, and what learns the present."""
        if agent not in self.ahead:
            return (self.roles.opponent,)
        own = f"{agent}{PRESENT}"
        present = (name for name in self.present if not name.endswith(PRESENT) or name == own)
        return tuple(dict.fromkeys((self.roles.opponent, *self.roles.others, *present)))

    def kind_of(self, policy: str) -> str:
        """Whether it learns, is told hidden truths ("privileged"), or neither ("baseline")."""
        if policy in self.learned:
            return "learns"
        return next((b.kind for b in self.baselines if b.name == policy), "baseline")

    def without(self, names: tuple[str, ...]) -> Study:
        """The same study without these policies, learners and places."""
        return replace(
            self,
            places=tuple(place for place in self.places if place.name not in names),
            policies=tuple(baseline for baseline in self.baselines if baseline.name not in names),
            learners=tuple(learner for learner in self.learners if learner.name not in names),
        )

    def in_split(self, split: int) -> Study:
        """The same study with its people parted in another way, see `models.simulator.parties`.

        Assumptions are made weaker and stronger in the first split alone.
        """
        if not split:
            return self
        places = tuple(
            replace(place, settings={**place.settings, "split": split})
            for place in self.places
            if place.role != "sweep"
        )
        return replace(self, places=places, sweep=None)

    def unswept(self) -> Study:
        """The same study without the places in which an assumption is weaker or stronger."""
        places = tuple(place for place in self.places if place.role != "sweep")
        return replace(self, places=places, sweep=None)

    def with_agents(self, names: tuple[str, ...]) -> Study:
        """The same study with these learners; those that it has keep their settings.

        So do those that it has but for a gamma of 0.

        Raises:
            UsageError: there is no such agent.
        """
        own = {f"{x.name}{PRESENT}": x.present_only for x in self.learners}
        own |= {learner.name: learner for learner in self.learners}
        for name in names:
            find_agent(own[name].agent if name in own else name)
        return replace(self, learners=tuple(own.get(name) or Learner(name) for name in names))

    def with_slates(self, slate_size: int) -> Study:
        """The same study with slates of that size.

        Raises:
            UsageError: its slates are given; the size is out of range.
        """
        if self.slates is None:
            raise UsageError(f"--slate-size is not for {self.name}, whose slates are given")
        if not 1 <= slate_size <= MOST_SLOTS:
            raise UsageError(f"slate-size must be in [1, {MOST_SLOTS}], got {slate_size}")
        places = tuple(
            replace(place, settings={**place.settings, "slate_size": slate_size})
            for place in self.places
        )
        return replace(self, places=places, slates=slate_size)

    def named(self, names: str) -> tuple[str, ...]:
        """Assumptions by names with commas; "supported" is what the log speaks for.

        Raises:
            UsageError: "supported", of a study that does not ask its log.
        """
        found = [name.strip() for name in names.split(",") if name.strip()]
        if SUPPORTED in found:
            if not self.supported:
                raise UsageError(
                    f"--assumptions {SUPPORTED} is for the study log, not for {self.name}: name "
                    "what is assumed, as mild,lasting"
                )
            at, others = found.index(SUPPORTED), [name for name in found if name != SUPPORTED]
            found = list(dict.fromkeys([*others[:at], self.supported, *others[at:]]))
        return tuple(found)

    def under(self, names: tuple[str, ...], learners: Mapping[str, tuple[str, ...]]) -> Study:
        """The same study under assumptions of these names; the first stand in its own places.

        Further ones have places of their own, NAME-ASSUMPTIONS, with the same people and luck.
        Where the study reads what it learned under other assumptions, it does so in all of them.

        Args:
            names: of assumptions, perhaps with numbers: "lasting:duration=8".
            learners: which are trained under each of them; of those not named, all.

        Raises:
            UsageError: its worlds assume nothing; there are no such assumptions, or twice.
        """
        from slategym.models.simulator.assumptions import find_assumptions

        if self.log is None:
            raise UsageError(f"--assumptions is for studies of logs, not for {self.name}")
        for name in names:
            find_assumptions(name)
        if len(set(names)) < len(names):
            raise UsageError(f"assumptions are given twice: {', '.join(names)}; name each once")
        first, *further = names
        places = self.places
        others = {p.settings["assumptions"]: p.policies for p in self.of_role("assumed")}
        if others:
            others |= {first: next(iter(others.values()))}
        if first != self.assumptions:
            own_places = [assuming(p, first) for p in places if p.role not in ("sweep", "assumed")]
            places = (*own_places, *read_under(own_places, others))
        own = tuple(place.name for place in self.main)
        there = {
            name: tuple(elsewhere(assuming(place, name), name, own) for place in self.places
                        if place.role in ("open", "judge", "selection"))
            for name in further
        }  # fmt: skip
        there = {name: (*found, *read_under(found, others)) for name, found in there.items()}
        every = (*places, *(place for found in there.values() for place in found))
        found = []
        for learner in self.learners:
            left = {
                place.name
                for name, theirs in there.items()
                for place in theirs
                if learners.get(name) and learner.name not in learners[name]
            }
            allowed = learner.places or tuple(dict.fromkeys(place.trained_in for place in every))
            kept = tuple(name for name in allowed if name not in left)
            found.append(replace(learner, places=kept) if left else learner)
        return replace(
            self,
            places=every,
            learners=tuple(found),
            assumptions=first,
            sweep=self.sweep if first == self.assumptions else None,
        )
