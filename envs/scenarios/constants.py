"""Every number of every scenario. All are made up; units and signs are those of the parts.

Topics stand in the order of their nouns, signals in that of the answers, after the click (0).
"""

from __future__ import annotations

from slategym.envs.choice import MultinomialLogit, PositionBased
from slategym.envs.scenarios import titles
from slategym.envs.scenarios.answers import Chance, Part, Stars, Times, Whole
from slategym.envs.scenarios.catalogue import Made
from slategym.envs.scenarios.effects import (
    Budget,
    Familiarity,
    Habit,
    Mastery,
    Needs,
    Satiation,
    Trust,
)
from slategym.envs.scenarios.look import Score
from slategym.envs.scenarios.occasion import SEASON, Further
from slategym.envs.scenarios.permitted import Rule
from slategym.envs.scenarios.scenario import Scenario
from slategym.envs.scenarios.surroundings import Ageing, Breaking, Circumstance, Hours, Pull
from slategym.envs.scenarios.visits import Visits

# fmt: off
DAY = ("hour", "weekday", "device", "place", "weather", "gap")

SHOP = Scenario(
    words=titles.SHOP,
    columns=(
        Made(
            "price", "euros", 2.0, 200.0, (90.0, 25.0, 80.0, 45.0, 120.0, 30.0, 8.0, 30.0), 8.0, 6.0
        ),
        Made("margin", "euros", 0.0, 40.0, (1.0, 24.0, 1.0, 28.0, 1.0, 24.0, 3.0, 6.0), 0.6, 0.2),
        Made("discount", "share", 0.0, 1.0, (0.1,) * 7 + (0.8,), 0.1, -0.05, spam=1.0),
        Made("brand", "fame", 0.0, 1.0, (0.5,), 0.2, 0.1),
    ),
    fields=("hour", "weekday", "device", "weather", "gap"),
    further=(SEASON,),
    answers=(
        Chance("cart", Score(-0.8, 0.6)),
        Chance("buy", Score(-0.8, 0.6), given=1),
        Whole("paid", "price", "euros", 200.0, given=2),
        Whole("margin", "margin", "euros", 40.0, given=2),
        Chance("return", Score(-2.2, -0.6, (("discount", 2.0),)), given=2),
    ),
    objective=(0.01, 0.02, 0.05, 0.0, 0.1, -0.5),
    effects=(
        Pull(Score(0.0, 0.3, (("discount", 1.5), ("brand", 0.6)))),
        Needs(
            3.5,
            3.5,
            2,
            (0.7, 0.03, 0.7, 0.03, 0.7, 0.03, 0.0, 0.0),
            ((0, 1, 1.0), (2, 3, 1.0), (4, 5, 1.0)),
        ),
        Budget(400.0, 3, "price", 2.0, refill=20.0),
        Satiation(0.15, keep=0.9),
        Trust(
            Score(0.6, 0.5, (("discount", -3.0),)), 0.8, 1.0, 0.6, signals=((5, -2.0),)
        ),
        Hours(
            (18.0, 18.0, 20.0, 20.0, 10.0, 10.0, 15.0, 22.0),
            (0.4,) * 8,
            (0.0, 0.0, 0.3, 0.3, 0.5, 0.5, -0.2, 0.2),
        ),
        Circumstance(
            "weather",
            (
                (0.0, 0.0, 0.2, 0.2, 0.5, 0.3, 0.0, 0.0),
                (0.1, 0.1, -0.3, -0.3, -0.6, -0.4, 0.3, 0.2),
                (0.1, 0.1, 0.0, 0.0, -0.4, -0.2, 0.5, 0.2),
            ),
        ),
        Circumstance(
            "0",
            (
                (0.3, 0.3, 0.0, 0.0, -1.0, -0.5, 0.5, 0.3),
                (0.0, 0.0, 0.3, 0.3, 0.8, 0.5, 0.0, 0.0),
                (0.0, 0.0, 0.6, 0.6, 0.6, 0.4, -0.5, 0.0),
                (0.0, 0.0, 0.0, 0.0, -0.2, 0.4, 0.2, 0.0),
            ),
        ),
    ),
    visits=Visits(patience=5.0, pause=3.0, quit=0.08, sway=1.6, saved=0.4),
    reluctance=2.2,
    spread=0.7,
    usual=(-1.5, -2.0, -1.5, -2.0, -1.5, -2.0, 1.0, 0.8),
    visible=(3, 4, 5),
    tempting=(7,),
    choice=PositionBased(0.85),
)

