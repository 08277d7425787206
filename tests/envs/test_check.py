"""Every user model here keeps the contract; the checker names the usual slips."""

import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slategym.envs.check import ContractError, check_user_model
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import CLICK, Signal
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.boredom import Boredom
from slategym.envs.users.likes import Likes
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation

ROOT = Path(__file__).parents[2]


def test_every_world_keeps_the_contract(world):
    check_user_model(world.users, world.catalogue)


def test_composed_models_keep_it_too():
    check_user_model(Likes())
    check_user_model(Assumed(Likes(), GenreSatiation(num_topics=10), Patience()))


class MissingAxis(Boredom):
    """SARDINE's slip (_clicked_item_influence): a mean over all axes."""

    def evolve(self, state, items, feedback_BKM, context, luck):
        return replace(state, taste=0.9 * state.taste + 0.1 * feedback_BKM.mean())


class TorchGenerator(Likes):
    """RecSim's slip (choice_model.py), with torch."""

    def evolve(self, state, items, feedback_BKM, context, luck):
        return state + torch.randn_like(state)


class NumpyGenerator(Likes):
    def initial(self, arrival, luck):
        return super().initial(arrival, luck) + np.random.rand()  # noqa: NPY002


class PythonGenerator(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context) * random.random()


class InPlace(Likes):
    def evolve(self, state, items, feedback_BKM, context, luck):
        return state.mul_(0.9)


class Promotes(Boredom):
    def evolve(self, state, items, feedback_BKM, context, luck):
        return replace(state, bored=state.bored * 0.5)


class Grows(Likes):
    def evolve(self, state, items, feedback_BKM, context, luck):
        return torch.cat([state, state[:, :1]], 1)


class NoUsers(Likes):
    def initial(self, arrival, luck):
        return super().initial(arrival, luck).mean()


class SizeMatters(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context) / state.shape[0]


class Transposed(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context).T


class DoublePrecision(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context).double()


class NotANumber(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context) * torch.inf * 0


class LogitLeaves(Likes):
    def leave(self, state):
        return state[:, 0] * 10


class RevealsTooMuch(Likes):
    def reveal(self, state):
        return state * 10


class ElsewhereState(Likes):
    def initial(self, arrival, luck):
        return torch.zeros(luck.stream.shape[0], 10, device="meta")


class ClickLast(Likes):
    @property
    def signals(self):
        return (Signal("like", "binary", "count", 0.0, 1.0), CLICK)


class Rates(Likes):
    @property
    def signals(self):
        return (CLICK, Signal("rating", "ordinal", "stars", 1.0, 5.0))


class WrongMean(Rates):
    def respond(self, state, items, context, luck):
        one_BK = torch.ones_like(items.quality)
        sample_BK = 1.0 + 4.0 * luck.uniform(1, items.id.shape[1])
        return torch.stack([one_BK, sample_BK], 2), torch.stack([one_BK, one_BK * 4], 2)


class SixStars(Rates):
    def respond(self, state, items, context, luck):
        one_BK = torch.ones_like(items.quality)
        both = torch.stack([one_BK, 6 * one_BK], 2)
        return both, both


class NoClickValue(Rates):
    def respond(self, state, items, context, luck):
        half = torch.full((*items.id.shape, 2), 2.0)
        return half, half


class Remembers(Likes):
    seen = 0

    def appeal(self, state, items, context):
        type(self).seen += 1
        return super().appeal(state, items, context) + self.seen


class Breaks(Likes):
    def appeal(self, state, items, context):
        return state + items.quality


class SizeWritten(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context).view(6, 4)


class TooSure(Likes):
    def leave(self, state):
        return 1.5 * torch.ones_like(state[:, 0])


class HalfPrecision(Likes):
    def initial(self, arrival, luck):
        return super().initial(arrival, luck).half()


