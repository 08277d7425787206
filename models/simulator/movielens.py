"""MovieLens as a world: learned users who choose films, tire of genres and lose patience.

Built from three models (`models/simulator/parties`): A's is the people, B's reads the session for
the agents, J's is the people of the second opinion. All constants are here, each with its label.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, TypeVar

import torch

from slategym.envs import engine
from slategym.envs.candidates import UnseenCatalogue
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Clock
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Catalogue, Provenance, UserModel, World, map_tensors
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation
from slategym.models.data.sittings import mean_sitting, repetition
from slategym.models.files import atomic_path, home
from slategym.models.judge.factor import JudgeTaste
from slategym.models.multitask.incremental import BertObserver, StateEncoder
from slategym.models.simulator.click_rates import ClickRates, Constants, raw_appeal, solve
from slategym.models.simulator.parties import Parties
from slategym.models.simulator.pessimism import pessimistic
from slategym.models.simulator.sessions import PATIENCES, PatienceChosen, choose_patience
from slategym.models.simulator.users import LearnedUsers, Taste

K = TypeVar("K", Constants, PatienceChosen)

DATASET = "movielens-100k"
SECONDS_PER_SLATE = 36.0  # derived: median non-zero pause inside a sitting of the log
HORIZON = 30  # slates
BOREDOM = 4.0  # log-odds, assumed
RATES = ClickRates(random=0.15, popular=0.50)  # assumed
RATES_SLATE = 5  # slots of the slates that the click rates speak of
OBJECTIVE = (1.0, 1.0, 0.0)  # reward per click, like, star

LABELS: tuple[tuple[str, Provenance, str], ...] = (
    ("rating", "logged", "stars given on MovieLens"),
    ("click", "derived", "a film that was rated at all, against sampled films that were not"),
    ("like", "derived", "a rating of at least 4 stars"),
    ("hour, weekday", "derived", "UTC time stamps of the ratings"),
    ("36 s per slate", "derived", "median non-zero pause inside a sitting of the log"),
    ("click rates .15 / .50", "assumed", "share of random and of popular slates that get a click"),
    (
        "boredom",
        "assumed",
        "3 of the last 5 clicks on a genre lower it for 8 slates; the log has none",
    ),
    (
        "patience",
        "assumed",
        "a slate without a click costs 1, a click regains .5; how much there is of it is chosen so "
        "that sessions under popular slates last as long as the log's sittings",
    ),
    ("session of 30 slates", "assumed", "the log's mean sitting has 36 ratings"),
)
"""What is measured and what is not: (what, label, why)."""


@dataclass(frozen=True)
class Assumptions:
    """What is added to the learned users because no log of ratings shows it."""

    boredom: float = BOREDOM  # log-odds taken from a boring genre; 0: no boredom
    memory: int = 5  # clicks
    threshold: int = 3  # clicks on one genre
    duration: int = 8  # slates


@dataclass(frozen=True)
class Asked:
    """The settings of both worlds; `movielens` says what they mean."""

    static: bool
    users: str
    slate_size: int  # K
    boredom: float  # log-odds
    state: bool
    starts: int
    device: str
    pessimism: float = 0.0  # reward per unit of disagreement
    ensemble: int = 3  # models that may disagree, the world's own included

    def __post_init__(self) -> None:
        if not 0 <= self.pessimism < float("inf"):
            raise UsageError(f"pessimism is taken from rewards and is >= 0, got {self.pessimism}")
        if self.pessimism and self.ensemble < 2:
            raise UsageError(f"an ensemble needs at least 2 models, got {self.ensemble}")
        if not 0 <= self.boredom < float("inf"):
            raise UsageError(f"boredom is taken from log-odds and is 0 or more, got {self.boredom}")
        if self.starts < 1:
            raise UsageError(f"starts must be at least 1 arrival per person, got {self.starts}")


def movielens(
    static: bool = False,
    users: str = "training",
    slate_size: int = 5,
    boredom: float = BOREDOM,
    state: bool = True,
    starts: int = 8,
    pessimism: float = 0.0,
    ensemble: int = 3,
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
        boredom: log-odds that a boring genre loses; 0 for none.
        state: False leaves out the B-model and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        pessimism: for training: reward that a click loses per unit of disagreement, the standard
            deviation of the item's expected reward over an ensemble; 0: none.
        ensemble: models of A's people that are asked, the world's own included; each is fitted
            once, in about a minute.
        device: of every tensor.

    Source:
        MovieLens-100K (Harper and Konstan 2015, doi:10.1145/2827872); the models' cards say what
        they were fitted on.

    Version history:
        v0: first.
    """
    asked = Asked(static, users, slate_size, boredom, state, starts, device, pessimism, ensemble)
    return _world("slategym/MovieLens-v0", "A", asked)