NEWS = Scenario(
    words=titles.NEWS,
    columns=(
        Made(
            "loudness",
            "",
            -1.0,
            2.0,
            (0.0, 0.0, -0.2, 0.0, 0.1, 0.0, 1.1, 1.3),
            0.3,
            -0.15,
            spam=2.0,
        ),
        Made("age", "days", 0.0, 3.0, (0.6, 0.8, 1.2, 1.0, 0.5, 0.8, 0.7, 0.4), 0.4),
        Made("length", "minutes", 1.0, 12.0, (4.0, 4.0, 6.0, 5.0, 3.0, 3.0, 2.0, 2.0), 1.0, 0.3),
    ),
    fields=DAY,
    answers=(
        Part("read", "length", "minutes", 12.0, Score(0.3, 1.0, (("loudness", -0.8),))),
        Chance("share", Score(-2.5, 0.8, (("loudness", 0.5),))),
    ),
    objective=(1.0, 0.1, 0.5),
    effects=(
        Pull(Score(0.0, 0.3, (("loudness", 1.5),))),
        Satiation(0.3, keep=0.9, recovery=0.5),
        Trust(Score(0.5, 0.6, (("loudness", -1.6),)), 0.75, 1.8, 0.5),
        Breaking(1.0),
        Ageing((0.9, 0.5, 0.1, 0.2, 0.9, 0.4, 0.4, 0.9), 2.0),
        Hours(
            (7.5, 8.0, 21.0, 20.0, 19.0, 7.0, 22.0, 13.0),
            (1.2, 1.0, 0.6, 0.8, 0.8, 0.6, 0.5, 0.3),
            (-0.3, -0.5, 0.3, 0.5, 0.8, 0.0, 0.2, 0.0),
        ),
        Circumstance(
            "place",
            (
                (0.0, 0.0, 0.3, 0.3, 0.2, 0.0, 0.2, 0.2),
                (0.3, 0.5, 0.0, -0.3, -0.2, 0.0, -0.4, 0.0),
                (0.2, 0.0, -0.4, -0.2, 0.2, 0.3, 0.2, 0.1),
            ),
        ),
    ),
    visits=Visits(patience=4.0, pause=0.8, quit=0.08, sway=2.2, saved=0.4, places=(0.8, 1.1, 1.4)),
    reluctance=1.6,
    spread=0.8,
    visible=(3, 5, 5),
    tempting=(6, 7),
    choice=PositionBased(0.8),
)

