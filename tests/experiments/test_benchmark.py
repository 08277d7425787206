"""A study in miniature: its plan on paper, and all of it from training to report."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from small_agents import Counting, CountingSettings

from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.envs.names import UsageError
from slategym.experiments.benchmark import run_study
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.places import FIRST_USER, LUCK, Place
from slategym.experiments.request import Request
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.statistics.cells import Cell, table
from slategym.experiments.statistics.numbers import compute_numbers
from slategym.experiments.study import Learner, Profile, Published, Roles, Study

pytestmark = pytest.mark.usefixtures("blank_pictures")

WORLD = "Sardine-SlateTopK-Bored-v0"
SHORT = CountingSettings(num_steps=3200, num_users=32)
TINY = Study(
    name="tiny",
    title="A tiny study",
    question="Does counting beat looking?",
    places=(
        Place("Bored", WORLD, {"num_items": 60}),
        Place("twin", WORLD, {"num_items": 60, "static": True}, role="control"),
    ),
    policies=("random", "myopic", "capped"),
    learners=(Learner("counting", SHORT), Learner("counting", SHORT, label="again")),
    roles=Roles(opponent="myopic", reference="capped", control_reference="myopic"),
    rule="slategym.experiments.statistics.oracle:against_oracle",
    unit="clicks per session",
    profiles={
        "quick": Profile("a look", seeds=2, users=12),
        "full": Profile("more", seeds=3, users=20, training=2.0),
    },
    published=(Published("greedy oracle", "Bored", 139.2, "the authors' program"),),
)


@pytest.fixture(scope="module", autouse=True)
def counting() -> Iterator[None]:
    POLICIES["counting"] = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    yield
    del POLICIES["counting"]


def test_the_plan_trains_and_reads_everybody_everywhere() -> None:
    plan = plan_of(TINY, Request())
    trainings = [(u.spec["policy"], u.spec["place"], u.spec["seeds"]) for u in plan.trainings]
    assert trainings == [
        (name, place, (seed,))
        for name in ("counting", "again")
        for place, seeds in (("Bored", (0, 1)), ("twin", (0,)))
        for seed in seeds
    ]
    assert len(plan.readings) == 2 * 3 + len(trainings)
    read = {(u.spec["first_user"], u.spec["num_users"], u.spec["luck"]) for u in plan.readings}
    assert read == {(FIRST_USER, 12, LUCK)}
    assert len({unit.id for unit in plan.units}) == len(plan.units)


def test_more_users_train_nothing_anew_and_a_profile_scales_the_training() -> None:
    quick, more = plan_of(TINY, Request()), plan_of(TINY, Request(users=40))
    assert [u.id for u in quick.trainings] == [u.id for u in more.trainings]
    assert not {u.id for u in quick.readings} & {u.id for u in more.readings}
    full = plan_of(TINY, Request("full"))
    assert {u.spec["settings"].num_steps for u in full.trainings} == {6400}
    assert (
        Request("full", seeds=2).command(TINY) == "slategym benchmark tiny --profile full --seeds 2"
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Request("quik"), "unknown profile 'quik'; did you mean 'quick'"),
        (Request(seeds=0), r"seeds must be in \[1, 100\], got 0"),
        (Request(users=1), r"users must be in \[2, 600000\], got 1"),
    ],
)
def test_sizes_out_of_range_are_refused(size: Request, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(TINY, size)


class Ran:
    """The study twice: computed, and found done."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.first, self.second, self.screen = io.StringIO(), io.StringIO(), io.StringIO()
        self.run(self.first)
        self.report = self.run(self.second)
        plan = plan_of(TINY, Request())
        rows, curves = plan.rows(open_store(out)), plan.curves(open_store(out))
        self.rows, self.curves = rows, curves
        self.numbers = compute_numbers(TINY, rows, curves)

    def run(self, told: io.StringIO) -> Path:
        asked = Request("quick", self.out)
        screen = Console(file=self.screen, width=100)
        return run_study(TINY, asked, screen, Console(file=told, width=100))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("study"))


def test_a_second_call_computes_nothing_and_says_the_same(
    ran: Ran,
) -> None:
    assert "2 computed, 0 reused" in ran.first.getvalue()  # what the places are
    assert "25 computed, 2 reused" in ran.first.getvalue()
    assert ran.second.getvalue() == "nothing to compute: all 27 results are there\n"
    text = ran.screen.getvalue()
    half = len(text) // 2
    assert text[:half] == text[half:]
    for word in ("Bored", "twin", "counting", "capped*", "(greedy oracle)", "139.2"):
        assert word in text


