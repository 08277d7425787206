"""A simulated log, with what was seen at each slate: the world is played again, slate by slate.

Luck is a function of who and when, so that the same slates cause the same clicks; where they do
not, log and world do not belong together, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from slategym.envs import engine
from slategym.envs.names import UsageError, lookup
from slategym.envs.seating import seed_word
from slategym.envs.trees import at_rows
from slategym.envs.types import Observation, World
from slategym.experiments.measure.slate_log import ABOUT
from slategym.experiments.ope.slates import LoggedSlates, from_rows
from slategym.models.data.description import PROPENSITIES
from slategym.models.plain_file import check_file

COLUMNS = ("user", "item", "time", "slate_id", "position", "visit", "step", "action", "click")


def read_slates(path: Path) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The rows and the metadata of what `slategym simulate --out` wrote.

    Raises:
        UsageError: it is no such file.
    """
    try:
        file = pyarrow.parquet.ParquetFile(check_file(path))
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {error}") from error
    about = json.loads((file.schema_arrow.metadata or {}).get(ABOUT, b"{}"))
    lacking = [n for n in (*COLUMNS, "reward") if n not in file.schema_arrow.names]
    if lacking or not {"world", "settings", "seed"} <= about.keys():
        what = f"lacks {', '.join(lacking)}" if lacking else "does not say which world it is of"
        raise UsageError(f"{path} {what}: write it by slategym simulate WORLD --out FILE.parquet")
    wanted = dict.fromkeys([*COLUMNS, "reward", *about.get("signals", []), *PROPENSITIES])
    names = [name for name in wanted if name in file.schema_arrow.names]
    return file.read(columns=names).to_pandas(), about


def simulated_slates(
    rows: pd.DataFrame, world: World, reward: Mapping[str, float] | None = None
) -> tuple[LoggedSlates, pd.DataFrame]:
    """Slates by user, visit and step, and the rows in that order.

    Args:
        rows: as `read_slates` gave them.
        world: of the log.
        reward: weight of signals; None: the world's objective.
    """
    rows = rows.sort_values(["user", "visit", "step", "position"], ignore_index=True)
    if reward is not None:
        known = {signal.name: signal for signal in world.users.signals}
        names = {lookup("signal", name, known).name: weight for name, weight in reward.items()}
        rows["reward"] = sum(w * rows[n].fillna(0.0).astype(float) for n, w in names.items())
    session = rows["user"].to_numpy(np.int64) * (int(rows["visit"].max()) + 1) + rows["visit"]
    person = rows["user"].to_numpy(np.int64)
    if world.population.person is not None:
        person = world.population.person.cpu().numpy()[person]
    told = rows.assign(visit=session.to_numpy(), user=person)
    slates = from_rows(told, world.catalogue.num_items)
    return slates, rows


class Replayed:
    """What was seen at each slate of a simulated log.

    Args:
        world: of the log.
        rows: as `simulated_slates` gave them.
        slates: of these rows.
        seed: of the simulation.
    """

    def __init__(self, world: World, rows: pd.DataFrame, slates: LoggedSlates, seed: int) -> None:
        self.world, self.slates, self.seed = world, slates, seed
        head = rows.iloc[slates.row_S]
        self.user_S = head["user"].to_numpy(np.int32)
        self.visit_S = head["visit"].to_numpy(np.int32)
        self.step_S = head["step"].to_numpy(np.int64)
        S, K = slates.num_slates, slates.num_slots
        self.action_SK = rows["action"].to_numpy(np.int32).reshape(S, K)
        self.click_SK = rows["click"].to_numpy(np.float32).reshape(S, K) > 0

    @property
    def num_candidates(self) -> int:
        """C."""
        return self.world.num_candidates

    @property
    def profile_sizes(self) -> tuple[int, ...]:
        """Of the world's people."""
        return self.world.population.profile_sizes

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Observation]]:
        """Play some sessions at a time, each slate as it was shown.

        Raises:
            UsageError: the clicks are not the log's.
        """
        first_E = np.flatnonzero(self.step_S == 0)
        for begin in range(0, len(first_E), size):
            yield from self._play(first_E[begin : begin + size])

    def _play(self, first_B: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Observation]]:
        user_B = torch.as_tensor(self.user_S[first_B])
        seed_B = torch.full_like(user_B, seed_word(self.seed))
        visit_B = torch.as_tensor(self.visit_S[first_B])
        session, slate_B = engine.start(self.world, seed_B, user_B, visit_B), first_B
        while len(slate_B):
            yield slate_B, engine.observe(self.world, session)
            shown_BK = torch.as_tensor(self.action_SK[slate_B])
            session, outcome = engine.transition(self.world, session, shown_BK)
            clicked_BK = outcome.feedback[..., 0].cpu().numpy() > 0
            if (clicked_BK != self.click_SK[slate_B]).any():
                raise UsageError(
                    "the log's clicks are not what its world makes of its slates: the world has "
                    "changed since, or a model behind it was fitted anew; simulate the log again"
                )
            following_B = slate_B + 1
            going_B = following_B < len(self.step_S)
            going_B &= self.step_S[following_B.clip(max=len(self.step_S) - 1)] > 0
            session = at_rows(session, torch.as_tensor(going_B).nonzero()[:, 0])
            slate_B = following_B[going_B]
