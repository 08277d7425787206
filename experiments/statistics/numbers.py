"""Every number of a report, computed once from a study's rows, for tables and figures alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from slategym.envs.names import load_object
from slategym.experiments.places import Place
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.attribution import (
    NOWHERE,
    Attribution,
    Starts,
    attributions,
)
from slategym.experiments.statistics.cells import Cell, table, unchanged
from slategym.experiments.statistics.control import Controlled, controls
from slategym.experiments.statistics.differences import (
    Difference,
    cell,
    difference,
    metric_of,
    table_of,
    there,
)
from slategym.experiments.statistics.estimate import Estimate, side_of
from slategym.experiments.statistics.exposure import COLUMNS as SHOWN
from slategym.experiments.statistics.log_world import with_transfer
from slategym.experiments.statistics.segments import TRAIT, Segment, segments
from slategym.experiments.statistics.verdict import Verdict
from slategym.experiments.study import Study

KEYS = (  # columns of the rows that say whose they are, and the return
    *("world", "variant", "strength", "policy", "trained_in", "seed", "user", "person", "group"),
    "split",
    *("return", "expected_return"),
)


TRAINING = ["split", "seed"]  # columns of the curves that tell trainings of a learner apart
WHOSE = ("world", "variant", "policy", "trained_in", "group")


@dataclass(frozen=True)
class Standing:
    """One policy; numbers of a place are missing where it was not read there."""

    policy: str
    kind: str  # "privileged" | "learns" | "baseline"
    mean: dict[str, Estimate]  # return by place
    middle: Estimate | None  # interquartile mean in the study's first place
    score: dict[str, Estimate]  # 0 is random, 1 the reference, by place that has both
    by_seed: dict[str, tuple[float, ...]]  # mean return of each training seed, by place
    side: dict[str, dict[str, Estimate]]  # the rows' further columns, by place
    slates: dict[str, float]  # of training, each seed, by place; empty where nothing is learned
    cpu_seconds: dict[str, float]  # of training, mean over seeds

    @property
    def order(self) -> float:
        """Of the ladder: the mean in the first place where it was read."""
        return next(iter(self.mean.values())).value


@dataclass(frozen=True)
class Numbers:
    """All of them."""

    metric: str  # the column that is compared
    ladder: tuple[Standing, ...]  # lowest mean in the study's first place first
    differences: tuple[Difference, ...]  # to the opponent and others, in open places and judges
    controls: tuple[Controlled, ...]  # in the controls, to the opponent and to the truth
    carried: tuple[Difference, ...]  # learners of open places read in a control, if they were
    attributions: tuple[Attribution, ...]  # of every learner that looks ahead, place by place
    sensitivity: tuple[Difference, ...]  # over strengths of the assumption, to opponent and others
    drops: dict[str, tuple[tuple[str, Estimate], ...]]  # by learner: judge, advantage lost there
    selection: dict[str, Estimate]  # mean return on selection people, by learner
    verdict: Verdict
    # the learner that speaks for RL minus the opponent, by what sets people apart
    segments: tuple[Segment, ...] = ()
    # who looks ahead minus the opponent, by who plays the people, with p-values of their own table
    families: tuple[Difference, ...] = ()

    @property
    def control(self) -> tuple[Difference, ...]:
        """The differences in the controls."""
        return tuple(c.difference for c in self.controls)

    @property
    def speaker(self) -> str | None:
        """The learner that speaks for RL; of a verdict on several, the one that earns most."""
        earns = {standing.policy: standing.order for standing in self.ladder}
        several = sorted(self.verdict.agents, key=lambda agent: -earns[agent])
        return self.verdict.agent or next(iter(several), None)

    def of(self, policy: str) -> Standing:
        """One policy."""
        return next(standing for standing in self.ladder if standing.policy == policy)

    def find(self, agent: str, baseline: str, place: str) -> Difference | None:
        """One comparison of the first two tables."""
        for d in (*self.differences, *self.control):
            if (d.agent, d.baseline, d.place) == (agent, baseline, place):
                return d
        return None

    def attribution(self, agent: str, place: str) -> Attribution | None:
        """What a learner's return consists of in a place."""
        for found in self.attributions:
            if (found.agent, found.place) == (agent, place):
                return found
        return None


