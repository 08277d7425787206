"""Reading a policy: the same people with the same luck, one whole session each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.memory import check_users
from slategym.envs.protocols import Tiring
from slategym.envs.seating import seed_word
from slategym.envs.trees import at_rows
from slategym.envs.types import History, Items, Outcome, Population, Session, World
from slategym.experiments.measure.exposure import Exposure
from slategym.experiments.statistics.exposure import COLUMNS, SESSION
from slategym.models.tasks import Task, column, tasks_of

# before, shown, why, caused, after
SlateListener = Callable[[Session, Items, Action, Outcome, Session], None]

BATCH = 1_024  # users side by side
TAKEN = {  # columns of rows that are of no signal
    *("user", "person", "return", "expected_return", "length", "bored_share", "topics"),
    *COLUMNS,
    *("slate_topics", "policy", "trained_in", "seed", "world", "variant", "group", "strength"),
}


def play(
    world: World,
    policy: Policy,
    user_U: Tensor,
    *,
    seed: int,
    batch: int = BATCH,
    on_batch: Callable[[int], None] | None = None,
    on_slate: SlateListener | None = None,
    exposure: Exposure | None = None,
) -> pd.DataFrame:
    """One session of each of these users under the policy.

    Args:
        world: where.
        policy: who chooses.
        user_U: int rows of the population.
        seed: of the luck; two policies with one seed meet the same people with the same luck.
        batch: users side by side; changes no result.
        on_batch: called with the number of sessions just finished.
        on_slate: called with every slate of a batch and what it caused.
        exposure: adds up what is shown to all of them; see `reading`.

    Returns:
        A row per user, in order: user, person, return, expected_return, a column per signal (see
        `column_of`), length (slates); where the catalogue has topics, topics (distinct ones
        clicked) and slate_topics (distinct ones of a slate, mean); where the users' state says what
        bores them (`Tiring`), bored_share (of slates at which something bored); and what
        was shown, means over the session's slates, see `exposure`: novelty (bits, where popularity
        is known), slate_distance and miscalibration (nats).

    Raises:
        UsageError: so many users side by side do not fit into memory; it says how many would.
    """
    check_users(world, min(batch, max(1, len(user_U))), "batch")
    parts = []
    exposure = Exposure(world) if exposure is None else exposure
    for begin in range(0, len(user_U), batch):
        chosen_B = user_U[begin : begin + batch].to(torch.int32)
        parts.append(_play_batch(world, policy, chosen_B, seed, on_slate, exposure))
        if on_batch is not None:
            on_batch(len(chosen_B))
    return pd.concat(parts, ignore_index=True)


def reading(
    world: World,
    policy: Policy,
    user_U: Tensor,
    *,
    seed: int,
    batch: int = BATCH,
    on_batch: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """What `play` returns, and what only all sessions together tell, the same in every row.

    That is coverage, exposure_gini, provider_gap and, where people have traits, group_gap (return).
    """
    exposure = Exposure(world)
    rows = play(world, policy, user_U, seed=seed, batch=batch, on_batch=on_batch, exposure=exposure)
    return rows.assign(**exposure.columns(rows["return"].to_numpy(), user_U))


@torch.no_grad()
def _play_batch(
    world: World,
    policy: Policy,
    user_B: Tensor,
    seed: int,
    on_slate: SlateListener | None,
    exposure: Exposure,
) -> pd.DataFrame:
    user_B = user_B.to(world.device)
    seed_B = torch.full_like(user_B, seed_word(seed))
    session = engine.start(world, seed_B, user_B, torch.zeros_like(user_B))
    tally = _Tally(world, user_B, exposure)
    lane_B = torch.arange(len(user_B), device=world.device)
    while len(lane_B):
        observation = engine.observe(world, session)
        if policy.privileged:
            observation = replace(observation, hidden=session)
        action = policy.act(observation, Luck.at(session.key, session.step))
        items, shown_BK = engine.pick(world, session, action.slate)
        bored_B, before = _bored(session), session
        session, outcome = engine.transition(world, session, action.slate)
        if on_slate is not None:
            on_slate(before, items, action, outcome, session)
        tally.add(lane_B, items, shown_BK, before.history, outcome, bored_B)
        going_B = ~(outcome.left | outcome.cut)
        if not going_B.all():
            # nobody's luck depends on the others: whoever has finished is dropped
            session = at_rows(session, going_B.nonzero()[:, 0])
            lane_B = lane_B[going_B]
    return tally.frame()


class _Tally:
    """Sums over a batch of sessions, user by user."""

    def __init__(self, world: World, user_B: Tensor, exposure: Exposure) -> None:
        self.world, self.user_B, self.exposure = world, user_B, exposure
        B, M, G = len(user_B), len(world.users.signals), world.catalogue.num_topics
        zero_B = torch.zeros(B, device=world.device)
        self.signals = torch.zeros(B, M, device=world.device)
        self.topics = torch.zeros(B, G, dtype=torch.bool, device=world.device)
        self.reward, self.expected, self.slates, self.spread = (zero_B.clone() for _ in range(4))
        self.bored: Tensor | None = None  # slates at which something bored; None: not said
        self.shown: dict[str, Tensor] = {}  # sums over slates, by column of `SESSION`

    def add(
        self,
        lane_B: Tensor,
        items: Items,
        shown_BK: Tensor,
        history: History,
        outcome: Outcome,
        bored_B: Tensor | None,
    ) -> None:
        """One slate of the sessions that are still at it."""
        for name, value_B in self.exposure.add(items, shown_BK, history).items():
            self.shown.setdefault(name, torch.zeros_like(self.slates))[lane_B] += value_B
        self.signals[lane_B] += outcome.feedback.sum(1)
        self.reward[lane_B] += outcome.reward
        self.expected[lane_B] += outcome.expected_reward
        self.slates[lane_B] += 1.0
        if bored_B is not None:
            self.bored = torch.zeros_like(self.slates) if self.bored is None else self.bored
            self.bored[lane_B] += bored_B
        topic_BK, clicked_BK = items.topic.long(), outcome.feedback[..., 0] > 0
        none_BG = torch.zeros(len(lane_B), self.topics.shape[1], device=lane_B.device)
        self.topics[lane_B] |= none_BG.scatter_add(1, topic_BK, clicked_BK.float()) > 0
        self.spread[lane_B] += none_BG.scatter(1, topic_BK, 1.0).sum(1)

    def frame(self) -> pd.DataFrame:
        """A row per user."""
        slates = self.slates.cpu().numpy()
        columns = {
            "user": self.user_B.cpu().numpy(),
            "person": people(self.world.population, self.user_B).cpu().numpy(),
            "return": self.reward.cpu().numpy(),
            "expected_return": self.expected.cpu().numpy(),
            **self._signals(),
            "length": slates,
        }
        if self.world.catalogue.num_topics > 1:
            columns["topics"] = self.topics.sum(1).cpu().numpy()
            columns["slate_topics"] = self.spread.cpu().numpy() / slates
        if self.bored is not None:
            columns["bored_share"] = self.bored.cpu().numpy() / slates
        for name in SESSION:
            if name in self.shown:
                columns[name] = self.shown[name].cpu().numpy() / slates
        return pd.DataFrame(columns)

    def _signals(self) -> dict[str, np.ndarray]:
        """A column per signal, in their order: its sum, or its mean per click."""
        total_MB = self.signals.cpu().numpy().T
        clicks_B, found = total_MB[0], {}
        for task, total_B in zip(tasks_of(self.world.users.signals), total_MB, strict=True):
            if task.pool == "mean":
                blank_B = np.full(len(clicks_B), np.nan, np.float32)
                total_B = np.divide(total_B, clicks_B, out=blank_B, where=clicks_B > 0)
            found[column_of(task)] = total_B
        return found


def column_of(task: Task) -> str:
    """Where rows hold a signal, beside their other columns: clicks, rating_mean, dwell_total."""
    name = column(task)
    return f"{name}_signal" if name in TAKEN else name


def people(population: Population, user_B: Tensor) -> Tensor:
    """The person behind each arrival, (B,)."""
    return user_B if population.person is None else population.person[user_B.long()]


def _bored(session: Session) -> Tensor | None:
    """Whether something bores each user now, (B,) 0 or 1; None: their state does not say."""
    state = session.user
    if not isinstance(state, Tiring):
        return None
    bored_BG = state.bored
    return None if bored_BG is None else (bored_BG > 0).any(1).float()
