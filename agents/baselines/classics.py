"""Closed-form next-item scorers as policies: they rank by what the last clicked items speak for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from slategym.agents.core.tuning import (
    WHOLE,
    Budget,
    Setting,
    Tuned,
    Tuning,
    at_edge,
    noted,
    tune,
)
from slategym.agents.slates.offered import offered_slate
from slategym.agents.types import Action, Policy
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.trees import map_tensors
from slategym.envs.types import AgentLog, Observation, World
from slategym.models.classics.families import FAMILIES, Rows, choose
from slategym.models.classics.search import Settings
from slategym.models.classics.types import NextItem
from slategym.models.closed_form.events import Events
from slategym.models.files import kept
from slategym.models.hashes import content_hash

VALIDATION_SHARE = 0.1  # of the log's people, on whom settings are chosen
VALIDATION_ROWS = 4_000  # of theirs, at most
CAPS = (2, 1)  # items of a topic, at most, beside no cap
FADES = (0.8, 0.9, 0.97)  # of a history, per click, beside that chosen on the log
SHARE = 1 / 3  # of a budget: there is little to tune
MIXES = (0.25, 4.0)  # of a part's weight, relative to that chosen on the log
FORMAT = 1  # of the search: a change of its ladders or its measure is a new one


@dataclass(frozen=True)
class Classic:
    """The best-scored items that may be shown, with at most `cap` of a topic."""

    family: str
    model: NextItem[Any]
    topic_N: Tensor  # (N,) int, main topic of each item
    num_slots: int  # K
    cap: int | None = None  # None: as many of a topic as there are
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its cap, where it has one."""
        return self.family if self.cap is None else f"{self.family}-cap{self.cap}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The greedy slate."""
        with torch.no_grad():
            score_BN = self.model.score(self.model.initial(observation.history.id))
        return Action(offered_slate(score_BN, self.topic_N, observation, self.num_slots, self.cap))


def classic(world: World, family: str, cap: int | None = None) -> Policy:
    """A scorer fitted on the log that the world's agents may read, as it serves people best.

    What is fitted is chosen once on a tenth of the log's people, whom the first fit leaves out, and
    kept; the log's people are never those on whom policies are compared. How fast its history
    fades, how its parts are mixed and how many items of a topic it shows is then tuned by what it
    earns before selection people.

    Args:
        world: where it is to act.
        family: a key of `slategym.models.classics.families.FAMILIES`.
        cap: items of a topic in a slate, at most, and nothing tuned; None: tuned.

    Raises:
        UsageError: the world has no log, or shows no history.
    """
    fitted = Fitted.of(world, family)
    if cap is not None:
        return fitted.policy(world, {**fitted.settings, "cap": cap})
    tuning = fitted.tune(world)
    return Tuned(family, fitted.policy(world, tuning.chosen), (tuning,))


def tune_classic(world: World, family: str, budget: Budget = WHOLE) -> Tuning:
    """How fast its history fades, how its parts are mixed, how many items of a topic it shows."""
    return Fitted.of(world, family).tune(world, budget)


@dataclass(frozen=True)
class Fitted:
    """A family, and the log's rows on which it is fitted with whatever settings."""

    family: str
    rows: Rows
    settings: Settings  # chosen on the log

    @classmethod
    def of(cls, world: World, family: str) -> Fitted:
        """On the log that the world's agents may read.

        Raises:
            UsageError: the world has no log, or shows no history.
        """
        log = world.agent_log
        if log is None:
            raise UsageError(
                f"{world.name} has no log that agents may read: {family} needs a learned world, "
                "such as slategym/MovieLens-v0"
            )
        if not world.history_size:
            raise UsageError(f"{world.name} shows no history of clicks, which {family} ranks by")
        events = events_of(log, world.catalogue.num_items)
        settings = chosen(events, family, repeats=log.repeats)
        return cls(family, Rows(events, np.ones(events.num_rows, bool)), settings)

    def policy(self, world: World, setting: Setting) -> Classic:
        """With these settings: the family's, and "cap"."""
        own = {name: value for name, value in setting.items() if name != "cap"}
        model = FAMILIES[self.family].fit(self.rows, own)
        on_device = map_tensors(lambda x: x.to(world.device), model)
        topic_N = world.catalogue.topic.long()
        return Classic(self.family, on_device, topic_N, world.slate_size, setting["cap"])

    def tries(self, world: World) -> list[Setting]:
        """Settings that are read before selection people; as chosen on the log, uncapped, first."""
        topics, K = world.catalogue.num_topics, world.slate_size
        caps = [cap for cap in CAPS if topics > 1 and cap < K]
        return [
            {**self.settings, **changed, "cap": cap}
            for changed in ({}, *self._changes())
            for cap in (None, *caps)
        ]

    @property
    def _fades(self) -> list[str]:
        return [name for name in self.settings if name.rpartition(".")[2] == "fade"]

    def _changes(self) -> list[dict[str, float]]:
        """Every fade, and the weight of every part, slower and faster, more and less."""
        fades = self._fades
        found = [
            {name: fade for name in fades}
            for fade in FADES
            if {self.settings[n] for n in fades} != {fade}
        ]
        for name in ("weight",) if "weight" in self.settings else ():
            found += [{name: times * self.settings[name]} for times in MIXES]
        return found if fades else []

    def tune(self, world: World, budget: Budget = WHOLE) -> Tuning:
        """The best of them before selection people."""
        found = tune(world, self.family, self.tries(world), self.policy, budget.share(SHARE))
        edges = []
        for name in ("weight", *self._fades) if found.tried else ():
            tried = {row.setting[name] for row in found.tried if name in row.setting}
            if tried:
                edges.append(at_edge(name, found.chosen[name], sorted(tried), ends=(0.0, 1.0)))
        return replace(found, note=noted(*edges))


def events_of(log: AgentLog, num_items: int) -> Events:
    """The log's clicks as the scorers read them."""
    user_E = log.user.cpu().numpy().astype(np.int64)
    return Events(
        user_E=user_E,
        item_E=log.item.cpu().numpy().astype(np.int64),
        took_E=log.feedback[:, 0].cpu().numpy() > 0,
        values={},
        num_users=int(user_E[-1]) + 1,
        num_items=num_items,
    )


def chosen(events: Events, family: str, *, repeats: bool) -> Settings:
    """Settings with which a scorer ranks best what held-out people take up next; found once."""
    rows = [events.user_E, events.item_E, events.took_E]
    kind = FAMILIES[family]
    if not kind.ladders and kind.search is None:
        return kind.start
    ladders = {name: list(ladder) for name, ladder in kind.ladders.items()}
    decides = [
        content_hash(*rows),
        events.num_items,
        family,
        ladders,
        dict(kind.start),
        repeats,
        FORMAT,
    ]
    decides.append([VALIDATION_SHARE, VALIDATION_ROWS])

    def search() -> dict[str, float]:
        held_U = np.random.default_rng(0).random(events.num_users) < VALIDATION_SHARE
        held_U[0], held_U[-1] = True, False  # however few there are, both parts have somebody
        held_E = held_U[events.user_E]
        row_x = np.flatnonzero(held_E & events.took_E & (events.order_E > 0))
        if len(row_x) > VALIDATION_ROWS:
            row_x = row_x[np.linspace(0, len(row_x) - 1, VALIDATION_ROWS).astype(np.int64)]
        parts = {part: chosen(events, part, repeats=repeats) for part in kind.parts}
        return choose(family, Rows(events, ~held_E), row_x, repeats=repeats, parts=parts)[0]

    found: dict[str, float] = kept(f"constants/classic-{family}", decides, search)
    return found
