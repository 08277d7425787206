"""Logs, models and worlds small enough to compute by hand. Importable by every test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.features import RecentTopics
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Ranker
from slategym.envs.candidates import UnseenCatalogue, WholeCatalogue
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Clock
from slategym.envs.types import (
    CLICK,
    AgentLog,
    Arrival,
    Catalogue,
    Context,
    Population,
    Signal,
    World,
)
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation
from slategym.models.data.log import Log
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.incremental import BertObserver, StateEncoder
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.simulator.users import LearnedUsers
from slategym.models.tasks import Task, tasks_of
from slategym.models.taste import Outputs

GAP = 36.0  # seconds from slate to slate
GENRES = ("Comedy", "Drama", "War")
SIGNALS = (
    CLICK._replace(provenance="derived"),
    Signal("like", "binary", "count", 0, 1, "derived"),
    Signal("rating", "ordinal", "stars", 1, 5, "logged"),
)
TASKS = tasks_of(SIGNALS, like_from=4.0)


def small_log(num_users: int = 24, num_items: int = 40, seed: int = 0, *, longest: int = 24) -> Log:
    """People with 8 to `longest` events, popular items first; whoever is even likes even items."""
    rng = np.random.default_rng(seed)
    popularity_N = 1.0 / np.arange(1, num_items + 1)
    parts = []
    for user in range(num_users):
        count = min(int(rng.integers(8, longest + 1)), num_items)
        item = rng.choice(num_items, count, replace=False, p=popularity_N / popularity_N.sum())
        rating = np.where((item + user) % 2 == 0, 5, 2) - (rng.random(count) < 0.3)
        pause = np.where(rng.random(count) < 0.9, rng.integers(5, 300, count), 50_000)  # seconds
        time = 880_000_000 + rng.integers(0, 10**7) + np.cumsum(pause)
        parts.append(pd.DataFrame({"user": user, "item": item, "time": time, "rating": rating}))
    events = pd.concat(parts, ignore_index=True).astype({"user": np.int32, "item": np.int32})
    events["hour"] = (events["time"] % 86_400 / 3_600).astype(np.float32)
    events["weekday"] = ((events["time"] // 86_400 + 3) % 7).astype(np.int32)
    events["click"] = np.float32(1)
    events["like"] = (events["rating"] >= 4).astype(np.float32)
    events["rating"] = events["rating"].astype(np.float32)
    topic_N = np.arange(num_items, dtype=np.int32) % len(GENRES)
    titles = [f"film {n}" for n in range(num_items)]
    everyone = np.arange(num_users, dtype=np.int32)
    return Log(
        name="small",
        events=events,
        items=pd.DataFrame({"key": titles, "title": titles, "text": titles, "topic": topic_N}),
        users=pd.DataFrame({"key": everyone.astype(str), "age": everyone % 3, "sex": everyone % 2}),
        profile_names=("age", "sex"),
        profile_sizes=(3, 2),
        topic_names=GENRES,
        item_topics=np.eye(len(GENRES), dtype=np.float32)[topic_N],
        signals=SIGNALS,
        sha256=f"{num_users:032x}{seed:032x}",
    )


def loud_bert(
    num_items: int, *, seed: int = 0, max_history: int = 24, sequence: str = "causal"
) -> MultiTaskBert:
    """A random network whose every weight matters: a mistake anywhere is heard."""
    generator = torch.Generator().manual_seed(seed)
    model = MultiTaskBert(
        MultiTaskSettings(width=16, feedforward=24, max_history=max_history, sequence=sequence),
        TASKS,
        text_vectors_ND0=torch.randn(num_items, 12, generator=generator),
        biases=ItemBiases.neutral(num_items, len(TASKS)),
        profile_sizes=(3, 2),
        num_items=num_items,
        seed=seed,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def random_population(
    num_users: int, num_items: int, num_events: int, *, gaps: bool = False, seed: int = 0
) -> Population:
    """Made-up arrivals, every second person of a row with the first; `gaps`: of any length."""
    rng = np.random.default_rng(seed)
    history = np.argsort(rng.random((num_users, num_items)), 1)[:, :num_events].astype(np.int32)
    rating = rng.integers(1, 6, history.shape).astype(np.float32)
    if gaps:
        first_U1 = rng.integers(0, num_events + 1, (num_users, 1))
        history[np.arange(num_events) < first_U1] = -1
    used = (history >= 0).astype(np.float32)
    feedback = np.stack([used, used * (rating >= 4), used * rating], 2)
    return Population(
        size=num_users,
        person=torch.arange(num_users, dtype=torch.int32) // 2,
        profile=torch.as_tensor(rng.integers(0, 2, (num_users, 2)), dtype=torch.int32),
        profile_names=("age", "sex"),
        profile_sizes=(3, 2),
        history=torch.as_tensor(history),
        feedback=torch.as_tensor(feedback),
        gap=torch.as_tensor(used * rng.integers(0, 10**6, history.shape), dtype=torch.float32),
        hour=torch.as_tensor(24.0 * rng.random(num_users), dtype=torch.float32),
        weekday=torch.as_tensor(rng.integers(0, 7, num_users), dtype=torch.int32),
    )


@dataclass(frozen=True)
class FixedTaste:
    """Everybody wants the same, whatever happens. The state counts the events."""

    click_N: Tensor  # log-odds
    like_N: Tensor  # log-odds
    rating_N: Tensor  # stars
    tasks: tuple[Task, ...] = TASKS

    def initial(self, arrival: Arrival) -> Tensor:
        return torch.zeros_like(arrival.user_id)

    def after(
        self, state: Tensor, item_B: Tensor, feedback_BM: Tensor, took_B: Tensor, context: Context
    ) -> Tensor:
        return state + took_B.int()

    def score(self, state: Tensor, id_BC: Tensor | None, context: Context) -> Outputs:
        id_BC = torch.arange(len(self.click_N)).expand(len(state), -1) if id_BC is None else id_BC
        return tuple(x_N[id_BC.long()] for x_N in (self.click_N, self.like_N, self.rating_N))

    def prepared(self, population: Population) -> FixedTaste:
        return self


def plain_taste(click: list[float], like: list[float]) -> FixedTaste:
    """A taste from log-odds per item; everything is worth 3.5 stars."""
    return FixedTaste(torch.tensor(click), torch.tensor(like), torch.full((len(click),), 3.5))


def learned_world(
    num_items: int = 40,
    slate_size: int = 3,
    horizon: int = 6,
    num_users: int = 20,
    shown_size: int = 4,
    population: Population | None = None,
) -> World:
    """People of one random network before another's eyes, who tire of genres and lose patience."""
    population = population or random_population(num_users, num_items, 6)
    observer = StateEncoder(loud_bert(num_items, seed=2), seconds_per_event=GAP)
    taste = StateEncoder(loud_bert(num_items, seed=1), seconds_per_event=GAP)
    topic_N = torch.arange(num_items, dtype=torch.int32) % len(GENRES)
    rule = GenreSatiation(len(GENRES), memory=3, threshold=2, penalty=4.0, duration=2)
    users = LearnedUsers(taste.prepared(population), skip=2.0, temperature=2.0)
    return World(
        name="small",
        catalogue=Catalogue(
            topic=topic_N,
            embedding=observer.items_ND,
            quality=torch.zeros(num_items),
            topics=GENRES,
            popularity=torch.arange(num_items, 0, -1).float(),
        ),
        population=population,
        users=Assumed(users, rule, Patience(2.0)),
        choice=MultinomialLogit(),
        context=Clock(0.6),
        candidates=UnseenCatalogue(),
        slate_size=slate_size,
        horizon=horizon,
        objective=(1.0, 1.0, 0.0),
        history_size=horizon,
        shown_size=shown_size,
        observer=BertObserver(observer.prepared(population)),
        agent_log=agent_log_of(small_log(12, num_items, seed=3)),
    )


