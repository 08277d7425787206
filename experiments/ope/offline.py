"""From a log and a policy, by name or as they are, to an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from slategym.agents.baselines.fixed import Popularity
from slategym.agents.core.agent import Agent
from slategym.agents.core.random_slates import Random
from slategym.agents.core.stochastic import PopularitySoftmax, SlotTable, smoothed, stochastic
from slategym.agents.entries import POLICIES
from slategym.agents.registry import make_policy
from slategym.agents.types import Policy, Stochastic
from slategym.envs.names import UsageError, check_registered, lookup
from slategym.envs.registry import make_world
from slategym.experiments.measure.play import play
from slategym.experiments.ope.estimators import Floats, Terms, value_of
from slategym.experiments.ope.evaluation import Estimate, OffPolicyEvaluation, Per, evaluate
from slategym.experiments.ope.intervals import RESAMPLES, intervals
from slategym.experiments.ope.observed import FromRows, Observed
from slategym.experiments.ope.replayed import Replayed, read_slates, simulated_slates
from slategym.experiments.ope.slates import Ints, LoggedSlates, slates_of
from slategym.experiments.ope.weights import item_features
from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log
from slategym.models.multitask.incremental import NoState

FILE_ENDS = ".parquet"  # of a simulated log
AS = "as:"  # before a log's name: the policy that showed its slates
FITTED = ("popularity", "popularity-softmax")  # on half of the log's people; read on the others
NAMES = ("random", *FITTED)
SIMULATE = (  # for whoever reads a learned state
    "{name} reads a model's state of each person, which the rows of a log do not hold: a model "
    "fitted on these people would tell it what came of the very slates that are weighed. Ask it "
    "of a simulated log: slategym simulate Log-v0 --set log={log} --policy popularity-softmax "
    "--out slates.parquet, then slategym ope slates.parquet --policy {policy}. Of the rows "
    "themselves: {known}, as:LOG, or a policy of your own that needs no state"
)
HALVES = 2  # seed of the split


class Source(NamedTuple):
    """A log and a policy for it."""

    slates: LoggedSlates
    observed: Observed
    policy: Stochastic
    feature_NF: Floats  # of the items
    name: str
    known: Estimate | None = None  # what the policy earned where it acted itself
    notes: tuple[str, ...] = ()


def evaluate_offline(
    log: Log | str | Path,
    policy: Policy | str,
    *,
    per: Per = "slate",
    reward: Mapping[str, float] | None = None,
    smooth: float = 0.0,
    discount: float = 1.0,
    estimators: Sequence[str] | None = None,
    act: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    trust: bool = False,
    tell: Callable[[int], None] | None = None,
) -> OffPolicyEvaluation:
    """What a log says of a policy that did not write it.

    Args:
        log: of slates; a data set's name, a folder, what `load_log` gave, or a file that
            `slategym simulate --out` wrote.
        policy: any policy; or by name. Of people's logs: random, popularity, popularity-softmax,
            "as:LOG" for the policy that showed another log's slates. Of a simulated log: as
            `slategym agents` lists it, or the folder of a trained one.
        per: "slate" (as if slates changed nothing) or "visit".
        reward: weight of signals; None: those of the log.
        smooth: share of slates that are drawn at random instead, in [0, 1).
        discount: per slate of a visit, in (0, 1].
        estimators: which; None: all that apply.
        act: of a simulated log, let the policy act in its world, before the same people, and show
            what it earned beside the estimates.
        resamples: of people, for intervals.
        seed: of these.
        trust: of a simulated log or a folder, import what it names as "module:name".
        tell: called with the number of slates just answered.

    Raises:
        UsageError: the log has no slates; the policy is not known, or not for this log, or reads a
            learned state that a log's rows do not hold; a setting does not apply.
    """
    if not isinstance(log, Log) and str(log).endswith(FILE_ENDS):
        whole = per == "visit" and reward is None and discount == 1
        if act and not whole:
            raise UsageError(
                "what a policy earns when it acts is per visit, undiscounted, by the "
                "world's own reward: take per='visit' and leave the others out"
            )
        source = _simulated(Path(log), policy, reward, smooth, act, trust)
    elif act:
        raise UsageError("nobody can act in a log of people; act is for simulated logs")
    else:
        data = log if isinstance(log, Log) else load_log(log)
        if isinstance(policy, Agent) and policy.world.observer is not None:
            raise UsageError(_unread(policy.name, data.name))
        source = _of_people(data, policy, reward, smooth, per, seed)
    try:
        found = evaluate(
            source.slates,
            source.observed,
            source.policy,
            source.feature_NF,
            log=source.name,
            per=per,
            discount=discount,
            estimators=estimators,
            resamples=resamples,
            seed=seed,
            tell=tell,
        )
    except NoState as error:
        raise UsageError(_unread(source.policy.name, source.name)) from error
    return replace(found, known=source.known, notes=(*source.notes, *found.notes))


def _simulated(
    path: Path,
    policy: Policy | str,
    reward: Mapping[str, float] | None,
    smooth: float,
    act: bool,
    trust: bool,
) -> Source:
    """Of a file that `slategym simulate` wrote."""
    rows, about = read_slates(path)
    if not trust:
        check_registered(path, [about["world"], about["settings"]])
    world = make_world(about["world"], **about["settings"])
    if isinstance(policy, str):
        policy = make_policy(policy, world, trust=trust)
    random = Random(world.num_candidates, world.slate_size)
    chosen = smoothed(stochastic(policy, world.num_candidates), random, smooth)
    slates, rows = simulated_slates(rows, world, reward)
    known, notes = None, (f"simulated by {about.get('policy', 'a policy')} in {about['world']}",)
    if act and not policy.privileged:
        user_U = torch.as_tensor(np.unique(rows["user"].to_numpy()))
        known = _returns(play(world, chosen, user_U, seed=about["seed"]))
    shown_N = np.bincount(slates.item_SK[slates.item_SK >= 0], minlength=slates.num_items)
    topic_NG = np.eye(world.catalogue.num_topics)[world.catalogue.topic.cpu().numpy()]
    feature_NF = item_features(topic_NG, shown_N)
    observed = Replayed(world, rows, slates, about["seed"])
    return Source(slates, observed, chosen, feature_NF, path.name, known, notes)


def _returns(rows: pd.DataFrame) -> Estimate:
    """Mean return of sessions, with an interval over people."""
    person_E = np.unique(rows["person"].to_numpy(), return_inverse=True)[1]
    return _mean_of(rows["return"].to_numpy(np.float64), person_E, 0)


def _of_people(
    data: Log,
    policy: Policy | str,
    reward: Mapping[str, float] | None,
    smooth: float,
    per: Per,
    seed: int,
) -> Source:
    """Of a log that people wrote."""
    slates = slates_of(data, reward)
    num_slots = data.slate_size or slates.num_slots
    known, notes = None, tuple[str, ...]()
    if isinstance(policy, str) and policy.startswith(AS):
        other = load_log(policy.removeprefix(AS))
        policy, known = _as_logged(other, data, reward), _earned(other, reward, per, seed)
    elif isinstance(policy, str):
        counts_N = torch.zeros(data.num_items)
        if policy in FITTED:
            slates, counts_N = _halves(data, slates)
            notes = ("the policy is fitted on half of the people and read on the other half",)
        policy = _named(policy, data, counts_N, num_slots)
    chosen = stochastic(policy, data.num_items)
    chosen = smoothed(chosen, Random(data.num_items, num_slots), smooth)
    shown_N = np.bincount(slates.item_SK[slates.item_SK >= 0], minlength=data.num_items)
    feature_NF = item_features(data.item_topics.astype(np.float64), shown_N)
    observed = FromRows(data, slates)
    return Source(slates, observed, chosen, feature_NF, data.name, None if smooth else known, notes)


def _unread(policy: str, log: str) -> str:
    """Why a policy of learned worlds is not asked of a log's rows, and where it can be."""
    known = ", ".join(NAMES)
    return SIMULATE.format(name=policy, policy=policy, log=log, known=known)


