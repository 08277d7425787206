"""Looking things up by name, and saying so when there is no such name.

A kind of thing that comes in several (worlds, user models, agents, policies, data sets, studies)
has one `Registry`. Its table holds strings, so that a name is looked up, and all names are listed,
without importing what they stand for.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, final

V = TypeVar("V")

LISTED = 12  # names in a message, at most
SHOWN = 80  # letters of a wrong name or value, at most


IMPORTED = re.compile(r"[\w.]+:[\w.]+")  # what names code; nothing else is ever imported


class UsageError(ValueError):
    """The caller asked for something that cannot be: an unknown name, a size out of range.

    The command line answers it with exit code 2.
    """


class UnknownSettingError(UsageError, TypeError):
    """A setting that there is not; a TypeError as well, by which other libraries try one out."""


def lookup(kind: str, name: str, table: Mapping[str, V]) -> V:
    """The entry of that name.

    Args:
        kind: what is looked up, for the message: "world", "policy".
        name: as the caller wrote it.
        table: everything known.

    Raises:
        UsageError: naming the nearest known name, and the others; of many, the next nearest.
    """
    if name in table:
        return table[name]
    lowered = {known.lower(): known for known in table}
    near = [lowered[n] for n in get_close_matches(name.lower(), lowered, n=LISTED, cutoff=0.4)]
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    known = sorted(table)
    if len(known) > LISTED:
        listed = near or known[:LISTED]
        known = [*listed, f"... ({len(known)} in all)"]
    short = name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
    raise UsageError(f"unknown {kind} {short!r}{hint} Known: {', '.join(known)}")


def load_object(path: str) -> Any:
    """The object at "module:name".

    A module is looked for in the current folder as well, as `python -m` would.

    Raises:
        UsageError: it is not written so, and nothing is imported; there is no such module, or
            nothing of that name in it.
        ImportError: something that the module itself needs is missing.
    """
    if not IMPORTED.fullmatch(path):
        raise UsageError(f"cannot find {path!r}: it is not written as module:name")
    module, _, name = path.partition(":")
    try:
        with here():
            return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        if isinstance(error, ImportError) and error.name not in (module, *_parents(module)):
            raise
        raise UsageError(f"cannot find {path!r}: {error}") from error


def check_registered(where: object, kept: Any) -> None:
    """Refuse what a file wants to have imported: "module:name", in any value of what it holds.

    Registered names and those of plug-ins stand for what was installed on purpose.

    Args:
        where: the file or folder, for the message.
        kept: names and settings, as JSON has them.

    Raises:
        UsageError: naming the value, and how to give one's word for it.
    """
    values = list(kept.values()) if isinstance(kept, Mapping) else kept
    if isinstance(values, list | tuple):
        for value in values:
            check_registered(where, value)
    elif isinstance(values, str) and IMPORTED.fullmatch(values.strip()):
        raise UsageError(
            f"{where} names {values!r}, which would be imported and run; a file may name "
            "registered things alone. If you know whose it is, say so: --trust, or trust=True"
        )


def path_of(thing: object) -> str:
    """Where something registered is found again, in this process and in others: "module:Name".

    Args:
        thing: "module:Name", as it is; or a class or a function at the top of a module or of a
            notebook.

    Raises:
        UsageError: it is neither, or another process could not find it: it stands in a function.

    >>> path_of(UsageError)
    'slategym.envs.names:UsageError'
    """
    if isinstance(thing, str):
        return thing
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        raise UsageError(
            f"give a class, a function or 'module:Name', got a {type(thing).__name__}: what is "
            "registered is made anew wherever it is asked for"
        )
    if getattr(sys.modules.get(module), name, None) is not thing:
        raise UsageError(
            f"{name} is not found as {name} in {module}: define it at the top of a module or of a "
            "notebook's cell, not in a function, so that other processes find it too"
        )
    return f"{module}:{name}"


@contextmanager
def here() -> Iterator[None]:
    """Modules of the current folder are found as well, as `python -m` would find them."""
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@final
class Registry(Generic[V]):
    """Everything of one kind by name, wherever it comes from.

    Args:
        kind: in a word or two, for messages: "user model".
        own: the entries of this package. It is kept, not copied: `register` adds to it.
        plug_ins: entry-point groups by which other packages add to it, with what makes an entry
            of "module:name" and a line that says whose it is.
        prefix: of every name; it may be left out where one is looked up, and in an entry point.
        by_path: makes an entry of "module:name" where that is given in place of a name; by default
            as the first group's are made.
    """

    def __init__(
        self,
        kind: str,
        own: dict[str, V],
        plug_ins: Mapping[str, Callable[[str, str], V]],
        prefix: str = "",
        by_path: Callable[[str], V] | None = None,
    ) -> None:
        self.kind, self.own, self.plug_ins, self.prefix = kind, own, dict(plug_ins), prefix
        first = next(iter(self.plug_ins.values()))
        self._by_path = by_path or (lambda path: first(path, path))

    def all(self) -> dict[str, V]:
        """Every entry by its whole name, this package's first; nothing is imported."""
        theirs = {
            self.whole(point.name): self.plug_ins[group](point.value, f"of {origin(point)}")
            for group, point in self._points()
        }
        return {**self.own, **theirs, **self.own}

    def find(self, name: str, called: str = "") -> V:
        """The entry of that name, or of what lies at "module:name".

        Args:
            name: as in `all`, with or without the prefix.
            called: what it is in the message; the registry's kind by default.

        Raises:
            UsageError: there is none, and the nearest is offered; or two packages have one.
        """
        if ":" in name:
            return self._by_path(name)
        every = {whole.removeprefix(self.prefix): entry for whole, entry in self.all().items()}
        found = lookup(called or self.kind, name.removeprefix(self.prefix), every)
        ours = ["slategym"] if self.whole(name) in self.own else []
        theirs = [p for _, p in self._points() if self.whole(p.name) == self.whole(name)]
        if len(claims := ours + [origin(point) for point in theirs]) > 1:
            raise UsageError(
                f"{len(claims)} packages have a {self.kind} {name!r}: {', '.join(claims)}; give "
                "the one you mean as module:Name"
            )
        return found

    def register(self, name: str, entry: V) -> None:
        """Add one in this process; a package does it by an entry point, for every process.

        Raises:
            UsageError: there is one of that name.
        """
        if self.whole(name) in self.all():
            raise UsageError(f"there is a {self.kind} {name!r} already; choose another name")
        self.own[self.whole(name)] = entry

    def whole(self, name: str) -> str:
        """The name with its prefix; "module:name" as it is."""
        return name if ":" in name else self.prefix + name.removeprefix(self.prefix)

    def _points(self) -> Iterator[tuple[str, EntryPoint]]:
        for group in self.plug_ins:
            found = _installed(group, entry_points, _places())
            yield from ((group, point) for point in found)


