"""A made-up world in which context matters."""

from __future__ import annotations

import torch

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import PositionBased
from slategym.envs.day import Day
from slategym.envs.luck import Luck, purpose
from slategym.envs.memory import check_fits
from slategym.envs.names import UsageError
from slategym.envs.settings import Count, Length, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Population, World
from slategym.envs.users.day_in_life import TOPICS, DayInLife
from slategym.envs.users.unchanging import Unchanging

TOPIC, QUALITY, LOUDNESS, AGE, LENGTH, FORM, ABOUT = (
    purpose(f"day_in_life.item.{n}")
    for n in ("topic", "quality", "loudness", "age", "length", "form", "about")
)
MINUTES = (6.0, 4.0, 8.0, 12.0, 10.0, 40.0, 15.0, 14.0)  # typical length, by topic
ABOUTS = (
    ("the harbour", "the election", "the bridge", "the strike", "the new tram"),
    ("a late set", "the old choir", "four guitars", "the rooftop session", "the long album"),
    ("the wrong bus", "my landlord", "the office party", "two neighbours", "the wedding"),
    ("one pot", "the last tomatoes", "bread", "a cold soup", "dumplings"),
    ("the cup", "the derby", "the marathon", "the youth team", "the penalty"),
    ("the glacier", "the lighthouse", "the weavers", "the deep sea", "the lost map"),
    ("the tower", "level nine", "the speed run", "the puzzle box", "the co-op"),
    ("the night train", "the islands", "the high road", "a small town", "the ferry"),
)
BYTES_PER_ITEM = 492  # with their texts, measured
QUIET = ("{0}, calmly explained", "A closer look at {0}", "Notes on {0}", "{0}, from the beginning")
LOUD = ("You will not believe {0}!", "{0}: WATCH BEFORE IT IS GONE", "The TRUTH about {0}!!")


def day_in_life(
    num_items: Count = 400,
    slate_size: Count = 10,
    horizon: Count = 200,
    history_size: Length = 20,
    objective: tuple[float, ...] = (1.0, 1.0, 0.0, 0.05, 0.5),
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """People who come several times, each time at another hour, place and mood.

    Description:
        The same person wants news on the morning train, recipes before dinner and a documentary on
        a rainy evening: hour, weekday, device, place and weather move what appeals, the device how
        much of the slate is seen (3, 5 or 10 slots, with less attention from slot to slot, and any
        number of clicks), the place how fast patience runs out. Loud
        titles are clicked more and are worth less. People tire of topics, and news and sport age
        within days. A visit ends with one's patience; the next begins after a time that depends on
        satisfaction, which follows the worth of what was clicked and not the clicks; whoever stays
        away for more than a week is lost.

    Observation space:
        step; context (6,): hour, weekday, device, place, weather, days since the last visit;
        history_item (20,), history_feedback (20, 5), history_age (20,): the last clicks.

    Action space:
        MultiDiscrete([400] * 10), item ids. A repeated item is an empty slot.

    Reward:
        click + like + .05 a minute of dwell + .5 for a click after which the user would be back
        within a day; stars are not rewarded.

    Start:
        The first visit of a fresh person, at any hour between six and midnight.

    End:
        Terminated when the user stays away for more than seven days; truncated after `horizon`
        slates.

    Args:
        num_items: items in the catalogue, with titles and text.
        slate_size: slots.
        horizon: slates, over all visits.
        history_size: remembered clicks in the observation.
        objective: reward per unit of click, like, rating, dwell and return.
        static: True: the negative control: time stands still and context moves nothing (it is
            shown, and means nothing), nothing ages, nobody tires, learns, loses patience or leaves.
        seed: decides who people and what items are.
        device: of every tensor.

    Source:
        made up; labelled synthetic. The constants are in slategym.envs.users.day_in_life and
        slategym.envs.day.

    Version history:
        v0: first.
    """
    if not 1 <= slate_size <= num_items:
        raise UsageError(f"slate_size must be in [1, {num_items}], got {slate_size}")
    if len(objective) != 5:
        raise UsageError(
            f"objective needs a weight for click, like, rating, dwell and return, got {objective}"
        )
    check_fits("num_items", num_items, BYTES_PER_ITEM, device)
    users = DayInLife(num_slots=slate_size, swayed=not static)
    return World(
        name="slategym/DayInLife-v0",
        catalogue=map_tensors(lambda x: x.to(device), _draw_items(num_items, seed)),
        population=Population(size=2**20),
        users=Unchanging(users) if static else users,
        choice=PositionBased(decay=0.8),
        context=Day(still=static),
        candidates=WholeCatalogue(),
        slate_size=slate_size,
        horizon=horizon,
        objective=objective,
        history_size=history_size,
        seed=seed,
        labels=(("people, items, days and weather", "synthetic", "made up"),),
    )


def _draw_items(num_items: int, seed: int) -> Catalogue:
    """Topic, quality, loudness (the better, the quieter), age, length, and words to match."""
    item_N = torch.arange(num_items, dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))  # items draw as users do
    topic_N = luck.integers(TOPIC, 1, len(TOPICS))[:, 0]
    quality_N = luck.normal(QUALITY, 1)[:, 0]
    loudness_N = 0.6 * luck.normal(LOUDNESS, 1)[:, 0] - 0.5 * quality_N
    age_N = 10.0 * luck.uniform(AGE, 1)[:, 0]  # days, at the user's first visit
    stretch_N = 0.5 + luck.uniform(LENGTH, 1)[:, 0]
    length_N = torch.tensor(MINUTES)[topic_N.long()] * stretch_N
    onehot_NG = torch.nn.functional.one_hot(topic_N.long(), len(TOPICS)).float()
    number_N = torch.stack([loudness_N, age_N, length_N], 1)
    title = tuple(
        _title(topic, loudness, form, about)
        for topic, loudness, form, about in zip(
            topic_N.tolist(),
            loudness_N.tolist(),
            luck.integers(FORM, 1, 12)[:, 0].tolist(),
            luck.integers(ABOUT, 1, 5)[:, 0].tolist(),
            strict=True,
        )
    )
    return Catalogue(
        topic=topic_N,
        embedding=torch.cat([onehot_NG, number_N], 1),
        quality=quality_N,
        topics=TOPICS,
        title=title,
        text=tuple(
            f"{title[n]} | {TOPICS[topic]} | {round(length)} minutes"
            for n, (topic, length) in enumerate(
                zip(topic_N.tolist(), length_N.tolist(), strict=True)
            )
        ),
    )


def _title(topic: int, loudness: float, form: int, about: int) -> str:
    forms = LOUD if loudness > 0.4 else QUIET
    words = forms[form % len(forms)].format(ABOUTS[topic][about])
    return words[0].upper() + words[1:]
