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
}
