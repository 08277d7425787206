"""Known answers: every part of a scenario, computed by hand."""

import math

import pytest
import torch

from slategym.envs.context import blank
from slategym.envs.day import Day
from slategym.envs.luck import Luck, key
from slategym.envs.scenarios.answers import Chance, Part, Stars, Times, Whole, answer
from slategym.envs.scenarios.effects import (
    Budget,
    Familiarity,
    Habit,
    Mastery,
    Needs,
    Satiation,
    Trust,
)
from slategym.envs.scenarios.look import Look, Score
from slategym.envs.scenarios.occasion import Further, Occasion
from slategym.envs.scenarios.surroundings import Ageing, Breaking, Circumstance, Hours, Pull
from slategym.envs.scenarios.visits import Visits
from slategym.envs.types import Arrival, Catalogue, Column, Items

B, G = 4000, 2
USER_B = torch.arange(B, dtype=torch.int32)
LUCK = Luck.at(key(USER_B * 0 + 1, USER_B, USER_B * 0), USER_B * 0)
ARRIVAL = Arrival(USER_B, None, None, None, None, None, None)
NOW = blank(ARRIVAL)
# four items: topic, quality, price; two of each topic
CATALOGUE = Catalogue(
    topic=torch.tensor([0, 0, 1, 1], dtype=torch.int32),
    embedding=torch.zeros(4, 1),
    quality=torch.tensor([0.0, 1.0, 0.0, -1.0]),
    attributes=((Column("price", low=0.0, high=10.0), torch.tensor([2.0, 4.0, 6.0, 8.0])),),
)


def look(ids=(0, 1, 2, 3), context=NOW, day=0.0):
    items = Items(torch.tensor(ids, dtype=torch.int32).repeat(B, 1), CATALOGUE)
    topic_BK = items.topic.long()
    return Look(items, context, topic_BK, 0.0 * items.quality, torch.full((B,), day), G)


def clicks(*slots, **values):
    """Feedback of five signals to four slots: those clicked, and the others' values by number."""
    feedback_BKM = torch.zeros(B, 4, 5)
    for slot in slots:
        feedback_BKM[:, slot, 0] = 1.0
    for name, by_slot in values.items():
        feedback_BKM[:, :, int(name[1:])] = torch.tensor(by_slot)
    return feedback_BKM


def row(x):
    """What everybody's row says, if all say the same."""
    assert (x == x[:1]).all()
    return x[0].tolist()


def days(number):
    return torch.full((B,), float(number))


def test_satiation():
    part = Satiation(0.5, per_shown=0.1, keep=0.8, recovery=2.0, worth_share=0.5, annoyance=1.0)
    state = part.after(part.initial(ARRIVAL, G, LUCK), look(), clicks(0, 1, 2), LUCK)
    assert row(state) == pytest.approx([2 * 0.5 + 0.2, 0.5 + 0.2])
    assert row(part.appeal(state, look())) == pytest.approx([-1.2, -1.2, -0.7, -0.7])
    assert row(part.worth(state, look())) == pytest.approx([-0.6, -0.6, -0.35, -0.35])
    assert row(part.loyalty(state)) == pytest.approx(-0.95)
    assert row(part.tired(state)) == [True, False]  # 1.2 + .5 reaches 1.5
    assert row(part.rest(state, days(2), LUCK)) == pytest.approx([1.2 / math.e, 0.7 / math.e])
    again = part.after(state, look((0, 0, 0, 2)), clicks(), LUCK)  # two slots are empty
    assert row(again) == pytest.approx([0.8 * 1.2 + 0.1, 0.8 * 0.7 + 0.1])
    assert row(part.at(0.0).after(state, look(), clicks(0), LUCK)) == pytest.approx([0.96, 0.56])


def test_habit():
    part = Habit(gain=(0.5, 1.0), most=2.0, worth_share=0.5, loyalty_share=0.25)
    state = part.after(part.initial(ARRIVAL, G, LUCK), look(), clicks(2), LUCK)
    assert row(state) == pytest.approx([0.0, 1.0])
    state = part.after(state, look(), clicks(2), LUCK)
    assert row(state) == pytest.approx([0.0, 1.5])  # half of the way is left, so half as much
    assert row(part.appeal(state, look())) == pytest.approx([0.0, 0.0, 1.5, 1.5])
    assert row(part.worth(state, look())) == pytest.approx([0.0, 0.0, 0.75, 0.75])
    assert row(part.loyalty(state)) == pytest.approx(0.375)
    assert row(part.at(0.0).after(state, look(), clicks(2), LUCK)) == row(state)


