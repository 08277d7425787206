"""Nested dataclasses of tensors and numbers as files: one of tensors, one of JSON."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from slategym.models.classics.ials import IALS, SolvedIALS
from slategym.models.classics.oblivious import ObliviousTrees
from slategym.models.classics.sequential import FadingFactors
from slategym.models.closed_form.fading import Fading, Popular
from slategym.models.closed_form.item_statistics import ItemStatistics
from slategym.models.closed_form.recursive import Regression
from slategym.models.people.boosted import BoostedValues
from slategym.models.people.calibration import Mix
from slategym.models.people.taste import ClassicTaste, Scorer

TENSORS, NUMBERS = "model.safetensors", "model.json"
KINDS: dict[str, Any] = {  # what may be read back: nothing else is ever made from a file
    kind.__name__: kind
    for kind in (
        ClassicTaste,
        Scorer,
        Fading,
        FadingFactors,
        Popular,
        IALS,
        SolvedIALS,
        Regression,
        BoostedValues,
        ItemStatistics,
        ObliviousTrees,
        Mix,
    )
}


def pack(value: Any, folder: Path) -> None:
    """Write a value made of `KINDS`, tuples, tensors, numbers, texts and None."""
    tensors: dict[str, Tensor] = {}

    def plain(part: Any, name: str) -> Any:
        if isinstance(part, Tensor):
            tensors[name] = part.detach().cpu().contiguous()
            return {"tensor": name}
        if is_dataclass(part) and not isinstance(part, type):
            assert type(part).__name__ in KINDS, f"{type(part).__name__} is not to be packed"
            own = {f.name: plain(getattr(part, f.name), f"{name}.{f.name}") for f in fields(part)}
            return {"kind": type(part).__name__, "fields": own}
        if isinstance(part, tuple):
            return {"tuple": [plain(x, f"{name}.{n}") for n, x in enumerate(part)]}
        assert part is None or isinstance(part, int | float | str), repr(part)
        return part

    numbers = plain(value, "")
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    save_file({name or "value": x for name, x in tensors.items()}, folder / TENSORS)


def unpack(folder: Path, device: str = "cpu") -> Any:
    """Read what `pack` wrote.

    Args:
        folder: where.
        device: of the tensors.
    """
    tensors = load_file(folder / TENSORS, device=device)

    def whole(part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        if "tensor" in part:
            return tensors[part["tensor"]]
        if "tuple" in part:
            return tuple(whole(x) for x in part["tuple"])
        return KINDS[part["kind"]](**{name: whole(x) for name, x in part["fields"].items()})

    return whole(json.loads((folder / NUMBERS).read_text(encoding="utf-8")))
