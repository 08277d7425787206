"""Twelve trades in one builder: scenarios with a known truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.memory import check_fits
from slategym.envs.names import UsageError, lookup
from slategym.envs.scenarios.attack import Attack
from slategym.envs.scenarios.catalogue import BYTES_PER_ITEM, draw_items
from slategym.envs.scenarios.constants import SCENARIOS
from slategym.envs.scenarios.permitted import Permitted
from slategym.envs.settings import Count, Length, Range, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Population, World
from slategym.envs.users.unchanging import Unchanging

Strength = Annotated[float, Range(0, 2)]
Noise = Annotated[float, Range(0, 0.5)]
Rate = Annotated[float, Range(0, 1)]
PEOPLE = 2**20
SPAM = 0.5  # share of the catalogue that is spam, per unit of noise


def scenario(
    scenario: str = "Shop",
    strength: Strength = 1.0,
    drift: Rate = 0.0,
    noise: Noise = 0.0,
    attackers: Noise = 0.0,
    rounds: Length = 6,
    num_items: Count = 200,
    slate_size: Count | None = None,
    horizon: Count | None = None,
    history_size: Length = 20,
    objective: tuple[float, ...] | None = None,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """A trade with the thing that makes it hard, whose truth is known.

    Description:
        What the scenario is about stands below. All scenarios are one model of people, composed of
        parts: taste by topic, what an item's columns pull, the context of the request, what slates
        leave behind (needs and budgets, satiation and habit, trust, skill), patience that ends a
        visit, and loyalty that decides whether and when there is another one. Several clicks per
        slate or one, as the scenario has it; values after a click follow the item's worth to the
        person.

    Observation space:
        step; context: those fields of hour, weekday, device, place, weather and days since the
        last visit that the scenario shows; context_NAME (1,): its further circumstances, such as
        the season; history_item (20,), history_feedback (20, M), history_age (20,): the last
        clicks; in scenarios with a rule, profile (1,): the person's class, and action_mask (200,):
        what may be shown to that class.

    Action space:
        MultiDiscrete([200] * K), item ids, K slots as the scenario has it. A repeated item, or one
        that the rule forbids to the person, is an empty slot.

    Reward:
        the objective: so much per click and per unit of each of the scenario's signals.

    Start:
        The first visit of a fresh person, at any hour between six and midnight.

    End:
        Terminated when the person leaves for good, at the end of a visit; truncated after
        `horizon` slates, over all visits.

    Args:
        scenario: which trade; fixed by the world's id.
        strength: of what slates change later, in [0, 2]. At 0 nothing that is shown changes what
            comes next, and planning cannot pay; context goes on moving.
        drift: standard deviation of the steps by which tastes wander on their own from slate to
            slate, log-odds, in [0, 1].
        noise: share of clicks that are mistakes, in [0, .5]; half as large a share of the items
            are spam.
        attackers: share of the items whose providers learn what gets them shown, in [0, .5]: worth
            little, they come to look like what a greedy ranker of clicks shows most.
        rounds: of best responses of the attackers, at most; 0: they are worth little, and have
            learnt nothing yet.
        num_items: items in the catalogue, with titles, texts and columns.
        slate_size: slots; the scenario's own unless given.
        horizon: slates, over all visits; the scenario's own unless given.
        history_size: remembered clicks in the observation.
        objective: reward per unit of the click and of each signal; the scenario's own unless given.
        static: True: the negative control: nobody changes, tires, learns or leaves, time stands
            still and context moves nothing (it is shown, and means nothing).
        seed: decides who people and what items are.
        device: of every tensor.

    Source:
        made up; labelled synthetic. Every number is in slategym.envs.scenarios.constants.

    Version history:
        v0: first.
    """
    its = lookup("scenario", scenario, SCENARIOS)
    K = its.slate_size if slate_size is None else slate_size
    if not 1 <= K <= num_items:
        raise UsageError(f"slate_size must be in [1, {num_items}], got {K}")
    if static and drift:
        raise UsageError(f"static: nothing moves in the twin; drift must be 0, got {drift}")
    weights = its.objective if objective is None else objective
    if len(weights) != len(its.objective):
        names = ", ".join(["click", *(one.signal.name for one in its.answers)])
        raise UsageError(f"objective needs a weight for each of {names}; got {weights}")
    check_fits("num_items", num_items, BYTES_PER_ITEM, device)
    catalogue = draw_items(num_items, its.words, its.columns, SPAM * noise, seed)
    if its.rule is not None:
        its.rule.check(catalogue, K)
    people = Population(size=PEOPLE) if its.rule is None else its.rule.people(PEOPLE, seed)
    person = its.person(strength, drift, noise, static, K)
    world = World(
        name=f"slategym/Scenario-{scenario}-v0",
        catalogue=catalogue,
        population=people,
        users=Unchanging(person) if static else person,
        choice=its.choice,
        context=its.occasion(static),
        candidates=WholeCatalogue() if its.rule is None else Permitted(its.rule),
        slate_size=K,
        horizon=its.horizon if horizon is None else horizon,
        objective=weights,
        history_size=history_size,
        seed=seed,
        labels=(
            ("people, items, days and weather", "synthetic", "made up"),
            ("what slates change later", "synthetic", f"strength {strength:g}"),
        ),
    )
    if attackers:
        world = Attack(attackers, rounds).on(world, its.words, its.columns)
        if its.rule is not None:
            its.rule.check(world.catalogue, K)
    moved = map_tensors(lambda x: x.to(device), (world.catalogue, world.population))
    return replace(world, catalogue=moved[0], population=moved[1])
