"""Simulated slates as a log: one row per slot shown, columns named as in `models/data/schema`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import torch
from torch import Tensor

from slategym.agents.types import Action
from slategym.envs.types import Items, Outcome, Session, World
from slategym.models.assets import atomic_path

FLUSH = 200_000  # rows held in memory before they are written


class SlateLog:
    """Writes slates to Parquet in chunks; the file appears when all of them are in it.

    Columns: user, visit, step, slate_id (unique), position (0 = first), item, the context fields
    that the world shows, propensity (exact probability of the whole ordered slate under the policy
    that showed it; 1 for a policy that does not draw), and one column per signal.

    Args:
        world: where the slates are shown.
        path: of the file.
    """

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self._path = path
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._parts: list[pd.DataFrame] = []
        self._held = 0  # rows not written yet
        self._slates = 0  # slates so far

    def add(self, session: Session, items: Items, action: Action, outcome: Outcome) -> None:
        """The slates of a batch, as shown to `session`, and what they caused."""
        B, K = items.id.shape

        def column(x_B: Tensor) -> np.ndarray:
            return np.repeat(x_B.cpu().numpy(), K)

        logp_B = torch.zeros(B) if action.logp is None else action.logp
        frame = {
            "user": column(session.user_id),
            "visit": column(session.visit),
            "step": column(session.step),
            "slate_id": np.repeat(self._slates + np.arange(B), K),
            "position": np.tile(np.arange(K, dtype=np.int32), B),
            "item": items.id.cpu().numpy().ravel(),
        }
        for name in self.world.context.shown:
            frame[name] = column(getattr(session.context, name))
        frame["propensity"] = column(logp_B.double().exp())
        feedback_SM = outcome.feedback.flatten(0, 1).cpu().numpy()
        for m, signal in enumerate(self.world.users.signals):
            frame[signal.name] = feedback_SM[:, m]
        self._slates += B
        self._held += B * K
        self._parts.append(pd.DataFrame(frame))
        if self._held >= FLUSH:
            self._flush()

    def _flush(self) -> None:
        if not self._parts:
            return
        table = pyarrow.Table.from_pandas(
            pd.concat(self._parts, ignore_index=True), preserve_index=False
        )
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._parts, self._held = [], 0

    def __enter__(self) -> SlateLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()


@contextmanager
def writing(world: World, path: Path) -> Iterator[SlateLog]:
    """A log that replaces `path` when it is whole, and leaves nothing if it never is.

    Args:
        world: where the slates are shown.
        path: of the file; its folder is made if absent.

    Raises:
        OSError: in one line and at once, if nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write slates into {path.parent}: {error.strerror}; choose another folder"
        ) from error
    with atomic_path(path) as temporary, SlateLog(world, temporary) as log:
        yield log
