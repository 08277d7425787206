"""A verdict held against the truth: what it claims, what is so, and how far numbers carry over.

The truth of a claim is told by the verdict's own rule, applied to readings in the true world. The
learned and the true world pay in different sessions (one visit against a whole life with several),
so differences are compared as shares of what the opponent earns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import beta

from slategym.experiments.benchmark import result_of
from slategym.experiments.places import Place
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import read_rows
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.cells import Cell as Rows
from slategym.experiments.statistics.differences import Difference, metric_of
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.log_world import Pair, shares_elsewhere
from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.experiments.statistics.transfer import calibrated, unexplained
from slategym.experiments.study import Study
from slategym.experiments.truth.grid import PRIVILEGED, Part
from slategym.models.simulator.assumptions import find_assumptions

WINS = "wins"  # the outcome that claims a win of RL that nothing cheaper has
GREEDY, PLANNER = "greedy", "planner"  # told the truth of the true world
CELL = ("scenario", "strength", "visits", "seed", "place")  # columns that say whose verdict it is
UNDER = "under "  # at the beginning of columns with readings under other assumptions
NO_HEADROOM = 0.005  # of what greedy earns: less is nothing to plan for


@dataclass(frozen=True)
class Judged:
    """One verdict and its truth; frames have a row per comparison, policy and snapshot."""

    claim: dict[str, Any]
    comparisons: pd.DataFrame
    policies: pd.DataFrame
    watched: pd.DataFrame


class Count(NamedTuple):
    """So many of so many, with the interval of Clopper and Pearson 1934."""

    number: int
    of: int

    @property
    def share(self) -> float:
        """NaN of none."""
        return self.number / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95 %."""
        return binomial_interval(self.number, self.of)

    def __str__(self) -> str:
        if not self.of:
            return "none to count"
        low, high = self.interval
        return f"{self.number} of {self.of} [{100 * low:.0f}, {100 * high:.0f} %]"


def judged(part: Part, store: Store) -> list[Judged]:
    """Of every open place of a cell's study."""
    result = result_of(part.plan, store, 0.0)
    numbers = compute_numbers(result.study, result.rows, result.curves, result.starts)
    watched = part.plan.watched(store)
    return [
        _judged(part, store, numbers, result.rows, watched, place, result.served)
        for place in part.plan.study.of_role("open")
    ]


def _judged(
    part: Part,
    store: Store,
    numbers: Numbers,
    rows: pd.DataFrame,
    watched: pd.DataFrame,
    place: Place,
    served: Sequence[Any],
) -> Judged:
    study, cell = part.plan.study, part.cell
    true_rows = _true_rows(part, store, place)
    told = true_rows[true_rows["policy"].isin((GREEDY, PLANNER, "random told"))]
    here = _true_study(study, place)
    truth = _numbers(here, true_rows[~true_rows["policy"].isin((GREEDY, PLANNER))])
    about = {
        "scenario": cell.scenario,
        "strength": cell.strength,
        "visits": cell.visits,
        "seed": cell.seed,
        "place": place.name,
        "assumptions": place.settings.get("assumptions", study.assumptions),
    }
    learned, so = _differences(numbers, place), _differences(truth, place)
    judges = [judge for judge in study.of_role("judge") if judge.of == place.name]
    otherwise = _under_others(study, rows, tuple(learned), place)
    comparisons = pd.DataFrame(
        [
            about
            | _compared(d, so[pair], numbers, truth, place, study.roles.opponent)
            | {"judged": _judged_share(pair, numbers, judges, study.roles.opponent)}
            | {f"{UNDER}{under}": shares.get(pair, np.nan) for under, shares in otherwise.items()}
            for pair, d in learned.items()
            if pair in so
        ]
    )
    policies = _policies(numbers, truth, place, told, true_rows)
    shared = policies.dropna(subset=["learned", "true"])
    best = shared.loc[shared["true"].idxmax()]
    taken = shared.loc[shared["learned"].idxmax()]
    agent = numbers.verdict.agent or study.ahead[0]
    headroom, greedy = _headroom(told)
    trained = {s["learner"]: s["policy"] for s in served if s["place"] == place.name}
    held = part.plan.validations.get(place.name)
    lines = [] if held is None else store.read(held)["lines"]
    failed = [line["check"] for line in lines if line["status"] == "fail"]
    claim = about | {
        "agent": agent,
        "checked": held is not None,
        "objections": "; ".join(failed),
        "claim": numbers.verdict.outcomes[place.name],
        "truth": truth.verdict.outcomes[place.name],
        "served": trained.get(agent, ""),
        "headroom": headroom.value,
        "headroom_low": headroom.low,
        "headroom_high": headroom.high,
        "headroom_share": headroom.value / greedy,
        "tau": kendall(shared["learned"].to_numpy(), shared["true"].to_numpy()),
        "taken": taken["policy"],
        "best": best["policy"],
        "regret": float(best["true"] - taken["true"]),
        "regret_share": float((best["true"] - taken["true"]) / abs(best["true"])),
        "said": next(p.sentences[0] for p in numbers.verdict.parts if p.place == place.name),
        "so": next(p.sentences[0] for p in truth.verdict.parts if p.place == place.name),
    }
    return Judged(
        claim,
        comparisons,
        policies.assign(**about),
        _watched(part, store, watched, place, numbers, truth, study).assign(**about),
    )


