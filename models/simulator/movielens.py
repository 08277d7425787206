"""MovieLens as a world: one recipe of `learned_world`, with its constants, labels and pages."""

from __future__ import annotations

from dataclasses import replace

from slategym.envs.types import World
from slategym.models.people.registry import find_family
from slategym.models.simulator.assumptions import MILD_RULE, Assumptions, Label, find_assumptions
from slategym.models.simulator.builder import Recipe, WorldBuilder, WorldSettings, builder_of
from slategym.models.simulator.click_rates import ClickRates, Constants
from slategym.models.simulator.parties import Parties
from slategym.models.simulator.sessions import PatienceChosen
from slategym.models.simulator.world import build_world

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


def movielens(
    static: bool = False,
    users: str = "training",
    slate_size: int = 5,
    assumptions: str = "mild",
    boredom: float | None = None,
    state: bool = True,
    starts: int = 8,
    pessimism: float = 0.0,
    ensemble: int = 3,
    family: str | None = None,
    anyway: bool = False,
    device: str = "cpu",
) -> World:
    """Films for people who choose, like and rate as a BERT learned from MovieLens-100K.

    Description:
        A person arrives with ten rated films behind them and is shown slates of films that they
        have not rated. They click at most one (multinomial logit over click and like of a
        multi-task BERT, against taking nothing), like it or not, and rate it. The click joins their
        history, the clock moves on. Assumed, since no log of ratings shows it: three of the last
        five clicks on one genre make it boring for eight slates, and slates without a click cost
        patience.

        Three models are fitted on different people: A's is the simulated people, B's is the
        supervised ranker and reads the session for the agents, J's is the judge's people.

    Observation space:
        step; context (2,): hour and weekday; profile (3,): age, gender, occupation; history_item
        (30,), history_feedback (30, 3), history_age (30,): the last clicked films, with click, like
        and stars (with `pessimism` a fourth, the penalty); action_mask (1682,): which films may be
        shown; state (64,): the B-model's embedding of all that. Boredom and patience are hidden.

    Action space:
        MultiDiscrete([1682] * slate_size), film ids. A film shown twice or consumed before is an
        empty slot.

    Reward:
        1 per click and 1 per like; with `pessimism`, less where models of the people disagree.

    Start:
        At a random point of a real person's history.

    End:
        Terminated when patience is gone; truncated after 30 slates.

    Args:
        static: True: the negative control, without boredom, patience, drift and clock.
        users: whose histories: "training" (people of A and B), or "calibration", "selection",
            "evaluation" (three groups of J's people).
        slate_size: slots.
        assumptions: what is added because no log shows it: "none", "mild", "lasting", "mixed",
            "habit", "smooth" or "return" (docs/assumptions.md), perhaps with other numbers, as in
            "lasting:duration=8".
        boredom: log-odds that boredom takes, 0 for none; null: as assumed.
        state: False leaves out the B-model and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        pessimism: for training: reward that a click loses per unit of disagreement, the standard
            deviation of the item's expected reward over an ensemble; 0: none.
        ensemble: models of A's people that are asked, the world's own included; each is fitted
            once, in about a minute.
        family: kind of model that plays the people: bert, factor, gp, covisitation; null:
            bert.
        anyway: True takes a family that does worse than no model on people unknown to it.
        device: of every tensor.

    Source:
        MovieLens-100K (Harper and Konstan 2015, doi:10.1145/2827872); the models' cards say what
        they were fitted on.

    Version history:
        v0: first.
    """
    assumed = _assumed(assumptions, boredom)
    settings = WorldSettings(
        "A", static, users, slate_size, assumed, state, starts, device, None, pessimism, ensemble
    )
    settings = replace(settings, family=_found(family), anyway=anyway)
    return build_world(DATASET, MOVIELENS, settings)


def movielens_judge(
    static: bool = False,
    users: str = "training",
    slate_size: int = 5,
    assumptions: str = "mild",
    boredom: float | None = None,
    state: bool = True,
    starts: int = 8,
    family: str | None = None,
    anyway: bool = False,
    device: str = "cpu",
) -> World:
    """The same films before independent people: another family of model, fitted on others.

    Description:
        As slategym/MovieLens-v0, but clicks, likes and ratings come from another family of models,
        by default fading factors and a regression on biases, drift, factors and genres, fitted on
        J's people, whom no other model has met. The assumed rules are the same, so this world tests
        whether what a policy learned of people's preferences carries over, not whether the rules
        are true.

    Observation space:
        As slategym/MovieLens-v0; the state embedding is the B-model's here too.

    Action space:
        MultiDiscrete([1682] * slate_size), film ids. A film shown twice or consumed before is an
        empty slot.

    Reward:
        1 per click and 1 per like.

    Start:
        At a random point of a real person's history.

    End:
        Terminated when patience is gone; truncated after 30 slates.

    Args:
        static: True: the negative control, without boredom, patience, drift and clock.
        users: whose histories: "training" (people of A and B), or "calibration", "selection",
            "evaluation" (three groups of J's people).
        slate_size: slots.
        assumptions: what is added because no log shows it: "none", "mild", "lasting", "mixed",
            "habit", "smooth" or "return" (docs/assumptions.md), perhaps with other numbers, as in
            "lasting:duration=8".
        boredom: log-odds that boredom takes, 0 for none; null: as assumed.
        state: False leaves out the B-model and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        family: kind of model that plays the people: bert, factor, gp, covisitation; null:
            factor.
        anyway: True takes a family that does worse than no model on people unknown to it.
        device: of every tensor.

    Source:
        MovieLens-100K (Harper and Konstan 2015, doi:10.1145/2827872); models/people.

    Version history:
        v0: first; the usual judge has since been mended, and its family may be chosen.
    """
    assumed = _assumed(assumptions, boredom)
    settings = WorldSettings("J", static, users, slate_size, assumed, state, starts, device)
    settings = replace(settings, family=_found(family), anyway=anyway)
    return build_world(DATASET, MOVIELENS, settings)


def _found(family: str | None) -> str | None:
    return None if family is None else find_family(family)


def _assumed(assumptions: str, boredom: float | None) -> Assumptions:
    """The value of that name, at that boredom."""
    found = find_assumptions(assumptions)
    return found if boredom is None else found.overridden({"boredom": boredom})


def builder() -> WorldBuilder:
    """What all worlds of MovieLens share, one a process."""
    return builder_of(DATASET, MOVIELENS)


def parties() -> Parties:
    """The log, its people and their models."""
    return builder().parties


def click_constants(party: str) -> Constants:
    """Skip and temperature of A's or J's people."""
    return builder().click_constants(party)


def patience_chosen() -> PatienceChosen:
    """Everybody's patience."""
    return builder().patience
