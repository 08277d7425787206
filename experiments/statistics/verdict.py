"""The sentence at the top of a report, derived from episode rows by stated rules.

1. The RL agent that speaks for RL is the one with the highest mean return on *selection* users in
   the world it was trained in. Everything said about it is read on *evaluation* users.
2. The static twin is the negative control: nothing a user does there changes what comes next, so
   looking ahead is worth nothing. The agent trained there must not differ from the supervised
   ranker (interval contains zero, mean within 1) nor beat the myopic policy that knows the true
   model (interval not above zero). If it does, the result is not to be believed.
3. RL wins only if its paired difference to the supervised ranker is above zero, interval and all,
   in the world and before the judge. Whether it also beats the tuned cap is said separately.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from slategym.experiments.statistics import stats
from slategym.experiments.statistics.stats import Cell, Estimate

TOLERANCE = 1.0  # reward per session; the largest difference that passes in the static twin

Outcome = Literal["not believed", "wins", "world only", "judge only", "loses", "no difference"]


@dataclass(frozen=True)
class Roles:
    """Which policy plays which part in a study."""

    boredom: float  # the strength, in log-odds, at which policies were trained
    agents: tuple[str, ...]  # policies that learn by RL
    random: str = "random"
    supervised: str = "supervised"
    capped: str = "supervised-capped"
    myopic: str = "myopic"  # knows the true model; greedy for one step
    reference: str = "rule-aware"  # the supervised ranker told the boredom rule
    unit: str = "reward per session"

    def cell(self, policy: str, variant: str, *, boredom: float | None = None) -> Cell:
        """The evaluation rows of a policy in the world, before the judge or in the static twin.

        Agents are those trained in the world; in the static twin, those trained there.
        """
        trained_in = ""
        if policy in self.agents:
            trained_in = "static" if variant == "static" else "world"
        if boredom is None and variant != "static":
            boredom = self.boredom
        return Cell(policy, variant, boredom, trained_in)


@dataclass(frozen=True)
class AgentFacts:
    """What the rows say of one agent, in paired differences of return on evaluation users."""

    agent: str
    selection: Estimate | None  # mean return on selection users; None where there is one agent
    world_supervised: Estimate
    judge_supervised: Estimate
    world_capped: Estimate
    judge_capped: Estimate
    static_supervised: Estimate
    static_myopic: Estimate
    drop: Estimate  # advantage over supervised lost between world and judge

    @property
    def same_sign(self) -> bool:
        """World and judge agree on who is ahead, supervised or the agent."""
        return (self.world_supervised.value > 0) == (self.judge_supervised.value > 0)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the negative control fails; empty where it holds."""
        supervised, myopic = self.static_supervised, self.static_myopic
        found = []
        if not supervised.spans_zero:
            what = "gains" if supervised.above_zero else "loses"
            found.append(
                f"it {what} {supervised.signed()} over the supervised ranker where looking "
                "ahead can change nothing"
            )
        elif abs(supervised.value) > TOLERANCE:
            found.append(
                f"its difference of {supervised.signed()} to the supervised ranker is further "
                f"from zero than {TOLERANCE:g}"
            )
        if myopic.above_zero:
            found.append(
                f"it beats the policy that knows the true model by {myopic.signed()}, "
                "which should not be possible there"
            )
        return tuple(found)

    @property
    def outcome(self) -> Outcome:
        """The rules of this module, applied."""
        world, judge = self.world_supervised, self.judge_supervised
        if self.objections:
            return "not believed"
        if world.above_zero:
            return "wins" if judge.above_zero else "world only"
        if world.below_zero:
            return "loses"
        return "judge only" if judge.above_zero else "no difference"


@dataclass(frozen=True)
class Verdict:
    """The sentence, and the facts of every agent, the one it speaks of first."""

    sentence: str
    facts: tuple[AgentFacts, ...]

    @property
    def best(self) -> AgentFacts:
        """The agent the sentence speaks of."""
        return self.facts[0]


def verdict(rows: pd.DataFrame, roles: Roles) -> Verdict:
    """Does RL beat the supervised ranker, and can it be believed?

    Args:
        rows: episode rows of the study.
        roles: which policy is which.

    Raises:
        ValueError: if rows that the verdict needs are missing or do not pair.
    """
    if not roles.agents:
        raise ValueError("a verdict needs at least one RL agent; Roles.agents is empty")
    facts = [_facts(rows, roles, agent) for agent in roles.agents]
    facts.sort(key=lambda f: -(f.selection.value if f.selection else 0.0))
    return Verdict(_sentence(facts[0], roles), tuple(facts))


