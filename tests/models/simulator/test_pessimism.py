"""Pessimism: the penalty by hand, and what it does to an agent that would live on a model's errors.

The made-up people are of two kinds and say which. Five items please everybody somewhat (head), five
please one kind more and five the other (tail), ten please nobody, but the world's model is wrong
about these (rare). Models fitted apart agree on the head, all but agree on the tail, and contradict
each other on the rare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from small_worlds import learned_world
from torch import Tensor

from slategym.agents.bandits.linear import LinearBanditSettings, LinUCB
from slategym.envs import engine
from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import PositionBased
from slategym.envs.context import Nothing
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Population, World
from slategym.experiments.measure.play import play
from slategym.models.simulator.pessimism import Pessimistic, pessimistic, variety

KIND = purpose("test.kind")
HEAD, TAIL, RARE = range(5), range(5, 15), range(15, 25)
N, K = 25, 2


@dataclass(frozen=True)
class TwoKinds(UserModel[Tensor]):
    """Log-odds of the tail and of the rare items, as a model believes them."""

    tail: float
    rare: float

    def initial(self, arrival: Arrival, luck: Luck) -> Tensor:
        return (luck.uniform(KIND, 1) < 0.5).float() * 2 - 1

    def appeal(self, state: Tensor, items: Items, context: Context) -> Tensor:
        mine_BK = (items.id < 10) == (state > 0)
        tail_BK = torch.where(mine_BK, self.tail, -2.0)
        other_BK = torch.where(items.id < TAIL.start, 0.5, self.rare)
        in_tail_BK = (items.id >= TAIL.start) & (items.id < RARE.start)
        return torch.where(in_tail_BK, tail_BK, other_BK) - 0.3 * (items.id % 5)

    def reveal(self, state: Tensor) -> Tensor:
        return state


TRUTH = TwoKinds(tail=1.5, rare=-2.0)
MODELS = (TwoKinds(1.5, 2.5), TwoKinds(1.3, -2.0), TwoKinds(1.7, -1.0))  # the first is the world's


def world_of(users: UserModel[Tensor]) -> World:
    return World(
        name="two kinds",
        catalogue=Catalogue(torch.arange(N).int() % 5, torch.eye(N), torch.zeros(N)),
        population=Population(size=2**20),
        users=users,
        choice=PositionBased(1.0),  # every slot is read and judged by itself
        context=Nothing(),
        candidates=WholeCatalogue(),
        slate_size=K,
        horizon=8,
        objective=(1.0,),
    )


def read_in_truth(penalty: float) -> tuple[float, float, int]:
    """Return in the true world, Gini index of what is shown there, items that are shown at all."""
    learned = world_of(MODELS[0])
    place = pessimistic(learned, MODELS[1:], penalty) if penalty else learned
    settings = LinearBanditSettings(num_steps=6_000, slates=8, item_features=N)
    agent = LinUCB(place, settings).learn(place)
    count_N = torch.zeros(N)

    def count(before: object, items: Items, action: object, outcome: object, after: object) -> None:
        count_N.add_(torch.bincount(items.id.long().flatten(), minlength=N))

    users = torch.arange(200, dtype=torch.int32)
    rows = play(world_of(TRUTH), agent, users, seed=3, on_slate=count)
    share_N = (count_N / count_N.sum()).sort().values
    gini = float((2.0 * torch.arange(1, N + 1) - N - 1) @ share_N / N)
    return rows["expected_return"].mean(), gini, int((share_N > 0.005).sum())


def test_it_keeps_an_agent_from_living_on_errors_and_too_much_of_it_makes_all_alike() -> None:
    misled, careful, timid = (read_in_truth(penalty) for penalty in (0.0, 3.0, 20.0))
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    best = 8 * (sigmoid(1.5) + sigmoid(1.2))  # the best two of the tail of one's own kind
    assert misled[0] < 0.3 * best  # rare items, which please nobody
    assert careful[0] > 0.97 * best
    # the Matthew effect: the same two items for all, of those that all models are sure about
    assert timid[0] < 0.8 * best
    assert timid[1] > careful[1] and (careful[2], timid[2]) == (4, 2)


def asked(world: World, size: int = 6) -> tuple[engine.Session, Items, Luck]:
    user_B = torch.arange(size, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    items = Items(torch.tensor([[0, 7, 20]]).int().expand(size, -1).contiguous(), world.catalogue)
    return session, items, Luck.at(session.key, session.step)


def test_the_penalty_is_the_spread_of_expected_rewards() -> None:
    world = pessimistic(world_of(MODELS[0]), MODELS[1:], penalty=0.7)
    session, items, luck = asked(world)
    _, mean_BKM = world.users.respond(session.user, items, session.context, luck)
    said = [m.appeal(session.user.inner, items, session.context).sigmoid() for m in MODELS]
    spread_BK = torch.stack(said).std(0, correction=0)
    torch.testing.assert_close(mean_BKM[..., 1], -spread_BK)
    assert mean_BKM[..., 0].eq(1).all() and world.objective == (1.0, 0.7)
    assert spread_BK[:, 0].max() == 0 < spread_BK[:, 1].max() < 0.1 < spread_BK[:, 2].min()
    _, outlook_BNM = world.users.outlook(session.user, world.catalogue, session.context, luck)
    torch.testing.assert_close(outlook_BNM[:, [0, 7, 20]], mean_BKM)
    slate_BK = torch.tensor([[20, 7]]).int().expand(6, -1)
    _, outcome = engine.transition(world, session, slate_BK)
    plain = engine.transition(
        world_of(MODELS[0]), replace(session, user=session.user.inner), slate_BK
    )
    torch.testing.assert_close(
        outcome.feedback[..., :1], plain[1].feedback
    )  # nobody acts otherwise
    lost_B = 0.7 * (outcome.expected[..., 0] * spread_BK[:, [2, 1]]).sum(1)
    torch.testing.assert_close(outcome.expected_reward, plain[1].expected_reward - lost_B)
    low = world.users.signals[1].low
    assert low == -0.5 and (mean_BKM[..., 1] >= low).all()


def test_models_that_agree_cost_nothing_and_learn_alike() -> None:
    """In a world with a log, an observer, likes and ratings; the others' states move as well."""
    plain = learned_world()
    world = pessimistic(plain, [plain.users, plain.users], penalty=3.0, entropy_bonus=0.5)
    user_B = torch.arange(8, dtype=torch.int32)
    session, other = (
        engine.start(w, user_B, user_B, torch.zeros_like(user_B)) for w in (world, plain)
    )
    for _ in range(4):
        slate_BK = engine.observe(plain, other).allowed.float().topk(3).indices.int()
        session, outcome = engine.transition(world, session, slate_BK)
        other, expected = engine.transition(plain, other, slate_BK)
        torch.testing.assert_close(outcome.feedback[..., :3], expected.feedback)
        assert outcome.feedback[..., 3].abs().max() < 1e-6
        bonus_B = 0.5 * outcome.feedback[..., 4].sum(1)
        torch.testing.assert_close(outcome.reward, expected.reward + bonus_B)
        torch.testing.assert_close(
            engine.observe(world, session).state, engine.observe(plain, other).state
        )
    assert isinstance(world.users, Pessimistic)
    torch.testing.assert_close(session.user.others[1].patience, other.user.patience)


def test_variety_is_the_entropy_of_what_came_next() -> None:
    world = learned_world()
    history = torch.tensor([[0, 1, 0, 2, -1, 0], [2, 2, 2, 2, 2, -1]]).int()  # topics are id mod 3
    population = replace(world.population, size=2, history=history)
    found_N = variety(replace(world, population=population))
    # after 0: 1 and 2, once each; after 1: 0 alone; after 2: 2 alone
    torch.testing.assert_close(found_N[:3], torch.tensor([2.0, 1.0, 1.0]).log())
    assert torch.equal(found_N[3:6], found_N[:3])


def test_what_cannot_be_is_refused() -> None:
    world = world_of(MODELS[0])
    with pytest.raises(UsageError, match=r"penalty=-1\.0"):
        pessimistic(world, MODELS[1:], -1.0)
    with pytest.raises(UsageError, match="give at least one more"):
        pessimistic(world, [], 1.0)
    with pytest.raises(UsageError, match=r"two kinds has none; use entropy_bonus=0"):
        pessimistic(world, MODELS[1:], 1.0, 0.1)
    with pytest.raises(
        UsageError, match=r"same signals as two kinds, \(click\); one has \(click, li"
    ):
        pessimistic(world, [learned_world().users], 1.0)