def compute_numbers(
    study: Study, rows: pd.DataFrame, curves: pd.DataFrame, starts: Starts = NOWHERE
) -> Numbers:
    """Everything that is said of the rows.

    Args:
        study: that they are of.
        rows: a session each.
        curves: points of training.
        starts: where trainings began, if not at the opponent.

    Raises:
        ValueError: if rows that the verdict needs are missing or do not pair.
    """
    rows = rows.astype(dict.fromkeys(WHOSE, "category"))  # each is compared with a hundred times
    with unchanged(rows):
        return _numbers(study, rows, curves, starts)


def _numbers(study: Study, rows: pd.DataFrame, curves: pd.DataFrame, starts: Starts) -> Numbers:
    read = study.of_role("open", "judge")
    differences = table_of(
        study,
        rows,
        [(a, b, place) for a in study.learned for b in study.opponents(a) for place in read],
    )
    if study.learned and not differences:
        raise ValueError(
            f"no rows compare {', '.join(study.learned)} with {study.roles.opponent} in "
            f"{' or '.join(place.name for place in read)}"
        )
    controlled = controls(study, rows)
    told = (*differences, *(c.difference for c in controlled))
    numbers = Numbers(
        metric=metric_of(rows),
        ladder=_ladder(study, rows, curves),
        differences=differences,
        controls=controlled,
        carried=_carried(study, rows),
        attributions=attributions(study, rows, told, starts),
        sensitivity=table_of(
            study,
            rows,
            [
                (agent, baseline, place)
                for place in _strengths(study)
                for agent in study.ahead
                for baseline in (study.roles.opponent, *study.roles.others)
            ],
        ),
        drops={agent: _drops(study, rows, agent) for agent in study.ahead},
        selection=_selection(study, rows),
        families=_families(study, rows),
        verdict=Verdict("", "unsure", "", ()),
    )
    if study.log is not None:
        steps = [step.difference for found in numbers.attributions for step in found.steps]
        allowed = with_transfer(study, rows, differences, (*differences, *steps))
        numbers = replace(numbers, differences=allowed)
    numbers = replace(numbers, verdict=load_object(study.rule)(study, numbers, rows))
    agent = numbers.speaker
    if agent is None:
        return numbers
    return replace(numbers, segments=segments(study, rows, agent, study.roles.opponent))


def _ladder(study: Study, rows: pd.DataFrame, curves: pd.DataFrame) -> tuple[Standing, ...]:
    names = [baseline.name for baseline in study.baselines]
    names += [name for name in rows["policy"].unique() if name not in (*names, *study.learned)]
    standings = [_rung(study, name, rows, curves) for name in (*names, *study.learned)]
    first = study.main[0].name
    return tuple(
        sorted(
            (r for r in standings if r.mean),
            key=lambda standing: (first in standing.mean, standing.order),
        )
    )


def _rung(study: Study, policy: str, rows: pd.DataFrame, curves: pd.DataFrame) -> Standing:
    cells = {place.name: cell(study, policy, place) for place in study.main}
    cells = {place: own for place, own in cells.items() if there(rows, own)}
    first = study.main[0].name
    metric = metric_of(rows)
    told = (*KEYS, *SHOWN)
    columns = [n for n in rows.columns if n not in told and not n.startswith(TRAIT)]
    trained = study.trainings.get(policy, ())
    trainings = {
        place: curves[curves["policy"].isin(trained) & (curves["trained_in"] == place)]
        for place in cells
        if trained and not curves.empty
    }
    trainings = {place: training for place, training in trainings.items() if len(training)}
    return Standing(
        policy,
        study.kind_of(policy),
        {place: stats.mean(rows, own, metric) for place, own in cells.items()},
        stats.interquartile_mean(rows, cells[first], metric) if first in cells else None,
        {p: score for p, own in cells.items() if (score := _score(study, rows, own, p))},
        {p: tuple(table(rows, c, metric).value_SU.mean(1).tolist()) for p, c in cells.items()},
        {place: _side(study, rows, own, columns) for place, own in cells.items()},
        {place: float(training["steps"].max()) for place, training in trainings.items()},
        {
            place: float(training.groupby(TRAINING)["cpu_seconds"].max().mean())
            for place, training in trainings.items()
        },
    )


