"""Who judges in a study: no family that does worse than no model, as long as another does not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from small_log import write_shop
from small_movielens import small_home, small_networks

from slategym.agents.bandits.linear import LinearBanditSettings
from slategym.envs.names import UsageError
from slategym.experiments.benchmark import run_study
from slategym.experiments.measure import training, tunings
from slategym.experiments.measure.judging import with_families, with_fit_judges
from slategym.experiments.measure.plan import plan_of
from slategym.experiments.request import Request
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.studies import log as log_study
from slategym.experiments.studies.registry import find_study
from slategym.experiments.study import Learner, Study
from slategym.models.people.figures import Quality
from slategym.models.simulator.parties import Parties

pytestmark = pytest.mark.usefixtures("blank_pictures")

EVERY = ("factor", "gp", "covisitation", "trees")
WHY = "like AUC 0.400 against 0.600 of online biases, on 9 people unknown to it"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("judging")
    with small_home(folder / "home"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tunings, "SLATES", 24_000)
        patch.setattr(training, "LEAST_TUNED", 300)
        small_networks(patch)
        yield write_shop(folder / "shop")


def read_as(patch: pytest.MonkeyPatch, *worse: str, split: int | None = None) -> None:
    """Families that do worse than no model as judges, of all splits or of one."""

    def quality(self: Parties, family: str, party: str) -> Quality:
        poor = party == "J" and family in worse and split in (None, self.split)
        return Quality(
            100, 9, {"like_auc": 0.4}, {"online biases": {"like_auc": 0.6}},
            ("like_auc",) if poor else (),
        )  # fmt: skip

    patch.setattr(Parties, "quality", quality)


def decided(
    shop: Path, out: Path, splits: int | None = None, request: Request | None = None
) -> Study:
    """The study of the shop's log, its judges and who else plays people chosen."""
    request = request or Request(log=str(shop), assumptions="mild", splits=splits)
    made, store = log_study.study(request), open_store(out)
    compute = partial(run_units, store=store, console=Console(file=io.StringIO()))
    for choose in (with_fit_judges, with_families):
        made = choose(made, plan_of(made, request).study, request, compute, store)
    return made


def judges(study: Study) -> list[tuple[str, str | None]]:
    return [(p.name, p.settings.get("family")) for p in study.of_role("judge")]


def test_who_passes_judges_and_nothing_changes(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, "trees", "covisitation")  # who were not to judge are not asked
    found = decided(shop, tmp_path)
    request = Request(log=str(shop), assumptions="mild")
    made = log_study.study(request)
    assert judges(found) == judges(made) == [("judge", None), ("judge-gp", "gp")]
    assert found.judging is not None and found.judging.tried == (("J", "factor"), ("J", "gp"))
    assert found.judging.sentences() == () and not found.judging.unfit
    ids = [[unit.id for unit in plan_of(s, request).units] for s in (made, found)]
    assert ids[0] == ids[1]


def test_the_next_family_that_passes_takes_a_judges_place(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, "factor", "covisitation")
    found = decided(shop, tmp_path)
    assert judges(found) == [("judge", "gp"), ("judge-trees", "trees")]
    assert [p.people for p in found.of_role("judge")] == [("J", "gp"), ("J", "trees")]
    assert not any("anyway" in p.settings for p in found.of_role("judge"))  # nobody is bent for
    names = [p.heading for p in found.of_role("judge")]
    assert names == ["independent judge (family gp)", "judge of family trees"]
    swept = {p.name: p.settings.get("family") for p in found.of_role("sweep")}
    assert swept == {"world": None, "judge": "gp"}
    assert found.judging is not None and found.judging.tried == tuple(("J", name) for name in EVERY)
    (said,) = found.judging.sentences()
    assert said == (
        "Refused as judges, since they do worse than no model: "
        f"factor ({WHY}); covisitation ({WHY}). Instead gp and trees judge."
    )
    plan = plan_of(found, Request(log=str(shop), assumptions="mild"))
    assert list(plan.judging) == [f"J: {name}" for name in EVERY]
    assert {u.id for u in plan.judging.values()} <= {u.id for u in plan.before_learning}
    assert {"J: gp", "J: trees"} < {*plan.preparation} and "J" not in plan.preparation
    assert plan.preparation["constants"].spec["families"] == (
        ("A", "bert"), ("J", "gp"), ("J", "trees"),
    )  # fmt: skip
    further = found.under(("mild", "lasting"), {}).of_role("judge")
    assert [p.settings.get("family") for p in further] == ["gp", "trees"] * 2


def test_one_split_in_which_it_does_worse_is_enough(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, "gp", split=1)
    assert judges(decided(shop, tmp_path)) == [("judge", None), ("judge-gp", "gp")]
    found = decided(shop, tmp_path, splits=2)
    assert judges(found) == [("judge", None), ("judge-covisitation", "covisitation")]
    assert found.judging is not None and found.judging.refused == {"gp": f"split 1: {WHY}"}


def test_with_one_family_that_passes_there_is_one_judge(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, "factor", "gp", "trees")
    found = decided(shop, tmp_path)
    assert judges(found) == [("judge", "covisitation")]
    assert found.judging is not None
    (said,) = found.judging.sentences()
    assert said.endswith("covisitation passed: the study has one judge fewer.")


