"""slategym explain: lines that add up, and a test of whether they can be believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_log import write_shop
from small_movielens import small_movielens

from slategym.experiments.cli.main import answer, build


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("explain")
    with small_movielens(home / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        write_shop(home / "shop", 40)
        assert answer(build, ["fit", "shop", "--epochs", "1", "--quiet", "--out", "model"]) == 0
        yield home


def test_a_recommendation_is_explained_and_the_explanation_tested(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "model", "shop", "--user", "u0003", "--people", "20"]
    capsys.readouterr()
    assert answer(build, [*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["explanations"]) == 3 and {"click", "dwell"} <= set(
        told["explanations"][0]["heads"]
    )
    for one in told["explanations"]:
        parts = [one[name] for name in ("itself", "statistics", "empty", "context", "rest")]
        parts += [event["adds"] for event in one["history"]]
        assert sum(parts) == pytest.approx(one["output"], abs=1e-4)
    test = told["deletion_test"]
    assert test["people"] == 20 and test["passed"] == (test["difference"]["low"] > 0)
    assert answer(build, [*words, "--items", "p003", "--head", "dwell"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "film 3 (p003) for u0003: dwell" in out and "the item itself" in out
    assert "deletion test" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--user", "u03"], "unknown user 'u03'"),
        (["--user", "u0003", "--items", "p3"], "unknown item 'p3'"),
        (["--user", "u0003", "--head", "clicks"], "unknown head 'clicks'; did you mean 'click'"),
    ],
)
def test_what_cannot_be_is_said(
    fitted: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["explain", "model", "shop", *words]) == 2
    assert message in capsys.readouterr().err
