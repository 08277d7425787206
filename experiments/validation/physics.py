"""What must hold in any world of people who choose, and what the log says of how they change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.seating import seed_word
from slategym.envs.types import Items, World
from slategym.experiments.validation.lines import Bounds, Line, left_out
from slategym.experiments.validation.resampling import DRAWS, halves

PART = "physics"
SPREAD, ORDER, RUNS = Bounds(1.0, 2.0), Bounds(0.3, 0.7), Bounds(0.05, 0.15)
FEWEST_SHOWN, FEWEST_ITEMS = 20, 15  # rows of an item, and items with so many
TELLS = 0.2  # rank correlation of two halves of a log, above which it tells items apart
PROBES, PEOPLE = 1_000, 256  # items, about, and people whose appeal is read around a click


def spread(log: pd.DataFrame, world: pd.DataFrame) -> Line:
    """Whether click probabilities of items spread as far in the world as in the log."""
    check = "click probabilities span the logged range"
    sides = [_by_item(rows, column) for rows, column in ((log, "click"), (world, "expected"))]
    both = sides[0].index.intersection(sides[1].index)
    if len(both) < FEWEST_ITEMS:
        return left_out(PART, check, _few_items(len(both)))
    mean, count = sides[0].loc[both, "mean"], sides[0].loc[both, "count"]
    luck = float((mean * (1 - mean) / count).mean())
    logged = float(np.sqrt(max(float(mean.var()) - luck, 0.0)))
    found = float(sides[1].loc[both, "mean"].std())
    if logged < 0.1 * float(mean.mean()):
        return left_out(PART, check, "the log's click rates of items differ by no more than luck")
    figure = abs(float(np.log2(max(found, 1e-9) / logged)))
    said = (
        f"standard deviation over {len(both)} items {logged:.3f} in the log, luck taken off, "
        f"{found:.3f} in the world: a factor of {found / logged:.2f}"
    )
    return Line(PART, check, SPREAD.status(figure), said, figure, bounds=SPREAD)


def order_of_items(log: pd.DataFrame, world: pd.DataFrame, rng: np.random.Generator) -> Line:
    """Whether items that are clicked often in the log are in the world."""
    check = "what is clicked often there is clicked often here"
    half = halves(log["user"].to_numpy(), rng)
    sides = [_by_item(rows, "click") for rows in (log[half], log[~half], log)]
    sides.append(_by_item(world, "expected"))
    shared = sides[0].index.intersection(sides[1].index)
    both = sides[2].index.intersection(sides[3].index)
    if min(len(shared), len(both)) < FEWEST_ITEMS:
        return left_out(PART, check, _few_items(min(len(shared), len(both))))
    attained = float(spearmanr(sides[0]["mean"][shared], sides[1]["mean"][shared]).statistic)
    if not attained > TELLS:
        return left_out(PART, check, f"halves of the log agree on items by {attained:.2f} only")
    found = float(spearmanr(sides[2]["mean"][both], sides[3]["mean"][both]).statistic)
    figure = max(0.0, 1.0 - found / attained)
    said = (
        f"rank correlation {found:.2f} over {len(both)} items; between halves of the log it is "
        f"{attained:.2f}"
    )
    return Line(PART, check, ORDER.status(figure), said, figure, bounds=ORDER)


@dataclass(frozen=True)
class Lift:
    """Neighbouring clicks of a visit that share a topic, above any two of the person."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def topic_lift(rows: pd.DataFrame, topic_N: NDArray[np.int64], rng: np.random.Generator) -> Lift:
    """Share of neighbouring clicks of one topic less its mean when each person's are shuffled.

    Args:
        rows: of a log or a world.
        topic_N: of items as the rows number them.
        rng: of the bootstrap over people.
    """
    took = rows[rows["click"] > 0]
    took = took.assign(topic=topic_N[took["item"].to_numpy()])
    took = took[took["topic"] >= 0]
    user, visit, topic = (took[name].to_numpy() for name in ("user", "visit", "topic"))
    near = np.flatnonzero(visit[1:] == visit[:-1])
    people, place = np.unique(user, return_inverse=True)
    if not len(near) or len(people) < 2:
        return Lift(np.nan, np.nan, np.nan, len(near))
    count = np.bincount(place, minlength=len(people)).astype(float)
    table = np.zeros((len(people), int(topic.max()) + 1))
    np.add.at(table, (place, topic), 1.0)
    pairs = np.maximum(count * (count - 1), 1.0)
    by_chance = (table * (table - 1)).sum(1) / pairs  # two clicks of a person, any two
    same = (topic[near] == topic[near + 1]).astype(float)
    sums = np.zeros((len(people), 2))
    np.add.at(sums, place[near], np.stack([same - by_chance[place[near]], np.ones(len(near))], 1))
    draws = []
    for _ in range(DRAWS):
        above, below = sums[rng.integers(len(people), size=len(people))].sum(0)
        draws.append(above / below if below else np.nan)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Lift(float(sums[:, 0].sum() / sums[:, 1].sum()), float(low), float(high), len(near))


