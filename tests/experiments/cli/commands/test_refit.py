"""slategym refit: from a fitted model and a log that has grown to the next model and its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from small_log import write_shop
from small_movielens import small_movielens

from slategym.experiments.cli.main import answer, build
from slategym.models.multitask.network import MultiTaskBert


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a shop's log, what it had at first, and a model of that."""
    home = tmp_path_factory.mktemp("refit")
    with small_movielens(home / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name in ("shop", "first"):
            write_shop(home / name, slates=12)
        events = pd.read_csv(home / "first" / "events.csv")
        early = events["time"] < events["time"].quantile(0.6)
        events[early].to_csv(home / "first" / "events.csv", index=False)
        words = ["fit", "first", "--epochs", "1", "--quiet", "--out", "model"]
        assert answer(build, words) == 0
        yield home


def test_a_grown_log_makes_the_next_model_and_says_what_moved(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["refit", "model", "shop", "--epochs", "1", "--quiet"]
    capsys.readouterr()
    assert answer(build, [*words, "--report-to", "tensorboard"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "old rows" in out and "which products" in out and "chance 95 %" in out
    folder = Path("runs/refit-shop")
    assert (folder / "drift.png").stat().st_size > 1000
    assert list((folder / "reports" / "tensorboard").rglob("events*"))
    assert MultiTaskBert.from_pretrained(folder).vocabulary is not None
    kept = json.loads((folder / "drift.json").read_text())
    assert (kept.pop("status"), kept.pop("format")) == ("finished", 1)
    assert len(kept.pop("checksum")) == 64
    assert kept["summary"] and all(" ".join(line.split()) in out for line in kept["summary"])
    assert {"old", "new"} <= set(kept["rows"]) and {r["rows"] for r in kept["readings"]}
    assert answer(build, [*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("model") == "runs/refit-shop" and told == kept


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "shop"], "nowhere: no such folder; a model is a folder"),
        (["model", "shopp/"], "shopp/: no such folder; a log is a folder"),
        (["model", "shop", "--report-to", "tensorbord"], "did you mean 'tensorboard'"),
        (["model", "shop", "--replay", "1"], "replay is the share of old rows"),
        (["model", "shop", "--since", "May"], "--since is a time such as 2024-05-01"),
        (["model", "shop", "--since", "2099-01-01"], "has no row after 2099-01-01 00:00:00 UTC"),
        (["model", "first"], "first has no row after"),
    ],
)
def test_what_cannot_be_is_said(
    fitted: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["refit", *words, "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_a_saved_model_is_read_on_rows_it_was_not_fitted_on(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate-model", "shop", "--model", "model", "--groups", "--quiet"]
    assert answer(build, [*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (
        0 <= told["click_auc"] <= 1 and "rows that the model was not fitted on" in told["protocol"]
    )
    columns = {group["column"] for group in told["groups"]["groups"]}
    assert columns == {"age", "items"}
    assert answer(build, words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "click AUC: 0." in out and "age: young" in out and "largest gap:" in out
    events = pd.read_csv("first/events.csv")
    held = fitted / "all-fitted"
    write_shop(held, slates=12)
    hashes = MultiTaskBert.from_pretrained("model").vocabulary.held
    from slategym.models.multitask.vocabulary import anonymous

    seen = events[[anonymous(user) not in hashes for user in events["user"]]]
    seen.to_csv(held / "events.csv", index=False)
    assert answer(build, ["evaluate-model", str(held), "--model", "model", "--quiet"]) == 2
    assert "may have been fitted on every row" in capsys.readouterr().err
    assert answer(build, [*words, "--classics"]) == 2
    assert "leave them out" in capsys.readouterr().err


def test_a_label_curve_is_printed_and_drawn(
    fitted: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from slategym.experiments.cli.commands import evaluate_model
    from slategym.models.quality import labels

    monkeypatch.setattr(evaluate_model, "LABEL_SEEDS", 1)
    monkeypatch.setattr(labels.label_curve, "__kwdefaults__", {
        **labels.label_curve.__kwdefaults__, "shares": (0.3, 1.0),
        "training": labels.TrainingSettings(epochs=1),
    })  # fmt: skip
    words = ["evaluate-model", "shop", "--label-curve", "--quiet"]
    assert answer(build, words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "labelled rows only" in out and "dwell RMSLE" in out and "asked" in out
    assert Path("runs/labels-shop/label-curve.png").stat().st_size > 1000
    assert answer(build, [*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["points"]) == 6
    assert answer(build, [*words, "--groups"]) == 2
    assert "do not apply" in capsys.readouterr().err