VIDEO = Scenario(
    words=titles.VIDEO,
    columns=(
        Made("minutes", "minutes", 1.0, 60.0, (2.0, 6.0, 12.0, 40.0, 8.0, 15.0), 2.0, 0.5),
        Made("hook", "", -1.0, 2.0, (1.4, 0.5, -0.2, -0.4, 0.3, 0.1), 0.3, -0.1, spam=2.0),
    ),
    fields=("hour", "weekday", "device", "place", "gap"),
    answers=(
        Part("watched", "minutes", "minutes", 60.0, Score(0.4, 0.8, (("hook", -0.5),))),
        Chance("finished", Score(-0.4, 0.8, (("minutes", -0.02),))),
        Chance("like", Score(-1.0, 1.0, (("hook", -0.4),))),
    ),
    objective=(0.8, 0.02, 0.3, 0.6),
    effects=(
        Pull(Score(0.0, 0.3, (("hook", 1.6),))),
        Satiation(0.5, keep=0.95, recovery=1.5, annoyance=1.0),
        Trust(Score(0.5, 0.5, (("hook", -1.8),)), 0.75, 1.8, 0.5),
        Habit((0.0, 0.1, 0.7, 0.8, 0.1, 0.3), 2.5, 0.3),
        Budget(90.0, 1, "minutes", 2.0, refill=0.7),
        Hours((13.0, 20.0, 17.0, 22.0, 19.0, 21.0), (0.4, 0.6, 0.8, 1.2, 0.4, 0.8),
              (0.0, 0.2, 0.4, 0.1, 0.7, 0.5)),
        Circumstance("device", ((0.4, 0.1, 0.0, -0.8, 0.0, 0.1), (0.0, 0.0, 0.4, 0.0, 0.0, 0.2),
                                (-0.4, 0.0, 0.0, 0.7, 0.3, 0.0))),
        Circumstance("place", ((0.0, 0.1, 0.2, 0.4, 0.2, 0.2), (0.0, -0.3, -0.2, -0.5, -0.2, -0.8),
                               (0.4, 0.2, -0.4, -0.9, 0.1, 0.0))),
    ),
    visits=Visits(patience=5.0, pause=0.9, quit=0.09, sway=2.0, saved=0.4),
    reluctance=1.0,
    spread=0.7,
    usual=(0.6, 0.4, -0.4, -0.5, 0.1, 0.0),
    tempting=(0,),
    choice=MultinomialLogit(0.5),
)

MUSIC = Scenario(
    words=titles.MUSIC,
    columns=(
        Made("minutes", "minutes", 1.5, 12.0, (3.0, 4.0, 6.0, 8.0, 3.0, 7.0), 0.8),
        Made("catchy", "", -1.0, 2.0, (1.2, 0.4, -0.4, -0.6, 0.7, -0.2), 0.3, 0.0, spam=2.0),
    ),
    fields=("hour", "weekday", "place", "gap"),
    answers=(
        Chance("skip", Score(-0.4, -1.0)),
        Part("played", "minutes", "minutes", 12.0, Score(0.8, 0.8)),
        Chance("save", Score(-2.2, 1.0)),
    ),
    objective=(0.3, -0.3, 0.05, 1.0),
    effects=(
        Pull(Score(0.0, 0.2, (("catchy", 1.3),))),
        Familiarity(0.5, 1.0, best=3, memory=16),
        Habit((0.0, 0.2, 0.9, 1.0, 0.1, 0.7), 3.0, 0.7, 0.1),
        Satiation(0.25, keep=0.9, recovery=0.5),
        Trust(Score(0.5, 0.6, (("catchy", -2.0),)), 0.8, 1.4, 0.5, signals=((1, -1.5),)),
        Hours((16.0, 18.0, 22.0, 10.0, 19.0, 23.0), (1.0, 0.8, 1.6, 1.2, 1.0, 2.0),
              (0.4, 0.3, 0.2, 0.2, 0.3, -0.3)),
        Circumstance("place", ((0.0, 0.0, 0.3, 0.2, 0.0, 0.3), (-0.4, -0.5, 0.1, 0.6, -0.5, 0.7),
                               (0.5, 0.5, -0.3, -0.5, 0.5, -0.4))),
    ),
    visits=Visits(patience=6.0, pause=0.7, quit=0.07, sway=2.2, saved=0.4, minutes_per_slate=4.0),
    reluctance=0.6,
    spread=0.7,
    usual=(0.9, 0.3, -0.6, -0.6, 0.4, -0.5),
    tempting=(0, 4),
    choice=MultinomialLogit(1.5),
)

