"""From a log's parties to worlds: what all worlds of one log share is computed once."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.candidates import UnseenCatalogue, UnseenOfMany, WholeCatalogue, unseen
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Clock, LoggedContext
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.protocols import UserModel
from slategym.envs.trees import map_tensors
from slategym.envs.types import AgentLog, Catalogue, Column, Keys, Population, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.carry_over import CarryOver
from slategym.envs.users.patience import Patience
from slategym.envs.users.returns import Returns
from slategym.models.data.dynamics import Dynamics, dynamics
from slategym.models.data.log import Log, liked_by
from slategym.models.data.sittings import repetition
from slategym.models.data.slates import default_slate, slates_left, too_few_left
from slategym.models.data.worth import worth_of
from slategym.models.files import kept
from slategym.models.multitask.incremental import BertObserver, StateEncoder
from slategym.models.multitask.scores import heading
from slategym.models.people.registry import BERT
from slategym.models.simulator.assumptions import (
    MILD,
    MILD_RULE,
    STATED_PATIENCE,
    VISITS,
    Assumptions,
    Label,
)
from slategym.models.simulator.click_rates import (
    Constants,
    nearest,
    raw_appeal,
    raw_heads,
    solve_slates,
)
from slategym.models.simulator.fits import Network, fit_side_by_side
from slategym.models.simulator.labels import label_of_choice, labels_of_log
from slategym.models.simulator.pace import Pace, moves_of, pace_of
from slategym.models.simulator.parties import USUAL, Parties, Split
from slategym.models.simulator.pessimism import pessimistic
from slategym.models.simulator.population import first, usual
from slategym.models.simulator.recipe import Recipe, WorldSettings
from slategym.models.simulator.sessions import PATIENCES, PatienceChosen, choose_patience
from slategym.models.simulator.shown import MIN_SLATES, has_refusals, logged_slates
from slategym.models.simulator.users import LearnedUsers, Taste

PREPARED = 50_000  # arrivals whose histories are read beforehand; of more, as they arrive
CALIBRATED = 2**25  # entries of a table of people by items, at most, while constants are found
SHOWN = 30  # slates of a session that agents may look back on, at most


class WorldBuilder:
    """A log, its three models, and the constants that all worlds of it share."""

    def __init__(self, log: Log, recipe: Recipe, split: Split = 0) -> None:
        """Part the people; models are fitted when a world first needs them."""
        self.log, self.recipe = log, recipe
        self.parties = Parties(log, recipe.parties, split)
        self.pace = self._pace()
        self._tastes: dict[tuple[str, str, str, int], Taste[Any]] = {}
        self._constants: dict[tuple[str, str], Constants] = {}

    def world(self, settings: WorldSettings) -> World:
        """The world of these settings, without a place to make choices in."""
        family = settings.people
        fit_side_by_side(self.parties, self._networks(settings))
        if settings.family is not None and not settings.anyway:
            self.parties.check(family, settings.role)
        bare = self._bare(settings.role, family, settings.users, settings.starts, settings.device)
        slate_size = self.default_slate if settings.slate_size is None else settings.slate_size
        horizon = self._horizon(settings.assumptions)
        self._check_slate_size(bare, slate_size, horizon)
        observer, constants = None, self.click_constants(settings.role, family)
        if settings.state:
            encoder = self._encoder("B", settings.device)
            several = constants.decay is not None
            observer = BertObserver(
                _ready(encoder, bare.population),  # type: ignore[arg-type]
                several,
            )
        name = self.recipe.judge if settings.role == "J" else self.recipe.world
        name = name if family == USUAL[settings.role] else f"{name} ({family})"
        world = replace(
            bare,
            name=f"{name} (static)" if settings.static else name,
            users=self._people(settings, bare),
            choice=constants.choice,
            context=self._context(settings.static, settings.device),
            candidates=self._candidates(bare.population, slate_size, horizon),
            slate_size=slate_size,
            horizon=horizon,
            observer=observer,
            labels=(*self._labels(settings), *self._label_of_family(settings)),
        )
        if settings.objective is not None:
            world = replace(world, objective=_objective(world, settings.objective))
        if not settings.pessimism:
            return world
        others = [self._people(settings, bare, n) for n in range(1, settings.ensemble)]
        return pessimistic(world, others, settings.pessimism)

    def _networks(self, settings: WorldSettings) -> list[Network]:
        """Networks on which a world rests, the people's first."""
        found: list[Network] = []
        if settings.people == BERT:
            members = settings.ensemble if settings.pessimism else 1
            found += [Network(settings.role, member) for member in range(members)]
        if settings.assumptions.impatience and self.pace.visit is not None:
            found.append(Network("A"))  # before whose people patience is chosen
        return list(dict.fromkeys([*found, Network("B")]))

    @cached_property
    def agent_log(self) -> AgentLog:
        """What B's people did, and were shown: agents may learn from it before they act."""
        log, shown = self.parties.agent_log("B"), None
        if has_refusals(self.log):
            shown = logged_slates(self.log, np.sort(self.parties.people["B"]), self.parties.warm)
        return replace(log, shown=shown)

    @cached_property
    def keys(self) -> Keys:
        """What the log calls what is numbered here; traits without words are called by number."""
        pairs = zip(self.log.profile_names, self.log.profile_sizes, strict=True)
        numbered = tuple(Column(name, tuple(map(str, range(size)))) for name, size in pairs)
        return Keys(
            item=tuple(self.log.items["key"].astype(str)),
            traits=self.log.traits or numbered,
            usual=tuple(usual(self.log.events, column) for column in self.log.context),
            like=liked_by(self.log),
        )

    @cached_property
    def default_slate(self) -> int:
        """Slots of a slate where nobody says otherwise."""
        return default_slate(self.log)

    def _pace(self) -> Pace:
        """The log's, cut to what the catalogue lasts for where nothing is had twice."""
        pace = pace_of(self.log, self.recipe.seconds_per_slate, self.recipe.horizon)
        if self.log.repeats or self.recipe.horizon is not None:
            return pace
        if problem := too_few_left(self.log):
            raise UsageError(f"{self.log.name}: {problem}")
        left = slates_left(self.log)
        assert left is not None
        return pace if pace.horizon <= left else replace(pace, horizon=left)

    def _bare(self, party: str, family: str, users: str, starts: int, device: str) -> World:
        """Everything but the people: enough to calibrate on."""
        population = map_tensors(lambda x: x.to(device), self.parties.population(users, starts))
        people = LearnedUsers(self._taste(party, family, device), skip=0.0, temperature=1.0)
        slate_size, horizon = min(self.recipe.rates_slate, self.default_slate), self.pace.horizon
        return World(
            name=party,
            catalogue=self._catalogue(device),
            population=population,
            users=people,
            choice=MultinomialLogit(skip=0.0),
            context=self._context(False, device),
            candidates=self._candidates(population, slate_size, horizon),
            slate_size=slate_size,
            horizon=horizon,
            objective=self.recipe.objective or _declared(people),
            history_size=self.pace.horizon,
            shown_size=min(self.pace.horizon, SHOWN),
            agent_log=self.agent_log,
            keys=self.keys,
        )

    def _candidates(
        self, population: Population, slate_size: int, horizon: int
    ) -> WholeCatalogue | UnseenCatalogue | UnseenOfMany:
        """Everything, or what was not consumed, where nothing is had twice."""
        if self.log.repeats:
            return WholeCatalogue()
        return unseen(self.log.num_items, _most(population) + slate_size * horizon)

    def _catalogue(self, device: str) -> Catalogue:
        items, log = self.log.items, self.log
        return Catalogue(
            topic=torch.tensor(items["topic"].to_numpy(), dtype=torch.int32, device=device),
            embedding=self._encoder("B", device).items_ND,
            quality=torch.zeros(log.num_items, device=device),
            topics=log.topic_names,
            title=tuple(items["title"]),
            text=tuple(items["text"]),
            popularity=self.parties.clicks_of("B").to(device),
            attributes=tuple(
                (column, _attribute(items[column.name].to_numpy(), column, device))
                for column in log.item_columns
            ),
        )

    def _context(self, static: bool, device: str) -> Clock | LoggedContext:
        clock = Clock(0.0 if static else self.pace.seconds_per_slate / 60.0)
        if not self.log.context:
            return clock
        moves = map_tensors(lambda x: x.to(device), self._moves)
        return LoggedContext(clock, self.log.context, moves)

    @cached_property
    def _moves(self) -> tuple[Any, ...]:
        return moves_of(self.log)

    def _encoder(self, party: str, device: str) -> StateEncoder:
        taste = self._taste(party, BERT, device)
        assert isinstance(taste, StateEncoder)
        return taste

    def _taste(self, party: str, family: str, device: str, member: int = 0) -> Taste[Any]:
        key = (party, family, device, member)
        if key not in self._tastes:
            seconds = self.pace.seconds_per_slate
            self._tastes[key] = self.parties.taste(
                family, party, member, seconds_per_event=seconds, device=device
            )
        return self._tastes[key]

    def _people(self, settings: WorldSettings, world: World, member: int = 0) -> UserModel[Any]:
        """The role's people, as this member of its ensemble has them."""
        constants = self.click_constants(settings.role, settings.people)
        taste = self._taste(settings.role, settings.people, settings.device, member)
        people = _choosing(_ready(taste, world.population), constants, settings.static)
        if settings.static:
            return people
        return self._assumed(people, settings.assumptions)

    def _assumed(
        self, people: LearnedUsers, assumptions: Assumptions, patience: float | None = None
    ) -> UserModel[Any]:
        """The people with what no log shows; patience None: the chosen one."""
        satiation = assumptions.satiation(len(self.log.topic_names))
        if isinstance(satiation, CarryOver):
            satiation = replace(satiation, **asdict(worth_of(self.log)))
        impatience = None
        if assumptions.impatience:
            impatience = Patience(self.patience.patience if patience is None else patience)
        returns = None if assumptions.returns is None else self._returns(assumptions.returns)
        if satiation is None and impatience is None and returns is None:
            return people
        return Assumed(people, satiation, impatience, returns)

    def _returns(self, assumed: Returns) -> Returns:
        """With the log's own pauses and length of a visit, and what tells how much is liked.

        That is the first signal after the click with two ends; without one it is the appeal.
        """
        number, signal = next(
            ((m, s) for m, s in enumerate(self.log.signals) if m and math.isfinite(s.high - s.low)),
            (None, None),
        )
        pauses = self.dynamics.pauses
        return replace(
            assumed,
            pause=assumed.pause if pauses is None else pauses[1] / math.log(2.0),
            longest=self.pace.horizon,
            signal=number,
            low=0.0 if signal is None else signal.low,
            high=1.0 if signal is None else signal.high,
        )

    @cached_property
    def dynamics(self) -> Dynamics:
        """What the log itself says of runs, repeats, pauses and returns."""
        place = f"constants/{self.parties.slug}-dynamics"
        found = kept(
            place, [self.log.sha256, self.log.pause, 1], lambda: asdict(dynamics(self.log))
        )
        pairs: dict[str, Any] = {
            name: tuple(x) if isinstance(x, list) else x for name, x in found.items()
        }
        return Dynamics(**pairs)

    def _horizon(self, assumptions: Assumptions) -> int:
        """Slates of a session: of one visit, or of as many as returns allow and items last for."""
        if assumptions.returns is None:
            return self.pace.horizon
        left = None if self.log.repeats else slates_left(self.log)
        wanted = VISITS * self.pace.horizon
        return wanted if left is None else max(self.pace.horizon, min(wanted, left))

    def click_constants(self, party: str, family: str | None = None) -> Constants:
        """Skip and temperature of A's or J's people, found once on calibration people and kept.

        Fitted on the log's slates where it has such in which nothing was clicked, else solved for
        two stated click rates.

        Args:
            party: "A" or "J".
            family: of its people; None: the usual one.
        """
        family = family or USUAL[party]
        if (party, family) not in self._constants:
            folder = self.parties.folder(party, 0, family).name
            version = 3 if has_refusals(self.log) else 2  # of what slates say; of stated rates
            decides = [folder, self.parties.folder("B").name, asdict(self.recipe.rates), version]
            found = kept(
                f"constants/{folder}-choice", decides, lambda: asdict(self._choice(party, family))
            )
            self._constants[party, family] = Constants(**found)
        return self._constants[party, family]

    def _choice(self, party: str, family: str) -> Constants:
        world = self._bare(party, family, "calibration", starts=3, device="cpu")
        number = max(MIN_SLATES, CALIBRATED // self.log.num_items)
        world = replace(world, population=first(world.population, number))
        users = world.users
        assert isinstance(users, LearnedUsers)
        if has_refusals(self.log):
            calibration = self.parties.people["calibration"]
            shown = logged_slates(self.log, calibration, self.parties.warm)
            if shown is not None:
                there = replace(world, population=shown.population)
                head_SKF = raw_heads(there, users, shown.item_SK.clamp(min=0))
                return solve_slates(head_SKF, shown.item_SK >= 0, shown.clicked_SK)
        random_UK, popular_UK = (
            raw_appeal(world, users, slate_UK) for slate_UK in self._probes(world)
        )
        return nearest(random_UK, popular_UK, self.recipe.rates)

    def _probes(self, world: World) -> tuple[Tensor, Tensor]:
        """A random and a popular slate for everybody, of what they may be shown, (U, K) each."""
        everybody_U = torch.arange(world.population.size, dtype=torch.int32)
        arrival = engine.arrive(world.population, everybody_U)
        offer = world.candidates.initial(world.catalogue, arrival, Luck(everybody_U))
        allowed_UN = world.candidates.allowed(offer)
        shape = (world.population.size, self.log.num_items)
        popular_UN = self.parties.clicks_of("B").expand(shape)
        shuffled_UN = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        if allowed_UN is not None:
            popular_UN = popular_UN.masked_fill(~allowed_UN, -1.0)
            shuffled_UN = shuffled_UN.masked_fill(~allowed_UN, -1.0)
        K = world.slate_size
        return shuffled_UN.topk(K, dim=1).indices, popular_UN.topk(K, dim=1).indices

    @cached_property
    def patience(self) -> PatienceChosen:
        """Everybody's patience, chosen once on A's world and the calibration users, and kept.

        Under the mild assumptions, whatever a world assumes: worlds differ in what is assumed, not
        in what is chosen after it.
        """
        if self.pace.visit is None:
            return PatienceChosen(STATED_PATIENCE, 0.0, 0.0, 0.0, 0.0)
        constants = self.click_constants("A")
        length = self.pace.visit

        def chosen() -> dict[str, Any]:
            world = self._bare("A", USUAL["A"], "calibration", starts=8, device="cpu")
            number = max(MIN_SLATES, CALIBRATED // self.log.num_items)
            world = replace(world, population=first(world.population, number))
            people = _choosing(
                _ready(self._taste("A", USUAL["A"], "cpu"), world.population), constants
            )
            world = replace(world, choice=constants.choice)
            found = choose_patience(
                lambda patience: replace(world, users=self._assumed(people, MILD, patience)),
                self.parties.clicks_of("B"),
                length=length,
                repetition=repetition(self.log, MILD_RULE.memory, MILD_RULE.threshold),
            )
            return asdict(found)

        folder = self.parties.folder("A").name
        decides = [asdict(constants), asdict(MILD_RULE), asdict(self.pace), list(PATIENCES)]
        return PatienceChosen(**kept(f"constants/{folder}-patience", decides, chosen))

    def _label_of_family(self, settings: WorldSettings) -> tuple[Label, ...]:
        """Who plays the people, where it is not the usual family."""
        if settings.family is None:
            return ()
        found = self.parties.quality(settings.people, settings.role)
        why = f"on {found.people} people unknown to it: {found.sentence()}"
        if found.worse:
            worse = ", ".join(heading(figure) for figure in found.worse)
            why = f"taken anyway, worse than no model in {worse}; {why}"
        return ((f"people: {settings.people}", "derived", why),)

    def _labels(self, settings: WorldSettings) -> tuple[Label, ...]:
        log, told = self.log, self.recipe.labels
        if not told:
            told = (
                *labels_of_log(log, self.parties.warm, self.recipe.parties.warm),
                *self.pace.labels,
                label_of_choice(
                    self.click_constants(settings.role, settings.people), self.recipe.rates
                ),
            )
        if settings.static:
            return (*told, ("nothing changes", "assumed", "the negative control"))
        chosen, topics = self.pace.visit is not None, len(log.topic_names)
        assumed = settings.assumptions
        return (*told, *assumed.labels(log.words, topics, chosen, self.dynamics))

    def _check_slate_size(self, world: World, slate_size: int, horizon: int) -> None:
        """A slate must be fillable whatever a user has consumed and clicks on the way."""
        N, items = self.log.num_items, self.log.words.items
        if self.log.repeats:
            if not 1 <= slate_size <= N:
                raise UsageError(
                    f"slate_size must be in [1, {N}], got {slate_size}: there are {N} {items}"
                )
            return
        most = _most(world.population)
        left = N - most - horizon
        if not 1 <= slate_size <= left:
            raise UsageError(
                f"slate_size must be in [1, {left}], got {slate_size}: some users have consumed "
                f"{most} of {N} {items} and take up to one in each of {horizon} slates"
            )


def _choosing(taste: Taste[Any], constants: Constants, static: bool = False) -> LearnedUsers:
    """People of that taste who choose by these constants."""
    return LearnedUsers(
        taste,
        skip=constants.skip,
        temperature=constants.temperature,
        like_weight=constants.like_weight,
        static=static,
        several=constants.decay is not None,
    )


def _ready(taste: Taste[Any], population: Population) -> Taste[Any]:
    """The taste with the people's histories read beforehand, unless that takes too much memory."""
    return taste.prepared(population) if population.size <= PREPARED else taste


def _most(population: Population) -> int:
    assert population.consumed is not None
    return population.consumed.most


def _declared(people: UserModel[Any]) -> tuple[float, ...]:
    """The weights that the signals declare; a click counts 1 where none does."""
    weights = tuple(signal.weight for signal in people.signals)
    return weights if any(weights) else (1.0, *weights[1:])


def _objective(world: World, asked: tuple[tuple[str, float], ...]) -> tuple[float, ...]:
    weights = dict(asked)
    names = [signal.name for signal in world.users.signals]
    for name in weights:
        if name not in names:
            raise UsageError(
                f"the objective weighs {name!r}, which is no signal of the log; it has "
                f"{', '.join(names)}"
            )
    return tuple(weights.get(name, 0.0) for name in names)


def _attribute(values_N: np.ndarray, column: Column, device: str) -> Tensor:
    kind = torch.int32 if column.categories else torch.float32
    return torch.tensor(values_N, dtype=kind, device=device)
