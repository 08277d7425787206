"""The run folder: results on disk, each file whole or not there at all.

    OUT/units/<label>-<id>.parquet          one per unit; its stamp says which spec made it
    OUT/units/<label>-<id>.parquet.sha256   its checksum, as sha256sum writes it
    OUT/work/<label>-<id>/                  what does not fit one table: weights, checkpoints
    OUT/status.json                         how the last call stands: running, finished, ...

Reading checks: a file that is cut short, altered or of another spec counts as not computed. What is
none of these files is left alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from slategym.models.checksums import (
    ASIDE,
    checksum_lines,
    checksum_path,
    inside,
    read_json,
    sha256_of,
    state_of,
    with_checksum,
)
from slategym.models.files import atomic_path, check_not_home, is_temporary
from slategym.models.hashes import as_json
from slategym.models.plain_file import PlaceError, place_error

if TYPE_CHECKING:
    import pandas as pd

    from slategym.experiments.runs.units import Unit

Status = Literal["running", "finished", "failed", "killed"]
STAMP = b"slategym"  # key of the Parquet metadata
FORMAT = 1  # of tables and units; raise it when what is written changes
STATUS = "status.json"


def write_parquet(frame: pd.DataFrame, path: Path, stamp: Mapping[str, Any] | None = None) -> None:
    """A table, whole or not at all, with checksums; the stamp is JSON beside the schema."""
    import pyarrow
    import pyarrow.parquet

    arrow = pyarrow.Table.from_pandas(frame, preserve_index=False)
    values = {"format": FORMAT, "status": "finished", **(stamp or {})}
    notes = {**(arrow.schema.metadata or {}), STAMP: json.dumps(values).encode()}
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(
            arrow.replace_schema_metadata(notes),
            temporary,
            compression="zstd",
            write_page_checksum=True,
        )


def read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table and its stamp.

    Raises:
        OSError, ValueError: if the file is not whole, or not one of ours.
    """
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        arrow = file.read()
    if STAMP not in (arrow.schema.metadata or {}):
        raise ValueError(f"{path} was not written by slategym: its schema carries no stamp")
    return arrow.to_pandas(), json.loads(arrow.schema.metadata[STAMP])


def write_json(value: Any, path: Path) -> None:
    """A JSON file, whole or not at all.

    An object says format and status, "finished" if not else, and has a checksum, which `read_json`
    checks.

    Raises:
        ValueError: on NaN or infinity; write None for a number that does not exist.
    """
    if isinstance(value, dict):
        plain = json.loads(json.dumps(value, allow_nan=False))  # keys as they will be read
        value = with_checksum({"format": FORMAT, "status": "finished", **plain})
    _write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", path)


