"""Simulated slates as a log: one row per slot shown, columns named as in `models/data/schema`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.observation import show
from slategym.envs.types import Items, Outcome, Session, World
from slategym.experiments.runs.store import check_place
from slategym.experiments.runs.unnamed_file import unnamed_file

ABOUT = b"slategym"  # key of the file's metadata
FORMAT = 2  # of the file; raise it when columns or metadata change their meaning
SEEN, SEEN_LAST = "observation_", "final_observation_"  # before an observation's keys, as columns
FLUSH_ROWS, FLUSH_BYTES = 200_000, 64_000_000  # held in memory before they are written
MONDAY, DAY = 345_600, 86_400  # unix seconds of the first Monday, and how many a day has


class SlateLog:
    """Writes slates to Parquet in chunks; the file appears when all of them are in it.

    Columns, of which the schema of logs knows user to propensity and the signals:

    - user, item; time (of a world with a clock: unix seconds from Monday 5 January 1970; else the
      step); slate_id (unique); position (0 = first); visit, step; the context that is shown.
    - action: the item's position among the candidates, which is what `step` takes.
    - propensity: exact probability of the whole ordered slate under the policy that showed it;
      slot_propensity: of the slot's item given the slots before it; position_propensity: of this
      item in this slot, whatever the others hold. All are 1 for a policy that does not draw; the
      last two are left out where the policy does not know them.
    - click and the other signals, empty where nothing was clicked; reward (the slot's share: its
      signals by the world's objective); terminated, truncated (the session ended with this slate).
    - in the first slot's row: offered, where candidates change: the ids of those that could be
      shown; observation_KEY: what the agent was shown before, as the environments show it, flat;
      final_observation_KEY: what it was shown after the session's last slate.

    The file's metadata hold, as JSON under ABOUT: format, status, what the caller says (world,
    settings, policy, seed), signals, objective, slots, candidates, and shape and dtype of each
    part of an observation.

    Args:
        world: where the slates are shown.
        file: to write into.
        about: world, settings, policy and seed, for the metadata.
        observations: keep what was shown to the agent.
    """

    def __init__(
        self,
        world: World,
        file: BinaryIO | Path,
        about: Mapping[str, Any] | None = None,
        observations: bool = True,
    ) -> None:
        self.world, self._file, self._observations = world, file, observations
        self._about = {"format": FORMAT, "status": "finished", **(about or {})}
        self._about |= {
            "signals": [signal.name for signal in world.users.signals],
            "objective": list(world.objective),
            "slots": world.slate_size,
            "candidates": world.num_candidates,
        }
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._parts: list[pyarrow.Table] = []
        self._rows, self._bytes = 0, 0  # of the parts
        self._slates = 0  # slates so far
        # unix seconds of each user's last slate; -1: none yet
        self._time_U: NDArray[np.int64] = np.full(world.population.size, -1, np.int64)
        # days away before the visit of that slate
        self._gap_U: NDArray[np.float64] = np.zeros(world.population.size)

    def add(
        self, session: Session, items: Items, action: Action, outcome: Outcome, after: Session
    ) -> None:
        """The slates of a batch.

        Args:
            session: of B users, to whom they were shown.
            items: what was shown, (B, K).
            action: why.
            outcome: what they caused.
            after: the sessions then.
        """
        B, K = items.id.shape

        def column(x_B: Tensor) -> np.ndarray:
            return np.repeat(x_B.cpu().numpy(), K)

        columns: dict[str, Any] = {
            "user": column(session.user_id),
            "item": items.id.cpu().numpy().ravel(),
            "time": np.repeat(self._times(session), K),
            "slate_id": np.repeat(self._slates + np.arange(B), K),
            "position": np.tile(np.arange(K, dtype=np.int32), B),
            "visit": column(session.visit),
            "step": column(session.step),
        }
        for name in self.world.context.shown:
            columns[name] = column(field(self.world.context, session.context, name))
        columns["action"] = action.slate.int().cpu().numpy().ravel()
        columns |= _propensities(action, B, K)
        feedback_SM = outcome.feedback.flatten(0, 1).cpu().numpy()
        clicked_S = feedback_SM[:, 0] > 0
        for m, signal in enumerate(self.world.users.signals):
            values_S = feedback_SM[:, m]
            columns[signal.name] = (
                np.where(clicked_S, values_S, np.float32(np.nan)) if m else values_S
            )
        objective_M = torch.tensor(self.world.objective, device=outcome.feedback.device)
        columns["reward"] = (outcome.feedback * objective_M).sum(2).cpu().numpy().ravel()
        columns["terminated"], columns["truncated"] = column(outcome.left), column(outcome.cut)
        every_B = np.ones(B, dtype=np.bool_)
        if (id_BC := self.world.candidates.ids(session.offer)) is not None:
            columns["offered"] = _in_first_slots(id_BC, every_B, K)
        if self._observations:
            ended_B = (outcome.left | outcome.cut).cpu().numpy()
            columns |= self._seen(SEEN, session, every_B)
            columns |= self._seen(SEEN_LAST, after, ended_B)
        self._slates += B
        part = pyarrow.table(columns)
        self._parts.append(part)
        self._rows, self._bytes = self._rows + part.num_rows, self._bytes + part.nbytes
        if self._rows >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES:
            self._flush()

    def _seen(
        self, prefix: str, session: Session, kept_B: NDArray[np.bool_]
    ) -> dict[str, pyarrow.Array]:
        """What those sessions' agents see, by column."""
        shown = show(self.world, engine.observe(self.world, session))
        if "observation" not in self._about:
            self._about["observation"] = {
                name: {"shape": list(x.shape[1:]), "dtype": str(x.cpu().numpy().dtype)}
                for name, x in shown.items()
            }
        K = self.world.slate_size
        return {prefix + name: _in_first_slots(x, kept_B, K) for name, x in shown.items()}

    def _times(self, session: Session) -> NDArray[np.int64]:
        """When these are shown, (B,) int64; the clock of a week and the days away, unrolled."""
        if "hour" not in self.world.context.shown:
            step_B: NDArray[np.int64] = session.step.cpu().numpy().astype(np.int64)
            return step_B
        user_B = session.user_id.cpu().numpy()
        hour_B = session.context.hour.double().cpu().numpy()
        clock_B = session.context.weekday.cpu().numpy() * DAY + np.rint(hour_B * 3_600)
        shown_B = MONDAY + clock_B.astype(np.int64)
        last_B = self._time_U[user_B]
        later_B = last_B + (shown_B - last_B) % (7 * DAY)
        gap_B = session.context.gap.double().cpu().numpy()
        returns_B = gap_B != self._gap_U[user_B]
        weeks_B = np.rint((gap_B * DAY - (later_B - last_B)) / (7 * DAY)).clip(0).astype(np.int64)
        later_B = later_B + 7 * DAY * np.where(returns_B, weeks_B, 0)
        self._gap_U[user_B] = gap_B
        now_B: NDArray[np.int64] = np.where(last_B < 0, shown_B, later_B)
        self._time_U[user_B] = now_B
        return now_B

    def _flush(self) -> None:
        if not self._parts:
            return
        table = pyarrow.concat_tables(self._parts)
        if self._writer is None:
            kept = {ABOUT: json.dumps(self._about).encode()}
            self._writer = pyarrow.parquet.ParquetWriter(
                self._file, table.schema.with_metadata(kept)
            )
        self._writer.write_table(table.replace_schema_metadata(self._writer.schema.metadata))
        self._parts, self._rows, self._bytes = [], 0, 0

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


