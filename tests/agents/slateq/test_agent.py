"""SlateQ: a known optimum, what no click is worth, and the learners' contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.agent import Agent
from slategym.agents.core.replay import Scene, Shown, SlateReplay
from slategym.agents.registry import find_agent
from slategym.agents.slateq.agent import SlateQ, SlateQSettings
from slategym.envs import engine
from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Nothing
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.protocols import UserModel
from slategym.envs.registry import make_world
from slategym.envs.types import Catalogue, Population, World
from slategym.experiments.measure.play import play

APPEAL = (0.0, 0.5, 1.0, 1.5, 2.0)  # log-odds
LEAVE = (0.15, 0.2, 0.6, 0.8, 1.0)  # chance of leaving after a click on each
BORED = 0.05  # and after none
SHORT = SlateQSettings(
    num_steps=8_192, num_users=32, batch=64, learning_rate=3e-3, tau=0.05, scale=10.0
)
TINY = SlateQSettings(num_steps=1_024, num_users=16, batch=16, scale=10.0)


@dataclass(frozen=True)
class Tempted(UserModel[torch.Tensor]):
    """What is clicked most is what people leave after. The state is the chance of leaving."""

    def initial(self, arrival, luck):
        return torch.zeros_like(arrival.user_id, dtype=torch.float32)

    def appeal(self, state, items, context):
        return torch.tensor(APPEAL)[items.id.long()]

    def evolve(self, state, items, feedback_BKM, context, luck):
        click_BK = feedback_BKM[..., 0]
        leave_BK = torch.tensor(LEAVE)[items.id.long()]
        return (click_BK * leave_BK).sum(1) + BORED * (1.0 - click_BK.sum(1))

    def leave(self, state):
        return state


def tempting_world() -> World:
    """Five items, all of which may be shown, two at a time; a click is worth one."""
    return World(
        name="tempting",
        catalogue=Catalogue(torch.arange(5).int(), torch.eye(5), torch.zeros(5)),
        population=Population(size=2**20),
        users=Tempted(),
        choice=MultinomialLogit(),
        context=Nothing(),
        candidates=WholeCatalogue(),
        slate_size=2,
        horizon=400,
        objective=(1.0,),
    )


def worth(slate) -> float:
    """What a session earns if this slate is shown for ever: clicks per slate over leaving."""
    odds = torch.tensor([APPEAL[i] for i in slate]).exp()
    prob = odds / (1.0 + odds.sum())
    leaving = (prob * torch.tensor([LEAVE[i] for i in slate])).sum() + BORED * (1 - prob.sum())
    return float(prob.sum() / leaving)


def some_observation(world, num=64):
    user_B = torch.arange(num, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, user_B * 0)
    return engine.observe(world, session), Luck.at(session.key, session.step)


BEST = max(combinations(range(5), 2), key=worth)


@pytest.fixture(scope="module")
def trained() -> SlateQ:
    world = tempting_world()
    return SlateQ(world, SHORT).learn(world)


def values(agent: SlateQ) -> list[float]:
    """Of the five items and of no click."""
    observation, _ = some_observation(agent.world, 1)
    found: list[float] = agent._all_values(agent.values, agent._scene(observation, 1).x).tolist()
    return found[0][0]


def test_it_finds_the_best_slate_of_five_items(trained):
    assert BEST == (0, 1) and worth(BEST) > 1.5 * worth((0, 2)) > 1.5 * worth((3, 4))
    observation, luck = some_observation(trained.world)
    for how in ("gs", "os"):
        assert trained.slates(observation, how).sort(1).values.tolist() == [[0, 1]] * 64
    assert torch.equal(trained.act(observation, luck).slate, trained.slates(observation, "os"))


def test_values_are_what_is_still_to_come(trained):
    *item, null = values(trained)
    assert item[0] == pytest.approx(1.0 + (1.0 - LEAVE[0]) * worth(BEST), rel=0.2)
    assert item[4] == pytest.approx(1.0, abs=0.5)
    assert null == pytest.approx((1.0 - BORED) * worth(BEST), rel=0.25)


def test_with_no_click_worth_zero_all_values_fall():
    """The published cap in miniature: what follows no click is not counted, so less follows."""
    world = tempting_world()
    agent = SlateQ(world, replace(SHORT, null="zero")).learn(world)
    # with P of a click at the best slate, q = 1 + (1 - leave) P q for its items, roughly
    odds = sum(torch.tensor(APPEAL).exp()[list(BEST)].tolist())
    assert values(agent)[0] < 0.9 * (1.0 + (1.0 - LEAVE[0]) * worth(BEST))
    assert values(agent)[0] == pytest.approx(1 / (1 - 0.8 * odds / (1 + odds)), rel=0.3)


def test_given_a_click_no_click_does_not_lower_what_follows():
    """Null value "clicks": the next slate counts as if something of it were clicked."""
    world = tempting_world()
    agent = SlateQ(world, replace(SHORT, null="clicks")).learn(world)
    odds_0, odds_1 = torch.tensor(APPEAL).exp()[list(BEST)].tolist()
    stay = ((1 - LEAVE[0]) * odds_0 + (1 - LEAVE[1]) * odds_1) / (odds_0 + odds_1)
    assert values(agent)[0] == pytest.approx(1.0 + (1.0 - LEAVE[0]) / (1.0 - stay), rel=0.25)
    observation, _ = some_observation(world, 1)
    assert agent.slates(observation, "os").sort(1).values.tolist() == [[0, 1]]


def test_learned_odds_come_near_the_true_ones(trained):
    observation, _ = some_observation(trained.world, 1)
    odds_C = trained.odds(trained._scene(observation, 1))[0, 0]
    torch.testing.assert_close(odds_C.log(), torch.tensor(APPEAL), atol=0.3, rtol=0.0)


def test_sarsa_learns_too():
    world = tempting_world()
    agent = SlateQ(world, replace(SHORT, target="sarsa", serve="gs")).learn(world)
    observation, luck = some_observation(world, 1)
    assert sorted(agent.act(observation, luck).slate[0].tolist()) == [0, 1]


def test_exploring_slates_have_their_exact_probability():
    world = make_world("InterestEvolution-v0", num_topics=5, num_candidates=4, slate_size=2)
    agent = SlateQ(world, TINY)
    agent.round = agent._num_rounds // 6  # half way to the lowest epsilon
    observation, _ = some_observation(world, 1)
    many = replace(
        observation,
        revealed=observation.revealed.expand(20_000, -1),
        candidates=observation.candidates.expand(20_000, -1),
        step=observation.step.expand(20_000),
    )
    action = agent.explore(many, Luck.at(torch.arange(20_000).int(), torch.zeros(20_000).int()))
    drawn, index, count = action.slate.unique(dim=0, return_inverse=True, return_counts=True)
    prob = torch.zeros(len(drawn)).index_copy_(0, index, action.logp.exp())
    assert len(drawn) == 12 and prob.sum() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(count / 20_000, prob, atol=0.01, rtol=0.0)
    assert 0.5 < agent._epsilon < 0.6 and prob.max() == pytest.approx(1 - agent._epsilon * 11 / 12)
    # of slots: sums over the slates that hold the item there
    for k in range(2):
        same = drawn[:, k] == drawn[:, k : k + 1]
        here = (same * prob).sum(1)[index]
        torch.testing.assert_close(action.position_logp[:, k].exp(), here, rtol=1e-4, atol=1e-6)
        if k == 0:
            torch.testing.assert_close(action.slot_logp[:, 0].exp(), here, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(action.slot_logp.sum(1), action.logp, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("choice", ["given", "learned"])
def test_seed_3_of_several_is_trained_as_seed_3_alone(choice):
    world = make_world("InterestEvolution-v0")
    settings = replace(TINY, choice=choice)
    together = SlateQ(world, settings, seeds=[1, 3, 7]).learn(world)
    alone = SlateQ(world, settings, seeds=[3]).learn(world)
    for name, x in alone.weights().items():
        torch.testing.assert_close(together.weights()[name][1:2], x, rtol=1e-3, atol=1e-4)
    together.serving = 1
    observation, luck = some_observation(world)
    assert torch.equal(together.act(observation, luck).slate, alone.act(observation, luck).slate)


@pytest.mark.parametrize("choice", ["given", "learned"])
def test_a_killed_training_ends_bit_for_bit_where_the_unbroken_one_does(choice, tmp_path):
    world = make_world("InterestEvolution-v0")
    settings = replace(TINY, choice=choice)
    whole = SlateQ(world, settings, seeds=[0, 4]).learn(world)
    SlateQ(world, settings, seeds=[0, 4]).learn(world, num_steps=512, folder=tmp_path)
    resumed = SlateQ(world, settings, seeds=[0, 4]).learn(world, folder=tmp_path)
    assert resumed.steps == whole.steps == 1_024
    saved = resumed.state_dict()
    for name, x in whole.state_dict().items():
        assert torch.equal(x, saved[name]), name
    with pytest.raises(UsageError, match=r"other settings \(tau 0.02 there, 0.5 here\)"):
        SlateQ(world, replace(settings, tau=0.5), seeds=[0, 4]).learn(world, folder=tmp_path)


def test_it_serves_the_same_slates_after_saving(tmp_path):
    world = make_world("InterestEvolution-v0")
    agent = SlateQ(world, TINY, seeds=[0, 5]).learn(world)
    agent.save(tmp_path)
    loaded: Agent = find_agent("slateq").load(tmp_path, world)
    observation, luck = some_observation(world)
    for at in (0, 1):
        agent.serving = loaded.serving = at
        slate_BK = agent.act(observation, luck).slate
        assert torch.equal(slate_BK, loaded.act(observation, luck).slate)
    rows = play(world, loaded, torch.arange(4), seed=1)
    assert rows["return"].gt(100).all()


def test_it_learns_where_items_are_many_and_nothing_is_revealed():
    world = learned_world()
    agent = SlateQ(world, TINY).learn(world)
    observation, luck = some_observation(world, 20)
    action = agent.explore(observation, luck)
    assert observation.allowed.gather(1, action.slate.long()).all()
    assert action.logp.isfinite().all()


@pytest.mark.parametrize(
    ("make", "settings", "words"),
    [
        (
            lambda: make_world("Sardine-SlateTopK-Bored-v0"),
            TINY,
            "at most one item of a slate .* has PositionBased",
        ),
        (learned_world, replace(TINY, choice="given"), 'not reveal .* set choice="learned"'),
        (
            lambda: make_world("InterestEvolution-v0", choice="cascade"),
            replace(TINY, choice="given"),
            'needs MultinomialLogit.* has ExponentialCascade; set choice="learned"',
        ),
        (tempting_world, replace(TINY, serve="exact"), "serve is ts or gs or os, got 'exact'"),
        (tempting_world, replace(TINY, target="sarsas"), "did you mean 'sarsa'"),
        (tempting_world, replace(TINY, prior=1), "a column of slateq's 1 inputs, 0 to 0; got 1"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(make, settings, words):
    world = make()
    with pytest.raises(UsageError, match=words):
        SlateQ(world, settings)


def numbered(round, S=2, B=3) -> Shown:
    """A round whose every number says which round, seed and lane it is."""
    x_SB = 100.0 * round + 10.0 * torch.arange(S)[:, None] + torch.arange(B)
    scene = Scene(x_SB[..., None], None, None, None)
    return Shown(scene, x_SB[..., None].long(), x_SB.long(), x_SB, x_SB > 0)


def test_replay_gives_rounds_and_what_followed_them():
    replay = SlateReplay.like(numbered(0), 4, most_bytes=10_000)
    stream_S = Luck(torch.tensor([5, 6], dtype=torch.int32))
    for newest in range(7):
        replay.put(newest, numbered(newest))
        if newest == 0:
            continue
        now, after = replay.draw(newest, stream_S, 200)
        assert torch.equal(after.reward, now.reward + 100.0)
        assert torch.equal(now.scene.x[..., 0], now.reward)
        assert torch.equal((now.reward % 100 // 10).unique(dim=1)[:, 0], torch.tensor([0.0, 1.0]))
        kept = range(max(0, newest - 3), newest)  # the newest has no successor, the oldest are gone
        assert (now.reward // 100).unique().tolist() == [*kept]
        assert (now.reward % 10).unique().tolist() == [0, 1, 2]


def test_replay_keeps_what_fits():
    one = numbered(0)
    per_seed = sum(x[0].numel() * x.element_size() for x in (one.reward, one.ended, one.slot))
    per_seed += one.slate[0].numel() * 8 + one.scene.x[0].numel() * 4
    assert SlateReplay.like(one, 1_000, most_bytes=10 * per_seed).num_rounds == 10
    assert SlateReplay.like(one, 7, most_bytes=10 * per_seed).num_rounds == 7
