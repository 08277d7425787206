"""The MovieLens study: its plan on paper, and all of it in miniature from log to rows."""

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
from small_movielens import SMALL, films, forget, small_movielens

from slategym.agents.bandits.linear import LinearBanditSettings
from slategym.agents.bandits.ranked import RankedBanditSettings
from slategym.agents.core import tuning
from slategym.agents.core.files import read_about, serves_start
from slategym.agents.core.supervised import setting_of
from slategym.agents.core.tuning import SLATES
from slategym.agents.policy_gradient.ppo import PPOSettings
from slategym.agents.refit.agent import RefitSettings
from slategym.agents.sb3.algorithms import StableSAC
from slategym.envs.names import UsageError
from slategym.experiments.benchmark import fixed, result_of, run_study
from slategym.experiments.measure import preparation, units
from slategym.experiments.measure import training as training_module
from slategym.experiments.measure import tunings as tunings_module
from slategym.experiments.measure.judging import with_fit_judges
from slategym.experiments.measure.plan import Plan, plan_of
from slategym.experiments.places import CONTROL_LUCK, EVALUATION_LUCK, SELECTION_LUCK
from slategym.experiments.report.results import Result
from slategym.experiments.request import Request
from slategym.experiments.runs.store import Store, open_store
from slategym.experiments.runs.units import Unit, Work, closure
from slategym.experiments.studies.movielens import (
    COMPARED,
    GRID,
    GRID_POLICIES,
    MOST_USERS,
    STUDY,
)
from slategym.experiments.study import Learner
from slategym.models.simulator import movielens as recipes
from slategym.models.simulator.movielens import BOREDOM

pytestmark = pytest.mark.usefixtures("blank_pictures")

AGENTS = ("supervised-refit", "linear-bandit", "plackett-luce", "plackett-luce-gamma0")
TINY_AGENTS = (*AGENTS, "proto-sac", "LinUCB")
TUNED = {
    *("ease", "transitions", "supervised", "supervised-untuned", "supervised-capped"),
    *("supervised-quota", "supervised-mmr", "supervised-dpp", "history-rule", "rule-aware"),
}
SESSION = 6  # slates, of 30: as many readings of a fifth of the time
LADDER = tuple(baseline.name for baseline in STUDY.baselines)
MINE = "slategym.agents.bandits.linear:LinUCB"  # by its place, as somebody else's is
TINY_PPO = Learner(
    "plackett-luce",
    PPOSettings(num_steps=48, num_users=4, rollout=6, epochs=1, minibatch=24, shortlist=20),
)
TINY = replace(
    STUDY,
    places=tuple(p for p in STUDY.places if p.strength in (0.0, BOREDOM)),
    profiles={
        **STUDY.profiles,
        "quick": replace(STUDY.profiles["quick"], training=1.0, left_out=(), sweep=True),
    },
    learners=(
        Learner("supervised-refit", RefitSettings(48, num_users=4, rollout=6, minibatch=24)),
        Learner("linear-bandit", RankedBanditSettings(48, num_users=4, rollout=6)),
        TINY_PPO,
        TINY_PPO.present_only,
        Learner(
            "proto-sac",
            StableSAC(
                num_steps=24, num_users=4, updates=1, batch=8, buffer=24, warm_up=8, hidden=(8,)
            ),
        ),
        Learner(MINE, LinearBanditSettings(num_steps=64, num_users=4)),
    ),
)


def ids(units: list[Unit]) -> list[str]:
    return [unit.id for unit in units]


def quick(**changes: object) -> Plan:
    """Under the study's own assumptions alone."""
    return plan_of(STUDY, Request(**{"assumptions": "mild", **changes}))  # type: ignore[arg-type]


def test_a_learner_told_to_look_at_the_present_only_is_the_same_in_all_else() -> None:
    names = ("plackett-luce", "plackett-luce-gamma0")
    plan = quick(agents=names, seeds=1)
    specs = {
        unit.spec["agent"]: unit.spec for unit in plan.trainings if unit.spec["place"] == "world"
    }
    assert tuple(specs) == names == plan.study.learned
    ahead, present = (specs[name]["settings"] for name in names)
    assert ahead.gamma > 0 and present == replace(ahead, gamma=0.0)
    labels = {unit.spec["label"] for unit in plan.readings}
    assert set(names) < labels


