"""How the weights of a multi-task model are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slategym.envs.names import lookup
from slategym.models.multitask.balance import AT_SHARED, BALANCES, SHARED
from slategym.models.multitask.loss_settings import LossSettings

MOST_ROWS = 1_200_000  # training rows of all epochs together, where nobody says how many epochs
FEWEST = 2  # epochs, however many rows there are

UNSEEN = {
    "drawn": "as all others: an item that nobody met is one that nobody wanted",
    "left-out": "neither drawn nor counted: an item that nobody met may be new",
}

PRECISIONS = {
    "float32": "four bytes a number",
    "bfloat16": "two bytes where that serves; weights, their updates and sums keep four",
}


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found."""

    epochs: int = 6  # at most; fewer where the validation loss clearly rises
    batch_events: int = 736  # positions of a batch, padding included
    learning_rate: float = 3e-3  # after the warmup, then a half cosine to zero
    warmup_steps: int = 50
    weight_decay: float = 0.01  # of matrices only, per step and unit of learning rate
    clip: float = 1.0  # largest norm of the gradient
    negatives: int = 4  # uniform unconsumed items against each click
    patience: int = 2  # epochs clearly worse on validation rows than the best was
    # draws of the next-item softmax in catalogues of more items; None: 2,048 above 5,000 items
    softmax_items: int | None = None
    # weight of each head's mean loss, by signal and "next"; others have their kind's default
    weights: dict[str, float] = field(default_factory=dict)
    balance: str = "fixed"  # of the heads' weighted losses; in BALANCES
    accumulate: int = 1  # batches whose gradients, on average, make one update
    precision: str = "float32"  # of what the losses are computed in; in PRECISIONS
    unseen: str = "drawn"  # items without training rows, as negatives and in softmaxes; in UNSEEN
    losses: LossSettings = field(default_factory=LossSettings)  # of the click, and beside the heads

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> TrainingSettings:
        """What `asdict` gave."""
        given = values.get("losses")
        losses = LossSettings() if given is None else LossSettings(**given)
        return TrainingSettings(**{**values, "losses": losses})

    def __post_init__(self) -> None:
        lookup("balance", self.balance, BALANCES)
        lookup("precision", self.precision, PRECISIONS)
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1 batch, got {self.accumulate}")
        beside = self.losses.contrastive or self.losses.adversarial
        if self.accumulate > 1 and (self.balance != "fixed" or beside):
            raise ValueError(
                f"accumulate={self.accumulate} adds up the heads' gradients alone, and balance "
                f"{self.balance!r} or losses beside the heads make others of each batch; take "
                "accumulate=1 with a larger batch_events, or balance='fixed' and no such losses"
            )
        lookup("unseen", self.unseen, UNSEEN)
        if min(self.epochs, self.batch_events, self.patience) < 1:
            raise ValueError(
                "epochs, batch_events and patience must be at least 1, got "
                f"{self.epochs}, {self.batch_events}, {self.patience}"
            )
        if self.softmax_items is not None and self.softmax_items < 1:
            raise ValueError(f"softmax_items must be at least 1 or None, got {self.softmax_items}")

    @property
    def versions(self) -> dict[str, int]:
        """What decides the weights beside these values, by name: kept models are told by it too."""
        return {"shared": SHARED} if self.balance in AT_SHARED else {}

    def for_rows(self, num_rows: int) -> TrainingSettings:
        """The same with fewer epochs on many rows: MOST_ROWS in all, and no fewer than FEWEST.

        An epoch of a large log teaches what several of a small one do. Of 353,000 rows of a shop's
        log, made by `tests/shop_log.py`, on the people held out, one seed:

            epochs    CPU seconds    click AUC    return AUC    dwell RMSLE    HR@10
            2                45.5        .7991         .6369          .7211    .5073
            3                68.9        .8011         .6398          .7208    .5005
            6               153.3        .8025         .6350          .7145    .5122

        Args:
            num_rows: of training.
        """
        most = max(FEWEST, MOST_ROWS // max(1, num_rows))
        return replace(self, epochs=min(self.epochs, most))

    def may_refit(self, num_rows: int) -> bool:
        """Whether training a second time on about as many rows keeps within MOST_ROWS in all."""
        return 2 * self.epochs * num_rows <= MOST_ROWS
