"""Notebooks: made from their scripts, and they run from the first cell to the last, offline."""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
SECONDS = 600.0


def maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_notebooks", FOLDER / "make_notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPTS = maker().SCRIPTS


def test_every_notebook_is_what_its_script_makes() -> None:
    made = maker()
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SCRIPTS)
    for name in SCRIPTS:
        assert (FOLDER / f"{name}.ipynb").read_text("utf-8") == made.text_of(name), (
            f"python {FOLDER.relative_to(ROOT)}/make_notebooks.py"
        )
        cells = json.loads(made.text_of(name))["cells"]
        assert cells[0]["source"][0].startswith("# ")  # a title
        assert {cell["cell_type"] for cell in cells} == {"markdown", "code"}


QUICK = "a_user_model"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == QUICK else pytest.mark.slow) for n in SCRIPTS]
)
def test_it_runs_to_its_end(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a kernel where one is installed, else here, as the script that its cells are."""
    if (
        importlib.util.find_spec("nbclient") is None
        or importlib.util.find_spec("ipykernel") is None
    ):
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        assert " - random: +" in capsys.readouterr().out
        return
    code = (
        "import nbformat, nbclient, sys\n"
        "book = nbformat.read(sys.argv[1], 4)\n"
        "nbclient.NotebookClient(book, timeout=600, kernel_name='python3').execute()\n"
        "print([text.text for cell in book.cells if cell.cell_type == 'code'"
        " for text in cell.outputs if text.output_type == 'stream'])\n"
    )
    environment = {**os.environ, "JUPYTER_PATH": "", "IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER / f"{name}.ipynb")], cwd=tmp_path,
        capture_output=True, text=True, timeout=SECONDS, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert " - random: +" in done.stdout
