"""The second opinion: a factor model with biases and topics, another family than the BERT.

A user is what they liked and disliked so far: the sum of the factors of those items over the root
of their number, and their mean liking of each genre. No attention, no text, no order, no clock.
Everything in it is a running sum, so a session moves it in a few additions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from slategym.envs.types import Arrival, Context, Population, map_tensors
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.files import atomic_path
from slategym.models.tasks import Task, from_json, to_json
from slategym.models.taste import Outputs
from slategym.models.terms import terms

FORMAT = 2  # of the folder that `save_judge` writes
CLICK_START = -1.0  # log-odds, where the clicks' offset starts
UNKNOWN_LIKING = 0.5  # of a click whose liking was not observed: half liked, half not


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
    events: Tensor  # (B,) clicks
    judged: Tensor  # (B,) those of them whose liking was observed
    likes: Tensor  # (B,)


class FactorModel(nn.Module):
    """Factors of a user's past times factors of an item, plus genres, plus biases.

    T tasks as `models/tasks` has them, click first. R factors, G genres. An event was liked if the
    first binary signal after the click says so; where a log has none, every click is a liking.

    Args:
        tasks: of the log's signals.
        item_topics_NG: 1 where an item has a genre.
        bias_NT: where the items' biases start.
        offset_T: where the tasks' offsets start.
        factors: R.

    Source: asymmetric factor model of Paterek 2007; Koren 2008, SVD++ without user factors.
    """

    topics: Tensor  # (N, G)

    def __init__(
        self,
        tasks: tuple[Task, ...],
        item_topics_NG: Tensor,
        bias_NT: Tensor,
        offset_T: Sequence[float],
        factors: int,
    ) -> None:
        """Start at the biases; factors are zero until `init_factors` or a state dict fills them."""
        super().__init__()
        num_items, num_topics = item_topics_NG.shape
        T = len(tasks)
        self.tasks = tasks
        self.liking = next((t for t in range(1, T) if tasks[t].calibrated), None)
        ease = [0.0, *(task.usual_ease for task in tasks[1:])]
        self.register_buffer("topics", item_topics_NG)
        self.item = nn.Parameter(torch.zeros(T, num_items, factors))
        self.past = nn.Parameter(torch.zeros(2, num_items, factors))  # as liked, as disliked
        self.turn = nn.Parameter(torch.eye(factors).repeat(T, 1, 1))
        self.taste = nn.Parameter(0.5 * torch.eye(num_topics).repeat(T, 1, 1))
        self.bias = nn.Parameter(bias_NT)
        self.offset = nn.Parameter(torch.tensor(list(offset_T)))
        self.easy = nn.Parameter(torch.tensor(ease))  # effect of liking often

    def init_factors(self, generator: torch.Generator) -> None:
        """Small random factors: at exactly zero, both sides of a product would stay there."""
        with torch.no_grad():
            for factors in (self.item, self.past):
                factors.copy_(0.05 * torch.randn(factors.shape, generator=generator))

    def gain(self, id_x: Tensor, feedback_xM: Tensor) -> Tally:
        """What one click adds to the sums, any leading shape x.

        Args:
            id_x: int64 items.
            feedback_xM: every signal, NaN where it was not observed; further columns are not read.
        """
        liked_x = torch.ones_like(feedback_xM[..., 0])
        known_x = liked_x
        if self.liking is not None:
            value_x = feedback_xM[..., self.liking]
            known_x = (~value_x.isnan()).float()
            liked_x = value_x.nan_to_num(UNKNOWN_LIKING)
        side_x1 = liked_x[..., None]
        return Tally(
            liked=self.past[0][id_x] * side_x1 + self.past[1][id_x] * (1.0 - side_x1),
            genres=self.topics[id_x] * (side_x1 - 0.5 * (1.0 - side_x1)),
            events=torch.ones_like(liked_x),
            judged=known_x,
            likes=liked_x * known_x,
        )

    def forward(self, tally: Tally, id_xC: Tensor | None) -> Tensor:
        """Outputs (x, C, T) for these items, or for all N where id_xC is None."""
        count_x1 = tally.events.clamp(min=1.0)[..., None]
        past_xR = tally.liked / count_x1.sqrt()
        taste_xG = tally.genres / count_x1
        easy_x1 = ((tally.likes + 3.0) / (tally.judged + 5.0) - 0.6)[..., None]
        scores = []
        for task in range(len(self.tasks)):
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

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Of the model's signals, click first."""
        return self.model.tasks

    def initial(self, arrival: Arrival) -> Tally:
        """Sums over the histories with which users arrive."""
        if arrival.history is None or arrival.feedback is None:
            raise ValueError("learned users need a population with a history; this one has none")
        used_BH = ((arrival.history >= 0) & (arrival.feedback[..., 0] > 0)).float()
        with torch.no_grad():
            gain = self.model.gain(arrival.history.clamp(min=0).long(), arrival.feedback)
        return map_tensors(
            lambda x: (x * used_BH.view(*used_BH.shape, *[1] * (x.dim() - 2))).sum(1), gain
        )

    def prepared(self, population: Population) -> JudgeTaste:
        """Itself: sums over ten events are as quick as a look-up."""
        return self

    def after(
        self, state: Tally, item_B: Tensor, feedback_BM: Tensor, took_B: Tensor, context: Context
    ) -> Tally:
        """Add one event where there is one."""
        with torch.no_grad():
            gain = self.model.gain(item_B, feedback_BM)
        return map_tensors(
            lambda old, new: old + new * took_B.view(-1, *[1] * (new.dim() - 1)), state, gain
        )

    def score(self, state: Tally, id_BC: Tensor | None, context: Context) -> Outputs:
        """Every task's output; see `Taste`."""
        with torch.no_grad():
            outputs: Tensor = self.model(state, None if id_BC is None else id_BC.long())
        return outputs.unbind(-1)


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
    config = {
        "format": FORMAT,
        "tasks": to_json(model.tasks),
        "settings": asdict(settings),
        "metrics": figures,
    }
    with atomic_path(folder / "config.json") as path:
        path.write_text(json.dumps(config, indent=2))
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
        f"order.\n\nOn held-out people of its own group, from running history, {against(log)}:"
        f"\n\n{figures}\n\n{terms(log.name)}\n"
    )


def against(log: Log) -> str:
    """What clicks are held against when models of a log are measured."""
    if has_slates(log):
        return "clicks among what was shown"
    refused = " and the rows without a click" if (log.events["click"] == 0).any() else ""
    return f"4 uniform negatives per click{refused}"


def load_judge(folder: Path) -> FactorModel:
    """Read what `save_judge` wrote.

    Raises:
        ValueError: if another version wrote it.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("format") != FORMAT:
        raise ValueError(
            f"{folder} holds a judge of format {config.get('format', 1)}, this reads {FORMAT}; "
            "fit it again"
        )
    weights = load_file(folder / "model.safetensors")
    tasks = from_json(config["tasks"])
    model = FactorModel(
        tasks, weights["topics"], weights["bias"], [0.0] * len(tasks), weights["item"].shape[2]
    )
    model.load_state_dict(weights)
    return model.eval()
