"""Fitting the judge, and measuring it on people that it has not met.

Axis letters beyond the legend of `envs/types.py`: E rows of the log, S stretches of history, x real
positions of a batch in row-major order; T = 3 tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.types import map_tensors
from slategym.models.data.log import Log
from slategym.models.judge.factor import LIKED, FactorModel, JudgeSettings
from slategym.models.metrics import auc, rmse

HELD_OUT = 0.1  # share of the people on whom a judge is measured
PRIOR = 10.0  # pseudo-ratings that pull an item's liking and stars to the mean


def train_judge(
    log: Log, people: np.ndarray, settings: JudgeSettings
) -> tuple[FactorModel, dict[str, float]]:
    """Fit on every event of these people but a held-out tenth of them, on whom it is measured.

    Every stretch of a person's history is read from its start; each of its events is predicted
    from the sums over those before it: click against sampled items, like and stars given a click.

    Args:
        log: with ratings.
        people: user ids; nobody else's events are read.
        settings: how.

    Returns:
        The model, and its metrics on the held-out people: click_auc against uniform negatives,
        like_auc, rating_rmse (stars), from a person's running history.
    """
    rng = np.random.default_rng(settings.seed)
    held = rng.permutation(people)[: max(1, round(len(people) * HELD_OUT))]
    events = log.events[np.isin(log.events["user"], np.setdiff1d(people, held))]
    bias_NT, mean_rating = _biases(events, log.num_items)
    model = FactorModel(
        torch.as_tensor(log.item_topics), torch.as_tensor(bias_NT), mean_rating, settings.factors
    )
    model.shake(torch.Generator().manual_seed(settings.seed))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for _ in range(settings.epochs):
        for batch in _batches(events, log, settings, rng):
            loss, _ = _read(model, batch)
            loss = loss + settings.decay * (model.item.square().mean() + model.past.square().mean())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model.eval(), _measure(model, log, held, settings)


@dataclass(frozen=True)
class _Batch:
    """Stretches of history side by side."""

    item: Tensor  # (B, H) int64
    rating: Tensor  # (B, H) stars
    used: Tensor  # (B, H) bool
    others: Tensor  # (B, H, C) int64, sampled items
    fair: Tensor  # (B, H, C) bool, not consumed by this person


def _batches(
    events: pd.DataFrame, log: Log, settings: JudgeSettings, rng: np.random.Generator
) -> Iterator[_Batch]:
    """Every event once, in random stretches."""
    item_E, user_E = events["item"].to_numpy(np.int64), events["user"].to_numpy()
    rating_E = events["rating"].to_numpy(np.float32)
    consumed_UN = np.zeros((log.num_users, log.num_items), dtype=bool)
    consumed_UN[user_E, item_E] = True
    begin_S, end_S = stretches(user_E, settings.stretch, rng)
    order_S = rng.permutation(len(begin_S))
    for at in range(0, len(order_S), settings.batch):
        chosen_B = order_S[at : at + settings.batch]
        begin_B1, end_B1 = begin_S[chosen_B][:, None], end_S[chosen_B][:, None]
        row_BH = begin_B1 + np.arange((end_B1 - begin_B1).max())
        used_BH = row_BH < end_B1
        row_BH = np.where(used_BH, row_BH, begin_B1)
        others_BHC = rng.integers(0, log.num_items, (*row_BH.shape, settings.negatives))
        fair_BHC = ~consumed_UN[user_E[row_BH][..., None], others_BHC]
        columns = (item_E[row_BH], rating_E[row_BH], used_BH, others_BHC, fair_BHC)
        yield _Batch(*(torch.as_tensor(x) for x in columns))


def _read(model: FactorModel, batch: _Batch) -> tuple[Tensor, Tensor]:
    """Loss, and scores (B, H, 1 + C, T) of each event's item and of the sampled ones.

    Click and like cross-entropy plus half the squared error of the stars, means over events.
    """
    gain = model.gain(batch.item, batch.rating)
    before = map_tensors(lambda x_BH: x_BH.cumsum(1) - x_BH, gain)
    scores = model(before, torch.cat([batch.item[..., None], batch.others], -1))
    own_BHT, others_BHC = scores[..., 0, :], scores[..., 1:, 0]
    used_BH = batch.used.float()
    fair_BHC = batch.fair * used_BH[..., None]
    taken, passed = F.softplus(-own_BHT[..., 0]) * used_BH, F.softplus(others_BHC) * fair_BHC
    like_BH = F.binary_cross_entropy_with_logits(
        own_BHT[..., 1], (batch.rating >= LIKED).float(), reduction="none"
    )
    stars_BH = 0.5 * (own_BHT[..., 2] - batch.rating).square()
    click = (taken.sum() + passed.sum()) / (used_BH.sum() + fair_BHC.sum())
    return click + ((like_BH + stars_BH) * used_BH).sum() / used_BH.sum(), scores


@torch.no_grad()
def _measure(
    model: FactorModel, log: Log, people: np.ndarray, settings: JudgeSettings
) -> dict[str, float]:
    """Metrics on these people."""
    events = log.events[np.isin(log.events["user"], people)]
    parts: list[tuple[np.ndarray, ...]] = []
    for batch in _batches(events, log, settings, np.random.default_rng(settings.seed + 1)):
        _, scores = _read(model, batch)
        used_BH = batch.used
        passed_BHC = used_BH[..., None] & batch.fair
        real = (scores[..., 0, :][used_BH], scores[..., 1:, 0][passed_BHC], batch.rating[used_BH])
        parts.append(tuple(x.numpy() for x in real))
    own_xT, passed_x, rating_x = (np.concatenate(x) for x in zip(*parts, strict=True))
    clicked_x = np.r_[np.ones(len(own_xT)), np.zeros(len(passed_x))]
    return {
        "click_auc": auc(clicked_x, np.r_[own_xT[:, 0], passed_x]),
        "like_auc": auc((rating_x >= LIKED).astype(float), own_xT[:, 1]),
        "rating_rmse": rmse(rating_x, own_xT[:, 2].clip(1, 5)),
    }


def _biases(events: pd.DataFrame, num_items: int) -> tuple[np.ndarray, float]:
    """Where the item biases start (N, 3): popularity and smoothed liking in log-odds, stars."""
    item_E, rating_E = events["item"].to_numpy(), events["rating"].to_numpy(np.float64)
    liked_E = rating_E >= LIKED
    mean = float(rating_E.mean())
    count_N = np.bincount(item_E, minlength=num_items)
    likes_N = np.bincount(item_E, liked_E, minlength=num_items)
    share_N = (likes_N + PRIOR * liked_E.mean()) / (count_N + PRIOR)
    popular_N = np.log((count_N + 0.5) / (count_N.sum() + 0.5 * num_items) * num_items)
    stars_N = np.bincount(item_E, rating_E - mean, minlength=num_items) / (count_N + PRIOR)
    like_N = np.log(share_N / (1 - share_N))
    return np.stack([popular_N, like_N, stars_N], 1).astype(np.float32), mean


def stretches(
    user_E: np.ndarray, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut everybody's rows into stretches, the first cut at random.

    Args:
        user_E: sorted.
        longest: rows in a stretch, at most.
        rng: decides everybody's first cut.

    Returns:
        begin_S, end_S: rows [begin, end) of each stretch, in order, together all rows.
    """
    first_U = np.flatnonzero(np.r_[True, user_E[1:] != user_E[:-1]])
    size_U = np.diff(np.r_[first_U, len(user_E)])
    shift_U = rng.integers(1, longest + 1, len(first_U))  # length of everybody's first stretch
    row_E = np.arange(len(user_E))
    place_E = row_E - np.repeat(first_U + shift_U, size_U)
    begin_S = np.flatnonzero((place_E % longest == 0) | np.isin(row_E, first_U))
    return begin_S, np.r_[begin_S[1:], len(user_E)]
