"""What was shown and taken, as one table for a log and for a world.

Columns of a table of rows: user, visit (number, unique), slate (number, unique), turn (of the slate
in its visit, from 0), position, item, click and the other signals (NaN where not observed or not
clicked), days (between the visit and the one before, NaN for the first), hour and weekday where the
world has a clock, the log's context columns. Rows are in the order of visit, turn and position. A
world's rows have `expected` too, the probability of the click.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.agents.types import Action
from slategym.envs.context import field
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Items, Observation, Outcome, Session, World
from slategym.experiments.measure.play import play
from slategym.models.data.log import Log
from slategym.models.data.sittings import requests, visits
from slategym.models.data.slates import has_slates

REPLAY = purpose("validation.replay")
DAY = 86_400.0  # seconds
Ints = NDArray[np.int64]


def logged_rows(log: Log, horizon: int, columns: list[str]) -> pd.DataFrame:
    """The log's rows, visits cut at so many slates.

    Args:
        log: whose events.
        horizon: slates of a visit that are kept.
        columns: of context, to keep.
    """
    asked = requests(log)
    visit, user = visits(asked, log.pause), asked["user"].to_numpy()
    begins = np.flatnonzero(np.r_[True, visit[1:] != visit[:-1]])
    turn = np.arange(len(visit)) - begins[visit]
    time = asked["time"].to_numpy()
    days_V = np.full(len(begins), np.nan)
    again = np.flatnonzero(user[begins[1:]] == user[begins[1:] - 1]) + 1
    days_V[again] = (time[begins[again]] - time[begins[again] - 1]) / DAY
    known = pd.DataFrame({"visit": visit, "slate": np.arange(len(visit)), "turn": turn})
    known["days"] = days_V[visit]
    if has_slates(log):
        keys = ["user", "slate_id"]
        rows = log.events.merge(pd.concat([asked[keys].reset_index(drop=True), known], axis=1))
        rows = rows.sort_values(["slate", "position"], kind="stable")
    else:
        rows = pd.concat([log.events.reset_index(drop=True), known], axis=1).assign(position=0)
    signals = [signal.name for signal in log.signals]
    keep = ["user", "visit", "slate", "turn", "position", "item", "days", *signals, *columns]
    return rows.loc[rows["turn"] < horizon, keep].reset_index(drop=True)


def clicks_lately(rows: pd.DataFrame, memory: int) -> Ints:
    """How many of the visit's last clicks before its slate were on the row's topic, (rows,).

    Args:
        rows: with `topic` beside the columns of a table of rows.
        memory: clicks that count as the last ones.
    """
    topic, slate, visit = (rows[name].to_numpy() for name in ("topic", "slate", "visit"))
    clicked = np.flatnonzero(rows["click"].to_numpy() > 0)
    before = np.searchsorted(clicked, _begins(slate))  # clicks before the row's slate, of anybody
    others = np.searchsorted(clicked, _begins(visit))  # of those, in earlier visits
    found = np.zeros(len(rows), dtype=np.int64)
    for back in range(1, memory + 1):
        own = np.flatnonzero(before - back >= others)
        found[own] += topic[clicked[before[own] - back]] == topic[own]
    return found


def _begins(group: Ints) -> Ints:
    """The first row of each row's group; groups are together."""
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    return np.repeat(first, np.diff(np.r_[first, len(group)]))


def items_of(log: Log, world: World) -> Ints:
    """The world's item of each of the log's, (N,); -1 where it has none.

    Raises:
        UsageError: the world has none of the log's items.
    """
    titles, known = list(world.catalogue.title or ()), log.items["title"].tolist()
    if titles == known:
        return np.arange(len(known))
    place: dict[str, int] = {}
    if titles and len(set(titles)) == len(titles):
        place, keys = {title: n for n, title in enumerate(titles)}, known
    else:
        keys = [str(key) for key in log.items["key"]]
        place = {str(n): n for n in range(world.catalogue.num_items)}
    found = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
    if (found < 0).all():
        raise UsageError(
            f"none of the {len(known)} {log.words.items} of the log {log.name!r} is in this world; "
            "give the log that it was learned from, or one that it wrote"
        )
    return found


