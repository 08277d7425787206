"""What sets people apart before anything is shown to them: how much they did, how broad, who.

activity: light or heavy, by how much of the log lies behind an arrival; half of them each.
taste: narrow or broad, by the effective number of topics (the exponential of the entropy) of the
events with which everybody arrives, as many for all; in a world without a log, of the shares that a
person's own model gives to topics at the first request. Half of them each.
Whatever else the log says of its people, in its own words: one trait a column.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import World
from slategym.experiments.measure.units import users_of, world_of
from slategym.experiments.runs.units import Work
from slategym.experiments.statistics.segments import TRAIT

LEVELS = {"activity": ("light", "heavy"), "taste": ("narrow", "broad")}
TOGETHER = 128  # people of whom all items are asked at once
UNKNOWN = "unknown"


def traits(work: Work) -> pd.DataFrame:
    """The traits of the people of a place.

    Returns:
        a row per user: user, and trait_NAME of each trait, text.
    """
    spec = work.spec
    world = world_of(spec["world"], spec["settings"], work.settings.get("device", "cpu"))
    user_U = users_of(world, spec["first_user"], spec["num_users"])
    columns = traits_of(world, user_U, spec["luck"])
    return pd.DataFrame({"user": user_U.cpu().numpy(), **columns})


def traits_of(world: World, user_U: Tensor, seed: int) -> dict[str, np.ndarray]:
    """Every trait of these people, by column of the rows, (U,) text.

    Args:
        world: where.
        user_U: int32 rows of the population.
        seed: of the luck; it decides nothing where people come from a log.
    """
    found = {}
    events_U = _events(world, user_U)
    if events_U is not None:
        found["activity"] = _halves("activity", events_U)
    topics_U = _topics(world, user_U, seed)
    if topics_U is not None:
        found["taste"] = _halves("taste", topics_U)
    return {TRAIT + name: x for name, x in (*found.items(), *_declared(world, user_U))}


def _halves(name: str, value_U: np.ndarray) -> np.ndarray:
    """The lower half and the upper; whoever is at the median is of the lower."""
    low, high = LEVELS[name]
    return np.where(value_U > np.median(value_U), high, low).astype(object)


def _events(world: World, user_U: Tensor) -> np.ndarray | None:
    """Events of the log behind each arrival, (U,); None: people come from no log."""
    population = world.population
    if population.consumed is not None:
        return population.consumed.count[user_U.long()].cpu().numpy()
    return None


def _topics(world: World, user_U: Tensor, seed: int) -> np.ndarray | None:
    """Effective number of topics of each person, (U,); None: there is one topic, or none told."""
    G = world.catalogue.num_topics
    if G < 2:
        return None
    if world.population.history is None:
        return _of_model(world, user_U, seed)
    history_UH = world.population.history[user_U.long()].long()
    topic_UH = world.catalogue.topic.long()[history_UH.clamp(min=0)]
    share_UG = torch.zeros(len(user_U), G, device=user_U.device)
    share_UG.scatter_add_(1, topic_UH, (history_UH >= 0).float())
    return _effective(share_UG)


@torch.no_grad()
def _of_model(world: World, user_U: Tensor, seed: int) -> np.ndarray:
    """By how appealing the items of each topic are to them on average, at the first request."""
    G, parts = world.catalogue.num_topics, []
    topic_N = world.catalogue.topic.long()
    count_G = torch.bincount(topic_N, minlength=G).clamp(min=1)
    for begin in range(0, len(user_U), TOGETHER):
        user_B = user_U[begin : begin + TOGETHER]
        zero_B = torch.zeros_like(user_B)
        session = engine.start(world, torch.full_like(user_B, seed), user_B, zero_B)
        now = Luck.at(session.key, session.step)
        appeal_BN, _ = world.users.outlook(session.user, world.catalogue, session.context, now)
        sum_BG = torch.zeros(len(user_B), G, device=user_B.device)
        sum_BG.index_add_(1, topic_N, appeal_BN.float())
        parts.append((sum_BG / count_G).softmax(1))
    return _effective(torch.cat(parts))


def _effective(share_UG: Tensor) -> np.ndarray:
    """Exponential of the entropy of each row, (U,)."""
    share_UG = share_UG / share_UG.sum(1, keepdim=True).clamp(min=1e-9)
    entropy_U = -torch.special.xlogy(share_UG, share_UG).sum(1)
    found: np.ndarray = entropy_U.exp().double().cpu().numpy().round(6)
    return found


def _declared(world: World, user_U: Tensor) -> list[tuple[str, np.ndarray]]:
    """Columns of the log's people, in its own words."""
    profile_UF, keys = world.population.profile, world.keys
    if profile_UF is None or keys is None:
        return []
    code_UF = profile_UF[user_U.long()].cpu().numpy()
    found = []
    for f, column in enumerate(keys.traits):
        if len(column.categories) < 2:
            continue
        names = np.array([*column.categories, UNKNOWN], dtype=object)
        code_U = np.where((code_UF[:, f] >= 0), code_UF[:, f], len(column.categories))
        found.append((column.name, names[np.minimum(code_U, len(column.categories))]))
    return found
