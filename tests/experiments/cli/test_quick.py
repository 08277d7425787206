"""Listings, help and typing mistakes need neither torch nor transformers, and so are quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "pandas", "stable_baselines3", "scipy", "matplotlib")
CALLS = {  # what is typed, what it answers on standard output or error, exit code
    "agents": ("plackett-luce", 0),
    "agents --json": ('"name": "plackett-luce"', 0),
    "worlds": ("InterestEvolution-v0", 0),
    "worlds --json": ('"name": "InterestEvolution-v0"', 0),
    "studies": ("sardine", 0),
    "studies --json": ('"name": "sardine"', 0),
    "data list": ("movielens-100k", 0),
    "--help": ("evaluate-model", 0),
    "compare --help": ("--policies", 0),
    "--version": ("slategym ", 0),
    "wrolds": ("did you mean 'worlds'", 2),
    "agents slateqq": ("did you mean 'slateq'", 2),
    "worlds MovieLens-v7": ("did you mean 'MovieLens-v0'", 2),
    "train slateqq --world InterestEvolution-v0": ("did you mean 'slateq'", 2),
    "train slateq --world InterestEvolutoin-v0": ("did you mean 'InterestEvolution-v0'", 2),
    "simulate MovieLnes-v0": ("did you mean 'MovieLens-v0'", 2),
    "simulate MovieLens-v0 --policy supervizd": ("did you mean 'supervised'", 2),
    "simulate MovieLens-v0 --policy runs/nope": ("there is no folder runs/nope", 2),
    "compare MovieLens-v0 --policies random,myopicc": ("did you mean 'myopic'", 2),
    "benchmark movielns": ("did you mean 'movielens'", 2),
    "evaluate-model movielens-100": ("did you mean 'movielens-100k'", 2),
    "evaluate-model logs/nope": ("no such folder", 2),
    "benchmark log logs/nope": ("no such folder", 2),
    "benchmark log movielens-100": ("did you mean 'movielens-100k'", 2),
    "data check logs/nope": ("no such folder", 2),
    "data describe logs/nope": ("no such folder", 2),
    "export runs/nope": ("there is no folder runs/nope", 2),
    "check bordom": ("did you mean 'boredom'", 2),
    "train slateq --wrld InterestEvolution-v0": ("No such option: --wrld", 2),
}
PROGRAM = """
import json, sys, time
begin = time.process_time()
from slategym.experiments.cli.main import answer, build
results = [[answer(build, call.split()), time.process_time()] for call in json.loads(sys.argv[1])]
print("\\n=====", json.dumps({
    "codes": [code for code, _ in results],
    "first": results[0][1] - begin,
    "heavy": sorted({name for name in json.loads(sys.argv[2]) if name in sys.modules}),
}))
"""


def run(calls: list[str], cwd: Path) -> tuple[str, dict[str, object]]:
    """Make these calls in one fresh process; what they print, and what they cost."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(calls), json.dumps(HEAVY)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "SLATEGYM_HOME": str(cwd / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    said, _, facts = done.stdout.partition("\n=====")
    return said, json.loads(facts)


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    said, facts = run(list(CALLS), tmp_path)
    assert facts["codes"] == [code for _, code in CALLS.values()]
    for call, (answer, _) in CALLS.items():
        assert answer in said, call
    assert facts["heavy"] == []


@pytest.mark.parametrize("call", ["agents", "simulate MovieLens-v0 --policy supervizd"])
def test_the_answer_comes_in_a_second(call: str, tmp_path: Path) -> None:
    """Of this process's own time: a busy machine is no slower answer. The best of three."""
    took = []
    for _ in range(3):
        took.append(run([call], tmp_path)[1]["first"])
        if took[-1] < 1.0:
            return
    raise AssertionError(f"{call} took {min(took):.2f} s of processor time")


def test_pages_need_no_transformers(tmp_path: Path) -> None:
    """Torch they need, as they read a builder's or a learner's own settings."""
    _, facts = run(["worlds InterestEvolution-v0", "worlds Log-v0", "agents slateq"], tmp_path)
    assert facts["codes"] == [0, 0, 0] and "transformers" not in set(facts["heavy"])  # type: ignore[call-overload]


def test_python_m_slategym_is_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "slategym", "worlds", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {row["name"] for row in json.loads(done.stdout)}
    assert {"Workbench-v0", "MovieLens-v0"} <= listed
    failed = subprocess.run([sys.executable, "-m", "slategym", "wrolds"], capture_output=True)
    assert failed.returncode == 2