def _score(study: Study, rows: pd.DataFrame, own: Cell, name: str) -> Estimate | None:
    """0 is random, 1 the reference; None where one was not read or they do not differ clearly."""
    place = study.place(name)
    low, high = (
        cell(study, policy, place) for policy in (study.roles.random, one_of(study, place))
    )
    if not there(rows, low, high):
        return None
    metric = metric_of(rows)
    if side_of(stats.paired_difference(rows, high, low, metric)) <= 0:
        return None
    return stats.normalised_score(rows, own, low, high, metric)


def one_of(study: Study, place: Place) -> str:
    """The policy of score 1 there."""
    other = study.roles.control_reference
    return other if other and place.role == "control" else study.roles.reference


def _side(
    study: Study, rows: pd.DataFrame, own: Cell, columns: Sequence[str]
) -> dict[str, Estimate]:
    """Means of what the cell's rows say besides the return, where every session says it."""
    mine = own.among(rows)
    by = {weighted.column: weighted.by for weighted in study.weighted}
    found = {}
    for name in columns:
        if name in by and mine[by[name]].sum() > 0:
            found[name] = stats.weighted_mean(rows, own, name, by[name])
        elif mine[name].notna().all():
            found[name] = stats.mean(rows, own, name)
    return found


def _carried(study: Study, rows: pd.DataFrame) -> tuple[Difference, ...]:
    """Learners of the open places, read in a control."""
    return tuple(
        d
        for place in study.of_role("control")
        for home in study.of_role("open")
        for agent in study.ahead
        if (
            d := difference(
                study, rows, agent, study.roles.opponent, place, trained_in=home.trained_in
            )
        )
    )


def _strengths(study: Study) -> list[Place]:
    """Places of a sweep, weakest first, the study's own among them."""
    varied = {place.name for place in study.of_role("sweep")}
    every = [*study.of_role("sweep"), *(p for p in study.main if p.name in varied)]
    order = {place.name: at for at, place in enumerate(study.main)}
    return sorted(every, key=lambda place: (order[place.name], place.strength or 0.0))


def _families(study: Study, rows: pd.DataFrame) -> tuple[Difference, ...]:
    """In the world and judges of every family; nothing where a study reads no further ones."""
    homes = {place.of for place in study.of_role("family")}
    read = [p for p in study.of_role("open", "judge", "family") if p.trained_in in homes]
    opponent = study.roles.opponent
    return table_of(study, rows, [(a, opponent, place) for a in study.ahead for place in read])


def _drops(study: Study, rows: pd.DataFrame, agent: str) -> tuple[tuple[str, Estimate], ...]:
    """How much of its advantage over the opponent a learner loses before each judge."""
    found = []
    for judge in study.of_role("judge"):
        places = (study.place(judge.of), judge)
        cells = [
            cell(study, policy, place)
            for place in places
            for policy in (agent, study.roles.opponent)
        ]
        if there(rows, *cells):
            found.append((judge.name, stats.drop(rows, *cells, metric=metric_of(rows))))
    return tuple(found)


def _selection(study: Study, rows: pd.DataFrame) -> dict[str, Estimate]:
    """Mean return on selection people, of every learner that met them."""
    found = {}
    for place in study.of_role("selection"):
        for agent in study.ahead:
            own = cell(study, agent, place)
            if agent not in found and there(rows, own):  # the study's first place counts
                found[agent] = stats.mean(rows, own, metric_of(rows))
    return found