def _true_rows(part: Part, store: Store, place: Place) -> pd.DataFrame:
    """Everybody in the true world, in the columns that statistics select by."""
    rows = read_rows(store, part.truths[place.name])
    told = store.read(part.told)
    told = told[told["policy"] != "random"]  # the ladder has its own
    return pd.concat([rows, told], ignore_index=True).assign(
        world=f"Scenario-{part.cell.scenario}-v0", variant=place.name, group=place.group, split=0
    )


def _true_study(study: Study, place: Place) -> Study:
    """The same study of one place, the true world, without judges and controls."""
    there = replace(
        place, world="true world", settings={}, title="true world", strength=None, role="open"
    )
    kept = tuple(b for b in study.baselines if b.name not in PRIVILEGED)
    roles = replace(study.roles, truth=None, reference=study.roles.opponent)
    return replace(study, places=(there,), policies=kept, roles=roles)


def _numbers(study: Study, rows: pd.DataFrame) -> Numbers:
    return compute_numbers(study, rows, pd.DataFrame())


def _differences(numbers: Numbers, place: Place) -> dict[tuple[str, str], Difference]:
    """Those of the verdict and the steps of what a lead consists of, by agent and baseline."""
    steps = [
        step.difference
        for found in numbers.attributions
        if found.place == place.name
        for step in found.steps
    ]
    every = (*numbers.differences, *steps)
    return {(d.agent, d.baseline): d for d in every[::-1] if d.place == place.name}


def _compared(
    d: Difference, t: Difference, numbers: Numbers, truth: Numbers, place: Place, opponent: str
) -> dict[str, Any]:
    """A difference in the learned world and in the true one, as shares of the opponent's return.

    Of the opponent's, not of the other policy's: shares of what hardly earns are of no size.
    """
    found: dict[str, Any] = {"agent": d.agent, "baseline": d.baseline}
    for name, one, where in (("learned", d, numbers), ("true", t, truth)):
        level = abs(where.of(opponent).mean[place.name].value)
        estimate = one.estimate
        found |= {
            name: estimate.value / level,
            f"{name}_low": estimate.low / level,
            f"{name}_high": estimate.high / level,
            f"{name}_side": one.side,
            f"{name}_reward": estimate.value,
        }
    return found


def _judged_share(
    pair: tuple[str, str], numbers: Numbers, judges: Sequence[Place], opponent: str
) -> float:
    """The same difference before judges, models of other people, mean; NaN where none read it."""
    earned = numbers.of(opponent).mean
    found = [
        d.estimate.value / abs(earned[judge.name].value)
        for judge in judges
        for d in [_differences(numbers, judge).get(pair)]
        if d is not None
    ]
    return float(np.mean(found)) if found else float("nan")


def _under_others(
    study: Study, rows: pd.DataFrame, pairs: Sequence[Pair], place: Place
) -> dict[str, dict[Pair, float]]:
    """The differences as read under other assumptions than the place's own, by assumptions."""
    there = shares_elsewhere(study, rows, pairs, place, "assumed")
    assumed = [p for p in study.of_role("assumed") if p.of == place.name]
    return {p.settings["assumptions"]: there[p.name] for p in assumed}