def _propensities(action: Action, B: int, K: int) -> dict[str, NDArray[np.float64]]:
    """Columns of a slate's chances, (B * K,) each; those that the policy knows."""

    def chance(logp: Tensor) -> NDArray[np.float64]:
        wide_BK = logp.double().exp().view(B, -1).expand(B, K)
        return np.ascontiguousarray(wide_BK.cpu().numpy()).ravel()

    if action.logp is None:
        sure = np.ones(B * K)
        return {"propensity": sure, "slot_propensity": sure, "position_propensity": sure}
    found = {"propensity": chance(action.logp)}
    if action.slot_logp is not None:
        found["slot_propensity"] = chance(action.slot_logp)
    if action.position_logp is not None:
        found["position_propensity"] = chance(action.position_logp)
    return found


def _in_first_slots(x: Tensor, kept_B: NDArray[np.bool_], K: int) -> pyarrow.Array:
    """Lists in the first slot's rows of the slates that are kept, nothing in all other rows.

    Args:
        x: (B, ...).
        kept_B: which slates.
        K: rows a slate.
    """
    flat_RD = x.flatten(1).cpu().numpy()[kept_B]
    full_R = np.zeros(len(kept_B) * K, dtype=np.bool_)
    full_R[::K] = kept_B
    end_R = np.concatenate([[0], full_R.cumsum() * flat_RD.shape[1]]).astype(np.int32)
    return pyarrow.ListArray.from_arrays(
        pyarrow.array(end_R), pyarrow.array(flat_RD.ravel()), mask=pyarrow.array(~full_R)
    )


@contextmanager
def writing(
    world: World,
    path: Path,
    about: Mapping[str, Any] | None = None,
    observations: bool = True,
) -> Iterator[SlateLog]:
    """A log that replaces `path` when it is whole, and leaves nothing if it never is.

    Args:
        world: where the slates are shown.
        path: of the file; its folder is made if absent.
        about: see `SlateLog`.
        observations: keep what was shown to the agent.

    Raises:
        OSError: see `check_place`.
    """
    check_place(path)
    with unnamed_file(path) as file, SlateLog(world, file, about, observations) as log:
        yield log
