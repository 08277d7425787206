"""What is known of items and users beside the events: texts, topics, columns, profiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from slategym.models.closed_form.events import Floats
from slategym.models.closed_form.item_features import text_features
from slategym.models.data.log import Log


@dataclass(frozen=True)
class Sides:
    """Tables by item, by user and by row of the log."""

    text_ND: Floats  # unit vectors about their mean; (N, 0) without an encoder
    topic_NG: Floats  # unit vectors of topics; zero for an item without any
    item_NC: Floats  # numbers and codes of the items' columns; NaN where unknown
    item_names: tuple[str, ...]  # C
    user_names: tuple[str, ...]  # F
    context_names: tuple[str, ...]  # X
    user_UF: Floats  # codes of the profile columns
    context_EX: Floats  # hour, weekday and further context of each row; NaN where unknown

    @staticmethod
    def from_log(log: Log, text_ND0: Tensor | None = None) -> Sides:
        """Gather the tables.

        Args:
            log: the data.
            text_ND0: vectors of the items' texts; None: texts are not read.
        """
        items, events = log.items, log.events
        names = [name for name in ("year", "topic") if name in items]
        names += [column.name for column in log.item_columns if column.name not in names]
        context = ["hour", "weekday", *(column.name for column in log.context)]
        topic_NG = log.item_topics.astype(np.float64)
        text_ND = np.zeros((log.num_items, 0)) if text_ND0 is None else text_ND0.double().numpy()
        return Sides(
            text_ND=unit(text_ND - text_ND.mean(0)),
            topic_NG=unit(topic_NG),
            item_names=tuple(names),
            user_names=log.profile_names,
            context_names=tuple(context),
            item_NC=_numbers([items[name].to_numpy() for name in names], log.num_items),
            user_UF=log.users[list(log.profile_names)].to_numpy(np.float64),
            context_EX=_numbers([events[name].to_numpy() for name in context], len(events)),
        )

    def text_features(self, length: float, width: int) -> Floats:
        """The texts' features, (N, width), found once: no row of the log changes them."""
        if (length, width) not in self._text:
            found: Floats = text_features(self.text_ND, length, width).numpy()
            self._text[length, width] = found
        return self._text[length, width]

    @cached_property
    def _text(self) -> dict[tuple[float, int], Floats]:
        return {}


def unit(x_ND: Floats) -> Floats:
    """Rows scaled to length 1; zero rows stay."""
    length_N1 = np.linalg.norm(x_ND, axis=1, keepdims=True)
    unit_ND: Floats = x_ND / np.where(length_N1 > 0, length_N1, 1.0)
    return unit_ND


def _numbers(columns: list[np.ndarray], rows: int) -> Floats:
    """Columns side by side, the code -1 as NaN."""
    table = np.stack(columns, 1).astype(np.float64) if columns else np.zeros((rows, 0))
    codes = [np.issubdtype(column.dtype, np.integer) for column in columns]
    table[:, codes] = np.where(table[:, codes] < 0, np.nan, table[:, codes])
    return table
