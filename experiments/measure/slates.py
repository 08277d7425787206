"""Whole sessions of a few people, slate by slate, and what others would have shown them in between.

Who is shown: the ranker (the study's opponent), the best other policy that learns nothing from
looking ahead, and the learner that speaks for RL. Whom: people at evenly spaced quantiles of what
RL earns above the ranker, so that nobody is picked by hand. When: at one slate of the ranker's
session, everybody is asked for a slate, and the same person with the same luck is shown each.

Why a slate is what it is, in the words of the ranker where the world has one: what every head adds
to an item's utility above the mean of what may be shown, the place of the item in the ranker's
order, and the past click without which its utility would fall most (leave one out, through the
same encoder).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import torch
from torch import Tensor

from slategym.agents.core.ranker import Ranker, has_ranker
from slategym.agents.core.supervised import ranker_of
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.protocols import Tiring
from slategym.envs.trees import map_tensors
from slategym.envs.types import Items, Outcome, Session, World
from slategym.experiments.measure.because import Lived, because
from slategym.experiments.measure.play import people, play
from slategym.experiments.measure.slate_log import SlateLog
from slategym.experiments.measure.units import chosen_by, policies_of, world_of
from slategym.experiments.runs.units import Unit, Work
from slategym.experiments.statistics.differences import metric_of
from slategym.experiments.statistics.slates import MOMENT, OPPONENT, OTHER, RL

Rows = Mapping[str, pd.DataFrame]  # of readings, by the unit's id
DROPPED = ("slate_id", "time", "offered")  # of a log of slates: numbers of its own file


def slates(work: Work) -> pd.DataFrame:
    """The sessions of a few people under each of these policies, a row a slot.

    Returns:
        the columns that docs/rows.md describes; nothing where no learner is read.
    """
    spec, readings = work.spec, [u for u in work.unit.needs if u.function == "read@1"]
    rows = {unit.id: work.store.read(unit) for unit in readings}
    here, deciding = _by_label(readings, spec), _by_label(readings, spec["decided"])
    chosen = _chosen(spec, here, deciding, rows)
    if chosen is None:
        return pd.DataFrame({"place": []})
    user_U, quantile_U, gain_U = _at_quantiles(
        here[chosen[RL]], here[chosen[OPPONENT]], rows, spec["num_users"]
    )
    world = world_of(spec["world"], spec["settings"], work.settings.get("device", "cpu"))
    opponent = here[chosen[OPPONENT]][0]
    told = replace(world, chosen=chosen_by(_as(work, opponent)))
    ranker = ranker_of(told) if has_ranker(told) else None
    policies = {name: first_seed(work, world, here[name]) for name in chosen.values()}
    shown = _Shown(world, ranker, spec["luck"])
    for done, (role, name) in enumerate(chosen.items()):
        work.progress(done, len(chosen), name)
        shown.session(name, policies[name], user_U, keep=role == OPPONENT)
    shown.moment({name: policies[name] for r, name in chosen.items() if r != OPPONENT},
                 chosen[OPPONENT])  # fmt: skip
    table = shown.frame()
    at = pd.Series(np.arange(len(user_U)), index=user_U.cpu().numpy())[table["user"]].to_numpy()
    role_of = {name: role for role, name in chosen.items()}
    seeds = {name: _seeds(here[name])[0] for name in chosen.values()}
    return table.assign(
        place=spec["place"],
        role=table["policy"].map(role_of),
        seed=table["policy"].map(seeds),
        quantile=quantile_U[at],
        gain=gain_U[at],
    )


def _chosen(
    spec: Mapping[str, Any],
    here: Mapping[str, Sequence[Unit]],
    deciding: Mapping[str, Sequence[Unit]],
    rows: Rows,
) -> dict[str, str] | None:
    """Who is shown, by role: nobody without a learner, two where there is no third."""
    metric = metric_of(pd.concat(rows.values()))

    def earns(units: Sequence[Unit]) -> float:
        return float(np.mean([rows[unit.id][metric].mean() for unit in units]))

    learners = [name for name in spec["ahead"] if name in here]
    if not learners or spec["opponent"] not in here:
        return None
    rl = max(learners, key=lambda name: earns(deciding.get(name, here[name])))
    others = [name for name in spec["others"] if name in here]
    best = {OTHER: max(others, key=lambda name: earns(here[name]))} if others else {}
    return {OPPONENT: spec["opponent"], **best, RL: rl}


def _by_label(readings: Sequence[Unit], place: Mapping[str, Any]) -> dict[str, list[Unit]]:
    """Readings there, by the policy's name in tables."""
    found: dict[str, list[Unit]] = {}
    for unit in readings:
        if all(unit.spec[name] == place[name] for name in ("place", "group", "strength")):
            found.setdefault(unit.spec["label"], []).append(unit)
    return found


