"""The second opinion: a factor model with biases and genres, another family than the BERT.

A user is what they liked and disliked so far: the sum of the factors of those items over the root
of their number, and their mean liking of each genre. No attention, no text, no order, no clock.
Everything in it is a running sum, so a session moves it in a few additions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.types import Arrival, Context, Population, map_tensors
from slategym.models.assets import atomic_path
from slategym.models.data.log import Log
from slategym.models.metrics import auc, rmse
from slategym.models.multitask import Scores

LIKED = 4.0  # stars and more
HELD_OUT = 0.1  # share of the people on whom a judge is measured


@dataclass(frozen=True)
class JudgeSettings:
    """All that decides a judge besides its data."""

    factors: int = 32
    epochs: int = 8
    rate: float = 5e-3  # Adam's
    batch: int = 16  # stretches of history
    stretch: int = 60  # events in a stretch
    negatives: int = 4  # sampled items per event
    decay: float = 1e-2  # squared norm of the factors, per batch
    seed: int = 0


@dataclass(frozen=True)
class Tally:
    """Running sums over a user's events."""

    liked: Tensor  # (B, R) sum of the factors of the liked and of the disliked items
    genres: Tensor  # (B, G) sum of liked genres minus half the disliked
    events: Tensor  # (B,)
    likes: Tensor  # (B,)


class FactorModel(nn.Module):
    """Factors of a user's past times factors of an item, plus genres, plus biases.

    Tasks T = 3: click and like in log-odds, rating in stars.

    Source: asymmetric factor model of Paterek 2007; Koren 2008, SVD++ without user factors.
    """

    def __init__(
        self, item_topics_NG: Tensor, bias_NT: Tensor, mean_rating: float, factors: int
    ) -> None:
        """Start at the biases; factors are zero until `shake` or a state dict fills them."""
        super().__init__()
        num_items, num_topics = item_topics_NG.shape
        self.register_buffer("topics", item_topics_NG)
        self.item = nn.Parameter(torch.zeros(3, num_items, factors))
        self.past = nn.Parameter(torch.zeros(2, num_items, factors))  # as liked, as disliked
        self.turn = nn.Parameter(torch.eye(factors).repeat(3, 1, 1))
        self.taste = nn.Parameter(0.5 * torch.eye(num_topics).repeat(3, 1, 1))
        self.bias = nn.Parameter(bias_NT)
        self.offset = nn.Parameter(torch.tensor([-1.0, 0.0, mean_rating]))
        self.easy = nn.Parameter(torch.tensor([0.0, 3.0, 1.0]))  # effect of liking often

    def shake(self, generator: torch.Generator) -> None:
        """Small random factors: at exactly zero, both sides of a product would stay there."""
        with torch.no_grad():
            for factors in (self.item, self.past):
                factors.copy_(0.05 * torch.randn(factors.shape, generator=generator))

    def gain(self, id_x: Tensor, rating_x: Tensor) -> Tally:
        """What one event adds to the sums, any leading shape."""
        liked_x = (rating_x >= LIKED).float()
        side_x1 = liked_x[..., None]
        factors = self.past[0][id_x] * side_x1 + self.past[1][id_x] * (1.0 - side_x1)
        return Tally(
            liked=factors,
            genres=self.topics[id_x] * (side_x1 - 0.5 * (1.0 - side_x1)),
            events=torch.ones_like(liked_x),
            likes=liked_x,
        )

    def forward(self, tally: Tally, id_xC: Tensor | None) -> Tensor:
        """Scores (x, C, T) of these items, or of all N."""
        count_x1 = tally.events.clamp(min=1.0)[..., None]
        past_xR = tally.liked / count_x1.sqrt()
        taste_xG = tally.genres / count_x1
        easy_x1 = ((tally.likes + 3.0) / (tally.events + 5.0) - 0.6)[..., None]
        tasks = []
        for task in range(3):
            want_xR, want_xG = past_xR @ self.turn[task], taste_xG @ self.taste[task]
            own = self.bias[:, task]
            if id_xC is None:
                match = want_xR @ self.item[task].T + want_xG @ self.topics.T + own
            else:
                match = (
                    torch.einsum("...cr,...r->...c", self.item[task][id_xC], want_xR)
                    + torch.einsum("...cg,...g->...c", self.topics[id_xC], want_xG)
                    + own[id_xC]
                )
            tasks.append(match + self.offset[task] + self.easy[task] * easy_x1)
        return torch.stack(tasks, -1)


