"""What `slategym init` writes: a package with one thing in it, an entry point and a test."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from slategym.envs.names import UsageError, lookup

EVENTS, USERS, ITEMS = 600, 40, 30  # of a starter's log
SECTIONS = ("news", "sport", "culture", "science", "travel")


@dataclass(frozen=True)
class Kind:
    """A kind of package."""

    what: str  # for people
    group: str  # entry-point group, without "slategym."
    source: str  # file among the templates
    next: str  # what to try, by Markdown


KINDS = {
    "user-model": Kind(
        "A user model",
        "user_models",
        "user_model",
        "    slategym check $entry\n"
        "    slategym compare Workbench-v0 --set users=$module:$object "
        "--policies popularity,random,myopic",
    ),
    "agent": Kind(
        "A learner",
        "agents",
        "agent",
        "    slategym check $entry\n"
        "    slategym train $entry --world Workbench-v0 --out runs/$entry\n"
        "    slategym compare Workbench-v0 --policies runs/$entry,popularity,random",
    ),
    "world": Kind(
        "A world",
        "worlds",
        "world",
        "    slategym worlds $entry\n"
        "    slategym diagnose $entry\n"
        "    slategym compare $entry --policies popularity,random,myopic",
    ),
    "study": Kind(
        "A study",
        "studies",
        "study",
        "    slategym benchmark $entry --profile quick",
    ),
    "log": Kind(
        "A log",
        "data_sets",
        "log",
        "    slategym data check $entry\n"
        "    slategym fit $entry --epochs 2\n"
        "    slategym benchmark log $entry --profile quick",
    ),
}


def write_starter(kind: str, name: str, where: Path) -> list[Path]:
    """Write a package of that kind and name into a new folder.

    Args:
        kind: a key of `KINDS`.
        name: letters, digits, - and _; begins with a letter.
        where: the folder in which its own folder is made.

    Returns:
        the files, in the order in which they are best read.

    Raises:
        UsageError: there is no such kind; the name is none; the folder exists and holds something,
            or cannot be written.
    """
    lookup("kind", kind, KINDS)
    about, words = KINDS[kind], words_of(kind, name)
    folder = where / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists already; choose another name, or --out elsewhere")
    module = words["module"]
    texts = {
        f"{module}/__init__.py": _template(about.source),
        "/".join(("tests", f"test_{module}.py")): _template(f"{about.source}_test"),
        "pyproject.toml": _template("project"),
        "README.md": _template("readme"),
    }
    filled = {path: Template(text).substitute(words) for path, text in texts.items()}
    if kind != "log":
        data = f'\n[tool.setuptools.package-data]\n{module} = ["log/*"]\n'
        filled["pyproject.toml"] = filled["pyproject.toml"].replace(data, "")
    else:
        filled |= {f"{module}/log/{file}": text for file, text in _tables().items()}
    try:
        for path, text in filled.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return [folder / path for path in filled]


def words_of(kind: str, name: str) -> dict[str, str]:
    """What stands for the placeholders of a template.

    Raises:
        UsageError: the name cannot be a module's, or is another's.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        raise UsageError(
            "a name has letters, digits, - and _, 64 at most, and begins with a letter; got "
            f"{name[:80]!r}"
        )
    parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
    snake, camel = "_".join(parts).lower(), "".join(part[:1].upper() + part[1:] for part in parts)
    dashed = snake.replace("_", "-")
    if iskeyword(snake) or snake in ("none", "true", "false"):
        raise UsageError(f"{name!r} is a word of Python, no module's name; choose another")
    if snake in ("test", "tests", "log", "models") or installed(snake):
        raise UsageError(f"{name!r} is the name of another package; choose one of your own")
    entry = f"{camel}-v0" if kind == "world" else dashed
    objects = {"world": "make_world", "study": "STUDY", "log": "log"}
    words = {
        "module": snake,
        "project": dashed,
        "entry": entry,
        "object": objects.get(kind, camel),
        "kind": kind,
        "given": name,
        "what": KINDS[kind].what,
        "group": KINDS[kind].group,
    }
    return words | {"next": Template(KINDS[kind].next).substitute(words)}


def installed(module: str) -> bool:
    """Whether a module of that name is Python's own, or of a package that is here."""
    if module in sys.stdlib_module_names:
        return True
    found = find_spec(module)
    return found is not None and found.origin is not None  # None: a mere folder


def _template(name: str) -> str:
    return (files(__package__) / "starters" / f"{name}.txt").read_text(encoding="utf-8")


def _tables() -> dict[str, str]:
    """A made-up log: people with a favourite section, who read what they click for longer."""
    luck = random.Random(0)
    items = [f"a{n:02}" for n in range(ITEMS)]
    section = {item: SECTIONS[n % len(SECTIONS)] for n, item in enumerate(items)}
    rows, now = ["user,item,time,click,dwell"], dict.fromkeys(range(USERS), 1_700_000_000)
    for number in range(EVENTS):
        user = number % USERS
        now[user] += luck.randrange(30, 7_200)
        item = luck.choice(items)
        liked = section[item] == SECTIONS[user % len(SECTIONS)]
        click = int(luck.random() < (0.7 if liked else 0.15))
        dwell = f"{luck.uniform(5, 90 if liked else 20):.1f}" if click else ""
        rows.append(f"u{user:02},{item},{now[user]},{click},{dwell}")
    return {
        "log.toml": _template("log_toml"),
        "items.csv": "\n".join(
            ["item,title,topics", *(f"{i},Article {i[1:]} on {s},{s}" for i, s in section.items())]
        )
        + "\n",
        "events.csv": "\n".join(rows) + "\n",
    }
