"""The adaptive rule: what its numbers mean, who it takes somebody for, and which rule is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world
from torch import Tensor

from slategym.agents.policies import history_rule_tuned
from slategym.agents.rollout.adaptive import AdaptiveTrace, AdaptiveTraceSettings
from slategym.agents.rollout.adaptive_rule import AdaptiveRule
from slategym.agents.rollout.imagined import STRENGTHS, Answers, Candidates
from slategym.agents.rollout.response import Response
from slategym.agents.rollout.traces import nothing_yet, took_by_topic
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import World

TINY = AdaptiveTraceSettings(num_steps=160, num_users=8, rollout=5, updates=2, minibatch=40)
CHOSEN = {
    "ranker": {"heads": {"click": 0.3, "like": 0.1}, "nothing": 1.0},
    "history-rule": {"strength": 1.0, "fading": 0.7},
}


def world() -> World:
    found: World = replace(learned_world(shown_size=6), chosen=CHOSEN)
    return found


def test_before_it_learns_it_is_the_history_rule_and_can_go_back_to_it() -> None:
    where = world()
    fresh, start = AdaptiveTrace(where, TINY), history_rule_tuned(where)
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(where, user_B, user_B, 0 * user_B)
    for _ in range(4):
        seen, now = engine.observe(where, session), Luck.at(session.key, session.step)
        theirs = start.act(seen, now).slate
        assert torch.equal(fresh.act(seen, now).slate, theirs)
        session, _ = engine.transition(where, session, theirs)
    trained = AdaptiveTrace(where, TINY).learn(where)
    trained.served_D = -trained.adaptive.start()  # whatever is best after eight people
    assert not torch.equal(trained.act(seen, now).slate, theirs)
    trained.serve([False])
    assert torch.equal(trained.act(seen, now).slate, theirs)


def test_an_earlier_rule_is_refused_in_a_line() -> None:
    agent = AdaptiveTrace(world(), TINY)
    with pytest.raises(UsageError, match="7 numbers is expected and 6 are saved, by an earlier"):
        agent.load_weights({**agent.weights(), "numbers": torch.zeros(6)})


def test_what_somebody_would_answer_counts_as_likely_as_it_is_they() -> None:
    rule = AdaptiveRule(kinds=2, fading=0.7)
    traces = nothing_yet(2, 3, "cpu")
    for _ in range(2):
        traces = traces.after(took_by_topic(torch.tensor([[1], [1]]), torch.ones(2, 1) > 0, 3))
    zero_BC = torch.zeros(2, 3)
    few = Candidates(zero_BC, zero_BC, zero_BC, torch.tensor([[0, 1, 2]] * 2))
    ruled_BC = torch.tensor([[0.0, -5.0, 0.0]] * 2)  # after the history rule
    now_ZBC = torch.tensor([[1.0, 2.0, 3.0], [0.0, -4.0, 0.0]])[:, None].expand(-1, 2, -1)
    later_ZBC = torch.tensor([[0.0, 0.5, 0.0], [1.0, 1.0, -1.0]])[:, None].expand(-1, 2, -1)
    answers = Answers(now_ZBC, later_ZBC)

    def scores(numbers: list[float], belief: list[list[float]]) -> Tensor:
        belief_BZ = torch.tensor(belief).log()
        return rule.scores(torch.tensor([numbers]), few, ruled_BC, traces, belief_BZ, answers)

    sure = [[1.0, 1e-12], [1e-12, 1.0]]
    trace = 1.0 + 0.7
    want_BC = torch.tensor([[0.0, -2.0 * trace, 0.0]] * 2)
    torch.testing.assert_close(scores([0.0, 2.0, 0.0, 0.0, 0.0, 0.0], sure), want_BC)
    torch.testing.assert_close(scores([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], sure), ruled_BC)
    want_BC = torch.tensor([[1.0, 2.0 + 3 * 0.5, 3.0], [3.0, -4.0 + 3.0, -3.0]])
    torch.testing.assert_close(scores([0.0, 0.0, 1.0, 3.0, 0.0, 0.0], sure), want_BC)
    # a prior of log 3 for the second kind: nobody knows, so it weighs three in four
    want_BC = torch.tensor([[0.25, 0.25 * 2.0 - 3.0, 0.75]] * 2)
    three = float(torch.tensor(3.0).log())
    torch.testing.assert_close(scores([0.0, 0.0, 1.0, 0.0, 0.0, three], [[0.5, 0.5]] * 2), want_BC)


def test_rules_allow_for_answers_with_and_without_the_history_rule() -> None:
    rule = AdaptiveRule(kinds=3, fading=0.7)
    numbers_PD = rule.candidates((-1.0, 4.0, 4.0))
    assert numbers_PD[0].tolist() == [1.0] + [0.0] * 6  # the rule alone
    assert numbers_PD[1:6, 1].tolist() == list(STRENGTHS) and not numbers_PD[1:6, 0].any()
    assert len(numbers_PD) == rule.compared == len(torch.unique(numbers_PD, dim=0))
    assert {tuple(x) for x in numbers_PD[6:, :3].tolist()} == {(k, 0.0, 1.0) for k in (0.0, 1.0)}
    assert {tuple(x) for x in numbers_PD[6:, 4:].tolist()} == {(0.0, c, c) for c in (0.0, 1.0)}


def test_what_a_click_would_do_is_what_it_does() -> None:
    generator = torch.Generator().manual_seed(0)
    response, G = Response(2), 4
    traces = nothing_yet(3, G, "cpu")
    for _ in range(5):
        topic_BK = torch.randint(G, (3, 2), generator=generator)
        taken_BK = torch.tensor([[True, False], [False, False], [False, True]])
        traces = traces.after(took_by_topic(topic_BK, taken_BK, G))
    taken_BX = torch.randint(G, (3, 5), generator=generator)
    of_BK = torch.randint(G, (3, 2), generator=generator)
    found_BXKW = traces.features_after(taken_BX, of_BK)
    later_ZBX = response.effect_after(traces, taken_BX, of_BK)
    for x in range(5):
        sure_B1 = torch.ones(3, 1, dtype=torch.bool)
        after = traces.after(took_by_topic(taken_BX[:, [x]], sure_B1, G))
        at_BKW = of_BK[:, :, None].expand(-1, -1, found_BXKW.shape[3])
        torch.testing.assert_close(found_BXKW[:, x], after.features.gather(1, at_BKW))
        torch.testing.assert_close(later_ZBX[:, :, x], response.effect_of(after, of_BK).mean(2))


def test_candidates_are_answered_alike_whether_topics_are_fewer_or_more() -> None:
    people = AdaptiveTrace(world(), TINY).people
    G = people.num_topics
    topic_BC = torch.stack([torch.arange(G), torch.arange(G).flip(0)])
    traces = nothing_yet(2, G, "cpu")
    traces = traces.after(took_by_topic(topic_BC[:, :1], torch.ones(2, 1) > 0, G))

    def answers(topic_BC: Tensor) -> Answers:
        zero_BC = torch.zeros(topic_BC.shape)
        return people.answers(Candidates(zero_BC, zero_BC, zero_BC, topic_BC), traces)

    by_candidate, by_topic = answers(topic_BC), answers(topic_BC.repeat(1, 2))
    torch.testing.assert_close(by_topic.now, by_candidate.now.repeat(1, 1, 2))
    torch.testing.assert_close(by_topic.later, by_candidate.later.repeat(1, 1, 2))
    assert not by_topic.later.allclose(by_topic.now)


def test_every_generation_meets_other_people(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = AdaptiveTrace(world(), TINY)
    agent.begin(agent.world)
    start, met = AdaptiveTrace._start, list[list[int]]()

    def seen(agent: AdaptiveTrace, user_B: Tensor, visit_B: Tensor) -> object:
        met.append(user_B.tolist())
        return start(agent, user_B, visit_B)

    monkeypatch.setattr(AdaptiveTrace, "_start", seen)
    for _ in range(2):
        agent._play(agent.numbers_PD[:4])
    assert met == [[0, 1] * 4, [2, 3] * 4]


def test_what_is_known_of_somebody_is_the_same_on_the_way_and_in_hindsight() -> None:
    where = replace(learned_world(shown_size=2), chosen=CHOSEN)
    people = AdaptiveTrace(where, TINY).learn(where).people
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(where, user_B, user_B, 0 * user_B)
    policy, traces = history_rule_tuned(where), nothing_yet(16, people.num_topics, "cpu")
    effects = list[Tensor]()
    for step in range(4):
        seen, now = engine.observe(where, session), Luck.at(session.key, session.step)
        belief_BZ = people.so_far(seen, effects)
        assert belief_BZ.exp().sum(1).allclose(torch.ones(16))
        if step <= 2:  # two slates are remembered: what came before cannot be read any more
            hindsight_BZ, adds_up = people.belief(seen)
            torch.testing.assert_close(hindsight_BZ, belief_BZ)
            torch.testing.assert_close(adds_up.topic, traces.topic)
        slate_BK = policy.act(seen, now).slate
        session, outcome = engine.transition(where, session, slate_BK)
        topic_BK = people.topic_N[slate_BK.long()]
        effects.append(people.response.effect_of(traces, topic_BK))
        taken_BK = outcome.feedback[..., 0] > 0
        traces = traces.after(took_by_topic(topic_BK, taken_BK, people.num_topics))
    assert not belief_BZ.allclose(people.response.log_share.expand(16, -1))


@pytest.mark.parametrize(("gamma", "each"), [(1.0, 6), (0.0, 1), (0.5, 2)])
def test_rules_are_credited_with_what_is_earned_while_they_are_held(
    gamma: float, each: int
) -> None:
    where = replace(learned_world(shown_size=6), chosen=CHOSEN)
    agent = AdaptiveTrace(where, replace(TINY, gamma=gamma))
    agent.begin(where)
    earned_P, holds_P, shown, told = agent._play(agent.served_D.expand(4, -1))
    assert shown == pytest.approx(8 * told["slates"])
    earned_P = earned_P / holds_P
    if gamma == 1.0:
        assert float(earned_P.mean()) == pytest.approx(told["return"])
    else:  # four equal rules take turns: what a hold earns is a hold's share of a session's
        slate = told["return"] / told["slates"]
        assert 0.3 * each * slate < float(earned_P.mean()) < 3.0 * each * slate


def test_perturbed_rules_take_turns_as_soon_as_a_hold_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = replace(learned_world(shown_size=6), chosen=CHOSEN)
    agent = AdaptiveTrace(where, replace(TINY, gamma=0.5, num_users=4))  # a hold is two slates
    agent.begin(where)
    numbers_PD = agent.served_D.repeat(4, 1)
    numbers_PD[:, -1] = torch.arange(4.0) / 1_000  # tells them apart
    scores, met = AdaptiveRule.scores, list[list[int]]()

    def seen(rule: AdaptiveRule, numbers_BD: Tensor, *others: object) -> Tensor:
        met.append((numbers_BD[:, -1] * 1_000).round().int().tolist())
        return scores(rule, numbers_BD, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(AdaptiveRule, "scores", seen)
    agent._play(numbers_PD)
    assert met[:4] == [[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 0], [1, 2, 3, 0]]


def test_the_better_half_goes_on_until_the_best_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = AdaptiveTrace(world(), TINY)
    suits = torch.tensor(
        [[0.0, 1.0, 2.0, 3.0, 4.0], [9.0, 1.0, 2.0, 3.0, 4.0], [0.0, 9.0, 0, 0, 0]]
    )
    monkeypatch.setattr(AdaptiveTrace, "_suits", lambda agent: suits)
    met = list[int]()

    def answers_and_caution_earn(
        agent: AdaptiveTrace, numbers_PD: Tensor
    ) -> tuple[Tensor, Tensor, int, dict[str, float]]:
        met.append(len(numbers_PD))
        worth_P = numbers_PD[:, 3] + 0.5 * numbers_PD[:, 6] - numbers_PD[:, :2].sum(1)
        return 3.0 * worth_P, torch.full_like(worth_P, 3.0), 17, {"return": 0.0, "slates": 1.0}

    monkeypatch.setattr(AdaptiveTrace, "_play", answers_and_caution_earn)
    agent.steps = agent.learned
    while agent.steps < TINY.num_steps:
        agent.steps += agent.cycle()[0]
    assert met == [18, 9, 5, 3, 2]
    # the third kind's best strength of 1 is the greatest: the one to be careful of
    assert agent.served_D.tolist() == [0.0, 0.0, 1.0, 4.0, 0.0, 0.0, 1.0]


def test_what_suits_a_kind_is_imagined_with_its_own_answers() -> None:
    """One kind is put off by a topic that it took last, the other drawn to it."""
    agent = AdaptiveTrace(world(), replace(TINY, kinds=2))
    agent.begin(agent.world)
    response = agent.people.response
    with torch.no_grad():
        response.inner.zero_(), response.bias.zero_(), response.outer.zero_()
        response.inner[:, 0, 0], response.outer[0, 0], response.outer[1, 0] = 1.0, -6.0, 6.0
        response.level.fill_(0.0)
    bored_R, fond_R = agent._suits()
    strengths = torch.tensor(STRENGTHS)
    assert strengths[bored_R.argmax()] >= 2 and strengths[fond_R.argmax()] <= 0


def test_no_rule_is_sought_with_luck_that_somebody_is_read_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met: set[int] = set()
    start = engine.start

    def seen(where: World, seed_B: Tensor, *others: Tensor) -> object:
        met.update(seed_B.tolist())
        return start(where, seed_B, *others)

    where = world()
    monkeypatch.setattr(engine, "start", seen)
    AdaptiveTrace(where, TINY).learn(where)
    assert 0 in met  # of the seed, as in every training
    assert all(luck < 1_000 or luck >= 2**30 for luck in met)  # between: selection, evaluation