@dataclass(frozen=True)
class JudgeTaste:
    """A fitted factor model as a `Taste`."""

    model: FactorModel

    def initial(self, arrival: Arrival) -> Tally:
        """Sums over the histories with which users arrive."""
        if arrival.history is None or arrival.feedback is None:
            raise ValueError("learned users need a population with a history; this one has none")
        used_BH = (arrival.history >= 0).float()
        with torch.no_grad():
            gain = self.model.gain(arrival.history.clamp(min=0).long(), arrival.feedback[..., 2])
        return map_tensors(
            lambda x: (x * used_BH.view(*used_BH.shape, *[1] * (x.dim() - 2))).sum(1), gain
        )

    def prepared(self, population: Population) -> JudgeTaste:
        """Itself: sums over ten events are as quick as a look-up."""
        return self

    def after(
        self, state: Tally, item_B: Tensor, rating_B: Tensor, took_B: Tensor, context: Context
    ) -> Tally:
        """Add one event where there is one."""
        with torch.no_grad():
            gain = self.model.gain(item_B, rating_B)
        return map_tensors(
            lambda old, new: old + new * took_B.view(-1, *[1] * (new.dim() - 1)), state, gain
        )

    def score(self, state: Tally, id_BC: Tensor | None, context: Context) -> Scores:
        """Click and like in log-odds, rating in stars."""
        with torch.no_grad():
            scores = self.model(state, None if id_BC is None else id_BC.long())
        return Scores(*scores.unbind(-1))


def train_judge(
    log: Log, people: np.ndarray, settings: JudgeSettings
) -> tuple[FactorModel, dict[str, float]]:
    """Fit on every event of these people but a held-out tenth of them, on whom it is measured.

    Every stretch of a person's history is read from its start; each of its events is predicted
    from the sums over those before it: click against sampled items, like and stars given a click.

    Returns:
        The model, and its metrics on the held-out people: click_auc against uniform negatives,
        like_auc, rating_rmse, from a person's running history.
    """
    rng = np.random.default_rng(settings.seed)
    held = rng.permutation(people)[: max(1, round(len(people) * HELD_OUT))]
    events = log.events[np.isin(log.events["user"], np.setdiff1d(people, held))]
    bias, mean_rating = _biases(events, len(log.items))
    model = FactorModel(
        torch.as_tensor(log.item_topics), torch.as_tensor(bias), mean_rating, settings.factors
    )
    model.shake(torch.Generator().manual_seed(settings.seed))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for _ in range(settings.epochs):
        for batch in _batches(events, log, settings, rng):
            loss, _ = _read(model, batch)
            loss = loss + settings.decay * (model.item.square().mean() + model.past.square().mean())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval(), _measure(model, log, held, settings)


