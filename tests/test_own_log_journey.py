"""From a log's folder to a report by the commands alone: what somebody with their own log does.

The log is a shop's, written by DayInLife-v0: clicks, dwell and returns on slates, with device,
place and weather, prices and brands. `pytest -m slow -rP` walks with 2,000 users and 500 items, the
study in two processes, and prints what each part took: less than three minutes of two cores.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import gymnasium as gym
import pandas as pd
import pytest
import torch
from shop_log import write_shop_log
from small_movielens import know_texts, small_home, small_networks

from slategym.agents.core import tuning
from slategym.agents.serving import export
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure import training
from slategym.experiments.studies import log as log_study
from slategym.models.data.datasets import load_log
from slategym.models.quality import evaluation
from slategym.models.simulator import pace

ROOT = Path(__file__).parents[1]
SHOP_ITEMS = 500
SIZES = [
    pytest.param((60, 40, 8), id="small"),
    pytest.param((2_000, SHOP_ITEMS, 20), id="shop", marks=pytest.mark.slow),
]
MOST_SECONDS = 320.0  # of CPU, of 360 that three minutes of two cores have
pytestmark = pytest.mark.filterwarnings("ignore:.*tokens of the item texts are unknown")
STUDY = ["benchmark", "log", "shop", "--profile", "smoke", "--out", "study"]
WHOLE = ["--workers", "2"]
FEW = ["--workers", "0", "--agents", "linear-bandit", "--users", "8"]  # on the small log
ALIKE = ("supervised-quota", "supervised-mmr", "supervised-dpp", "transitions")  # to the engine


@dataclass(frozen=True)
class Shop:
    """The folder that one stands in, and how large its log is."""

    here: Path
    num_items: int
    # CPU seconds of this process and of those it waited for, and seconds of the clock, by part
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)


@pytest.fixture(scope="module", params=SIZES)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    users, items, slates = request.param
    here = tmp_path_factory.mktemp("journey")
    with small_home(here / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        if items != SHOP_ITEMS:
            request.getfixturevalue("blank_pictures")
            shorten(patch)
        write_shop_log(Path("shop"), users, items, slates=slates)
        if items == SHOP_ITEMS:
            know_texts(here / "home", load_log("shop"), patch)
        yield Shop(here, items)


def cpu() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])


@pytest.fixture(autouse=True)
def measured(shop: Shop, request: pytest.FixtureRequest) -> Iterator[None]:
    """What each part takes is kept for the last."""
    before, began = cpu(), time.monotonic()
    yield
    shop.parts[request.node.name] = cpu() - before, time.monotonic() - began


def shorten(patch: pytest.MonkeyPatch) -> None:
    """Few people, slates and epochs, short visits, small networks, of policies of a kind one."""
    smoke = log_study.PROFILES["smoke"]
    smoke = replace(smoke, training=smoke.training / 20, left_out=(*smoke.left_out, *ALIKE))
    patch.setitem(log_study.PROFILES, "smoke", smoke)
    patch.setattr(log_study, "HEADROOM_USERS", 8)
    patch.setattr(tuning, "SLATES", 1_000)
    patch.setattr(training, "LEAST_TUNED", 200)
    patch.setattr(export, "CHECKED", 40)
    for bound in ("SHORTEST", "LONGEST"):
        patch.setattr(pace, bound, 6)  # slates of a visit
    recipe = evaluation.RECIPES["time"]
    few = replace(recipe, training=replace(recipe.training, epochs=1))
    patch.setitem(evaluation.RECIPES, "time", few)
    small_networks(patch)


def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints, its code being 0."""
    capsys.readouterr()
    code = answer(build, list(words))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def test_check_and_describe(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, "data", "check", "shop")
    for word in ("click", "dwell", "return", "device", "place", "weather", "price", "brand"):
        assert word in said
    assert "next: slategym benchmark log shop" in said
    proposed = say(capsys, "data", "describe", "shop")
    for section in ("signals.dwell", "context.device", "item_columns.price", "item_columns.brand"):
        assert f"[{section}]" in proposed


