"""What a scenario is about, in words; strings only, so that lists and pages need no torch."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """Of one scenario."""

    one_line: str
    text: str


PAGES = {
    "Shop": Page(
        "needs end with a purchase and complements follow; discounts sell, come back, cost trust",
        "People come with needs: a phone, a camera, a bike. A purchase ends the need and opens "
        "that of what goes with it, on which the shop earns ten times as much. Snacks and deals "
        "sell at once and lead nowhere; deals are returned, and trust falls with them. Budgets "
        "run out and fill up again within weeks. Signals: cart, buy (of what is in the cart), "
        "paid and margin in euros, return.",
    ),
    "News": Page(
        "freshness decays, topics break, clickbait is clicked now and costs trust",
        "Loud titles are clicked more and read less. Trust follows how much of what was clicked "
        "was worth it: distrust costs clicks at every later slate, and people who distrust leave "
        "for good at the end of a visit. One topic is breaking at each visit; politics, sport and "
        "outrage are old within a day. Signals: minutes read, share.",
    ),
    "Video": Page(
        "hooks win the click, watching tires, an evening has so many minutes",
        "Clips hook and are worth little; what takes longer has to be acquired a taste for, click "
        "by click, and an evening holds some ninety minutes. Every topic tires, tiredness annoys, "
        "and whoever is annoyed or distrusts does not come back. The device says what fits it. "
        "Signals: minutes watched, finished, like.",
    ),
    "Music": Page(
        "repeats are wanted until they wear out, moods go by the hour, tastes are acquired",
        "A track that one knows is wanted more, up to three plays among the last sixteen; then it "
        "wears out. Pop is liked at once; jazz, classical and ambient music grow on people who are "
        "led to them, and are then liked better. Skips cost trust. Topics have their hours. "
        "Signals: skip, minutes played, save.",
    ),
    "Film": Page(
        "a series begun is wanted next, a sitting has so many minutes, a household is on the sofa",
        "Blockbusters fill the evening and lead nowhere; a series is hard to begin, then every "
        "episode makes the next one wanted and brings people back. Who is on the sofa changes from "
        "visit to visit. Signals: minutes watched, rating in stars.",
    ),
    "Ads": Page(
        "the loudest bids pay most, annoy most and cost visits; budgets run out",
        "Topics are advertisers, each with a bid per click and a budget that runs out. Games and "
        "loans bid most and intrude most: whatever is shown, clicked or not, wears out, annoys, "
        "and people who are annoyed do not come back. Signals: revenue in euros, sale, hide.",
    ),
    "Games": Page(
        "difficulty must fit a growing skill, offers earn now and drive players away",
        "What is just within reach is wanted and teaches; battles come after adventures, and "
        "ranked games after battles. Offers sell under pressure and cost trust; rage does too. "
        "Signals: rounds played, spend (yes or no), spent in euros, rage.",
    ),
    "Service": Page(
        "a problem is solved by the right article, once it is understood; wrong ones cost patience",
        "People come with a problem and leave content when it is solved. First-aid tips are "
        "clicked and solve nothing; a question or two makes the problem understood, and then the "
        "right article solves it. Who is not helped does not come again. Signals: solved, minutes "
        "of effort, helpful in stars.",
    ),
    "Health": Page(
        "alarm is read now and costs calm; a mask says what may be shown to whom",
        "Content, and no advice. Symptoms and outbreaks are read with alarm and cost trust; sleep, "
        "movement, food and breathing become habits. People of whom more care is to be taken are "
        "never shown what demands too much: the mask is part of the candidates, and no policy can "
        "pass it. Signals: minutes read, tried, calm in stars.",
    ),
    "Learning": Page(
        "some topics come before others, skill grows at its edge and is forgotten",
        "What is just within reach teaches; what is easy passes and teaches nothing. Numbers come "
        "before algebra, algebra before calculus, reading before essays, and credits grow on the "
        "way. Trivia is fun and leads nowhere. Skill is forgotten between visits. Signals: passed, "
        "credits (of what is passed), hints taken.",
    ),
    "Travel": Page(
        "rare visits, by season and group; an idea leads to a journey, then to a bed and more",
        "Ideas earn next to nothing and open the need of a flight or a train; a booking opens "
        "that of a hotel, and that of things to do, on which most is earned. Extras sell under "
        "pressure and cost trust. A month lies between visits. Signals: save, book, spent and "
        "commission in euros.",
    ),
    "Finance": Page(
        "the risk class is a hard rule, hype sells, regret costs trust",
        "Shares and coins are hyped, sell at once, and are regretted; whoever regrets stays away. "
        "Bonds and funds are understood only after lessons, and then bring more. Nobody is "
        "shown what lies above their risk class, whoever chooses. Made up, and no advice. Signals: "
        "invest, fee in euros, regret.",
    ),
}
