"""The second opinion: a factor model with biases and genres, another family than the BERT.

A user is what they liked and disliked so far: the sum of the factors of those items over the root
of their number, and their mean liking of each genre. No attention, no text, no order, no clock.
Everything in it is a running sum, so a session moves it in a few additions.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from slategym.envs.types import Arrival, Context, Population, map_tensors
from slategym.models.data.log import Log
from slategym.models.files import atomic_path
from slategym.models.multitask.network import Scores

LIKED = 4.0  # stars and more


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

    Tasks T = 3: click and like in log-odds, rating in stars. R factors, G genres.

    Args:
        item_topics_NG: 1 where an item has a genre.
        bias_NT: where the items' biases start.
        mean_rating: stars, where the ratings' offset starts.
        factors: R.

    Source: asymmetric factor model of Paterek 2007; Koren 2008, SVD++ without user factors.
    """

    topics: Tensor  # (N, G)

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
        """What one event adds to the sums, any leading shape x.

        Args:
            id_x: int64 items.
            rating_x: stars, 1 to 5.
        """
        liked_x = (rating_x >= LIKED).float()
        side_x1 = liked_x[..., None]
        return Tally(
            liked=self.past[0][id_x] * side_x1 + self.past[1][id_x] * (1.0 - side_x1),
            genres=self.topics[id_x] * (side_x1 - 0.5 * (1.0 - side_x1)),
            events=torch.ones_like(liked_x),
            likes=liked_x,
        )

    def forward(self, tally: Tally, id_xC: Tensor | None) -> Tensor:
        """Scores (x, C, T) of these items, or of all N where id_xC is None."""
        count_x1 = tally.events.clamp(min=1.0)[..., None]
        past_xR = tally.liked / count_x1.sqrt()
        taste_xG = tally.genres / count_x1
        easy_x1 = ((tally.likes + 3.0) / (tally.events + 5.0) - 0.6)[..., None]
        scores = []
        for task in range(3):
            want_xR, want_xG = past_xR @ self.turn[task], taste_xG @ self.taste[task]
            own_N = self.bias[:, task]
            if id_xC is None:
                match_xC = want_xR @ self.item[task].T + want_xG @ self.topics.T + own_N
            else:
                match_xC = (
                    torch.einsum("...cr,...r->...c", self.item[task][id_xC], want_xR)
                    + torch.einsum("...cg,...g->...c", self.topics[id_xC], want_xG)
                    + own_N[id_xC]
                )
            scores.append(match_xC + self.offset[task] + self.easy[task] * easy_x1)
        return torch.stack(scores, -1)


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


def save_judge(
    model: FactorModel,
    settings: JudgeSettings,
    figures: dict[str, float],
    folder: Path,
    card: str,
) -> None:
    """Write a model folder; the weights come last, as a sign that it is whole.

    Args:
        model: what to save.
        settings: kept beside it.
        figures: its metrics, kept beside it.
        folder: made if absent.
        card: Markdown, for README.md.
    """
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
