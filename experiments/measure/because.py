"""Why the ranker thinks of an item as it does: its heads, its order, and the past of the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.top import FORBIDDEN, allowed_only
from slategym.envs import engine
from slategym.envs.trees import map_tensors as mapped
from slategym.envs.types import Arrival, Context, Items, Observation, Outcome, Session, World
from slategym.models.multitask.incremental import Encoded
from slategym.models.taste import clicked

ADDS = "adds_"  # before a head's name, as columns


@dataclass(frozen=True)
class Lived:
    """A slate of some people: what they clicked of it."""

    user_B: Tensor  # (B,) int32
    item_B: Tensor  # (B,) int64
    feedback_BM: Tensor
    took_B: Tensor  # (B,) bool: whether anything was clicked
    context: Context  # of the request

    @staticmethod
    def of(before: Session, items: Items, outcome: Outcome) -> Lived:
        """Of the slates of a batch."""
        taken = clicked(items, outcome.feedback)
        return Lived(before.user_id, *taken, before.context)


def because(
    world: World, ranker: Ranker, at: Session, item_BK: Tensor, lived: Sequence[Lived]
) -> dict[str, np.ndarray]:
    """Why the ranker would or would not show these items to these people now.

    Args:
        world: where.
        ranker: the tuned one.
        at: sessions of B people.
        item_BK: int64 ids that were shown.
        lived: the session so far, slate by slate, perhaps with people who are not among these and
            with slates that lie ahead.

    Returns:
        columns of B * K values: ranker_place (1 is the ranker's first; 0: it looks at no such
        item), utility, adds_HEAD (utility by that head above the mean of all that may be shown),
        because (title of the past click without which the utility falls most), because_adds (by
        how much).
    """
    observation = engine.observe(world, at)
    with torch.no_grad():
        found = {"ranker_place": _places(ranker, observation, item_BK)}
        utility_BK = ranker.utility(observation, item_BK)
        found["utility"] = utility_BK
        query = ranker.encoder.asked(observation)
        weights = {"click": ranker.choice.click, **dict(ranker.choice.further)}
        for head, weight in weights.items():
            if weight:
                every_BN = ranker.log_odds(head, query, None)
                there_BN = allowed_only(every_BN, observation.allowed) > FORBIDDEN / 2
                mean_B1 = (every_BN * there_BN).sum(1, keepdim=True) / there_BN.sum(1, keepdim=True)
                found[ADDS + head] = weight * (every_BN.gather(1, item_BK) - mean_B1)
        event_BE, falls_BEK = _without_each(world, ranker, at, item_BK, lived)
    most_BK = falls_BEK.max(1)
    event_BK = event_BE.gather(1, most_BK.indices)
    titles = world.catalogue.title
    because_BK = [
        "" if event < 0 else titles[event] if titles else f"item {event}"
        for event in event_BK.flatten().tolist()
    ]
    told = {name: x.double().cpu().numpy().ravel() for name, x in found.items()}
    return {
        **told,
        "because": np.array(because_BK, dtype=object),
        "because_adds": most_BK.values.double().cpu().numpy().ravel(),
    }


def _places(ranker: Ranker, observation: Observation, item_BK: Tensor) -> Tensor:
    """Places of the items in the ranker's order, from 1 on; 0 of those it does not look at."""
    order_BC = ranker.retrieve(observation, ranker.encoder.items_ND.shape[0]).id
    same_BKC = item_BK[..., None] == order_BC[:, None]
    return torch.where(same_BKC.any(2), same_BKC.int().argmax(2) + 1, 0)


def _without_each(
    world: World, ranker: Ranker, at: Session, item_BK: Tensor, lived: Sequence[Lived]
) -> tuple[Tensor, Tensor]:
    """By how much the items' utilities fall without each past click.

    Returns:
        event_BE: int64 item ids, -1 where there is none; falls_BEK: -inf there.
    """
    arrival = engine.arrive(world.population, at.user_id)
    assert arrival.history is not None
    B, H = arrival.history.shape
    S = min(len(lived), int(at.step.max()) if B else 0)
    past = [_of(moment, at) for moment in lived[:S]]
    event_BE = torch.cat(
        [arrival.history.long(), *(torch.where(p.took_B, p.item_B, -1)[:, None] for p in past)], 1
    )
    whole = utilities(world, ranker, at, item_BK, arrival, past)
    falls = []
    for e in range(H + S):
        if e < H:
            gone = arrival.history.clone()
            gone[:, e] = -1
            less, left = replace(arrival, history=gone), past
        else:
            none = replace(past[e - H], took_B=torch.zeros_like(past[e - H].took_B))
            less, left = arrival, [*past[: e - H], none, *past[e - H + 1 :]]
        falls.append(whole - utilities(world, ranker, at, item_BK, less, left))
    falls_BEK = torch.stack(falls, 1)
    return event_BE, falls_BEK.masked_fill((event_BE < 0)[..., None], -torch.inf)


def _of(lived: Lived, at: Session) -> Lived:
    """The same for these people, in their order; who was not there, or is not so far, took none."""
    same_BR = at.user_id[:, None] == lived.user_B[None]
    row_B, there_B = same_BR.int().argmax(1), same_BR.any(1)
    mine = mapped(lambda x: x[row_B], lived)
    return replace(mine, took_B=mine.took_B & there_B)


def utilities(
    world: World,
    ranker: Ranker,
    at: Session,
    item_BK: Tensor,
    arrival: Arrival,
    past: Sequence[Lived],
) -> Tensor:
    """The items' utilities after another past, asked at the same moment, (B, K)."""
    encoder = ranker.encoder
    encoded: Encoded = encoder.read(arrival)
    for step, lived in enumerate(past):
        now_B = at.step > step  # whose moment lies further on
        after = encoder.after(encoded, lived.item_B, lived.feedback_BM, lived.took_B, lived.context)
        encoded = mapped(
            lambda new, old, n=now_B: torch.where(n.view(-1, *[1] * (new.ndim - 1)), new, old),
            after,
            encoded,
        )
    observation = engine.observe(world, replace(at, view=encoded))
    return ranker.utility(observation, item_BK)
