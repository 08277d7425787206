"""Logs of slates as data sets of libraries that learn or estimate from logs: one call each.

    minari_dataset("slates.parquet", "mine/sardine-v0")  # sessions, observations as they were shown
    d3rlpy_dataset("slates.parquet")                     # vectors and one action a slate
    obp_feedback("slates.parquet")                       # slots with their propensities

The log is what `slategym simulate --out` writes (`slate_log.SlateLog`). None of these libraries is
needed to install slategym; `pip install 'slategym[clients]'` brings those that install beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.envs.names import UsageError
from slategym.envs.observation import read
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.measure.slate_log import ABOUT, FORMAT, SEEN, SEEN_LAST
from slategym.models.checksums import check_beside
from slategym.models.plain_file import check_file

Array = NDArray[Any]


@dataclass(frozen=True)
class LoggedSlates:
    """S slates of E sessions, session after session."""

    about: dict[str, Any]  # the file's metadata, see `SlateLog`
    slate_id: Array  # (S,) as the log counts
    user: Array  # (S,)
    item: Array  # (S, K) ids
    action: Array  # (S, K) positions among the candidates
    reward: Array  # (S, K) float32, of every slot
    terminated: Array  # (S,) bool
    truncated: Array  # (S,) bool
    propensity: Array  # (S,) of the whole slate
    slot_propensity: Array | None  # (S, K) given the slots before; None: not known
    position_propensity: Array | None  # (S, K) whatever the others hold; None: not known
    offered: Array | None  # (S, C) ids; None: a position is an item id
    observation: dict[str, Array]  # (S, ...) each; empty: the log holds none
    final_observation: dict[str, Array]  # (E, ...) each, after the last slate of a session

    @property
    def last(self) -> Array:
        """Rows of sessions' last slates, (E,), ascending."""
        return np.flatnonzero(self.terminated | self.truncated)

    def world(self) -> World:
        """Where it was written, made anew.

        Raises:
            UsageError: the log does not say.
        """
        if "world" not in self.about:
            raise UsageError(
                "this log does not say in which world it was written; write it with "
                "`slategym simulate WORLD --out`, or give about={'world': ..., 'settings': ...}"
            )
        return make_world(self.about["world"], **self.about.get("settings", {}))


def read_slates(path: Path | str) -> LoggedSlates:
    """A log of slates, in memory.

    Args:
        path: Parquet, as `SlateLog` writes it.

    Raises:
        UsageError: it is no such log, or of another format.
        Damaged: it was altered since it was written.
        FileNotFoundError: it is not there.
    """
    path = Path(path)
    check_beside(check_file(path))
    try:
        table = pyarrow.parquet.read_table(path)
        about = json.loads((table.schema.metadata or {}).get(ABOUT, b"{}"))
    except (pyarrow.ArrowInvalid, ValueError) as error:
        raise UsageError(f"{path} is no log of slates: {error}") from error
    if about.get("format") != FORMAT:
        raise UsageError(
            f"{path} is no log of slates of format {FORMAT} (got {about.get('format')}); write it "
            "with `slategym simulate WORLD --out`"
        )
    K = int(about["slots"])

    def plain(name: str) -> Array:
        found: Array = table[name].to_numpy()
        return found.reshape(-1, K)

    visits = (plain("user")[:, 0], plain("visit")[:, 0], plain("step")[:, 0])
    order_S = np.lexsort(visits[::-1])

    def slots(name: str) -> Array | None:
        return plain(name)[order_S] if name in table.column_names else None

    def lists(name: str, form: dict[str, Any] | None) -> Array:
        flat: Array = table[name].combine_chunks().flatten().to_numpy()
        has_S = table[name].is_valid().to_numpy()[::K]
        shape = form["shape"] if form else (-1,)
        rows: Array = flat.reshape(int(has_S.sum()), *shape)
        at_S = np.where(has_S, has_S.cumsum() - 1, -1)[order_S]
        return rows[at_S[at_S >= 0]]

    seen = about.get("observation", {})
    required = {name: plain(name)[order_S] for name in ("item", "action", "reward")}
    per_slate = {
        name: plain(name)[order_S, 0]
        for name in ("slate_id", "user", "terminated", "truncated", "propensity")
    }
    return LoggedSlates(
        about=about,
        **required,
        **per_slate,
        slot_propensity=slots("slot_propensity"),
        position_propensity=slots("position_propensity"),
        offered=lists("offered", None) if "offered" in table.column_names else None,
        observation={name: lists(SEEN + name, form) for name, form in seen.items()},
        final_observation={name: lists(SEEN_LAST + name, form) for name, form in seen.items()},
    )


