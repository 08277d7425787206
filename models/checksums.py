"""Checksums of what is kept: whether a file is still what was written, and what to do if not.

Beside a file or folder that is kept stands `NAME.sha256`, as the program sha256sum writes and
checks it; its first line, a comment, says the format and that what it stands for is finished. In a
folder that people add to stands one for those of its files that slategym wrote. A JSON file that
names others holds their checksums and its own. What has none is taken as it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Literal

from slategym.models.plain_file import SETTINGS, whats_wrong

SUFFIX = ".sha256"
ASIDE = ".damaged"
OWN = "checksum"  # key of a JSON file's own checksum
FORMAT = 1  # of what the cache keeps and of the lines beside it
FINISHED = f"# slategym format {FORMAT}: finished\n"
LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")  # of a checksum file: one file of its folder
LEFT_OUT = ("README.md",)  # of folders: cards are written again when more is known

State = Literal["whole", "damaged", "unchecked", "missing"]


class Damaged(ValueError):
    """A file is cut short or altered; the message names it and says how that shows."""


def sha256_of(path: Path) -> str:
    """Hash of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def checksum_path(path: Path) -> Path:
    """Where the checksums of a kept file or folder stand."""
    return path.with_name(path.name + SUFFIX)


def checksum_lines(content: Path, name: str) -> str:
    """The text of `checksum_path`.

    Args:
        content: a file or a folder, finished.
        name: what it is called, or will be.
    """
    if not content.is_dir():
        return f"{FINISHED}{sha256_of(content)}  {name}\n"
    names = {file: file.relative_to(content).as_posix() for file in _files(content)}
    lines = [f"{sha256_of(file)}  {name}/{inner}\n" for file, inner in names.items()]
    return FINISHED + "".join(lines)


def state_of(path: Path) -> State:
    """Whether a kept file or folder is there and what its checksums say.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return "missing"
    stated = checksum_path(path)
    if not stated.is_file():
        return "unchecked"
    if not (path.is_file() or path.is_dir()):  # a pipe or a device: reading it may never end
        return "damaged"
    found = checksum_lines(path, path.name)
    said = stated.read_text(encoding="utf-8", errors="replace")
    if not said.startswith("#"):  # of an earlier version
        said = FINISHED + said
    return "whole" if found == said else "damaged"


def check_beside(path: Path) -> None:
    """Hold a file that people may have touched against what stands beside it, if anything does.

    Raises:
        Damaged: it is another file than was written; one line with what to do.
    """
    if state_of(path) == "damaged":
        raise Damaged(f"{path} was altered since it was written; {_or_yours(checksum_path(path))}")


def some_lines(files: Iterable[Path]) -> str:
    """The text of a checksum file for some files of its folder, finished."""
    return FINISHED + "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)


def stated_in(path: Path) -> dict[str, str]:
    """What a checksum file says: sha256 by name; nothing if there is none.

    Raises:
        Damaged: it is no checksum file, or names what lies outside of its folder.
    """
    if not path.exists():
        return {}
    if wrong := whats_wrong(path, SETTINGS):
        raise Damaged(f"{path} {wrong}")
    stated = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise Damaged(f"{path} is damaged: {line[:40]!r} is no checksum and name; delete it")
        inside(path.parent, found[2])
        stated[found[2]] = found[1]
    return stated


def check_stated(folder: Path, stated: Mapping[str, str], beside: Path) -> None:
    """As `check_files`, of files that people may have touched.

    Args:
        folder: where they are.
        stated: sha256 by name.
        beside: the checksum file that says so.

    Raises:
        Damaged: naming the first that is missing or altered, and what to do.
    """
    try:
        check_files(folder, stated)
    except Damaged as error:
        raise Damaged(f"{error}; {_or_yours(beside)}") from error


def _or_yours(beside: Path) -> str:
    return f"take an unaltered copy or, if the change is yours, delete {beside.name} beside it"


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder, in place of what was set aside before; its new path.

    Raises:
        OSError: that is not possible here; one line with the file and what to do.
    """
    aside = path.with_name(path.name + ASIDE)
    try:
        if aside.is_dir():
            shutil.rmtree(aside)
        os.replace(path, aside)
        checksum_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            f"{path} is damaged and cannot be set aside ({error.strerror}); delete it, or name a "
            "folder that you may write to"
        ) from error
    return aside


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values and, among them, their checksum."""
    bare = {name: value for name, value in values.items() if name != OWN}
    return {**bare, OWN: _checksum(bare)}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, checked if it holds its checksum.

    Raises:
        Damaged: it is no JSON object, or its checksum is another. FileNotFoundError: no such file.
    """
    if wrong := whats_wrong(path, SETTINGS):
        raise Damaged(f"{path} {wrong}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Damaged(f"{path} is damaged ({error})") from error
    except RecursionError as error:
        raise Damaged(f"{path} is damaged (nested too deeply)") from error
    if not isinstance(found, dict):
        raise Damaged(f"{path} is damaged (it holds no object)")
    stated = found.pop(OWN, None)
    if stated is not None and stated != _checksum(found):
        raise Damaged(f"{path} was altered: it does not have the checksum that it states")
    return found


def check_files(folder: Path, stated: Mapping[str, str]) -> None:
    """Hold a folder's files against their checksums.

    Args:
        folder: where they are.
        stated: sha256 by name, in hexadecimal.

    Raises:
        Damaged: naming the first that is missing or altered, or lies elsewhere.
    """
    for name, expected in stated.items():
        path = inside(folder, name)
        if not path.is_file():
            raise Damaged(f"{path} is missing")
        found = sha256_of(path)
        if found != expected:
            raise Damaged(
                f"{path} was altered: its sha256 is {found[:12]}..., {str(expected)[:12]}... was "
                "written"
            )


def inside(folder: Path, name: str) -> Path:
    """A folder's file by the name that a file of it states; links out of the folder count as names.

    What the Hugging Face hub's cache keeps as snapshots/COMMIT are links into blobs beside them;
    such a folder ends where blobs does.

    Raises:
        Damaged: the name leads out of the folder.
    """
    path = folder / name
    whole, ends = Path(os.path.realpath(path)), [Path(os.path.realpath(folder))]
    below = not Path(name).is_absolute() and ".." not in Path(name).parts
    if ends[0].parent.name == "snapshots" and below:
        ends.append(ends[0].parents[1] / "blobs")
    if not any(whole.is_relative_to(end) for end in ends):
        raise Damaged(f"{folder} names {name!r}, which lies outside of it")
    return path


def _checksum(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden and file.name not in LEFT_OUT:
            yield file
