"""Worlds learned from any log: what is taken from it, what is stated, and what is refused."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from small_log import SLATE, shop_log, write_shop
from small_movielens import forget, small_home, small_networks
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from torch import Tensor

from slategym.envs import engine
from slategym.envs.candidates import UnseenCatalogue, WholeCatalogue
from slategym.envs.choice import MultinomialLogit, PositionBased
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import show
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv
from slategym.envs.trees import map_tensors
from slategym.envs.types import Session, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.cli.main import answer, build
from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log
from slategym.models.multitask.incremental import BertObserver
from slategym.models.people.taste import ClassicTaste
from slategym.models.simulator.assumptions import ASSUMPTIONS, VISITS, Assumptions
from slategym.models.simulator.cache import builder_of
from slategym.models.simulator.users import LearnedUsers
from slategym.models.simulator.world import FITS, learned_world, read_objective

STEPS = 6


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with small_home(folder), pytest.MonkeyPatch.context() as patch:
        small_networks(patch)
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_shop(tmp_path_factory.mktemp("logs") / "my shop"))


@pytest.fixture(scope="module")
def shop(folder: str) -> Log:
    return load_log(folder)


def begin(world: World, seed: int = 0) -> Session:
    user_B = torch.arange(world.population.size, dtype=torch.int32)
    return engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))


def random_slate(world: World, session: Session) -> Tensor:
    score_BC = Luck.at(session.key, session.step).uniform(7, world.num_candidates)
    allowed_BC = world.candidates.allowed(session.offer)
    if allowed_BC is not None:
        score_BC = score_BC.masked_fill(~allowed_BC, -1.0)
    return score_BC.topk(world.slate_size).indices.int()


def play(world: World, steps: int = STEPS) -> tuple[Session, list[engine.Outcome]]:
    session, outcomes = begin(world), []
    for _ in range(steps):
        session, outcome = engine.transition(world, session, random_slate(world, session))
        outcomes.append(outcome)
    return session, outcomes


def test_a_shops_log_is_a_world_of_its_own(shop: Log) -> None:
    world = learned_world(shop, users="evaluation", starts=2)
    assert world.name == "slategym/Log-v0" and world.slate_size == SLATE
    assert [signal.name for signal in world.users.signals] == ["click", "dwell"]
    assert world.objective == pytest.approx((1.0, 0.1))
    assert world.horizon == world.history_size == 10
    assert isinstance(world.candidates, WholeCatalogue)  # a shop sells a thing twice
    assert world.context.shown == ("hour", "weekday", "device")
    assert world.catalogue.topics == ("bags", "coats", "shoes")
    price_N = torch.tensor(shop.items["price"].to_numpy())
    assert torch.equal(world.catalogue.attribute("price"), price_N)
    assert world.catalogue.attribute("brand").tolist() == shop.items["brand"].tolist()
    session, outcomes = play(world)
    dwell = torch.stack([outcome.feedback[..., 1] for outcome in outcomes])
    click = torch.stack([outcome.feedback[..., 0] for outcome in outcomes])
    assert (dwell[click == 0] == 0).all() and dwell[click > 0].mean() > 0.5  # minutes
    expected = torch.stack([outcome.expected_reward for outcome in outcomes])
    assert torch.isfinite(expected).all() and expected.mean() > 0.1
    assert torch.isfinite(session.history.feedback).all()


def test_people_arrive_as_the_log_has_them(shop: Log) -> None:
    world = learned_world(shop, users="evaluation", starts=3)
    people = world.population
    clicks = shop.events[shop.events["click"] > 0]
    for row in range(people.size):
        mine = clicks[clicks["user"] == int(people.person[row])]
        history = people.history[row].tolist()
        found = [
            end
            for end in range(len(history), len(mine) + 1)
            if mine["item"].iloc[end - len(history) : end].tolist() == history
        ]
        last = mine.iloc[[end - 1 for end in found]]
        assert float(people.extra[row, 0]) in last["device"].tolist()  # the device of that moment
    shown = show(world, engine.observe(world, begin(world)))
    assert torch.equal(shown["context_device"][:, 0].float(), people.extra[:, 0])


def test_choice_is_fitted_on_what_was_shown_and_passed_over(shop: Log) -> None:
    world = learned_world(shop, users="calibration", starts=2)
    constants = builder_of(shop, FITS["whole"]).click_constants("A")
    slates = shop.events[
        np.isin(shop.events["user"], builder_of(shop, FITS["whole"]).parties.people["calibration"])
    ]
    logged = slates.groupby("slate_id")["click"].max().mean()
    assert constants.slates > 64
    assert constants.logged_rate == pytest.approx(logged, abs=0.05)  # but the first slates of all
    label = next(label for label in world.labels if label[0] == "choice")
    assert label[1] == "derived" and f"{constants.slates} logged slates" in label[2]
    _, outcomes = play(world, steps=1)
    rate = float(outcomes[0].expected[..., 0].sum(1).mean())
    assert rate == pytest.approx(logged, abs=0.2)


def test_labels_speak_the_logs_words(shop: Log) -> None:
    labels = {what: (label, why) for what, label, why in learned_world(shop, starts=1).labels}
    assert labels["click"][0] == labels["dwell"][0] == labels["device"][0] == "logged"
    assert labels["60 s per slate"] == (
        "derived",
        "median non-zero pause inside a visit of the log",
    )
    assert labels["boredom"][0] == labels["patience"][0] == "assumed"
    assert "clicks on a category lower it" in labels["boredom"][1]
    assert "products may be had again" in labels
    said = " ".join(" ".join(label) for label in learned_world(shop, starts=1).labels)
    assert not {"film", "genre", "stars", "rating", "item"} & set(said.split())


def test_the_judge_and_the_static_twin(shop: Log) -> None:
    judge = learned_world(shop, role="judge", users="evaluation", starts=2)
    world = learned_world(shop, users="evaluation", starts=2)
    assert judge.name == "slategym/Log-Judge-v0"
    assert torch.equal(judge.population.history, world.population.history)
    assert type(judge.users.inner.taste) is not type(world.users.inner.taste)
    _, outcomes = play(judge)
    assert torch.stack([outcome.feedback[..., 0] for outcome in outcomes]).sum() > 0
    twin = learned_world(shop, users="evaluation", starts=2, static=True)
    assert twin.name.endswith("(static)") and isinstance(twin.users, LearnedUsers)
    first, (later, _) = begin(twin), play(twin)
    assert torch.equal(first.user.state, later.user.state)
    assert torch.equal(first.context.hour, later.context.hour)


def test_choices_are_made_in_the_world_on_selection_people(shop: Log) -> None:
    judge = learned_world(shop, role="judge", users="evaluation", starts=2, slate_size=3)
    assert judge.selection is not None
    twin = judge.selection()
    assert (twin.name, twin.slate_size) == ("slategym/Log-v0", 3)
    mine, theirs = (set(w.population.person.tolist()) for w in (judge, twin))
    assert mine.isdisjoint(theirs)


def test_another_split_is_a_world_of_other_people(shop: Log) -> None:
    first, second = (learned_world(shop, users="evaluation", starts=2, split=s) for s in (0, 1))
    mine, theirs = (set(w.population.person.tolist()) for w in (first, second))
    assert mine.isdisjoint(theirs)
    assert second.selection is not None
    assert mine.isdisjoint(second.selection().population.person.tolist())
    assert not torch.equal(first.users.inner.taste.items_ND, second.users.inner.taste.items_ND)
    with pytest.raises(UsageError, match=r"split must be in \[0, 2\], got 3"):
        learned_world(shop, split=3)


def test_assumptions_are_a_named_value(shop: Log) -> None:
    plain = learned_world(shop, assumptions="none", users="evaluation", starts=1)
    assert isinstance(plain.users, LearnedUsers)
    assert not any(label == "assumed" for _, label, _ in plain.labels)
    own = Assumptions(GenreSatiation(1, threshold=2, penalty=9.0), impatience=False)
    bored = learned_world(shop, assumptions=own, users="evaluation", starts=1)
    assert isinstance(bored.users, Assumed) and bored.users.patience is None
    assert bored.users.satiation.penalty == 9.0
    with pytest.raises(UsageError, match="unknown assumptions 'mild-ish'; did you mean 'mild'"):
        learned_world(shop, assumptions="mild-ish")


@pytest.mark.parametrize("name", list(ASSUMPTIONS))
def test_every_named_assumption_is_a_world_with_a_twin_that_never_changes(
    shop: Log, name: str
) -> None:
    """Its pieces are labelled, one user alone goes as among others, and the twin knows none."""
    settings = {"assumptions": name, "users": "evaluation", "starts": 2, "state": False}
    world = learned_world(shop, **settings)
    labels = {what: label for what, label, _ in world.labels}
    value = ASSUMPTIONS[name]
    for _, effect in value.parts:
        assert labels[effect.called] == "assumed" and labels["runs on a category"] == "derived"
    assert ("returns" in labels) == (value.returns is not None) == ("visits apart" in labels)
    _, outcomes = play(world)
    alone = engine.start(world, *(torch.tensor([x], dtype=torch.int32) for x in (0, 3, 0)))
    for outcome in outcomes:
        alone, again = engine.transition(world, alone, random_slate(world, alone))
        torch.testing.assert_close(again.expected_reward, outcome.expected_reward[3:4])
    assert world.horizon == (1 if value.returns is None else VISITS) * 10
    twin = learned_world(shop, **settings, static=True)
    assert isinstance(twin.users, LearnedUsers) and twin.horizon == world.horizon
    assert not {effect.called for _, effect in value.parts} & {what for what, *_ in twin.labels}
    still = begin(twin)
    for _ in range(3):
        after, _ = engine.transition(twin, still, random_slate(twin, still))
        assert_same(after.user, begin(twin).user)
        still = after


def assert_same(one: object, other: object) -> None:
    map_tensors(lambda a, b: torch.testing.assert_close(a, b) or a, one, other)


def test_returns_take_their_pauses_from_the_log_and_context_moves_on(shop: Log) -> None:
    world = learned_world(shop, assumptions="return", users="evaluation", starts=2, state=False)
    returns, log = world.users.returns, builder_of(shop, FITS["whole"]).dynamics
    assert log.pauses is not None
    assert returns.pause == pytest.approx(log.pauses[1] / np.log(2.0))
    assert returns.signal is None  # minutes have no upper end: how much it appeals is taken
    patient = replace(world, users=replace(world.users, patience=Patience(0.5)))
    session, _ = play(patient, 1)
    away_B = session.user.returns.away
    assert (away_B > 0).any() and (away_B == 0).any()
    moved_B = session.context.hour != begin(world).context.hour
    assert moved_B[away_B > 0].all()


def test_the_objective_can_be_asked_for(shop: Log) -> None:
    for objective in ("dwell=2", {"dwell": 2.0}):
        world = learned_world(shop, objective=objective, users="evaluation", starts=1)
        assert world.objective == (0.0, 2.0)
    with pytest.raises(UsageError, match=r"weighs 'stay', which is no signal.*click, dwell"):
        learned_world(shop, objective="stay=1")
    with pytest.raises(UsageError, match="an objective is NAME=NUMBER"):
        read_objective("click")
    with pytest.raises(UsageError, match="the weight of click must be finite, got inf"):
        read_objective("click=inf")
    with pytest.raises(UsageError, match="weighed twice in the objective 'click=1,click=2'"):
        read_objective("click=1,click=2")
    with pytest.raises(UsageError, match="an objective of zeros rewards nothing"):
        read_objective("click=0")


def test_without_topics_slates_and_times_it_is_still_a_world(shop: Log) -> None:
    clicks = shop.events[shop.events["click"] > 0].drop(columns=["slate_id", "position", "dwell"])
    clicks = clicks.drop_duplicates(["user", "item"])
    bare = replace(
        shop,
        name="bare",
        events=clicks.assign(time=np.int64(5), click=np.float32(1)).reset_index(drop=True),
        items=shop.items.assign(topic=np.int32(0)),
        topic_names=("any",),
        item_topics=np.ones((shop.num_items, 1), np.float32),
        signals=shop.signals[:1],
        context=(),
        item_columns=(),
        slate_size=None,
        repeats=False,
        sha256="b" * 64,
    )
    world = learned_world(bare, users="evaluation", starts=1)
    labels = {what: (label, why) for what, label, why in world.labels}
    assert labels["no boredom"] == ("assumed", "the log has no categories to tire of")
    assert labels["60 s per slate"][0] == "assumed"
    assert "too coarse, to choose it" in labels["patience"][1]
    assert any(what.startswith("click rate") for what in labels)
    assert isinstance(world.candidates, UnseenCatalogue)
    assert world.users.satiation is None and world.users.patience.start == 5.0
    assert world.slate_size == 5 and world.objective == (1.0,)
    session, outcomes = play(world)
    assert sum(float(outcome.reward.sum()) for outcome in outcomes) > 0
    least = int(world.candidates.allowed(session.offer).sum(1).min())
    assert least >= world.slate_size  # the horizon is cut to what the catalogue lasts for


def test_people_with_few_clicks_arrive_with_fewer(shop: Log) -> None:
    events = shop.events[shop.events["slate_id"] % 24 < 8].reset_index(drop=True)
    few = replace(shop, events=events, sha256="c" * 64)
    world = learned_world(few, users="evaluation", starts=1, state=False)
    warm = world.population.history.shape[1]
    assert 1 <= warm < 10
    assert (f"{warm} clicks before arrival", "derived") in [label[:2] for label in world.labels]


def test_a_log_that_is_too_small_is_refused(shop: Log) -> None:
    few = replace(shop_log(num_users=10), sha256="d" * 64)
    with pytest.raises(UsageError, match=r"at least 15 people are needed.* shop has 10"):
        learned_world(few)
    silent = replace(shop, events=shop.events.assign(click=np.float32(0)), sha256="e" * 64)
    with pytest.raises(UsageError, match="has none with a click among the training people"):
        learned_world(silent)
    with pytest.raises(UsageError, match=r"slate_size must be in \[1, 48\], got 49: there are 48"):
        learned_world(shop, slate_size=49)
    with pytest.raises(UsageError, match="role is world or judge, got 'jury'"):
        learned_world(shop, role="jury")
    once = replace(shop_log(num_items=12), repeats=False, sha256="f" * 64)
    with pytest.raises(UsageError, match=r"which leaves too few to show.*repeats = true"):
        learned_world(once)


@pytest.mark.parametrize("id", ["slategym/Log-v0", "slategym/Log-Judge-v0"])
def test_a_folder_is_a_registered_world(id: str, folder: str) -> None:
    env = gymnasium.make(id, log=folder, users="evaluation", starts=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        warnings.filterwarnings("ignore", message=".*infinity. This is probably too.*")
        check_env(env.unwrapped, skip_render_check=True)
        check_sb3_env(SlateEnv(make_world(id, log=folder, users="evaluation", starts=2)))
    many = gymnasium.make_vec(id, num_envs=3, log=folder, users="evaluation", starts=2)
    observation, _ = many.reset(seed=0)
    assert observation["context_device"].shape == (3, 1)
    film = SlateEnv(make_world(id, log=folder, users="evaluation"), render_mode="ansi")
    film.reset(seed=0)
    assert "phone" in film.render() or "laptop" in film.render()


def test_a_world_of_a_folder_is_found_again(folder: str, shop: Log) -> None:
    world = learned_world(Path(folder), users="evaluation", starts=2)
    again = pickle.loads(pickle.dumps(world.selection))
    assert again().name == "slategym/Log-v0"
    forget()
    fresh = learned_world(folder, users="evaluation", starts=2)
    first, second = (play(w)[1][-1].expected_reward for w in (world, fresh))
    assert torch.equal(first, second)
    with pytest.raises(UsageError, match="no such folder"):
        learned_world("./nowhere")


def test_the_command_line_trains_in_it(folder: str, tmp_path: Path) -> None:
    words = ["train", "linucb", "--world", "Log-v0", "--set", f"log={folder}"]
    words += ["--set", "users=training", "--set", "starts=2", "--steps", "40"]
    assert answer(build, [*words, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").is_dir()


def test_other_families_play_the_people(shop: Log, folder: str) -> None:
    world = learned_world(shop, family="covisitation", anyway=True, users="evaluation", starts=2)
    assert world.name == "slategym/Log-v0 (covisitation)"
    (why,) = [why for what, _, why in world.labels if what == "people: covisitation"]
    assert "people unknown to it: click AUC" in why
    _, outcomes = play(world)
    assert bool(torch.stack([o.expected_reward for o in outcomes]).isfinite().all())
    first = begin(world)
    clicked_B = torch.stack([o.feedback[..., 0].sum(1) for o in outcomes]).sum(0) > 0
    people = world.users.inner if isinstance(world.users, Assumed) else world.users
    assert isinstance(people, LearnedUsers) and isinstance(people.taste, ClassicTaste)
    still = learned_world(
        shop, family="covisitation", anyway=True, static=True, users="evaluation", starts=2
    )
    assert still.name == "slategym/Log-v0 (covisitation) (static)"
    before, (after, _) = begin(still), play(still)
    for one, other in zip(before.user.clicks, after.user.clicks, strict=True):
        assert torch.equal(one, other)
    assert bool(clicked_B.any()) and first.step.sum() == 0
    judge = make_world("Log-Judge-v0", log=folder, family="gp", anyway=True, users="selection")
    assert judge.name == "slategym/Log-Judge-v0 (gp)"
    assert judge.selection is not None and judge.selection().name == "slategym/Log-v0"
    with pytest.raises(UsageError, match="unknown family of people 'gq'; did you mean 'gp'"):
        make_world("Log-v0", log=folder, family="gq")


def test_people_click_as_often_in_a_slate_as_the_log_has_it(shop: Log) -> None:
    """One item of a slate at most, or several: how they choose, and what is read of a session."""
    first = shop.events.groupby("slate_id").cumcount() == 0
    again = shop.events.groupby("slate_id")["click"].transform("max") > 0
    click = np.where(first & again, 1.0, shop.events["click"]).astype(np.float32)
    several = replace(shop, events=shop.events.assign(click=click), sha256="several")
    for log in (shop, several):
        most = float(log.events.groupby("slate_id")["click"].sum().max())
        world = learned_world(log, users="calibration", starts=2, assumptions="none")
        assert isinstance(world.choice, MultinomialLogit if most <= 1 else PositionBased)
        assert isinstance(world.users, LearnedUsers) and isinstance(world.observer, BertObserver)
        assert world.users.several == world.observer.several == (most > 1)
        _, outcomes = play(world)
        clicks = torch.stack([(x.feedback[..., 0] > 0).sum(1) for x in outcomes])
        assert (int(clicks.max()) > 1) == (most > 1)
    assert most > 1