def _facts(rows: pd.DataFrame, roles: Roles, agent: str) -> AgentFacts:
    def over(baseline: str, variant: str) -> Estimate:
        return stats.paired_difference(
            rows, roles.cell(agent, variant), roles.cell(baseline, variant)
        )

    chosen_on = replace(roles.cell(agent, "world"), group="selection")
    return AgentFacts(
        agent=agent,
        selection=stats.mean(rows, chosen_on) if len(roles.agents) > 1 else None,
        world_supervised=over(roles.supervised, "world"),
        judge_supervised=over(roles.supervised, "judge"),
        world_capped=over(roles.capped, "world"),
        judge_capped=over(roles.capped, "judge"),
        static_supervised=over(roles.supervised, "static"),
        static_myopic=over(roles.myopic, "static"),
        drop=stats.drop(
            rows,
            roles.cell(agent, "world"),
            roles.cell(roles.supervised, "world"),
            roles.cell(agent, "judge"),
            roles.cell(roles.supervised, "judge"),
        ),
    )


def _sentence(f: AgentFacts, roles: Roles) -> str:
    world, judge = f.world_supervised.signed(), f.judge_supervised.signed()
    who = f"RL ({f.agent})"
    if f.outcome == "not believed":
        return (
            f"The result is not to be believed: in the static twin, {who} fails the negative "
            f"control, because {' and '.join(f.objections)}. What it shows against the supervised "
            f"ranker, {world} in the world and {judge} before the judge ({roles.unit}), may come "
            "from the same fault."
        )
    if f.outcome == "wins":
        return (
            f"{who} beats the supervised ranker: {world} {roles.unit} in the simulated world and "
            f"{judge} before the independent judge. {_against_cap(f)}; in the static twin, where "
            f"looking ahead is worth nothing, the difference is {f.static_supervised.signed()}."
        )
    if f.outcome == "world only":
        how = "loses" if f.judge_supervised.below_zero else "shows no clear difference"
        return (
            f"Not shown: {who} beats the supervised ranker in the world it was trained in "
            f"({world} {roles.unit}) but {how} before the independent judge ({judge}), so the gain "
            f"may be of the simulator's making. {_against_cap(f)}."
        )
    if f.outcome == "loses":
        before = {1: "wins", -1: "loses too", 0: "no clear difference"}[_side(f.judge_supervised)]
        return (
            f"{who} loses to the supervised ranker: {world} {roles.unit} in the simulated world; "
            f"before the independent judge: {before} ({judge}). {_against_cap(f)}."
        )
    if f.outcome == "judge only":
        return (
            f"Not shown: {who} is ahead of the supervised ranker before the independent judge "
            f"({judge} {roles.unit}) but without clear difference in the world it was trained in "
            f"({world}). {_against_cap(f)}."
        )
    how = "loses" if f.judge_supervised.below_zero else "no clear difference either"
    return (
        f"No clear difference between {who} and the supervised ranker in the simulated world: "
        f"{world} {roles.unit}; before the independent judge: {how} ({judge}). {_against_cap(f)}."
    )


def _against_cap(f: AgentFacts) -> str:
    """Whether it beats the tuned diversity cap, in both places."""
    world, judge = f.world_capped, f.judge_capped
    numbers = f"{world.signed()} in the world, {judge.signed()} before the judge"
    sides = (_side(world), _side(judge))
    if sides == (1, 1):
        return f"It also beats the tuned diversity cap ({numbers})"
    if sides == (1, 0) or sides == (1, -1):
        return f"Against the tuned diversity cap it is clearly ahead in the world only ({numbers})"
    if sides == (0, 1) or sides == (-1, 1):
        return (
            f"Against the tuned diversity cap it is clearly ahead before the judge only ({numbers})"
        )
    if sides == (0, 0):
        return f"Against the tuned diversity cap there is no clear difference ({numbers})"
    return f"It loses to the tuned diversity cap ({numbers})"


def _side(difference: Estimate) -> int:
    """1: above zero; -1: below; 0: the interval contains zero."""
    return int(difference.above_zero) - int(difference.below_zero)
