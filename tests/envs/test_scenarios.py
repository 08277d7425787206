"""Every scenario: the contract, its control at strength 0, its rule; then part by part."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slategym.agents.references.myopic import Myopic
from slategym.envs import check, engine
from slategym.envs.check import check_user_model
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.observation import observation_space, show
from slategym.envs.pages import describe_world
from slategym.envs.registry import WORLDS, make_world
from slategym.envs.scenarios.constants import SCENARIOS
from slategym.envs.scenarios.pages import PAGES
from slategym.envs.trees import map_tensors

POLICY = purpose("test.policy")
ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden_scenarios.json")
RULED = [name for name, one in SCENARIOS.items() if one.rule is not None]


@pytest.fixture(params=SCENARIOS)
def name(request):
    return request.param


def world_of(name, **its):
    return make_world(f"Scenario-{name}-v0", num_items=80, **its)


def begin(world, B, seed=3):
    user_B = torch.arange(B, dtype=torch.int32)
    return engine.start(world, 0 * user_B + seed, user_B, 0 * user_B)


def drawn(world, session, number=0):
    """Distinct random positions, others for another number."""
    score_BC = Luck.at(session.key, session.step).uniform(POLICY + number, world.num_candidates)
    return score_BC.topk(world.slate_size).indices.int()


def walk(world, session, steps, number=0):
    outcomes = []
    for _ in range(steps):
        session, outcome = engine.transition(world, session, drawn(world, session, number))
        outcomes.append(outcome)
    return session, outcomes


def truth(world, session):
    """Appeal and mean values of every item, and how the visit stands."""
    luck = Luck.at(session.key, session.step)
    appeal_BN, mean_BNM = world.users.outlook(session.user, world.catalogue, session.context, luck)
    visit = session.user.visit
    return appeal_BN, mean_BNM, visit.patience, visit.away, visit.lost, session.context.hour


def test_each_is_registered_with_a_page(name):
    assert set(PAGES) == set(SCENARIOS)
    page = describe_world(f"Scenario-{name}-v0")
    about = " ".join(page.partition("This one:")[2].split())
    assert PAGES[name].text in about
    assert PAGES[name].text in " ".join((ROOT / "docs/scenarios.md").read_text().split())
    said = PAGES[name].text.partition("Signals:")[2]
    for one in SCENARIOS[name].answers:
        assert one.signal.name.replace("_", " ") in said.replace("_", " "), one.signal.name


def test_people_and_twins_keep_the_contract(name, monkeypatch):
    monkeypatch.setattr(check, "NUM_SAMPLES", 256)
    monkeypatch.setattr(check, "NUM_SLATES", 5)
    for static in (False, True):
        world = world_of(name, static=static)
        check_user_model(world.users, world.catalogue)


def test_golden_trajectories(name):
    """20 steps of 16 users, hashed; see tests/envs/test_engine.py."""
    world = make_world(f"Scenario-{name}-v0")
    _, outcomes = walk(world, begin(world, 16), 20)
    clicks = torch.stack([o.feedback[..., 0] for o in outcomes]).to(torch.uint8)
    rewards = (torch.stack([o.reward for o in outcomes]).sum(0) * 10).round().int()
    digest = hashlib.sha256(clicks.numpy().tobytes() + rewards.numpy().tobytes()).hexdigest()[:16]
    assert json.loads(GOLDEN.read_text()).get(name) == digest, f'"{name}": "{digest}"'


def test_a_user_meets_the_same_fate_in_any_batch_and_within_the_space(name):
    world = world_of(name)
    few, many = walk(world, begin(world, 1), 12), walk(world, begin(world, 9), 12)

    def same(x, y):
        torch.testing.assert_close(x, y[:1], rtol=1e-4, atol=1e-4)
        return x

    map_tensors(same, few[0], many[0])
    for one, another in zip(few[1], many[1], strict=True):
        map_tensors(same, one, another)
    seen = engine.observe(world, few[0])
    space = observation_space(world, seen)
    for part, value in show(world, seen).items():
        assert space[part].contains(value[0].numpy()), part


def test_signals_agree_with_their_means_and_ranges(name):
    """Differences of means within 5 standard errors; nothing without a click."""
    world = world_of(name)
    _, outcomes = walk(world, begin(world, 500), 8)
    feedback_TBKM = torch.stack([o.feedback for o in outcomes])
    gap_TBM = (feedback_TBKM - torch.stack([o.expected for o in outcomes])).sum(2)
    clicked_TBK = feedback_TBKM[..., 0] > 0
    assert not feedback_TBKM[~clicked_TBK].any()
    for m, signal in enumerate(world.users.signals):
        gap = gap_TBM[..., m]
        assert abs(gap.mean()) <= 5 * gap.std() / gap.numel() ** 0.5 + 1e-7, signal.name
        value = feedback_TBKM[..., m][clicked_TBK]
        assert (value >= signal.low).all() and (value <= signal.high).all(), signal.name
        assert value.std() > 0 or m == 0, f"{signal.name} never varies"


def test_at_strength_0_nothing_shown_changes_what_comes_next(name):
    """Two policies, the same luck: later truths are equal; at strength 1 they are not."""
    for strength in (0.0, 1.0):
        world = world_of(name, strength=strength)
        one, other = (walk(world, begin(world, 32), 10, number)[0] for number in (0, 1))
        pairs = zip(truth(world, one), truth(world, other), strict=True)
        same = [bool(torch.allclose(x, y, rtol=1e-5, atol=1e-5)) for x, y in pairs]
        assert all(same) if strength == 0.0 else not all(same)


def test_in_the_twin_nothing_moves_and_context_means_nothing(name):
    world = world_of(name, static=True)
    first = begin(world, 16)
    after, outcomes = walk(world, first, 6)
    for x, y in zip(truth_of_twin(world, first), truth_of_twin(world, after), strict=True):
        torch.testing.assert_close(x, y)
    strange = map_tensors(lambda x: x.roll(1, 0), first.context)
    moved = truth_of_twin(world, replace(first, context=strange))
    torch.testing.assert_close(truth_of_twin(world, first)[0], moved[0])
    assert not torch.stack([o.left for o in outcomes]).any()


def truth_of_twin(world, session):
    luck = Luck.at(session.key, session.step)
    return world.users.outlook(session.user, world.catalogue, session.context, luck)


def test_context_moves_what_is_wanted(name):
    """Whoever shows what a stranger's context asks for earns less at that request."""
    world = world_of(name)
    session = begin(world, 512)
    hidden = replace(engine.observe(world, session), hidden=session)
    away = map_tensors(lambda x: x.roll(1, 0), session.context)
    blind = replace(hidden, hidden=replace(session, context=away))
    policy, now = Myopic(world), Luck.at(session.key, session.step)
    earned = [
        engine.transition(world, session, policy.act(seen, now).slate)[1].expected_reward
        for seen in (hidden, blind)
    ]
    gain_B = earned[0] - earned[1]
    assert gain_B.mean() > 3 * gain_B.std() / len(gain_B) ** 0.5


