"""Every constant of every scenario. All are made up; units and signs are those of the parts.

Topics stand in the order of their nouns, signals in that of the answers, after the click (0).
"""

from __future__ import annotations

from slategym.envs.choice import MultinomialLogit, PositionBased
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
from slategym.envs.scenarios.words import Words, nouns

# fmt: off
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

VIDEO = Scenario(
    words=Words(
        nouns(
            clips="a cat, a fall, a dance, a prank",
            comedy="the office sketch, the stand-up, the parody, the wrong bus",
            how_to="bread, a shelf, a knot, a small garden",
            documentary="the glacier, the deep sea, the weavers, the night train",
            sport="the derby, the final, the marathon, the penalty",
            games="level nine, the speed run, the puzzle box, the co-op",
        ),
        ("slow", "best", "first", "late", "tiny", "long"),
        ("{n}: the {a} one", "{n}, part two", "a {a} look at {n}"),
        ("WAIT for {n}!!", "{n}: the {a} moment you MISSED"),
        loud="hook",
    ),
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
    words=Words(
        nouns(
            pop="summer, the radio, neon, your name",
            rock="thunder, the garage, rust, the highway",
            jazz="blue hour, the cellar, smoke, the quartet",
            classical="the nocturne, the quartet in D, winter, the fugue",
            hip_hop="the block, gold, the verse, midnight",
            ambient="rain, the tide, fog, slow light",
        ),
        ("long", "live", "first", "lost", "quiet", "last"),
        ("{n}", "{a} {n}", "{n} ({a} version)"),
    ),
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
    words=Words(
        nouns(
            blockbuster="the storm, the heist, the last planet, the bridge",
            comedy="the wedding, my landlord, the reunion, the wrong train",
            drama="the orchard, the letter, winter, the harbour",
            crime_series="the inspector, cold water, the archive, ferry four",
            fantasy_series="the crown, the salt road, seven gates, the grey wood",
            documentary="the reef, the choir, the climb, the market",
        ),
        ("final", "quiet", "second", "golden", "long", "broken"),
        ("{n}", "the {a} story of {n}", "{n}: {a} light"),
        ("{n}: the {a} EVENT of the year!", "{n}, BIGGER than ever"),
        loud="trailer",
    ),
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
    words=Words(
        nouns(
            streaming="one month free, every match, the new series, no adverts",
            cars="the new estate, the small electric, the lease, the test drive",
            fashion="the autumn coat, linen, trainers, the sale rail",
            games="free coins, the castle, one more level, the wheel",
            loans="cash today, no questions, the easy card, instant credit",
            charity="clean water, the shelter, the food bank, warm coats",
        ),
        ("new", "easy", "small", "honest", "bright", "first"),
        ("{n}", "{n}, the {a} way", "a {a} start: {n}"),
        ("{n}!!! TAP NOW", "CLOSE THIS FOR {n}"),
        loud="intrusion",
    ),
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
    words=Words(
        nouns(
            puzzles="the tiles, the knot, the mirror, the maze",
            racing="the canyon, the night circuit, the ice lap, the hill",
            adventure="the sunken city, the lantern, the cave, the island",
            battles="the gate, the red army, the siege, the arena",
            offers="the gem pack, the golden chest, the battle pass, the lucky wheel",
            ranked="the league, the duel, the ladder match, the cup",
        ),
        ("first", "hidden", "iron", "silent", "second", "last"),
        ("{n}", "the {a} run: {n}", "{n}, {a} edition"),
        ("{n}: ONLY TODAY!", "{n}: {a} BONUS inside"),
        loud="pressure",
    ),
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
    words=Words(
        nouns(
            first_aid="restart it, wait an hour, clear the cache, reinstall it",
            questions="which light blinks?, since when?, one device or all?, what does it say?",
            billing="the double charge, the refund, the invoice, the tariff",
            network="the router, the slow line, the dead socket, roaming",
            device="the battery, the screen, the hinge, the update",
            account="the password, the locked login, the new address, the second factor",
        ),
        ("short", "full", "quick", "usual", "new", "common"),
        ("{n}", "{n}: a {a} guide", "{n}, the {a} answer"),
    ),
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
    words=Words(
        nouns(
            sleep="the evening, the dark room, naps, the alarm clock",
            movement="a walk, the stairs, strength, a long run",
            food="beans, breakfast, salt, the lunch box",
            breathing="the long breath, a pause, the body scan, stillness",
            symptoms="the headache, the rash, the cough, the lump",
            outbreaks="the virus, the water, the ward, the mosquito",
        ),
        ("gentle", "daily", "short", "first", "steady", "small"),
        ("{n}: a {a} start", "{n}, explained", "{a} notes on {n}"),
        ("{n}: the WARNING sign", "{n}: act BEFORE it is too late"),
        loud="alarm",
    ),
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
    words=Words(
        nouns(
            trivia="capitals, film quotes, odd records, flags",
            numbers="fractions, decimals, ratios, percentages",
            algebra="equations, brackets, graphs, unknowns",
            calculus="slopes, areas, limits, series",
            reading="the short story, the report, the letter, the poem",
            essays="the argument, the outline, the review, the thesis",
        ),
        ("first", "worked", "short", "mixed", "hard", "daily"),
        ("{n}: a {a} lesson", "{a} practice: {n}", "{n}, step by step"),
        ("{n}: the {a} quiz EVERYBODY fails", "{n} in 60 SECONDS"),
        loud="fun",
    ),
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
    words=Words(
        nouns(
            ideas="ten islands, the north by rail, autumn cities, lakes",
            flights="to the coast, to the islands, over the weekend, to the south",
            trains="the night train, the coast line, the rail pass, the panorama",
            hotels="by the harbour, the old mill, the guest house, near the station",
            activities="the boat tour, the museum pass, the cooking class, the summit",
            extras="insurance, seat choice, priority, the flexible fare",
        ),
        ("quiet", "early", "sunny", "small", "slow", "bright"),
        ("{n}", "{n}: a {a} trip", "{a} days: {n}"),
        ("{n}: ONLY 2 LEFT!", "{n}: {a} PRICE ends tonight"),
        loud="pressure",
    ),
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
    words=Words(
        nouns(
            lessons="interest, inflation, fees, spreading risk",
            savings="the day account, the fixed year, the green bond account, the buffer",
            bonds="the state bond, the short bond, the bond ladder, the linker",
            funds="the world index, the small companies, the mixed fund, the dividend fund",
            shares="the chip maker, the bank, the car maker, the start-up",
            crypto="the new coin, the old coin, the token, the exchange",
        ),
        ("plain", "steady", "global", "young", "cheap", "bold"),
        ("{n}", "{n}: the {a} choice", "{n}, explained"),
        ("{n}: up 400 %!", "{n}: the {a} chance of the YEAR"),
        loud="hype",
    ),
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
