"""How a computation stands, for whoever finds its folder: under way, finished, failed or killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from slategym.models.checksums import with_checksum
from slategym.models.ending import Ended
from slategym.models.files import atomic_path

Status = Literal["training", "finished", "stopped", "failed", "killed"]


def write_status(path: Path, about: Mapping[str, Any], status: Status, reason: str = "") -> None:
    """Write down how it stands, with the format and a checksum.

    Args:
        path: a JSON file, replaced whole.
        about: what is being computed, and the `format` of this.
        status: of it.
        reason: of a failure.
    """
    values = {**about, "status": status, **({"reason": reason} if reason else {})}
    with atomic_path(path) as temporary:
        text = json.dumps(with_checksum(values), indent=2, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


@contextmanager
def status_kept(tell: Callable[[Status, str], None]) -> Iterator[None]:
    """Within, a training runs; if the block ends by an error, its status is told.

    Args:
        tell: called with "training" first, and with "failed" or "killed" and the reason.
    """
    tell("training", "")
    try:
        yield
    except BaseException as error:
        ended = isinstance(error, KeyboardInterrupt | Ended)
        with suppress(OSError):  # a full disk, say: the error itself matters more
            tell("killed" if ended else "failed", f"{type(error).__name__} {error}")
        raise