@pytest.mark.parametrize("static", [False, True])
def test_a_step_stays_on_the_worlds_device_and_reads_nothing_back(name, static):
    world = map_tensors(lambda x: torch.empty_like(x, device="meta"), world_of(name, static=static))
    lane_B = torch.empty(4, dtype=torch.int32, device="meta")
    slate_BK = torch.empty(4, world.slate_size, dtype=torch.int32, device="meta")
    session = engine.start(world, lane_B, lane_B, lane_B)
    after, outcome = engine.transition(world, session, slate_BK)
    assert outcome.reward.device.type == "meta"
    assert show(world, engine.observe(world, after))["step"].device.type == "meta"


def test_layout_stays_what_it_is(name):
    """Shape, dtype and stride never change: else a recompilation."""
    world = world_of(name)
    first = begin(world, 6)

    def leaf(x, y):
        assert (x.shape, x.dtype) == (y.shape, y.dtype) and x.is_contiguous()
        assert x.stride() == y.stride() or x.numel() == 0
        return x

    map_tensors(leaf, walk(world, first, 2)[0], first)


def test_drift_and_noise():
    """Tastes wander without any slate's doing; mistaken clicks come whatever is shown."""
    world = world_of("News", drift=0.3, strength=0.0)
    one, other = (walk(world, begin(world, 32), 6, number)[0] for number in (0, 1))
    torch.testing.assert_close(truth(world, one)[0], truth(world, other)[0])
    still = world_of("News", strength=0.0)
    plain = walk(still, begin(still, 32), 6)[0]
    moved_BN = truth(world, one)[0] - truth(still, plain)[0]
    assert 0.2 < moved_BN.std() < 3.0
    noisy = world_of("News", noise=0.4)
    appeal_BN = truth(noisy, begin(noisy, 64))[0]
    least = 0.4 * 0.1  # of clicks that are mistakes, for something nobody would choose
    assert appeal_BN.sigmoid().min() >= least - 1e-6
    assert abs(appeal_BN.sigmoid().min() - least) < 0.05
    spam = (noisy.catalogue.attribute("loudness") == 2.0).float().mean()
    usual = (world.catalogue.attribute("loudness") == 2.0).float().mean()
    assert 0.05 < spam - usual < 0.4
    with pytest.raises(UsageError, match=r"drift must be 0, got 0\.3"):
        world_of("News", drift=0.3, static=True)


