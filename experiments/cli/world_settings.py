"""Settings of a world as the command line takes them: NAME=VALUE, checked against its builder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slategym.envs.names import UsageError
from slategym.envs.registry import check_names, find_world
from slategym.envs.settings import check_kinds
from slategym.experiments.cli.declared import kinds_of, parameters_of
from slategym.experiments.cli.pairs import as_texts, read_pairs

if TYPE_CHECKING:
    from slategym.experiments.measure.training import Home


def read_settings(world: str, pairs: Sequence[str]) -> dict[str, Any]:
    """What `--set` says, for `make_world`.

    Args:
        world: id of a registered world.
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.

    Raises:
        UsageError: if a pair is none, comes twice, names no setting of the world, or holds another
            kind of value than the setting.
    """
    given = read_pairs("--set", pairs)
    if "device" in given:
        raise UsageError("--set device: give --device instead")
    id, entry = find_world(world)
    kinds = kinds_of(parameters_of(entry.builder)) if given else {}
    check_names(id, entry, given, kinds)
    return check_kinds(id, as_texts(given, pairs, kinds), kinds)


def home_of(policy: str, world: str, settings: list[str] | None) -> Home | None:
    """Where a policy acts, as typed; None: where it was trained. Imports no torch.

    Raises:
        UsageError: there is no such policy, world or setting; there are settings and no world.
    """
    from slategym.agents.registry import find_policy

    try:
        find_policy(policy)
    except UsageError as error:
        if Path(policy).exists() or world or not str(error).startswith("unknown policy"):
            raise
        raise UsageError(f"there is no folder {policy}; {error}") from error
    if not world:
        if settings:
            raise UsageError("--set is for a world given with --world")
        return None
    id, _ = find_world(world)
    given = read_settings(world, settings or [])
    from slategym.experiments.measure.training import Home

    return Home(id, given)
