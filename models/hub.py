"""The Hugging Face hub: what a folder publishes goes up in one commit, and comes down again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from slategym.envs.names import UsageError


class HubApi(Protocol):
    """What pushing needs of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any:
        """Make the repository unless it is there."""
        ...

    def upload_folder(
        self, *, repo_id: str, folder_path: str, commit_message: str, allow_patterns: list[str]
    ) -> Any:
        """Upload the folder's files of these names in one commit."""
        ...


def upload(
    folder: str | Path,
    repo_id: str,
    names: Sequence[str],
    *,
    private: bool | None = None,
    message: str = "Upload model",
    api: HubApi | None = None,
) -> str:
    """Upload files of a folder to the hub in one commit.

    Args:
        folder: in which they lie.
        repo_id: "owner/name"; made if absent.
        names: of the files.
        private: whether only its owner sees it, if it is made; None: the owner's default.
        message: of the commit.
        api: None: the hub's, with the token that `hf auth login` keeps.

    Returns:
        The commit's address, as the api says it.

    Raises:
        UsageError: that is no repository's name, or the hub did not take it; the folder is as it
            was.
    """
    if not is_repository(repo_id):
        raise UsageError(f"{repo_id} is no repository of the hub: its form is owner/name")
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi()
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        return str(
            api.upload_folder(
                repo_id=repo_id,
                folder_path=str(folder),
                commit_message=message,
                allow_patterns=list(names),
            )
        )
    except Exception as error:  # of whatever library carries it: no connection, no token, no right
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UsageError(
            f"{repo_id}: the hub did not take it ({reason}); uploading needs a connection and a "
            "token that may write, which `hf auth login` keeps"
        ) from error


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository's.

    >>> is_repository("owner/name"), is_repository("a/b/c"), is_repository("name")
    (True, False, False)
    """
    owner, slash, repository = name.partition("/")
    return bool(slash and owner and repository) and "/" not in repository


def fetched(name: str, names: Sequence[str], *, revision: str | None = None) -> Path:
    """The local copy of the hub's repository, fetched if it is not there.

    Args:
        name: "owner/name".
        names: of the files that are wanted.
        revision: None: its newest.

    Raises:
        UsageError: it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(names)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"{name}: no such folder, and not to be had from the hub ({reason})"
        ) from error
