"""What a package exports, by name: imported when it is asked for, and not before.

The names that `slategym` and its four packages export are the interface; the files that they come
from are private and may move.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def exports(
    package: str, names: Mapping[str, Sequence[str]], packages: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package; what it exports, and no more, is listed.

    Args:
        package: its `__name__`.
        names: what comes from which module, as the package's own `TYPE_CHECKING` block says too.
        packages: subpackages that are exported as well.
    """
    source = {name: module for module, own in names.items() for name in own}
    exported = sorted({*source, *packages})

    def get(name: str) -> Any:
        if name in packages:
            return import_module(f"{package}.{name}")
        if name not in source:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        found = getattr(import_module(source[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    def names_of() -> list[str]:
        own = (name for name in vars(sys.modules[package]) if name.startswith("__"))
        return sorted({*own, *exported})

    return get, names_of, exported
