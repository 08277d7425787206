"""Every path that a command takes: where it is none of what is wanted, one line and exit code 2."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slategym.experiments.cli.main import answer, build

IE = "InterestEvolution-v0"
LOG, MODEL, AGENT, STUDY = (
    ("events.csv", "log.toml"),
    ("config.json",),
    ("agent.json",),
    "study.json",
)
READ: dict[str, tuple[str, ...]] = {  # a path stands for {}; files that such a folder is read by
    "data check {}": (),  # what it finds in a folder is its result, with exit code 1
    "data describe {}": LOG,
    "data describe {} --write": LOG,
    "data from-table {} --out log": (),
    "data fetch movielens-100k --from {}": (),
    "fit {}": LOG,
    "fit open-bandit-bts --encoder {}": (),
    "refit x {}": (),
    "refit {} open-bandit-bts": (),
    "evaluate-model {}": LOG,
    "explain x {} --user 1": (),
    f"validate {IE} --log {{}}": (),
    "diagnose {}": LOG,
    "diagnose Log-v0 --set log={}": LOG,
    "train --config {}": (),
    "train {} --world Workbench-v0": (),
    "train slateq --world {}": (),
    f"search {{}} --world {IE}": (),
    f"simulate {IE} --policy {{}}": AGENT,
    "simulate {}": (),
    f"compare {IE} --policies {{}},random": AGENT,
    "ope {} --policy random": LOG,
    "ope open-bandit-bts --policy as:{}": (),
    "export {}": AGENT,
    "serve {}": (*AGENT, "policy.json", STUDY),
    "app {}": (*AGENT, STUDY),
    f"app {IE} --policies {{}}": AGENT,
    "benchmark log {}": LOG,
    "benchmark {}": (),
    "report {}": (STUDY,),
    "doctor {}": (),
    "check {}": (),
    "worlds {}": (),
    "agents {}": (),
    "presets {}": (),
    "init world thing --out {}": (),
}
INTO_FOLDERS = (
    "fit open-bandit-bts --out {}",
    "refit x open-bandit-bts --out {}",
    f"validate {IE} --log open-bandit-bts --out {{}}",
    f"train slateq --world {IE} --steps 1000000 --out {{}}",
    f"search slateq --world {IE} --out {{}}",
    f"simulate {IE} --users 2 --out slates.parquet --log {{}}",
    f"export random --world {IE} --out {{}}",
    f"serve random --world {IE} --load 1 --out {{}}",
    "benchmark sardine --profile smoke --out {}",
    "benchmark truth --profile quick --out {}",
    "init world thing --out {}",
    "data from-table orders.csv --out {}",
)
INTO_FILES = (
    "evaluate-model open-bandit-bts --figure {}",
    f"diagnose {IE} --users 2 --out {{}}.json",
    f"simulate {IE} --users 2 --out {{}}.parquet",
    f"compare {IE} --policies random,myopic --out {{}}.parquet",
    "ope open-bandit-bts --policy random --out {}.json",
)
PLAIN = (
    "empty file",
    "text file",
    "locked file",
    "missing",
    "pipe",
    "loop",
    "under a file",
    "long",
)
WRONG = ("folder", "locked", "pipe", "zero", "text")  # in place of a file that a folder is read by


@contextmanager
def without_rights() -> Iterator[None]:
    """Within, root may read and write as little as the owner of the files."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield
        return

    class Head(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    class Sets(ctypes.Structure):
        _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "given"))

    libc, head, sets = ctypes.CDLL(None), Head(0x20080522, 0), (Sets * 2)()
    assert libc.capget(ctypes.byref(head), sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(ctypes.byref(head), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(head), sets) == 0


def put(path: Path, what: str) -> Path:
    """What a stranger, or a slip, may have laid at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "zero":
        path.symlink_to("/dev/zero")
    elif what == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(b"" if what == "empty" else b"{ [red] \xff\n")
    if what == "locked":
        path.chmod(0)
    return path


def given(base: Path, kind: str) -> Path:
    """The path of that kind, its name with blanks and brackets."""
    if kind == "under a file":
        return put(base / "a file", "text") / "x"
    if kind == "missing":
        return base / "not [red] here"
    if kind == "long":
        return base / ("x" * 300)
    if kind == "locked folder":
        (base / kind).mkdir(mode=0, parents=True)
        return base / kind
    if kind in PLAIN:
        return put(base / f"[b] {kind}", kind.partition(" ")[0])
    what, _, name = kind.partition(" ")
    return put(base / f"[b] {kind}" / name, what).parent


def refused(command: str, kind: str, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2 and one line, that names the path, or the file in it."""
    path = given(base, kind)
    words = [word.replace("{}", str(path)) for word in command.split()]
    with without_rights():
        code = answer(build, words)
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, (words, code, said)
    ends = (kind.split()[-1], "x.json", "x.parquet", "pip install")
    named = any(name in said for name in (str(path)[:60], *ends))
    assert "defect" not in said and len(said) < 700 and named, (words, said)


def cases(full: bool) -> list[tuple[str, str]]:
    """Commands and what is laid; not `full`: one kind for each command and each of its files."""
    found = []
    for number, (command, files) in enumerate(READ.items()):
        kinds = PLAIN if full else (PLAIN[number % len(PLAIN)],)
        if command.startswith("init"):
            kinds = tuple(kind for kind in kinds if kind != "missing") or ("pipe",)
        found += [(command, kind) for kind in kinds]
        for shift, name in enumerate(files):
            for what in WRONG if full else (WRONG[(number + shift) % len(WRONG)],):
                found.append((command, f"{what} {name}"))
    return found


def places(full: bool) -> list[tuple[str, str]]:
    """Commands and places into which nothing can be written."""
    kinds = ("empty file", "locked folder", "pipe", "loop", "under a file", "long")
    into = [
        (command, kind)
        for number, command in enumerate(INTO_FOLDERS)
        for kind in (kinds if full else (kinds[number % len(kinds)],))
    ]
    return into + [
        (c, k) for c in INTO_FILES for k in (("long", "under a file") if full else ("long",))
    ]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, which holds nothing else afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text("user,item,time\n1,a,1000000000\n")
    yield
    for path in tmp_path.rglob("*"):
        if not path.is_symlink() and path.is_dir():
            path.chmod(0o755)


@pytest.mark.parametrize(("command", "kind"), cases(full=False))
def test_what_is_not_what_a_command_reads(
    command: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(command, kind, tmp_path, capsys)


@pytest.mark.parametrize(("command", "kind"), places(full=False))
def test_where_nothing_can_be_written(
    command: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(command, kind, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("command", [*READ, *INTO_FOLDERS, *INTO_FILES])
def test_every_command_with_every_kind(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (asked, kind) in enumerate([*cases(full=True), *places(full=True)]):
        if asked == command:
            refused(command, kind, tmp_path / str(number), capsys)
