"""Logs that are not MovieLens: any signals, scales, slates and columns are fitted and played."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_log import shop_log
from small_worlds import small_log

from slategym.envs.engine import arrive
from slategym.envs.luck import Luck
from slategym.envs.types import CLICK, Catalogue, Column, Context, Items, Signal
from slategym.models.classics.oblivious import Growing
from slategym.models.closed_form.cooccurrence import Sums
from slategym.models.data.log import Log
from slategym.models.multitask.columns import ColumnInputs
from slategym.models.multitask.incremental import StateEncoder
from slategym.models.multitask.losses import Proposal, batch_targets, items_of, task_losses
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.predict import predict
from slategym.models.multitask.query import Query
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.sequences import Sequences, plan_epoch
from slategym.models.multitask.train import TrainingSettings, read_about, train_multitask
from slategym.models.people import classic
from slategym.models.people.reading import answer, ask
from slategym.models.people.registry import families
from slategym.models.people.types import Party
from slategym.models.quality.evaluation import Evaluation
from slategym.models.simulator.population import population
from slategym.models.simulator.users import LearnedUsers
from slategym.models.tasks import NEXT, observed_only, task_of
from slategym.models.taste import Taste

SMALL = MultiTaskSettings(width=16, feedforward=32, max_history=8)
QUICK = TrainingSettings(epochs=1, batch_events=128, warmup_steps=4)
PLAYED = 64  # people
SLATES = 8  # shown to each of the shop's people: one visit
LONGEST = 12  # events of a user, at most: rows are described click by click
TREES = 24
Once = Callable[[str], tuple[MultiTaskBert, Path]]


def with_signals(log: Log, signals: tuple[Signal, ...], **columns: np.ndarray) -> Log:
    """The small log with other columns of feedback."""
    names = {signal.name for signal in log.signals} | {"slate_id", "position"}
    events = log.events.drop(columns=[name for name in names if name in log.events])
    events = events.assign(**{k: np.asarray(v, np.float32) for k, v in columns.items()})
    return replace(log, events=events, signals=signals)


def scaled(low: float, high: float) -> Log:
    """Ratings from `low` to `high` instead of 1 to 5, liked from three quarters of the way."""
    log = small_log(40, 40, longest=LONGEST)
    stars = log.events["rating"].to_numpy()
    rating = np.rint(low + (stars - 1) / 4 * (high - low))
    cut = low + 0.75 * (high - low)
    signals = (
        CLICK._replace(provenance="derived"),
        Signal("like", "binary", "count", 0, 1, "derived"),
        Signal("rating", "ordinal", "points", low, high, "logged"),
    )
    ones = np.ones(len(stars))
    made = with_signals(log, signals, click=ones, like=rating >= cut, rating=rating)
    return replace(made, like_from=cut)


def clicks_alone() -> Log:
    log = small_log(40, 40, longest=LONGEST)
    rng = np.random.default_rng(0)
    return with_signals(log, (CLICK,), click=rng.random(len(log.events)) < 0.5)


def dwelling() -> Log:
    """Clicks, seconds of which a few are not known, plays, and a mood from -1 to 1."""
    log = small_log(40, 40, longest=LONGEST)
    rng = np.random.default_rng(0)
    E = len(log.events)
    click = rng.random(E) < 0.7
    dwell = np.where(click, np.exp(rng.normal(3, 1, E)), np.nan)
    dwell[::7] = np.nan
    signals = (
        CLICK,
        Signal("dwell", "nonnegative", "s", 0, 3600, "logged"),
        Signal("plays", "count", "plays", 0, 50, "logged"),
        Signal("mood", "real", "units", -1, 1, "logged"),
        Signal("share", "binary", "count", 0, 1, "logged"),
    )
    return with_signals(
        log,
        signals,
        click=click,
        dwell=dwell,
        plays=rng.poisson(2, E),
        mood=rng.uniform(-1, 1, E),
        share=rng.random(E) < 0.2,
    )


def bought() -> Log:
    """Clicks, one in four of which is a purchase; what was paid is known of purchases alone."""
    log = small_log(40, 40, longest=LONGEST)
    rng = np.random.default_rng(0)
    E = len(log.events)
    click = rng.random(E) < 0.7
    purchase = np.where(click, rng.random(E) < 0.25, np.nan)
    signals = (
        CLICK,
        Signal("purchase", "binary", "count", 0, 1, "logged"),
        Signal("paid", "nonnegative", "EUR", 0, 500, "logged", given="purchase"),
    )
    paid = np.where(purchase == 1, np.exp(rng.normal(3, 0.5, E)), np.nan)
    return with_signals(log, signals, click=click, purchase=purchase, paid=paid)


def unrated() -> Log:
    """The small log with one rating that was not observed."""
    log = small_log(40, 40, longest=LONGEST)
    events = log.events.copy()
    events.loc[5, ["rating", "like"]] = np.nan
    return replace(log, events=events)


LOGS = {
    "clicks": clicks_alone,
    "dwell": dwelling,
    "ten": lambda: scaled(0.0, 10.0),
    "either side of zero": lambda: scaled(-10.0, 10.0),
    "unrated row": unrated,
    "bought": bought,
    "shop": lambda: shop_log(slates=SLATES),
}


@pytest.fixture(scope="module", params=LOGS)
def log(request: pytest.FixtureRequest) -> Log:
    return LOGS[request.param]()


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """The network of one of LOGS and its folder, fitted once for all tests that ask of it."""
    found: dict[str, tuple[MultiTaskBert, Path]] = {}

    def of(name: str) -> tuple[MultiTaskBert, Path]:
        if name not in found:
            folder = tmp_path_factory.mktemp("once")
            found[name] = fitted(LOGS[name](), folder), folder
        return found[name]

    return of


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    """That trees can be grown on every log is tested, not how well."""
    with pytest.MonkeyPatch.context() as patch:
        small = replace(classic.TREES, growing=Growing(most=TREES))
        patch.setattr(classic, "TREES", small)
        yield


def text_of(log: Log) -> torch.Tensor:
    return torch.randn(log.num_items, 12, generator=torch.Generator().manual_seed(1))


def fitted(log: Log, folder: Path, training: TrainingSettings = QUICK) -> MultiTaskBert:
    held = log.num_users // 5
    return train_multitask(
        log,
        np.arange(held, log.num_users),
        SMALL,
        training,
        folder,
        validation=np.arange(held),
        text_vectors_ND0=text_of(log),
        progress=False,
    )


def is_finite(model: torch.nn.Module) -> bool:
    return all(bool(x.isfinite().all()) for n, x in model.state_dict().items() if "extra" not in n)


def plays_as_people(log: Log, taste: Taste[Any]) -> None:
    """Draws have the stated means, stay in range, and an event moves the state."""
    people = population(log, np.arange(log.num_users), starts=3, warm=5, seed=0)
    users = LearnedUsers(taste, skip=0.0, temperature=1.0)
    assert users.signals == log.signals
    B = min(PLAYED, people.size)
    user_B = torch.arange(B, dtype=torch.int32)
    arrival = arrive(people, user_B)
    assert arrival.hour is not None and arrival.weekday is not None
    zero_B = torch.zeros(B, dtype=torch.int32)
    context = Context(
        arrival.hour, arrival.weekday, zero_B, zero_B, zero_B, arrival.hour, arrival.extra
    )
    state = users.initial(arrival, Luck(zero_B))
    N = log.num_items
    catalogue = Catalogue(torch.zeros(N), torch.zeros(N, 1), torch.zeros(N))
    items = Items(torch.arange(N, dtype=torch.int32).expand(B, N).contiguous(), catalogue)
    totals, count = 0.0, 40
    for turn in range(count):
        luck = Luck.at(user_B * 1000, zero_B + turn)
        value_BNM, mean_BNM = users.respond(state, items, context, luck)
        totals = totals + value_BNM
        for m, signal in enumerate(log.signals):
            assert signal.low <= float(value_BNM[..., m].min()), signal
            assert float(value_BNM[..., m].max()) <= signal.high, signal
    drawn_M, stated_M = totals.mean((0, 1)) / count, mean_BNM.mean((0, 1))
    torch.testing.assert_close(drawn_M, stated_M, rtol=0.06, atol=0.02)
    appeal_BN, outlook_BNM = users.outlook(state, catalogue, context, luck)
    torch.testing.assert_close(appeal_BN, users.appeal(state, items, context))
    torch.testing.assert_close(outlook_BNM, mean_BNM)
    feedback_BNM = torch.zeros_like(value_BNM)
    feedback_BNM[:, 3] = value_BNM[:, 3]
    after = users.evolve(state, items, feedback_BNM, context, luck)
    moved_BN = users.appeal(after, items, context) - appeal_BN
    assert bool(moved_BN.isfinite().all()) and float(moved_BN.abs().max()) > 0


@pytest.mark.parametrize("name", LOGS)
def test_the_network_fits_and_plays(name: str, once: Once) -> None:
    log, (model, folder) = LOGS[name](), once(name)
    assert is_finite(model)
    assert model.heads == (*(signal.name for signal in log.signals), "next")
    about = read_about(folder)
    assert all(math.isfinite(v) for row in about["history"] for v in row.values())
    again = MultiTaskBert.from_pretrained(folder)
    assert repr(again.tasks) == repr(model.tasks) and again.context == log.context
    plays_as_people(log, StateEncoder(again, seconds_per_event=30.0))


@pytest.mark.parametrize("family", families.own)
def test_every_family_fits_and_plays(log: Log, family: str) -> None:
    people = np.arange(log.num_users)
    party = Party(log, people, people[::4], text_of(log), history=5)
    taste = families.find(family).load().fit(party)
    assert [task.signal for task in taste.tasks] == list(log.signals)
    plays_as_people(log, taste)


@pytest.mark.parametrize(
    ("name", "split"), [("clicks", "time"), ("dwell", "loo"), ("shop", "time")]
)
def test_it_is_evaluated(
    name: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LOGS[name]()
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    monkeypatch.setattr(
        "slategym.models.multitask.train.item_text_vectors", lambda texts, *_, **__: text_of(log)
    )
    training = replace(QUICK, epochs=1)
    evaluation = Evaluation(log, split, settings=SMALL, progress=False, training=training)
    rows = [evaluation.multi_task(), *evaluation.single_tasks(), *evaluation.anchors()]
    for row in rows:
        assert all(map(math.isfinite, row.values.values()))
    first, *others = (signal.name for signal in log.signals)
    assert f"{first}_auc" in rows[0].values or rows[0].notes
    assert all(name in evaluation.protocol() for name in (first, *others))
    assert [row.model for row in rows[1:-3]] == [f"{name} only" for name in others]
    shown = "over what was shown" in evaluation.protocol()
    assert shown == (name == "shop")


def test_a_figure_of_one_class_is_a_sentence(tmp_path: Path) -> None:
    log = small_log(40, 40, longest=LONGEST)
    always = replace(log, events=log.events.assign(like=np.float32(1)))
    fitted(always, tmp_path)
    figures = read_about(tmp_path)["figures"]
    assert "like_auc" not in figures
    assert "like AUC is not defined on these rows: only one outcome occurs" in figures["notes"]
    assert "only one outcome occurs" in (tmp_path / "README.md").read_text()


def test_nothing_is_paid_without_a_purchase(once: Once) -> None:
    """In draws and in expectation; what history shows of it is what the log shows."""
    model, _ = once("bought")
    taste = StateEncoder(model, seconds_per_event=60.0)
    users = LearnedUsers(taste, skip=0.0, temperature=1.0)
    outputs = tuple(torch.full((2000, 1), x) for x in (0.0, -1.0, 1.0))
    mean = users._means(outputs)[0, 0]
    paid = taste.tasks[2].mean(torch.tensor(1.0), None)
    torch.testing.assert_close(mean[2], torch.sigmoid(torch.tensor(-1.0)) * paid)
    state = torch.randn(3, model.settings.width)
    id_3C = torch.arange(5).expand(3, 5)
    items_ND = model.item_vectors()

    class Said:
        def outputs(self, id_xC: torch.Tensor | None) -> torch.Tensor:
            return torch.arange(30.0).sin().view(3, 5, 2)

    asked = Query(state, Sums.of(torch.zeros(3, 2, len(model.item_bias_YN[0]))), Said())
    whole, odds = (model.expected(name, asked, items_ND, id_3C) for name in ("paid", "purchase"))
    output = model.logits("paid", asked, items_ND, id_3C)
    torch.testing.assert_close(whole, odds * model.tasks[2].mean(output, None))
    feedback = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, torch.nan, torch.nan]])
    seen = observed_only(taste.tasks, feedback)
    assert seen[:, 2].isnan().tolist() == [True, False, True]
    assert torch.equal(seen[:, :2].nan_to_num(9), feedback[:, :2].nan_to_num(9))


def test_what_is_given_something_given_is_not_observed_without_either() -> None:
    """click, cart, buy of what is in it, paid for what is bought."""
    names, given = ("click", "cart", "buy", "paid"), (None, None, "cart", "buy")
    kinds = ("binary", "binary", "binary", "nonnegative")
    told = zip(names, kinds, given, strict=True)
    tasks = [task_of(Signal(n, k, "", 0.0, 9.0, given=g)) for n, k, g in told]  # type: ignore[arg-type]
    drawn = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 5]])
    seen = observed_only(tasks, drawn).isnan()
    assert seen[:, 2].tolist() == [True, False, False]
    assert seen[:, 3].tolist() == [True, True, False]


def test_a_worlds_people_pay_for_what_they_buy(once: Once) -> None:
    log = bought()
    taste = StateEncoder(once("bought")[0], seconds_per_event=60.0)
    users = LearnedUsers(taste, skip=0.0, temperature=1.0)
    people = population(log, np.arange(log.num_users), starts=2, warm=5, seed=0)
    user_B = torch.arange(people.size, dtype=torch.int32)
    arrival, zero_B = arrive(people, user_B), 0 * user_B
    assert arrival.hour is not None
    context = Context(arrival.hour, zero_B, zero_B, zero_B, zero_B, arrival.hour)
    state = users.initial(arrival, Luck(zero_B))
    catalogue = Catalogue(torch.zeros(40), torch.zeros(40, 1), torch.zeros(40))
    id_BK = torch.arange(40, dtype=torch.int32).expand(people.size, 40)
    value, _ = users.respond(state, Items(id_BK, catalogue), context, Luck.at(user_B, zero_B))
    bought_BK, paid_BK = value[..., 1] == 1, value[..., 2]
    assert 0.1 < float(bought_BK.float().mean()) < 0.45
    assert bool((paid_BK[~bought_BK] == 0).all())
    assert float((paid_BK[bought_BK] > 0).float().mean()) > 0.5  # the normal has some mass at 0
    assert 10 < float(paid_BK[bought_BK].mean()) < 50  # of a log-normal around 20


@pytest.mark.parametrize("family", families.own)
def test_an_unobserved_signal_teaches_nothing(family: str) -> None:
    """A rating that nobody gave leaves outputs finite, and is no row to be measured on."""
    log = unrated()
    events = log.events.copy()
    tail = events.groupby("user").tail(1).index
    events.loc[tail, ["like", "rating"]] = np.nan
    people = np.arange(40)
    told = replace(log, events=events)
    taste = families.find(family).load().fit(Party(told, people, people[::4], text_of(log)))
    asked = ask(told, np.flatnonzero(events["user"] < 5), 5)
    said = answer(taste, asked)
    assert np.isfinite(said.output_xM).all() and np.isfinite(said.click_xC).all()


def test_halves_are_told_apart(tmp_path: Path) -> None:
    signals = (
        CLICK._replace(provenance="derived"),
        Signal("rating", "ordinal", "*", 0.5, 5, "logged", 0.5),
    )
    log = small_log(40, 40, longest=LONGEST)
    rating = log.events["rating"].to_numpy() - 0.5
    halves = with_signals(log, signals, click=np.ones(len(rating)), rating=rating)
    model = fitted(halves, tmp_path)
    items_ND = model.item_vectors()
    values = torch.tensor([[[1.0, 3.0]], [[1.0, 3.5]], [[1.0, math.nan]]])
    zero_B1 = torch.zeros(3, 1)
    tokens_BD = model.sequence.event_tokens(items_ND, zero_B1.long(), values, zero_B1)[:, 0]
    assert len({tuple(token.tolist()) for token in tokens_BD}) == 3


def test_clicks_are_learned_from_what_was_shown(tmp_path: Path) -> None:
    """Half the items are never clicked when shown, and the first slot is clicked most."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(150):
        for slate in range(10):
            for slot, item in enumerate(rng.choice(20, 4, replace=False)):
                rate = (0.7 if item < 10 else 0.02) * (1.0, 0.6, 0.3, 0.15)[slot]
                rows.append((user, item, 10**9 + slate * 60, slate, slot, rng.random() < rate))
    events = pd.DataFrame(rows, columns=["user", "item", "time", "slate_id", "position", "click"])
    events = events.astype({"user": np.int32, "item": np.int32, "click": np.float32})
    base = small_log(150, 20)
    log = replace(
        base,
        events=events.assign(hour=np.float32(12), weekday=np.int32(0)),
        signals=(CLICK,),
        repeats=True,
    )
    training = replace(QUICK, epochs=6, weights={NEXT: 0.0})
    model = fitted(log, tmp_path, training)
    assert "passed over in the log's slates" in (tmp_path / "README.md").read_text()
    effect_S = model.slot_effect(torch.arange(6)).detach()
    assert effect_S[0] == 0 and effect_S[3] == effect_S[5]
    assert float(effect_S[3]) < float(effect_S[1]) < 0
    with torch.no_grad():
        query_1D = model.sequence.query(torch.zeros(1, 16), torch.tensor([12.0]), torch.tensor([0]))
        nothing = Sums.of(torch.zeros(1, 2, 20))  # of a user who did nothing yet
        query = Query(query_1D, sums=nothing)
        click_1N = model.logits("click", query, model.item_vectors(), None)
    assert float(click_1N[0, :10].min()) > float(click_1N[0, 10:].max())
    everything = predict(model, Sequences.from_log(log), np.arange(len(rows)))
    clicked_x = 1.0 / (1.0 + np.exp(-everything.click_xC[:, 0]))
    liked_x = log.events["item"].to_numpy() < 10
    rates = (0.7, 0.42, 0.21, 0.105)
    odds_S = torch.tensor(rates).logit()
    torch.testing.assert_close(effect_S[:4], odds_S - odds_S[0], atol=0.45, rtol=0)
    for slot, rate in enumerate(rates):
        shown_x = liked_x & (log.events["position"].to_numpy() == slot)
        assert clicked_x[shown_x].mean() == pytest.approx(rate, abs=0.1)
    predictions = predict(model, Sequences.from_log(log), np.arange(200))
    assert predictions.click_xC.shape == (200, 1)  # nothing is drawn
    assert predictions.rank_x.max() < 20


