"""Files that somebody else may have laid: read where they are files, and end."""

from __future__ import annotations

import errno
from pathlib import Path

from slategym.envs.names import UsageError

SETTINGS = 100_000_000  # bytes of a file of settings or results, at most


def whats_wrong(path: Path, most: int | None = None) -> str | None:
    """Why a path is not read: it is a folder, a pipe, a device (links are followed), or too large.

    Args:
        path: which may be missing; nothing is wrong then.
        most: bytes that it may have; None: any number.

    Returns:
        What is wrong, to be said behind the path; None: nothing.

    Raises:
        OSError: it cannot be looked at.
    """
    if path.is_dir():
        return "is a folder, not a file"
    if path.exists() and not path.is_file():
        return "is no file: a pipe or a device, whose reading may never end"
    if most is not None and path.exists() and path.stat().st_size > most:
        return f"has more than {most:,} bytes"
    return None


def check_file(path: Path, most: int | None = None) -> Path:
    """The path, unless it is no file that ends; see `whats_wrong`.

    Raises:
        UsageError: it is none; one line.
    """
    if wrong := whats_wrong(path, most):
        raise UsageError(f"{path} {wrong}")
    return path


# what a path on the command line may be that it should not: missing, no folder, no permission ...
_OF_PATHS = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EEXIST),
        *(errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS, errno.ENXIO),
    )
)
_KINDS = (
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    PermissionError,
    FileExistsError,
)


class PlaceError(OSError, UsageError):
    """Nothing can be written, or read, where the caller says: another place helps."""


def is_of_paths(error: BaseException) -> bool:
    """Whether the path is at fault, and not the disk (full, broken) behind it."""
    return isinstance(error, _KINDS) or (isinstance(error, OSError) and error.errno in _OF_PATHS)


def place_error(error: OSError, said: str) -> OSError:
    """An error in one line of one's own, of the kind that `error` is of."""
    return PlaceError(said) if is_of_paths(error) else OSError(said)
