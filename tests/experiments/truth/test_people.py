"""People of the world that wrote a log, as agents of a learned world meet them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.context import Clock, LoggedContext
from slategym.envs.registry import make_world
from slategym.envs.types import Column, Keys, Population, World
from slategym.experiments.measure.play import play
from slategym.experiments.truth.people import (
    Met,
    Resumed,
    Signals,
    _with_new,
    after_slates,
    before_agents,
    living,
    signals_of,
)
from slategym.models.data.schema import LIKE
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.incremental import BertObserver, StateEncoder
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.tasks import tasks_of

SECONDS, SLATES, WARM = 180.0, 5, 4


@pytest.fixture(scope="module", params=["Film", "Health"])  # further context; a rule
def true(request: pytest.FixtureRequest) -> World:
    return make_world(f"Scenario-{request.param}-v0", num_items=40)


@pytest.fixture(scope="module")
def met(true: World) -> Met:
    return after_slates(true, range(100, 124), "noisy-greedy-mixed", SLATES, SECONDS, seed=3)


def as_learned(true: World, met: Met) -> World:
    """A world as one learned from a log of the true one looks to agents: untrained networks."""
    names = [name for name in true.context.shown if name not in ("hour", "weekday", "gap")]
    columns = tuple(Column(name, true.context.names[name][:-1])
                    if true.context.names[name][-1] == "unknown"
                    else Column(name, true.context.names[name]) for name in names)  # fmt: skip
    tasks = tasks_of(true.users.signals)
    number = true.catalogue.num_items
    model = MultiTaskBert(
        MultiTaskSettings(width=8, feedforward=8, num_layers=1, max_history=20),
        tasks,
        text_vectors_ND0=torch.randn(number, 6, generator=torch.Generator().manual_seed(0)),
        biases=ItemBiases.neutral(number, len(tasks)),
        profile_sizes=met.population.profile_sizes,
        num_items=number,
        context=columns,
    )
    history_UH = torch.zeros(1, WARM, dtype=torch.int32)
    return replace(
        true,
        context=LoggedContext(Clock(3.0), columns),
        population=Population(size=1, history=history_UH),
        observer=BertObserver(StateEncoder(model, seconds_per_event=SECONDS)),
        history_size=12,
        shown_size=6,
    )


def everybody(world: World) -> Tensor:
    return torch.arange(world.population.size, dtype=torch.int32)


def test_they_have_lived_through_those_slates(true: World, met: Met) -> None:
    its = met.population
    assert its.history is not None and its.person is not None
    assert 0 < its.size <= 24 and its.person.min() >= 100
    assert (its.history >= 0).any(1).float().mean() > 0.5
    # who is read is who was met: their state goes on from there
    alone = after_slates(true, range(100, 101), "noisy-greedy-mixed", SLATES, SECONDS, seed=3)
    if alone.population.size:
        assert torch.equal(alone.population.history, its.history[:1])  # type: ignore[arg-type]


def test_gaps_are_shifted_as_clicks_are() -> None:
    gap_BH = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = _with_new(gap_BH, torch.tensor([7.0, 8.0, 9.0]), torch.tensor([0, 1, 2]))
    assert found.tolist() == [[1.0, 2.0, 3.0], [2.0, 3.0, 8.0], [3.0, 9.0, 0.0]]


def test_the_dress_changes_nothing_that_happens(true: World, met: Met) -> None:
    plain, dressed = living(true, met), before_agents(true, as_learned(true, met), met)
    policy = make_policy("random", replace(plain, observer=None))
    rows = [play(world, policy, everybody(world), seed=5) for world in (plain, dressed)]
    for name in ("return", "expected_return", "length", "clicks"):
        assert rows[0][name].tolist() == rows[1][name].tolist(), name
    assert rows[0]["return"].std() > 0


def test_agents_see_the_log_s_columns_and_a_history(true: World, met: Met) -> None:
    learned = as_learned(true, met)
    dressed = before_agents(true, learned, met)
    user_B = everybody(dressed)
    session = engine.start(dressed, 0 * user_B, user_B, 0 * user_B)
    seen = engine.observe(dressed, session)
    assert dressed.context.shown == learned.context.shown
    assert seen.context.extra is not None
    assert seen.context.extra.shape[1] == len(learned.context.columns)
    assert seen.state is not None and seen.state.isfinite().all() and seen.step.eq(0).all()
    assert seen.past is not None and (seen.past.id == -1).all()  # this session's alone
    assert met.population.history is not None
    assert torch.equal(seen.history.id[:, -WARM:], met.population.history[:, -WARM:])
    # what the network reads click by click in the session is what it would read afterwards
    after, outcome = engine.transition(dressed, session, torch.zeros_like(seen.past.id[:, 0]) + torch.arange(true.slate_size).int())  # fmt: skip  # noqa: E501
    assert outcome.feedback.shape[0] == dressed.population.size
    changed_B = (outcome.feedback[..., 0] > 0).any(1)
    moved_B = engine.observe(dressed, after).view.length > session.view.length
    assert torch.equal(moved_B, changed_B)


def test_several_clicks_are_all_read(met: Met, true: World) -> None:
    dressed = before_agents(true, as_learned(true, met), met)
    assert dressed.observer is not None
    user_B = everybody(dressed)
    session = engine.start(dressed, 0 * user_B, user_B, 0 * user_B)
    id_BK = torch.arange(true.slate_size).int().expand(len(user_B), -1).contiguous()
    items = engine.pick(dressed, session, id_BK)[0]
    feedback_BKM = torch.zeros(len(user_B), true.slate_size, true.num_signals)
    feedback_BKM[:, :2, 0] = 1.0
    view = dressed.observer.update(session.view, items, feedback_BKM, session.context)
    assert torch.equal(view.length, session.view.length + 2)


def test_another_numbering_of_the_context_is_refused(true: World, met: Met) -> None:
    learned = as_learned(true, met)
    columns = tuple(
        column._replace(categories=column.categories[::-1]) for column in learned.context.columns
    )
    with pytest.raises(ValueError, match="numbered otherwise"):
        before_agents(true, replace(learned, context=LoggedContext(Clock(3.0), columns)), met)


def test_a_like_that_the_log_derives_is_read_and_changes_nothing(true: World, met: Met) -> None:
    """A log of stars has a like behind the click, of four stars or more."""
    names = [signal.name for signal in true.users.signals]
    stars = next(n for n, signal in enumerate(true.users.signals) if signal.kind == "ordinal")
    told = (true.users.signals[0], LIKE, *true.users.signals[1:])
    log = replace(
        as_learned(true, met),
        users=Resumed(true.users, met.user, (), (), Signals(told, (), None, None)),
        keys=Keys((), (), (), (names[stars], 4.0)),
        objective=(0.0,) * len(told),
    )
    signals = signals_of(true, log)
    drawn = torch.zeros(3, len(names))
    drawn[:, 0], drawn[:, stars] = 1.0, torch.tensor([0.0, 3.0, 5.0])
    logged = signals.told(drawn)
    assert logged[:, 1].tolist() == [0.0, 0.0, 1.0] and logged.shape[1] == len(names) + 1
    assert torch.equal(signals.so(logged), drawn)
    weight = signals.weights(true.objective)
    assert weight[1] == 0.0 and (weight[0], *weight[2:]) == true.objective
    plain, policy = living(true, met), make_policy("random", living(true, met))
    named = replace(plain.users, named=signals)
    dressed = replace(plain, users=named, objective=weight)
    dressed = replace(dressed, population=replace(
        plain.population, feedback=signals.told(plain.population.feedback)))  # type: ignore[arg-type]  # fmt: skip
    rows = [play(world, policy, everybody(world), seed=5) for world in (plain, dressed)]
    for name in ("return", "expected_return", "length", "clicks"):
        assert rows[0][name].tolist() == pytest.approx(rows[1][name].tolist(), rel=1e-5), name


def test_a_signal_that_the_world_has_not_is_refused(true: World, met: Met) -> None:
    told = (*true.users.signals, LIKE)
    users = Resumed(true.users, met.user, (), (), Signals(told, (), None, None))
    with pytest.raises(ValueError, match="signal like, which it has not"):
        weights = (0.0,) * len(told)
        signals_of(true, replace(as_learned(true, met), users=users, objective=weights))
