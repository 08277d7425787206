"""How well people of a family do what real people did, beside what they must not be worse than."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from slategym.envs.names import UsageError
from slategym.models import metrics
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.multitask.scores import TOP, heading
from slategym.models.people.reading import Ints, Queries, Said, answer, ask, rows_of
from slategym.models.quality.anchors import Anchors, fit_anchors
from slategym.models.taste import Taste

MOST_ROWS = 4_000
GROUPS = 20  # of people, each left out once to see how sure a difference is
SURE = 2.0  # standard errors
ONLINE, POPULARITY = "online biases", "popularity"
LOWER = ("_rmse", "_rmsle", "_ece")  # ends of figures of which less is better


@dataclass(frozen=True)
class Quality:
    """Figures of a family on people unknown to it, and of the anchors on the same rows."""

    rows: int
    people: int
    figures: Mapping[str, float]
    anchors: Mapping[str, Mapping[str, float]]  # of "online biases" and "popularity"
    worse: tuple[str, ...]  # figures in which it is surely worse than the anchor that has them
    reliability: tuple[Mapping[str, Any], ...] = ()  # rows for a diagram: head, bin, ...

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "rows": self.rows,
            "people": self.people,
            "figures": dict(self.figures),
            "anchors": {name: dict(own) for name, own in self.anchors.items()},
            "worse": list(self.worse),
            "reliability": [dict(row) for row in self.reliability],
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Quality:
        """What `to_json` gave."""
        return Quality(
            values["rows"],
            values["people"],
            values["figures"],
            values["anchors"],
            tuple(values["worse"]),
            tuple(values["reliability"]),
        )

    def against(self, figure: str) -> tuple[str, float] | None:
        """The anchor that has this figure, and its value."""
        for name, own in self.anchors.items():
            if figure in own:
                return name, own[figure]
        return None

    def shortfall(self) -> str:
        """The figures in which it is worse than no model, each beside the anchor's; "": in none."""
        said = []
        for figure in self.worse:
            anchor = self.against(figure)
            assert anchor is not None
            value = self.figures[figure]
            said.append(f"{heading(figure)} {value:.3f} against {anchor[1]:.3f} of {anchor[0]}")
        return "; ".join(said)

    def sentence(self) -> str:
        """Every figure that an anchor has too, beside the anchor's."""
        said = []
        for figure, value in self.figures.items():
            if (other := self.against(figure)) is not None:
                said.append(f"{heading(figure)} {value:.3f} ({other[0]} {other[1]:.3f})")
        return ", ".join(said)


def quality(
    taste: Taste[Any],
    log: Log,
    fitted_on: Ints,
    people: Ints,
    *,
    least: int,
    history: int,
    most: int = MOST_ROWS,
) -> Quality:
    """Read these people's rows with the taste and with the anchors.

    Args:
        taste: fitted.
        log: whose rows.
        fitted_on: people on whom the taste, and so the anchors, were fitted.
        people: to read; none of those.
        least: clicks before a row.
        history: clicks before it that are told to the taste; the anchors know all.
        most: rows, evenly spread.
    """
    row_x = rows_of(log, people, least=least, most=most)
    if not len(row_x):
        return Quality(0, 0, {}, {}, ())
    asked = ask(log, row_x, history)
    said = answer(taste, asked)
    train_E = np.isin(log.events["user"].to_numpy(), fitted_on)
    anchors = fit_anchors(asked.barred, said.tasks, train_E)
    every = np.arange(len(row_x))
    figures = _figures(said, asked, every)
    own = _anchored(said, anchors, asked, every)
    worse = [
        name
        for name in figures
        if any(name in other for other in own.values())
        and _surely_worse(name, said, anchors, asked)
    ]
    return Quality(
        len(row_x),
        len(np.unique(asked.user_x)),
        figures,
        own,
        tuple(worse),
        tuple(_reliability(said, asked)),
    )


def refuse(name: str, role: str, found: Quality, others: Sequence[str]) -> None:
    """Say no to a family that is worse than no model at all.

    Args:
        name: of the family.
        role: "world" or "judge".
        found: its figures.
        others: names of families that may be tried instead.

    Raises:
        UsageError: it is surely worse than an anchor in some figure.
    """
    if not found.worse:
        return
    instead = f"try {', '.join(others)}" if others else "no family passes on this log"
    raise UsageError(
        f"the family {name!r} is refused as a {role}: on {found.people} people unknown to it it is "
        f"worse than no model ({found.shortfall()}); {instead}; or take it with anyway=True for "
        "research, which the labels will say"
    )