def test_a_family_that_cannot_be_fitted_is_passed_over(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch)
    quality = Parties.quality

    def none_of_gp(self: Parties, family: str, party: str) -> Quality:
        if family == "gp":
            raise UsageError("too few rows")
        return quality(self, family, party)

    monkeypatch.setattr(Parties, "quality", none_of_gp)
    found = decided(shop, tmp_path)
    assert judges(found) == [("judge", None), ("judge-covisitation", "covisitation")]
    assert found.judging is not None
    assert "gp (it cannot be fitted on this log: too few rows)" in found.judging.sentences()[0]


def test_a_grid_has_a_world_and_a_judge_of_every_family_that_passes(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, "trees")  # as a judge; as a world it passes
    request = Request(log=str(shop), assumptions="mild", families="all")
    found = decided(shop, tmp_path, request=request)
    grid = {p.name: (p.of, p.people, p.settings["family"]) for p in found.of_role("family")}
    assert grid == {
        **{f"world-of-{x}": ("world", ("A", x), x) for x in EVERY},
        **{f"judge-of-{x}": ("world", ("J", x), x) for x in ("bert", "covisitation")},
    }
    assert found.judging is not None and found.judging.unread == {"judge of family trees": WHY}
    assert {p.policies for p in found.of_role("judge", "family")} == {None}
    plan = plan_of(found, request)
    names = {unit.spec["label"] for unit in plan.readings if unit.spec["place"] == "world"}
    for place in found.of_role("family"):
        there = [unit for unit in plan.readings if unit.spec["place"] == place.name]
        assert {unit.spec["label"] for unit in there} == names
        rest_on = {n.id for unit in there for n in unit.needs if n.function == "tune@1"}
        assert rest_on <= {unit.id for unit in plan.tunings.values()}  # of the study's own world
    assert len({unit.id for unit in plan.trainings}) == len(
        plan_of(log_study.study(request), request).trainings
    )  # nobody is trained for it
    further = found.under(("mild", "lasting"), {})
    assert len(further.of_role("family")) == len(grid)  # of the study's own assumptions alone
    assert Request("full").in_families(found)[0] == "bert"
    assert Request("full", families="none").in_families(found) == Request().in_families(found) == ()
    with pytest.raises(UsageError, match="did you mean 'covisitation'"):
        Request(families="covisit").of(found)
    with pytest.raises(UsageError, match="--families is for studies of logs, not for sardine"):
        plan_of(find_study("sardine", Request()), Request(families="all"))


@pytest.mark.parametrize("worse", [EVERY, ("factor",)])
def test_the_report_says_who_was_refused(
    worse: tuple[str, ...], shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody passes, those judge whom the study has, and it says that they are not fit to."""
    read_as(monkeypatch, *worse)
    grid = None if worse == EVERY else "gp,trees"
    request = Request("smoke", tmp_path, users=8, log=str(shop), assumptions="mild", families=grid)
    made = log_study.study(request)
    smoke = made.profiles["smoke"]
    made = replace(
        made,
        learners=(Learner("linucb", LinearBanditSettings(num_steps=64, num_users=4)),),
        policies=("random", "popularity", "ease", "supervised", "supervised-capped", "myopic"),
        roles=replace(made.roles, reference="myopic", others=("supervised-capped", "ease")),
        profiles={"smoke": replace(smoke, left_out=(*smoke.left_out, "history-rule"))},
        headroom=0,
    )
    screen = io.StringIO()
    path = run_study(made, request, Console(file=screen, width=160), Console(file=io.StringIO()))
    summary = json.loads((path.parent / "summary.json").read_text())
    assert summary["judging"]["refused"] == dict.fromkeys(worse, WHY)
    fixed = json.loads((path.parent / "study.json").read_text())
    assert fixed["judging"]["J: factor"] == {"people": 9, "worse": ["like_auc"], "why": WHY}
    theirs = [place for place in fixed["places"] if place["role"] == "judge"]
    judge = {place["name"]: place["settings"].get("family") for place in theirs}
    if worse == EVERY:
        assert judge == {"judge": None, "judge-gp": "gp"}
        said = "No judge of this study can be relied on"
        assert "So factor and gp judge all the same" in summary["verdict"]
        assert any("taken anyway, worse than no model" in why for *_, why in labels(path.parent))
    else:
        assert judge == {"judge": "gp", "judge-covisitation": "covisitation"}
        said = f"Refused as judges, since they do worse than no model: factor ({WHY})."
        assert not any("taken anyway" in why for *_, why in labels(path.parent))
        told = {(x["role"], x["family"]): x for x in summary["families"]}
        assert list(told) == [
            *(("world", "bert"), ("judge", "gp"), ("judge", "covisitation")),
            *(("world", "gp"), ("world", "trees"), ("judge", "trees")),
        ]
        ahead = sum(x["value"] > 0 for x in told.values())
        assert f"linucb - supervised is above zero in {ahead} (clearly in " in summary["verdict"]
        assert "in 6 worlds and judges of 4 families" in summary["verdict"]
        assert "before its judge</th>" in path.read_text()
        rows = pd.read_parquet(path.parent / "rows.parquet")
        assert {"world-of-gp", "world-of-trees", "judge-of-trees"} < {*rows["variant"]}
        for place in {x["place"] for x in told.values()}:
            assert {*rows[rows["variant"] == place]["policy"]} == {*rows["policy"]}
        assert " --families gp,trees" in summary["command"]
    assert (worse == EVERY) == (summary["families"] == [])
    for text in (path.read_text(), summary["verdict"], " ".join(screen.getvalue().split())):
        assert said in text


def labels(folder: Path) -> list[list[str]]:
    """What every world of a run says of itself."""
    worlds = json.loads((folder / "study.json").read_text())["worlds"]
    return [label for world in worlds.values() for label in world["labels"]]