def movielens_judge(
    static: bool = False,
    users: str = "training",
    slate_size: int = 5,
    boredom: float = BOREDOM,
    state: bool = True,
    starts: int = 8,
    device: str = "cpu",
) -> World:
    """The same films before independent people: another family of model, fitted on others.

    Description:
        As slategym/MovieLens-v0, but clicks, likes and ratings come from a factor model with biases
        and genres fitted on J's people, whom no other model has met. The assumed rules are the
        same, so this world tests whether what a policy learned of people's preferences carries
        over, not whether the rules are true.

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
        boredom: log-odds that a boring genre loses; 0 for none.
        state: False leaves out the B-model and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        device: of every tensor.

    Source:
        MovieLens-100K (Harper and Konstan 2015, doi:10.1145/2827872); factor model: Koren 2009.

    Version history:
        v0: first.
    """
    asked = Asked(static, users, slate_size, boredom, state, starts, device)
    return _world("slategym/MovieLens-Judge-v0", "J", asked)


def _world(name: str, party: str, asked: Asked) -> World:
    """The world of this party's people."""
    sides = parties()
    bare = _bare(sides, party, asked.users, asked.starts, asked.device)
    _check_slate_size(bare, asked.slate_size)
    observer = None
    if asked.state:
        observer = BertObserver(_encoder(sides, "B", asked.device).prepared(bare.population))
    # choices are made in the world, whoever asks: the judge has no part in them
    chosen_on = replace(asked, users="selection", pessimism=0.0)
    world = replace(
        bare,
        name=f"{name} (static)" if asked.static else name,
        users=_people(sides, party, asked, bare),
        context=Clock(0.0 if asked.static else SECONDS_PER_SLATE / 60.0),
        slate_size=asked.slate_size,
        observer=observer,
        selection=partial(_world, "slategym/MovieLens-v0", "A", chosen_on),
    )
    if not asked.pessimism:
        return world
    others = [_people(sides, party, asked, bare, member) for member in range(1, asked.ensemble)]
    return pessimistic(world, others, asked.pessimism)


def _people(
    sides: Parties, party: str, asked: Asked, world: World, member: int = 0
) -> UserModel[Any]:
    """The party's people, as this member of its ensemble has them."""
    constants = click_constants(party)
    people = LearnedUsers(
        taste=_taste(sides, party, asked.device, member).prepared(world.population),
        skip=constants.skip,
        temperature=constants.temperature,
        static=asked.static,
    )
    if asked.static:
        return people
    assumptions, num_topics = Assumptions(boredom=asked.boredom), world.catalogue.num_topics
    return _assumed(people, assumptions, patience_chosen().patience, num_topics)


def _check_slate_size(world: World, slate_size: int) -> None:
    """A slate must be fillable whatever a user has consumed and clicks on the way."""
    assert world.population.consumed is not None
    most = world.population.consumed.most
    left = world.catalogue.num_items - most - HORIZON
    if not 1 <= slate_size <= left:
        raise UsageError(
            f"slate_size must be in [1, {left}], got {slate_size}: some users have consumed {most} "
            f"of {world.catalogue.num_items} films and take up to one in each of {HORIZON} slates"
        )


def _assumed(
    people: LearnedUsers, assumptions: Assumptions, patience: float, num_topics: int
) -> UserModel[Any]:
    """The people with the two rules that no log shows."""
    satiation = GenreSatiation(
        num_topics,
        memory=assumptions.memory,
        threshold=assumptions.threshold,
        penalty=assumptions.boredom,
        duration=assumptions.duration,
    )
    return Assumed(people, satiation if assumptions.boredom else None, Patience(patience))


