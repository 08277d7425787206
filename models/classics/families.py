"""The next-item scorers by name: what can be set, from where to begin, and how each is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from slategym.envs.names import lookup
from slategym.models import metrics
from slategym.models.classics.ials import fit_ials
from slategym.models.classics.replay import rank
from slategym.models.classics.search import Settings, climb
from slategym.models.classics.sequential import (
    Asymmetric,
    Encoded,
    FadingFactors,
    SASRec,
    Training,
    make_network,
    train_next,
)
from slategym.models.classics.types import Ints, NextItem
from slategym.models.closed_form.events import Bools, Events
from slategym.models.closed_form.fading import Fading, FadingPair, Popular
from slategym.models.closed_form.item_to_item import (
    cosine_neighbours,
    ease,
    together,
    transition_counts,
    transitions,
)

V = TypeVar("V")

TOP = 10  # places of the NDCG by which settings are chosen
ASYMMETRIC, SASREC = Training(rate=1e-2), Training(rate=1e-3)
TABLES = 3  # item-to-item tables that are kept while settings are tried, those used last


class Rows:
    """A log's rows to fit on, and the item-to-item tables made of them last."""

    def __init__(self, events: Events, keep_E: Bools) -> None:
        """Nothing is fitted yet.

        Args:
            events: the log.
            keep_E: rows to fit on.
        """
        self.events, self.keep_E = events, keep_E
        self.met_UN = events.met(keep_E)
        self.popular_N = np.bincount(
            events.item_E[keep_E & events.took_E], minlength=events.num_items
        ).astype(np.float64)
        self._tables: dict[tuple[Any, ...], Any] = {}

    def table(self, name: str, settings: Sequence[float], make: Callable[[], Any]) -> Any:
        """What `make` gives under this name and these settings, kept for a while."""
        key = (name, *settings)
        found = self._tables.pop(key) if key in self._tables else make()
        while len(self._tables) >= TABLES:
            del self._tables[next(iter(self._tables))]
        self._tables[key] = found  # last: what was not asked for the longest goes first
        return found


@dataclass(frozen=True)
class Family:
    """One kind of scorer."""

    one_line: str
    ladders: Mapping[str, tuple[float, ...]]  # values of each setting to choose from, in order
    start: Settings
    fit: Callable[[Rows, Settings], NextItem[Any]]
    parts: tuple[str, ...] = ()  # families whose chosen settings it takes over, under "name."
    # Finds settings in one training, from rows to fit on and rows to stop by, instead of ladders.
    search: Callable[[Rows, Ints], dict[str, float]] | None = None


def _popularity(rows: Rows, settings: Settings) -> Popular:
    return Popular(torch.as_tensor(rows.popular_N, dtype=torch.float32))


def _knn(rows: Rows, s: Settings) -> Fading:
    def counted() -> Any:
        return together(rows.met_UN)

    def make() -> Tensor:
        most, both_NN = int(s["neighbours"]), rows.table("both", [], counted)
        return cosine_neighbours(
            rows.met_UN, most=most, shrink=s["shrink"], power=s["power"], both_NN=both_NN
        )

    key = [s["neighbours"], s["shrink"], s["power"]]
    return Fading("item-kNN", rows.table("knn", key, make), s["fade"])


def _ease(rows: Rows, s: Settings) -> Fading:
    weight_NN = rows.table("ease", [s["ridge"]], lambda: ease(rows.met_UN, s["ridge"]))
    return Fading("EASE", weight_NN, s["fade"])


def _transitions(rows: Rows, s: Settings) -> Fading:
    def counted() -> Any:
        window, decay = int(s["window"]), s["decay"]
        return transition_counts(rows.events, rows.keep_E, window=window, decay=decay)

    def make() -> Tensor:
        count_NN = rows.table("counts", [s["window"], s["decay"]], counted)
        return transitions(count_NN, rows.popular_N, power=s["power"], prior=s["prior"])

    key = [s["window"], s["decay"], s["power"], s["prior"]]
    return Fading("transitions", rows.table("transitions", key, make), s["fade"])


