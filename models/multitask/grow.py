"""A trained model on a log that has grown: the same rows for the same names, new rows for new ones.

Rows of the model's tables are matched by item key and by category, so that a log may number its
items otherwise, have more of them, or leave some out. What is new starts from what is known
without having met it: an item from its text and the popularity of its training rows, a category
from nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.names import UsageError
from slategym.envs.types import Column, Signal
from slategym.models.data.log import Log
from slategym.models.multitask.biases import item_biases
from slategym.models.multitask.item_extras import item_extras
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.sequences import Bools
from slategym.models.multitask.vocabulary import Vocabulary
from slategym.models.tasks import tasks_of
from slategym.models.text.kept import kept_vectors
from slategym.models.text.settings import HUB_NAME
from slategym.models.text.vectors import item_text_vectors

Ints = NDArray[np.int64]

AXES = re.compile(r"_((?:[A-Z]\d?)+)$")  # of a buffer or parameter: text_vectors_ND0
UNKNOWN_FIRST = 1  # rows of a column's table before its categories


@dataclass(frozen=True)
class Grown:
    """A model on another log, not trained on it yet."""

    model: MultiTaskBert
    new_items: Ints  # ids in the log, of items that the model had not
    left_out: int  # items of the model that the log has not
    changed: int = 0  # items whose text is another than it was

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report should say of it."""
        if not self.changed:
            return ()
        return (f"items whose text is another than at the first fit, read anew: {self.changed:,}",)


def grown(
    model: MultiTaskBert,
    log: Log,
    train_E: Bools,
    *,
    text_vectors_ND0: Tensor | None = None,
    progress: bool = True,
) -> Grown:
    """The model with a row for each item and category of a log.

    Args:
        model: trained, with its vocabulary.
        log: has the model's signals and columns.
        train_E: rows of it from which new items' popularity may be taken.
        text_vectors_ND0: of the log's items; None: the model's where it has the item and its text
            is what it was, else made by its text encoder.
        progress: whether to draw a bar on stderr.

    Raises:
        UsageError: the log lacks a signal or a column of the model's, or has others; the model
            keeps no vocabulary; its encoder is not known or not at hand and texts are new.
    """
    vocabulary = model.vocabulary
    if vocabulary is None:
        raise UsageError(
            "the model keeps no vocabulary, so that its rows cannot be matched with the log's "
            "items; fit it again"
        )
    _check_same(model, vocabulary, log)
    keys = [str(key) for key in log.items["key"]]
    row_N = _rows(vocabulary.items, keys)
    new_items = np.flatnonzero(row_N < 0)
    now = Vocabulary.of(log)
    changed_N = _changed(vocabulary, now, row_N)
    if text_vectors_ND0 is None:
        text_vectors_ND0 = _text_vectors(model, log, np.where(changed_N, -1, row_N), progress)
    extra = [log.items[column.name].to_numpy(np.float32) for column in log.item_columns]
    fresh = MultiTaskBert(
        model.settings,
        model.tasks,
        text_vectors_ND0=text_vectors_ND0,
        biases=item_biases(log.events[train_E], model.tasks, log.num_users, log.num_items),
        profile_sizes=log.profile_sizes,
        num_items=log.num_items,
        context=_ranges_of(model.context, log.context),
        item_columns=_ranges_of(model.item_columns, log.item_columns),
        item_extra_NZ=torch.as_tensor(np.stack(extra, axis=1)) if extra else None,
        num_slots=model.num_slots,
        wide=model.wide_sizes,
        extras=item_extras(log, model.settings.items, train_E),
    )
    rows = _row_tables(model, vocabulary, now, log, row_N)
    state = fresh.state_dict()
    met = {name: value.clone() for name, value in state.items() if name.endswith("seen_N")}
    for name, old in model.state_dict().items():
        state[name] = _carried(name, old.cpu(), state[name], rows, row_N)
    for name, seen_N in met.items():  # met then, or since
        state[name] = torch.maximum(state[name], seen_N)
    if "prior.id_FNTP" in state:  # entries of rows by item: those that left weigh nothing
        place = torch.full((len(vocabulary.items),), -1)
        place[torch.from_numpy(row_N[row_N >= 0])] = torch.from_numpy(np.flatnonzero(row_N >= 0))
        moved = place[state["prior.id_FNTP"].long()]
        state["prior.weight_FNTP"] = state["prior.weight_FNTP"] * (moved >= 0)
        state["prior.id_FNTP"] = moved.clamp(min=0).int()
    fresh.load_state_dict(state)
    fresh.vocabulary, fresh.about, fresh.text_folder = now, model.about, model.text_folder
    left_out = len(vocabulary.items) - int((row_N >= 0).sum())
    return Grown(fresh.to(model.device).eval(), new_items, left_out, int(changed_N.sum()))


def _check_same(model: MultiTaskBert, vocabulary: Vocabulary, log: Log) -> None:
    """The log asks the same questions and knows the same kinds of things."""

    def check(what: str, has: Sequence[str], wants: Sequence[str]) -> None:
        if list(has) != list(wants):
            raise UsageError(
                f"{log.name} has the {what} {', '.join(has) or 'none'}, the model was fitted on "
                f"{', '.join(wants) or 'none'}; they must be the same, in the same order"
            )

    own = tasks_of(log.signals, log.like_from)
    check("signals", [_kind(t.signal) for t in own], [_kind(t.signal) for t in model.tasks])
    check("profile columns", log.profile_names, [name for name, _ in vocabulary.profile])
    check("context columns", [c.name for c in log.context], [c.name for c in model.context])
    check("item columns", [c.name for c in log.item_columns], [c.name for c in model.item_columns])


