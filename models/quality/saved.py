"""A model that was saved, read on a log: on rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.multitask.grow import grown
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import Predictions, predict
from slategym.models.multitask.scores import Figures, model_figures, platt_of
from slategym.models.multitask.sequences import Bools, Sequences
from slategym.models.multitask.vocabulary import anonymous
from slategym.models.quality.groups import GroupReport, group_report
from slategym.models.tasks import head_weights

MOST_ROWS = 20_000  # that are read, spread evenly


@dataclass(frozen=True)
class SavedReading:
    """What a saved model makes of a log."""

    log: Log
    model: MultiTaskBert  # on the log
    predictions: Predictions
    weights: dict[str, float]
    protocol: str
    unread_E: Bools  # rows that the model was not fitted on

    def figures(self, name: str) -> Figures:
        """As `evaluate-model` has them."""
        return model_figures(name, self.predictions, platt_of(self.model), self.weights)

    def groups(self, seed: int = 0) -> GroupReport:
        """Of each group; popular is what the model's own rows hold often."""
        clicked = self.log.events["click"].to_numpy() > 0
        item = self.log.events["item"].to_numpy()[clicked & ~self.unread_E]
        count_N = np.bincount(item, minlength=self.log.num_items).astype(np.float64)
        return group_report(
            self.log, self.predictions, platt_of(self.model), self.weights, count_N, seed=seed
        )


def read_saved(
    model: MultiTaskBert, log: Log, *, seed: int = 0, progress: bool = True
) -> SavedReading:
    """Read a saved model on the rows of a log that it was not fitted on.

    Those are of people who were held out when it was fitted, and those after its last moment.

    Args:
        model: with its vocabulary.
        log: what it was fitted on, or a later one with the same signals and columns.
        seed: of the negatives.
        progress: whether to draw a bar on stderr.

    Raises:
        UsageError: the log lacks what the model knows, or all its rows were fitted on.
    """
    vocabulary = model.vocabulary
    if vocabulary is None:
        raise UsageError("the model keeps no vocabulary; fit it again")
    hashes = set(vocabulary.held)
    held = [u for u, key in enumerate(log.users["key"]) if anonymous(str(key)) in hashes]
    later_E = log.events["time"].to_numpy() > vocabulary.until
    held_E = np.isin(log.events["user"].to_numpy(), held)
    unread_E = later_E | held_E
    if not unread_E.any():
        raise UsageError(
            f"the model may have been fitted on every row of {log.name}: nobody in it was held out "
            "and no row is later; slategym evaluate-model LOG without --model fits one that was not"
        )
    start = grown(model, log, ~unread_E, progress=progress)
    rows = np.flatnonzero(unread_E)
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
    sequences = Sequences.from_log(log, model.device)
    predictions = predict(start.model, sequences, chosen, seed=seed)
    trained = (model.about or {}).get("training", {}).get("weights", {})
    moment = f"{pd.Timestamp(vocabulary.until, unit='s'):%Y-%m-%d %H:%M:%S} UTC"
    protocol = (
        f"{log.name}: {len(chosen):,} of {len(rows):,} rows that the model was not fitted on, "
        f"{int(held_E.sum()):,} of people held out (who stopped its training and calibrated it) "
        f"and {int(later_E.sum()):,} after {moment}; {len(start.new_items):,} items are new to it. "
        "Each row is predicted from its user's clicks before it."
    )
    weights = head_weights(model.tasks, trained)
    return SavedReading(log, start.model, predictions, weights, protocol, unread_E)
