"""Learned people do what their model says: means against samples, the catalogue against items."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch
from scipy.stats import norm
from small_worlds import SIGNALS, FixedTaste, learned_world, plain_taste

from slategym.envs import engine, luck
from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.types import Catalogue, Context, Items
from slategym.envs.users.assumed import Assumed
from slategym.models.simulator.users import LearnedUsers
from slategym.models.tasks import SPREAD
from slategym.models.taste import clicked

B = 20_000
CLICK = [0.0, 1.0, -1.0, 2.0]
LIKE = [-2.0, 0.0, 0.5, 2.0]  # log-odds
STARS = [1.8, 3.0, 3.6, 4.7]
N = len(CLICK)


@pytest.fixture(scope="module")
def users() -> LearnedUsers:
    taste = FixedTaste(torch.tensor(CLICK), torch.tensor(LIKE), torch.tensor(STARS))
    return LearnedUsers(taste, skip=0.5, temperature=2.0)


def context(size: int) -> Context:
    zero_B = torch.zeros(size)
    day_B = zero_B.int()
    return Context(zero_B, day_B, day_B, day_B, day_B, zero_B)


def everything(size: int) -> Items:
    catalogue = Catalogue(torch.zeros(N), torch.zeros(N, 1), torch.zeros(N))
    return Items(torch.arange(N, dtype=torch.int32).expand(size, N).contiguous(), catalogue)


def many_lucks(size: int) -> Luck:
    user_B = torch.arange(size, dtype=torch.int32)
    zero_B = torch.zeros_like(user_B)
    return Luck.at(luck.key(zero_B, user_B, zero_B), zero_B)


def test_samples_have_the_stated_means(users: LearnedUsers) -> None:
    state = torch.zeros(B)
    value_BNM, mean_BNM = users.respond(state, everything(B), context(B), many_lucks(B))
    click_BN, like_BN, stars_BN = value_BNM.unbind(-1)
    assert (click_BN == 1).all() and (mean_BNM[..., 0] == 1).all()
    error_NM = 4 * value_BNM.std(0) / B**0.5 + 1e-6  # four standard errors
    assert ((value_BNM.mean(0) - mean_BNM[0]).abs() <= error_NM).all()
    torch.testing.assert_close(mean_BNM[0, :, 1], torch.tensor(LIKE).sigmoid())
    assert set(stars_BN[like_BN > 0].unique().tolist()) == {4.0, 5.0}
    assert set(stars_BN[like_BN == 0].unique().tolist()) == {1.0, 2.0, 3.0}


def test_stars_are_a_rounded_normal_on_either_side_of_a_like(users: LearnedUsers) -> None:
    value_BNM, _ = users.respond(torch.zeros(B), everything(B), context(B), many_lucks(B))
    like_BN, stars_BN = value_BNM[..., 1], value_BNM[..., 2]
    for item, mean in enumerate(STARS):
        below = [norm.cdf((cut - mean) / SPREAD) for cut in (0.5, 1.5, 2.5, 3.5, 4.5, 5.5)]
        below[0], below[-1] = 0.0, 1.0
        law = [high - low for low, high in pairwise(below)]
        for liked, group in ((False, (1, 2, 3)), (True, (4, 5))):
            stars_x = stars_BN[(like_BN[:, item] > 0) == liked, item]
            total = sum(law[star - 1] for star in group)
            for star in group:
                wanted = law[star - 1] / total
                error = 4 * (wanted * (1 - wanted) / len(stars_x)) ** 0.5 + 1e-3
                assert float((stars_x == star).float().mean()) == pytest.approx(wanted, abs=error)


def test_rates_stay_finite_where_a_like_is_all_but_impossible(users: LearnedUsers) -> None:
    far = (torch.zeros(2), torch.tensor([-40.0, 40.0]), torch.tensor([-30.0, 40.0]))
    mean_2M = users._means(far)
    torch.testing.assert_close(
        mean_2M, torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 5.0]]), atol=1e-3, rtol=0
    )


def test_appeal_by_hand(users: LearnedUsers) -> None:
    appeal_1N = users.appeal(torch.zeros(1), everything(1), context(1))
    expected = [(c + 0.5 * x - 0.5) / 2.0 for c, x in zip(CLICK, LIKE, strict=True)]
    torch.testing.assert_close(appeal_1N, torch.tensor([expected]))


def test_the_outlook_is_what_each_item_alone_says() -> None:
    world = learned_world()
    assert isinstance(world.users, Assumed) and isinstance(world.users.inner, LearnedUsers)
    user_B = torch.arange(8, dtype=torch.int32)
    zero_B = torch.zeros_like(user_B)
    session = engine.start(world, zero_B, user_B, zero_B)
    for model, state in (
        (world.users, session.user),
        (world.users.inner, session.user.inner),
    ):
        given = (state, world.catalogue, session.context, many_lucks(8))
        appeal_BN, mean_BNM = model.outlook(*given)
        slow_appeal_BN, slow_mean_BNM = UserModel.outlook(model, *given)
        torch.testing.assert_close(appeal_BN, slow_appeal_BN)
        torch.testing.assert_close(mean_BNM, slow_mean_BNM)
    assert appeal_BN.std() > 0.1 and mean_BNM[..., 1].std() > 0.05


def test_only_the_static_never_change(users: LearnedUsers) -> None:
    state = torch.zeros(2, dtype=torch.int32)
    feedback = torch.zeros(2, N, 3)
    feedback[1, 2] = torch.tensor([1.0, 0.0, 3.0])
    given = (state, everything(2), feedback, context(2), many_lucks(2))
    assert users.evolve(*given).tolist() == [0, 1]
    assert replace(users, static=True).evolve(*given) is state


def test_the_clicked_item_and_its_signals() -> None:
    catalogue = Catalogue(torch.zeros(10), torch.zeros(10, 1), torch.zeros(10))
    items = Items(torch.tensor([[7, 3], [2, 9]], dtype=torch.int32), catalogue)
    feedback = torch.zeros(2, 2, 3)
    feedback[0, 1] = torch.tensor([1.0, 1.0, 4.0])
    item_B, feedback_BM, took_B = clicked(items, feedback)
    assert (int(item_B[0]), feedback_BM[0].tolist()) == (3, [1.0, 1.0, 4.0])
    assert took_B.tolist() == [True, False]


def test_signals_are_labelled() -> None:
    users = LearnedUsers(plain_taste([0.0], [0.0]), skip=0.0, temperature=1.0)
    assert users.signals == SIGNALS
    assert [s.provenance for s in users.signals] == ["derived", "derived", "logged"]


def test_every_click_of_a_slate_joins_the_history_where_several_may() -> None:
    """In the order of the slots; days away are told with the first alone."""

    @dataclass(frozen=True)
    class Recorder(FixedTaste):
        seen: list[tuple[list[int], list[bool], list[float]]] = field(default_factory=list)

        def after(self, state, item_B, feedback_BM, took_B, context):  # type: ignore[no-untyped-def]
            self.seen.append((item_B.tolist(), took_B.tolist(), context.gap.tolist()))
            return state

    feedback_BKM = torch.zeros(2, N, len(SIGNALS))
    feedback_BKM[0, [1, 3], 0] = 1.0
    away = replace(context(2), gap=torch.tensor([2.0, 3.0]))
    for several, taken in ((True, [1, 3]), (False, [1])):
        taste = Recorder(torch.tensor(CLICK), torch.tensor(LIKE), torch.tensor(STARS))
        people = LearnedUsers(taste, skip=0.5, temperature=2.0, several=several)
        people.evolve(torch.zeros(2), everything(2), feedback_BKM, away, many_lucks(2))
        assert [item[0] for item, took, _ in taste.seen if took[0]] == taken
        assert not any(took[1] for _, took, _ in taste.seen)
        assert taste.seen[0][2] == [2.0, 3.0]
        assert all(gap == [0.0, 0.0] for _, _, gap in taste.seen[1:])