def test_without_slates_the_card_says_that_items_were_drawn(once: Once) -> None:
    card = (once("clicks")[1] / "README.md").read_text()
    assert "against items drawn at random, since the log does not hold what was passed over" in card


def test_context_and_item_columns_start_at_nothing_and_are_learned(
    tmp_path: Path, once: Once
) -> None:
    log = shop_log(slates=SLATES)
    plain = replace(log, context=(), item_columns=())
    training = replace(QUICK, epochs=1, learning_rate=0.0)
    both, neither = (fitted(x, tmp_path / n, training) for n, x in (("a", log), ("b", plain)))
    assert torch.equal(both.item_vectors(), neither.item_vectors())
    state, hour, day = torch.randn(2, 16), torch.tensor([3.0, 4.0]), torch.tensor([0, 1])
    extra = torch.tensor([[0.0], [1.0]])
    assert torch.equal(
        both.sequence.query(state, hour, day, extra), neither.sequence.query(state, hour, day)
    )
    learned, _ = once("shop")
    assert not torch.equal(
        learned.sequence.query(state, hour, day, extra), learned.sequence.query(state, hour, day)
    )
    assert float(learned.vectors.columns.tables["0"].weight.detach().abs().sum()) > 0
    with pytest.raises(ValueError, match=r"1 further columns \(device\), got 2"):
        learned.sequence.query(state, hour, day, torch.zeros(2, 2))


