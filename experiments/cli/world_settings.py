"""Settings of a world as the command line takes them: NAME=VALUE, checked against its builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

from slategym.envs.names import UsageError
from slategym.envs.registry import find_world
from slategym.experiments.cli.pairs import as_texts, check_kinds, read_pairs


def read_settings(world: str, pairs: Sequence[str]) -> dict[str, Any]:
    """What `--set` says, for `make_world`; that a world has such a setting is for the registry.

    Args:
        world: id of a registered world.
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.

    Raises:
        UsageError: if a pair is none, comes twice, or holds another kind of value than the setting.
    """
    given = read_pairs("--set", pairs)
    if "device" in given:
        raise UsageError("--set device: give --device instead")
    id, entry = find_world(world)
    kinds = get_type_hints(entry.load())
    return check_kinds(id, as_texts(given, pairs, kinds), kinds)