@dataclass(frozen=True)
class Store:
    """A run folder. Open one with `open_store`."""

    folder: Path

    def path(self, unit: Unit) -> Path:
        """Where the unit's result goes."""
        return self.folder / "units" / f"{unit.name}.{unit.kind}"

    def folder_of(self, unit: Unit) -> Path:
        """The unit's own folder; made if it is not there."""
        folder = self.folder / "work" / unit.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def state(self, unit: Unit) -> Literal["done", "missing", "damaged"]:
        """Whether the unit's result is there, whole, and its own."""
        if not self.path(unit).exists():
            return "missing"
        stamp = self.stamp_of(self.path(unit))
        return "done" if stamp is not None and stamp["unit"] == unit.id else "damaged"

    def stamp_of(self, path: Path) -> dict[str, Any] | None:
        """What is kept beside a unit's result, if all that belongs to it is whole; else None."""
        try:
            if state_of(path) == "damaged":
                return None
            stamp = self._read(path)[1]
            return stamp if "unit" in stamp and self._holds(stamp) else None
        except PermissionError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # whatever a broken file can cause

    def completed(self, unit: Unit) -> bool:
        """Nothing is left to do for this unit."""
        return self.state(unit) == "done"

    def read(self, unit: Unit) -> Any:
        """The unit's result: a DataFrame or JSON values.

        Raises:
            FileNotFoundError: if it has not been computed.
            OSError, ValueError: if the file is damaged.
        """
        return self._read(self.path(unit))[0]

    def seconds(self, unit: Unit) -> float:
        """How long the unit took, when it was computed."""
        return float(self.stamp(unit)["seconds"])

    def stamp(self, unit: Unit) -> dict[str, Any]:
        """What is kept beside its result."""
        return self._read(self.path(unit))[1]

    def write(self, unit: Unit, result: Any, seconds: float) -> None:
        """Keep a unit's result: from now on it is completed.

        Raises:
            ValueError: if the result is not what the unit's kind promises.
        """
        from slategym.experiments.runs.origin import origin

        own = self.folder / "work" / unit.name
        kept = sorted(path for path in own.rglob("*") if _is_result(path)) if own.is_dir() else []
        stamp = {
            "unit": unit.id,
            "label": unit.label,
            "function": unit.function,
            "spec": as_json(unit.spec),
            **origin(),
            "seconds": seconds,
            "format": FORMAT,
            "status": "finished",
            "files": {str(path.relative_to(self.folder)): path.stat().st_size for path in kept},
            "hashes": {str(path.relative_to(self.folder)): sha256_of(path) for path in kept},
        }
        path = self.path(unit)
        with atomic_path(path) as temporary:
            if unit.kind == "parquet":
                write_parquet(_as_frame(unit, result), temporary, stamp)
            else:
                digest = _digest(unit.function, result)
                write_json({**stamp, "sha256": digest, "result": result}, temporary)
            _write_text(checksum_lines(temporary, path.name), checksum_path(path))

    def status(self, status: Status, reason: str = "") -> None:
        """Write down how the call that works in this folder stands."""
        from slategym import __version__

        values = {"format": FORMAT, "status": status, "version": __version__}
        write_json({**values, **({"reason": reason} if reason else {})}, self.folder / STATUS)

    def _holds(self, stamp: Mapping[str, Any]) -> bool:
        """Whether the files of the unit's own folder are what they were when it was done."""
        files = {name: inside(self.folder, name) for name in stamp["files"]}
        if {name: path.stat().st_size for name, path in files.items()} != stamp["files"]:
            return False
        stated = stamp.get("hashes")  # earlier versions kept none
        return stated is None or {n: sha256_of(path) for n, path in files.items()} == stated

    def _read(self, path: Path) -> tuple[Any, dict[str, Any]]:
        if path.suffix == ".parquet":
            return read_parquet(path)
        stamp = read_json(path)
        result = stamp.pop("result")
        if stamp.pop("sha256") != _digest(stamp["function"], result):
            raise ValueError(f"{path} was altered: its result does not have the stated hash")
        return result, stamp

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps a second run out of this folder; gone with the process, however it ends.

        Raises:
            RuntimeError: if another process holds it.
        """
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                self._sweep()
                yield
        except Timeout:
            raise RuntimeError(
                f"another run is writing into {self.folder}; "
                "wait until it ends or choose another folder"
            ) from None

    def _sweep(self) -> None:
        """Remove half-written files and folders that a killed run left, and nothing else."""
        for place in ("units", "work"):
            for path in sorted((self.folder / place).rglob(".*")):
                if is_temporary(path) and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif is_temporary(path):
                    path.unlink(missing_ok=True)


def open_store(folder: Path) -> Store:
    """The run folder, made if need be.

    Raises:
        OSError: in one line, if it cannot be written into.
    """
    check_folder(folder)
    check_folder(folder / "units")
    return Store(folder)


def check_folder(folder: Path) -> None:
    """Make a folder that can be written into.

    Raises:
        OSError: in one line, if that cannot be. UsageError: it lies in the cache of models.
    """
    check_not_home(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise place_error(
            error, f"cannot write results into {folder}: {error.strerror}; choose another folder"
        ) from error


def check_place(path: Path) -> None:
    """Make the folder of a file that can be written there.

    Args:
        path: of a file to be written later.

    Raises:
        OSError: in one line, if nothing can be written there, or it is a folder. UsageError: it
            lies in the cache of models.
    """
    check_folder(path.parent)
    try:
        whole = path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise place_error(error, f"cannot write to {path}: {error.strerror}") from error
    if whole:
        raise PlaceError(f"cannot write to {path}: it is a folder; choose another name")


def _is_result(path: Path) -> bool:
    """A file that is neither hidden (a lock, what a killed worker left) nor set aside."""
    return path.is_file() and not path.name.startswith(".") and not path.name.endswith(ASIDE)


def _as_frame(unit: Unit, result: Any) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(result, pd.DataFrame):
        raise ValueError(
            f"{unit.function} must return a DataFrame, as its unit's kind is parquet; "
            f"got {type(result).__name__}"
        )
    return result


def _digest(function: str, result: Any) -> str:
    try:
        text = json.dumps(result, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{function} must return JSON values (None, not NaN, for a missing number), as "
            f"its unit's kind is json: {error}"
        ) from None
    return sha256(text.encode()).hexdigest()


def _write_text(text: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
