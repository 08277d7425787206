"""The notebooks of this folder, made from its scripts: a cell for every `# %%`.

    python examples/notebooks/make_notebooks.py

A notebook is made, never edited: what is wrong in it is mended in its script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = ("people_and_policies", "a_user_model", "train_and_beat")
ABOUT = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(script: str) -> dict[str, Any]:
    """The notebook of a script's text, without outputs."""
    cells = []
    for number, part in enumerate(script.split("# %%")[1:]):
        head, _, body = part.partition("\n")
        text = body.strip("\n")
        prose = "[markdown]" in head
        if prose:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))
        cell: dict[str, Any] = {
            "cell_type": "markdown" if prose else "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        if not prose:
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    return {"cells": cells, "metadata": ABOUT, "nbformat": 4, "nbformat_minor": 5}


def text_of(name: str) -> str:
    """The file of a script's notebook."""
    script = (HERE / f"{name}.py").read_text(encoding="utf-8")
    return json.dumps(notebook(script), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in SCRIPTS:
        (HERE / f"{name}.ipynb").write_text(text_of(name), encoding="utf-8")