def test_under_further_assumptions_the_same_people_are_read_and_chosen_on() -> None:
    plan = quick(assumptions="mild,lasting:duration=8", seeds=1)
    assert ids(quick(seeds=1).units) != ids(plan.units)
    assert set(ids(quick(seeds=1).units)) < set(ids(plan.units))  # what is there is taken
    places = {(p.name, p.role, p.of): p for p in plan.study.places if "lasting" in p.name}
    name = "world-lasting-duration8"
    judge = ("judge-lasting-duration8", "judge", name)
    second = ("judge-gp-lasting-duration8", "judge", name)
    assert set(places) == {(name, "open", ""), judge, second, (name, "selection", name)}
    for place in places.values():
        assert place.settings["assumptions"] == "lasting:duration=8"
        assert "boredom" not in place.settings and place.strength is None
    readings = [unit.spec for unit in plan.readings if unit.spec["place"] in (name, judge[0])]
    people = {(s["group"], s["settings"]["users"], s["luck"], s["num_users"]) for s in readings}
    assert people == {
        ("evaluation", "evaluation", EVALUATION_LUCK, plan.size.users),
        ("selection", "selection", SELECTION_LUCK, plan.size.users),
    }
    trained = {(unit.spec["policy"], unit.spec["place"]) for unit in plan.trainings}
    assert {(agent, name) for agent in AGENTS} < trained
    # numbers are tuned in the world that they are read in
    tuned = plan.tunings[f"history-rule, {name}"]
    assert tuned.spec["settings"]["assumptions"] == "lasting:duration=8"
    (read,) = [u for u in plan.readings if u.label == f"read history-rule, {judge[0]}"]
    assert tuned in read.needs and plan.tunings["history-rule"] not in read.needs
    # the headroom of every open place, before anything is learned
    assert set(plan.headroom) == {"world", name}
    assert set(ids(list(plan.headroom.values()))) < set(ids(plan.before_learning))


def test_the_profile_says_what_is_done_under_lasting() -> None:
    """All of it; each set of assumptions with its own headroom, judges and trainings."""
    for profile in ("quick", "full"):
        plan = plan_of(STUDY, Request(profile))
        trained = {(unit.spec["policy"], unit.spec["place"]) for unit in plan.trainings}
        assert {(agent, "world-lasting") for agent in AGENTS} < trained
        assert set(plan.headroom) == {"world", "world-lasting"}
        assert {p.name for p in plan.study.of_role("judge") if p.of == "world-lasting"} == {
            "judge-lasting",
            "judge-gp-lasting",
        }
        assert [p.name for p in plan.study.of_role("control")] == ["static"]  # one serves both
    assert set(plan_of(STUDY, Request("smoke")).headroom) == {"world"}
    some = STUDY.under(("mild", "lasting"), {"lasting": AGENTS[:1]})
    left = [("world", "static")] * (len(some.learners) - 2)
    wary = ("world",)  # who is pessimistic learns in the first world alone
    assert [learner.places for learner in some.learners] == [None, *left, wary]
    (place,) = (p for p in plan_of(STUDY, Request(assumptions="lasting")).study.of_role("open"))
    assert (place.name, place.settings["assumptions"]) == ("world", "lasting")
    with pytest.raises(UsageError, match="did you mean 'lasting'"):
        plan_of(STUDY, Request(assumptions="mild,lastign"))
    with pytest.raises(UsageError, match="assumptions are given twice"):
        plan_of(STUDY, Request(assumptions="mild,mild"))


def test_what_is_fixed_before_learning_needs_no_learning() -> None:
    plan = quick()
    trainings = set(ids(list(plan.trainings)))
    assert not trainings & set(ids(closure(plan.before_learning)))
    everything = set(ids(closure(plan.units)))
    assert trainings < everything and set(ids(plan.before_learning)) < everything
    for training in plan.trainings:
        assert plan.preparation["constants"].id in ids(list(training.needs))


