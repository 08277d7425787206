"""slategym check: what was checked and OK, or one line that names the cause."""

from __future__ import annotations

import pytest

from slategym.experiments.cli.main import answer, build

MODELS = """
import torch
from slategym.envs.protocols import UserModel

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
    (tmp_path / "checked_needs.py").write_text("import a_package_that_is_not_there as X\n")
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
    verdict, further = out.splitlines()[-2:]
    assert verdict == f"OK: {name} keeps the contract of a user model"
    assert further.startswith(f"next: slategym simulate Workbench-v0 --set users={name}")


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


AGENTS = """
from dataclasses import dataclass
import torch
from small_agents import Counting
from slategym.agents.types import Action, Policy
from slategym.envs.types import World

class Fine(Counting):
    pass

class Wide(Counting):
    def act(self, observation, luck):
        return Action(super().act(observation, luck).slate.long())

@dataclass(frozen=True)
class First:
    world: World
    name: str = "first"
    privileged: bool = False

    def act(self, observation, luck):
        best = torch.arange(self.world.slate_size, dtype=torch.int32)
        return Action(best.expand(observation.step.shape[0], -1))

def first(world: World) -> Policy:
    return First(world)
"""


def test_whoever_chooses_slates_is_checked_too(capsys, tmp_path):
    (tmp_path / "checked_agents.py").write_text(AGENTS)
    for name, what in (("Fine", "learner"), ("First", "policy"), ("first", "policy")):
        code, out, err = run(capsys, f"checked_agents:{name}")
        assert code == 0 and err == "", err
        assert f"OK: checked_agents:{name} keeps the contract of a {what} in " in out
    code, out, err = run(capsys, "checked_agents:Wide")
    assert code == 1 and out == "" and "Wide.act must return int32 positions" in err
    code = answer(build, ["check", "checked_agents:Fine", "--world", "InterestEvolution-v0"])
    assert code == 2 and "needs the whole catalogue" in capsys.readouterr()[1]
    code = answer(build, ["check", "checked_agents:Fine", "--agent-set", "num_users=4"])
    assert code == 0 and "broken off and resumed" in capsys.readouterr()[0]
    code, out, err = run(capsys, "random")
    assert code == 0 and "random keeps the contract of a policy" in out
