"""MovieLens as a world: one recipe of `learned_world`, with its constants, labels and page."""

from __future__ import annotations

from typing import Literal

from slategym.envs.names import lookup
from slategym.envs.settings import Amount, Count
from slategym.envs.types import World
from slategym.models.people.registry import find_family
from slategym.models.simulator.assumptions import MILD_RULE, Label, find_assumptions
from slategym.models.simulator.click_rates import ClickRates
from slategym.models.simulator.parties import Split
from slategym.models.simulator.recipe import Recipe, WorldSettings
from slategym.models.simulator.world import ROLES, build_world

DATASET = "movielens-100k"
SECONDS_PER_SLATE = 36.0  # derived: median non-zero pause inside a sitting of the log
HORIZON = 30  # slates
BOREDOM = MILD_RULE.penalty  # log-odds, assumed
RATES = ClickRates(random=0.15, popular=0.50)  # assumed
RATES_SLATE = 5  # slots of the slates that the click rates speak of
OBJECTIVE = (1.0, 1.0, 0.0)  # reward per click, like, star
LABELS: tuple[Label, ...] = (
    ("rating", "logged", "stars given on MovieLens"),
    ("click", "derived", "a film that was rated at all, against sampled films that were not"),
    ("like", "derived", "a rating of at least 4 stars"),
    ("hour, weekday", "derived", "UTC time stamps of the ratings"),
    ("36 s per slate", "derived", "median non-zero pause inside a sitting of the log"),
    ("click rates .15 / .50", "assumed", "share of random and of popular slates that get a click"),
    ("session of 30 slates", "assumed", "the log's mean sitting has 36 ratings"),
)
"""What is measured and what is not: (what, label, why)."""

MOVIELENS = Recipe(
    "slategym/MovieLens-v0",
    "slategym/MovieLens-Judge-v0",
    SECONDS_PER_SLATE,
    HORIZON,
    RATES,
    RATES_SLATE,
    OBJECTIVE,
    LABELS,
)


def movielens(  # noqa: D417 - the page of Log-v0 says what the other settings mean
    role: Literal["world", "judge"] = "world",
    static: bool = False,
    users: str = "training",
    slate_size: Count = 5,
    assumptions: str = "mild",
    boredom: Amount | None = None,
    state: bool = True,
    starts: Count = 8,
    pessimism: Amount = 0.0,
    ensemble: Count = 3,
    family: str | None = None,
    anyway: bool = False,
    split: Split = 0,
    device: str = "cpu",
) -> World:
    """Films for people who choose, like and rate as models learned from MovieLens-100K.

    Description:
        A recipe of slategym/Log-v0, whose page says more. A person arrives with ten rated films
        behind them and is shown slates of films that they have not rated. They click at most one
        (multinomial logit over click and like, against taking nothing), like it or not, and rate
        it. Assumed, since no log of ratings shows it: three of the last five clicks on one genre
        make it boring for eight slates, and slates without a click cost patience.

    Observation space:
        step; context (2,): hour and weekday; profile (3,): age, gender, occupation; history_item
        (30,), history_feedback (30, 3), history_age (30,): the last clicked films, with click, like
        and stars (with `pessimism` a fourth, the penalty); shown_item (30, 5), shown_taken (30, 5):
        the slates of the session and what was clicked of them; action_mask (1682,): which films
        may be shown; state (64,): the agents' model's embedding. Boredom and patience are hidden.

    Action space:
        MultiDiscrete([1682] * slate_size), film ids; one shown twice or had before: an empty slot.

    Reward:
        1 per click and 1 per like; with `pessimism`, less where models of the people disagree.

    End:
        Terminated when patience is gone; truncated after 30 slates.

    Args:
        slate_size: slots.
        boredom: log-odds that boredom takes, 0 for none; null: as assumed.
        ensemble: models of the world's people that are asked, each fitted in about a minute.

    Source:
        MovieLens-100K (Harper and Konstan 2015, doi:10.1145/2827872); the models' cards.
    """
    assumed = find_assumptions(assumptions)
    if boredom is not None:
        assumed = assumed.overridden({"boredom": boredom})
    played_by = None if family is None else find_family(family)
    settings = WorldSettings(
        lookup("role", role, ROLES), static, users, slate_size, assumed, state, starts, device,
        None, pessimism, ensemble, played_by, anyway, split,
    )  # fmt: skip
    return build_world(DATASET, MOVIELENS, settings)