def runs(log: Lift, world: Lift) -> Line:
    """Whether people stay with a topic as they do in the log."""
    check = "neighbouring clicks of one topic, above chance"
    if min(log.pairs, world.pairs) < 100 or not np.isfinite([log.value, world.value]).all():
        return left_out("autocorrelation", check, f"{log.pairs} and {world.pairs} pairs of clicks")
    figure = abs(world.value - log.value)
    luck = float(np.hypot(log.high - log.low, world.high - world.low)) / 2
    said = f"{log} in the log, {world} in the world"
    status = RUNS.status(max(0.0, figure - luck))
    return Line("autocorrelation", check, status, said, figure, bounds=RUNS)


@torch.no_grad()
def direction(world: World, logged: Lift, seed: int) -> Line:
    """Whether a click moves interest to where the log's people go."""
    check = "a click moves interest towards what was clicked"
    if world.catalogue.num_topics < 2:
        return left_out(PART, check, "the world has no topics")
    moved_B = _moved(world, seed)
    if moved_B is None:
        return left_out(PART, check, "no item of another topic")
    mean, error = float(moved_B.mean()), float(moved_B.std()) / np.sqrt(len(moved_B))
    low, high = mean - 1.96 * error, mean + 1.96 * error
    here = int(low > 0) - int(high < 0)
    there = int(logged.low > 0) - int(logged.high < 0) if np.isfinite(logged.value) else 0
    said = (
        f"after a click the log-odds of its topic move by {mean:+.3f} [{low:+.3f}, {high:+.3f}] "
        f"against other topics'; clicks of one topic follow each other by {logged} above chance "
        "in the log"
    )
    if there == 0:
        status = "pass" if here == 0 else "warn"
    else:
        status = "pass" if here == there else "fail"
    return Line(PART, check, status, said, mean, low, high)  # type: ignore[arg-type]


def _moved(world: World, seed: int) -> Tensor | None:
    """By how much appeal moves to the topic of what is clicked first, (B,)."""
    users, catalogue = world.users, world.catalogue
    B, N = min(PEOPLE, world.population.size), catalogue.num_items
    user_B = torch.arange(B, dtype=torch.int32, device=world.device)
    seed_B = torch.full_like(user_B, seed_word(seed))
    session = engine.start(world, seed_B, user_B, torch.zeros_like(user_B))
    now = Luck.at(session.key, session.step)
    probe_P = torch.arange(0, N, max(1, N // PROBES), dtype=torch.int32, device=world.device)
    probes = Items(probe_P.expand(B, -1).contiguous(), catalogue)
    before_BP = users.appeal(session.user, probes, session.context)
    liked_B1 = before_BP.argmax(1, keepdim=True)  # what they would soonest click
    items = Items(probes.id.gather(1, liked_B1), catalogue)
    value_BKM = users.respond(session.user, items, session.context, now)[1]
    feedback_BKM = value_BKM.expand(B, 1, len(users.signals)).float().clone()
    feedback_BKM[..., 0] = 1.0
    after = users.evolve(session.user, items, feedback_BKM, session.context, now)
    moved_BP = users.appeal(after, probes, session.context) - before_BP
    same_BP = probes.topic == items.topic
    rest_BP = ~same_BP
    same_BP = same_BP & (probes.id != items.id)
    some_B = same_BP.any(1) & rest_BP.any(1)
    if not some_B.any():
        return None
    means = [
        (moved_BP * mask.float()).sum(1) / mask.float().sum(1).clamp(min=1)
        for mask in (same_BP, rest_BP)
    ]
    return (means[0] - means[1])[some_B]


@torch.no_grad()
def identical(world: World, seed: int) -> Line:
    """Whether a slate of one item over and over counts as one item."""
    check = "identical items have no diversity"
    user_B = torch.arange(min(8, world.population.size), dtype=torch.int32, device=world.device)
    seed_B = torch.full_like(user_B, seed_word(seed))
    session = engine.start(world, seed_B, user_B, torch.zeros_like(user_B))
    slate_BK = torch.zeros(len(user_B), world.slate_size, dtype=torch.int32, device=world.device)
    _, shown_BK = engine.pick(world, session, slate_BK)
    most = int(shown_BK.sum(1).max())
    status = "pass" if most <= 1 else "fail"
    return Line(PART, check, status, f"of one item in every slot {most} are shown", float(most))  # type: ignore[arg-type]


def _by_item(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    found = rows.groupby("item")[column].agg(["mean", "count"])
    return found[found["count"] >= FEWEST_SHOWN]


def _few_items(number: int) -> str:
    return (
        f"{number} items were shown {FEWEST_SHOWN} times on both sides; {FEWEST_ITEMS} are needed"
    )