def _policies(
    numbers: Numbers, truth: Numbers, place: Place, told: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return of every policy in the learned world and in the true one; NaN where it was not read.

    The learned world's privileged policies are told something else in the true one.
    """
    found = []
    for standing in numbers.ladder:
        if place.name not in standing.mean:
            continue
        true = next((s for s in truth.ladder if s.policy == standing.policy), None)
        found.append(
            {
                "policy": standing.policy,
                "kind": standing.kind,
                "learned": standing.mean[place.name].value,
                "true": float("nan") if true is None else true.mean[place.name].value,
            }
        )
    for name, mine in told.groupby("policy", sort=False):
        value = float(mine[metric_of(mine)].mean())
        found.append(
            {"policy": f"{name}, told", "kind": "told", "learned": float("nan"), "true": value}
        )
    return pd.DataFrame(found)


def _headroom(told: pd.DataFrame) -> tuple[Estimate, float]:
    """Planner minus greedy, both told the truth, before the planner's people; what greedy earns."""
    met = told.loc[told["policy"] == PLANNER, "user"]
    same = told[told["user"].isin(met)]
    greedy, planner = (Rows(name, str(same["variant"].iloc[0])) for name in (GREEDY, PLANNER))
    metric = metric_of(same)
    found = stats.paired_difference(same, planner, greedy, metric)
    return found, stats.mean(same, greedy, metric).value


def _watched(
    part: Part,
    store: Store,
    watched: pd.DataFrame,
    place: Place,
    numbers: Numbers,
    truth: Numbers,
    study: Study,
) -> pd.DataFrame:
    """Gains while learners trained, as shares of the opponent's return where they are read."""
    if watched.empty:  # of a cell that is not watched
        return watched
    opponent = study.roles.opponent
    mine = [unit for unit in part.watches if unit.spec["settings"] == place.settings]
    own = watched[(watched["trained_in"] == place.name) & watched["policy"].isin(study.ahead)]
    true = read_rows(store, mine) if mine else own.iloc[:0]
    learned_level = abs(numbers.of(opponent).mean[place.name].value)
    true_level = abs(truth.of(opponent).mean[place.name].value)
    both = pd.concat(
        [
            own[own["where"] == place.name].assign(where="learned", level=learned_level),
            true.assign(level=true_level),
        ],
        ignore_index=True,
    )
    return both.assign(
        share=both["gain"] / both["level"], share_error=both["error"] / both["level"]
    )


def kendall(a_x: np.ndarray, b_x: np.ndarray) -> float:
    """Kendall's tau-b of two rankings; NaN where all are equal in one.

    >>> round(kendall(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])), 3)
    0.667
    """
    upper = np.triu_indices(len(a_x), 1)
    a, b = (np.sign(x[:, None] - x[None, :])[upper] for x in (a_x, b_x))
    size = float(np.sqrt((a != 0).sum() * (b != 0).sum()))
    return float((a * b).sum() / size) if size else float("nan")


def binomial_interval(number: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, by Clopper and Pearson 1934 (Biometrika 26).

    >>> [round(x, 3) for x in binomial_interval(0, 10)]
    [0.0, 0.308]
    """
    if not of:
        return 0.0, 1.0
    low = 0.0 if number == 0 else float(beta.ppf(0.025, number, of - number + 1))
    high = 1.0 if number == of else float(beta.ppf(0.975, number + 1, of - number))
    return low, high


@dataclass(frozen=True)
class Summary:
    """How often verdicts are right, of some cells."""

    what: str  # which cells
    cells: int
    false_wins: Count  # claims "RL wins" where it does not, of cells in which it does not
    missed: Count  # does not claim it where it does, of cells in which it does
    wrong_sign: Count  # of differences that are clear in the learned world
    coverage: Count  # intervals over people that hold the true difference, where policies differ
    transfer: Count  # transfer intervals that do, calibrated on other scenarios
    carried: Count  # of differences clear by the transfer interval, those of the same true sign
    half: float  # mean half width of transfer intervals, share of the opponent's return
    tau: float  # mean over cells
    regret: float  # mean share of the best policy's true return that is lost by taking the winner


def summary(what: str, claims: pd.DataFrame, comparisons: pd.DataFrame) -> Summary:
    """Of these cells.

    Args:
        what: which cells.
        claims: of these.
        comparisons: of all cells: transfer intervals are calibrated on other scenarios.
    """
    mine = comparisons.merge(claims[list(CELL)], on=list(CELL))
    claimed, so = claims["claim"] == WINS, claims["truth"] == WINS
    clear = mine[mine["learned_side"] != 0]
    differ = _differing(mine)
    held = (differ["learned_low"] <= differ["true"]) & (differ["true"] <= differ["learned_high"])
    there = transfers(comparisons).merge(claims[list(CELL)], on=list(CELL))
    apart_n, half_n = (there["true"] - there["learned"]).abs(), there["half"]
    shown = there[there["learned"].abs() > half_n]
    return Summary(
        what,
        len(claims),
        Count(int((claimed & ~so).sum()), int((~so).sum())),
        Count(int((~claimed & so).sum()), int(so.sum())),
        Count(int((clear["true_side"] == -clear["learned_side"]).sum()), len(clear)),
        Count(int(held.sum()), len(differ)),
        Count(int((apart_n <= half_n).sum()), len(there)),
        Count(int((shown["true"] * shown["learned"] > 0).sum()), len(shown)),
        float(half_n.mean()),
        float(claims["tau"].mean()),
        float(claims["regret_share"].mean()),
    )


def _differing(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Without policies that show the same slates."""
    found = comparisons
    return found[(found["learned_low"] != found["learned_high"]) | (found["true"] != 0)]


def transfers(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Differences with "half", of a transfer interval that was calibrated on other scenarios.

    None where there is no other scenario.
    """
    found = _parts(comparisons)
    half_n = np.full(len(found), np.inf)
    for scenario in found["scenario"].unique():
        own_n = (found["scenario"] == scenario).to_numpy()
        model = _calibrated(found[~own_n])
        luck_n = found["people"] ** 2 + found["judges"] ** 2 + found["assumed"] ** 2
        half_n[own_n] = np.sqrt(luck_n + model**2)[own_n]
    return found.assign(half=half_n)[np.isfinite(half_n)]


def model_share(comparisons: pd.DataFrame) -> float:
    """What transfer intervals have to allow for models, of all these cells; infinite of none."""
    return _calibrated(_parts(comparisons))


def unassumed(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Without what was read under other assumptions."""
    return comparisons[[name for name in comparisons if not name.startswith(UNDER)]]


def _calibrated(parts: pd.DataFrame) -> float:
    """By the most that a difference of each scenario needs."""
    return calibrated(parts.groupby("scenario")["needed"].max().to_numpy())


def _parts(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Differing policies, with what transfer intervals consist of: shares of the opponent's return.

    "people": half of the learned interval. "judges", "assumed": root mean square distance from the
    judges, and from the same under other assumptions, over the cell's differences; 0 where none
    read them. "needed": what models must be allowed for, so that the interval holds the true
    reading.
    """
    found = _differing(comparisons)
    under = [name for name in found.columns if name.startswith(UNDER)]
    apart = {"judges": found[["judged"]], "assumed": found[under]}
    for name, others in apart.items():
        square = others.sub(found["learned"], axis=0) ** 2
        by_cell = square.groupby([found[key] for key in CELL])
        mean = by_cell.transform("sum").sum(axis=1) / by_cell.transform("count").sum(axis=1)
        found = found.assign(**{name: np.sqrt(mean.fillna(0.0))})
    people = (found["learned_high"] - found["learned_low"]) / 2.0
    columns = ("learned", "true", people, "judges", "assumed")
    told = zip(*(found[x] if isinstance(x, str) else x for x in columns), strict=True)
    return found.assign(people=people, needed=[unexplained(*one) for one in told])


def power(claims: pd.DataFrame) -> Count:
    """Verdicts that claim a win, of those where a planner told the truth is clearly ahead."""
    there = claims[(claims["headroom_low"] > 0) & (claims["headroom_share"] > NO_HEADROOM)]
    return Count(int((there["claim"] == WINS).sum()), len(there))


def summaries(claims: pd.DataFrame, comparisons: pd.DataFrame) -> list[Summary]:
    """By strength, by size of the log where there are several, and of all."""
    found = [
        summary(f"strength {strength:g}", mine, comparisons)
        for strength, mine in claims.groupby("strength")
    ]
    bases = claims["assumptions"].map(lambda name: find_assumptions(name).base)
    for value, word in ((claims["visits"], "{:,} visits"), (bases, "under {}")):
        if value.nunique() > 1:
            found += [
                summary(word.format(shared), mine, comparisons)
                for shared, mine in claims.groupby(value)
            ]
    return [*found, summary("all", claims, comparisons)]
