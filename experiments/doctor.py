"""What is whole of what is kept: the cache, a run, a model, a training, an exported policy, a log.

Looks only, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slategym.agents.core.files import ABOUT, BEGUN, CHECKPOINT, check_weights, read_about
from slategym.envs.names import UsageError
from slategym.experiments.runs.store import STATUS, Store
from slategym.models.assets.registry import ASSETS
from slategym.models.checksums import (
    ASIDE,
    SUFFIX,
    Damaged,
    check_files,
    checksum_path,
    read_json,
    sha256_of,
    state_of,
    stated_in,
)
from slategym.models.files import home, is_temporary

State = Literal["whole", "unchecked", "unfinished", "damaged", "left over", "not ours"]
CONFIG = "config.json"  # of a model; written last
FIT = "fit.json"  # of a model that is no whole one yet
POLICY = "policy.json"  # of an exported policy
LOG_TOML = "log.toml"  # of a log
OF_A_LOG = (LOG_TOML, "events.csv", "events.parquet", ".slategym-writing")  # by which it is known
AGAIN = "nothing: it is set aside and made again when it is needed"
UNCHECKED = "nothing: an earlier version kept no checksum; delete it to have it made again"
LEFT = "delete it"
OWN_LOG = "nothing: slategym data check says what it is fit for"
ANEW = (
    "call its command again, or take an unaltered copy; if the change is yours, delete its .sha256"
)


@dataclass(frozen=True)
class Finding:
    """One thing that is kept."""

    path: str  # from the folder that was looked at
    kind: str  # "model", "asset", "unit", ...
    state: State
    size: int  # bytes
    reason: str = ""  # of a state other than whole
    advice: str = ""  # what to do about it


def examine(folder: Path) -> Iterator[Finding]:
    """Everything in a folder and how it is.

    Args:
        folder: the cache (`SLATEGYM_HOME`), a run's folder, a model's, a trained agent's, an
            exported policy's or a log's; a file, or a folder of files, with a checksum beside it.

    Raises:
        UsageError: it is none of these.
    """
    if folder.is_file() and checksum_path(folder).is_file():
        yield _written(folder, folder.parent)
        return
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    if (folder / "units").is_dir():
        yield from _run(folder)
    elif (folder / BEGUN).is_file() or (folder / ABOUT).is_file():
        yield from _agent(folder, folder)
    elif (folder / CONFIG).is_file():
        yield _model(folder, folder)
    elif (folder / FIT).is_file():
        yield _fit(folder, folder)
    elif (folder / POLICY).is_file():
        yield from _policy(folder)
    elif folder.absolute() == home() or any((folder / shelf).is_dir() for shelf in SHELVES):
        yield from _cache(folder)
    elif any(path for name in OF_A_LOG for path in folder.glob(name)):
        yield from _log(folder)
    elif any(folder.glob(f"*{SUFFIX}")):
        yield from _all_written(folder)
    else:
        raise UsageError(
            f"{folder} is no cache, run, model, trained agent, policy or log of slategym; give one "
            f"of these, or nothing for the cache ({home()})"
        )


SHELVES = ("assets", "models", "constants", "vectors", "figures")  # by which a cache is known


def _cache(folder: Path) -> Iterator[Finding]:
    for name, asset in ASSETS.items():
        place = folder / "assets" / name
        if place.is_dir():
            wrong = min(
                ([n for n, x in s.files.items() if _hash(place / n) != x] for s in asset.sources),
                key=len,
            )
            reason = f"{', '.join(wrong)} missing or altered" if wrong else ""
            advice = f"slategym data fetch {name}" if wrong else ""
            state: State = "damaged" if wrong else "whole"
            yield Finding(f"assets/{name}", "asset", state, _size(place), reason, advice)
    for shelf in sorted(folder.iterdir()):
        if shelf.is_dir() and not shelf.name.startswith(".") and shelf.name != "assets":
            yield from _shelf(shelf, folder, shelf.name.removesuffix("s"))


def _shelf(shelf: Path, root: Path, kind: str) -> Iterator[Finding]:
    for path in sorted(shelf.iterdir()):
        if (left := _left(path, root)) is not None:
            yield left
        elif path.suffix == SUFFIX:
            if not path.with_suffix("").exists():  # a kill came before the file
                yield _finding(path, root, "checksum", "left over", "of no file", LEFT)
        elif path.name.startswith("."):
            continue
        elif (path / "text").is_dir() or _is_bert(path):
            yield _model(path, root)
        elif path.is_dir() and not (path / CONFIG).exists() and _is_begun(path):
            yield _fit(path, root)
        elif path.is_dir() and not any(path.glob("*.json")):
            yield from _shelf(path, root, kind)  # a shelf in a shelf, such as vectors/ENCODER
        else:
            yield _kept(path, root, kind)


def _kept(path: Path, root: Path, kind: str) -> Finding:
    state = state_of(path)
    if state == "unchecked" and path.suffix == ".json":
        try:
            path.read_text(encoding="utf-8")
        except ValueError as error:
            return _finding(path, root, kind, "damaged", str(error), AGAIN)
    if state == "damaged":
        return _finding(path, root, kind, "damaged", "its checksum is another", AGAIN)
    if state == "unchecked":
        return _finding(path, root, kind, "unchecked", "no checksum beside it", UNCHECKED)
    return _finding(path, root, kind, "whole")


def _fit(folder: Path, root: Path) -> Finding:
    """A fit that is no whole model yet."""
    told = "its fit is under way or was killed"
    try:
        said = read_json(folder / FIT)
        if said["status"] != "training":  # after a kill that cannot be caught it says so too
            told = f"its fit {said['status']}: {said.get('reason', '')}"
    except (Damaged, FileNotFoundError, KeyError):
        pass  # nothing rests on it
    again = "nothing: the same command goes on from its checkpoint"
    return _finding(folder, root, "model", "unfinished", told, again)


def _is_begun(path: Path) -> bool:
    return (
        (path / FIT).exists()
        or (path / ".lock").exists()
        or any(path.glob(f"{Path(CHECKPOINT).stem}*"))
    )


def _is_bert(path: Path) -> bool:
    try:
        return "class" in read_json(path / CONFIG)
    except (OSError, Damaged):
        return path.is_dir() and (path / "vocabulary.json").is_file()


def _model(folder: Path, root: Path) -> Finding:
    from slategym.models.multitask.pretrained import check_model_files, read_config

    try:
        check_model_files(folder, read_config(folder))
    except ValueError as error:
        again = AGAIN if root == home() else "take an unaltered copy, or call slategym fit again"
        return _finding(folder, root, "model", "damaged", _short(error, folder), again)
    return _finding(folder, root, "model", "whole")


def _agent(folder: Path, root: Path) -> Iterator[Finding]:
    kind, again = "training", "call slategym train again with its settings: it goes on"
    status = ""
    if (folder / BEGUN).is_file():
        try:
            status = str(read_json(folder / BEGUN).get("status", ""))
        except Damaged as error:
            reason = _short(error, folder)
            yield _finding(folder / BEGUN, root, kind, "damaged", reason, again)
    if (folder / ABOUT).is_file():
        try:
            check_weights(folder, read_about(folder))
            unchecked = "sha256" not in read_json(folder / ABOUT)
            state: State = "unchecked" if unchecked else "whole"
            yield _finding(folder, root, "agent", state, "no checksum" if unchecked else "")
        except (Damaged, UsageError) as error:
            yield _finding(folder, root, "agent", "damaged", _short(error, folder), again)
    else:
        told = {"training": "under way, or killed", "": "of an earlier version"}.get(status, status)
        yield _finding(folder, root, "training", "unfinished", told, again)
    for path in sorted(folder.glob(f"{Path(CHECKPOINT).stem}*")):
        yield _left(path, root) or _checkpoint(path, root)
    yield from (left for path in sorted(folder.glob(".*")) if (left := _left(path, root)))


def _checkpoint(path: Path, root: Path) -> Finding:
    from slategym.models.tensor_files import read_tensors

    try:
        read_tensors(path)
    except Damaged as error:
        reason = _short(error, path.parent)
        then = "nothing: it is set aside, and the one before it taken"
        return _finding(path, root, "checkpoint", "damaged", reason, then)
    return _finding(path, root, "checkpoint", "whole")


def _policy(folder: Path) -> Iterator[Finding]:
    """What `slategym export` wrote."""
    again = "call slategym export again, or take an unaltered copy"
    try:
        check_files(folder, dict(read_json(folder / POLICY).get("sha256", {})))
    except (ValueError, TypeError) as error:
        yield _finding(folder, folder, "policy", "damaged", _short(error, folder), again)
    else:
        yield _finding(folder, folder, "policy", "whole")


def _log(folder: Path) -> Iterator[Finding]:
    """A log's tables and `log.toml`, which is for its owner to correct."""
    from slategym.models.data.folder import CHECKSUMS, FORMS, TABLES, WRITING  # and with it pandas

    if (folder / WRITING).exists():
        reason, again = "slategym was killed while it wrote it", "write it again"
        yield _finding(folder, folder, "log", "unfinished", reason, again)
        return
    try:
        stated = stated_in(folder / CHECKSUMS)
    except Damaged as error:
        reason = _short(error, folder)
        yield _finding(folder / CHECKSUMS, folder, "checksum", "damaged", reason, LEFT)
        return
    names = (LOG_TOML, *(f"{name}.{form}" for name in TABLES for form in FORMS))
    there = {name for name in names if (folder / name).is_file()}
    for name in sorted({*there, *stated}):
        path, kind = folder / name, "log.toml" if name == LOG_TOML else "table"
        wrong = None if name in stated else "somebody's own: it has no checksum"
        if name in stated:
            wrong = _wrong(folder, {name: stated[name]})
        if wrong is None:
            yield _finding(path, folder, kind, "whole")
        elif name in stated and kind == "table":
            advice = f"take an unaltered copy; if the change is yours, delete {CHECKSUMS}"
            yield _finding(path, folder, kind, "damaged", wrong, advice)
        else:
            yield _finding(path, folder, kind, "unchecked", wrong, OWN_LOG)
    yield from (left for path in sorted(folder.glob(".*")) if (left := _left(path, folder)))


