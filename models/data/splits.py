"""Who belongs to which part of a log: by user, and by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slategym.envs.names import UsageError
from slategym.models.data.log import Log


@dataclass(frozen=True)
class TimeSplit:
    """Masks over the rows of `log.events`: every row is in exactly one of the three."""

    train: NDArray[np.bool_]  # time < validation_from
    validation: NDArray[np.bool_]  # validation_from <= time < test_from
    test: NDArray[np.bool_]  # test_from <= time
    validation_from: int  # unix seconds UTC
    test_from: int  # unix seconds UTC


def split_users(
    num_users: int, shares: Mapping[str, float], seed: int
) -> dict[str, NDArray[np.int64]]:
    """Part the users at random: disjoint, complete, the same for the same seed.

    Args:
        num_users: U.
        shares: part -> share of the users, each above 0, together 1.
        seed: decides who goes where.

    Returns:
        Part -> sorted user ids. Sizes differ from share * U by less than one.

    Raises:
        UsageError: if the shares are not shares, or a part would be empty.

    >>> {part: len(users) for part, users in split_users(10, {"A": 0.5, "B": 0.5}, 0).items()}
    {'A': 5, 'B': 5}
    """
    total = sum(shares.values())
    if any(share <= 0 for share in shares.values()) or abs(total - 1) > 1e-9:
        raise UsageError(f"shares must be above 0 and sum to 1; got {dict(shares)}, sum {total:g}")
    ends = np.rint(np.cumsum(list(shares.values())) * num_users).astype(int)
    parts = np.split(np.random.default_rng(seed).permutation(num_users), ends[:-1])
    for part, users in zip(shares, parts, strict=True):
        if len(users) == 0:
            raise UsageError(
                f"part {part!r} would be empty: {num_users} users are too few for {dict(shares)}"
            )
    return {part: np.sort(users) for part, users in zip(shares, parts, strict=True)}


def split_time(log: Log, test_share: float = 0.2, validation_share: float = 0.1) -> TimeSplit:
    """Part the events at two moments, the same for all users: no model learns from later ones.

    Events at one instant stay together, so shares are met as nearly as ties allow.

    Args:
        log: at least three distinct times.
        test_share: of all events, the last.
        validation_share: of all events, those just before the test.

    Raises:
        UsageError: if a share is out of range, or a part would be empty.
    """
    if not (0 < test_share < 1 and 0 < validation_share < 1 - test_share):
        raise UsageError(
            "test and validation shares must be above 0 and leave something to train on; got "
            f"{test_share} and {validation_share}"
        )
    time_E = log.events["time"].to_numpy()
    sorted_E = np.sort(time_E)
    test_from = int(sorted_E[round(len(sorted_E) * (1 - test_share))])
    validation_from = int(sorted_E[round(len(sorted_E) * (1 - test_share - validation_share))])
    split = TimeSplit(
        train=time_E < validation_from,
        validation=(time_E >= validation_from) & (time_E < test_from),
        test=time_E >= test_from,
        validation_from=validation_from,
        test_from=test_from,
    )
    if not (split.train.any() and split.validation.any()):
        raise UsageError(
            f"too few distinct times in {log.name} to part its events: {int(split.train.sum())} "
            f"would be for training, {int(split.validation.sum())} for validation; leave-one-out "
            "(--split loo) parts them by their order"
        )
    return split
