"""What the source of a function or a class declares, read without importing it.

Torch takes seconds to import. A page about a world or a learner, and the answer to a mistyped
setting, need none of it: they need docstrings, names, defaults and kinds. Declarations alone are
read, and nothing is run; what they do not tell is left open.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from importlib.util import find_spec, resolve_name
from inspect import cleandoc
from operator import or_
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from slategym.envs.names import UsageError, here
from slategym.envs.settings import Range

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (bool, int, float, str, tuple, list, dict)}


class Unread(NamedTuple):
    """An expression whose value only running the program would tell, as written."""

    text: str


class Parameter(NamedTuple):
    """An argument of a function, or a field of a dataclass."""

    name: str
    default: Any  # Unread where it takes running code to know; of what has none, Unread("")
    kind: Any  # its type, as far as that is made of Python's own; else Unread
    meaning: str  # the comment beside a field


@dataclass(frozen=True)
class Module:
    """A module's source."""

    package: str  # that relative imports start from
    lines: tuple[str, ...]
    tree: ast.Module

    @property
    def doc(self) -> str:
        """Its docstring."""
        return ast.get_docstring(self.tree) or ""


@dataclass(frozen=True)
class Outline:
    """What is declared under one name.

    Args:
        module: where it stands, which need not be where it was asked for.
        node: its definition.
    """

    module: Module
    node: ast.AST
    read: Sources = field(repr=False)

    @property
    def doc(self) -> str:
        """Its docstring; a class that has none has that of the first base with one."""
        for one in self._lineage():
            if isinstance(one.node, ast.ClassDef | ast.FunctionDef) and (
                text := ast.get_docstring(one.node, clean=False)
            ):
                return cleandoc(text)
        return ""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Arguments of a function, or fields of a dataclass, in order."""
        if isinstance(self.node, ast.FunctionDef):
            given = self.node.args
            every = [*given.posonlyargs, *given.args]
            last = [*[None] * (len(every) - len(given.defaults)), *given.defaults]
            pairs = [*zip(every, last, strict=True)]
            pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
            return tuple(self._parameter(a.arg, a.annotation, value) for a, value in pairs)
        found = dict[str, Parameter]()
        for one in reversed(list(self._lineage())):
            for line in _body(one.node):
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    name = line.target.id
                    if ast.unparse(line.annotation).startswith("ClassVar"):
                        continue
                    found[name] = one._parameter(name, line.annotation, line.value, line.end_lineno)
        return tuple(found.values())

    def argument(self, name: str) -> Outline | None:
        """What a value is made with under that name, or a function makes one with."""
        for part in ast.walk(self.node):
            for word in part.keywords if isinstance(part, ast.Call) else []:
                if word.arg == name:
                    named = self.read.named(word.value, self.module)
                    return named or Outline(self.module, word.value, self.read)
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """The text that it is, if it is one."""
        value = self.node.value if isinstance(self.node, ast.Constant) else None
        return (value,) if isinstance(value, str) else ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Of a table written out, its names."""
        keys = self.node.keys if isinstance(self.node, ast.Dict) else []
        return tuple(k.value for k in keys if isinstance(k, ast.Constant))  # type: ignore[misc]

    @property
    def texts(self) -> set[str]:
        """Every text that its module writes out."""
        parts = ast.walk(self.module.tree)
        return {p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)}

    def constant(self, name: str) -> Any:
        """A class's attribute of that name, its own or a base's; Unread: that takes running it."""
        for one in self._lineage():
            for line in _body(one.node):
                if name in _assigned(line):
                    return one._value(line.value)  # type: ignore[attr-defined]
        return Unread(name)

    def method(self, name: str) -> Outline | None:
        """The function of that name in the class or the nearest base; None: there is none."""
        for one in self._lineage():
            for line in _body(one.node):
                if isinstance(line, ast.FunctionDef) and line.name == name:
                    return Outline(one.module, line, self.read)
        return None

    def returned(self) -> tuple[Parameter, ...] | None:
        """Fields of the dataclass that a function makes and returns; None: it does otherwise."""
        for line in ast.walk(self.node):
            if isinstance(line, ast.Return) and isinstance(line.value, ast.Call):
                call = line.value
                made = self.read.named(call.func, self.module)
                if made is None or call.args or any(word.arg is None for word in call.keywords):
                    return None
                changed = {str(word.arg): self._value(word.value) for word in call.keywords}
                return tuple(
                    p._replace(default=changed.get(p.name, p.default)) for p in made.parameters
                )
        return None

    def _lineage(self) -> Iterator[Outline]:
        """Itself and its bases, the nearest first."""
        yield self
        for base in self.node.bases if isinstance(self.node, ast.ClassDef) else []:
            if found := self.read.named(base, self.module):
                yield from found._lineage()

    def _parameter(
        self, name: str, kind: ast.expr | None, value: ast.expr | None, line: int | None = None
    ) -> Parameter:
        words = "" if line is None else self.module.lines[line - 1].partition("  # ")[2]
        return Parameter(name, self._value(value), self._value(kind), words)

    def _value(self, node: ast.expr | None) -> Any:
        if node is None:
            return Unread("")
        try:
            return self.read.value(node, self.module)
        except Unreadable:
            return Unread(ast.unparse(node))


class Unreadable(Exception):
    """It takes running code to know."""


