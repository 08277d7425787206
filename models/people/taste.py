"""People made of classics: a scorer of what is clicked next, regressions of what a click is worth.

Both are moved click by click: a table's row or a covariance's rank-one update a click, never the
history. No person is looped over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from slategym.envs.engine import arrive
from slategym.envs.trees import map_tensors
from slategym.envs.types import Arrival, Context, Population
from slategym.models.classics.types import NextItem
from slategym.models.people.calibration import Mix
from slategym.models.tasks import Count, Task, observed_only
from slategym.models.taste import Outputs

PREPARED_NUMBERS = 2**27  # of the states of all arrivals that are read beforehand, at most
AT_ONCE = 512  # arrivals read together


@dataclass(frozen=True)
class Scorer:
    """A next-item scorer as an input of the click's log-odds."""

    model: NextItem[Any]
    floor: float | None = None  # added before the logarithm is taken; None: none is taken

    def scores(self, state: Any, id_BC: Tensor | None) -> Tensor:
        """Of these items, or of all N, (B, C)."""
        score_BC = self.model.score(state)
        if id_BC is not None:
            score_BC = score_BC.gather(1, id_BC)
        return score_BC if self.floor is None else (score_BC + self.floor).log()


class Values(Protocol):
    """What a click is worth by one signal: `closed_form.recursive.Regression`, boosted trees."""

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> Any:
        """What is known after these items and values, oldest first."""
        ...

    def after(self, belief: Any, item_B: Tensor, value_B: Tensor, took_B: Tensor) -> Any:
        """What is known after one value more each."""
        ...

    def mean(self, belief: Any, id_BC: Tensor | None) -> Tensor:
        """Expected values of these items, or of all N, (B, C)."""
        ...

    def variance(self, belief: Any, id_BC: Tensor) -> Tensor:
        """Of the expected values, the noise left out, (B, C)."""
        ...


@dataclass(frozen=True)
class State:
    """What is known of B people."""

    clicks: tuple[Any, ...]  # of each scorer
    beliefs: tuple[Any, ...]  # of each regression


@dataclass(frozen=True)
class ClassicTaste:
    """A `Taste` of scorers and regressions. T tasks, click first."""

    tasks: tuple[Task, ...]
    scorers: tuple[Scorer, ...]
    popular_N: Tensor  # (N,) log of each item's share of clicks, or of its odds when shown
    columns: tuple[int, ...]  # of the signals that are regressed
    regressions: tuple[Values, ...]
    mixes: tuple[Mix, ...]  # T: of scorers' scores and popularity; of the regressions' means
    table: State | None = None  # of a population's arrivals, read beforehand

    def initial(self, arrival: Arrival) -> State:
        """State after the histories with which users arrive."""
        if self.table is not None:
            return map_tensors(lambda x: x.index_select(0, arrival.user_id), self.table)
        if arrival.history is None or arrival.feedback is None:
            raise ValueError("learned users need a population with a history; this one has none")
        history_BH = arrival.history.long()
        history_BH = torch.where(arrival.feedback[..., 0] > 0, history_BH, -1)
        feedback_BHM = observed_only(self.tasks, arrival.feedback)
        return State(
            tuple(s.model.initial(history_BH) for s in self.scorers),
            tuple(
                r.initial(history_BH, linked(self.tasks[m], feedback_BHM[..., m]))
                for m, r in zip(self.columns, self.regressions, strict=True)
            ),
        )

    def prepared(self, population: Population) -> ClassicTaste:
        """With these people's histories read once, unless their states would fill the memory."""
        everybody_U = torch.arange(population.size, dtype=torch.int32, device=self.popular_N.device)
        parts, numbers = [], 0
        for begin in range(0, population.size, AT_ONCE):
            arrival = arrive(population, everybody_U[begin : begin + AT_ONCE])
            parts.append(self.initial(arrival))
            numbers += _numbers(parts[-1])
            if numbers * population.size > PREPARED_NUMBERS * (begin + len(arrival.user_id)):
                return self
        return replace(self, table=map_tensors(lambda *x: torch.cat(x), parts[0], *parts[1:]))

    def after(
        self, state: State, item_B: Tensor, feedback_BM: Tensor, took_B: Tensor, context: Context
    ) -> State:
        """One more click where there is one."""
        values = [linked(self.tasks[m], feedback_BM[:, m]) for m in self.columns]
        return State(
            tuple(
                s.model.after(own, item_B, took_B)
                for s, own in zip(self.scorers, state.clicks, strict=True)
            ),
            tuple(
                r.after(own, item_B, value_B, took_B)
                for r, own, value_B in zip(self.regressions, state.beliefs, values, strict=True)
            ),
        )

    def score(self, state: State, id_BC: Tensor | None, context: Context) -> Outputs:
        """Every task's output; see `Taste`."""
        id_BC = None if id_BC is None else id_BC.long()
        scores, means = self.inputs(state, id_BC)
        click_BC = self.mixes[0](scores)
        if not means:
            means = (torch.zeros_like(click_BC),)
        return (click_BC, *(mix(means) for mix in self.mixes[1:]))

    def inputs(
        self, state: State, id_BC: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """What the mixes mix: scores and popularity; expected values. (B, C) each."""
        scores = [s.scores(own, id_BC) for s, own in zip(self.scorers, state.clicks, strict=True)]
        if id_BC is not None:
            popular_BC = self.popular_N[id_BC]
        else:
            rows = _rows(state)
            popular_BC = self.popular_N.expand(rows, -1)
        means = tuple(
            r.mean(own, id_BC) for r, own in zip(self.regressions, state.beliefs, strict=True)
        )
        return (*scores, popular_BC), means

    def spread(self, state: State, id_BC: Tensor) -> tuple[Tensor, ...]:
        """Standard deviation of each regressed mean: what more clicks could tell, (B, C) each."""
        return tuple(
            r.variance(own, id_BC.long()).sqrt()
            for r, own in zip(self.regressions, state.beliefs, strict=True)
        )


def linked(task: Task, value_x: Tensor) -> Tensor:
    """Values on the scale on which they are regressed; NaN: unobserved, as it was."""
    on_scale_x = value_x.log1p() if isinstance(task, Count) else task.link(value_x)
    return torch.where(value_x.isnan(), torch.nan, on_scale_x.float())


def _numbers(state: State) -> int:
    total = 0

    def count(x: Tensor) -> Tensor:
        nonlocal total
        total += x.numel()
        return x

    map_tensors(count, state)
    return total


def _rows(state: State) -> int:
    sizes: list[int] = []

    def note(x: Tensor) -> Tensor:
        sizes.append(x.shape[0])
        return x

    map_tensors(note, state)
    return sizes[0]