def _kind(signal: Signal) -> str:
    """A signal's name and kind, for people."""
    return f"{signal.name} ({signal.kind})"


def _rows(old: Sequence[str], new: Sequence[str]) -> Ints:
    """Where each new name stands among the old ones, -1 where it does not."""
    place = {name: row for row, name in enumerate(old)}
    return np.array([place.get(name, -1) for name in new], dtype=np.int64)


def _ranges_of(old: Sequence[Column], new: Sequence[Column]) -> tuple[Column, ...]:
    """The log's columns, numbers in the ranges that the model has learned."""
    return tuple(
        column if column.categories else column._replace(low=was.low, high=was.high)
        for column, was in zip(new, old, strict=True)
    )


def _changed(was: Vocabulary, now: Vocabulary, row_N: Ints) -> Bools:
    """Which items the model knows by another text, (N,)."""
    if not was.texts:
        return np.zeros(len(row_N), dtype=bool)
    old_N = np.array([*was.texts, ""])[row_N]  # row -1 is the last
    changed_N: Bools = (row_N >= 0) & (old_N != np.array(now.texts))
    return changed_N


def _text_vectors(model: MultiTaskBert, log: Log, row_N: Ints, progress: bool) -> Tensor:
    """The model's own where it has the item (row_N is not -1), else its encoder's."""
    known_N = row_N >= 0
    old_ND0 = _buffer(model, "text_vectors_ND0")
    vectors_ND0 = torch.zeros(len(row_N), old_ND0.shape[1])
    vectors_ND0[torch.from_numpy(known_N)] = old_ND0[torch.from_numpy(row_N[known_N])]
    if known_N.all():
        return vectors_ND0
    texts = log.items["text"][~known_N].tolist()
    vectors_ND0[torch.from_numpy(~known_N)] = _encoded(model, texts, log.name, progress)
    return vectors_ND0


def _encoded(model: MultiTaskBert, texts: list[str], log: str, progress: bool) -> Tensor:
    """Texts as the model's own encoder reads them."""
    text, encoder = model.settings.text, (model.about or {}).get("encoder")
    if encoder is None:
        raise UsageError(
            f"{len(texts)} items of {log} are new or have a new text, and it is not known which "
            "text encoder made the model's vectors; give text_vectors_ND0"
        )
    if model.text_folder is not None:
        return kept_vectors(model.text_folder, texts, text, progress=progress)
    if text.learns or text.masked_epochs:
        raise UsageError(
            f"{len(texts)} items of {log} are new or have a new text, and the model's folder lacks "
            "its text encoder, which was trained; fit it again, or give text_vectors_ND0"
        )
    given = {} if encoder == HUB_NAME else {"encoder": encoder}
    return item_text_vectors(texts, pooling=text.pooling, progress=progress, **given)


def _buffer(model: MultiTaskBert, leaf: str) -> Tensor:
    """The buffer of that name, wherever in the model it is, on the CPU."""
    found: Tensor = next(v for k, v in model.state_dict().items() if k.split(".")[-1] == leaf)
    return found.cpu()


def _row_tables(
    model: MultiTaskBert, vocabulary: Vocabulary, now: Vocabulary, log: Log, row_N: Ints
) -> dict[str, Ints]:
    """Part of a table's name -> the old row of each of its new rows, -1: none."""
    tables = {"residual.weight": row_N}
    for f, ((_, old), (_, new)) in enumerate(zip(vocabulary.profile, now.profile, strict=True)):
        tables[f"profile_tokens.{f}.weight"] = _rows(old, new)
    kinds = (
        ("context", model.context, log.context),
        ("item", model.item_columns, log.item_columns),
    )
    for kind, olds, news in kinds:
        for z, (was, column) in enumerate(zip(olds, news, strict=True)):
            rows = _rows(was.categories, column.categories)
            moved = np.where(rows < 0, -1, rows + UNKNOWN_FIRST)
            tables[f"{kind}:tables.{z}.weight"] = np.concatenate([[0], moved])
    return tables


def _carried(
    name: str, old: Tensor, new: Tensor, tables: Mapping[str, Ints], row_N: Ints
) -> Tensor:
    """What a tensor of the grown model holds: old values for old names, else what is fresh."""
    if name.endswith(("text_vectors_ND0", "extra_NZ", "media_NV")):
        return new  # of the log
    if found := AXES.search(name):
        letters = re.findall(r"[A-Z]\d?", found.group(1))
        return _moved(old, new.cpu(), row_N, [a for a, x in enumerate(letters) if x == "N"])
    kind = "context" if "start_columns." in name or "request_columns." in name else "item"
    for part, rows in tables.items():
        asked, _, ending = part.rpartition(":")
        if name.endswith(ending) and asked in ("", kind):
            return _moved(old, torch.zeros_like(new).cpu(), rows, [0])
    if old.shape != new.shape:
        raise AssertionError(f"{name} is {tuple(old.shape)} and would be {tuple(new.shape)}")
    return old


def _moved(old: Tensor, fresh: Tensor, rows: Ints, axes: Sequence[int]) -> Tensor:
    """Rows of the old tensor along axes, in the new order; where there is none, fresh ones."""
    at, known = torch.from_numpy(rows), torch.ones((), dtype=torch.bool)
    for axis in axes:
        shape = [1] * old.dim()
        shape[axis] = len(rows)
        known = known & (at >= 0).view(shape)
        old = old.index_select(axis, at.clamp(min=0))
    return torch.where(known, old, fresh) if len(axes) else old
