"""What an installed copy holds, and what importing it costs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("envs", "models", "agents", "experiments")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def python(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_subpackage_is_listed() -> None:
    """A forgotten one works in an editable install and is missing from the wheel."""
    holding_code = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    for folder in holding_code:
        assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)} has no __init__.py"
    dotted = {".".join(("slategym", *folder.relative_to(ROOT).parts)) for folder in holding_code}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == dotted | {"slategym"}


def test_links_show_the_package_to_editors_and_type_checkers() -> None:
    for folder in FOLDERS:
        assert os.readlink(ROOT / "slategym" / folder) == f"../{folder}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_bare_import_is_refused(folder: str) -> None:
    """It would make a second copy of every class."""
    result = python("-c", f"import {folder}", cwd=ROOT)
    assert result.returncode == 1
    assert f"ImportError: import slategym.{folder}, not {folder}" in result.stderr


def test_import_is_quick_and_light(tmp_path: Path) -> None:
    code = (
        "import sys, time; begin = time.process_time(); import slategym; "
        "print(time.process_time() - begin); "
        "print([m for m in ('torch', 'transformers', 'pandas', 'stable_baselines3', 'matplotlib') "
        "if m in sys.modules])"
    )
    seconds = []  # of this process's own time: a busy machine is no slower import
    for _ in range(3):
        result = python("-c", code, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        took, heavy = result.stdout.splitlines()
        assert heavy == "[]"
        seconds.append(float(took))
        if min(seconds) < 0.5:
            break
    assert min(seconds) < 0.5


def test_constraints_pin_every_dependency_to_a_release() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "exact, no URL, no +local"

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", name)[0]).lower()

    pinned = {plain(pin) for pin in pins}
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    assert {plain(name) for name in wanted} <= pinned
    assert "torch==2.13.0" in pins


def test_a_wheel_made_from_a_source_archive_runs_from_an_empty_folder(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (*FOLDERS, "slategym"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    built = python("-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), cwd=tree)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert f"slategym/{path.relative_to(ROOT).as_posix()}" in names
    for path in [*(ROOT / "experiments").rglob("*.toml"), *ROOT.glob("experiments/cli/starters/*")]:
        assert f"slategym/{path.relative_to(ROOT).as_posix()}" in names, path.name
    assert {"slategym/__init__.py", "slategym/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", *(f"{f}/" for f in FOLDERS)))]

    target, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    words = ("install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    installed = python("-m", "pip", *words, cwd=empty)
    assert installed.returncode == 0, installed.stderr
    where = (
        "import slategym.envs, slategym.models.data as d; print(slategym.envs.__file__, d.__file__)"
    )
    found = python("-c", where, cwd=empty, PYTHONPATH=str(target))
    assert found.stdout.count(str(target)) == 2, found.stdout + found.stderr
    help_page = python(
        "-m", "slategym.experiments.cli.main", "--help", cwd=empty, PYTHONPATH=str(target)
    )
    assert help_page.returncode == 0, help_page.stderr
    for command in ("benchmark", "evaluate-model", "simulate", "worlds", "agents", "data"):
        assert command in help_page.stdout
    assert list(empty.iterdir()) == []
