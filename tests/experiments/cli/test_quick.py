"""Listings, help and typing mistakes need neither torch nor transformers, and so are quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slategym.agents.entries import POLICIES
from slategym.envs.registry import NAMESPACE, WORLDS
from slategym.experiments.cli import completion

HEAVY = ("torch", "transformers", "pandas", "stable_baselines3", "scipy", "matplotlib")
CALLS = {  # what is typed, what it answers on standard output or error, exit code
    "agents": ("plackett-luce", 0),
    "agents --json": ('"name": "plackett-luce"', 0),
    "worlds": ("InterestEvolution-v0", 0),
    "worlds --json": ('"name": "InterestEvolution-v0"', 0),
    "studies": ("sardine", 0),
    "studies --json": ('"name": "sardine"', 0),
    "data list": ("movielens-100k", 0),
    "data list --json": ('"name": "movielens-100k"', 0),
    "train slateq --world MovieLens-v0 --preset": (
        "there is no preset of slateq in MovieLens-v0",
        2,
    ),
    "train --config nope.toml": ("there is no file nope.toml", 2),
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
    "export supervizd": ("there is no folder supervizd; unknown policy", 2),
    "serve runs/nope": ("there is no folder runs/nope", 2),
    "serve popularity --runtime tnsor": ("unknown runtime 'tnsor'", 2),
    "report runs/nope": ("there is no folder runs/nope", 2),
    "app runs/nope": ("there is no folder runs/nope", 2),
    "app DayInLif-v0": ("did you mean 'DayInLife-v0'", 2),
    "app DayInLife-v0 --policies myopicc": ("did you mean 'myopic'", 2),
    "init wrold mine": ("did you mean 'world'", 2),
    "init world ../mine": ("a name has letters", 2),
    "check bordom": ("did you mean 'boredom'", 2),
    "train slateq --wrld InterestEvolution-v0": ("No such option: --wrld", 2),
    "agents plackett-luce": ("falling linearly to a tenth", 0),
    "agents fusion-ppo": ("slates of every user between updates", 0),
    "agents supervised": ("simulate MovieLens-v0 --policy supervised", 0),
    "worlds MovieLens-v0": ("log-odds that boredom takes", 0),
    "worlds Log-v0": ("name of a data set", 0),
    "worlds Sardine-SlateTopK-Bored-v0": ("history_size", 0),
    "check nope:No": ("No module named 'nope'", 2),
    "check slategym.envs.users.likes:Lieks": ("did you mean 'Likes'", 2),
    "check slateq --world InterestEvolution-v0 --set sed=1": ("did you mean 'seed'", 2),
    "train slateq --world InterestEvolution-v0 --set sed=1": ("did you mean 'seed'", 2),
    "train slateq --world Sardine-SlateTopK-Bored-v0 --set variant=x": ("fixes variant", 2),
    "train slateq --world InterestEvolution-v0 --set seed=one": ("a whole number, got 'one'", 2),
    "train slateq --world InterestEvolution-v0 --agent-set gama=1": ("did you mean 'gamma'", 2),
    "train slateq --world InterestEvolution-v0 --agent-set gamma=2": ("must be in [0, 1]", 2),
    "train slateq --world InterestEvolution-v0 --agent-set serve=best": ("got 'best'", 2),
    "train slateq --world InterestEvolution-v0 --device gpu": ("unknown device 'gpu'", 2),
    "simulate MovieLens-v0 --policy random --set bordom=2": ("did you mean 'boredom'", 2),
    "simulate MovieLens-v0 --policy random --device gpu": ("unknown device 'gpu'", 2),
    "compare MovieLens-v0 --policies random,myopic --set statc=true": ("'static'", 2),
    "benchmark movielens --profile quik": ("did you mean 'quick'", 2),
    "benchmark log movielens-100k --profile quik": ("did you mean 'quick'", 2),
    "benchmark log movielens-100k --assumptions mld": ("did you mean 'mild'", 2),
    "benchmark log movielens-100k --assumptions suported": ("did you mean 'supported'", 2),
    "benchmark log movielens-100k --assumptions nope": ("smooth, supported\n", 2),
    "benchmark movielens --assumptions supported": ("unknown assumptions 'supported'", 2),
    "benchmark movielens --agents slatq": ("did you mean 'slateq'", 2),
    "benchmark slateq --device gpu": ("unknown device 'gpu'", 2),
    "evaluate-model movielens-100k --split tme": ("did you mean 'time'", 2),
    "fit movielens-100k --device gpu": ("unknown device 'gpu'", 2),
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


def test_every_page_needs_nothing_heavy(tmp_path: Path) -> None:
    calls = [f"agents {name}" for name in POLICIES]
    calls += [f"worlds {name.removeprefix(NAMESPACE)}" for name in WORLDS]
    _, facts = run(calls, tmp_path)
    assert facts["codes"] == [0] * len(calls) and facts["heavy"] == []


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


def test_a_shell_completes_commands_options_and_names() -> None:
    """What a shell asks once `slategym --install-completion` was called."""
    for words, at, answered in (
        ("slategym serv", 1, "serve"),
        ("slategym report --js", 2, "--json"),
        ("slategym train slateq --world InterestEv", 4, "InterestEvolution-v0"),
        (
            "slategym compare Workbench-v0 --policies myopic,popularity-s",
            4,
            "myopic,popularity-softmax",
        ),
    ):
        asked = {"_SLATEGYM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        found = subprocess.run(
            [sys.executable, "-m", "slategym"],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
        )
        assert found.stdout.split() == [answered], found.stderr


def test_every_kind_of_name_is_completed() -> None:
    for of, begun, among in (
        (completion.of_worlds, "Sardine-SlateTopK-B", "Sardine-SlateTopK-Bored-v0"),
        (completion.of_learners, "plackett", "plackett-luce"),
        (completion.of_policies, "random,supervised-", "random,supervised-refit"),
        (completion.of_studies, "tr", "truth"),
        (completion.of_data_sets, "movielens-1", "movielens-100k"),
    ):
        found = of(begun)
        assert among in found and all(name.startswith(begun) for name in found)
        assert of("no such name") == []
    assert "random" not in completion.of_learners("")