FILM = Scenario(
    words=titles.FILM,
    columns=(
        Made("minutes", "minutes", 20.0, 180.0, (135.0, 100.0, 115.0, 45.0, 50.0, 80.0), 8.0),
        Made("trailer", "", -1.0, 2.0, (1.5, 0.5, -0.2, 0.0, 0.2, -0.5), 0.3, -0.1, spam=2.0),
    ),
    fields=("hour", "weekday", "weather", "gap"),
    further=(Further("household", ("alone", "couple", "family"), (0.4, 0.35, 0.25), 0.0), SEASON),
    answers=(
        Part("watched", "minutes", "minutes", 180.0, Score(0.8, 0.8)),
        Stars("rating", Score(0.2, 0.8, (("trailer", -0.4),))),
    ),
    objective=(0.2, 0.004, 0.2),
    effects=(
        Pull(Score(0.0, 0.3, (("trailer", 1.3),))),
        Habit((0.0, 0.1, 0.2, 1.3, 1.4, 0.2), 3.5, 0.5, 0.15),
        Satiation(0.35, keep=0.95, recovery=2.0),
        Budget(150.0, 1, "minutes", 3.0, spread=0.3, refill=0.6),
        Trust(Score(0.4, 0.5, (("trailer", -1.8),)), 0.75, 1.6, 0.4),
        Hours((20.5, 20.0, 21.0, 21.5, 21.0, 18.0), (0.8, 0.6, 0.8, 0.8, 0.8, 0.5),
              (0.6, 0.4, 0.2, 0.0, 0.2, 0.2)),
        Circumstance("0", ((0.0, 0.0, 0.5, 0.6, 0.3, 0.4), (0.1, 0.3, 0.4, 0.2, 0.0, 0.0),
                           (0.5, 0.6, -0.8, -1.0, 0.3, 0.0))),
        Circumstance("weather", ((0.0,) * 6, (0.2, 0.1, 0.2, 0.3, 0.3, 0.1), (0.2, 0.3, 0.2, 0.3,
                     0.3, 0.1))),
    ),
    visits=Visits(patience=3.5, pause=2.0, quit=0.1, sway=1.8, saved=0.4, minutes_per_slate=25.0),
    reluctance=0.8,
    spread=0.7,
    usual=(0.9, 0.4, -0.1, -0.6, -0.6, -0.4),
    tempting=(0,),
    choice=MultinomialLogit(0.5),
)

ADS = Scenario(
    words=titles.ADS,
    columns=(
        Made("bid", "euros", 0.02, 3.0, (0.5, 1.0, 0.6, 1.3, 1.8, 0.15), 0.1),
        Made("intrusion", "", -1.0, 2.0, (0.1, 0.0, 0.2, 1.3, 1.5, -0.5), 0.2, -0.1, spam=2.0),
    ),
    fields=("hour", "weekday", "device", "place", "gap"),
    answers=(
        Whole("revenue", "bid", "euros", 3.0),
        Chance("sale", Score(-1.5, 0.8)),
        Chance("hide", Score(-2.5, -0.5, (("intrusion", 1.0),))),
    ),
    objective=(0.0, 1.0, 0.3, -0.3),
    effects=(
        Pull(Score(0.0, 0.3, (("intrusion", 0.6),))),
        Satiation(0.4, per_shown=0.06, keep=0.97, recovery=3.0, annoyance=0.8),
        Trust(Score(0.6, 0.3, (("intrusion", -1.4),)), 0.85, 1.0, 0.0, shown=True),
        Budget(6.0, 1, "bid", 5.0, refill=5.0, each_topic=True),
        Hours((21.0, 12.0, 19.0, 16.0, 14.0, 20.0), (0.6, 0.4, 0.6, 0.6, 0.2, 0.3),
              (0.5, 0.4, 0.3, 0.3, -0.4, 0.1)),
        Circumstance("place", ((0.3, 0.1, 0.3, 0.2, 0.0, 0.1), (-0.6, 0.0, -0.3, -0.6, 0.0, 0.0),
                               (0.2, -0.2, 0.0, 0.4, 0.1, 0.0))),
        Circumstance("device", ((0.0, -0.3, 0.1, 0.5, 0.2, 0.0), (0.2, 0.0, 0.3, 0.2, 0.0, 0.0),
                                (0.1, 0.4, 0.0, -0.5, 0.0, 0.1))),
    ),
    visits=Visits(patience=5.0, pause=1.0, quit=0.09, sway=2.0, saved=0.2),
    reluctance=2.0,
    spread=0.6,
    tempting=(3, 4),
    choice=PositionBased(0.7),
    slate_size=3,
)

