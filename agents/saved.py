"""Trained policies on disk: settings as JSON, weights as safetensors, nothing that runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from slategym.agents.core.features import RecentTopics
from slategym.agents.core.ranker import Ranker
from slategym.agents.policy_gradient.residual import (
    PlackettLuce,
    RankedView,
    ResidualNetwork,
    ResidualSettings,
)
from slategym.agents.sb3.proto_action import ActorNetwork, Proto, ProtoView
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.models.files import atomic_path

SETTINGS, WEIGHTS = "policy.json", "policy.safetensors"


def recent_topics(world: World) -> RecentTopics:
    """The features of a world's topics."""
    catalogue = world.catalogue
    return RecentTopics(catalogue.topic.long(), catalogue.num_topics, world.horizon)


def save_policy(policy: PlackettLuce | Proto, folder: Path, about: dict[str, Any]) -> None:
    """Write a policy whole: weights first, the settings that name it last.

    Args:
        policy: what to save.
        folder: made if absent.
        about: JSON to keep beside it: how it was trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: x.detach().cpu().contiguous() for name, x in policy.network.state_dict().items()
    }
    with atomic_path(folder / WEIGHTS) as path:
        save_file(weights, path)
    settings: dict[str, Any] = {
        "policy": policy.name,
        "num_slots": policy.view.num_slots,
        "num_candidates": policy.view.num_candidates,
        "about": about,
    }
    if isinstance(policy, PlackettLuce):
        settings["network"] = asdict(policy.network.settings)
    else:
        settings["hidden"] = policy.network.hidden
        settings["residual"] = policy.view.residual
    with atomic_path(folder / SETTINGS) as path:
        path.write_text(json.dumps(settings, indent=2, sort_keys=True))


def is_saved(folder: Path) -> bool:
    """Whether a whole policy lies there."""
    return (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file()


def load_policy(folder: Path, world: World, ranker: Ranker) -> PlackettLuce | Proto:
    """Read what `save_policy` wrote, for a world with the same catalogue and slate size.

    Args:
        folder: that was written.
        world: where the policy will act.
        ranker: the supervised ranker of that world's observer.

    Raises:
        UsageError: if it was trained for other slates or another catalogue.
    """
    settings = json.loads((folder / SETTINGS).read_text())
    if settings["num_slots"] != world.slate_size:
        raise UsageError(
            f"{folder} was trained for slates of {settings['num_slots']}, "
            f"{world.name} shows {world.slate_size}; pass slate_size={settings['num_slots']}"
        )
    weights, recent = load_file(folder / WEIGHTS), recent_topics(world)
    count, slots = settings["num_candidates"], settings["num_slots"]
    policy: PlackettLuce | Proto
    if settings["policy"] == "plackett-luce":
        network = ResidualNetwork(
            ResidualSettings(**settings["network"]),
            ranker.unit_items,
            recent.topic_N,
            recent.num_topics,
        )
        policy = PlackettLuce(network, RankedView(ranker, recent, count, slots), world)
    else:
        view = ProtoView(ranker, recent, count, slots, residual=settings["residual"])
        actor = ActorNetwork(view.width, view.action_width, tuple(settings["hidden"]))
        policy = Proto(actor, view, world)
    try:
        policy.network.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"{folder} does not fit {world.name}: {str(error).splitlines()[-1].strip()}"
        ) from error
    return policy