def test_what_tempts_is_told_to_whoever_looks_ahead():
    world, loud = world_of("News"), SCENARIOS["News"].tempting
    told_BG = world.users.about_to_bore(begin(world, 4).user)
    assert [g for g in range(8) if told_BG[:, g].all()] == list(loud)
    control = world_of("News", strength=0.0)
    assert not control.users.about_to_bore(begin(control, 4).user).any()


def test_settings_that_cannot_be():
    with pytest.raises(UsageError, match=r"strength must be in \[0, 2\], got 3"):
        world_of("Shop", strength=3)
    with pytest.raises(UsageError, match="objective needs a weight for each of click, cart"):
        world_of("Shop", objective=(1.0, 2.0))
    with pytest.raises(UsageError, match=r"fixes scenario='Shop'"):
        world_of("Shop", scenario="News")
    assert WORLDS["slategym/Scenario-Shop-v0"].one_line == PAGES["Shop"].one_line


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_a_rule_forbids_never_reaches_anybody(data):
    """Any slates, any people: what is forbidden is an empty slot, and no policy shows it."""
    if not RULED:
        pytest.skip("no scenario has a rule")
    name = data.draw(st.sampled_from(RULED))
    world = WORLD[name]
    rule = SCENARIOS[name].rule
    user_B = torch.tensor(data.draw(st.lists(st.integers(0, 2**20 - 1), min_size=3, max_size=3)))
    session = engine.start(world, user_B.int(), user_B.int(), 0 * user_B.int())
    items = st.lists(st.integers(0, 79), min_size=world.slate_size, max_size=world.slate_size)
    policy = Myopic(world)
    for _step in range(3):
        seen = replace(engine.observe(world, session), hidden=session)
        limit_B = torch.tensor(rule.limit)[seen.profile[:, 0].long()]
        value_N = world.catalogue.attribute(rule.column)
        chosen_BK = policy.act(seen, Luck.at(session.key, session.step)).slate
        assert (value_N[chosen_BK.long()] <= limit_B[:, None]).all()
        slate_BK = torch.tensor([data.draw(items) for _ in range(3)], dtype=torch.int32)
        forbidden_BK = value_N[slate_BK.long()] > limit_B[:, None]
        session, outcome = engine.transition(world, session, slate_BK)
        assert not outcome.expected[forbidden_BK].any() and not outcome.feedback[forbidden_BK].any()


WORLD = {name: world_of(name) for name in RULED}