def _at_quantiles(
    ours: Sequence[Unit], theirs: Sequence[Unit], rows: Rows, most: int
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Users at evenly spaced quantiles of the paired difference, mean over seeds; ties by row.

    Returns:
        user_U: int32. quantile_U, gain_U: of each, the difference itself.
    """
    metric = metric_of(pd.concat([rows[unit.id] for unit in (*ours, *theirs)]))
    mine, their = (
        pd.concat([rows[unit.id] for unit in units]).groupby("user")[metric].mean()
        for units in (ours, theirs)
    )
    gain = (mine - their).dropna().sort_index().sort_values(kind="stable")
    count = min(most, len(gain))
    quantile_U = (np.arange(count) + 0.5) / count
    at_U = np.floor(quantile_U * len(gain)).astype(int)
    user_U = torch.tensor(gain.index.to_numpy()[at_U], dtype=torch.int32)
    return user_U, quantile_U, gain.to_numpy()[at_U]


def _as(work: Work, unit: Unit) -> Work:
    """The work of a unit on which this one rests."""
    return replace(work, unit=unit)


def _seeds(units: Sequence[Unit]) -> list[int]:
    """Of training, lowest first; 0 of what is not trained."""
    found = [0]
    if units[0].spec["policy"] is None:
        trainings = [n for unit in units for n in unit.needs if n.function == "learn@1"]
        found = sorted(seed for training in trainings for seed in training.spec["seeds"])
    return found


def first_seed(work: Work, world: World, units: Sequence[Unit]) -> Policy:
    """The policy as it was read, of its lowest training seed."""
    first, *others = _seeds(units)
    for unit in units:
        for seed, policy in policies_of(_as(work, unit), world, others):
            if seed == first:
                return policy
    raise AssertionError(f"no reading has seed {first}")


@dataclass
class _Moment:
    """A session at the slate at which everybody is asked, and what was lived until then."""

    session: Session  # B of them
    lived: list[Lived]  # slate by slate


class _Shown:
    """Plays sessions and keeps every slot of every slate as a row."""

    def __init__(self, world: World, ranker: Ranker | None, luck: int) -> None:
        self.world, self.ranker, self.luck = world, ranker, luck
        self._parts: list[pd.DataFrame] = []
        self._before: list[Session] = []  # of the opponent's sessions, slate by slate
        self._lived: list[Lived] = []

    def session(self, name: str, policy: Policy, user_U: Tensor, keep: bool) -> None:
        """Whole sessions under a policy; keep: it is in these that others are asked."""
        file = io.BytesIO()
        bored: list[np.ndarray] = []
        chances: list[np.ndarray] = []
        steps = 0

        def listen(
            before: Session, items: Items, action: Action, outcome: Outcome, after: Session
        ) -> None:
            nonlocal steps
            log.add(before, items, action, outcome, after)
            bored.append(_bores(before, items))
            chances.append(outcome.expected[..., 0].cpu().numpy().ravel())
            if keep and steps <= MOMENT:
                self._before.append(before)
                self._lived.append(Lived.of(before, items, outcome))
            steps += 1

        with SlateLog(self.world, file, observations=False) as log:
            play(self.world, policy, user_U, seed=self.luck, on_slate=listen, batch=len(user_U))
        self._keep(name, name, file, bored, chances)

    def moment(self, policies: Mapping[str, Policy], opponent: str) -> None:
        """What the others would show at that moment of the opponent's sessions."""
        at = _last_of(self._before)
        self._explain_known(opponent, at)
        for name, policy in policies.items():
            file = io.BytesIO()
            observation = engine.observe(self.world, at)
            if policy.privileged:
                observation = replace(observation, hidden=at)
            with torch.no_grad(), SlateLog(self.world, file, observations=False) as log:
                action = policy.act(observation, Luck.at(at.key, at.step))
                items, _ = engine.pick(self.world, at, action.slate)
                after, outcome = engine.transition(self.world, at, action.slate)
                log.add(at, items, action, outcome, after)
            chance = outcome.expected[..., 0].cpu().numpy().ravel()
            self._keep(name, opponent, file, [_bores(at, items)], [chance])
            self._explain(self._parts[-1], at, items.id)

    def _keep(
        self, name: str, of: str, file: io.BytesIO, bored: list[np.ndarray], chances: list[Any]
    ) -> None:
        table = pyarrow.parquet.read_table(io.BytesIO(file.getvalue())).to_pandas()
        world, item = self.world, table["item"].to_numpy()
        topic = world.catalogue.topic.cpu().numpy()[item]
        names, titles = world.catalogue.topics, world.catalogue.title
        user_U = torch.tensor(table["user"].to_numpy(), device=world.device)
        self._parts.append(
            table.drop(columns=[c for c in DROPPED if c in table]).assign(
                policy=name,
                session_of=of,
                person=people(world.population, user_U).cpu().numpy(),
                title=[titles[i] if titles else f"item {i}" for i in item],
                topic=[names[g] if names else f"topic {g}" for g in topic],
                bores=np.concatenate(bored),
                click_chance=np.concatenate(chances),
                asked=of != name,
            )
        )

    def _explain_known(self, opponent: str, at: Session) -> None:
        """The opponent's own slate at that moment is one of its session."""
        rows = self._parts[0]
        assert rows["policy"].iloc[0] == opponent
        step = dict(zip(at.user_id.tolist(), at.step.tolist(), strict=True))
        there = rows["step"] == rows["user"].map(step)
        rows["asked"] = there
        mine = rows[there].set_index("user")
        item_BK = torch.tensor(
            np.stack([mine.loc[[user], "item"].to_numpy() for user in at.user_id.tolist()]),
            device=self.world.device,
        )
        order = pd.Categorical(rows["user"], categories=at.user_id.tolist(), ordered=True)
        places = np.flatnonzero(there)[np.argsort(order.codes[there], kind="stable")]
        self._explain(rows, at, item_BK, places)

    def _explain(
        self, rows: pd.DataFrame, at: Session, item_BK: Tensor, places: np.ndarray | None = None
    ) -> None:
        """Why these items, into the rows at these places (all, in order of B and K)."""
        if self.ranker is None:
            return
        found = because(self.world, self.ranker, at, item_BK.long(), self._lived)
        for name, values in found.items():
            column = rows[name].to_numpy(copy=True) if name in rows else _empty(values, len(rows))
            column[slice(None) if places is None else places] = values
            rows[name] = column

    def frame(self) -> pd.DataFrame:
        """Every row."""
        return pd.concat(self._parts, ignore_index=True)


def _empty(values: np.ndarray, count: int) -> np.ndarray:
    return np.full(count, "" if values.dtype == object else np.nan, values.dtype)


def _bores(session: Session, items: Items) -> np.ndarray:
    """Whether the item's topic bores the person now, (B * K,); the truth, hidden from policies."""
    state = session.user
    bored_BG = state.bored if isinstance(state, Tiring) else None
    if bored_BG is None:
        return np.zeros(items.id.numel(), bool)
    return (bored_BG > 0).gather(1, items.topic.long()).cpu().numpy().ravel()


def _last_of(before: Sequence[Session]) -> Session:
    """Everybody's last session among these, slate by slate, whoever left early left."""
    parts = []
    for step, session in enumerate(before):
        later = before[step + 1].user_id if step + 1 < len(before) else session.user_id[:0]
        mine_B = ~torch.isin(session.user_id, later)
        parts.append(map_tensors(lambda x, m=mine_B: x[m], session))
    return map_tensors(lambda *x: torch.cat(x), parts[0], *parts[1:])
