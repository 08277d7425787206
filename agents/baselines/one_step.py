"""People of a family as a policy: the items of most expected reward, were each shown alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from slategym.agents.slates.offered import offered_slate
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Arrival, Catalogue, Observation, World
from slategym.models.data.log import Log
from slategym.models.files import kept_path
from slategym.models.hashes import content_hash
from slategym.models.people.registry import families
from slategym.models.people.types import Party
from slategym.models.simulator.users import LearnedUsers
from slategym.models.tasks import from_json, to_json
from slategym.models.taste import Taste
from slategym.models.text.settings import DEFAULT_ENCODER
from slategym.models.text.vectors import item_text_vectors

HELD_SHARE = 0.15  # of the log's people, on whom outputs are calibrated
LEAST_VALUE = 1e-6  # reward of a click below which clicks are not told apart: keeps the log finite


@dataclass(frozen=True)
class OneStep:
    """Ranks by log-odds of a click plus the logarithm of what it is expected to earn."""

    family: str
    users: LearnedUsers
    weights: tuple[float, ...]  # reward per unit of each of the log's signals
    catalogue: Catalogue
    num_slots: int  # K
    cap: int | None = None  # items of a topic, at most; None: as many as there are
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its cap, where it has one."""
        return self.family if self.cap is None else f"{self.family}-cap{self.cap}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The greedy slate."""
        with torch.no_grad():
            score_BN = self._scores(observation, luck)
        topic_N = self.catalogue.topic.long()
        return Action(offered_slate(score_BN, topic_N, observation, self.num_slots, self.cap))

    def _scores(self, observation: Observation, luck: Luck) -> Tensor:
        """Of all items, (B, N)."""
        history, context = observation.history, observation.context
        arrival = Arrival(
            user_id=torch.arange(len(history.id), dtype=torch.int32, device=history.id.device),
            history=history.id,
            feedback=history.feedback[..., : len(self.weights)],
            profile=None,
            gap=None,
            hour=None,
            weekday=None,
        )
        state = self.users.initial(arrival, luck)
        click_BN, mean_BNM = self.users.outlook(state, self.catalogue, context, luck)
        value_BN = (mean_BNM * mean_BNM.new_tensor(self.weights)).sum(-1)
        return click_BN + value_BN.clamp(min=LEAST_VALUE).log()


def one_step(world: World, family: str, cap: int | None = None) -> OneStep:
    """A family fitted once on the log that the world's agents may read.

    Args:
        world: where it is to act.
        family: a name in `slategym.models.people.registry.families`.
        cap: items of a topic in a slate, at most.

    Raises:
        UsageError: there is no such family; the world has no log, or shows no history.
    """
    if world.agent_log is None:
        raise UsageError(
            f"{world.name} has no log that agents may read: {family} needs a learned world, such "
            "as slategym/MovieLens-v0"
        )
    if not world.history_size:
        raise UsageError(f"{world.name} shows no history of clicks, which {family} ranks by")
    taste = fitted(world, family)
    paid = {s.name: w for s, w in zip(world.users.signals, world.objective, strict=True)}
    return OneStep(
        family=family,
        users=LearnedUsers(taste, skip=0.0, temperature=1.0, like_weight=0.0),
        weights=tuple(paid.get(task.signal.name, 0.0) for task in taste.tasks),
        catalogue=world.catalogue,
        num_slots=world.slate_size,
        cap=cap,
    )


def fitted(world: World, family: str) -> Taste[Any]:
    """The family's people, as the agents' log has them; kept."""
    kind, log = families.find(family).load(), log_of(world)
    people = np.arange(log.num_users)
    held = np.sort(np.random.default_rng(0).permutation(people)[: round(HELD_SHARE * len(people))])
    texts = list(world.catalogue.text) if kind.reads_text else []

    def fit(folder: Path) -> None:
        text_ND0 = item_text_vectors(texts, progress=False) if texts else None
        found = kind.fit(Party(log, people, held, text_ND0))
        folder.mkdir(parents=True, exist_ok=True)
        kind.save(found, folder)
        (folder / "config.json").write_text(json.dumps({"tasks": to_json(found.tasks)}))

    decides = [log.sha256, family, kind.version, DEFAULT_ENCODER if texts else "", HELD_SHARE]
    folder = kept_path(f"models/{family}-policy", decides, fit)
    tasks = from_json(json.loads((folder / "config.json").read_text())["tasks"])
    return kind.load(folder, tasks, str(world.device))


def log_of(world: World) -> Log:
    """What agents may read, as a log: times and traits are not told."""
    told, catalogue = world.agent_log, world.catalogue
    assert told is not None
    N = catalogue.num_items
    user_E, item_E = told.user.cpu().numpy(), told.item.cpu().numpy()
    feedback_EM = told.feedback.cpu().numpy()
    events = pd.DataFrame({"user": user_E.astype(np.int32), "item": item_E.astype(np.int32)})
    events["time"] = np.arange(len(events), dtype=np.int64)
    events["hour"], events["weekday"] = np.float32(0), np.int32(0)
    for m, signal in enumerate(told.signals):
        events[signal.name] = feedback_EM[:, m].astype(np.float32)
    topic_N = catalogue.topic.cpu().numpy()
    text = list(catalogue.text or [""] * N)
    key = [str(n) for n in range(N)]
    items = pd.DataFrame({"key": key, "title": list(catalogue.title or key), "text": text})
    items["topic"], items["year"] = topic_N.astype(np.int32), np.int32(0)
    names = catalogue.topics or tuple(str(g) for g in range(catalogue.num_topics))
    return Log(
        name="agents' log",
        events=events,
        items=items,
        users=pd.DataFrame({"key": [str(u) for u in range(int(user_E.max()) + 1)]}),
        profile_names=(),
        profile_sizes=(),
        topic_names=tuple(names),
        item_topics=np.eye(len(names), dtype=np.float32)[topic_N],
        signals=told.signals,
        sha256=content_hash(user_E, item_E, feedback_EM, topic_N, np.array(text)),
        like_from=None,
        repeats=told.repeats,
    )
