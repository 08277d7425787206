"""From any log to a verdict: what the study takes from the log, and all of it in miniature."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from small_log import write_shop
from small_movielens import small_movielens, small_networks

from slategym.agents.bandits.linear import LinearBanditSettings
from slategym.agents.policy_gradient.ppo import PPOSettings
from slategym.agents.registry import load_agent
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.benchmark import run_study
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure import training, tunings
from slategym.experiments.measure.plan import OTHERWISE, plan_of
from slategym.experiments.places import SELECTION_LUCK
from slategym.experiments.request import Request
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import closure
from slategym.experiments.studies import log as log_study
from slategym.experiments.studies.log import STRENGTHS, study
from slategym.experiments.study import Learner, Study
from slategym.experiments.validation.supported import supported
from slategym.models.data.datasets import load_log
from slategym.models.simulator import pace
from slategym.models.simulator.assumptions import find_assumptions

pytestmark = pytest.mark.usefixtures("blank_pictures")

ALIKE = ("supervised-quota", "supervised-mmr", "supervised-dpp", "transitions")  # to the engine
LEARNERS = (Learner("linucb", LinearBanditSettings(num_steps=64, num_users=4)),)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A made-up text encoder in a home of its own; what is fitted is fitted once."""
    with small_movielens(tmp_path_factory.mktemp("home")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_study, "HEADROOM_USERS", 8)
        patch.setattr(tunings, "SLATES", 24_000)
        patch.setattr(training, "LEAST_TUNED", 300)
        small_networks(patch)
        patch.setattr(pace, "STATED_HORIZON", 6)  # of the log of clicks alone
        for bound in ("SHORTEST", "LONGEST"):  # visits of six slates, not of ten
            patch.setattr(pace, bound, 6)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("logs") / "shop")


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of clicks alone: no topics, no slates, no other signal, times a day apart."""
    folder = tmp_path_factory.mktemp("logs") / "clicks"
    folder.mkdir()
    rng = np.random.default_rng(0)
    draw_N = 1.0 / (3.0 + np.arange(60))
    rows = [
        (f"u{user}", f"i{item}", 1_700_000_000 + 86_400 * day)
        for user in range(60)
        for day, item in enumerate(rng.choice(60, 14, replace=False, p=draw_N / draw_N.sum()))
    ]
    events = pd.DataFrame(rows, columns=["user", "item", "time"]).assign(click=1)
    events.to_csv(folder / "events.csv", index=False)
    names = [f"film {n}" for n in range(60)]  # words that the made-up encoder knows
    items = pd.DataFrame({"item": [f"i{n}" for n in range(60)], "title": names, "text": names})
    items.to_csv(folder / "items.csv", index=False)
    return folder


def small(made: Study) -> Study:
    """With one learner that takes no time."""
    return replace(made, learners=LEARNERS)


def test_the_study_follows_from_the_log(shop: Path) -> None:
    weights = (("click", 1.0), ("dwell", 0.01))
    made = study(Request(log=str(shop), objective=weights, assumptions="mild"))
    assert made.title.startswith("shop: ") and "products" in made.question
    assert made.unit == "reward per visit" and made.words.topic == "category"
    assert made.slates == 4
    names = [baseline.name for baseline in made.baselines]
    assert {"random", "popularity", "ease", "supervised", "supervised-capped"} < set(names)
    assert {"rule-aware", "myopic"} < set(names)
    for place in made.places:
        assert place.settings["objective"] == "click=1,dwell=0.01"
        assert place.settings["log"] == str(shop.resolve())
    roles = ["open", "judge", "judge", "control", "selection", "assumed"]
    assert [place.role for place in made.places if place.role != "sweep"] == roles
    assert not any("categories" in line for line in made.left_out)


def test_by_default_is_assumed_what_the_log_speaks_for(shop: Path, clicks: Path) -> None:
    said = supported(load_log(str(shop)))
    assert said not in ("mild", "lasting")  # nobody in the made shop tires of a category
    made = study(Request(log=str(shop)))
    assert made.assumptions == said
    own = [place for place in made.places if place.role != "assumed"]
    assert {place.settings["assumptions"] for place in own} == {said}
    assert [profile.assumptions for profile in made.profiles.values()] == [{}, {}, {}]
    names = [baseline.name for baseline in made.baselines]
    assert "history-rule" in names and "rule-aware" not in names
    request = Request(log=str(shop), assumptions="lasting,supported")
    both = request.of(study(request))
    assert {p.settings["assumptions"] for p in both.of_role("open")} == {"lasting", said}
    asked = dict(study(Request(log=str(shop), assumptions="mild")).settings)
    assert f"the log itself speaks for {said}" in asked["assumptions"]
    assert study(Request(log=str(clicks))).assumptions == "mild"  # it cannot tell
    with pytest.raises(UsageError, match="--assumptions supported is for the study log"):
        request.of(replace(made, supported=""))


def test_what_was_learned_is_read_under_other_assumptions(shop: Path, clicks: Path) -> None:
    """Beside every open place; by the first seed alone, before fewer people, not the privileged."""
    request = Request(log=str(shop), assumptions="mild,lasting", users=300, seeds=2)
    made = request.of(small(study(request)))
    found = {(p.name, p.of): p.settings["assumptions"] for p in made.of_role("assumed")}
    assert found == {
        ("world-under-none", "world"): "none",
        ("world-lasting-under-none", "world-lasting"): "none",
        ("world-lasting-under-mild", "world-lasting"): "mild",
    }
    plan = plan_of(small(study(request)), request)
    read = [u.spec for u in plan.readings if u.spec["place"].endswith("under-none")]
    assert {spec["num_users"] for spec in read} == {OTHERWISE}
    assert {spec["settings"]["assumptions"] for spec in read} == {"none"}
    assert {u.spec["num_users"] for u in plan.readings if u.spec["place"] == "world"} == {300}
    labels = [spec["label"] for spec in read if spec["place"] == "world-under-none"]
    assert sorted(labels) == sorted({*labels}) and "myopic" not in labels
    assert {"linucb", "supervised", "supervised-untuned", "history-rule"} <= {*labels}
    trained = [u for u in plan.trainings if u.spec["place"] == "world"]
    assert [u.spec["seeds"] for u in trained] == [(0,), (1,)]

    def under(log: Path, names: str) -> list[str]:
        request = Request(log=str(log), assumptions=names)
        return [p.settings["assumptions"] for p in request.of(study(request)).of_role("assumed")]

    assert under(shop, "none") == ["mild"] and under(shop, "lasting") == ["none", "mild"]
    assert under(shop, "none,mild") == ["mild", "none"]
    assert under(shop, "mild:boredom=0.3") == ["none"]  # so much and no more was asked for
    assert under(clicks, "mild") == []  # without topics nothing is assumed of them
    other = study(Request(log=str(shop), assumptions="mild")).under(("none",), {})
    assert other.of_role("assumed") == ()  # the one that there was is the study's own now


def test_the_strength_of_boredom_is_swept_where_it_is_assumed(shop: Path, clicks: Path) -> None:
    made = study(Request(log=str(shop), assumptions="mild"))
    own = find_assumptions("mild").boredom
    assert own == 4.0
    assert made.sweep is not None and made.sweep.value == made.place("world").strength == own
    swept = made.of_role("sweep")
    assert {(p.name, p.strength) for p in swept} == {
        (name, own * times) for name in ("world", "judge") for times in STRENGTHS if times != 1
    }
    for place in swept:
        found = find_assumptions(place.settings["assumptions"])
        assert (found.boredom or 0.0) == place.strength
        assert place.policies == ("supervised", "supervised-capped", "rule-aware")
    stronger = study(Request(log=str(shop), assumptions="lasting:boredom=8"))
    assert stronger.sweep is not None and stronger.sweep.value == 8.0
    named = {p.settings["assumptions"] for p in stronger.of_role("sweep")}
    assert named == {"lasting:boredom=0", "lasting:boredom=4", "lasting:boredom=16"}
    longer = study(Request(log=str(shop), assumptions="lasting:duration=8"))  # which is kept
    named = {p.settings["assumptions"] for p in longer.of_role("sweep")}
    assert named == {f"lasting:duration=8:boredom={x}" for x in (0, 1, 4)}
    for request in (
        Request("smoke", log=str(shop), assumptions="mild"),
        Request(log=str(shop), assumptions="habit"),
        Request(log=str(clicks)),
    ):
        made = study(request)
        assert made.sweep is None and not made.of_role("sweep")
        assert any("a sweep over the strength" in line for line in made.left_out)


def test_what_a_log_does_not_have_is_left_out_and_said(clicks: Path) -> None:
    made = study(Request(log=str(clicks)))
    names = [baseline.name for baseline in made.baselines]
    assert not {"supervised-capped", "rule-aware"} & set(names)
    assert made.roles.reference == "myopic" and made.roles.others == ("ease",)
    said = " ".join(made.left_out)
    assert "the log has no topics" in said and "that signal alone" in said
    assert "patience that follows from the log" in said


def test_results_of_another_log_in_the_same_place_are_not_taken(tmp_path: Path) -> None:
    plans = []
    for seed in (0, 1):
        request = Request(log=str(write_shop(tmp_path / "log", seed=seed)))
        plans.append({unit.id for unit in plan_of(study(request), request).units})
    assert not plans[0] & plans[1]


class Ran:
    """The study of a log in miniature."""

    def __init__(self, log: Path, out: Path, splits: int | None = None) -> None:
        self.screen, self.told = io.StringIO(), io.StringIO()
        self.request = Request(
            "smoke", out, users=8, log=str(log), splits=splits, assumptions="mild"
        )
        made = small(study(self.request))
        smoke = made.profiles["smoke"]
        smoke = replace(smoke, validated=8, left_out=(*smoke.left_out, *ALIKE))
        self.study = replace(made, profiles={"smoke": smoke})
        screen, told = Console(file=self.screen, width=160), Console(file=self.told, width=200)
        self.report = run_study(self.study, self.request, screen, told)
        self.html = self.report.read_text()
        self.rows = pd.read_parquet(out / "rows.parquet")
        self.plan = plan_of(self.study, self.request)


@pytest.fixture(scope="module")
def ran(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(shop, tmp_path_factory.mktemp("run"))


def test_from_a_folder_to_a_report_in_its_own_words(ran: Ran, shop: Path) -> None:
    html = ran.html
    assert "shop: reinforcement learning against the supervised ranker" in html
    assert f"slategym benchmark log {shop} --profile smoke --users 8" in html
    assert "categories clicked" in html and "reward per visit" in html
    words = re.sub(r"\bfilm \d+", "", html)  # items of this log are titled so
    assert "genre" not in words and "film" not in words and "MovieLens-v0" not in words
    assert re.search(r"dwell[ _]total", html) and "likes" not in html
    for name in ("verdict", "ladder", "places", "differences", "control", "judge", "models"):
        assert f'<section id="{name}"' in html
    assert '<section id="sweep"' not in html
    summary = json.loads((ran.report.parent / "summary.json").read_text())
    assert summary["study"] == "log" and summary["outcome"]


def test_the_world_is_held_against_its_log_before_anything_is_learned(ran: Ran, shop: Path) -> None:
    (unit,) = ran.plan.validations.values()
    assert unit in ran.plan.before_learning
    fixed = json.loads((ran.report.parent / "study.json").read_text())
    lines = fixed["validation"]["world"]["lines"]
    failed = [line["check"] for line in lines if line["status"] == "fail"]
    assert lines and "Against its log" in ran.html
    summary = json.loads((ran.report.parent / "summary.json").read_text())
    assert summary["objections"] == (["world"] if failed else [])
    assert ("Objection, under mild" in summary["verdict"]) == bool(failed)
    assert plan_of(study(ran.request), ran.request).validations == {}  # a look takes no such time
    quick = replace(ran.request, profile="quick", assumptions="mild,lasting")
    assert set(plan_of(study(quick), quick).validations) == {"world", "world-lasting"}


def test_in_another_split_all_is_done_again_and_the_first_is_taken_up(
    ran: Ran, shop: Path, tmp_path: Path
) -> None:
    shutil.copytree(ran.report.parent, tmp_path / "run")
    both = Ran(shop, tmp_path / "run", splits=2)
    first, own = ({u.id for u in made.plan.units} for made in (ran, both))
    assert first < own
    computed = re.findall(r"^\[ *\d+/\d+\] (.*) \(", both.told.getvalue(), re.M)
    assert len(computed) == len(closure(both.plan.units)) - len(closure(ran.plan.units))
    assert all(", split 1" in label for label in computed)
    rows = both.rows
    pd.testing.assert_frame_equal(
        rows[rows["split"] == 0].reset_index(drop=True), ran.rows, check_dtype=False
    )
    read = rows.groupby("split")[["variant", "policy"]].apply(lambda x: set(map(tuple, x.values)))
    assert read[0] == read[1]
    people = [set(rows[rows["split"] == split]["person"]) for split in (0, 1)]
    assert people[0].isdisjoint(people[1])
    for unit in both.plan.trainings:
        fits = {u.label for u in closure([unit]) if u.function == "fit@2"}
        split = unit.spec["world_settings"].get("split", 0)
        assert {label.endswith("split 1") for label in fits} == {split == 1}
    assert "; splits " in both.html and "--splits 2" in both.html
    assert "; splits " in both.screen.getvalue()
    block = (both.report.parent / "docs" / "log-readme.md").read_text()
    assert "; splits " in block
    assert "; splits " not in ran.html + ran.screen.getvalue()


def test_learners_are_read_in_the_world_and_before_the_judge_while_they_train(ran: Ran) -> None:
    watched = pd.read_parquet(ran.report.parent / "watched.parquet")
    assert set(watched["where"]) == {"world", "judge"} and set(watched["policy"]) == {"linucb"}
    assert watched["gain"].notna().all() and (watched["error"] >= 0).all()
    (unit,) = ran.plan.watches
    assert {p["group"] for p in unit.spec["places"]} == {"selection"}  # nobody who is read later
    users = {p["settings"]["users"] for p in unit.spec["places"]}
    assert users == {"selection"} and {p["luck"] for p in unit.spec["places"]} == {SELECTION_LUCK}
    assert "world - judge" in ran.html
    assert (
        "The judges, on people whom a fit of theirs has not met: J: factor (click AUC" in ran.html
    )


def test_stopping_where_the_judge_reads_best_is_read_on_evaluation_people(ran: Ran) -> None:
    stopped, told = pd.read_parquet(ran.report.parent / "stopped.parquet"), ran.plan.stops
    watched = pd.read_parquet(ran.report.parent / "watched.parquet")
    seen = watched[watched["where"] == "judge"]
    best = seen.loc[seen["gain"][::-1].idxmax(), "steps"]
    assert (stopped["steps"] == best).all() and (stopped["judge"] == "judge").all()
    assert set(stopped["where"]) == {"world", "judge", "judge-gp"}
    assert ((stopped["gain"] == 0) | (best < seen["steps"].max())).all()
    (unit,) = told
    assert {p["settings"]["users"] for p in unit.spec["places"]} == {"evaluation"}
    assert "Early stopping" in ran.html


def test_the_control_has_people_of_its_own_and_reads_what_was_trained(ran: Ran) -> None:
    rows = ran.rows
    people = {
        group: set(rows.loc[rows["group"] == group, "person"])
        for group in ("evaluation", "selection", "control")
    }
    assert all(people.values())
    assert not people["control"] & (people["evaluation"] | people["selection"])
    control = rows[rows["variant"] == "static"]
    assert set(control["group"]) == {"control"}
    read = control.groupby("policy")["user"].apply(frozenset)
    assert read.nunique() == 1  # everybody before the same people
    own = [u for u in ran.plan.readings if u.spec["place"] == "static" and not u.spec["policy"]]
    assert own and all(unit.spec["snapshot"] == 1 for unit in own)
    elsewhere = (u for u in ran.plan.readings if u.spec["place"] != "static")
    assert not any("snapshot" in unit.spec for unit in elsewhere)
    assert "people are in no other place" in ran.html


def test_who_is_judged_and_met_by_the_judges_fit_is_counted(ran: Ran) -> None:
    about = json.loads((ran.report.parent / "study.json").read_text())["preparation"]
    read = about["log"]["people"]["evaluation"]
    assert set(map(tuple, about["accuracy"]["met"].values())) == {(read, read)}
    assert f"the fit has met the histories of {read} of the {read} people" in ran.html


def test_a_learner_may_train_where_disagreement_costs(shop: Path, tmp_path: Path) -> None:
    request = Request("smoke", tmp_path, users=8, log=str(shop))
    tiny = PPOSettings(num_steps=6_400, num_users=4, rollout=4, minibatch=8, shortlist=20)
    wary = Learner(
        "plackett-luce",
        tiny,
        "plackett-luce-pessimistic",
        ("world",),
        training={"pessimism": 1.0, "ensemble": 2},
    )
    asked = replace(request, agents=(wary.name,))  # small profiles leave it out
    plan = plan_of(replace(study(request), learners=(wary,)), asked)
    (training,) = plan.trainings  # nowhere but where it takes part
    assert training.spec["world_settings"]["pessimism"] == 1.0
    reading = next(u for u in plan.readings if training in u.needs and u.spec["place"] == "world")
    assert "pessimism" not in reading.spec["settings"]
    store = open_store(tmp_path)
    run_units([reading], store, console=Console(quiet=True))
    rows = store.read(reading)
    assert len(rows) == 8 and set(rows["policy"]) == {"plackett-luce-pessimistic"}


def test_rows_have_a_column_for_each_of_the_logs_signals(ran: Ran) -> None:
    assert {"clicks", "dwell_total"} < set(ran.rows)
    assert not {"likes", "rating_mean", "strength", "boredom"} & set(ran.rows)
    read = ran.rows.groupby(["variant", "group", "policy", "trained_in"])["user"].nunique()
    assert (read == 8).all()


def test_a_trained_policy_serves_in_the_world_of_its_log(ran: Ran, shop: Path) -> None:
    store = open_store(ran.report.parent)
    folder = store.folder_of(ran.plan.trainings[0])
    about = json.loads((folder / "agent.json").read_text())["about"]
    assert about["world"] == "slategym/Log-v0"
    assert about["world_settings"]["log"] == str(shop.resolve())
    world = make_world(about["world"], **about["world_settings"])
    assert load_agent(folder, world).name == "linucb"


def test_a_log_of_clicks_alone_gets_its_verdict_too(clicks: Path, tmp_path: Path) -> None:
    ran = Ran(clicks, tmp_path / "run")
    assert "Left out, because the log does not allow it" in ran.html
    assert "the log has no topics" in ran.html
    assert not {"likes", "bored_share", "topics", "slate_topics"} & set(ran.rows)
    numbers = json.loads((tmp_path / "run" / "study.json").read_text())
    values = [c["value"] for c in numbers["preparation"]["constants"]["constants"]]
    assert all(value is None or np.isfinite(value) for value in values)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "error: which log? give its folder or name"),
        (["nowhere-at-all"], "error: no folder is called 'nowhere-at-all'"),
        (["{shop}", "--objective", "stars=1"], "error: --objective weighs 'stars', which is no"),
        (["{shop}", "--objective", "click"], "error: --objective is written as click=1,dwell=0.01"),
        (["{shop}", "--splits", "4"], "error: splits must be in [1, 3], got 4"),
        (["{shop}", "--assumptions", "mlid"], "error: unknown assumptions 'mlid'; did you mean"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str],
    line: str,
    shop: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.format(shop=shop) for argument in arguments]
    assert answer(build, ["benchmark", "log", *given, "--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()


def test_a_log_that_is_too_small_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "tiny", num_users=4)
    with pytest.raises(UsageError, match="at least 15 people are needed"):
        study(Request(log=str(folder)))
    folder = write_shop(tmp_path / "small", num_users=26)
    with pytest.raises(UsageError, match="27 with a click are needed, small has 26"):
        study(Request(log=str(folder)))
