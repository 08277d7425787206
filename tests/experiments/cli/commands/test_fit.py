"""slategym fit and evaluate-model take any log: a folder as well as a name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_log import write_shop
from small_movielens import small_movielens

from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.models import fit
from slategym.models.multitask import training_settings
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.train import read_about
from slategym.models.quality import evaluation


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("fit")
    with small_movielens(home / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield write_shop(home / "shop", slates=8)


def test_a_folder_is_fitted_once_and_its_figures_are_of_its_signals(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(shop), "--epochs", "1", "--quiet"]
    assert answer(build, words) == 0
    out = capsys.readouterr().out
    assert "shop: fitted on " in out and "of 65 people, 1 epochs" in out
    for name in ("click_auc", "dwell_"):
        assert f"  {name}" in out
    assert "rating" not in out and "like" not in out
    assert "next: slategym evaluate-model" in out
    folder = Path("runs/fit-shop")
    assert (folder / "README.md").is_file() and MultiTaskBert.from_pretrained(folder)
    before = (folder / "config.json").stat().st_mtime_ns
    assert answer(build, [*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "runs/fit-shop" and found["data"]["name"] == "shop"
    assert 0 <= found["figures"]["click_auc"] <= 1
    assert (folder / "config.json").stat().st_mtime_ns == before


def test_epochs_follow_the_rows_unless_they_are_asked_for(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_settings, "MOST_ROWS", 1)
    settings = MultiTaskSettings(width=16, feedforward=16, num_layers=1)
    for epochs, trained in ((None, training_settings.FEWEST), (3, 3)):
        folder = tmp_path / str(epochs)
        fit(shop, folder, epochs=epochs, settings=settings, progress=False)
        assert len(read_about(folder)["history"]) == trained


@pytest.mark.filterwarnings("ignore:.*tokens of the item texts are unknown")
def test_what_comes_next_is_what_the_log_is_fit_for(
    tmp_path: Path, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"u{u},i{i},100,{(u + i) % 2}" for u in range(30) for i in range(6)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time,click", *rows]) + "\n")
    items = [f"i{i},film {i}" for i in range(60)]
    (tmp_path / "items.csv").write_text("\n".join(["item,title", *items]) + "\n")
    words = ["fit", str(tmp_path), "--epochs", "1", "--quiet", "--out", str(tmp_path / "model")]
    assert answer(build, words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"next: slategym benchmark log {tmp_path}"  # one time: no split by time


def test_the_same_from_python(shop: Path, tmp_path: Path) -> None:
    model = fit(str(shop), tmp_path / "model", epochs=1, progress=False)
    assert (tmp_path / "model" / "config.json").is_file() and not model.training
    with pytest.raises(UsageError, match="epochs must be at least 1, got 0"):
        fit(str(shop), tmp_path / "model", epochs=0)


def test_a_private_fit_says_what_is_spent_and_of_whom(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(shop), "--private", "8", "--epochs", "1", "--quiet", "--out", "private"]
    assert answer(build, words) == 0
    out = capsys.readouterr().out
    assert "differentially private for people: epsilon 7." in out
    assert "unit: a person with all rows" in out and "also served" not in out
    assert answer(build, [*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 6 < told["privacy"]["epsilon"] <= 8 and told["privacy"]["people"] == 65
    assert answer(build, [*words, "--report-to", "tensorboard"]) == 2
    assert "which are not private; leave tensorboard out" in capsys.readouterr().err
    assert answer(build, [*words[:-1], "no", "--set", "items.residual=seen"]) == 2
    assert "not private: residuals" in capsys.readouterr().err


def test_reporters_by_name(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", str(shop), "--epochs", "1", "--quiet", "--out", "reported"]
    assert answer(build, [*words, "--report-to", "tensorbaord"]) == 2
    assert "unknown reporter 'tensorbaord'; did you mean 'tensorboard'" in capsys.readouterr().err
    assert not Path("reported").exists()
    assert answer(build, [*words, "--report-to", "tensorboard"]) == 0
    assert list(Path("reported/reports/tensorboard").rglob("events*"))


def test_a_folder_is_evaluated(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = evaluation.RECIPES["time"]
    few = replace(recipe, training=replace(recipe.training, epochs=2))
    monkeypatch.setitem(evaluation.RECIPES, "time", few)
    words = ["evaluate-model", str(shop), "--no-loo", "--no-single-task", "--groups", "--quiet"]
    assert answer(build, [*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dataset"] == "shop" and 0 <= found["click_auc"] <= 1
    assert not [name for name in found if name.startswith(("like", "rating"))]
    assert answer(build, words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "shop, split time" in out and "click AUC" in out
    assert {g["column"] for g in found["groups"]["groups"]} == {"age", "items"}
    assert "age: old" in out and found["groups"]["summary"][0][:20] in out


@pytest.mark.parametrize("command", ["fit", "evaluate-model"])
def test_what_is_no_log_is_said(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for given, message in {
        "logs/nope": "logs/nope: no such folder",
        "movielens-100": "did you mean 'movielens-100k'",
    }.items():
        assert answer(build, [command, given]) == 2
        assert message in capsys.readouterr().err