def agent_log_of(log: Log) -> AgentLog:
    """A whole log as agents may read it."""
    events, names = log.events, [signal.name for signal in log.signals]
    return AgentLog(
        user=torch.tensor(events["user"].to_numpy()),
        item=torch.tensor(events["item"].to_numpy()),
        feedback=torch.tensor(events[names].to_numpy(np.float32)),
        signals=log.signals,
        repeats=log.repeats,
    )


def fixed_world(
    taste: FixedTaste,
    topic: list[int],
    believed: list[float],
    *,
    slate_size: int,
    horizon: int,
    boredom: GenreSatiation | None = None,
) -> World:
    """Items are wanted as the taste says and ranked as believed; every item, at every request.

    Args:
        taste: the truth about N items.
        topic: of each item.
        believed: the supervised ranker's click log-odds of each item, the same for everybody.
        slate_size: K.
        horizon: slates of every session.
        boredom: that is added to the taste; None: nothing changes anyone.
    """
    N = len(topic)
    model = loud_bert(N)
    with torch.no_grad():  # the heads ignore who is asking
        for head in (*model.queries.networks, *model.queries.user_levels):
            for parameter in head.parameters():
                parameter.zero_()
        model.item_bias_YN.zero_()
        model.item_bias_YN[0] = torch.tensor(believed)
    encoder = StateEncoder(model, seconds_per_event=GAP)
    users = LearnedUsers(taste, skip=0.0, temperature=1.0, like_weight=0.0)
    return World(
        name="fixed",
        catalogue=Catalogue(
            topic=torch.tensor(topic, dtype=torch.int32),
            embedding=encoder.items_ND,
            quality=torch.zeros(N),
            topics=GENRES[: max(topic) + 1],
        ),
        population=random_population(64, N, 2),
        users=users if boredom is None else Assumed(users, boredom),
        choice=MultinomialLogit(),
        context=Clock(0.6),
        candidates=WholeCatalogue(),
        slate_size=slate_size,
        horizon=horizon,
        objective=(1.0, 1.0, 0.0),
        history_size=horizon,
        observer=BertObserver(encoder),
    )


def ranker_in(world: World, shortlist: int = 150) -> Ranker:
    """The ranker of a world's own observer."""
    assert isinstance(world.observer, BertObserver)
    return Ranker(world.observer.encoder, shortlist=shortlist)


def recent_in(world: World) -> RecentTopics:
    """The features of a world's topics."""
    return Inputs(world).topics


def twins(world: World, times: int) -> World:
    """The same world with its people `times` over: rows u and u + U are the same arrival."""
    p = world.population
    tables = {
        name: torch.cat([getattr(p, name)] * times)
        for name in ("person", "profile", "history", "feedback", "gap", "hour", "weekday")
    }
    return replace(world, population=replace(p, size=p.size * times, **tables))
