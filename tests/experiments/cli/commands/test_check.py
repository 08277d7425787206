"""slategym check: what was checked and OK, or one line that names the cause."""

from __future__ import annotations

import pytest

from slategym.experiments.cli.main import answer, build

MODELS = """
import torch
from slategym.envs.types import UserModel

class Fine(UserModel[torch.Tensor]):
    def initial(self, arrival, luck):
        return torch.zeros(luck.stream.shape[0], 1, device=luck.stream.device)

    def appeal(self, state, items, context):
        return state - items.topic

class Random(Fine):
    def appeal(self, state, items, context):
        return torch.randn(items.id.shape)

class Broken(Fine):
    def appeal(self, state, items, context):
        return state.liking - items.topic

class Asks(Fine):
    def __init__(self, strength):
        self.strength = strength

class Other:
    pass

NUMBER = 7
"""


@pytest.fixture(autouse=True)
def _users(tmp_path, monkeypatch):
    (tmp_path / "checked_users.py").write_text(MODELS)
    (tmp_path / "checked_typo.py").write_text("import torch\ndef f(:\n")
    (tmp_path / "checked_needs.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.chdir(tmp_path)


def run(capsys, name):
    code = answer(build, ["check", name])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", ["checked_users:Fine", "slategym.envs.users.likes:Likes"])
def test_a_good_model_is_told_what_was_checked(capsys, name):
    code, out, err = run(capsys, name)
    assert code == 0 and err == ""
    assert out.count("checked: ") >= 5
    assert out.splitlines()[-1] == f"OK: {name} keeps the contract of a user model"


@pytest.mark.parametrize(
    ("name", "expected", "line"),
    [
        ("checked_users:Random", 1, "Random.appeal advanced a global random generator"),
        ("checked_users:Broken", 1, "Broken.appeal failed: AttributeError: 'Tensor' object has no"),
        ("checked_users:Asks", 1, "give every field a default"),
        ("checked_users:Other", 1, "makes a Other, which lacks"),
        ("checked_typo:X", 1, "invalid syntax"),
        ("checked_needs:X", 1, "a_package_that_is_not_there"),
        ("checked_users:NUMBER", 2, "must name a class or a function, got int"),
        ("checked_users:Fin", 2, "cannot find 'checked_users:Fin'"),
        ("no_such_module:Fine", 2, "cannot find 'no_such_module:Fine'"),
        ("boredem", 2, "boredom"),
    ],
)
def test_what_is_wrong_takes_one_line(capsys, name, expected, line):
    code, out, err = run(capsys, name)
    assert code == expected, err
    assert line in err and out == ""
    assert len(err.strip().splitlines()) == 1 and "a defect of slategym" not in err
