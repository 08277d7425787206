"""Settings of a world as the command line takes them: NAME=VALUE, checked against its builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slategym.envs.names import UsageError
from slategym.envs.registry import check_names, find_world
from slategym.envs.settings import check_kinds
from slategym.experiments.cli.declared import kinds_of, parameters_of
from slategym.experiments.cli.pairs import as_texts, read_pairs


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
