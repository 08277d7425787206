"""Where slategym keeps files, and how a file is written: whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """The folder of everything that is fetched or trained: `SLATEGYM_HOME`, or the user's cache."""
    if own := os.environ.get("SLATEGYM_HOME"):
        return Path(own).expanduser().absolute()
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache).expanduser().absolute() / "slategym"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "slategym"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "slategym" / "cache"
    return Path.home() / ".cache" / "slategym"


def make_folder(folder: Path) -> Path:
    """Make the folder, and those above it, unless it is there.

    Raises:
        OSError: if that is not possible; one line that says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
        reason = "no permission"
    except OSError as error:
        writable, reason = False, str(error.strerror)
    if not writable:
        raise OSError(
            f"cannot write to {folder} ({reason}); set SLATEGYM_HOME to a folder that you may "
            f"write to (now {home()})"
        )
    return folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Write a file, or a folder, whole or not at all.

    Yields:
        A path in the same folder, with the same suffix, where nothing is yet. What the block
        leaves there takes the place of `path`; if the block fails, it is removed.

    Raises:
        OSError: if the folder cannot be written to.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(6)}{path.suffix}")
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():  # a folder cannot be replaced in one go
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)