def test_whatever_learns_is_read_on_people_of_no_table_while_it_learns(ran: Ran) -> None:
    plan = plan_of(TINY, Request())
    watched = plan.watched(open_store(ran.out))
    lines = watched.groupby(["policy", "seed"])["steps"].apply(list)
    assert list(lines.index) == [(x, seed) for x in ("again", "counting") for seed in (0, 1)]
    assert all(len(steps) == 4 and steps[-1] == SHORT.num_steps for steps in lines)
    assert set(watched["trained_in"]) == set(watched["where"]) == {"Bored"}  # not the control
    (asked,) = {(p["first_user"], p["num_users"], p["luck"]) for u in plan.watches
                for p in u.spec["places"]}  # fmt: skip
    assert asked[0] + asked[1] <= FIRST_USER and asked[2] != LUCK
    html = ran.report.read_text()
    assert "before selection people, who are in no other figure or table" in html
    assert "before the judge" not in html  # there is none


def test_seeds_trained_side_by_side_are_read_each(tmp_path: Path) -> None:
    both = replace(TINY.learners[0], together=True)
    plan = plan_of(replace(TINY, learners=(both,)), Request())
    run_units(plan.watches, open_store(tmp_path), console=Console(quiet=True))
    watched = plan.watched(open_store(tmp_path))
    last = watched[watched["steps"] == SHORT.num_steps].set_index("seed")["gain"]
    assert len(watched) == 8 and list(last.index) == [0, 1] and last[0] != last[1]


def test_numbers_are_those_of_the_rows(ran: Ran) -> None:
    found, out = ran, ran.out
    rows = pd.read_parquet(out / "rows.parquet")
    means = rows.groupby(["variant", "policy", "trained_in"])["expected_return"].mean()
    standing = found.numbers.of("counting")
    assert standing.mean["Bored"].value == pytest.approx(means["Bored", "counting", "Bored"])
    low, high = means["Bored", "random", ""], means["Bored", "capped", ""]
    score = (standing.mean["Bored"].value - low) / (high - low)
    assert standing.score["Bored"].value == pytest.approx(score)
    assert standing.slates == {"Bored": SHORT.num_steps, "twin": SHORT.num_steps}
    assert standing.cpu_seconds["Bored"] > 0
    assert {place: len(seeds) for place, seeds in standing.by_seed.items()} == {
        "Bored": 2,
        "twin": 1,
    }
    assert found.numbers.of("myopic").score["twin"].value == 1.0  # the reference there
    assert (rows["user"] >= FIRST_USER).all() and rows.groupby("policy")["user"].nunique().eq(
        12
    ).all()
    again = found.numbers.of("again")
    assert again.mean["Bored"].value == standing.mean["Bored"].value  # the same under another name


def test_a_learner_that_beats_the_truth_in_the_twin_is_not_believed(
    ran: Ran,
) -> None:
    found = ran
    assert found.numbers.verdict.outcome == "not beaten"
    rows = found.rows.copy()
    cheat = (rows["policy"] == "counting") & (rows["variant"] == "twin")
    truth = rows[(rows["policy"] == "myopic") & (rows["variant"] == "twin")]
    for metric in ("return", "expected_return"):
        rows.loc[cheat, metric] = truth[metric].to_numpy() + 5.0
    caught = compute_numbers(TINY, rows, found.curves).verdict
    assert caught.outcome == "not believed"
    assert (
        "not to be believed" in caught.sentences[-1] and "+5.0 [+5.0, +5.0]" in caught.sentences[-1]
    )
    # ... while the same gain where planning can pay is what the study looks for
    rows = found.rows.copy()
    won = (rows["policy"] == "counting") & (rows["variant"] == "Bored")
    for metric in ("return", "expected_return"):
        best = table(rows, Cell("myopic", "Bored"), metric).value_SU[0]
        rows.loc[won, metric] = [*best + 5.0, *best + 5.0]
    assert compute_numbers(TINY, rows, found.curves).verdict.outcome == "beaten"


def test_the_report_asks_nothing_of_the_network_and_the_page_has_its_figures(
    ran: Ran,
) -> None:
    found, out = ran, ran.out
    assert ran.report == out / "report.html"
    html = (out / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    page = (out / "docs" / "tiny.md").read_text()
    for name in re.findall(r"\]\((\S+\.png)\)", page):
        assert (out / "docs" / name).is_file()
    assert "slategym benchmark tiny --profile quick" in page and page.count("![") == 3
    summary = json.loads((out / "summary.json").read_text())
    assert summary["verdict"] == found.numbers.verdict.sentence
    for lines in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in lines.splitlines()}) == 1


def test_a_profile_may_leave_some_out() -> None:
    short = replace(TINY.profiles["quick"], left_out=("again", "capped"))
    plan = plan_of(replace(TINY, profiles={"quick": short}), Request())
    assert {u.spec["policy"] for u in plan.trainings} == {"counting"}
    assert [b.name for b in plan.study.baselines] == ["random", "myopic"]
    assert len(plan.readings) == 2 * 2 + 3


def test_a_learner_that_takes_part_in_some_places_only() -> None:
    some = replace(TINY, learners=(Learner("counting", SHORT, places=("Bored",)),))
    assert {u.spec["place"] for u in plan_of(some, Request()).trainings} == {"Bored"}