def test_familiarity():
    part = Familiarity(lift=1.0, wear=3.0, best=2, memory=4)
    state = part.initial(ARRIVAL, G, LUCK)
    for slots in ((0,), (0, 3), (0,)):
        state = part.after(state, look(), clicks(*slots), LUCK)
    assert row(state) == [0, 0, 3, 0]
    assert row(part.appeal(state, look())) == pytest.approx([2.0 - 3.0, 0.0, 0.0, 1.0])
    assert row(part.at(0.0).appeal(state, look())) == pytest.approx([0.0] * 4)


def test_trust():
    part = Trust(Score(0.0, 1.0, (("price", -0.5),)), 0.5, 2.0, 3.0, 4.0, signals=((4, 1.0),))
    first = part.initial(ARRIVAL, G, LUCK)
    state = part.after(first, look(), clicks(1, 2, _4=[0.0, 2.0, 0.0, 0.0]), LUCK)
    expected = 0.5 * (math.tanh(1.0 - 2.0 + 2.0) + math.tanh(0.0 - 3.0)) / 2
    assert row(state)[0] == pytest.approx(expected)
    assert row(part.after(state, look(), clicks(), LUCK))[0] == pytest.approx(expected)
    assert row(part.appeal(state, look()))[0] == pytest.approx(2 * expected)
    assert row(part.worth(state, look()))[0] == pytest.approx(3 * expected)
    assert row(part.loyalty(state)) == pytest.approx(4 * expected)
    shown = Trust(Score(), 0.5, shown=True).after(first, look((0, 1, 1, 1)), clicks(), LUCK)
    assert row(shown)[0] == pytest.approx(0.5 * math.tanh(1.0) / 2)


def test_needs():
    part = Needs(2.0, 3.0, signal=1, likely=(0.25, 0.0), follows=((0, 1, 0.5),), renewal=10.0)
    state = part.initial(ARRIVAL, G, LUCK)
    assert state[:, 0].mean() == pytest.approx(0.25, abs=0.03) and not state[:, 1].any()
    needy = torch.tensor([[1.0, 0.0, 1.0, 0.0]]).repeat(B, 1)
    assert row(part.appeal(needy, look())) == pytest.approx([2.0, 2.0, 0.0, 0.0])
    assert row(part.worth(needy, look())) == pytest.approx([3.0, 3.0, 0.0, 0.0])
    met = part.after(needy, look(), clicks(0, 1, _1=[1.0, 0.0, 0.0, 0.0]), LUCK)
    assert row(met) == pytest.approx([0.0, 0.5, 1.0, 0.0])
    rested = part.rest(met, days(10), LUCK)
    assert row(rested) == pytest.approx([1 - 1 / math.e, 0.5 / math.e, 1.0, 0.0])
    half = part.at(0.5).after(needy, look(), clicks(0, _1=[1.0, 0.0, 0.0, 0.0]), LUCK)
    assert row(half) == pytest.approx([0.5, 0.25, 1.0, 0.0])


def test_mastery():
    part = Mastery(
        gain=0.5, reach=2.0, slope=2.0, lift=3.0, lock=4.0, enough=0.5, before=((1, 0),),
        first=0.5, forgetting=0.1, column="price",
    )  # fmt: skip
    first = part.initial(ARRIVAL, G, LUCK)
    assert first.min() >= 0 and first.max() <= 0.5 and first.mean() == pytest.approx(0.25, abs=0.02)
    state = torch.tensor([[0.25, 0.0]]).repeat(B, 1)
    fit = [math.exp(-(((price - skill) / 2) ** 2)) for price, skill in ((2, 0.25), (6, 0.0))]
    locked = 4.0 * 0.25
    appeal = row(part.appeal(state, look()))
    assert (appeal[0], appeal[2]) == pytest.approx((3 * fit[0], 3 * fit[1] - locked))
    worth = row(part.worth(state, look()))
    assert (worth[0], worth[2]) == pytest.approx((2 * (0.25 - 2), 2 * -6 - locked))
    taught = part.after(state, look(), clicks(0, 2), LUCK)
    assert row(taught) == pytest.approx(
        [0.25 + 0.75 * 0.5 * fit[0], 0.5 * fit[1] * math.exp(-locked)]
    )
    assert row(part.rest(state, days(5), LUCK)) == pytest.approx([0.25 * math.exp(-0.5), 0.0])
    assert torch.equal(part.at(0.0).after(state, look(), clicks(0), LUCK), state)
    anew = Mastery(0.5, 2.0, 2.0, first=0.5, column="price", anew=True)
    assert torch.equal(anew.rest(state, days(1), LUCK), first)
    assert torch.equal(anew.rest(state, days(0), LUCK), state)