GAMES = Scenario(
    words=titles.GAMES,
    columns=(
        Made("difficulty", "", 0.0, 1.0, (0.35, 0.45, 0.4, 0.5, 0.1, 0.75), 0.15),
        Made("pressure", "", -1.0, 2.0, (-0.3, 0.0, -0.2, 0.2, 1.6, 0.3), 0.2, -0.1, spam=2.0),
        Made("price", "euros", 0.0, 20.0, (0.5, 1.0, 0.8, 2.0, 8.0, 3.0), 0.5),
    ),
    fields=("hour", "weekday", "device", "gap"),
    answers=(
        Times("rounds", 4, Score(0.0, 0.8)),
        Chance("spend", Score(-3.2, 0.5, (("pressure", 1.4),))),
        Whole("spent", "price", "euros", 20.0, given=2),
        Chance("rage", Score(-1.6, -0.7, (("pressure", 0.5),))),
    ),
    objective=(0.1, 0.15, 0.0, 0.2, -0.2),
    effects=(
        Pull(Score(0.0, 0.2, (("pressure", 0.7),))),
        Mastery(0.35, 0.35, 3.0, 1.2, 3.0, 0.35, ((5, 3), (3, 2)), forgetting=0.02),
        Trust(Score(0.4, 0.4, (("pressure", -1.2),)), 0.8, 1.0, 0.3, signals=((4, -1.0),)),
        Satiation(0.3, keep=0.93, recovery=0.8),
        Habit((0.2, 0.2, 0.5, 0.4, 0.0, 0.3), 2.0, 0.3, 0.2),
        Hours((13.0, 18.0, 20.0, 21.0, 19.0, 22.0), (0.6, 0.4, 0.6, 0.8, 0.2, 1.0),
              (0.0, 0.3, 0.4, 0.4, 0.2, 0.6)),
        Circumstance("device", ((0.5, 0.0, -0.4, -0.2, 0.3, -0.5), (0.3, 0.1, 0.1, 0.0, 0.1, 0.0),
                                (-0.4, 0.3, 0.5, 0.4, -0.2, 0.6))),
    ),
    visits=Visits(patience=5.0, pause=1.0, quit=0.09, sway=2.0, saved=0.5, minutes_per_slate=8.0),
    reluctance=1.0,
    spread=0.6,
    usual=(0.2, 0.2, 0.1, 0.0, 0.5, -0.2),
    tempting=(4,),
    choice=MultinomialLogit(0.5),
    slate_size=4,
)

