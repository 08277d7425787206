import hashlib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from slategym.experiments.cli.commands import data
from slategym.models.assets.registry import ASSETS, Asset
from slategym.models.assets.sources import Site

app = typer.Typer()
data.register(app)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "home"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["data", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_list_names_every_asset_with_its_licence(cache: Path) -> None:
    code, output = run("list")
    assert code == 0
    for name, asset in ASSETS.items():
        assert name in output
        assert asset.licence in output
    assert "yes" not in output


def test_fetch_prints_where_it_is(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    site = Site("http://127.0.0.1:9/", {"a.txt": digest})
    monkeypatch.setitem(ASSETS, "thing", Asset("a thing", "CC0", 5, (site,)))
    (tmp_path / "a.txt").write_bytes(b"hello")
    folder = cache / "assets" / "thing"
    assert run("fetch", "thing", "--from", str(tmp_path)) == (0, f"{folder}\n")
    assert (folder / "a.txt").read_bytes() == b"hello"
    assert "yes" in run("list")[1]


def test_fetch_from_a_bad_copy(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t1\t5\t0\n")
    with pytest.raises(OSError, match=r"holds neither u\.data, u\.item, u\.user nor ml-100k"):
        run("fetch", "movielens-100k", "--from", str(tmp_path))


def test_check_describes_a_good_log(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "events.csv").write_text("user,item,time,click,mood\na,x,100,1,3\nb,x,200,0,4\n")
    (folder / "items.csv").write_text("item,title\nx,A thing\n")
    code, output = run("check", str(folder))
    assert code == 0
    for part in ("mine: a good log", "events.csv: not used: mood", "logged", "mean 0.500"):
        assert part in output


def test_check_refuses_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,time,click\na,x,100000000000000,1\n")
    (tmp_path / "items.csv").write_text("item,title\nx,A thing\n")
    with pytest.raises(ValueError, match=r"events\.csv, line 2: column 'time' holds 1000"):
        run("check", str(tmp_path))
