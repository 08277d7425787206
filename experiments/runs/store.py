"""The run folder: results on disk, each file whole or not there at all.

    OUT/units/<label>-<id>.parquet   one per unit; its stamp says which spec made it
    OUT/work/<label>-<id>/           what does not fit one table: weights, checkpoints

Reading checks: a file that is cut short, altered or of another spec counts as not computed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from slategym.models.files import atomic_path
from slategym.models.hashes import as_json

if TYPE_CHECKING:
    import pandas as pd

    from slategym.experiments.runs.units import Unit

STAMP = b"slategym"  # key of the Parquet metadata


def write_parquet(frame: pd.DataFrame, path: Path, stamp: Mapping[str, Any] | None = None) -> None:
    """A table, whole or not at all, with checksums; the stamp is JSON beside the schema."""
    import pyarrow
    import pyarrow.parquet

    arrow = pyarrow.Table.from_pandas(frame, preserve_index=False)
    notes = {**(arrow.schema.metadata or {}), STAMP: json.dumps(stamp or {}).encode()}
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

    Raises:
        ValueError: on NaN or infinity; write None for a number that does not exist.
    """
    _write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", path)


def sha256_of(path: Path) -> str:
    """Hash of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


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
        try:
            stamp = self._read(unit)[1]
            sizes = {name: (self.folder / name).stat().st_size for name in stamp["files"]}
        except PermissionError:
            raise
        except (OSError, ValueError, KeyError, TypeError):  # whatever a broken file can cause
            return "damaged"
        return "done" if stamp["unit"] == unit.id and sizes == stamp["files"] else "damaged"

    def completed(self, unit: Unit) -> bool:
        """Nothing is left to do for this unit."""
        return self.state(unit) == "done"

    def read(self, unit: Unit) -> Any:
        """The unit's result: a DataFrame or JSON values.

        Raises:
            FileNotFoundError: if it has not been computed.
            OSError, ValueError: if the file is damaged.
        """
        return self._read(unit)[0]

    def seconds(self, unit: Unit) -> float:
        """How long the unit took, when it was computed."""
        return float(self._read(unit)[1]["seconds"])

    def write(self, unit: Unit, result: Any, seconds: float) -> None:
        """Keep a unit's result: from now on it is completed.

        Raises:
            ValueError: if the result is not what the unit's kind promises.
        """
        from slategym import __version__

        own = self.folder / "work" / unit.name
        kept = sorted(path for path in own.rglob("*") if path.is_file()) if own.is_dir() else []
        stamp = {
            "unit": unit.id,
            "label": unit.label,
            "function": unit.function,
            "spec": as_json(unit.spec),
            "version": __version__,
            "seconds": seconds,
            "files": {str(path.relative_to(self.folder)): path.stat().st_size for path in kept},
        }
        if unit.kind == "parquet":
            write_parquet(_as_frame(unit, result), self.path(unit), stamp)
        else:
            digest = _digest(unit, result)
            write_json({**stamp, "sha256": digest, "result": result}, self.path(unit))

    def _read(self, unit: Unit) -> tuple[Any, dict[str, Any]]:
        path = self.path(unit)
        if unit.kind == "parquet":
            return read_parquet(path)
        stamp = json.loads(path.read_text(encoding="utf-8"))
        result = stamp.pop("result")
        if stamp.pop("sha256") != _digest(unit, result):
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
        """Remove half-written files that a killed run left."""
        for path in (self.folder / "units").iterdir():
            if path.suffix not in (".parquet", ".json") or path.name.startswith("."):
                path.unlink()


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
        OSError: in one line, if that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write results into {folder}: {error.strerror}; choose another folder"
        ) from error


def _as_frame(unit: Unit, result: Any) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(result, pd.DataFrame):
        raise ValueError(
            f"{unit.function} must return a DataFrame, as its unit's kind is parquet; "
            f"got {type(result).__name__}"
        )
    return result


def _digest(unit: Unit, result: Any) -> str:
    try:
        text = json.dumps(result, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{unit.function} must return JSON values (None, not NaN, for a missing number), as "
            f"its unit's kind is json: {error}"
        ) from None
    return sha256(text.encode()).hexdigest()


def _write_text(text: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
