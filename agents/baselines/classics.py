"""Closed-form next-item scorers as policies: they rank by what the last clicked items speak for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from slategym.agents.slates.top import allowed_only, capped_slate, top_slate
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import AgentLog, Observation, World, map_tensors
from slategym.models.classics.families import FAMILIES, Rows, choose
from slategym.models.classics.search import Settings
from slategym.models.classics.types import NextItem
from slategym.models.closed_form.events import Events
from slategym.models.files import kept
from slategym.models.hashes import content_hash

VALIDATION_SHARE = 0.1  # of the log's people, on whom settings are chosen
VALIDATION_ROWS = 4_000  # of theirs, at most
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
            score_BC = self.model.score(self.model.initial(observation.history.id))
        topic_BC = self.topic_N.expand(score_BC.shape[0], -1)
        if observation.candidates is not None:
            id_BC = observation.candidates.long()
            score_BC, topic_BC = score_BC.gather(1, id_BC), topic_BC.gather(1, id_BC)
        score_BC = allowed_only(score_BC, observation.allowed)
        if self.cap is None:
            return Action(top_slate(score_BC, self.num_slots))
        return Action(capped_slate(score_BC, topic_BC, self.num_slots, self.cap))


def classic(world: World, family: str, cap: int | None = None) -> Classic:
    """A scorer fitted on the log that the world's agents may read.

    Its settings are chosen once on a tenth of the log's people, whom the first fit leaves out, and
    kept; the log's people are never those on whom policies are compared.

    Args:
        world: where it is to act.
        family: a key of `slategym.models.classics.families.FAMILIES`.
        cap: items of a topic in a slate, at most.

    Raises:
        UsageError: the world has no log, or shows no history.
    """
    if world.agent_log is None:
        raise UsageError(
            f"{world.name} has no log that agents may read: {family} needs a learned world, such "
            "as slategym/MovieLens-v0"
        )
    if not world.history_size:
        raise UsageError(f"{world.name} shows no history of clicks, which {family} ranks by")
    events = events_of(world.agent_log, world.catalogue.num_items)
    settings = chosen(events, family, repeats=world.agent_log.repeats)
    everything = np.ones(events.num_rows, bool)
    model = FAMILIES[family].fit(Rows(events, everything), settings)
    on_device = map_tensors(lambda x: x.to(world.device), model)
    topic_N = world.catalogue.topic.long()
    return Classic(family, on_device, topic_N, world.slate_size, cap)


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
    if not kind.ladders:
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