@lru_cache(maxsize=256)
def _installed(
    group: str,
    read: Callable[..., Iterable[EntryPoint]],
    places: tuple[tuple[str, int], ...],
) -> tuple[EntryPoint, ...]:
    """What the installed packages say of a group, read again when `places` have changed."""
    return tuple(read(group=group))


def _places() -> tuple[tuple[str, int], ...]:
    """Where packages lie, and when something was last put there or taken away."""
    found = []
    for place in sys.path:
        try:
            found.append((place, os.stat(place or ".").st_mtime_ns))
        except OSError:
            continue
    return tuple(found)


def origin(point: EntryPoint) -> str:
    """The package that an entry point comes from, and what it points to."""
    package = point.dist.name if point.dist is not None else "a package"
    return f"{package} ({point.value})"


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def shown(value: object) -> str:
    r"""A wrong value as a message shows it: on one line, and not long.

    >>> print(shown("a\n"), len(shown("a" * 1000)))
    'a\n' 84
    """
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def plain(text: str) -> str:
    r"""The text with everything that a terminal would act upon spelled out.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def in_markdown(text: str) -> str:
    r"""The text as Markdown shows it: no tag, no link, no cell of a table comes from it.

    >>> in_markdown("<b>|[a](http://x)")
    '&lt;b>\\|[a]\\(http://x)'
    """
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;")
    return shown.replace("](", "]\\(").replace("|", "\\|")