def test_who_is_read_is_never_who_was_chosen_on() -> None:
    plan = quick()
    assert set(plan.tunings) == {
        *TUNED,
        "plackett-luce",
        "plackett-luce-gamma0",
        "supervised-refit",
    }
    tuned = list(plan.tunings.values())
    # the supervised ones and who rests on them, the rule, two classics, where learners begin
    assert len(set(ids(tuned))) == 5
    assert {unit.spec["world"] for unit in tuned} == {"slategym/MovieLens-v0"}
    assert not any(unit.spec["settings"]["static"] for unit in tuned)
    for unit in (
        *plan.readings,
        *plan.trainings,
    ):  # nobody chooses for themselves where they are read
        needed = [need.id for need in unit.needs if need.function == "tune@1"]
        if unit.function == "learn@1" or unit.spec["label"] in TUNED - {"ease", "transitions"}:
            assert plan.tunings["supervised"].id in needed
    lucks = {(u.spec["group"], u.spec["settings"]["users"], u.spec["luck"]) for u in plan.readings}
    assert lucks == {
        ("evaluation", "evaluation", EVALUATION_LUCK),
        ("control", "control", CONTROL_LUCK),
        ("selection", "selection", SELECTION_LUCK),
    }
    control = {u.spec["luck"] for u in plan.readings if u.spec["settings"]["static"]}
    assert control == {CONTROL_LUCK}  # nothing else is read, and nothing chosen, under it
    chosen_under = {tuning.LUCK, *(p.luck for p in plan.study.of_role("selection"))}
    assert not chosen_under & {EVALUATION_LUCK, CONTROL_LUCK}
    assert {u.spec["num_users"] for u in plan.readings} == {plan.size.users}
    assert STUDY.profiles["full"].users == MOST_USERS  # all arrivals
    assert {u.spec["world_settings"]["users"] for u in plan.trainings} == {"training"}


def test_everybody_is_read_everywhere_that_the_report_compares() -> None:
    request = Request("full", assumptions="mild", seeds=2, splits=1, agents=AGENTS)
    plan = plan_of(STUDY, request)
    found: dict[tuple[str, float, str], list[str]] = {}
    for unit in plan.readings:
        spec = unit.spec
        policy = spec["label"]
        if spec["policy"] is None:
            (training,) = (need.spec for need in unit.needs if need.function == "learn@1")
            policy = f"{policy} {training['place']} {training['seeds'][0]}"
        found.setdefault((spec["place"], spec["strength"], spec["group"]), []).append(policy)
    learned = [f"{agent} world {seed}" for agent in AGENTS for seed in (0, 1)]
    static = [f"{agent} static {seed}" for agent in AGENTS for seed in (0, 1)]
    assert set(found["world", BOREDOM, "evaluation"]) == {*LADDER, *learned}
    assert set(found["judge", BOREDOM, "evaluation"]) == {*LADDER, *learned}
    assert set(found["judge-gp", BOREDOM, "evaluation"]) == {*COMPARED, *learned}
    assert set(found["static", 0.0, "control"]) == {*LADDER, *static}
    assert set(found["world", BOREDOM, "selection"]) == set(learned)
    for variant in ("world", "judge"):
        for boredom in set(GRID) - {BOREDOM}:
            assert set(found[variant, boredom, "evaluation"]) == {*GRID_POLICIES, *learned}
    assert len(found) == 5 + 2 * (len(GRID) - 1)
    assert all(len(policies) == len(set(policies)) for policies in found.values())
    places = [(place.name, place.role) for place in quick().study.places]
    assert [name for name, role in places if role != "selection"] == [
        *("world", "judge", "judge-gp", "static")  # no boredom is varied there
    ]
    read = {unit.spec["label"] for unit in quick().readings}
    assert read == {*LADDER, *AGENTS}


