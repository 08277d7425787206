"""Where slategym keeps files, and how a file is written: whole or not at all.

What is computed once and kept, is kept under the hash of all that decides it, by `kept`, with a
checksum beside it; what is damaged is set aside and made again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slategym.envs.names import UsageError
from slategym.models.checksums import Damaged, checksum_lines, checksum_path, set_aside, state_of
from slategym.models.hashes import hash_of

logger = logging.getLogger(__name__)

TEMPORARY = re.compile(r"\..*-[0-9a-f]{12}(\.[^.]*)?")  # what `atomic_path` calls its files


def home() -> Path:
    """The folder of everything that is fetched or trained: `SLATEGYM_HOME`, or the user's cache.

    Raises:
        UsageError: it is named as the home of somebody whom this machine does not know.
    """
    own, cache = os.environ.get("SLATEGYM_HOME"), os.environ.get("XDG_CACHE_HOME")
    try:
        return _named(own, cache)
    except RuntimeError as error:  # of Path, which does not say whose home it looked for
        looked = own or cache or "the home of whoever runs this"
        raise UsageError(
            f"{looked}: no such home here; set SLATEGYM_HOME to a folder that you may write to"
        ) from error


def _named(own: str | None, cache: str | None) -> Path:
    if own:
        return Path(own).expanduser().absolute()
    if cache:
        return Path(cache).expanduser().absolute() / "slategym"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "slategym"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "slategym" / "cache"
    return Path.home() / ".cache" / "slategym"


def check_not_home(path: Path) -> Path:
    """Refuse to write results among what is fetched and trained; the path as it is.

    Raises:
        UsageError: it is `home`, or lies in it.
    """
    # of a link to itself Path.resolve makes a RuntimeError, which realpath leaves to who opens it
    whole, cache = (Path(os.path.realpath(each)) for each in (path.expanduser(), home()))
    if whole == cache or cache in whole.parents:
        raise UsageError(
            f"{path} lies in {cache}, where slategym keeps models and data; choose another place"
        )
    return path


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
        _open_as_others(temporary)
        to_disk(temporary)
        if path.is_dir() and temporary.is_dir():  # a folder cannot be replaced in one go
            shutil.rmtree(path)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


@contextmanager
def checked_path(path: Path) -> Iterator[Path]:
    """As `atomic_path`, of a file that is read again: its checksum stands beside it.

    A process that is killed between the two leaves the new file without a checksum, never one with
    another file's.

    Yields, raises: as `atomic_path`.
    """
    with atomic_path(path) as temporary:
        yield temporary
        lines = checksum_lines(temporary, path.name)
        checksum_path(path).unlink(missing_ok=True)
    with atomic_path(checksum_path(path)) as beside:
        beside.write_text(lines, encoding="utf-8")


def to_disk(path: Path) -> None:
    """Wait until a file, or all of a folder, is on the disk: a power cut then leaves it whole."""
    if path.is_dir():
        for part in sorted(path.rglob("*")):
            _sync(part)
    _sync(path)


def is_temporary(path: Path) -> bool:
    """Whether it is what a process left that was killed while it wrote: see `atomic_path`."""
    return TEMPORARY.fullmatch(path.name) is not None


def sweep(path: Path) -> None:
    """Remove what killed processes left of this file half-written: for who alone writes it."""
    for part in path.parent.glob(f".{path.stem}-*{path.suffix}"):
        if is_temporary(part):
            part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # where folders cannot be opened
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_as_others(path: Path) -> None:
    """Give files the mode that a new file has: some libraries write for their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~mask)


def kept(place: str, decides: Any, compute: Callable[[], Any]) -> Any:
    """What `compute` says, computed once for all that decides it.

    Args:
        place: where below `home`, and what for people: "constants/movielens-patience".
        decides: everything that may change the value; see `hashes`.
        compute: makes a JSON value.

    Raises:
        ValueError: a value is no JSON. OSError: it cannot be written.
    """

    def write(path: Path) -> None:
        text = json.dumps(compute(), indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    path = kept_path(f"{place}.json", decides, write)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of a version that kept no checksums
        _set_aside(Damaged(f"{path} is damaged ({error})"), path)
    path = kept_path(f"{place}.json", decides, write)
    return json.loads(path.read_text(encoding="utf-8"))


def kept_path(place: str, decides: Any, make: Callable[[Path], None]) -> Path:
    """A file or a folder, made once for all that decides it.

    What is there is only looked at, so that a cache that cannot be written to serves as well. Of
    several processes that miss it, one makes it and the others wait.

    Args:
        place: where below `home`, with its suffix if it is a file: "text/titles.safetensors".
        decides: everything that may change what is made; see `hashes`.
        make: writes it, whole, at the path that it is given.

    Raises:
        OSError: it cannot be written.
    """
    path = place_of(place, decides)
    if state_of(path) in ("whole", "unchecked"):
        return path
    from filelock import FileLock  # only who writes needs it

    if path.exists() and not os.access(path.parent, os.W_OK):
        set_aside(path)  # says that it cannot
    locks = make_folder(home() / ".locks")
    with FileLock(locks / f"{path.name}.lock"):
        if state_of(path) == "damaged":
            _set_aside(Damaged(f"{path} was altered: its checksum is another"), path)
        if not path.exists():
            with atomic_path(path) as temporary:
                make(temporary)
                with atomic_path(checksum_path(path)) as beside:  # first: nothing lacks its own
                    beside.write_text(checksum_lines(temporary, path.name), encoding="utf-8")
    return path


def _set_aside(error: Damaged, path: Path) -> None:
    """Rename it, and say so."""
    logger.warning("%s; set aside as %s and made again", error, set_aside(path).name)


def place_of(place: str, decides: Any) -> Path:
    """Where something decided by that is kept: below `home`, the hash at the end of its name."""
    whole = home() / place
    suffix = whole.suffix if whole.suffix.isascii() and whole.suffix[1:].isalpha() else ""
    return whole.with_name(f"{whole.name.removesuffix(suffix)}-{hash_of(decides)}{suffix}")