def _all_written(folder: Path) -> Iterator[Finding]:
    """Files of a folder that have a checksum beside them, and what is left over."""
    for path in sorted(folder.iterdir()):
        if (left := _left(path, folder)) is not None:
            yield left
        elif path.suffix == SUFFIX and not path.with_suffix("").exists():
            yield _finding(path, folder, "checksum", "left over", "of no file", LEFT)
        elif path.suffix != SUFFIX and checksum_path(path).exists():
            if (path.is_file() or path.is_dir()) and checksum_path(path).is_file():
                yield _written(path, folder)
            else:  # a pipe or a device is not read
                reason = "it or its checksum is no file"
                yield _finding(path, folder, "file", "damaged", reason, ANEW)


def _written(path: Path, root: Path) -> Finding:
    """A file with its checksum beside it."""
    if state_of(path) == "damaged":
        return _finding(path, root, "file", "damaged", "its checksum is another", ANEW)
    return _finding(path, root, "file", "whole")


def _wrong(folder: Path, stated: Mapping[str, str]) -> str | None:
    """What is wrong with these files of a folder, in a few words."""
    try:
        check_files(folder, stated)
    except Damaged as error:
        return _short(error, folder)
    return None


def _results(folder: Path) -> Iterator[Finding]:
    """What a run wrote when it was done: tables, numbers, pages."""
    again = "call it again: it is written anew"
    stated: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name == STATUS:
            continue
        try:
            found = read_json(path)
            stated |= {one["name"]: one["sha256"] for one in found.get("files", ())}
        except (Damaged, TypeError, KeyError, AttributeError) as error:
            yield _finding(path, folder, "result", "damaged", _short(error, folder), again)
        else:
            yield _finding(path, folder, "result", "whole")
    for name, expected in stated.items():
        wrong = _wrong(folder, {name: expected})
        state: State = "whole" if wrong is None else "damaged"
        advice = "" if wrong is None else again
        yield Finding(name, "result", state, _size(folder / name), wrong or "", advice)
    yield from _all_written(folder)


