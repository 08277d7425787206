import hashlib
import json
from pathlib import Path

import pytest
import typer
from small_log import write_shop
from small_movielens import small_movielens
from typer.testing import CliRunner

from slategym.envs.names import UsageError
from slategym.experiments.cli.commands import data
from slategym.models.assets.registry import ASSETS, Asset
from slategym.models.assets.sources import Site
from slategym.models.data import fitness
from slategym.models.data.datasets import load_log
from slategym.models.simulator import parties

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
    said = ("mine: a good log", "events.csv: not used: mood", "logged", "mean 0.500")
    for part in (*said, "nobody comes back in the log"):
        assert part in output


@pytest.mark.parametrize(
    ("events", "said", "next_line"),
    [
        pytest.param(
            "a,x,100,4\na,y,160,\na,z,220,\n",
            "nothing can be learned from it",
            "next: more rows",
            id="one event is left",
        ),
        pytest.param(
            "a,x,100,4\na,y,160,5\nb,x,220,1\nb,y,280,2\n",
            "a good log",
            "next: slategym evaluate-model",
            id="too few people for a study",
        ),
        pytest.param(
            "a,x,100,4\na,y,100,5\nb,x,100,1\nb,y,100,2\n",
            "a good log",
            "next: slategym fit",
            id="one time",
        ),
    ],
)
def test_what_comes_next_is_what_the_log_is_fit_for(
    tmp_path: Path, events: str, said: str, next_line: str
) -> None:
    (tmp_path / "events.csv").write_text("user,item,time,rating\n" + events)
    (tmp_path / "items.csv").write_text("item,title\nx,A\ny,B\nz,C\n")
    code, output = run("check", str(tmp_path))
    assert code == 0 and said in output
    assert output.splitlines()[-1].startswith(next_line)