SERVICE = Scenario(
    words=titles.SERVICE,
    columns=(
        Made("difficulty", "", 0.0, 1.0, (0.0, 0.2, 0.6, 0.7, 0.7, 0.6), 0.08),
        Made("minutes", "minutes", 0.5, 15.0, (1.0, 1.0, 5.0, 7.0, 7.0, 5.0), 1.0, 0.2),
    ),
    fields=("hour", "weekday", "device", "place", "gap"),
    further=(Further("channel", ("app", "web", "chat"), (0.4, 0.35, 0.25), 0.0),),
    answers=(
        Chance("solved", Score(-2.0, 0.8)),
        Part("effort", "minutes", "minutes", 15.0, Score(0.0, 0.5)),
        Stars("helpful", Score(-0.3, 0.8)),
    ),
    objective=(0.1, 2.0, -0.02, 0.0),
    effects=(
        Pull(Score(0.0, 0.2)),
        Needs(1.5, 2.5, 1, (0.0, 0.0, 0.5, 0.5, 0.4, 0.5), renewal=3.0),
        Mastery(0.8, 0.6, 0.0, 0.0, 5.0, 0.7, ((2, 1), (3, 1), (4, 1), (5, 1)), anew=True,
                first=0.2),
        Satiation(0.5, keep=0.9, recovery=0.5),
        Trust(Score(-0.6, 0.3), 0.8, 0.4, 0.0, signals=((1, 2.5),)),
        Hours((12.0,) * 6, (0.0, 0.0, 1.0, 1.2, 0.6, 0.6), (0.0, 0.0, -0.6, 0.4, 0.3, -0.2)),
        Circumstance("device", ((0.2, 0.2, 0.0, -0.2, 0.5, 0.1), (0.0, 0.0, 0.0, 0.1, 0.3, 0.0),
                                (0.0, 0.0, 0.4, 0.3, -0.4, 0.2))),
        Circumstance("0", ((0.3, 0.0, 0.1, 0.0, 0.3, 0.2), (0.0, -0.2, 0.3, 0.2, 0.0, 0.1),
                           (-0.2, 0.6, 0.0, 0.2, 0.0, 0.0))),
    ),
    visits=Visits(patience=5.0, pause=10.0, quit=0.12, sway=1.5, saved=0.3, solved=1, ends=5.0),
    reluctance=0.0,
    spread=0.4,
    usual=(1.4, 0.5, 0.0, 0.0, 0.0, 0.0),
    tempting=(0,),
    choice=MultinomialLogit(0.5),
    slate_size=3,
)

HEALTH = Scenario(
    words=titles.HEALTH,
    columns=(
        Made("alarm", "", -1.0, 2.0, (-0.5, -0.3, 0.0, -0.8, 1.2, 1.5), 0.25, -0.1, spam=2.0),
        Made("demand", "", 0.0, 1.0, (0.1, 0.5, 0.2, 0.1, 0.35, 0.3), 0.2),
        Made("minutes", "minutes", 1.0, 20.0, (6.0, 10.0, 6.0, 8.0, 3.0, 3.0), 1.5),
    ),
    fields=("hour", "weekday", "place", "weather", "gap"),
    further=(SEASON,),
    answers=(
        Part("read", "minutes", "minutes", 20.0, Score(0.3, 0.6)),
        Chance("tried", Score(-1.2, 0.8, (("alarm", -0.6),))),
        Stars("calm", Score(0.5, 0.4, (("alarm", -1.0),))),
    ),
    objective=(1.0, 0.02, 0.5, 0.0),
    effects=(
        Pull(Score(0.0, 0.3, (("alarm", 1.4),))),
        Trust(Score(0.5, 0.4, (("alarm", -1.6),)), 0.75, 1.8, 0.5),
        Habit((0.4, 0.5, 0.3, 0.6, 0.0, 0.0), 2.0, 0.4, 0.15),
        Satiation(0.25, keep=0.92, recovery=1.0),
        Hours((21.5, 8.0, 11.5, 20.0, 22.0, 13.0), (1.4, 1.0, 1.0, 0.8, 0.4, 0.2),
              (0.2, 0.5, 0.3, 0.3, -0.2, -0.2)),
        Circumstance("weather", ((0.0, 0.6, 0.0, 0.0, 0.0, 0.0), (0.2, -0.6, 0.2, 0.2, 0.0, 0.0),
                                 (0.2, -0.3, 0.3, 0.2, 0.2, 0.2))),
        Circumstance("0", ((0.2, -0.3, 0.2, 0.2, 0.3, 0.4), (0.0, 0.5, 0.0, 0.0, 0.2, -0.2),
                           (-0.1, 0.4, 0.0, 0.0, 0.0, 0.2), (0.2, 0.0, 0.1, 0.1, 0.2, 0.2))),
    ),
    visits=Visits(patience=4.0, pause=1.5, quit=0.09, sway=2.6, saved=0.4),
    reluctance=1.4,
    spread=0.7,
    tempting=(4, 5),
    choice=PositionBased(0.85),
    slate_size=4,
    rule=Rule("care", ("none", "some", "much"), (0.6, 0.3, 0.1), "demand", (1.0, 0.6, 0.35)),
)