def test_columns_by_hand() -> None:
    columns = (Column("device", ("phone", "laptop")), Column("price", (), "EUR", 10.0, 30.0))
    inputs = ColumnInputs(columns, 2)
    with torch.no_grad():
        inputs.tables["0"].weight.copy_(torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]))
        inputs.tables["1"].weight.copy_(torch.tensor([[0.0, 1.0]]))
    rows = torch.tensor([[-1.0, 20.0], [0.0, 30.0], [1.0, 10.0], [math.nan, math.nan]])
    want = [[1.0, 0.0], [2.0, 1.0], [3.0, -1.0], [1.0, 0.0]]
    torch.testing.assert_close(inputs(rows), torch.tensor(want))
    torch.testing.assert_close(inputs(inputs.unknown(torch.zeros(1))), torch.tensor([[1.0, 0.0]]))
    inputs.set_scale(rows)
    torch.testing.assert_close(float(inputs.middle_Z[1]), 20.0)


def test_a_sampled_softmax_is_the_whole_one_on_average(tmp_path: Path) -> None:
    log = small_log(40, 200, longest=LONGEST)
    model = fitted(log, tmp_path)
    sequences = Sequences.from_log(log)
    rng = np.random.default_rng(0)
    windows = plan_epoch(sequences, sequences.count_U.numpy(), 9, 400, rng)[0]
    batch = sequences.batch(windows)
    limit_B = sequences.clicks_U[batch.user_B]
    weights = {**dict.fromkeys(model.heads, 0.0), NEXT: 1.0}
    generator = torch.Generator().manual_seed(0)

    known = Known.of(model, sequences, np.arange(sequences.num_rows))

    def loss(sampled: object) -> float:
        targets = batch_targets(sequences, batch, limit_B, 2, generator, sampled)  # type: ignore[arg-type]
        table = model.item_table(items_of(sequences, batch, targets))
        with torch.no_grad():
            query = requests(model, table, sequences, windows, batch, known)
            return float(task_losses(model, table, query, sequences, targets, weights)[NEXT])

    proposal = Proposal.of(torch.bincount(sequences.item_E, minlength=200))
    whole = loss(None)
    sampled = [loss(proposal.draw(120, generator)) for _ in range(60)]
    assert np.mean(sampled) == pytest.approx(whole, abs=0.05)
    assert np.std(sampled) > 1e-4


def test_a_large_catalogue_touches_some_of_its_items_at_a_time(tmp_path: Path) -> None:
    log = small_log(40, 300, longest=LONGEST)
    settings = replace(QUICK, softmax_items=64)
    model = fitted(log, tmp_path / "sampled", settings)
    again = fitted(log, tmp_path / "again", settings)
    whole = fitted(log, tmp_path / "whole")
    assert is_finite(model)
    state = model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in again.state_dict().items())
    held = [read_about(tmp_path / n)["history"][-1]["held-out next"] for n in ("sampled", "whole")]
    assert held[0] == pytest.approx(held[1], rel=0.1)
    assert not torch.equal(model.item_bias_YN, whole.item_bias_YN)