def _ials(rows: Rows, s: Settings) -> NextItem[Any]:
    def make() -> Any:
        width = int(s["width"])
        return fit_ials(rows.met_UN, width=width, ridge=s["ridge"], unseen=s["unseen"])

    fitted = rows.table("ials", [s["width"], s["ridge"], s["unseen"]], make)
    return fitted.fading(s["fade"])  # type: ignore[no-any-return]


def _pair(rows: Rows, s: Settings) -> FadingPair:
    def own(part: str) -> dict[str, float]:
        return {k.removeprefix(f"{part}."): v for k, v in s.items() if k.startswith(f"{part}.")}

    linear, logged = _ease(rows, own("ease")), _transitions(rows, own("transitions"))
    return FadingPair("EASE + log transitions", linear, logged, s["weight"], s["floor"])


def _trained(
    kind: type[Asymmetric] | type[SASRec], training: Training, few: int
) -> tuple[Callable[[Rows, Settings], NextItem[Any]], Callable[[Rows, Ints], dict[str, float]]]:
    """How such a network is fitted for given epochs, and how their number is found.

    Args:
        kind: of network.
        training: how.
        few: epochs where no row tells when to stop.
    """

    def train(rows: Rows, epochs: int | None, validation_x: Ints | None) -> tuple[Any, int]:
        network = make_network(kind, rows.events.num_items, training)
        held_E = None
        if validation_x is not None:
            held_E = np.zeros(rows.events.num_rows, bool)
            held_E[validation_x] = True
        wanted = training if epochs is None else replace(training, epochs=epochs)
        return network, train_next(network, rows.events, rows.keep_E, held_E, wanted)

    def fit(rows: Rows, s: Settings) -> NextItem[Any]:
        epochs = int(s["epochs"])
        network = rows.table(kind.__name__, [epochs], lambda: train(rows, epochs, None)[0])
        return FadingFactors.of(network) if isinstance(network, Asymmetric) else Encoded(network)

    def search(rows: Rows, validation_x: Ints) -> dict[str, float]:
        network, epochs = train(rows, None, validation_x)
        if not epochs:
            return {"epochs": float(few)}
        rows.table(kind.__name__, [epochs], lambda: network)  # as it was at its best epoch
        return {"epochs": float(epochs)}

    return fit, search


_FADES = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
_EASE_LADDERS: Mapping[str, tuple[float, ...]] = {
    "fade": _FADES,
    "ridge": (50.0, 100.0, 200.0, 400.0, 700.0, 1_200.0, 2_500.0, 5_000.0),
}
_EASE = {"fade": 0.85, "ridge": 700.0}
_TRANSITIONS_LADDERS: Mapping[str, tuple[float, ...]] = {
    "fade": _FADES,
    "window": (3, 5, 10, 20, 50),
    "decay": (0.7, 0.8, 0.9, 0.97, 1.0),
    "power": (0.0, 0.25, 0.5, 0.75, 1.0),
    "prior": (1.0, 5.0, 20.0),
}
_TRANSITIONS = {"fade": 0.8, "window": 20, "decay": 0.9, "power": 0.5, "prior": 5.0}


def _of_parts(ease_part: Mapping[str, V], transitions_part: Mapping[str, V]) -> dict[str, V]:
    """What the two parts of the pair have, under their names."""
    named = {f"ease.{k}": v for k, v in ease_part.items()}
    return named | {f"transitions.{k}": v for k, v in transitions_part.items()}


