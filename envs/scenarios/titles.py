"""Topics and what titles of their items are made of, scenario by scenario. All are made up."""

from __future__ import annotations

from slategym.envs.scenarios.words import Words, nouns

SHOP = Words(
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
)

NEWS = Words(
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
)

VIDEO = Words(
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
)

MUSIC = Words(
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
)

FILM = Words(
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
)

ADS = Words(
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
)

GAMES = Words(
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
)

SERVICE = Words(
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
)

HEALTH = Words(
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
)

LEARNING = Words(
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
)

TRAVEL = Words(
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
)

FINANCE = Words(
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
)
