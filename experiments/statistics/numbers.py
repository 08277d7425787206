"""Every number of a report, computed once from a study's rows, for tables and figures alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from slategym.experiments.report.results import StudyResult
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.stats import Cell, Estimate
from slategym.experiments.statistics.verdict import Roles, Verdict, verdict

PLACES = ("world", "judge", "static")
SIDE_METRICS = ("clicks", "likes", "length", "bored_share", "topics")


@dataclass(frozen=True)
class Rung:
    """One policy of the ladder; numbers of a place are missing where it was not read there."""

    policy: str
    kind: str  # "privileged" | "learns" | "baseline"
    mean: dict[str, Estimate]  # return by place
    middle: Estimate  # interquartile mean in the world
    score: Estimate | None  # normalised in the world; None without the reference
    side: dict[str, Estimate]  # SIDE_METRICS in the world, those that it has


@dataclass(frozen=True)
class Difference:
    """An agent minus a baseline in one place."""

    agent: str
    baseline: str
    place: str
    boredom: float | None
    estimate: Estimate
    by_seed: dict[int, float]
    chance: Estimate  # probability of improvement


@dataclass(frozen=True)
class Numbers:
    """All of them."""

    verdict: Verdict
    ladder: tuple[Rung, ...]  # lowest mean in the world first
    differences: tuple[Difference, ...]  # to supervised and to the cap, in the world and judge
    control: tuple[Difference, ...]  # in the static twin, to supervised and to myopic
    carried: tuple[Difference, ...]  # agents of the world read in the static twin, if they were
    sensitivity: tuple[Difference, ...]  # over boredom strengths, in the world and judge
    adjusted: tuple[float, ...]  # Holm's p-values of `differences`


def compute_numbers(result: StudyResult) -> Numbers:
    """Everything that is said of the rows.

    Raises:
        ValueError: if rows that the verdict needs are missing or do not pair.
    """
    rows, roles = result.rows, result.roles
    found = verdict(rows, roles)
    agents = [facts.agent for facts in found.facts]
    differences = tuple(
        difference(rows, roles, agent, baseline, place)
        for agent in agents
        for baseline in (roles.supervised, roles.capped)
        for place in ("world", "judge")
    )
    control = tuple(
        difference(rows, roles, agent, baseline, "static")
        for agent in agents
        for baseline in (roles.supervised, roles.myopic)
    )
    return Numbers(
        verdict=found,
        ladder=_ladder(rows, roles),
        differences=differences,
        control=control,
        carried=_carried(rows, roles, agents),
        sensitivity=_sensitivity(rows, roles, agents),
        adjusted=tuple(stats.holm([d.estimate.p_value for d in differences])),
    )


def difference(
    rows: pd.DataFrame,
    roles: Roles,
    agent: str,
    baseline: str,
    place: str,
    *,
    boredom: float | None = None,
    trained_in: str | None = None,
) -> Difference:
    """An agent minus a baseline in one place.

    Args:
        rows: episode rows.
        roles: which policy is which.
        agent: a policy that learns.
        baseline: one that does not.
        place: "world", "judge" or "static".
        boredom: strength in log-odds; None: the study's.
        trained_in: where the agent was trained; None: as roles have it for this place.
    """
    ours = roles.cell(agent, place, boredom=boredom)
    if trained_in is not None:
        ours = replace(ours, trained_in=trained_in)
    theirs = roles.cell(baseline, place, boredom=boredom)
    return Difference(
        agent,
        baseline,
        place,
        ours.boredom,
        stats.paired_difference(rows, ours, theirs),
        stats.by_seed(rows, ours, theirs),
        stats.probability_of_improvement(rows, ours, theirs),
    )


def kind_of(policy: str, roles: Roles) -> str:
    """Whether a policy is told hidden truths, learns by trying, or has the log only."""
    if policy in (roles.myopic, roles.reference):
        return "privileged"
    return "learns" if policy in roles.agents else "baseline"


def _ladder(rows: pd.DataFrame, roles: Roles) -> tuple[Rung, ...]:
    def there(cell: Cell) -> bool:
        return not cell.among(rows).empty

    rungs = []
    for policy in rows["policy"].unique():
        cells = {place: roles.cell(policy, place) for place in PLACES}
        if not there(cells["world"]):
            continue
        low, high = roles.cell(roles.random, "world"), roles.cell(roles.reference, "world")
        world = cells["world"]
        rungs.append(
            Rung(
                policy,
                kind_of(policy, roles),
                {p: stats.mean(rows, cell) for p, cell in cells.items() if there(cell)},
                stats.interquartile_mean(rows, world),
                stats.normalised_score(rows, world, low, high) if there(high) else None,
                {m: stats.mean(rows, world, m) for m in SIDE_METRICS if rows[m].notna().all()},
            )
        )
    return tuple(sorted(rungs, key=lambda rung: rung.mean["world"].value))


def _carried(rows: pd.DataFrame, roles: Roles, agents: list[str]) -> tuple[Difference, ...]:
    read = [
        agent
        for agent in agents
        if not replace(roles.cell(agent, "static"), trained_in="world").among(rows).empty
    ]
    return tuple(
        difference(rows, roles, agent, roles.supervised, "static", trained_in="world")
        for agent in read
    )


def _sensitivity(rows: pd.DataFrame, roles: Roles, agents: list[str]) -> tuple[Difference, ...]:
    found = []
    for place in ("world", "judge"):
        for agent in agents:
            read = rows[(rows["variant"] == place) & (rows["policy"] == agent)]
            strengths = sorted(read.loc[read["group"] == "evaluation", "boredom"].unique())
            if len(strengths) == 1:
                continue
            for baseline in (roles.supervised, roles.capped):
                found += [
                    difference(rows, roles, agent, baseline, place, boredom=float(strength))
                    for strength in strengths
                    if not roles.cell(baseline, place, boredom=float(strength)).among(rows).empty
                ]
    return tuple(found)
