"""The same policies, tuned once, in worlds and before judges of several families."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_log import write_shop
from small_movielens import small_movielens

from slategym.envs.names import UsageError
from slategym.experiments import compare_families
from slategym.experiments.cli.main import answer, build

POLICIES = ["supervised", "popularity", "random"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("families")
    with small_movielens(folder / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_shop(folder / "shop", slates=12)
        yield folder


def test_every_role_and_family_is_read_with_what_was_tuned_once(home: Path) -> None:
    told: list[tuple[str, str]] = []
    grid = compare_families(
        home / "shop", POLICIES, 10, families=["bert", "covisitation"], fit="light",
        on_cell=lambda *cell: told.append(cell),
    )  # fmt: skip
    wanted = [(role, family) for role in ("world", "judge") for family in ("bert", "covisitation")]
    assert told == wanted == list(grid.cells) and list(grid.policies) == POLICIES
    tuned = [note for note in grid.notes if note.startswith("supervised:")]
    assert len(tuned) == 1 and "selection people" in tuned[0]
    for cell in grid.cells.values():  # nowhere is anything tuned again
        assert all("tuned elsewhere" in note for note in cell.notes)
        assert [d.minus for d in cell.differences[:2]] == POLICIES[1:]
    returns = [cell.means["supervised"].value for cell in grid.cells.values()]
    assert len(set(returns)) > 1
    first = grid.summary()[0]
    assert first.startswith("supervised - popularity: above zero in ") and " of 4 (" in first
    with pytest.raises(UsageError, match="did you mean 'covisitation'"):
        compare_families(home / "shop", POLICIES, 10, families=["covisit"])
    with pytest.raises(UsageError, match="role: every role and family is read"):
        compare_families(home / "shop", POLICIES, 10, role="judge")


def test_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "Log-v0", "--policies", "popularity,random", "--users", "10"]
    here = ["--set", "log=shop", "--set", "fit=light", "--families", "covisitation"]
    assert answer(build, [*words, *here]) == 0
    out = capsys.readouterr().out
    assert "world covisitation" in out and "judge covisitation" in out
    assert "popularity - random: above zero in" in out and "…" not in out
    assert answer(build, [*words, *here, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [cell["role"] for cell in told["families"]] == ["world", "judge"]
    assert told["families"][0]["differences"][0]["minus"] == "random"
    for wrong, said in (
        (["compare", "Workbench-v0", *words[2:], "--families", "gp"], "worlds and judges of a log"),
        ([*words, *here, "--out", "rows.parquet"], "the rows of one world"),
    ):
        assert answer(build, wrong) == 2
        assert said in capsys.readouterr().err