LEARNING = Scenario(
    words=titles.LEARNING,
    columns=(
        Made("difficulty", "", 0.0, 1.0, (0.1, 0.25, 0.45, 0.65, 0.25, 0.5), 0.12),
        Made("credits", "credits", 0.0, 6.0, (0.5, 0.5, 2.5, 5.0, 0.5, 2.5), 0.1),
        Made("fun", "", -1.0, 2.0, (1.4, 0.0, -0.1, -0.2, 0.2, 0.0), 0.2, 0.0, spam=2.0),
    ),
    fields=("hour", "weekday", "device", "place", "gap"),
    answers=(
        Chance("passed", Score(0.2, 1.0)),
        Whole("credits", "credits", "credits", 6.0, given=1),
        Times("hints", 3, Score(-0.3, -0.8)),
    ),
    objective=(0.0, 0.1, 0.5, 0.0),
    effects=(
        Pull(Score(0.0, 0.2, (("fun", 0.6),))),
        Mastery(0.5, 0.35, 5.0, 0.8, 6.0, 0.55, ((2, 1), (3, 2), (5, 4)), first=0.25,
                forgetting=0.03),
        Satiation(0.15, keep=0.9, recovery=0.7),
        Trust(Score(0.2, 0.3, (("fun", -0.6),)), 0.85, 0.3, 0.0, signals=((1, 0.6),)),
        Hours((21.0, 10.0, 11.0, 16.0, 20.0, 17.0), (0.6, 0.8, 0.8, 0.8, 0.8, 0.6),
              (0.4, -0.3, -0.3, -0.3, 0.3, 0.0)),
        Circumstance("place", ((0.0, 0.1, 0.1, 0.1, 0.2, 0.2), (0.0, 0.0, 0.2, 0.3, -0.2, 0.0),
                               (0.5, 0.0, -0.4, -0.7, 0.3, -0.6))),
    ),
    visits=Visits(patience=6.0, pause=1.2, quit=0.06, sway=1.2, saved=0.4, minutes_per_slate=6.0),
    reluctance=0.2,
    spread=0.4,
    usual=(0.8, 0.0, 0.0, 0.0, 0.0, 0.0),
    tempting=(0,),
    choice=MultinomialLogit(0.5),
    slate_size=4,
)

TRAVEL = Scenario(
    words=titles.TRAVEL,
    columns=(
        Made("price", "euros", 0.0, 600.0, (5.0, 180.0, 90.0, 250.0, 60.0, 30.0), 10.0, 5.0),
        Made("commission", "euros", 0.0, 60.0, (0.1, 4.0, 4.0, 30.0, 18.0, 9.0), 0.5),
        Made("pressure", "", -1.0, 2.0, (-0.5, 0.2, -0.2, 0.2, 0.0, 1.5), 0.2, -0.1, spam=2.0),
    ),
    fields=("hour", "weekday", "device", "weather", "gap"),
    further=(SEASON, Further("group", ("alone", "couple", "family"), (0.3, 0.4, 0.3), 5.0)),
    answers=(
        Chance("save", Score(-0.5, 0.5)),
        Chance("book", Score(-1.5, 0.7)),
        Whole("spent", "price", "euros", 600.0, given=2),
        Whole("commission", "commission", "euros", 60.0, given=2),
    ),
    objective=(0.01, 0.02, 0.0, 0.0, 0.05),
    effects=(
        Pull(Score(0.0, 0.3, (("pressure", 0.8),))),
        Needs(3.2, 3.2, 2, (0.8, 0.05, 0.05, 0.02, 0.02, 0.0),
              ((0, 1, 0.8), (0, 2, 0.8), (1, 3, 1.0), (2, 3, 1.0), (3, 4, 1.0)), renewal=60.0),
        Budget(900.0, 3, "price", 2.0, spread=0.4, refill=60.0),
        Satiation(0.1, keep=0.9, recovery=5.0),
        Trust(Score(0.5, 0.5, (("pressure", -1.6),)), 0.8, 1.0, 0.5),
        Circumstance("0", ((0.3, 0.2, 0.0, 0.0, -0.3, 0.0), (0.5, 0.3, 0.3, 0.3, 0.3, 0.0),
                           (0.3, 0.6, 0.4, 0.5, 0.6, 0.0), (0.0, -0.2, 0.2, 0.0, 0.0, 0.0))),
        Circumstance("1", ((0.3, 0.1, 0.5, -0.2, 0.1, -0.2), (0.2, 0.3, 0.2, 0.4, 0.1, 0.0),
                           (0.0, 0.2, -0.4, 0.3, 0.5, 0.3))),
        Circumstance("weather", ((0.0,) * 6, (0.5, 0.4, 0.1, 0.2, -0.3, 0.0), (0.3, 0.3, 0.0,
                     0.2, -0.2, 0.0))),
    ),
    visits=Visits(patience=6.0, pause=30.0, quit=0.12, sway=1.6, saved=0.4),
    reluctance=2.0,
    spread=0.6,
    usual=(0.2, -1.2, -1.2, -1.5, -1.5, 0.9),
    visible=(3, 5, 5),
    tempting=(5,),
    choice=PositionBased(0.85),
)

