"""What the evaluated policy says of a log's slates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.agents.types import Stochastic
from slategym.envs.names import UsageError
from slategym.envs.types import Observation
from slategym.experiments.ope.observed import Observed
from slategym.experiments.ope.slates import Floats, LoggedSlates

BATCH = 4_000_000  # numbers held at once: slates x slots x candidates
MOST_TRAITS = 20  # categories of a trait that the reward model tells apart


@dataclass(frozen=True)
class Answers:
    """By slate and slot; nats. Zero where nothing was shown."""

    slot_logp_SK: Floats  # of the item given the slots before it; -inf: never
    position_logp_SK: Floats  # of the item in that slot, whatever the others hold
    within_SK: Floats  # expected number of slots that hold the item, in [0, 1]
    given_SKF: Floats  # mean item features given the slots before
    free_SKF: Floats  # mean item features
    unseen_SK: Floats  # chance of an item that the log never shows in that slot
    allowed_S: Floats  # candidates that may be shown
    state_SG: Floats  # what the reward model knows of the user


def ask(
    policy: Stochastic,
    slates: LoggedSlates,
    observed: Observed,
    feature_NF: Floats,
    seen_KN: NDArray[np.bool_],
    tell: Callable[[int], None] | None = None,
) -> Answers:
    """Put every slate of the log to the policy.

    Args:
        policy: to be evaluated; not privileged.
        slates: of the log.
        observed: what it may see there.
        feature_NF: of the items.
        seen_KN: which items the log shows in which slot.
        tell: called with the number of slates just answered.

    Raises:
        UsageError: a logged item is not among the candidates of its request.
    """
    K, C, sizes = slates.num_slots, observed.num_candidates, observed.profile_sizes
    feature = torch.as_tensor(feature_NF)
    unseen_KN = torch.as_tensor(~seen_KN).double()
    parts, order = list[tuple[Floats, ...]](), list[NDArray[np.int64]]()
    with torch.no_grad():
        for slate_B, seen in observed.batches(max(1, BATCH // max(1, K * C))):
            parts.append(_ask(policy, slates, slate_B, seen, feature, unseen_KN, C, sizes))
            order.append(slate_B)
            if tell is not None:
                tell(len(slate_B))
    back_S = np.argsort(np.concatenate(order))
    columns = (np.concatenate(column)[back_S] for column in zip(*parts, strict=True))
    return Answers(*columns)


def _ask(
    policy: Stochastic,
    slates: LoggedSlates,
    slate_B: NDArray[np.int64],
    seen: Observation,
    feature_NF: torch.Tensor,
    unseen_KN: torch.Tensor,
    C: int,
    profile_sizes: tuple[int, ...],
) -> tuple[Floats, ...]:
    """The fields of `Answers`, of some slates."""
    item_BK = torch.as_tensor(slates.item_SK[slate_B])
    position_BK = torch.as_tensor(slates.position_SK[slate_B])
    place_BK = _places(item_BK, seen.candidates, slates.row_S[slate_B])
    there_BK = item_BK >= 0
    free_BJC = policy.marginal(seen).double().exp()  # J: slots of the policy's slate
    _check_slots(policy, int(position_BK.max()), free_BJC.shape[1])
    row_BKC = position_BK[..., None].expand(-1, -1, C)
    free_BKC = free_BJC.gather(1, row_BKC)
    lone = slates.num_slots == 1  # its place is the only one known: what stood before is not
    law_BKC = free_BKC if lone else policy.law(seen, place_BK.int()).double().exp()
    at_BK1 = place_BK.clamp(min=0)[..., None]

    def logged(prob_BKC: torch.Tensor) -> Floats:
        logp_BK = prob_BKC.gather(2, at_BK1)[..., 0].log()
        return np.asarray(torch.where(there_BK, logp_BK, 0.0))

    def mean(prob_BKC: torch.Tensor, of_NF: torch.Tensor) -> torch.Tensor:
        if seen.candidates is None:
            return prob_BKC @ of_NF
        return prob_BKC @ of_NF[seen.candidates.long()]

    unseen_BKC = unseen_KN[position_BK]
    if seen.candidates is not None:
        at_BKC = seen.candidates.long()[:, None].expand_as(law_BKC)
        unseen_BKC = unseen_BKC.gather(2, at_BKC)
    within_BK = free_BJC.sum(1).gather(1, at_BK1[..., 0])
    allowed_B = torch.full((len(slate_B),), float(C), dtype=torch.float64)
    if seen.allowed is not None:
        allowed_B = seen.allowed.sum(1).double()
    return (
        logged(law_BKC),
        logged(free_BKC),
        np.asarray(within_BK * there_BK),
        np.asarray(mean(law_BKC, feature_NF)),
        np.asarray(mean(free_BKC, feature_NF)),
        np.asarray((free_BKC * unseen_BKC).sum(2) * there_BK),
        np.asarray(allowed_B),
        state_features(seen, profile_sizes),
    )


def _check_slots(policy: Stochastic, most: int, num_slots: int) -> None:
    if most >= num_slots:
        raise UsageError(
            f"the log's slates have a slot {most}, those of {policy.name} end at {num_slots - 1}: "
            "make the policy for slates of the log's size"
        )


def _places(
    item_BK: torch.Tensor, candidate_BC: torch.Tensor | None, row_B: NDArray[np.int64]
) -> torch.Tensor:
    """Items as positions among the candidates, -1 where the slot is empty."""
    if candidate_BC is None:
        return item_BK
    same_BKC = item_BK[..., None] == candidate_BC[:, None]
    missing_B = ((item_BK >= 0) & ~same_BKC.any(2)).any(1)
    if missing_B.any():
        b = int(missing_B.int().argmax())
        raise UsageError(
            f"the slate at row {int(row_B[b])} shows {item_BK[b].tolist()}, of which not all were "
            "offered: the log and its world do not belong together"
        )
    return torch.where(item_BK >= 0, same_BKC.int().argmax(2), -1)


def state_features(seen: Observation, profile_sizes: tuple[int, ...]) -> Floats:
    """What a linear model is told of the user, (B, G): clock, clicks, traits, what is revealed."""
    angle_B = seen.context.hour.double() * (2 * np.pi / 24)
    columns = [
        seen.step.double() / 10,
        (seen.history.id >= 0).sum(1).double() / 10,
        angle_B.sin(),
        angle_B.cos(),
        (seen.context.weekday >= 5).double(),
    ]
    if seen.profile is not None:
        for trait_B, size in zip(seen.profile.T, profile_sizes, strict=True):
            columns += [(trait_B == value).double() for value in range(min(MOST_TRAITS, size))]
    if seen.revealed is not None:
        columns += list(seen.revealed.double().T)
    if seen.state is not None:
        columns += list(seen.state.double().T)
    return np.asarray(torch.stack(columns, 1))
