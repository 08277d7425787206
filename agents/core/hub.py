"""Trained agents on the Hugging Face hub: weights as safetensors, settings as JSON, a card.

What comes from the hub runs no code: an agent of a class that is not registered here is refused.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import copyfile

from slategym.agents.core.card import agent_card
from slategym.agents.core.files import ABOUT, WEIGHTS, check_weights, read_about
from slategym.envs.names import UsageError
from slategym.models.hub import HubApi, fetched, is_repository, upload

CARD = "README.md"
PUBLISHED = (ABOUT, WEIGHTS, CARD)  # what goes to the hub: no checkpoint, no readings


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    message: str = "Upload agent",
    api: HubApi | None = None,
) -> str:
    """Upload a trained agent to the hub in one commit, with a card.

    Args:
        folder: that `Agent.save` or `slategym train` left.
        repo_id: "owner/name"; made if absent.
        private: whether only its owner sees it, if it is made; None: the owner's default.
        message: of the commit.
        api: None: the hub's, with the token that `hf auth login` keeps.

    Returns:
        The commit's address, as the api says it.

    Raises:
        UsageError: no trained agent lies there. Damaged: its weights were altered.
    """
    folder = Path(folder).expanduser()
    if not (folder / ABOUT).is_file():
        raise UsageError(f"{folder} holds no trained agent: {ABOUT} is missing")
    kept = read_about(folder)
    check_weights(folder, kept)
    with tempfile.TemporaryDirectory() as place:
        for name in (ABOUT, WEIGHTS):
            copyfile(folder / name, Path(place) / name)
        (Path(place) / CARD).write_text(agent_card(kept), encoding="utf-8")
        return upload(place, repo_id, PUBLISHED, private=private, message=message, api=api)


def fetch(name: str, *, revision: str | None = None) -> Path:
    """The local copy of an agent of the hub.

    Args:
        name: "owner/name".
        revision: of the repository; None: its newest.

    Raises:
        UsageError: it cannot be had.
    """
    if not is_repository(name):
        raise UsageError(f"{name} is no repository of the hub: its form is owner/name")
    return fetched(name, PUBLISHED, revision=revision)