@pytest.mark.parametrize("profile", ["smoke", "quick"])
def test_everybody_has_the_same_budget(profile: str) -> None:
    """Slates in training and in tuning, and the people on whom anything is chosen."""
    plan = plan_of(STUDY, Request(profile, assumptions="mild,lasting"))
    slates = {unit.spec["settings"].num_steps for unit in plan.trainings}
    tuned = {unit.spec["slates"] for unit in plan.tunings.values()}
    assert slates == tuned == {round(plan.size.training * SLATES)}
    assert {unit.spec["policy"] for unit in plan.trainings} == set(AGENTS)
    by_place: dict[str, set[object]] = {}
    for unit in plan.trainings:
        by_place.setdefault(unit.spec["place"], set()).add(str(unit.spec["world_settings"]))
        assert unit.spec["world_settings"]["users"] == "training"
    assert all(len(settings) == 1 for settings in by_place.values())
    readings: dict[object, dict[str, int]] = {}
    for unit in plan.readings:
        if unit.spec["group"] == "selection":
            where = (unit.spec["place"], unit.spec["luck"], unit.spec["num_users"])
            number = readings.setdefault(where, dict.fromkeys(plan.study.learned, 0))
            number[unit.spec["label"]] += 1
    for (name, *_), number in readings.items():
        assert set(number.values()) == {plan.size.seeds_in(plan.study.place(name))}


def test_names_of_results_stay_as_long_as_what_decides_them() -> None:
    plan = quick()
    assert ids(plan.units) == ids(quick(seeds=3, users=plan.size.users, slate_size=5).units)
    assert len(set(ids(plan.units))) == len(plan.units)
    more = quick(seeds=4)
    of_all_seeds = {u.id for u in plan.units if u.function in ("slates@1", "serving@1")}
    assert set(ids(plan.units)) - of_all_seeds < set(ids(more.units))
    fewer_users = quick(users=100)
    assert ids(list(fewer_users.trainings)) == ids(list(plan.trainings))
    assert not set(ids(list(fewer_users.readings))) & set(ids(list(plan.readings)))
    wide = quick(slate_size=7)
    assert not set(ids(list(wide.trainings))) & set(ids(list(plan.trainings)))
    assert wide.preparation["constants"].id == plan.preparation["constants"].id
    assert len({unit.name for unit in more.units}) == len(more.units)
    others = quick(agents=("linear-bandit", "proto-sac", MINE))
    assert {unit.spec["policy"] for unit in others.trainings} == {
        "linear-bandit",
        "proto-sac",  # which the quick profile leaves out, unless asked
        "LinUCB",
    }
    assert set(ids(list(others.trainings))) & set(ids(list(plan.trainings)))