def _named(name: str, data: Log, counts_N: torch.Tensor, num_slots: int) -> Policy:
    """A policy that needs nothing but the log."""
    if name not in NAMES and (name in POLICIES or Path(name).expanduser().is_dir()):
        raise UsageError(_unread(name, data.name))
    lookup("policy of a log", name, dict.fromkeys(NAMES))
    if name == "random":
        return Random(data.num_items, num_slots)
    made = Popularity if name == "popularity" else PopularitySoftmax
    return made(counts_N, num_slots)


def _halves(data: Log, slates: LoggedSlates) -> tuple[LoggedSlates, torch.Tensor]:
    """The slates of half of the people, and the clicks of the others, (N,)."""
    people = int(slates.person_S.max()) + 1
    if people < 2:
        raise UsageError(f"{data.name} has one person: nobody is left to fit popularity on")
    order_P = np.random.default_rng(HALVES).permutation(people)
    read_S = (order_P < people // 2)[slates.person_S]
    user_S = data.events["user"].to_numpy()[slates.row_S]
    others = data.events["user"].isin(np.unique(user_S[~read_S])) & (data.events["click"] > 0)
    counts = np.bincount(data.events["item"][others], minlength=data.num_items)
    return slates.only(read_S), torch.as_tensor(counts, dtype=torch.float32)


def _as_logged(other: Log, data: Log, reward: Mapping[str, float] | None) -> Stochastic:
    """A table of how often the other log's slots hold each item of this one.

    Raises:
        UsageError: the other log shows items that this one does not know.
    """
    row = {key: n for n, key in enumerate(data.items["key"])}
    there = slates_of(other, reward)
    shown_SK = there.item_SK >= 0
    keys = other.items["key"].to_numpy()[there.item_SK[shown_SK]]
    if unknown := sorted({key for key in keys if key not in row}):
        raise UsageError(f"{other.name} shows items that {data.name} lacks, such as {unknown[0]}")
    item_n = np.array([row[key] for key in keys])
    count_KN = np.zeros((int(there.position_SK.max()) + 1, data.num_items))
    np.add.at(count_KN, (there.position_SK[shown_SK], item_n), 1.0)
    share_KN = torch.as_tensor(count_KN / count_KN.sum(1, keepdims=True))
    return SlotTable(share_KN, f"the policy of {other.name}, by its frequencies")


def _earned(other: Log, reward: Mapping[str, float] | None, per: Per, seed: int) -> Estimate:
    """What a log's own policy earned, with an interval."""
    slates = slates_of(other, reward)
    slates = slates.single() if per == "slate" else slates
    return _mean_of(slates.padded(slates.reward_SK).sum((1, 2)), slates.person_E, seed)


def _mean_of(value_E: Floats, person_E: Ints, seed: int) -> Estimate:
    """With an interval over people."""
    terms = Terms(value_E[:, None], None, None)
    ends = intervals({"own": terms}, person_E, seed=seed)["own"]
    return Estimate("policy itself", value_of(terms), *ends, None, None)