def test_budget():
    part = Budget(10.0, signal=2, column="price", lack=4.0, spread=0.0, refill=5.0)
    state = part.initial(ARRIVAL, G, LUCK)
    assert row(part.appeal(state, look())) == pytest.approx([0.0] * 4)
    state = part.after(state, look(), clicks(1, _2=[0.0, 7.0, 0.0, 0.0]), LUCK)
    assert row(state) == pytest.approx([3.0, 10.0])
    lack = [0.0, -4 * 1 / 4, -4 * 3 / 6, -4 * 5 / 8]
    assert row(part.appeal(state, look())) == pytest.approx(lack)
    assert row(part.worth(state, look())) == pytest.approx(lack)
    assert row(part.rest(state, days(5), LUCK))[0] == pytest.approx(10 - 7 / math.e)
    each = Budget(5.0, signal=2, column="price", lack=1.0, spread=0.0, each_topic=True)
    spent = each.after(
        each.initial(ARRIVAL, G, LUCK), look(), clicks(_2=[1.0, 1.0, 9.0, 0.0]), LUCK
    )
    assert row(spent) == pytest.approx([3.0, 0.0, 5.0, 5.0])
    wide = Budget(10.0, signal=2, column="price", lack=1.0, spread=0.5).initial(ARRIVAL, G, LUCK)
    assert 5.0 <= wide.min() < 5.2 and 14.8 < wide.max() <= 15.0


def at(**fields):
    whole = {name: torch.full_like(getattr(NOW, name), x) for name, x in fields.items()}
    return type(NOW)(**(vars(NOW) | whole))