def test_constant_times_tell_of_no_visits(tmp_path: Path) -> None:
    rows = [f"u{u},i{i},100,{1 + (u + i) % 5}" for u in range(30) for i in range(9)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time,rating", *rows]) + "\n")
    items = [f"i{i},Thing {i},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "items.csv").write_text("\n".join(["item,title,topics", *items]) + "\n")
    output = " ".join(run("check", str(tmp_path))[1].split())
    for use in ("visits of the log's own length", "boredom as strong as the log's"):
        assert f"{use} no no time passes between two events of a visit" in output
    assert "next: slategym benchmark log" in output


def test_a_catalogue_that_is_used_up_is_fit_for_no_world(tmp_path: Path) -> None:
    rows = [f"u{u},i{i},{9 * u + i},1" for u in range(30) for i in range(9)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time,click", *rows]) + "\n")
    items = [f"i{i},Thing {i}" for i in range(12)]
    (tmp_path / "items.csv").write_text("\n".join(["item,title", *items]) + "\n")
    output = " ".join(run("check", str(tmp_path))[1].split())
    assert "some users have consumed 9 of 12 items" in output
    assert "next: slategym evaluate-model" in output
    (tmp_path / "log.toml").write_text("repeats = true\n")
    output = " ".join(run("check", str(tmp_path))[1].split())
    assert "some users have consumed" not in output and "next: slategym benchmark log" in output


def test_without_any_click_nothing_can_be_learned(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,time,click\na,x,1,0\na,y,2,0\nb,x,3,0\n")
    (tmp_path / "items.csv").write_text("item,title,topics\nx,A,red\ny,B,blue\n")
    code, output = run("check", str(tmp_path))
    assert code == 0 and "nothing can be learned from it" in output
    assert "no click is 1" in output and "next: more rows" in output


def test_check_warns_of_a_signal_that_stands_only_beside_another(tmp_path: Path) -> None:
    toml = '[signals.bought]\nkind = "binary"\n[signals.paid]\nkind = "nonnegative"\n'
    (tmp_path / "log.toml").write_text(toml + "[signals.click]\nweight = 0\n")
    (tmp_path / "items.csv").write_text("item,title\nx,A\ny,B\n")
    head, rows = "user,item,time,click,bought,paid\n", "a,x,1,1,1,3\na,y,2,1,0,{}\nb,x,3,0,,\n"
    (tmp_path / "events.csv").write_text(head + rows.format(""))
    output = " ".join(run("check", str(tmp_path))[1].split())
    assert "paid is observed only where bought is 1, and worlds give one to every click" in output
    assert "no signal has a weight: worlds of this log pay 1 a click" in output
    (tmp_path / "events.csv").write_text(head + rows.format("0"))
    assert "observed only where" not in run("check", str(tmp_path))[1]


def test_check_refuses_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item,time,click\na,x,100000000000000,1\n")
    (tmp_path / "items.csv").write_text("item,title\nx,A thing\n")
    with pytest.raises(ValueError, match=r"events\.csv, line 2: column 'time' holds 1000"):
        run("check", str(tmp_path))


def test_check_lists_every_problem_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"a,x,{n},{9 if n < 8 else 5},{n}" for n in range(10)]
    (tmp_path / "events.csv").write_text(
        "\n".join(["user,item,time,rating,hour", *rows, ",y,-1,2,25", "a,x,9,5,9"]) + "\n"
    )
    (tmp_path / "items.csv").write_text("item,title,topics\nx,,A||B\nx,X,A\n")
    (tmp_path / "users.csv").write_text("user,age\nb,\n")
    result = CliRunner().invoke(app, ["data", "check", str(tmp_path)])
    lines = result.output.splitlines()
    for start in (
        "events.csv, line 2: column 'rating' holds 9; a rating is a number from 1 to 5 (stars)",
        "events.csv, line 12: column 'user' is empty; every event names its user",
        "events.csv, line 12: column 'time' holds -1; times are unix seconds",
        "events.csv, line 12: column 'hour' holds 25; an hour is local and in [0, 24)",
        "events.csv, line 13: column 'user': user 'a', item 'x', time 9 stands already in line 11",
        "events.csv, line 12: column 'item' holds 'y', which is not in items.csv",
        "events.csv, line 2: column 'user' holds 'a', which is not in users.csv",
        "items.csv, line 2: column 'title' is empty; every item has a title",
        "items.csv, line 2: column 'topics' holds 'A||B'; an empty topic name",
        "items.csv, line 3: column 'item': item 'x' stands already in line 2",
        "users.csv: column 'age' is known in no row; drop the column",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, start
    ratings = [line for line in lines if "'rating'" in line]
    assert len(ratings) == 5 and ratings[-1].endswith("(3 more such rows)")
    assert isinstance(result.exception, ValueError)
    assert "28 problems, listed above; the first: events.csv, line 12: column 'user' is" in str(
        result.exception
    )


def test_check_lists_problems_of_tables_beside_one_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_bytes(b"")
    (tmp_path / "items.csv").write_text("item,title\nx,\n")
    (tmp_path / "users.csv").write_text("user\nb\nb\n")
    output = CliRunner().invoke(app, ["data", "check", str(tmp_path)]).output.splitlines()
    assert [line.split(":")[0] for line in output] == [
        "events.csv",
        "items.csv, line 2",
        "users.csv, line 3",
    ]


def test_check_says_what_a_log_is_fit_for(tmp_path: Path) -> None:
    code, output = run("check", str(write_shop(tmp_path / "shop")))
    lines = {" ".join(line.split()) for line in output.splitlines()}
    assert code == 0
    for line in (
        "context device 2 categories: phone, laptop, known in 100.0%",
        "click head yes logged, 6,912 observed, from slates as they were shown and skipped",
        "learned world, Log-v0 yes 51 of 72 users have 10 clicks or more (71%)",
        "off-policy evaluation no lacks propensity",
        f"next: slategym benchmark log {tmp_path}/shop",
    ):
        assert line in lines, line


def write_clicks(folder: Path, *, toml: str = "") -> Path:
    """A click-only log in which everything shown was clicked."""
    folder.mkdir()
    events = [f"u{n % 3},i{n % 5},{1000 + n},1,{n / 2},blob" for n in range(15)]
    head = "user,item,time,click,dwell,session_id"
    (folder / "events.csv").write_text("\n".join([head, *events]) + "\n")
    (folder / "items.csv").write_text("item\n" + "\n".join(f"i{n}" for n in range(5)) + "\n")
    if toml:
        (folder / "log.toml").write_text(toml)
    return folder


def test_check_warns_of_clicks_without_zeros_and_of_unused_columns(tmp_path: Path) -> None:
    folder = write_clicks(tmp_path / "clicks")
    document = json.loads(run("check", "--json", str(folder))[1])
    assert document["good"] and document["problems"] == []
    (warning,) = document["warnings"]
    assert warning.startswith("click is 1 in every row: the log does not show what was refused")
    assert document["unused"] == [
        "events.csv: not used: dwell (declare it: [signals.dwell])",
        "events.csv: not used: session_id (an identifier by its name)",
        "slategym data describe FOLDER --write writes a log.toml that uses them",
    ]
    fit = {use["name"]: use["fit"] for use in document["fit"]}
    assert fit["click head"] and not fit["learned world, Log-v0"]
    assert not fit["text vectors of items"] and not fit["topics: diversity, boredom"]


def test_check_wants_as_many_people_as_a_world_does() -> None:
    assert fitness.FEWEST_PEOPLE == parties.FEWEST_PEOPLE


def test_check_wants_two_people_in_every_group_that_a_study_reads(tmp_path: Path) -> None:
    least = []
    for number in (fitness.FEWEST_STUDIED - 1, fitness.FEWEST_STUDIED):
        folder = write_shop(tmp_path / str(number), num_users=number)
        log = load_log(str(folder))
        parted = [parties.Parties(log, split=split).people for split in range(3)]
        groups = ("selection", "evaluation", "control")
        least.append(min(len(people[group]) for people in parted for group in groups))
        fit = {use.name: use for use in fitness.uses(log, fitness.facts(log))}
        assert fit["learned world, Log-v0"].fit
        assert fit["study: benchmark log"].fit == (least[-1] == 2)
    assert least == [1, 2]


def test_check_takes_a_data_set_by_name(tmp_path: Path) -> None:
    with small_movielens(tmp_path / "home"):
        output = run("check", "movielens-100k")[1]
    assert "small: a good log" in output
    assert "next: slategym benchmark log movielens-100k" in output
    with pytest.raises(UsageError, match="no folder is called 'movielens-10k', and: unknown data"):
        run("check", "movielens-10k")


def test_check_as_json_has_the_problems(tmp_path: Path) -> None:
    folder = write_clicks(tmp_path / "clicks", toml="[signals.dwell]\nkind = 'binary'\n")
    code, output = run("check", "--json", str(folder))
    document = json.loads(output)
    assert (code, document["good"]) == (1, False)
    first = document["problems"][0]
    assert (first["table"], first["place"], first["column"], first["value"]) == (
        ("events.csv", "line 3", "dwell", "0.5")
    )


def test_names_are_printed_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "[red]log"
    folder.mkdir()
    (folder / "events.csv").write_text(
        "user,item,time,click,[/oops]\na,x,100,1,\x1b[31m\na,x,200,1,\n"
    )
    (folder / "items.csv").write_text("item,title,topics\nx,A,[/b]Comedy\x1b]0;owned\x07\n")
    (folder / "users.csv").write_text("user,[/p]\na,1\n")
    code, output = run("check", str(folder))
    assert code == 0
    assert "\x1b" not in output and "\x07" not in output
    for part in ("[red]log: a good log", r"[/b]Comedy\x1b]0;owned\x07", "trait [/p]", "[/oops]"):
        assert part in output, part


def test_describe_proposes_writes_and_does_not_overwrite(tmp_path: Path) -> None:
    folder = write_clicks(tmp_path / "clicks")
    code, proposed = run("describe", str(folder))
    assert code == 0 and "[signals.dwell]" in proposed
    assert not (folder / "log.toml").exists()
    proposed, _, further = proposed.partition("next: ")
    assert further == f"slategym data describe {folder} --write\n"
    run("describe", str(folder), "--write")
    assert (folder / "log.toml").read_text() == proposed
    assert "is there already and counts" in run("describe", str(folder))[1]
    output = run("check", str(folder))[1]
    assert "signal dwell" in output and "dwell (" not in output
    (folder / "log.toml").write_text("pause = 60\n")
    with pytest.raises(UsageError, match=r"log\.toml is there already; --force replaces it"):
        run("describe", str(folder), "--write")
    assert (folder / "log.toml").read_text() == "pause = 60\n"
    run("describe", str(folder), "--write", "--force")
    assert (folder / "log.toml").read_text() == proposed