def _bare(sides: Parties, party: str, users: str, starts: int, device: str) -> World:
    """Everything but the people: filled in by `_world`, enough to calibrate on."""
    log = sides.log
    encoder = _encoder(sides, "B", device)
    catalogue = Catalogue(
        topic=torch.tensor(log.items["topic"].to_numpy(), dtype=torch.int32, device=device),
        embedding=encoder.items_ND,
        quality=torch.zeros(log.num_items, device=device),
        topics=log.topic_names,
        title=tuple(log.items["title"]),
        text=tuple(log.items["text"]),
        popularity=sides.clicks_of("B").to(device),
    )
    return World(
        name=party,
        catalogue=catalogue,
        population=map_tensors(lambda x: x.to(device), sides.population(users, starts)),
        users=LearnedUsers(_taste(sides, party, device), skip=0.0, temperature=1.0),
        choice=MultinomialLogit(skip=0.0),
        context=Clock(SECONDS_PER_SLATE / 60.0),
        candidates=UnseenCatalogue(),
        slate_size=RATES_SLATE,
        horizon=HORIZON,
        objective=OBJECTIVE,
        history_size=HORIZON,
        labels=LABELS,
    )


@lru_cache(maxsize=1)
def parties() -> Parties:
    """One reading of the log a process."""
    return Parties(DATASET)


@lru_cache(maxsize=4)  # A, B, and two more of an ensemble
def _encoder(sides: Parties, party: str, device: str, member: int = 0) -> StateEncoder:
    model = sides.bert(party, member=member).to(device)
    return StateEncoder(model, seconds_per_event=SECONDS_PER_SLATE)


def _taste(sides: Parties, party: str, device: str, member: int = 0) -> Taste[Any]:
    if party == "J":
        return JudgeTaste(sides.judge().to(device))
    return _encoder(sides, party, device, member)


@lru_cache(maxsize=2)
def click_constants(party: str) -> Constants:
    """Skip and temperature of A's or J's people, solved once on the calibration users and kept."""
    sides = parties()

    def solved() -> Constants:
        world = _bare(sides, party, "calibration", starts=3, device="cpu")
        everybody_U = torch.arange(world.population.size, dtype=torch.int32)
        arrival = engine.arrive(world.population, everybody_U)
        seen_UN = UnseenCatalogue().initial(world.catalogue, arrival, Luck(everybody_U))
        assert isinstance(world.users, LearnedUsers)
        popular_UN = sides.clicks_of("B").expand(seen_UN.shape)
        shuffled_UN = torch.rand(seen_UN.shape, generator=torch.Generator().manual_seed(0))
        random_UK, popular_UK = (
            raw_appeal(world, world.users, score_UN.topk(RATES_SLATE, dim=1).indices)
            for score_UN in (x.masked_fill(seen_UN, -1.0) for x in (shuffled_UN, popular_UN))
        )
        return solve(random_UK, popular_UK, RATES)

    decides = [sides.folder(party).name, sides.folder("B").name, asdict(RATES)]
    return _kept(f"{sides.folder(party).name}-choice", decides, solved, Constants)


@lru_cache(maxsize=1)
def patience_chosen() -> PatienceChosen:
    """Everybody's patience, chosen once on A's world and the calibration users, and kept."""
    sides, assumptions, constants = parties(), Assumptions(), click_constants("A")

    def chosen() -> PatienceChosen:
        world = _bare(sides, "A", "calibration", starts=8, device="cpu")
        people = LearnedUsers(
            _taste(sides, "A", "cpu").prepared(world.population),
            skip=constants.skip,
            temperature=constants.temperature,
        )
        num_topics = world.catalogue.num_topics
        return choose_patience(
            lambda p: replace(world, users=_assumed(people, assumptions, p, num_topics)),
            sides.clicks_of("B"),
            length=mean_sitting(sides.log, HORIZON),
            repetition=repetition(sides.log, assumptions.memory, assumptions.threshold),
        )

    decides = [asdict(constants), asdict(assumptions), HORIZON, PATIENCES]
    return _kept(f"{sides.folder('A').name}-patience", decides, chosen, PatienceChosen)


def _kept(name: str, decides: list[Any], compute: Callable[[], K], kind: Callable[..., K]) -> K:
    """What `compute` says, kept as JSON in the cache folder under all that decides it."""
    digest = sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
    path = home() / "constants" / f"{name}-{digest}.json"
    if path.exists():
        return kind(**json.loads(path.read_text()))
    found = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(found), indent=2))  # type: ignore[call-overload]
    return found