SLIPS = [
    (TooSure, r"leave returned 1\.5, outside \[0, 1\]"),
    (HalfPrecision, r"appeal returned torch.float16, expected torch.float32"),
    (MissingAxis, r"evolve.*affect one another: a sum, .*dim="),
    (TorchGenerator, r"evolve advanced a global random generator.*luck"),
    (NumpyGenerator, r"initial advanced a global random generator"),
    (PythonGenerator, r"appeal advanced a global random generator"),
    (InPlace, r"evolve changed its arguments in place"),
    (Promotes, r"from torch.int32 to torch.float32"),
    (Grows, r"shapes from \[\(6, 10\)\] to \[\(6, 11\)\].*may not grow"),
    (NoUsers, r"initial.*alone than among others"),
    (SizeMatters, r"appeal.*depends on the batch size, not on who the others are"),
    (Transposed, r"appeal"),
    (DoublePrecision, r"torch.float64, expected torch.float32"),
    (NotANumber, r"NaN"),
    (LogitLeaves, r"leave returned .*outside \[0, 1\].*sigmoid"),
    (RevealsTooMuch, r"reveal returned .*outside \[-1, 1\]"),
    (ElsewhereState, r"on meta, the world is on cpu"),
    (ClickLast, r"signals must begin with"),
    (WrongMean, r"rating has mean 4, but its samples have (2\.9|3)"),
    (SixStars, r"returned 6, outside \[1, 5\]: declared of rating"),
    (NoClickValue, r"the click, the first signal, the value 1"),
    (Breaks, r"appeal failed: RuntimeError: .*\(line \d+: return state \+ items.quality\)"),
    (SizeWritten, r"appeal failed with one user. A size written out\?: RuntimeError"),
    (Remembers, r"appeal gave two results.*self"),
]


@pytest.mark.parametrize(("model", "message"), SLIPS, ids=lambda x: getattr(x, "__name__", ""))
def test_the_cause_is_named(model, message):
    with pytest.raises(ContractError, match=f"(?s){model.__name__}.*{message}"):
        check_user_model(model())


@dataclass(frozen=True)
class Anchored(Likes):
    """A frozen dataclass that derives from another keeps the contract as well."""

    anchor: float = 0.5

    def evolve(self, state, items, feedback_BKM, context, luck):
        return state + 0.1 * (self.anchor - state)


def test_a_derived_model_passes():
    check_user_model(Anchored())


def test_a_name_is_checked_like_a_model():
    check_user_model("boredom")
    with pytest.raises(UsageError, match="did you mean 'boredom'"):
        check_user_model("bordom")


def test_a_model_from_another_installed_package(tmp_path):
    """examples/weary_users, built, installed apart, found by its entry point, checked and run."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    options = ["--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    source = tmp_path / "source"
    source.mkdir()
    for file in (ROOT / "examples" / "weary_users").iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    site = tmp_path / "site"
    subprocess.run([*install, str(site), *options, str(source)], check=True)
    code = (
        "import gymnasium, slategym, torch;"
        "torch.set_num_threads(1);"
        "from slategym.envs.check import check_user_model;"
        "from slategym.envs.registry import find_user_model;"
        "from slategym.experiments.cli.main import answer, build;"
        "check_user_model(find_user_model('weary')());"
        "envs = gymnasium.make_vec('slategym/Workbench-v0', num_envs=4, users='weary');"
        "envs.reset(seed=0);"
        "print(sum(envs.step(envs.action_space.sample())[1].sum() for _ in range(20)));"
        "print(*(answer(build, ['check', x]) for x in ('weary', 'weary_users:Weary')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(site), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    clicks, *said, codes = run.stdout.splitlines()
    assert float(clicks) > 10 and codes == "0 0", run.stderr
    for name in ("weary", "weary_users:Weary"):
        assert any(f"OK: {name} keeps the contract" in line for line in said)


def test_the_example_is_short():
    lines = (ROOT / "examples/weary_users/weary_users.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 25


@pytest.mark.parametrize(("model", "message"), [(InPlace, "in place"), (NotANumber, "NaN")])
def test_a_world_takes_no_broken_model(model, message):
    with pytest.raises(ContractError, match=message):
        make_world("Workbench-v0", users=model())