def test_surroundings():
    pull = Pull(Score(0.1, 0.5, (("price", -0.25),)))
    assert row(pull.appeal(None, look())) == pytest.approx([-0.4, -0.4, -1.4, -2.4])
    hours = Hours((6.0, 12.0), (2.0, 4.0), (0.0, 0.5))
    noon = look((0, 2), at(hour=12.0, weekday=2))
    assert row(hours.appeal(None, noon)) == pytest.approx([0.0, 2.0], abs=1e-6)
    sunday = look((0, 2), at(hour=18.0, weekday=6))
    assert row(hours.appeal(None, sunday)) == pytest.approx([-1.0, 0.5], abs=1e-6)
    place = Circumstance("place", ((0.0, 0.0), (0.3, -0.7)))
    assert row(place.appeal(None, look((0, 2), at(place=1)))) == pytest.approx([0.3, -0.7])
    season = Circumstance("0", ((0.0, 0.0), (0.3, -0.7)))
    assert season.appeal(None, look((0, 2))) is None
    extra = type(NOW)(**(vars(NOW) | {"extra": torch.ones(B, 1)}))
    assert row(season.appeal(None, look((0, 2), extra))) == pytest.approx([0.3, -0.7])
    ageing = Ageing((0.5, 0.1), most=1.6, column="price")
    assert row(ageing.appeal(None, look(day=1.0))) == pytest.approx([-1.5, -1.6, -0.7, -0.9])
    breaking = Breaking(2.0)
    hot = breaking.initial(ARRIVAL, G, LUCK)
    assert (hot.sum(1) == 1).all() and hot[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(breaking.appeal(hot, look((0, 2))), 2.0 * hot)
    assert torch.equal(breaking.rest(hot, days(0), LUCK), hot)


def test_answers():
    """Known means, sampled means within five standard errors, dependence on another signal."""
    half = Score(0.0, 0.0)
    answers = (
        Chance("buy", half), Whole("paid", "price", "euros", 10.0, given=1),
        Stars("rating", half), Times("plays", 3, half),
        Part("minutes", "price", "minutes", 10.0, Score(math.log(3.0), 0.0), given=1),
    )  # fmt: skip
    worth_BK = torch.zeros(B, 4)
    mean_BKM = answer(answers, worth_BK, look(), None)
    assert row(mean_BKM)[1] == pytest.approx([1.0, 0.5, 2.0, 3.0, 1.5, 0.5 * 4.0 * 0.75])
    value_BKM = answer(answers, worth_BK, look(), LUCK)
    error_KM = value_BKM.std(0) / B**0.5
    assert ((value_BKM.mean(0) - mean_BKM[0]).abs() <= 5 * error_KM + 1e-6).all()
    bought_BK = value_BKM[..., 1] > 0
    assert not value_BKM[..., 2][~bought_BK].any() and not value_BKM[..., 5][~bought_BK].any()
    assert (value_BKM[:, 1, 2][bought_BK[:, 1]] == 4.0).all()
    score_BK = Score(1.0, 2.0, (("price", -0.5),))(torch.full((B, 4), 0.5), look())
    assert row(score_BK) == pytest.approx([1.0, 0.0, -1.0, -2.0])


def test_visits():
    part = Visits(
        patience=2.0, pause=4.0, quit=0.1, sway=2.0, spent=1.0, saved=0.25, places=(1.0, 3.0),
        solved=1, ends=5.0, minutes_per_slate=14.4,
    )  # fmt: skip
    first = part.initial(USER_B)
    loyal_B = torch.full((B,), 0.5)
    one = part.after(first, clicks(0), loyal_B, NOW, LUCK)
    assert row(one.patience) == pytest.approx(1.25) and not one.away.any() and not one.lost.any()
    assert row(one.day) == pytest.approx(0.01)
    over = part.after(one, clicks(), loyal_B, at(place=1), LUCK)
    assert row(over.patience) == 2.0
    assert row(over.lost) == pytest.approx(0.1 * math.exp(-1.0))
    assert over.away.mean() == pytest.approx(4.0 * math.exp(-0.5), rel=0.08)
    torch.testing.assert_close(over.day, one.day + over.away)
    solved = part.after(first, clicks(0, _1=[1.0, 0.0, 0.0, 0.0]), loyal_B, NOW, LUCK)
    assert (solved.away > 0).all()
    control = part.at(0.0)
    kept = control.after(first, clicks(0, _1=[1.0, 0.0, 0.0, 0.0]), loyal_B, NOW, LUCK)
    assert row(kept.patience) == pytest.approx(1.0)
    assert row(control.after(kept, clicks(), loyal_B, NOW, LUCK).lost) == pytest.approx(0.1)


def test_occasions():
    """Shares on arrival; what lasts is kept over short pauses, what does not is drawn anew."""
    process = Occasion(
        ("hour", "place"),
        (
            Further("season", ("cold", "warm"), (0.3, 0.7), 50.0),
            Further("group", ("a", "b"), (0.5, 0.5), 0.0),
        ),
    )
    assert process.shown == ("hour", "place", "season", "group")
    first = process.initial(ARRIVAL, LUCK)
    assert first.extra[:, 0].mean() == pytest.approx(0.7, abs=0.04)
    plain = Day().initial(ARRIVAL, LUCK)
    assert torch.equal(first.hour, plain.hour) and torch.equal(first.place, plain.place)
    later = Luck.at(LUCK.stream, USER_B * 0 + 1)
    within = process.advance(first, days(0), later)
    assert torch.equal(within.extra, first.extra)
    back = process.advance(first, days(50), later)
    changed = (back.extra != first.extra).float().mean(0)
    assert changed[0] == pytest.approx((1 - 1 / math.e) * 2 * 0.3 * 0.7, abs=0.04)
    assert changed[1] == pytest.approx(0.5, abs=0.04)
    still = Occasion(("hour",), process.further, still=True)
    assert torch.equal(still.advance(first, days(50), later).extra, first.extra)
