"""DayInLife: context moves what people want, visits end and begin, satisfaction brings back."""

import torch

from slategym.envs import engine
from slategym.envs.day import DEVICES, PLACES
from slategym.envs.luck import Luck, purpose
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors
from slategym.envs.types import Items
from slategym.envs.users.day_in_life import TOPICS, VISIBLE

POLICY = purpose("test.policy")
NEWS, DOCUMENTARY = TOPICS.index("news"), TOPICS.index("documentary")


def begin(world, B):
    lane_B = torch.arange(B, dtype=torch.int32)
    return engine.start(world, 0 * lane_B + 5, lane_B, 0 * lane_B)


def at(context, **fields):
    """The same context for all users, with some fields set."""
    whole = {name: torch.full_like(getattr(context, name), x) for name, x in fields.items()}
    return type(context)(**(vars(context) | whole))


def catalogue_appeal(world, session, context):
    ids_BN = torch.arange(world.catalogue.num_items, dtype=torch.int32).repeat(
        session.step.shape[0], 1
    )
    return world.users.appeal(session.user, Items(ids_BN, world.catalogue), context)


def test_morning_news_and_evening_documentaries():
    world = make_world("DayInLife-v0")
    session = begin(world, 4)
    way, home, phone, screen = (
        PLACES.index("way"), PLACES.index("home"), DEVICES.index("phone"), DEVICES.index("screen")
    )  # fmt: skip
    morning = at(session.context, hour=7.5, weekday=1, place=way, device=phone, weather=0)
    evening = at(session.context, hour=22.0, weekday=1, place=home, device=screen, weather=1)
    change_BN = catalogue_appeal(world, session, evening) - catalogue_appeal(
        world, session, morning
    )
    topic_N = world.catalogue.topic
    assert (change_BN[:, topic_N == NEWS] < -0.5).all()
    assert (change_BN[:, topic_N == DOCUMENTARY] > 1.5).all()


def test_the_device_decides_how_many_slots_are_seen():
    world = make_world("DayInLife-v0")
    session = begin(world, 2)
    items = Items(torch.arange(20, dtype=torch.int32).view(2, 10), world.catalogue)
    for device, visible in enumerate(VISIBLE):
        context = at(session.context, device=device)
        seen_BK = world.users.appeal(session.user, items, context) > -torch.inf
        assert seen_BK.sum(1).tolist() == [visible, visible]


def test_patience_ends_a_visit_and_context_moves_on():
    """Nobody clicks the empty slots: after some slates all are away, then somewhere else."""
    world = make_world("DayInLife-v0")
    session, nothing = begin(world, 256), torch.full((256, 10), 7, dtype=torch.int32)
    gaps = []
    for _ in range(9):
        before = session
        session, outcome = engine.transition(world, session, nothing)
        away_B = session.user.away
        torch.testing.assert_close(
            torch.where(away_B > 0, away_B, before.context.gap), session.context.gap
        )
        stays = rows(session.context, away_B == 0)
        was = rows(before.context, away_B == 0)
        assert torch.equal(stays.place, was.place) and torch.equal(stays.device, was.device)
        assert torch.equal(outcome.left, away_B > 7.0)
        gaps.append(away_B[away_B > 0])
    assert torch.cat(gaps).numel() > 256


def rows(tree, index):
    return map_tensors(lambda x: x[index], tree)


def test_content_people_come_back_sooner():
    world = make_world("DayInLife-v0")
    users, session = world.users, begin(world, 4096)
    items = Items(torch.zeros(4096, 1, dtype=torch.int32), world.catalogue)
    none = torch.zeros(4096, 1, 5)
    away = {}
    for mood in (-0.5, 0.5):
        state = type(session.user)(
            **(
                vars(session.user)
                | {
                    "satisfaction": torch.full((4096,), mood),
                    "patience": torch.full((4096,), 0.1),
                }
            )
        )
        luck = Luck.at(session.key, session.step)
        after = users.evolve(state, items, none, session.context, luck)
        away[mood] = after.away.mean().item()
    assert away[-0.5] > 2 * away[0.5]


def test_loud_titles_are_worth_less():
    """Clickbait pays now: the expected like falls where the appeal of the title rises."""
    catalogue = make_world("DayInLife-v0", num_items=2000).catalogue
    loudness_N = catalogue.embedding[:, 8]
    assert torch.corrcoef(torch.stack([loudness_N, catalogue.quality]))[0, 1] < -0.5
    loud = [title for title in catalogue.title if "!" in title or title.isupper()]
    assert 100 < len(loud) < 1000 and len(catalogue.text) == 2000


def returns(world, blind, num_users=256, num_slates=16):
    """Expected reward of the best slates by taste and context; blind: by a stranger's context."""
    session, earned_B = begin(world, num_users), torch.zeros(num_users)
    for _ in range(num_slates):
        context = session.context
        if blind:
            context = map_tensors(lambda x: x.roll(1, 0), context)
        luck = Luck.at(session.key, session.step)
        appeal_BN, value_BNM = world.users.outlook(session.user, world.catalogue, context, luck)
        worth_BN = appeal_BN.sigmoid() * (value_BNM * torch.tensor(world.objective)).sum(2)
        slate_BK = worth_BN.topk(world.slate_size).indices.int()
        session, outcome = engine.transition(world, session, slate_BK)
        earned_B += outcome.expected_reward
    return earned_B


def test_whoever_sees_the_context_does_better_but_not_in_the_static_twin():
    """The same users with the same luck; at least four standard errors of the difference."""
    world = make_world("DayInLife-v0")
    blind_B = returns(world, blind=True)
    gain_B = returns(world, blind=False) - blind_B
    assert gain_B.mean() > 4 * gain_B.std() / len(gain_B) ** 0.5
    assert gain_B.mean() > 0.08 * blind_B.mean()
    twin = make_world("DayInLife-v0", static=True)
    seeing, blind = (returns(twin, blind, num_slates=4) for blind in (False, True))
    assert torch.equal(seeing, blind)


def test_the_static_twin_shows_every_slot_to_everybody():
    world = make_world("DayInLife-v0", static=True)
    session = begin(world, 64)
    slate_BK = torch.arange(10, dtype=torch.int32).repeat(64, 1)
    _, outcome = engine.transition(world, session, slate_BK)
    assert (outcome.expected[:, :, 0] > 0).all()
    assert len(session.context.device.unique()) == 3  # and the devices still differ


def test_time_stands_still_in_the_static_twin():
    world = make_world("DayInLife-v0", static=True)
    session = begin(world, 16)
    luck = Luck.at(session.key, session.step)
    after = session
    for _ in range(12):
        slate_BK = luck.uniform(POLICY, 400).topk(10).indices.int()
        after, outcome = engine.transition(world, after, slate_BK)
        assert not outcome.left.any()
    for name in ("hour", "weekday", "device", "place", "weather", "gap"):
        assert torch.equal(getattr(session.context, name), getattr(after.context, name))