FAMILIES: dict[str, Family] = {
    "popularity": Family("the most clicked, the same for all", {}, {}, _popularity),
    "knn": Family(
        "cosine of who took up both, over a fading history",
        {
            "fade": _FADES,
            "neighbours": (20, 50, 200, 2_000),
            "shrink": (0.0, 10.0, 50.0),
            "power": (0.2, 0.35, 0.5),
        },
        {"fade": 0.85, "neighbours": 200, "shrink": 10.0, "power": 0.5},
        _knn,
    ),
    "ease": Family(
        "every item regressed on all others, over a fading history",
        _EASE_LADDERS,
        _EASE,
        _ease,
    ),
    "transitions": Family(
        "what came soon after what, over a fading history",
        _TRANSITIONS_LADDERS,
        _TRANSITIONS,
        _transitions,
    ),
    "ials": Family(
        "implicit matrix factorisation, users folded in from a fading history",
        {
            "fade": _FADES,
            "ridge": (0.001, 0.003, 0.01, 0.03, 0.1),
            "unseen": (0.03, 0.1, 0.3),
            "width": (32, 64),
        },
        {"fade": 0.9, "ridge": 0.01, "unseen": 0.1, "width": 64},
        _ials,
    ),
    "ease-transitions": Family(
        "EASE plus the logarithm of transitions",
        {
            "weight": (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3),
            "floor": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
            **_of_parts(_EASE_LADDERS, _TRANSITIONS_LADDERS),
        },
        {"weight": 0.02, "floor": 1e-4, **_of_parts(_EASE, _TRANSITIONS)},
        _pair,
        parts=("ease", "transitions"),
    ),
    "asymmetric": Family(
        "a fading sum of factors of what was clicked, trained by full cross-entropy",
        {},
        {"epochs": 7.0},
        _trained(Asymmetric, ASYMMETRIC, 7)[0],
        search=_trained(Asymmetric, ASYMMETRIC, 7)[1],
    ),
    "sasrec": Family(
        "causal self-attention, trained by full cross-entropy",
        {},
        {"epochs": 20.0},
        _trained(SASRec, SASREC, 20)[0],
        search=_trained(SASRec, SASREC, 20)[1],
    ),
}


def fit_next(
    name: str, events: Events, keep_E: Bools, settings: Settings | None = None
) -> NextItem[Any]:
    """A scorer by name, fitted on these rows.

    Args:
        name: a key of `FAMILIES`.
        events: the log.
        keep_E: rows to fit on.
        settings: all of the family's; None: those from which a search begins.

    Raises:
        UsageError: there is no such family; the nearest name is offered.
    """
    family = lookup("next-item scorer", name, FAMILIES)
    return family.fit(Rows(events, keep_E), family.start if settings is None else settings)


def choose(
    name: str,
    rows: Rows,
    validation_x: Ints,
    *,
    repeats: bool = False,
    parts: Mapping[str, Settings] | None = None,
    start: Settings | None = None,
    only: Sequence[str] = (),
) -> tuple[dict[str, float], float]:
    """Settings with which a family ranks the items of validation rows best.

    Args:
        name: a key of `FAMILIES`.
        rows: to fit on.
        validation_x: clicked rows that are not among them.
        repeats: whether items consumed before may be taken up again.
        parts: settings chosen for the families it is made of.
        start: where to begin; None: where the family does.
        only: settings to choose; (): all.

    Returns:
        The settings, and their NDCG@10.

    Raises:
        UsageError: there is no such family.
    """
    family = lookup("next-item scorer", name, FAMILIES)
    if family.search is not None:
        found = family.search(rows, validation_x)
        ranking = rank(family.fit(rows, found), rows.events, validation_x, repeats=repeats)
        return found, metrics.ndcg(ranking.rank_x, TOP)
    start = dict(family.start if start is None else start)
    for part in family.parts:
        taken = (parts or {}).get(part, {})
        start |= {f"{part}.{k}": v for k, v in taken.items()}

    def loss(settings: Settings) -> float:
        ranking = rank(family.fit(rows, settings), rows.events, validation_x, repeats=repeats)
        return -metrics.ndcg(ranking.rank_x, TOP)

    ladders = {k: ladder for k, ladder in family.ladders.items() if not only or k in only}
    found, least = climb(ladders, start, loss)
    return found, -least
