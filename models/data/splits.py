"""Who belongs to which part of a log: by user, by time, and at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from slategym.envs.names import UsageError
from slategym.models.data.log import REQUEST, Log

VALIDATION_SHARE = 0.1  # of what is not for the test, where rows are held out at random


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


@dataclass(frozen=True)
class HeldOut:
    """Rows held out whatever their time: what is left of a user is read for all of them at once."""

    log: Log  # each user's training rows in order of time, then validation rows, then test rows
    train: NDArray[np.bool_]  # masks over this log's rows: every row is in exactly one
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]


def random_test(log: Log, folds: int, fold: int, seed: int = 0) -> NDArray[np.bool_]:
    """The rows of one fold, (E,); slates stay whole.

    Args:
        log: whose rows.
        folds: number of them, at least 2.
        fold: which one is for the test, from 0.
        seed: decides which row is in which fold.

    Raises:
        UsageError: if there are more folds than slates, or rows where the log has none.
    """
    request_E = _requests(log)
    number = int(request_E.max()) + 1
    if not 2 <= folds <= number:
        raise UsageError(
            f"folds must be from 2 to {number}, what {log.name} has to part; got {folds}"
        )
    fold_R = np.random.default_rng(seed).permutation(number) % folds
    test_E: NDArray[np.bool_] = fold_R[request_E] == fold
    return test_E


def hold_out(log: Log, test_E: NDArray[np.bool_], seed: int = 0) -> HeldOut:
    """Put the test rows last, and before them a tenth of the others, drawn for validation.

    Rows of validation, and rows of the test, are each one request: a row is predicted from the
    user's rows of earlier parts and from none of its own, so that nothing held out is ever read.
    That is the protocol of published errors on random splits; some of what is read is later in
    time than what is predicted.

    Args:
        log: whose rows.
        test_E: those to predict; some, but not all.
        seed: of the validation rows.

    Raises:
        UsageError: if a part would be empty.
    """
    request_E = _requests(log)
    drawn_R = np.random.default_rng(seed).random(int(request_E.max()) + 1)
    held_E = ~test_E & (drawn_R[request_E] < VALIDATION_SHARE)
    part_E = np.where(test_E, 2, np.where(held_E, 1, 0))
    if any(not (part_E == part).any() for part in range(3)):
        raise UsageError(
            f"too few rows in {log.name} to hold some out at random: {(part_E == 0).sum()} would "
            f"be for training, {held_E.sum()} for validation, {test_E.sum()} for the test"
        )
    user_E = log.events["user"].to_numpy()
    order_E = np.lexsort((part_E, user_E))  # stable: in order of time within a part
    events = log.events.iloc[order_E].reset_index(drop=True)
    part_E = part_E[order_E]
    events[REQUEST] = np.where(part_E > 0, -part_E, request_E[order_E])
    digest = sha256(log.sha256.encode() + np.packbits(test_E).tobytes() + bytes([seed])).hexdigest()
    return HeldOut(
        replace(log, events=events, sha256=digest), *(part_E == part for part in range(3))
    )


def _requests(log: Log) -> NDArray[np.int64]:
    """The slate of each row, (E,) from 0; without slates, the row itself."""
    if "slate_id" not in log.events:
        return np.arange(len(log.events))
    slate_E: NDArray[np.int64] = np.unique(log.events["slate_id"], return_inverse=True)[1]
    return slate_E.astype(np.int64)
