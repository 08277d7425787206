"""Users learned from a log: a fitted model says what they like, the world how they choose.

Two families share the code below and differ in their `Taste`: the multi-task BERT
(`models/multitask/incremental`) and the judge's factor model (`models/people`). What is
learned is what a person would do with an item; that people tire of a genre or run out of patience
is not in the log and is added, labelled assumed, by `slategym.envs.users.assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Signal
from slategym.envs.users.tabled import Tabled
from slategym.models.tasks import observed_only
from slategym.models.taste import Outputs, clicked, clicks_in_order
from slategym.models.taste import Taste as Taste

LIKE_WEIGHT = 0.5  # of the like's log-odds in the appeal, where no slates tell
DRAWN_AS = {"rating": "stars"}  # its luck in version 0 of the worlds, whose trajectories stay


@dataclass(frozen=True)
class LearnedUsers(UserModel[Any]):
    """People who choose and respond as a fitted model says.

    Appeal is (click + like_weight * like - skip) / temperature, in log-odds against taking nothing,
    where "like" stands for the first binary signal after the click; without one it is the click
    alone. The two constants are calibrated on click rates (`models/simulator/click_rates`), since
    most logs do not hold the slates that were passed over. A clicked item gets every other signal
    as its task draws it (see `models/tasks`), or 0 for want of the signal that it is given.
    """

    taste: Taste[Any]
    skip: float  # log-odds at which an item is as good as nothing
    temperature: float  # > 0
    like_weight: float = LIKE_WEIGHT
    static: bool = False  # True: nothing that happens changes anyone
    several: bool = False  # whether several items of a slate may be clicked
    purposes: tuple[int, ...] = field(init=False)  # M, one use of luck each

    def __post_init__(self) -> None:
        names = [task.signal.name for task in self.taste.tasks]
        purposes = tuple(purpose(f"learned.{DRAWN_AS.get(name, name)}") for name in names)
        object.__setattr__(self, "purposes", purposes)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Those of the log, click first."""
        return tuple(task.signal for task in self.taste.tasks)

    def initial(self, arrival: Arrival, luck: Luck) -> Any:
        """Everything known of a person is in the log; nothing is drawn."""
        return self.taste.initial(arrival)

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        """Log-odds against taking nothing, (B, K)."""
        return self.combine(self.taste.score(state, items.id, context))

    def combine(self, outputs: Outputs) -> Tensor:
        """Appeal from a model's outputs, same shape."""
        wish, *likes = self.wishes(outputs)
        for like in likes:
            wish = wish + self.like_weight * like
        return (wish - self.skip) / self.temperature

    def wishes(self, outputs: Outputs) -> Outputs:
        """Outputs that make the appeal: the click's, and the first binary signal's after it."""
        for task, output in zip(self.taste.tasks[1:], outputs[1:], strict=True):
            if task.calibrated:
                return outputs[0], output
        return outputs[:1]

    def respond(
        self, state: Any, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Click 1, and every other signal as its task draws it."""
        outputs = self.taste.score(state, items.id, context)
        K = items.id.shape[1]
        drawn: dict[str | None, Tensor] = {}
        values = []
        for at, (task, output_BK) in enumerate(zip(self.taste.tasks, outputs, strict=True)):
            if at == 0:
                value_BK = torch.ones_like(output_BK)
            else:
                uniform_BK = luck.uniform(self.purposes[at], K)
                value_BK = task.sample(output_BK, uniform_BK, drawn.get(task.given))
                if task.signal.given is not None:
                    value_BK = value_BK * drawn[task.signal.given]
            drawn[task.signal.name] = value_BK
            values.append(value_BK)
        return torch.stack(values, -1), self._means(outputs)

    def outlook(
        self, state: Any, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Appeal and means of all items from one product with the item table."""
        outputs = self.taste.score(state, None, context)
        return self.combine(outputs), self._means(outputs)

    def still(
        self, state: Any, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[UserModel[Any], Any]:
        """What the model says of every item now, as a table: a few clicks move it little."""
        appeal_BN, mean_BNM = self.outlook(state, catalogue, context, luck)
        row_B = torch.arange(len(appeal_BN), device=appeal_BN.device)
        return Tabled(self, appeal_BN, mean_BNM), row_B

    def _means(self, outputs: Outputs) -> Tensor:
        """Expected signals of a clicked item, (..., M)."""
        said: dict[str | None, Tensor] = {}
        means = []
        for at, (task, output) in enumerate(zip(self.taste.tasks, outputs, strict=True)):
            mean = task.mean(output, said.get(task.given)) if at else torch.ones_like(output)
            if task.signal.given is not None:
                mean = mean * said[task.signal.given]
            said[task.signal.name] = mean
            means.append(mean)
        return torch.stack(means, -1)

    def evolve(
        self, state: Any, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> Any:
        """Clicked items join the history, in the order of the slots."""
        if self.static:
            return state
        events = clicks_in_order(items, feedback_BKM) if self.several else ()
        for item_B, feedback_BM, took_B in events or (clicked(items, feedback_BKM),):
            known_BM = observed_only(self.taste.tasks, feedback_BM)
            state = self.taste.after(state, item_B, known_BM, took_B, context)
            context = replace(context, gap=torch.zeros_like(context.gap))
        return state
