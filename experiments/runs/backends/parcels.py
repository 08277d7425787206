"""Files of a folder as one value, to travel to another machine and be laid down there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import checksum_path, inside
from slategym.models.files import atomic_path, is_temporary

Parcel = tuple[tuple[str, bytes], ...]  # path below the folder, content; laid down in this order


def unit_parcel(store: Store, unit: Unit) -> Parcel:
    """All that belongs to a unit that is done; its own file last, which says so."""
    own = sorted((store.folder / "work" / unit.name).rglob("*"))
    path = store.path(unit)
    paths = [*(p for p in own if p.is_file() and not p.name.startswith("."))]
    return _pack(store.folder, [*paths, checksum_path(path), path])


def home_parcel(folder: Path, names: Iterable[str]) -> Parcel:
    """So much of `SLATEGYM_HOME`; checksums first: what lies there in part counts as damaged."""
    ahead = sorted(names, key=lambda name: (not name.endswith(".sha256"), name))
    return _pack(folder, [folder / name for name in ahead])


def names_in(folder: Path) -> dict[str, int]:
    """Every file that is whole, by its path below the folder, and its bytes."""
    found = {}
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] != ".locks" and not _unfinished(inner):
            found[inner.as_posix()] = path.stat().st_size
    return found


def unpack(parcel: Parcel, folder: Path) -> None:
    """Lay the files down, each whole or not at all; those that are there are left as they are.

    Raises:
        ValueError: a path leads out of the folder. OSError: it cannot be written.
    """
    for name, content in parcel:
        path = inside(folder, name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)


def _pack(folder: Path, paths: Iterable[Path]) -> Parcel:
    return tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths)


def _unfinished(path: Path) -> bool:
    """In part, or a lock: inside something whose name says that it is being written."""
    return any(is_temporary(Path(part)) for part in path.parts) or path.suffix == ".lock"