def minari_dataset(path: Path | str, dataset_id: str, **said: Any) -> Any:
    """A Minari data set of a log: Dict observations and slates of positions, as `step` takes them.

    Args:
        path: of the log.
        dataset_id: its name in Minari, such as "mine/sardine-v0".
        said: handed to `minari.create_dataset_from_buffers`: author, description, ...

    Returns:
        The `minari.MinariDataset`, which Minari keeps; `recover_environment()` makes its world.

    Raises:
        UsageError: minari is not installed; the log holds no observations.
    """
    minari = _library("minari")
    import gymnasium

    log = _with_observations(path)
    buffers, first = [], 0
    for e, last in enumerate(log.last):
        rows = slice(first, last + 1)
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                id=e,
                seed=log.about.get("seed"),
                options={"user": int(log.user[first])},
                observations={
                    name: np.concatenate([x[rows], log.final_observation[name][e : e + 1]])
                    for name, x in log.observation.items()
                },
                actions=log.action[rows].astype(np.int32),
                rewards=log.reward[rows].sum(1).astype(np.float64),
                terminations=log.terminated[rows],
                truncations=log.truncated[rows],
                infos={},
            )
        )
        first = last + 1
    log.world()  # says so where the log does not name it
    env = gymnasium.make(log.about["world"], **log.about.get("settings", {}))
    return minari.create_dataset_from_buffers(
        dataset_id, buffers, env=env, algorithm_name=log.about.get("policy"), **said
    )


def d3rlpy_dataset(path: Path | str) -> Any:
    """A d3rlpy data set of a log: vectors of what our own learners read, one action a slate.

    Where slates have one slot and positions are item ids, actions are discrete: the position. Else
    they are points of the item space, as `ItemSpace` and `ProtoActionWrapper` take them: from the
    middle of what could be shown towards the middle of the slate.

    Args:
        path: of the log.

    Returns:
        The `d3rlpy.dataset.MDPDataset`.

    Raises:
        UsageError: d3rlpy is not installed; the log holds no observations or names no world.
    """
    d3rlpy = _library("d3rlpy")
    log = _with_observations(path)
    world = log.world()
    discrete = log.item.shape[1] == 1 and log.offered is None
    kind = d3rlpy.constants.ActionSpace
    return d3rlpy.dataset.MDPDataset(
        observations=vectors(log, world),
        actions=log.action if discrete else towards(log, world),
        rewards=log.reward.sum(1, keepdims=True),
        terminals=log.terminated.astype(np.float32),
        timeouts=log.truncated.astype(np.float32),
        action_space=kind.DISCRETE if discrete else kind.CONTINUOUS,
        action_size=world.num_candidates if discrete else world.catalogue.embedding.shape[1],
    )


def obp_feedback(path: Path | str) -> dict[str, Any]:
    """A log as the slate estimators of the Open Bandit Pipeline take it.

    Args:
        path: of the log. Estimators look at a slate by itself: of a world whose sessions are one
            slate long they say what a policy earns; of longer ones, what a slate does.

    Returns:
        n_rounds S, n_unique_action N, len_list K, and of every slot (S * K,): slate_id, position,
        action (item ids), reward, pscore (of the slate), pscore_cascade (of the slots up to this
        one) and pscore_item_position (of the item in this slot); None where the policy that was
        logged does not know it.
    """
    log = read_slates(path)
    S, K = log.item.shape
    cascade = None if log.slot_propensity is None else log.slot_propensity.cumprod(1).ravel()
    marginal = None if log.position_propensity is None else log.position_propensity.ravel()
    return {
        "n_rounds": S,
        "n_unique_action": log.world().catalogue.num_items,
        "len_list": K,
        "slate_id": np.repeat(np.arange(S), K),
        "position": np.tile(np.arange(K), S),
        "action": log.item.ravel(),
        "reward": log.reward.ravel(),
        "pscore": np.repeat(log.propensity, K),
        "pscore_cascade": cascade,
        "pscore_item_position": marginal,
    }


def vectors(log: LoggedSlates, world: World) -> Array:
    """What our own learners read off each observation, (S, X) float32; see `Inputs`."""
    inputs, parts = Inputs(world), []
    for at in range(0, len(log.item), 4_096):
        shown = {name: x[at : at + 4_096] for name, x in log.observation.items()}
        parts.append(inputs.vector(read(world, shown)).cpu().numpy())
    return np.concatenate(parts)


def towards(log: LoggedSlates, world: World) -> Array:
    """A point of the item space that shows what was shown, as far as one can, (S, D) float32.

    From the middle of what could be shown to the middle of the slate; only the direction matters.
    """
    embedding_ND = world.catalogue.embedding.cpu()
    shown_SD = embedding_ND[_ids(log.item)].mean(1)
    if log.offered is not None:
        could_SD = embedding_ND[_ids(log.offered)].mean(1)
    elif "action_mask" in log.observation:
        mask_SN = torch.as_tensor(log.observation["action_mask"]).float()
        could_SD = mask_SN @ embedding_ND / mask_SN.sum(1, keepdim=True).clamp(min=1.0)
    else:
        could_SD = embedding_ND.mean(0).expand_as(shown_SD)
    way_SD = shown_SD - could_SD
    scaled: Array = (way_SD / way_SD.abs().amax(1, keepdim=True).clamp(min=1e-12)).numpy()
    return scaled


def _ids(item: Array) -> Tensor:
    return torch.as_tensor(item).long()


def _with_observations(path: Path | str) -> LoggedSlates:
    log = read_slates(path)
    if not log.observation:
        raise UsageError(
            f"{path} holds no observations, of which an offline learner learns; write it with "
            "`slategym simulate WORLD --out`, without --no-observations"
        )
    return log


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"{name} is not installed: pip install {name} ({error})") from error
