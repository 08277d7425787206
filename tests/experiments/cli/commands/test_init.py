"""slategym init: each package passes its own test as it is written."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.cli.starter import KINDS, words_of, write_starter


@pytest.fixture
def forgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of a package that is gone are not found by the next."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("my_", "test_my_")):
            del sys.modules[name]


@pytest.mark.usefixtures("blank_pictures_here")
@pytest.mark.parametrize("kind", KINDS)
def test_a_package_passes_its_own_test(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: None
) -> None:
    """In this process, function by function: pytest on all of them is the slow test below."""
    write_starter(kind, f"my-{kind}", tmp_path)
    folder = tmp_path / f"my-{kind}"
    for place in (folder, folder / "tests"):
        monkeypatch.syspath_prepend(str(place))
    module = importlib.import_module(f"test_my_{kind.replace('-', '_')}")
    tests = [x for name, x in vars(module).items() if name.startswith("test_") and callable(x)]
    assert tests
    for test in tests:
        asked = inspect.signature(test).parameters
        test(**({"tmp_path": tmp_path / "run"} if "tmp_path" in asked else {}))


@pytest.mark.slow  # imports all of slategym anew
def test_every_package_passes_its_own_test_by_pytest(tmp_path: Path) -> None:
    for kind in KINDS:
        write_starter(kind, f"my-{kind}", tmp_path)
    folders = [str(tmp_path / f"my-{kind}") for kind in KINDS]
    path = os.pathsep.join([*folders, str(Path(__file__).parents[4])])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [*words, "--import-mode=importlib"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "10 passed" in found.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_names_itself(kind: str, tmp_path: Path) -> None:
    written = write_starter(kind, "weary-Users2", tmp_path)
    folder = tmp_path / "weary-Users2"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "weary-users2"
    (points,) = project["project"]["entry-points"].values()
    ((entry, place),) = points.items()
    module, _, name = place.partition(":")
    source = (folder / module / "__init__.py").read_text()
    assert module == "weary_users2" and name in source
    assert ("package-data" in project["tool"]["setuptools"]) == (kind == "log")
    readme = (folder / "README.md").read_text()
    assert entry in readme and f"slategym init {kind} weary-Users2" in readme
    assert all("$" not in path.read_text() for path in written)


def test_the_command_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert answer(build, ["init", "world", "my-shop"]) == 0
    out = capsys.readouterr().out
    assert "my-shop/my_shop/__init__.py" in out
    assert out.splitlines()[-1].startswith("Next: cd my-shop && ") and "MyShop-v0" in out
    (tmp_path / "my-shop" / "README.md").write_text("mine")
    assert answer(build, ["init", "world", "my-shop"]) == 2
    assert "my-shop exists already" in capsys.readouterr().err
    assert (tmp_path / "my-shop" / "README.md").read_text() == "mine"
    assert answer(build, ["init", "wrold", "x"]) == 2
    assert "did you mean 'world'" in capsys.readouterr().err


NO_NAMES = ["", "1st", "../up", "a b", "ü", "slategym", "a/b", "class", "None", "json", "numpy"]


@pytest.mark.parametrize("name", [*NO_NAMES, "a" * 65])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_starter("agent", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "far")
    for name, where in (("mine", tmp_path / "file"), ("link", tmp_path)):
        with pytest.raises(UsageError, match="cannot be written"):
            write_starter("agent", name, where)


def test_words_of_a_name() -> None:
    words = words_of("user-model", "wearyUsers_of-mine")
    assert (words["module"], words["object"]) == ("weary_users_of_mine", "WearyUsersOfMine")
    assert (words["project"], words["entry"]) == ("weary-users-of-mine", "weary-users-of-mine")