def save_judge(
    model: FactorModel,
    settings: JudgeSettings,
    figures: dict[str, float],
    folder: Path,
    card: str,
) -> None:
    """Write a model folder: settings and metrics, card; the weights last, as a sign of wholeness."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "config.json") as path:
        path.write_text(json.dumps({"settings": asdict(settings), "metrics": figures}, indent=2))
    with atomic_path(folder / "README.md") as path:
        path.write_text(card)
    with atomic_path(folder / "model.safetensors") as path:
        save_file({name: x.contiguous() for name, x in model.state_dict().items()}, path)


def judge_card(log: Log, metrics: dict[str, float]) -> str:
    """A model card, Markdown."""
    figures = "\n".join(f"- {name}: {value:.4f}" for name, value in metrics.items())
    return (
        f"# Judge: factor model with biases and genres\n\nFitted on people of {log.name} "
        f"(sha256 {log.sha256[:12]}) who belong to nobody else's model. No text, no attention, no "
        f"order.\n\nOn held-out people of its own group, from running history, 4 uniform "
        f"negatives per click:\n\n{figures}\n\nWeights derived from MovieLens are for research "
        "use, as the data are.\n"
    )


def load_judge(folder: Path) -> FactorModel:
    """Read what `save_judge` wrote."""
    weights = load_file(folder / "model.safetensors")
    model = FactorModel(weights["topics"], weights["bias"], 0.0, weights["item"].shape[2])
    model.load_state_dict(weights)
    return model.eval()


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
    item, user = events["item"].to_numpy(np.int64), events["user"].to_numpy()
    rating = events["rating"].to_numpy(np.float32)
    eaten = np.zeros((len(log.users), len(log.items)), dtype=bool)
    eaten[user, item] = True
    begin, end = _stretches(user, settings.stretch, rng)
    order = rng.permutation(len(begin))
    for at in range(0, len(order), settings.batch):
        chosen = order[at : at + settings.batch]
        row_BH = begin[chosen][:, None] + np.arange((end - begin)[chosen].max())
        used_BH = row_BH < end[chosen][:, None]
        row_BH = np.where(used_BH, row_BH, begin[chosen][:, None])
        others = rng.integers(0, len(log.items), (*row_BH.shape, settings.negatives))
        fair = ~eaten[user[row_BH][..., None], others]
        columns = (item[row_BH], rating[row_BH], used_BH, others, fair)
        yield _Batch(*(torch.as_tensor(x) for x in columns))


def _read(model: FactorModel, batch: _Batch) -> tuple[Tensor, Tensor]:
    """Loss, and scores (B, H, 1 + C, T) of each event's item and of the sampled ones.

    Click and like cross-entropy plus half the squared error of the stars, means over events.
    """
    gain = model.gain(batch.item, batch.rating)
    before = map_tensors(lambda x: x.cumsum(1) - x, gain)
    scores = model(before, torch.cat([batch.item[..., None], batch.others], -1))
    mine, used = scores[..., 0, :], batch.used.float()
    fair = batch.fair * used[..., None]
    click = (F.softplus(-mine[..., 0]) * used).sum() + (F.softplus(scores[..., 1:, 0]) * fair).sum()
    like = F.binary_cross_entropy_with_logits(
        mine[..., 1], (batch.rating >= LIKED).float(), reduction="none"
    )
    stars = 0.5 * (mine[..., 2] - batch.rating).square()
    loss = click / (used.sum() + fair.sum()) + ((like + stars) * used).sum() / used.sum()
    return loss, scores


@torch.no_grad()
def _measure(
    model: FactorModel, log: Log, people: np.ndarray, settings: JudgeSettings
) -> dict[str, float]:
    """Metrics on these people."""
    events = log.events[np.isin(log.events["user"], people)]
    positive, negative, like, stars, rating = [], [], [], [], []
    for batch in _batches(events, log, settings, np.random.default_rng(settings.seed + 1)):
        _, scores = _read(model, batch)
        used = batch.used
        positive.append(scores[..., 0, 0][used])
        negative.append(scores[..., 1:, 0][used[..., None] & batch.fair])
        like.append(scores[..., 0, 1][used])
        stars.append(scores[..., 0, 2][used].clamp(1, 5))
        rating.append(batch.rating[used])
    taken, passed, liked, guess, truth = (
        torch.cat(x).numpy() for x in (positive, negative, like, stars, rating)
    )
    label = np.r_[np.ones(len(taken)), np.zeros(len(passed))]
    return {
        "click_auc": auc(label, np.r_[taken, passed]),
        "like_auc": auc((truth >= LIKED).astype(float), liked),
        "rating_rmse": rmse(truth, guess),
    }


def _biases(events: pd.DataFrame, num_items: int) -> tuple[np.ndarray, float]:
    """Where the item biases start (N, 3): popularity and smoothed liking in log-odds, stars."""
    item, rating = events["item"].to_numpy(), events["rating"].to_numpy(np.float64)
    count = np.bincount(item, minlength=num_items)
    mean = float(rating.mean())
    likes = np.bincount(item, rating >= LIKED, minlength=num_items)
    share = (likes + 10.0 * (rating >= LIKED).mean()) / (count + 10.0)
    popular = np.log((count + 0.5) / (count.sum() + 0.5 * num_items) * num_items)
    stars = np.bincount(item, rating - mean, minlength=num_items) / (count + 10.0)
    return np.stack([popular, np.log(share / (1 - share)), stars], 1).astype(np.float32), mean


def _stretches(
    user: np.ndarray, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut everybody's rows into stretches, the first cut at random: rows [begin, end)."""
    first = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    size = np.diff(np.r_[first, len(user)])
    shift = rng.integers(1, longest + 1, len(first))  # length of everybody's first stretch
    place = np.arange(len(user)) - np.repeat(first, size) - np.repeat(shift, size)
    begin = np.flatnonzero((place % longest == 0) | np.isin(np.arange(len(user)), first))
    return begin, np.r_[begin[1:], len(user)]
