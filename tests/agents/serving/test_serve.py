"""The exported folder serves raw events by the log's own keys, in a process without slategym."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_log import write_shop
from small_movielens import small_home
from small_worlds import small_log

from slategym.agents.core.agent import Agent
from slategym.agents.policy_gradient.ppo import PPOSettings
from slategym.agents.registry import load_agent
from slategym.agents.serving.events import encoder_of
from slategym.agents.serving.serve import Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import World
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.training import Training
from slategym.models.data.folder import load_folder, write_folder
from slategym.models.data.log import Log
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.simulator.parties import PartySettings
from slategym.models.simulator.recipe import Recipe
from slategym.models.simulator.world import FITS, LIGHT, learned_world

ELSEWHERE = """
import json, sys
class Nothing:  # as if only torch were installed
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("slategym", "transformers", "pandas", "gymnasium", sys.argv[1]):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
from serve import Policy
print(json.dumps(Policy(".")(json.load(open("requests.json")))))
assert sys.argv[1] not in sys.modules
"""
TRAINED = TrainingSettings(epochs=2, batch_events=1_472)


def fit_of(events: int) -> Recipe:
    """With networks that read so many: of few a recording is short, and all code is met."""
    model = MultiTaskSettings(width=16, num_layers=1, feedforward=16, max_history=events)
    return replace(LIGHT, parties=PartySettings(model, TRAINED))


FEW, LONG = fit_of(10), fit_of(MultiTaskSettings().max_history)  # a visit of rated films is longer
TINY = PPOSettings(num_steps=24, num_users=4, rollout=3, epochs=1, minibatch=6)
DERIVED = ("click", "like")  # not said: they follow from the rest, or from the row itself


@dataclass(frozen=True)
class Case:
    log: Path
    exported: Path
    world: World
    agent: Agent


@pytest.fixture(scope="module", params=["shop", "ratings"])
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    """What `slategym export` left of an agent trained on a log's folder; nothing is had twice."""
    folder = tmp_path_factory.mktemp("case")
    log, run = folder / "log", folder / "run"
    if request.param == "shop":
        write_shop(log)
        toml = (log / "log.toml").read_text()
        (log / "log.toml").write_text(toml.replace("repeats = true", "repeats = false"))
        events = pd.read_csv(log / "events.csv")
        again_E = events[events["click"] > 0].duplicated(["user", "item"])
        events = events.drop(index=again_E.index[again_E])
        events.to_csv(log / "events.csv", index=False)
    else:
        write_folder(small_log(72, 60), log, "csv")
        events = pd.read_csv(log / "events.csv")
        events.drop(columns=["click", "like"], errors="ignore").to_csv(log / "events.csv")
        (log / "log.sha256").unlink()  # the change is ours
    fit = "few" if request.param == "shop" else "long"
    settings = {"log": str(log), "slate_size": 3, "fit": fit}
    with small_home(folder / "home"), pytest.MonkeyPatch.context() as patch:
        patch.setitem(FITS, "few", FEW)
        patch.setitem(FITS, "long", LONG)
        Training("plackett-luce", "Log-v0", settings, TINY).run(run)
        assert answer(build, ["export", str(run), "--no-latency"]) == 0
        world = learned_world(log, slate_size=3, users="evaluation", fit=fit)
        yield Case(log, run / "export", world, load_agent(run, world))


def test_raw_events_are_served_by_the_logs_own_keys_without_slategym(case: Case) -> None:
    """Three slates of a visit each: as the log's rows say at first, then with what was clicked."""
    asked, expected = visits(case)
    assert elsewhere(case.exported, asked, without="onnxruntime") == expected
    found = Policy(case.exported)
    examples = json.loads((case.exported / "examples.json").read_text())
    assert all(len(set(slate)) == 3 for slate in found(examples))


@pytest.mark.parametrize(
    "case", ["shop", pytest.param("ratings", marks=pytest.mark.slow)], indirect=True
)  # a recording of 45 events takes minutes
def test_onnxruntime_serves_the_same_without_torch(case: Case, tmp_path: Path) -> None:
    """With context columns and without, in batches of other sizes than the recording's."""
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    run, target = case.exported.parent, tmp_path / "onnx"
    call = ["export", str(run), "--out", str(target), "--format", "onnx", "--no-latency"]
    assert answer(build, call) == 0
    asked, expected = visits(case)
    assert elsewhere(target, asked, without="torch") == expected


