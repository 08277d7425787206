"""One way out for every error, and a quick --help."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from slategym import __version__
from slategym.envs.names import UsageError
from slategym.experiments.cli import commands
from slategym.experiments.cli import main as cli
from slategym.experiments.cli.main import _warning_line, answer, build, resolve_device
from slategym.experiments.runs.errors import UnitError
from slategym.models.checksums import Damaged

ERRORS: dict[str, tuple[Callable[[], BaseException], int, str]] = {
    "usage": (lambda: UsageError("unknown world 'x'"), 2, "error: unknown world 'x'"),
    "value": (lambda: ValueError("several\n  lines"), 1, "error: several lines"),
    "markup": (lambda: ValueError("a [bold] b"), 1, "error: a [bold] b"),
    "run": (lambda: UnitError("train, seed 1: broke"), 1, "error: train, seed 1: broke"),
    "file": (
        lambda: FileNotFoundError(2, "No such file or directory", "a.csv"),
        2,
        "error: No such file or directory: a.csv",
    ),
    "link to itself": (
        lambda: OSError(40, "Too many levels of symbolic links", "a.csv"),
        2,
        "error: Too many levels of symbolic links: a.csv",
    ),
    "damaged": (lambda: Damaged("a.json is damaged"), 2, "error: a.json is damaged"),
    "disk": (
        lambda: OSError(28, "No space left on device", "a.csv"),
        1,
        "error: No space left on device: a.csv",
    ),
    "memory": (lambda: MemoryError(), 1, "error: out of memory"),
    "stop": (lambda: KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept"),
    "defect": (
        lambda: KeyError("x"),
        1,
        "error: a defect of slategym: KeyError: 'x'; --debug shows where",
    ),
}


def toy_app() -> typer.Typer:
    """A command that fails as asked, and one that works."""
    app = typer.Typer(cls=cli.Commands, pretty_exceptions_enable=False)
    app.callback()(cli._root)

    @app.command()
    def fail(how: str, times: int = 1) -> None:
        raise ERRORS[how][0]()

    @app.command()
    def work(word: str = "done") -> None:
        print(word)

    return app


@pytest.mark.parametrize("how", ERRORS)
def test_an_error_is_one_line_and_a_code(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, code, line = ERRORS[how]
    assert answer(toy_app, ["fail", how]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", line + "\n")


@pytest.mark.parametrize("arguments", [["--debug", "fail", "value"], ["fail", "value", "--debug"]])
def test_debug_shows_the_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(toy_app, arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "raise ERRORS[how][0]()" in err
    assert err.splitlines()[-1] == "error: several lines"


def test_debug_after_two_dashes_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(toy_app, ["fail", "--", "--debug"]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["wrok"], "error: unknown command 'wrok'; did you mean 'work'? Known: fail, work"),
        (["work", "--wrod", "x"], "error: No such option: --wrod"),
        (["fail"], "error: Missing argument 'how'"),
        (["fail", "value", "--times", "two"], "error: Invalid value for '--times'"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(toy_app, arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(line) and err.count("\n") == 1
    assert "see slategym" in err or "Known" in err


def test_a_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(toy_app, ["work", "--word", "hello"]) == 0
    assert capsys.readouterr() == ("hello\n", "")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["--version"]) == 0
    assert capsys.readouterr().out == f"slategym {__version__}\n"
    assert answer(build, []) == 0
    text = capsys.readouterr().out
    assert "slategym benchmark movielens --profile quick" in text
    for name in (*cli.COMMANDS, "agents"):
        assert f"│ {name.replace('_', '-')} " in text  # in the box of commands


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; from slategym.experiments.cli.main import answer, build; "
        "assert answer(build, ['--help']) == 0; "
        "print([m for m in ('torch', 'transformers', 'pandas', 'pyarrow', 'matplotlib', 'scipy', "
        "'stable_baselines3') if m in sys.modules], time.process_time())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, seconds = out.stdout.splitlines()[-1].rsplit(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 1.0  # of the processor


def test_the_options_of_no_other_command_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all take typer 70 ms."""
    read, one = list[str](), typer.main.get_command_from_info

    def seen(command_info: typer.models.CommandInfo, **given: Any) -> Any:
        read.append(str(command_info.name))
        return one(command_info, **given)

    monkeypatch.setattr(typer.main, "get_command_from_info", seen)
    assert answer(build, ["agents", "slateqq"]) == 2 and read == ["agents"]
    read.clear()
    assert answer(build, ["data", "chekc"]) == 2 and "list" in read and "agents" not in read
    read.clear()
    assert answer(build, ["agnets"]) == 2 and len(read) > 20  # the nearest of all is offered


def test_every_help_page_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.main.get_command(build())
    names = [[name] for name in app.commands if name != "data"]  # type: ignore[attr-defined]
    for words in (*names, *(["data", name] for name in ("list", "fetch", "describe", "check"))):
        assert answer(build, [*words, "--help"]) == 0
        page = capsys.readouterr().out
        usage, _, rest = page.partition("╭")  # the usage line; then boxes and what follows them
        examples = rest.rpartition("╯")[2]
        assert f"slategym {' '.join(words)}" in usage
        assert f"slategym {' '.join(words)}" in examples, words
        assert "[bold]" not in page and "**" not in page and "`" not in page


def test_every_command_ends_in_what_to_run_next() -> None:
    """By its source; the two that run until they are ended have no end to print it at."""
    said = r"""say_next\(|"[Nn]ext: |['"]To \w+[^\n]*slategym|f\.advice|next_step"""
    for name in set(cli.COMMANDS) - {"app", "serve"}:
        text = (Path(commands.__file__).parent / f"{name}.py").read_text("utf-8")
        assert re.search(said, text), name


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cuda: torch sees no CUDA device"):
            resolve_device("cuda")


def test_a_warning_is_one_line_that_no_terminal_acts_upon() -> None:
    assert _warning_line("\x1b[31mred", UserWarning, "x.py", 3) == "warning: \\x1b[31mred\n"
