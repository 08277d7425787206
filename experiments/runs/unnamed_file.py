"""Large files that have no name until they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from slategym.models.files import checked_path


@contextmanager
def unnamed_file(path: Path) -> Iterator[BinaryIO | Path]:
    """Write a file that appears when it is whole, with its checksum; a kill leaves nothing of it.

    Args:
        path: whose place it takes; the folder is there.

    Yields:
        An open file or, where the system has no files without a name, what `checked_path` yields:
        then a kill that cannot be caught leaves a hidden part.
    """
    handle = _open(path.parent)
    if handle is None:
        with checked_path(path) as temporary:
            yield temporary
        return
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            root = os.open("/", os.O_RDONLY)  # any folder: given one, Python follows the link
            try:
                with checked_path(path) as temporary:
                    os.link(f"/proc/self/fd/{handle}", temporary, src_dir_fd=root)
            finally:
                os.close(root)
    except OSError as error:  # a full disk: the file has no name that it could tell
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _open(folder: Path) -> int | None:
    """A file without a name, on that folder's file system; None where there is no such thing."""
    flag = getattr(os, "O_TMPFILE", None)  # Linux
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, flag | os.O_WRONLY, 0o666)
    except OSError:  # some file systems cannot
        return None