def test_fit_and_evaluate(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = json.loads(say(capsys, "fit", "shop", "--epochs", "1", "--quiet", "--json"))
    assert {"click_auc", "return_auc", "dwell_rmsle"} <= fitted["figures"].keys()
    card = (Path(fitted["model"]) / "README.md").read_text()
    assert "slates" in card  # where the click head's negatives come from
    words = ["evaluate-model", "shop", "--no-loo", "--no-single-task", "--quiet", "--json"]
    assert 0.0 < json.loads(say(capsys, *words))["click_auc"] < 1.0
    table = say(capsys, *words[:-1])  # fits a terminal of 80 characters, whatever is measured
    assert "return AUC" in table and "…" not in table
    assert table.splitlines()[-1] == "next: slategym fit shop · slategym benchmark log shop"


@pytest.mark.parametrize("world", ["slategym/Log-v0", "slategym/Log-Judge-v0"])
@pytest.mark.parametrize("static", [False, True])
def test_worlds_show_the_logs_context(shop: Shop, world: str, static: bool) -> None:
    envs = gym.make_vec(world, num_envs=4, log="shop", static=static)
    seen, _ = envs.reset(seed=0)
    for _ in range(3):
        action = envs.single_action_space.sample()
        seen, reward, *_ = envs.step([action] * 4)
    shown = " ".join(seen) + repr(envs.single_observation_space)
    assert "context" in shown and reward.shape == (4,)
    page = envs.unwrapped.world
    assert [column.name for column in page.context.columns] == ["device", "place", "weather"]
    assert {column.name for column, _ in page.catalogue.attributes} == {"price", "brand"}
    assert page.objective == (1.0, 0.05, 0.5)
    envs.close()


def test_train_and_export(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = "train plackett-luce --world Log-v0 --set log=shop --steps 512 --out agent"
    again = "slategym compare Log-v0 --set log=shop --policies agent,random"
    assert f"next: {again} · slategym app agent" in say(capsys, *words.split())
    say(capsys, "export", "agent")
    assert list(Path("agent").rglob("*.pt"))


def test_a_study_ends_in_a_report_in_the_logs_words(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*STUDY, *(WHOLE if shop.num_items == SHOP_ITEMS else FEW)]
    said = say(capsys, *words)
    report = (Path("study") / "report.html").read_text(encoding="utf-8")
    rows = pd.read_parquet("study/rows.parquet")
    assert {"clicks", "policy", "variant", "return"} <= set(rows.columns)
    assert {"random", "popularity", "supervised", "myopic"} <= set(rows["policy"])
    text = re.sub(r"<[^>]+>", " ", report)
    assert "product" in text and not re.search(r"\bfilms?\b|\bgenres?\b", text)
    assert "slategym benchmark log shop --profile smoke" in text  # repeat it
    assert "assumed" in text and "derived" in text
    before = {path: path.stat().st_mtime_ns for path in Path("study/units").iterdir()}
    again = say(capsys, *words)
    assert {path: path.stat().st_mtime_ns for path in Path("study/units").iterdir()} == before
    assert "supervised" in said and said == again
    trained = [path.parent for path in Path("study/work").rglob("agent.json")]
    assert trained
    say(capsys, "export", str(trained[0]))
    exported = next(trained[0].rglob("*.pt"))
    assert torch.jit.load(str(exported)) is not None


def test_the_same_in_python_and_its_verdict_read(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripts of the pages; the study is there already, so that nothing is computed."""
    if shop.num_items == SHOP_ITEMS:
        pytest.skip("read on the small log")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "journey"))
    own_log, read = (importlib.import_module(n) for n in ("own_log", "read_a_verdict"))
    before = {path: path.stat().st_mtime_ns for path in Path("study/units").iterdir()}
    out = Path("study")
    assert own_log.main("shop", out, agents=["linear-bandit"], users=8) == out / "report.html"
    assert {path: path.stat().st_mtime_ns for path in Path("study/units").iterdir()} == before
    told = json.loads((out / "summary.json").read_text())
    table = read.main(out)
    printed = capsys.readouterr().out
    assert f"{60:,} users" in printed and "dwell: nonnegative" in printed
    assert told["verdict"] in printed and "planning" in printed
    means = told["means"]["world"]
    for row in table.itertuples():
        apart = means[told["agent"]] - means[row.minus]
        assert row.place == "world" and row.difference == pytest.approx(apart, abs=1e-5)
    assert set(table["minus"]) == set(means) - {told["agent"]}
    for name in ("own_log", "read_a_verdict"):
        del sys.modules[name]


def test_all_of_it_is_soon_done(shop: Shop) -> None:
    """In CPU seconds, which hardly depend on what else the machine does; stands last."""
    print("CPU s, clock s")
    for part, (seconds, clock) in shop.parts.items():
        print(f"{seconds:7.1f} {clock:7.1f}  {part}")
    spent = sum(seconds for seconds, _ in shop.parts.values())
    print(f"{spent:7.1f} {sum(clock for _, clock in shop.parts.values()):7.1f}  all of it")
    assert spent < MOST_SECONDS
