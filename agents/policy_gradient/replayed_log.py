"""A log of simulated slates, lived through once more to see what its policy saw.

A log holds what was shown and clicked, not all that was to be seen. But luck is a function of who,
when and what for, so the same slates before the same people under the same seed bring about the
same session; that the clicks agree with the log is checked, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.rollout import RolloutBuffer
from slategym.envs import engine
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, Session, World
from slategym.models.plain_file import check_file


class ReplayedLog(NamedTuple):
    """T slates of B sessions, those that were over before T included."""

    shown: dict[str, Tensor]  # (T, B, ...) each, what the requests looked like
    slate: Tensor  # (T, B, K) int64 positions
    logp: Tensor  # (T, B) log-propensity of the whole slate, nats
    reward: Tensor  # (T, B, K) by slot
    ended: Tensor  # (T, B) bool, the last slate of a session
    alive: Tensor  # (T, B) bool, slates that are in the log


@torch.no_grad()
def replayed(
    world: World, path: Path, seed: int, show: Callable[[Observation], dict[str, Tensor]]
) -> ReplayedLog:
    """Live through a log.

    Args:
        world: where it was written, with the same settings.
        path: Parquet, as `slategym simulate --out` writes it.
        seed: that it was simulated with.
        show: what to keep of every request, (B, ...) each.

    Raises:
        UsageError: its policy did not draw its slates; another seed or world brought it about.
    """
    items_TBK, clicks_TBK, logp_TB, user_B, visit_B = _read(world, path)
    alive_TB = items_TBK[:, :, 0] >= 0
    session = engine.start(world, torch.full_like(user_B, seed), user_B, visit_B)
    reward_M = torch.tensor(world.objective, device=world.device)
    T = len(items_TBK)
    requests, outcomes = RolloutBuffer(1, T), RolloutBuffer(1, T)
    for t in range(T):
        slate_BK = _positions(world, session, items_TBK[t].clamp(min=0))
        requests.keep(t, show(engine.observe(world, session)))
        session, outcome = engine.transition(world, session, slate_BK)
        click_BK = outcome.feedback[..., 0]
        if not torch.equal(click_BK[alive_TB[t]], clicks_TBK[t][alive_TB[t]]):
            raise UsageError(
                f"{path} was not simulated in {world.name} with these settings and seed {seed}: at "
                f"step {t} other slots are clicked; give the world and the seed that it comes from"
            )
        outcomes.keep(t, {"slate": slate_BK.long(), "reward": outcome.feedback @ reward_M})
    next_TB = torch.cat([alive_TB[1:], torch.zeros_like(alive_TB[:1])])
    return ReplayedLog(
        shown={name: x[0] for name, x in requests.parts.items()},
        slate=outcomes.parts["slate"][0],
        logp=logp_TB,
        reward=outcomes.parts["reward"][0],
        ended=alive_TB & ~next_TB,
        alive=alive_TB,
    )


def _read(world: World, path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Items and clicks (T, B, K), -1 after the end; log-propensities (T, B); who (B,), (B,)."""
    log = pd.read_parquet(check_file(path))
    if (log["propensity"] >= 1.0).all():
        raise UsageError(
            f"the policy of {path} did not draw its slates, so that nothing can be told of others; "
            "log one that draws, such as random, or a trained one with --explore"
        )
    sessions = log[["user", "visit"]].drop_duplicates()
    lane_R = pd.MultiIndex.from_frame(sessions).get_indexer(
        pd.MultiIndex.from_frame(log[["user", "visit"]])
    )
    where = (log["step"].to_numpy(), lane_R, log["position"].to_numpy())
    shape = (int(where[0].max()) + 1, len(sessions), world.slate_size)
    items_TBK, clicks_TBK = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    logp_TB = np.zeros(shape[:2], np.float32)
    items_TBK[where], clicks_TBK[where] = log["item"], log["click"]
    logp_TB[where[:2]] = np.log(log["propensity"].to_numpy())
    who = (sessions[name].to_numpy(np.int32) for name in ("user", "visit"))
    arrays = (items_TBK, clicks_TBK, logp_TB, *who)
    items, clicks, logp, user, visit = (torch.tensor(x, device=world.device) for x in arrays)
    return items, clicks, logp, user, visit


def _positions(world: World, session: Session, item_BK: Tensor) -> Tensor:
    """Where these items stand among the candidates, (B, K) int32."""
    id_BC = world.candidates.ids(session.offer)
    if id_BC is None:
        return item_BK
    match_BKC = id_BC[:, None, :] == item_BK[:, :, None]
    # an offer may hold an item twice: the slate's second is the offer's second
    earlier_BK = (item_BK[:, :, None] == item_BK[:, None, :]).tril(-1).sum(2)
    nth_BKC = match_BKC & (match_BKC.cumsum(2) == earlier_BK[..., None] + 1)
    return nth_BKC.int().argmax(2).int()