@dataclass(frozen=True)
class LoggedSlates:
    """Shows what the log's policy showed: to a person of the log their own slates, in their order.

    Whoever is not of the log is shown slates of anybody's. In a log without slates a slate is drawn
    item by item, as often as each is in the log.
    """

    world: World
    item_SK: Ints  # items of the world, -1: an empty slot
    first_U: Ints  # the slate with which each arrival begins; -1: drawn anew at every step
    last_U: Ints  # the last of that person's
    weight_N: NDArray[np.float64] | None = None  # of items, where the log holds no slates
    name: str = "the log's own slates"
    privileged: bool = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Slates, (B, K); an item that may not be shown leaves its slot empty."""
        B, K = len(observation.step), self.world.slate_size
        if self.weight_N is not None:
            weight = torch.as_tensor(self.weight_N)
            noise_BN = luck.uniform(REPLAY, len(weight)).double().clamp(min=1e-12)
            score_BN = weight.log() - (-noise_BN.log()).log()  # as often as their weight
            if observation.allowed is not None:
                score_BN = score_BN.masked_fill(~observation.allowed, -torch.inf)
            return Action(score_BN.topk(K, 1).indices.int())
        assert observation.hidden is not None
        user_B = observation.hidden.user_id.cpu().numpy().astype(np.int64)
        first_B, step_B = self.first_U[user_B], observation.step.cpu().numpy()
        drawn_B = luck.integers(REPLAY, 1, len(self.item_SK))[:, 0].cpu().numpy()
        own_B = first_B + step_B
        row_B = np.where((first_B >= 0) & (own_B <= self.last_U[user_B]), own_B, drawn_B)
        item_BK = torch.as_tensor(self.item_SK[row_B], device=observation.step.device)
        slate_BK = torch.full((B, K), -1, dtype=torch.int32, device=item_BK.device)
        width = min(K, item_BK.shape[1])
        slate_BK[:, :width] = item_BK[:, :width].int()
        return Action(self._filled(slate_BK))

    def _filled(self, slate_BK: Tensor) -> Tensor:
        """Empty slots repeat the first item: a repeated position is an empty slot."""
        first_B1 = slate_BK[:, :1].clamp(min=0)
        return torch.where(slate_BK < 0, first_B1, slate_BK)


def log_policy(log: Log, world: World, rows: pd.DataFrame) -> LoggedSlates | None:
    """What replays the log in this world; None where a position is not an item.

    Args:
        log: whose slates.
        world: where they are shown.
        rows: `logged_rows` of it, whole visits.
    """
    if world.num_candidates != world.catalogue.num_items:
        return None
    place_N = items_of(log, world)
    size = world.population.size
    none_U = np.full(size, -1, dtype=np.int64)
    if not has_slates(log):
        counts = np.bincount(place_N[rows["item"]][place_N[rows["item"]] >= 0], minlength=1)
        weight_N = np.zeros(world.catalogue.num_items)
        weight_N[: len(counts)] = counts
        return LoggedSlates(
            *(world, np.zeros((0, world.slate_size), dtype=np.int64), none_U, none_U),
            weight_N=weight_N + 1e-9,
            name="items as often as they are in the log",
        )
    slate = rows["slate"].to_numpy()
    begin = np.flatnonzero(np.r_[True, slate[1:] != slate[:-1]])
    at = np.arange(len(slate)) - np.repeat(begin, np.diff(np.r_[begin, len(slate)]))
    item_SK = np.full((len(begin), max(world.slate_size, int(at.max()) + 1)), -1, dtype=np.int64)
    item_SK[np.cumsum(np.r_[False, slate[1:] != slate[:-1]]), at] = place_N[rows["item"]]
    first_U, last_U = _own(rows.iloc[begin], rows, world, len(begin))
    return LoggedSlates(world, item_SK[:, : world.slate_size], first_U, last_U, privileged=True)


def _own(
    asked: pd.DataFrame, rows: pd.DataFrame, world: World, num_slates: int
) -> tuple[Ints, Ints]:
    """Slates with which each arrival goes on, and the last of that person's."""
    people = world.population
    none_U = np.full(people.size, -1, dtype=np.int64)
    if people.person is None or people.consumed is None:
        return none_U, none_U
    user = asked["user"].to_numpy()
    clicked = rows[rows["click"] > 0].drop_duplicates(["user", "item"])
    slates = asked["slate"].to_numpy()
    new_S = np.bincount(np.searchsorted(slates, clicked["slate"]), minlength=num_slates)
    person_U = people.person.cpu().numpy()
    count_U = people.consumed.count.cpu().numpy()
    begin_U = np.searchsorted(user, person_U, "left")
    end_U = np.searchsorted(user, person_U, "right") - 1
    known_S = np.cumsum(new_S)  # things had up to and including this slate, of everybody
    before_U = np.where(begin_U > 0, known_S[np.maximum(begin_U - 1, 0)], 0)
    first_U = np.searchsorted(known_S, before_U + count_U, "left") + (count_U > 0)
    return np.where(first_U <= end_U, first_U, -1), end_U