def test_sizes_and_profiles() -> None:
    size = quick().size
    assert (size.seeds, size.control_seeds, size.users) == (3, 1, 3 * 105)  # everybody three times
    full = plan_of(STUDY, Request("full"))
    assert (full.size.seeds, full.size.splits, full.size.users) == (5, 3, MOST_USERS)
    slow = {"adaptive-trace", "adaptive-trace-gamma0", "proto-sac", "proto-sac-gamma0"}
    every = {*AGENTS, *slow}
    wary = "plackett-luce-pessimistic"
    assert {unit.spec["policy"] for unit in full.trainings} == {*every, wary}
    # the world, its static twin, the world under lasting; who is pessimistic in the first alone
    assert len(full.trainings) == 3 * 5 * (len(every) * 3 + 1)
    assert {u.spec["world_settings"].get("pessimism") for u in full.trainings} == {None, 1.0}
    assert full.trainings[0].spec["settings"].num_steps == 1_382_400
    both = plan_of(STUDY, Request())  # under mild, beside lasting, one seed each
    seeds = {}
    for unit in both.trainings:
        seeds.setdefault(unit.spec["place"], set()).update(unit.spec["seeds"])
    assert seeds == {"world": {0}, "world-lasting": {0, 1, 2}, "static": {0}}
    watches: dict[str, list[str]] = {}
    for (
        unit
    ) in both.watches:  # every open training in its world, the first before the judge as well
        (training,) = (need for need in unit.needs if need.function == "learn@1")
        seen = [place["place"].partition("-")[0] for place in unit.spec["places"]]
        watches.setdefault(f"{training.spec['place']} {training.spec['seeds'][0]}", []).extend(seen)
    learners, twice = len(both.study.learners), ["world", "judge"]
    assert watches == {
        "world 0": twice * learners,
        "world-lasting 0": twice * learners,
        **{f"world-lasting {seed}": ["world"] * learners for seed in (1, 2)},
    }
    assert len(both.stops) == 2 * len(
        {unit.spec["policy"] for unit in both.trainings} & {*both.study.ahead}
    )
    assert {s for unit in quick().trainings for s in unit.spec["seeds"]} == {0, 1, 2}
    asked = plan_of(STUDY, Request(seeds=2))
    assert {s for u in asked.trainings if u.spec["place"] == "world" for s in u.spec["seeds"]} == {
        0,
        1,
    }
    assert plan_of(STUDY, Request()).command == "slategym benchmark movielens --profile quick"
    assert quick().command.endswith("--profile quick --assumptions mild")
    asked = plan_of(STUDY, Request("full", seeds=2, users=50, slate_size=3, agents=AGENTS[2:3]))
    end = "--profile full --agents plackett-luce --seeds 2 --users 50 --slate-size 3"
    assert asked.command.endswith(end)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "quik"}, "unknown profile 'quik'; did you mean 'quick'"),
        ({"seeds": 0}, r"seeds must be in \[1, 100\], got 0"),
        ({"users": 1}, r"users must be in \[2, 840\], got 1"),
        ({"users": 5000}, r"users must be in \[2, 840\], got 5000"),
        ({"slate_size": 51}, r"slate-size must be in \[1, 50\], got 51"),
        ({"agents": ("plackett-luze",)}, "unknown agent 'plackett-luze'; did you mean"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quick(**settings)


class Ran:
    """The study in miniature, run to its end in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        self.first, self.again, self.screen = io.StringIO(), io.StringIO(), io.StringIO()
        self.report = self.run(self.first)
        self.store: Store = open_store(self.folder)
        self.about = json.loads((self.folder / "study.json").read_text())
        self.run(self.again)
        self.plan = self.as_run()
        self.found: Result = result_of(self.plan, self.store, 1.0)

    @property
    def request(self) -> Request:
        return Request(out=self.folder, seeds=1, users=5, slate_size=3, assumptions="mild")

    def as_run(self) -> Plan:
        """With the judges that were chosen: on so small a log some families are refused."""
        asked = plan_of(TINY, self.request).study
        made = with_fit_judges(TINY, asked, self.request, lambda units: None, self.store)
        return plan_of(made, self.request)

    def run(self, told: io.StringIO) -> Path:
        screen, progress = Console(file=self.screen, width=160), Console(file=told, width=200)
        return run_study(TINY, self.request, screen, progress)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("study")
    with small_movielens(folder / "home"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tunings_module, "SLATES", 400)
        patch.setattr(training_module, "LEAST_TUNED", 400)
        small = replace(recipes.MOVIELENS, horizon=SESSION, parties=SMALL)
        patch.setattr(recipes, "MOVIELENS", small)
        patch.setitem(preparation.RECIPES, "movielens", small)
        yield Ran(folder)


def test_the_report_and_the_verdict_begin_with_the_headroom(ran: Ran) -> None:
    found = ran.about["headroom"]["world"]
    assert found["users"] == 5 and found["returns"].keys() >= {"random", "supervised"}
    said = "something" if found["something_to_plan_for"] else "nothing"
    summary = json.loads((ran.folder / "summary.json").read_text())
    tuned = [json.dumps(step, sort_keys=True) for step in summary["tunings"]]
    assert len(tuned) == len({*tuned}) > 4  # what several tunings begin with is told once
    assert summary["verdict"].startswith(f"There is {said} to plan for under mild: told the truth")
    html = ran.report.read_text()
    assert html.index('<section id="headroom"') < html.index('<section id="verdict"')
    assert "headroom, world" in ran.first.getvalue()


def test_a_second_call_computes_nothing(ran: Ran) -> None:
    assert "nothing to compute" not in ran.first.getvalue()
    assert f"nothing to compute: all {len(ran.plan.units)} results" in ran.again.getvalue()


def test_everything_is_decided_before_an_agent_learns(ran: Ran) -> None:
    told = ran.first.getvalue()
    assert told.index("tune supervised") < told.index("LinUCB, world, seed 0")
    constants = {c["name"]: c["value"] for c in ran.about["preparation"]["constants"]["constants"]}
    assert constants["temperature, world"] > 0
    steps = ran.about["tunings"]["supervised-capped"]["steps"]
    assert {"ranker-heads", "ranker", "supervised-cap", "supervised"} < {s["name"] for s in steps}
    assert all(step["chosen"] in [row["setting"] for row in step["tried"]] for step in steps)
    assert len(ran.about["trainings"]) == len(ran.plan.trainings) == 2 * len(TINY_AGENTS)
    # what was written then is what the rest of the run used
    of_the_file = {"checksum", "format", "status"}
    kept = {name: value for name, value in ran.about.items() if name not in of_the_file}
    assert of_the_file <= set(ran.about)
    assert json.loads(json.dumps(fixed(ran.plan, ran.store))) == kept


def test_rows_are_of_the_same_people_for_every_policy(ran: Ran) -> None:
    rows = ran.found.rows
    evaluation = rows[rows["group"] == "evaluation"]
    everyone = set(films().parties.people["evaluation"])
    for _, part in evaluation.groupby(["variant", "strength", "policy", "trained_in", "seed"]):
        assert part["user"].tolist() == [0, 1, 2, 3, 4]
        assert set(part["person"]) <= everyone and part["person"].nunique() == 5
    assert evaluation.groupby("user")["person"].nunique().max() == 1
    control = rows[rows["group"] == "control"]
    assert set(control["person"]) <= set(films().parties.people["control"])
    assert set(control["variant"]) == {"static"}
    selection = rows[rows["group"] == "selection"]
    assert set(selection["person"]) <= set(films().parties.people["selection"])
    assert ran.plan.study.judging is not None
    _, second = ran.plan.study.judging.families
    assert set(rows["variant"]) == {"world", "static", "judge", f"judge-{second}"}
    assert set(rows["strength"]) == {0.0, BOREDOM}
    assert rows["world"].str.contains("Judge").eq(rows["variant"].str.startswith("judge")).all()
    assert set(rows["policy"]) == {*LADDER, *TINY_AGENTS}


def test_the_static_twin_knows_no_boredom_and_ends_with_the_horizon(ran: Ran) -> None:
    rows = ran.found.rows
    static = rows[rows["variant"] == "static"]
    assert (static["length"] == SESSION).all() and static["bored_share"].isna().all()
    world = rows[(rows["variant"] == "world") & (rows["strength"] == BOREDOM)]
    assert world["bored_share"].max() > 0 and world["length"].min() < SESSION
    assert set(static["trained_in"]) == {"", "static"} and "static" not in set(world["trained_in"])


def test_settings_tuned_in_the_world_hold_wherever_policies_are_read(ran: Ran) -> None:
    chosen = ran.about["tunings"]["supervised"]["chosen"]
    for place in ("world", "judge", "static"):
        for policy in ("supervised", "supervised-capped"):
            unit = next(
                u
                for u in ran.plan.readings
                if (u.spec["place"], u.spec["label"]) == (place, policy)
            )
            world = units.world_of(unit.spec["world"], unit.spec["settings"], "cpu")
            ((_, made),) = units.policies_of(Work(unit, ran.store, {}, print_nothing), world)
            assert setting_of(made.inner.ranker) == chosen["ranker"]
            name = "supervised" if policy == "supervised" else "supervised-cap"
            assert made.tuning.chosen == chosen[name] and not made.tuning.tried  # not anew


def test_the_tuning_and_its_budget_are_told(ran: Ran) -> None:
    html = ran.report.read_text()
    assert '<section id="tuning"' in html and "What does not learn by trial is tuned" in html
    summary = json.loads((ran.store.folder / "summary.json").read_text())
    assert {"ranker", "supervised", "history-rule", "ease"} <= {
        s["name"] for s in summary["tunings"]
    }
    for step in summary["tunings"]:
        told = rf"{re.escape(step['name'])}(, [^:<>]+)?: at most {step['slates']:,} slates"
        assert re.search(told, html), step["name"]


def test_the_report_has_every_section_and_the_note_on_what_it_does_not_say(ran: Ran) -> None:
    found = ran.found
    assert set(found.curves["policy"]) == {*TINY_AGENTS}
    models = [str(row["model"]) for row in found.model_metrics]
    assert ran.plan.study.judging is not None
    judges = [f"J: {family}" for family in ran.plan.study.judging.families]
    assert models[:4] == ["A: multi-task BERT", "B: multi-task BERT", *judges]
    assert {"A: online biases", "J: popularity"} < set(models[4:])
    assert all(0 <= row["click_auc"] <= 1 and row["protocol"] for row in found.model_metrics[:4])
    short = {name.removesuffix(": factor") for name in judges}  # as the usual judge is called
    assert set(found.reliability["model"]) == {"A", "B", *short}
    assert dict(found.timings)["training plackett-luce, all runs"] > 0
    assert list((ran.store.folder / "tensorboard").rglob("events.out.tfevents.*"))
    html = ran.report.read_text()
    for name in ("verdict", "ladder", "places", "differences", "control", "judge", "sweep"):
        assert f'<section id="{name}"' in html
    for name in ("learning", "assumptions", "models", "protocol", "learners", "repeat", "sources"):
        assert f'<section id="{name}"' in html
    assert "The history rule has two numbers and learns nothing." in html
    assert "slategym benchmark movielens --profile quick --seeds 1 --users 5" in html


def test_every_trained_policy_is_an_agent_that_says_where_it_was_trained(ran: Ran) -> None:
    for unit in ran.plan.trainings:
        about = json.loads((ran.store.folder_of(unit) / "agent.json").read_text())["about"]
        assert about["world"] == "slategym/MovieLens-v0"
        assert about["world_settings"]["static"] == (unit.spec["place"] == "static")


def test_another_process_gets_the_same_rows(ran: Ran) -> None:
    """Nothing hangs on what a process has cached: read one unit anew."""
    unit = next(u for u in ran.plan.readings if u.spec["policy"] is None)
    kept = ran.store.read(unit)
    forget()
    pd.testing.assert_frame_equal(units.read(Work(unit, ran.store, {}, print_nothing)), kept)


def test_who_serves_its_start_has_the_rows_of_that_policy(ran: Ran) -> None:
    copied = 0
    for unit in (unit for unit in ran.plan.readings if unit.spec["policy"] is None):
        training = next(need for need in unit.needs if need.function == "learn@1")
        if serves_start(read_about(ran.store.folder_of(training)), 0) is None or copied == 4:
            continue
        alone = tuple(need for need in unit.needs if need.function != "read@1")
        played = units.read(Work(replace(unit, needs=alone), ran.store, {}, print_nothing))
        pd.testing.assert_frame_equal(ran.store.read(unit), played)
        copied += 1
    assert copied  # else nothing was shown


def test_fewer_arrivals_than_asked_for_are_all_read(ran: Ran) -> None:
    unit = next(u for u in ran.plan.readings if u.spec["group"] == "selection")
    read_anew = tuple(need for need in unit.needs if need.function != "read@1")
    many = replace(unit, spec={**unit.spec, "num_users": 10_000}, needs=read_anew)
    rows = units.read(Work(many, ran.store, {}, print_nothing))
    assert len(rows) == films().parties.population("selection").size


def print_nothing(done: float, total: float, note: str = "") -> None:
    """No progress."""
