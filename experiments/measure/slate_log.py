"""Simulated slates as a log: one row per slot shown, columns named as in `models/data/schema`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.agents.types import Action
from slategym.envs.context import field
from slategym.envs.types import Items, Outcome, Session, World
from slategym.experiments.runs.unnamed_file import unnamed_file

ABOUT = b"slategym"  # key of the file's metadata
FLUSH = 200_000  # rows held in memory before they are written
MONDAY, DAY = 345_600, 86_400  # unix seconds of the first Monday, and how many a day has


class SlateLog:
    """Writes slates to Parquet in chunks; the file appears when all of them are in it.

    Columns, of which the schema of logs knows all but visit, step and context beyond the clock:
    user, item, time (of a world with a clock: unix seconds from Monday 5 January 1970; else the
    step), slate_id (unique), position (0 = first), visit, step, the context that the world shows,
    propensity (exact probability of the whole ordered slate under the policy that showed it; 1 for
    a policy that does not draw), click, and the other signals, empty where nothing was clicked;
    reward (the slot's share: its signals by the world's objective), terminated and truncated (the
    session ended with this slate); and offered, in the first slot's row, where candidates change:
    the ids of those that could be shown.

    Args:
        world: where the slates are shown.
        file: to write into.
        about: what is kept in the file's own metadata, as JSON under ABOUT: world, policy, seed.
    """

    def __init__(
        self, world: World, file: BinaryIO | Path, about: Mapping[str, Any] | None = None
    ) -> None:
        self.world, self._about = world, dict(about or {})
        self._file = file
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._parts: list[pd.DataFrame] = []
        self._held = 0  # rows not written yet
        self._slates = 0  # slates so far
        # unix seconds of each user's last slate; -1: none yet
        self._time_U: NDArray[np.int64] = np.full(world.population.size, -1, np.int64)

    def add(self, session: Session, items: Items, action: Action, outcome: Outcome) -> None:
        """The slates of a batch, as shown to `session`, and what they caused."""
        B, K = items.id.shape

        def column(x_B: Tensor) -> np.ndarray:
            return np.repeat(x_B.cpu().numpy(), K)

        logp_B = torch.zeros(B) if action.logp is None else action.logp
        frame = {
            "user": column(session.user_id),
            "item": items.id.cpu().numpy().ravel(),
            "time": np.repeat(self._times(session), K),
            "slate_id": np.repeat(self._slates + np.arange(B), K),
            "position": np.tile(np.arange(K, dtype=np.int32), B),
            "visit": column(session.visit),
            "step": column(session.step),
        }
        for name in self.world.context.shown:
            frame[name] = column(field(self.world.context, session.context, name))
        frame["propensity"] = column(logp_B.double().exp())
        feedback_SM = outcome.feedback.flatten(0, 1).cpu().numpy()
        clicked_S = feedback_SM[:, 0] > 0
        for m, signal in enumerate(self.world.users.signals):
            values_S = feedback_SM[:, m]
            frame[signal.name] = (
                np.where(clicked_S, values_S, np.float32(np.nan)) if m else values_S
            )
        objective_M = torch.tensor(self.world.objective, device=outcome.feedback.device)
        frame["reward"] = (outcome.feedback * objective_M).sum(2).cpu().numpy().ravel()
        frame["terminated"], frame["truncated"] = column(outcome.left), column(outcome.cut)
        if (id_BC := self.world.candidates.ids(session.offer)) is not None:
            offered = np.full(B * K, None, dtype=object)
            offered[::K] = list(id_BC.cpu().numpy())
            frame["offered"] = offered
        self._slates += B
        self._held += B * K
        self._parts.append(pd.DataFrame(frame))
        if self._held >= FLUSH:
            self._flush()

    def _times(self, session: Session) -> NDArray[np.int64]:
        """When these slates are shown, (B,) int64; what the clock says of a week, unrolled."""
        if "hour" not in self.world.context.shown:
            step_B: NDArray[np.int64] = session.step.cpu().numpy().astype(np.int64)
            return step_B
        user_B = session.user_id.cpu().numpy()
        hour_B = session.context.hour.double().cpu().numpy()
        clock_B = session.context.weekday.cpu().numpy() * DAY + np.rint(hour_B * 3_600)
        shown_B = MONDAY + clock_B.astype(np.int64)
        last_B = self._time_U[user_B]
        later_B = last_B + (shown_B - last_B) % (7 * DAY)
        now_B: NDArray[np.int64] = np.where(last_B < 0, shown_B, later_B)
        self._time_U[user_B] = now_B
        return now_B

    def _flush(self) -> None:
        if not self._parts:
            return
        table = pyarrow.Table.from_pandas(
            pd.concat(self._parts, ignore_index=True), preserve_index=False
        )
        if self._writer is None:
            own = table.schema.metadata or {}
            kept = {**own, ABOUT: json.dumps(self._about).encode()}
            self._writer = pyarrow.parquet.ParquetWriter(
                self._file, table.schema.with_metadata(kept)
            )
        self._writer.write_table(table.replace_schema_metadata(self._writer.schema.metadata))
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
def writing(world: World, path: Path, about: Mapping[str, Any] | None = None) -> Iterator[SlateLog]:
    """A log that replaces `path` when it is whole, and leaves nothing if it never is.

    Args:
        world: where the slates are shown.
        path: of the file; its folder is made if absent.
        about: see `SlateLog`.

    Raises:
        OSError: see `check_place`.
    """
    check_place(path)
    with unnamed_file(path) as file, SlateLog(world, file, about) as log:
        yield log


def check_place(path: Path) -> None:
    """Make the folder of that file.

    Args:
        path: of a file to be written later.

    Raises:
        OSError: in one line, if nothing can be written there, or it is a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write slates into {path.parent}: {error.strerror}; choose another folder"
        ) from error
    if path.is_dir():
        raise OSError(f"cannot write slates to {path}: it is a folder; choose another name")