class _Kept:
    """Rows of what a world shows."""

    def __init__(self, world: World, columns: list[str]) -> None:
        self.world, self.columns = world, columns
        self.visit_U: Ints = np.zeros(world.population.size, dtype=np.int64)
        self.turn_U: Ints = np.zeros(world.population.size, dtype=np.int64)
        self.days_U = np.full(world.population.size, np.nan)
        self.parts: list[pd.DataFrame] = []

    def __call__(
        self, before: Session, items: Items, action: Action, outcome: Outcome, after: Session
    ) -> None:
        """One slate of everybody who is still at it."""
        B, K = items.id.shape
        user_B = before.user_id.cpu().numpy().astype(np.int64)
        _, shown_BK = _shown(self.world, before, action)
        columns = {
            "user": user_B,
            "own": self.visit_U[user_B],
            "turn": self.turn_U[user_B],
            "days": self.days_U[user_B],
        }
        columns |= {
            name: field(self.world.context, before.context, name).cpu().numpy()
            for name in self.columns
        }
        frame = {name: np.repeat(x_B, K) for name, x_B in columns.items()}
        frame |= {"position": np.tile(np.arange(K), B), "item": items.id.cpu().numpy().ravel()}
        feedback_SM = outcome.feedback.flatten(0, 1).cpu().numpy()
        clicked_S = feedback_SM[:, 0] > 0
        for m, signal in enumerate(self.world.users.signals):
            value_S = feedback_SM[:, m]
            frame[signal.name] = np.where(clicked_S, value_S, np.nan) if m else value_S
        frame["expected"] = outcome.expected[..., 0].cpu().numpy().ravel()
        self.parts.append(pd.DataFrame(frame)[shown_BK.cpu().numpy().ravel()])
        away = self.world.users.away(after.user)
        away_B = np.zeros(B) if away is None else away.cpu().numpy()
        self.turn_U[user_B] = np.where(away_B > 0, 0, self.turn_U[user_B] + 1)
        self.visit_U[user_B] += away_B > 0
        self.days_U[user_B] = np.where(away_B > 0, away_B, self.days_U[user_B])

    def frame(self) -> pd.DataFrame:
        """All of it, numbered."""
        rows = pd.concat(self.parts, ignore_index=True)
        rows["visit"] = rows.groupby(["user", "own"], sort=True).ngroup()
        rows["slate"] = rows.groupby(["visit", "turn"], sort=True).ngroup()
        rows = rows.sort_values(["visit", "turn", "position"], kind="stable")
        return rows.drop(columns="own").reset_index(drop=True)


def _shown(world: World, session: Session, action: Action) -> tuple[Items, Tensor]:
    from slategym.envs.engine import pick

    return pick(world, session, action.slate)


def simulated_rows(
    world: World, policy: LoggedSlates, user_U: Tensor, columns: list[str], seed: int
) -> pd.DataFrame:
    """One session of each of these people under the replayed log.

    Args:
        world: where.
        policy: from `log_policy`.
        user_U: rows of the population.
        columns: of context, to keep.
        seed: of the luck.
    """
    kept = _Kept(world, columns)
    play(world, policy, user_U, seed=seed, on_slate=kept)
    return kept.frame()
