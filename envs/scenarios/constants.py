"""Every constant of every scenario. All are made up; units and signs are those of the parts.

Topics stand in the order of their nouns, signals in that of the answers, after the click (0).
"""

from __future__ import annotations

from slategym.envs.choice import PositionBased
from slategym.envs.scenarios.answers import Chance, Part, Whole
from slategym.envs.scenarios.catalogue import Made
from slategym.envs.scenarios.effects import Budget, Needs, Satiation, Trust
from slategym.envs.scenarios.look import Score
from slategym.envs.scenarios.occasion import SEASON
from slategym.envs.scenarios.scenario import Scenario
from slategym.envs.scenarios.surroundings import Ageing, Breaking, Circumstance, Hours, Pull
from slategym.envs.scenarios.visits import Visits
from slategym.envs.scenarios.words import Words, nouns

DAY = ("hour", "weekday", "device", "place", "weather", "gap")

SHOP = Scenario(
    words=Words(
        nouns(
            phones="phone, smartphone, handset, flip phone",
            cases="phone case, charger, screen film, earbuds",
            cameras="camera, compact camera, film camera, action camera",
            lenses="lens, tripod, camera bag, memory card",
            bikes="bike, e-bike, folding bike, cargo bike",
            lights="bike light, helmet, pannier, lock",
            snacks="coffee, chocolate, tea, nut mix",
            deals="watch, drone, blender, massage gun",
        ),
        ("slim", "sturdy", "light", "classic", "blue", "recycled"),
        ("{a} {n}", "{n}, {a}", "the {a} {n}"),
        ("{n} SALE: last {a} ones!", "{a} {n} -70 % TODAY ONLY"),
        loud="discount",
    ),
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
        Trust(Score(0.6, 0.5, (("discount", -3.0),)), 0.8, 1.0, 0.6, signals=((5, -2.0),)),
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
    words=Words(
        nouns(
            politics="the budget, the election, the coalition, the mayor",
            economy="rents, the strike, interest rates, the harbour",
            science="the glacier, the vaccine, the telescope, the reef",
            culture="the festival, the museum, the orchestra, the film prize",
            sport="the derby, the marathon, the cup, the transfer",
            local="the bridge, the new tram, the school, the market",
            celebrity="the royal wedding, the pop star, the split, the red carpet",
            outrage="the scandal, the cover-up, the bill, the neighbour",
        ),
        ("long", "quiet", "surprising", "costly", "late", "second"),
        ("{n}: the {a} story", "what {n} means", "{n}, explained", "a {a} week for {n}"),
        ("You will not believe {n}!", "{n}: the {a} TRUTH", "SHOCK over {n}!"),
        loud="loudness",
    ),
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

SCENARIOS = {"Shop": SHOP, "News": NEWS}