def elsewhere(folder: Path, asked: list[Any], without: str) -> Any:
    """What serve.py answers in a process that has neither slategym nor that package."""
    (folder / "requests.json").write_text(json.dumps(asked))
    command = [sys.executable, "-c", ELSEWHERE, without]
    found = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    return json.loads(found.stdout)


def visits(case: Case) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Requests of three slates a visit each, and the agent's own slates."""
    world, log = case.world, load_folder(case.log)
    user_B = torch.arange(min(12, world.population.size), dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    requests = [_arrival(case, log, int(user)) for user in user_B]
    seconds = encoder_of(world).seconds  # type: ignore[union-attr]
    clicks, asked, expected = 0, [], []
    for step in range(3):
        slate_BK = case.agent.act(
            engine.observe(world, session), Luck.at(session.key, session.step)
        ).slate
        slates = [[str(log.items["key"][n]) for n in slate_K] for slate_K in slate_BK.tolist()]
        asked += copy.deepcopy(requests)
        expected += slates
        session, outcome = engine.transition(world, session, slate_BK)
        for request, keys, feedback_KM in zip(requests, slates, outcome.feedback, strict=True):
            for key, feedback_M in zip(keys, feedback_KM.tolist(), strict=True):
                if feedback_M[0] > 0:
                    clicks += 1
                    event = {"item": key, "time": request["events"][-1]["time"] + seconds}
                    said = zip(world.users.signals, feedback_M, strict=True)
                    event |= {signal.name: x for signal, x in said if signal.name not in DERIVED}
                    request["events"].append(event | {"slate": step})
            request["slates"] = step + 1
        clock = session.context
        for request, hour, weekday in zip(requests, clock.hour, clock.weekday, strict=True):
            request["now"] = request["visit"] | {"hour": float(hour), "weekday": int(weekday)}
    assert clicks > 0
    return asked, expected


def _arrival(case: Case, log: Log, user: int) -> dict[str, Any]:
    """A request from the rows of the folder's tables alone; of the log only keys are asked."""
    world = case.world
    assert world.population.consumed is not None and world.population.person is not None
    count = int(world.population.consumed.count[user])
    key = log.users["key"][int(world.population.person[user])]
    events = pd.read_csv(case.log / "events.csv", dtype={"user": str, "item": str})
    if "click" in events:
        events = events[events["click"] > 0]
    events = events[events["user"] == str(key)].sort_values("time", kind="stable")[:count]
    rows = json.loads(events.to_json(orient="records"))
    warm = int((world.population.history[user] >= 0).sum())  # type: ignore[index]
    users = case.log / "users.csv"
    person = {}
    if users.exists():
        table = pd.read_csv(users, dtype=str).set_index("user")
        person = table.loc[str(key)].to_dict()
    return {
        "user": person,
        "events": rows[count - warm :],
        "earlier": [row["item"] for row in rows[: count - warm]],
        "visit": rows[-1],
    }


def test_what_the_log_does_not_know_is_said(case: Case) -> None:
    policy = Policy(case.exported)
    request = _arrival(case, load_folder(case.log), 0)
    event = {"item": "nowhere", "time": 1}
    with pytest.raises(ValueError, match="knows no item 'nowhere'"):
        policy([request | {"events": [event]}])
    for column in policy.about["log"]["profile"]:
        with pytest.raises(ValueError, match=f"user has no {column['name']}"):
            others = {k: x for k, x in request["user"].items() if k != column["name"]}
            policy([request | {"user": others}])
    for column in policy.about["log"]["context"]:
        with pytest.raises(ValueError, match=f"{column['name']} is one of .*; got 'gone'"):
            policy([request | {"visit": {"time": 1, column["name"]: "gone"}}])


def test_somebody_new_is_served(case: Case) -> None:
    """Nobody's events, no word of the context: an empty history and what is unknown."""
    policy = Policy(case.exported)
    user = {column["name"]: column["categories"][0] for column in policy.about["log"]["profile"]}
    ((first, second, third),) = policy([{"user": user, "visit": {"time": 1_700_000_000}}])
    assert len({first, second, third} & set(policy.about["log"]["items"])) == 3


def test_an_altered_program_is_not_served(case: Case, tmp_path: Path) -> None:
    shutil.copytree(case.exported, tmp_path / "copy")
    program = tmp_path / "copy" / "policy.pt"
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1
    program.write_bytes(data)
    with pytest.raises(ValueError, match=r"policy\.pt was altered"):
        Policy(tmp_path / "copy")