@dataclass(frozen=True)
class Sources:
    """Modules, each read once."""

    modules: dict[str, Module | None] = field(default_factory=dict)

    def module(self, name: str) -> Module | None:
        """The module of that name; None: there is no Python source of it."""
        if name not in self.modules:
            self.modules[name] = _read(name)
        return self.modules[name]

    def find(self, module: Module, name: str) -> Outline | None:
        """What the module says under that name, wherever it has it from."""
        for line in _statements(module.tree.body):
            if isinstance(line, ast.ClassDef | ast.FunctionDef) and line.name == name:
                return Outline(module, line, self)
            if name in _assigned(line):
                return Outline(module, line.value, self)  # type: ignore[attr-defined]
            if isinstance(line, ast.ImportFrom):
                for alias in line.names:
                    if name == (alias.asname or alias.name):
                        there = self.module(_origin(line, module))
                        return self.find(there, alias.name) if there else None
        return None

    def named(self, node: ast.expr, module: Module) -> Outline | None:
        """The class or function that a plain name stands for."""
        return self.find(module, node.id) if isinstance(node, ast.Name) else None

    def value(self, node: ast.AST, module: Module) -> Any:
        """Of an expression made of constants, types and names of such.

        Raises:
            Unreadable: it is of something else.
        """
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(self.value(one, module) for one in node.elts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.value(node.operand, module)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._either(node.left, node.right, module)
        if isinstance(node, ast.Subscript):
            return self.value(node.value, module)[self.value(node.slice, module)]
        if isinstance(node, ast.Attribute) and (of := self.named(node.value, module)):
            return _attribute(of, node.attr)
        if isinstance(node, ast.Name):
            return self._name(node.id, module)
        if isinstance(node, ast.Call) and self._is_range(node.func, module):
            return Range(*(self.value(one, module) for one in node.args))
        raise Unreadable

    def _either(self, one: ast.AST, other: ast.AST, module: Module) -> Any:
        """A union of types; a side that is of another package's classes is left out."""
        sides = []
        for side in (one, other):
            with suppress(Unreadable):
                kind = self.value(side, module)
                sides.append(NoneType if kind is None else kind)
        if not sides:
            raise Unreadable
        return reduce(or_, sides)

    def _is_range(self, node: ast.expr, module: Module) -> bool:
        made = self.named(node, module)
        found = made.node if made else None
        return isinstance(found, ast.ClassDef) and found.name == Range.__name__

    def _name(self, name: str, module: Module) -> Any:
        if name in KINDS:
            return KINDS[name]
        for line in _statements(module.tree.body):
            if isinstance(line, ast.ImportFrom) and line.module in ("typing", "collections.abc"):
                for alias in line.names:
                    if name == (alias.asname or alias.name):
                        return getattr(import_module(line.module), alias.name)
        found = self.find(module, name)
        if found is None or isinstance(found.node, ast.ClassDef | ast.FunctionDef):
            raise Unreadable
        return self.value(found.node, found.module)


def outline(path: str) -> Outline | None:
    """What the source says of "module:name"; None: it takes importing to know.

    Raises:
        UsageError: there is no such module, or nothing of that name in it; the nearest is offered.
    """
    where, _, name = path.partition(":")
    with here():
        sources = Sources()
        module = sources.module(where)
        if module is None:
            if _missing(where):
                raise UsageError(f"cannot find {path!r}: No module named {where!r}")
            return None
        found = sources.find(module, name)
    if found is None:
        known = _names(module)
        if name not in known and "*" not in known and "__getattr__" not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"cannot find {path!r}: {where} has no {name!r}{hint}")
    return found


def _read(name: str) -> Module | None:
    if _missing(name):
        return None
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    text = Path(spec.origin).read_text(encoding="utf-8")
    try:
        return Module(spec.parent or "", tuple(text.splitlines()), ast.parse(text))
    except SyntaxError:
        return None  # whoever imports it is told of it


def _missing(name: str) -> bool:
    """Whether there is no such module; the packages that it is in are imported."""
    try:
        return find_spec(name) is None
    except ModuleNotFoundError:
        return True


def _origin(line: ast.ImportFrom, module: Module) -> str:
    """The whole name of the module that an import names."""
    return resolve_name("." * line.level + (line.module or ""), module.package)


def _assigned(line: ast.stmt) -> set[str]:
    """Names to which a statement gives its value."""
    if not isinstance(line, ast.AnnAssign | ast.Assign) or line.value is None:
        return set()
    targets = line.targets if isinstance(line, ast.Assign) else [line.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _body(node: ast.AST) -> list[ast.stmt]:
    return node.body if isinstance(node, ast.ClassDef) else []


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module, and of what it does on a condition."""
    for line in body:
        yield line
        if isinstance(line, ast.If | ast.Try):
            yield from _statements([*line.body, *line.orelse])


def _names(module: Module) -> set[str]:
    """Everything that the module may have by name; "*" where it does not say what it imports."""
    found = set[str]()
    for line in ast.walk(module.tree):
        if isinstance(line, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(line.name)
        elif isinstance(line, ast.Name) and isinstance(line.ctx, ast.Store):
            found.add(line.id)
        elif isinstance(line, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in line.names}
    return found


def _attribute(of: Outline, name: str) -> Any:
    """A field of a value that the module makes: `MILD.boredom`, of `MILD = Assumed(boredom=4)`."""
    call = of.node
    if isinstance(call, ast.ClassDef) and not isinstance(value := of.constant(name), Unread):
        return value
    if not isinstance(call, ast.Call) or call.args:
        raise Unreadable
    for word in call.keywords:
        if word.arg == name:
            return of.read.value(word.value, of.module)
    made = of.read.named(call.func, of.module)
    for parameter in made.parameters if made else ():
        if parameter.name == name and not isinstance(parameter.default, Unread):
            return parameter.default
    raise Unreadable
