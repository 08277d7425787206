"""Items that nobody has met, read without training: python benchmarks/cold_classics.py LOG.

The rows of `slategym evaluate-model LOG --cold-items`, read the same way: a user's clicks so far
speak for cold items that are like them (the mean cosine over a fading history), and items like
those that many took up are popular (a ridge regression of the logarithm of clicks). Likeness is of
attributes (topics and categories) or of vectors of the texts. How much either counts, the fade and
the ridge are chosen on validation rows, which are of other items. Prints a line each seed and kind,
then means; then the same settings with popularity alone, and with likeness alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slategym.models import metrics
from slategym.models.classics.replay import rank
from slategym.models.classics.search import climb
from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.fading import Fading
from slategym.models.data.datasets import load_log
from slategym.models.multitask.item_extras import attributes
from slategym.models.quality.cold import Cold, cold_log
from slategym.models.text.vectors import item_text_vectors

TOP = 10
ROWS = 4_000  # validation rows, at most
LADDERS = {
    "alike": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),  # of the mean cosine, popularity's being 1
    "fade": (0.8, 0.9, 0.95, 0.98, 1.0),
    "ridge": (1.0, 10.0, 100.0, 1_000.0),
}
START = {"alike": 10.0, "fade": 0.95, "ridge": 10.0}


@dataclass(frozen=True)
class Alike:
    """Popularity as an item's own traits tell it, and likeness to what was taken up."""

    likeness: Fading
    popular_N: Tensor
    weight: float  # of the mean likeness
    name: str = "alike"

    def initial(self, history_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of likeness and of weights."""
        sum_BN = self.likeness.initial(history_BH)
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1
        return sum_BN, torch.where(used_BH, self.likeness.fade**later_BH, 0.0).sum(1)

    def after(
        self, state: tuple[Tensor, Tensor], item_B: Tensor, took_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both, one click on."""
        sum_BN, total_B = state
        kept_B = torch.where(took_B, self.likeness.fade, 1.0)
        return self.likeness.after(sum_BN, item_B, took_B), total_B * kept_B + took_B

    def score(self, state: tuple[Tensor, Tensor]) -> Tensor:
        """Of all items, (B, N)."""
        sum_BN, total_B = state
        return self.popular_N + self.weight * sum_BN / total_B.clamp(min=1e-6)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    texts = item_text_vectors(log.items["text"].tolist(), progress=False).numpy()
    kinds = {"attributes": attributes(log), "texts": texts.astype(np.float64)}
    for kind, trait_ND in kinds.items():
        found = []
        for seed in asked.seeds:
            settings, figures = read(cold_log(log, seed), trait_ND)
            found.append(figures)
            print(f"{kind}, seed {seed}: {_said(figures)} {settings}", flush=True)
        mean = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        print(f"{kind}, mean: {_said(mean)}")


def read(cold: Cold, trait_ND: Floats) -> tuple[dict[str, float], dict[str, float]]:
    """Settings and figures of one draw of items.

    Args:
        cold: the log without the rows of cold items before the test.
        trait_ND: what is known of each item.
    """
    events, repeats = Events.from_log(cold.log), cold.log.repeats
    held_x = np.flatnonzero(cold.held_E & events.took_E)
    held_x = held_x[np.linspace(0, len(held_x) - 1, min(ROWS, len(held_x))).astype(np.int64)]
    met_N = np.bincount(
        events.item_E[cold.train_E & events.took_E], minlength=events.num_items
    ).astype(np.float64)
    like_NN = _likeness(trait_ND)
    warm_N = np.ones(events.num_items, bool)
    warm_N[cold.item_C] = False

    def model(s: Mapping[str, float]) -> Alike:
        popular_N = _popularity(trait_ND, met_N, warm_N, s["ridge"])
        return Alike(Fading("likeness", like_NN, s["fade"]), popular_N, s["alike"])

    def loss(s: Mapping[str, float]) -> float:
        return -metrics.ndcg(rank(model(s), events, held_x, repeats=repeats).rank_x, TOP)

    settings, _ = climb(LADDERS, START, loss)
    chosen = model(settings)
    parts = {
        "": chosen,
        "popularity alone, ": replace(chosen, weight=0.0),
        "likeness alone, ": replace(chosen, popular_N=torch.zeros_like(chosen.popular_N)),
    }
    return settings, {
        f"{part}{name}": figure
        for part, one in parts.items()
        for name, figure in _figures(one, cold, events).items()
    }


def _figures(model: Alike, cold: Cold, events: Events) -> dict[str, float]:
    """As `cold_figures` has them of the network."""
    repeats = cold.log.repeats
    row_x = cold.row_x[events.took_E[cold.row_x]]
    own_x = np.searchsorted(cold.item_C, events.item_E[row_x])
    every_xC = np.broadcast_to(cold.item_C, (len(row_x), len(cold.item_C)))
    score_xC = rank(model, events, row_x, every_xC, repeats=repeats).others_xC
    barred_xC = _met(events, repeats)[events.user_E[row_x]][:, cold.item_C]
    barred_xC[np.arange(len(row_x)), own_x] = True
    own_x1 = score_xC[np.arange(len(row_x)), own_x][:, None]
    above_x = ((score_xC > own_x1) & ~barred_xC).sum(1)
    tied_x = ((score_xC == own_x1) & ~barred_xC).sum(1)
    asked_x = np.maximum((~barred_xC).sum(1), 1)
    return {
        "click_auc": float((1 - (above_x + tied_x / 2) / asked_x).mean()),
        "hr10": float(((TOP - above_x) / (tied_x + 1)).clip(0, 1).mean()),
    }


def _likeness(trait_ND: Floats) -> Tensor:
    """Cosines of items about their mean, the diagonal 0."""
    about_ND = torch.as_tensor(trait_ND - trait_ND.mean(0), dtype=torch.float32)
    unit_ND = functional.normalize(about_ND, dim=1)
    return (unit_ND @ unit_ND.T).fill_diagonal_(0.0)


def _popularity(trait_ND: Floats, met_N: Floats, warm_N: Bools, ridge: float) -> Tensor:
    """The logarithm of clicks as warm items with such traits have it, (N,)."""
    about_ND = trait_ND - trait_ND[warm_N].mean(0)
    log_N = np.log1p(met_N)
    left_DD = about_ND[warm_N].T @ about_ND[warm_N] + ridge * np.eye(trait_ND.shape[1])
    right_D = about_ND[warm_N].T @ (log_N[warm_N] - log_N[warm_N].mean())
    return torch.as_tensor(about_ND @ np.linalg.solve(left_DD, right_D), dtype=torch.float32)


def _met(events: Events, repeats: bool) -> Bools:
    """Whom each user meets at any time by a click, (U, N); nobody where items may come again."""
    if repeats:
        return np.zeros((events.num_users, events.num_items), bool)
    met_UN: Bools = events.met(np.ones(events.num_rows, bool)).toarray() > 0
    return met_UN


def _said(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


if __name__ == "__main__":
    main()