def _click(said: Said, asked: Queries, at: Ints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, log-odds and users of clicks and what they are compared with."""
    used_xC = asked.used_xC[at]
    label_xC = np.zeros(used_xC.shape)
    label_xC[:, 0] = asked.value_xM[at, 0] > 0
    user_xC = np.broadcast_to(asked.user_x[at, None], used_xC.shape)
    return label_xC[used_xC], said.click_xC[at][used_xC], user_xC[used_xC]


def _figures(said: Said, asked: Queries, at: Ints) -> dict[str, float]:
    label_x, logit_x, _ = _click(said, asked, at)
    name, took_x = said.tasks[0].signal.name, asked.value_xM[at, 0] > 0
    found = {f"{name}_auc": metrics.auc(label_x, logit_x)}
    if took_x.any() and not has_slates(asked.log):
        found[f"hr{TOP}"] = metrics.hit_rate(said.rank_x[at][took_x], TOP)
    found[f"{name}_ece"] = metrics.ece(label_x, expit(logit_x))
    for m, task in enumerate(said.tasks[1:], start=1):
        seen_x = took_x & np.isfinite(asked.value_xM[at, m])
        output_x = said.output_xM[at, m][seen_x]
        value_x, user_x = asked.value_xM[at, m][seen_x], asked.user_x[at][seen_x]
        if len(value_x):
            own = task.figures(value_x, output_x, user_x, output_x)
            found |= {k: v for k, v in own.items() if not k.endswith("_raw")}
    return {k: v for k, v in found.items() if np.isfinite(v)}


def _anchored(
    said: Said, anchors: Anchors, asked: Queries, at: Ints
) -> dict[str, dict[str, float]]:
    popular = Said(
        said.tasks, np.log(anchors.count_N[asked.id_xC] + 0.5), said.output_xM, said.rank_x
    )
    label_x, score_x, _ = _click(popular, asked, at)
    name, took_x = said.tasks[0].signal.name, asked.value_xM[at, 0] > 0
    counts = {f"{name}_auc": metrics.auc(label_x, score_x)}
    online: dict[str, float] = {}
    for m, task in enumerate(said.tasks[1:], start=1):
        seen_x = took_x & np.isfinite(asked.value_xM[at, m])
        if seen_x.any():
            online |= task.anchored(
                asked.value_xM[at, m][seen_x],
                anchors.online_EM[asked.row_x[at], m][seen_x],
                asked.user_x[at][seen_x],
            )
    kept = {ONLINE: online, POPULARITY: counts}
    return {k: {n: v for n, v in own.items() if np.isfinite(v)} for k, own in kept.items() if own}


def _surely_worse(name: str, said: Said, anchors: Anchors, asked: Queries) -> bool:
    """Whether a figure is worse by two standard errors, by the jackknife over people."""
    sign = 1.0 if name.endswith(LOWER) else -1.0

    def lead(at: Ints) -> float:
        """By how much it is worse than the anchor."""
        own = _figures(said, asked, at).get(name, np.nan)
        other = [x[name] for x in _anchored(said, anchors, asked, at).values() if name in x]
        return sign * (own - (other[0] if other else np.nan))

    every = np.arange(len(asked.row_x))
    whole = lead(every)
    if not whole > 0:
        return False
    place_x = np.unique(asked.user_x, return_inverse=True)[1]
    groups = min(GROUPS, int(place_x.max()) + 1)
    parts = np.array([lead(every[place_x % groups != g]) for g in range(groups)])
    parts = parts[np.isfinite(parts)]
    if len(parts) < 2:
        return False
    error = np.sqrt((len(parts) - 1) / len(parts) * np.square(parts - parts.mean()).sum())
    return bool(whole > SURE * error)


def _reliability(said: Said, asked: Queries) -> list[dict[str, Any]]:
    """Rows for a reliability diagram of every binary signal."""
    every = np.arange(len(asked.row_x))
    label_x, logit_x, _ = _click(said, asked, every)
    heads = [(said.tasks[0].signal.name, label_x, logit_x)]
    took_x = asked.value_xM[:, 0] > 0
    for m, task in enumerate(said.tasks[1:], start=1):
        if task.calibrated:
            seen_x = took_x & np.isfinite(asked.value_xM[:, m])
            heads.append((task.signal.name, asked.value_xM[seen_x, m], said.output_xM[seen_x, m]))
    return [
        {"head": head, "bin": n, "predicted": p, "observed": o, "count": c}
        for head, value_x, output_x in heads
        if len(value_x)
        for n, (p, o, c) in enumerate(metrics.reliability(value_x, expit(output_x)))
    ]