def _run(folder: Path) -> Iterator[Finding]:
    store, known = Store(folder), set[Path]()
    if (folder / STATUS).is_file():
        try:
            status = str(read_json(folder / STATUS).get("status"))
        except Damaged as error:
            yield _finding(folder / STATUS, folder, "status", "damaged", _short(error, folder))
        else:
            state: State = "whole" if status == "finished" else "unfinished"
            again = "" if state == "whole" else "call it again: it goes on"
            yield _finding(folder / STATUS, folder, "status", state, status, again)
    for path in sorted((folder / "units").iterdir()):
        if (left := _left(path, folder)) is not None:
            yield left
        elif path.suffix == SUFFIX:
            continue
        elif path.suffix not in (".parquet", ".json") or not path.is_file():
            yield _finding(path, folder, "other", "not ours", "left alone")
        else:
            stamp = store.stamp_of(path)
            known.add(folder / "work" / path.stem)
            if stamp is None:
                again = "call it again: this unit is computed anew"
                reason = "it, or a file of its folder, is altered or not whole"
                yield _finding(path, folder, "unit", "damaged", reason, again)
            elif state_of(path) == "unchecked":
                yield _finding(path, folder, "unit", "unchecked", "no checksum", UNCHECKED)
            else:
                yield _finding(path, folder, "unit", "whole")
    yield from _results(folder)
    work = folder / "work"
    for path in sorted(work.iterdir()) if work.is_dir() else []:
        if path not in known:
            reason, again = "its unit is not done", "call it again: it goes on from its checkpoint"
            yield _finding(path, folder, "work", "unfinished", reason, again)
        yield from (left for part in sorted(path.rglob(".*")) if (left := _left(part, folder)))


def _left(path: Path, root: Path) -> Finding | None:
    """What nobody needs any more."""
    if is_temporary(path):
        return _finding(path, root, "half", "left over", "a process was killed at it", LEFT)
    if path.name.endswith(ASIDE):
        return _finding(path, root, "set aside", "left over", "it was damaged", LEFT)
    return None


def _finding(
    path: Path, root: Path, kind: str, state: State, reason: str = "", advice: str = ""
) -> Finding:
    name = "." if path == root else path.relative_to(root).as_posix()
    return Finding(name, kind, state, _size(path), reason, advice)


def _hash(path: Path) -> str:
    return sha256_of(path) if path.is_file() else ""


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())


def _short(error: Exception, folder: Path) -> str:
    """What is wrong, without the folder, which is told beside it."""
    told = str(error).removeprefix(f"{folder} holds no complete model: ")
    return told.replace(f"{folder}/", "").partition("; ")[0]
