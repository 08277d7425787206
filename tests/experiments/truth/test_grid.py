"""The grid: what is asked for, which units are shared, and a page of made-up verdicts."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from small_movielens import small_movielens

from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.truth.grid import SIZES, Cell, GridSettings, log_of, told_of
from slategym.experiments.truth.page import print_grid, sentences, write_page
from slategym.experiments.truth.run import Grid, run_truth


def test_what_is_asked_for_is_repeated_by_its_command() -> None:
    asked = GridSettings(
        "quick", scenarios=("News",), strengths=(0.0, 0.4), visits=(1_000,), seeds=3
    )
    assert [cell.name for cell in asked.size.cells[:2]] == ["news-0-1000-0", "news-0.4-1000-0"]
    assert len(asked.size.cells) == 6
    assert asked.command == (
        "slategym benchmark truth --profile quick --scenarios News --strengths 0,0.4 "
        "--visits 1000 --seeds 3"
    )
    assert len(GridSettings("full").size.cells) == 12 * 3 * 3 * 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "quik"}, "quick"),
        ({"scenarios": ("Newz",)}, "News"),
        ({"strengths": (3.0,)}, r"\[0, 2\]"),
        ({"visits": (10,)}, "at least 100"),
        ({"seeds": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        run_truth(GridSettings(**{"out": tmp_path / "run", **changes}))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["truth", "--agents", "slateq"], "--agents"),
        (["sardine", "--visits", "1000"], "truth"),
        (["truth", "--strengths", "strong"], "numbers with commas"),
        (["truth", "--workers", "-1"], "--workers"),
    ],
)
def test_the_command_line_says_what_is_not_for_whom(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["benchmark", *words]) != 0
    assert message in capsys.readouterr().err


def test_who_is_told_the_truth_is_read_once_for_all_sizes_of_a_log() -> None:
    size, cell = SIZES["quick"], Cell("News", 1.0, 1_000, 0)
    larger = replace(cell, visits=10_000)
    assert told_of(cell, size).id == told_of(larger, size).id
    assert log_of(cell).id != log_of(larger).id
    others = [replace(cell, **{n: x}) for n, x in (("strength", 0.0), ("seed", 1))]  # type: ignore[arg-type]
    assert len({told_of(one, size).id for one in (cell, *others)}) == 3


def made_up(claim: str = "wins") -> Grid:
    """Two verdicts: at strength 0 a win that is none, at strength 1 one that is missed."""
    cells = [
        {"scenario": "News", "strength": x, "visits": 1_000, "seed": 0, "place": "world",
         "assumptions": "mild"} for x in (0.0, 1.0)
    ]  # fmt: skip
    both = zip(cells, (claim, "no difference"), ("no difference", "wins"), strict=True)
    claims = [
        {**cell, "agent": "plackett-luce", "claim": said, "truth": so, "served": "trained",
         "checked": True, "objections": "click rate; slates of a visit",
         "headroom": 4.0, "headroom_low": 4.0 * cell["strength"] - 1.0, "headroom_high": 5.0,
         "headroom_share": 0.3 * cell["strength"], "tau": 0.5, "taken": "ease", "best": "myopic",
         "regret": 1.0, "regret_share": 0.1, "said": "RL <wins>.", "so": "It does not."}
        for cell, said, so in both
    ]  # fmt: skip
    compared = [
        {**cell, "agent": "plackett-luce", "baseline": "supervised", "learned": 0.2,
         "learned_low": 0.1, "learned_high": 0.3, "learned_side": 1, "true": true,
         "judged": 0.15, "true_low": true - 0.05, "true_high": true + 0.05,
         "true_side": int(np.sign(true))}
        for cell, true in zip(cells, (-0.1, 0.25), strict=True)
    ]  # fmt: skip
    policies = [
        {**cell, "policy": name, "kind": kind, "learned": learned, "true": true}
        for cell in cells
        for name, kind, learned, true in (
            ("supervised", "baseline", 5.0, 10.0), ("plackett-luce", "learns", 6.0, 9.0),
            ("greedy, told", "told", np.nan, 20.0), ("myopic", "privileged", 7.0, np.nan),
            ("planner, told", "told", np.nan, 1.0),
        )
    ]  # fmt: skip
    watched = [
        {**cell, "policy": "plackett-luce", "steps": steps, "where": where, "share": 0.01 * steps}
        for cell in cells
        for steps in (1, 2)
        for where in ("learned", "truth")
    ]
    logs = [{**cell, "users": 30, "slates": 400, "clicks": 90, "visits": 1_010} for cell in cells]
    tables = (logs, claims, compared, policies, watched)
    size = replace(SIZES["smoke"], strengths=(0.0, 1.0))
    return Grid(size, "slategym benchmark truth", *map(pd.DataFrame, tables), seconds=60.0)


def test_the_page_says_first_what_weakens_the_claim(tmp_path: Path) -> None:
    grid = made_up()
    first, second, *_, power = sentences(grid)
    assert "“RL wins” in 1 of 1 cells" in first and "true world in 0" in first
    assert "false “RL wins” 1 of 1" in second and "missed “RL wins” 1 of 1" in second
    assert "in 1 of 2 cells" in power and "0 of 1" in power
    path = write_page(grid, tmp_path)
    html, text = path.read_text(), (tmp_path / "docs" / "truth.md").read_text()
    assert "RL &lt;wins&gt;" in html and "RL <wins>" not in html
    assert 'class="verdict bad"' in html and html.count("<svg") == 2
    assert "| News | 1 | 1,000 | 0 | mild |" in text and "+20.0 [+10.0, +30.0] %" in text
    assert "| planner, told | 100 % | 130 % |" in text  # as before its own people
    assert (tmp_path / "docs" / "truth-goodhart.png").exists()
    assert "against its log: click rate; slates of a visit" in html and "| trained | 2 |" in text
    assert "http" not in html.replace("http-equiv", "")
    screen = io.StringIO()
    print_grid(grid, Console(file=screen, width=200))
    assert "strength 0" in screen.getvalue() and first in screen.getvalue().replace("\n", " ")


def test_at_strength_0_no_claim_is_no_false_win() -> None:
    first, second, *_ = sentences(made_up("no difference"))
    assert "“RL wins” in 0 of 1 cells" in first and "false “RL wins” 0 of 1" in second


@pytest.mark.filterwarnings("ignore:.*tokens of the item texts are unknown")
@pytest.mark.slow  # minutes: models of a log are fitted
def test_a_grid_of_one_from_log_to_page_and_again(tmp_path: Path) -> None:
    with small_movielens(tmp_path / "home"):  # a made-up text encoder
        _one_and_again(tmp_path)


def _one_and_again(tmp_path: Path) -> None:
    asked, told = GridSettings("smoke", tmp_path / "run"), io.StringIO()
    first = run_truth(asked, Console(quiet=True), Console(file=told, width=200)).read_text()
    assert " computed, " in told.getvalue()
    claims = pd.read_parquet(tmp_path / "run" / "claims.parquet")
    assert len(claims) == 1 and claims["claim"].notna().all()
    policies = pd.read_parquet(tmp_path / "run" / "policies.parquet").set_index("policy")["true"]
    assert policies["random"] < policies["greedy, told"]
    again = io.StringIO()
    second = run_truth(asked, Console(quiet=True), Console(file=again, width=200)).read_text()
    assert "computed" not in again.getvalue() and second == first