FINANCE = Scenario(
    words=titles.FINANCE,
    columns=(
        Made("risk", "", 0.0, 1.0, (0.0, 0.05, 0.25, 0.5, 0.75, 0.9), 0.06),
        Made("fee", "euros", 0.0, 30.0, (0.0, 2.0, 6.0, 14.0, 9.0, 10.0), 0.5),
        Made("hype", "", -1.0, 2.0, (-0.5, -0.5, -0.3, 0.0, 1.1, 1.6), 0.25, -0.1, spam=2.0),
    ),
    fields=("hour", "weekday", "device", "gap"),
    answers=(
        Chance("invest", Score(-1.2, 0.6)),
        Whole("fee", "fee", "euros", 30.0, given=1),
        Chance("regret", Score(-2.2, -0.3, (("risk", 1.5), ("hype", 0.8))), given=1),
    ),
    objective=(0.02, 0.0, 0.1, -0.2),
    effects=(
        Pull(Score(0.0, 0.3, (("hype", 1.0),))),
        Mastery(0.6, 0.5, 0.0, 0.0, 4.0, 0.7, ((2, 0), (3, 0)), first=0.3, forgetting=0.01,
                column="risk"),
        Trust(Score(0.5, 0.4, (("hype", -1.3),)), 0.8, 1.2, 1.0, signals=((3, -2.0),)),
        Satiation(0.2, keep=0.92, recovery=3.0),
        Hours((20.0, 12.0, 11.0, 12.0, 16.0, 23.0), (0.6, 0.4, 0.6, 0.4, 0.8, 1.2),
              (0.3, 0.0, -0.5, -0.2, -0.6, 0.5)),
        Circumstance("device", ((0.1, 0.1, -0.2, -0.1, 0.2, 0.4), (0.1, 0.0, 0.0, 0.0, 0.0, 0.0),
                                (0.0, 0.0, 0.3, 0.3, 0.0, -0.3))),
    ),
    visits=Visits(patience=5.0, pause=4.0, quit=0.09, sway=2.0, saved=0.4),
    reluctance=1.2,
    spread=0.6,
    usual=(0.3, 0.0, 0.0, 0.0, 0.3, 0.3),
    tempting=(4, 5),
    choice=PositionBased(0.85),
    slate_size=4,
    rule=Rule("risk_class", ("careful", "balanced", "bold"), (0.4, 0.4, 0.2), "risk", (0.35,
        0.65, 1.0)),
)

SCENARIOS = {
    "Shop": SHOP,
    "News": NEWS,
    "Video": VIDEO,
    "Music": MUSIC,
    "Film": FILM,
    "Ads": ADS,
    "Games": GAMES,
    "Service": SERVICE,
    "Health": HEALTH,
    "Learning": LEARNING,
    "Travel": TRAVEL,
    "Finance": FINANCE,
}
