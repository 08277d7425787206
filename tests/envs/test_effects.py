"""What clicks on topics do: every rule against an answer worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world
from torch import Tensor

from slategym.envs import engine
from slategym.envs.check import check_user_model
from slategym.envs.luck import Luck, key
from slategym.envs.types import Catalogue, Items, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.carry_over import CarryOver
from slategym.envs.users.likes import Likes
from slategym.envs.users.patience import Patience
from slategym.envs.users.returns import Returns
from slategym.envs.users.satiation import Effect, FadingSatiation, GenreSatiation, Habit, Mixed

CATALOGUE = Catalogue(torch.arange(3).int(), torch.eye(3), torch.zeros(3))
USER_1 = torch.zeros(1, dtype=torch.int32)
WEARY = GenreSatiation(3, penalty=2.0, duration=2, scope="everything")
EVERY = [
    WEARY,
    FadingSatiation(3),
    CarryOver(3, penalty=0.5, per_click=-0.1),
    Habit(3),
    Mixed((WEARY, Habit(3)), (0.5, 0.5)),
]


def show(effect: Effect, state, topic: int, clicked: bool = True):
    items = Items(torch.full((1, 1), topic, dtype=torch.int32), CATALOGUE)
    return effect.update(state, items, torch.full((1, 1, 1), float(clicked)))


def who(number: int, seed: int = 0) -> Luck:
    """Luck of so many people."""
    user_B = torch.arange(number, dtype=torch.int32)
    return Luck.at(key(user_B * 0 + seed, user_B, user_B * 0), user_B * 0)


def test_weariness_takes_from_everything_and_passes() -> None:
    state = WEARY.initial(USER_1)
    for _ in range(2):
        state = show(WEARY, state, 0)
    assert WEARY.cost(state).tolist() == [[0.0, 0.0, 0.0]]
    assert WEARY.about_to_bore(state).tolist() == [[True, False, False]]
    state = show(WEARY, state, 0)
    for _ in range(2):
        assert WEARY.cost(state).tolist() == [[2.0, 2.0, 2.0]]
        state = show(WEARY, state, 1, clicked=False)
    assert WEARY.cost(state).tolist() == [[0.0, 0.0, 0.0]]


def test_fading_satiation_adds_and_decays() -> None:
    rule = FadingSatiation(3, penalty=2.0, keep=0.5)
    state = rule.initial(USER_1)
    levels = []
    for topic, clicked in ((0, True), (0, True), (1, True), (2, False)):
        state = show(rule, state, topic, clicked)
        levels.append(state.level.tolist()[0])
    # keep * (level + clicks): .5; .5 * 1.5; .5 * .75 and .5; half of each
    assert levels == [[0.5, 0, 0], [0.75, 0, 0], [0.375, 0.5, 0], [0.1875, 0.25, 0]]
    assert rule.cost(state).tolist() == [[0.375, 0.5, 0.0]]


def test_carry_over_is_of_the_topic_and_of_everything_by_what_clicks_were_worth() -> None:
    rule = CarryOver(
        3,
        penalty=0.4,
        keep=0.5,
        per_click=-0.1,
        per_worth=0.3,
        inertia=0.8,
        weights=(0.0, 1.0),
        centre=2.0,
        spread=0.5,
    )
    state = rule.initial(USER_1)
    assert rule.cost(state).tolist() == [[0.0, 0.0, 0.0]]
    shown = Items(torch.tensor([[0, 1]], dtype=torch.int32), CATALOGUE)
    # a click on topic 0, worth tanh((3 - 2) / .5); what was not clicked is worth nothing
    state = rule.update(state, shown, torch.tensor([[[1.0, 3.0], [0.0, 9.0]]]))
    worth = math.tanh(2.0)
    everything = 0.1 - 0.3 * worth
    want = torch.tensor([[0.4 + everything, everything, everything]])
    torch.testing.assert_close(rule.cost(state), want)
    assert rule.about_to_bore(state).tolist() == [[True, False, False]]
    state = rule.update(state, shown, torch.zeros(1, 2, 2))  # nothing clicked: it fades
    want = torch.tensor([[0.2, 0.0, 0.0]]) + 0.8 * everything
    torch.testing.assert_close(rule.cost(state), want)
    assert rule.rested(state, torch.tensor([True])).clicks.tolist() == [0.0]
    plain = CarryOver(3, per_worth=0.3)  # clicks are all worth alike: a spread of 0
    state = plain.update(plain.initial(USER_1), shown, torch.ones(1, 2, 2))
    assert (plain.cost(state) == 0).all() and not plain.about_to_bore(state).any()


def test_habit_gains_for_at_most_three_of_the_last_five_clicks() -> None:
    rule, state, gained = Habit(3, gain=0.5), Habit(3).initial(USER_1), []
    for topic in (0, 0, 0, 0, 1, 1, 1):
        state = show(rule, state, topic)
        gained.append((-rule.cost(state)).tolist()[0])
    assert [g[0] for g in gained] == [0.5, 1.0, 1.5, 1.5, 1.5, 1.5, 1.0]
    assert [g[1] for g in gained] == [0, 0, 0, 0, 0.5, 1.0, 1.5]
    assert not rule.about_to_bore(state).any()
    passed_over = show(rule, state, 2, clicked=False)
    assert torch.equal(passed_over.last, state.last)


def test_who_is_who_is_drawn_once_and_each_has_their_own() -> None:
    mixed = Mixed((WEARY, Habit(3)), (0.25, 0.75))
    number = 4000
    user_B = torch.arange(number, dtype=torch.int32)
    state = mixed.initial(user_B, who(number))
    assert abs(float((state.kind == 0).float().mean()) - 0.25) < 0.03  # 4 standard errors
    assert torch.equal(state.kind, mixed.initial(user_B, who(number)).kind)
    few = mixed.initial(user_B[:7], who(7))
    assert torch.equal(few.kind, state.kind[:7])  # whoever else is there
    items = Items(torch.zeros(number, 1, dtype=torch.int32), CATALOGUE)
    for _ in range(3):
        state = mixed.update(state, items, torch.ones(number, 1, 1))
    tired_B, cost_BG = state.kind == 0, mixed.cost(state)
    assert (cost_BG[tired_B] == 2.0).all()
    assert torch.allclose(cost_BG[~tired_B, 0], torch.tensor(-2.1))
    assert (cost_BG[~tired_B, 1:] == 0).all()
    assert state.bored[tired_B, 0].all() and not state.bored[~tired_B].any()
    rested = mixed.rested(state, torch.ones(number, dtype=torch.bool))
    assert (mixed.cost(rested) == 0).all() and torch.equal(rested.kind, state.kind)


def test_all_arrivals_of_a_person_are_of_one_kind() -> None:
    """In the small world every second arrival is of the same person as the one before."""
    world = learned_world()
    mixed = Mixed((GenreSatiation(3), Habit(3)), (0.5, 0.5))
    world = replace(world, users=replace(world.users, satiation=mixed))
    kind_U = [begin(world, row).user.satiation.kind for row in range(world.population.size)]
    kind_U2 = torch.stack(kind_U).view(-1, 2)
    assert torch.equal(kind_U2[:, 0], kind_U2[:, 1])
    assert 0 < kind_U2.float().mean() < 1


@pytest.mark.parametrize("effect", EVERY, ids=lambda effect: effect.called)
def test_every_effect_keeps_the_contract_and_is_in_outlook_and_appeal(effect: Effect) -> None:
    returns = Returns(pause=1.0, longest=3)
    check_user_model(Assumed(Likes(10), effect.among(10), Patience(2.0), returns))
    users = Assumed(Likes(3), effect)
    arrival = type("Seat", (), {"user_id": torch.arange(6, dtype=torch.int32)})
    state, luck = users.initial(arrival, who(6)), who(6)
    items = Items(torch.zeros(6, 1, dtype=torch.int32), CATALOGUE)
    for _ in range(3):
        state = users.evolve(state, items, torch.ones(6, 1, 1), None, luck)
    every = Items(torch.arange(3, dtype=torch.int32).expand(6, -1).contiguous(), CATALOGUE)
    context = type("Now", (), {"hour": torch.zeros(6)})
    appeal_BN, _ = users.outlook(state, CATALOGUE, context, luck)
    torch.testing.assert_close(appeal_BN, users.appeal(state, every, None))
    assert not torch.equal(appeal_BN, users.inner.appeal(state.inner, every, None))


def begin(world: World, *rows: int, seed: int = 0):
    user_B = torch.tensor(rows, dtype=torch.int32)
    return engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))


def test_a_pause_follows_satisfaction_and_makes_patient_and_forgetful() -> None:
    returns = Returns(pause=2.0, strength=4.0, inertia=0.5, days=1000.0, longest=3, signal=1)
    rule = Habit(3)
    users = Assumed(Likes(3), rule, Patience(5.0), returns)
    number = 2000
    user_B = torch.arange(number, dtype=torch.int32)
    arrival = type("Seat", (), {"user_id": user_B})
    state = users.initial(arrival, who(number))
    items = Items(torch.zeros(number, 1, dtype=torch.int32), CATALOGUE)
    liked_B11 = (user_B >= number // 2).float()[:, None, None]
    feedback_BKM = torch.cat([torch.ones(number, 1, 1), liked_B11], 2)
    for slate in range(3):
        assert (users.leave(state) == 0).all() and (users.away(state) == 0).all(), slate
        state = users.evolve(state, items, feedback_BKM, None, who(number, slate))
    # from 1/2, three times half way to 0 or to 1
    satisfied_B = torch.where(user_B >= number // 2, 0.9375, 0.0625)
    torch.testing.assert_close(state.returns.satisfaction, satisfied_B)
    away_B: Tensor = users.away(state)
    assert (away_B > 0).all() and (state.returns.slates == 0).all()
    assert (state.patience == 5.0).all() and (rule.cost(state.satiation) == 0).all()
    discontent, content = away_B[: number // 2].mean(), away_B[number // 2 :].mean()
    want = 2.0 * torch.tensor([4.0 * 0.4375, -4.0 * 0.4375]).exp()
    torch.testing.assert_close(torch.stack([discontent, content]), want, rtol=0.15, atol=0.0)
    # a slate without a click moves nothing but time
    still = users.evolve(state, items, 0 * feedback_BKM, None, who(number, 9))
    assert torch.equal(still.returns.satisfaction, state.returns.satisfaction)
    assert (users.away(still) == 0).all()


def test_who_runs_out_of_patience_pauses_and_goes_when_the_days_are_over() -> None:
    users = Assumed(Likes(3), None, Patience(1.0), Returns(pause=10.0, days=28.0, signal=None))
    user_B = torch.arange(50, dtype=torch.int32)
    state = users.initial(type("Seat", (), {"user_id": user_B}), who(50))
    items = Items(torch.zeros(50, 1, dtype=torch.int32), CATALOGUE)
    left_B = torch.zeros(50)
    for slate in range(20):
        before_B = state.returns.day
        state = users.evolve(state, items, torch.zeros(50, 1, 1), None, who(50, slate))
        assert (users.away(state) > 0).all()  # each slate in vain is a whole visit here
        torch.testing.assert_close(state.returns.day, before_B + users.away(state))
        left_B = users.leave(state)
        assert torch.equal(left_B, (state.returns.day >= 28.0).float())
    assert left_B.all()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: FadingSatiation(3, keep=1.0), "keep"),
        (lambda: CarryOver(3, inertia=1.0), "inertia"),
        (lambda: CarryOver(3, penalty=-1.0), "penalty"),
        (lambda: Habit(3, most=6), "most"),
        (lambda: Mixed((WEARY,), (1.0,)), "shares"),
        (lambda: Mixed((WEARY, Habit(3)), (0.5, 0.6)), "shares"),
        (lambda: Returns(pause=0.0), "pause"),
    ],
)
def test_impossible_effects_are_refused(make, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()
