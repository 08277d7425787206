"""Slates of one choice: by hand, and against every slate there is."""

from itertools import combinations

import pytest
import torch

from slategym.agents.slates.one_choice import (
    NEVER,
    SEARCHES,
    exact_level,
    exact_slate,
    greedy_slate,
    slate_lead,
    top_k_slate,
)

K = 3


def random_case(C, null, seed=0, B=400):
    """Odds, leads and item values of B users whose no-click is worth `null`."""
    draw = torch.Generator().manual_seed(seed)
    odds_BC = torch.randn(B, C, generator=draw).exp()
    value_BC = 100.0 + 20.0 * torch.randn(B, C, generator=draw)
    return odds_BC, value_BC - null, value_BC


@pytest.mark.parametrize("C", [10, 11, 12])
@pytest.mark.parametrize("null", [0.0, 100.0, 180.0], ids=["zero", "learned", "no click is best"])
def test_exact_is_the_best_of_all_slates(C, null):
    odds_BC, lead_BC, value_BC = random_case(C, null)
    every_AK = torch.tensor(list(combinations(range(C), K)))
    odds_BAK, value_BAK = odds_BC[:, every_AK], value_BC[:, every_AK]
    worth_BA = (null + (odds_BAK * value_BAK).sum(-1)) / (1.0 + odds_BAK.sum(-1))  # the definition
    slate_BK = exact_slate(odds_BC, lead_BC, K)
    assert all(len(set(slate)) == K for slate in slate_BK.tolist())
    found_B = null + slate_lead(odds_BC.gather(1, slate_BK), lead_BC.gather(1, slate_BK))
    torch.testing.assert_close(found_B, worth_BA.amax(1), rtol=1e-5, atol=1e-4)
    for search in (top_k_slate, greedy_slate):  # else the cases would be too easy
        other_BK = search(odds_BC, lead_BC, K)
        other_B = null + slate_lead(odds_BC.gather(1, other_BK), lead_BC.gather(1, other_BK))
        assert (other_B < found_B - 1e-3).any()


def test_nobody_is_left_behind_when_most_have_settled():
    odds_BC, lead_BC, _ = random_case(40, 140.0, B=64)
    odds_BC[7] = 10.0 ** torch.linspace(-6.0, 6.0, 40)  # unlike odds take more rounds
    lead_BC[7] = 1.0 / odds_BC[7] ** 0.5
    together_B = exact_level(odds_BC, lead_BC, K)[:, 0]
    alone_B = torch.cat(
        [exact_level(o[None], v[None], K)[0] for o, v in zip(odds_BC, lead_BC, strict=True)]
    )
    assert torch.equal(together_B, alone_B)


def test_top_k_and_greedy_by_hand():
    odds, lead = torch.tensor([[4.0, 2.0, 1.0, 0.1]]), torch.tensor([[5.0, 8.0, 10.0, 60.0]])
    # odds * lead = 20, 16, 10, 6: in this order
    assert top_k_slate(odds, lead, 2).tolist() == [[0, 1]]
    # alone 20/5 = 4, 16/3 = 5.33, 10/2 = 5, 6/1.1 = 5.45: item 3 first;
    # then with it 26/5.1 = 5.10, 22/3.1 = 7.10, 16/2.1 = 7.62: item 2
    assert greedy_slate(odds, lead, 2).tolist() == [[3, 2]]
    # pairs: 01 36/7, 02 30/6, 03 26/5.1, 12 26/4, 13 22/3.1 = 7.10, 23 16/2.1 = 7.62
    assert sorted(exact_slate(odds, lead, 2)[0].tolist()) == [2, 3]


def test_greedy_can_be_led_astray():
    odds, lead = torch.tensor([[9.0, 1.0, 1.0]]), torch.tensor([[5.56, 9.9, 9.9]])
    # alone 50.04/10 = 5.00 against 9.9/2 = 4.95, so 0 comes first and then 59.94/11 = 5.45;
    # 1 and 2 without it are worth 19.8/3 = 6.6
    assert greedy_slate(odds, lead, 2)[0, 0] == 0
    assert sorted(exact_slate(odds, lead, 2)[0].tolist()) == [1, 2]


@pytest.mark.parametrize("how", SEARCHES)
def test_what_may_not_be_shown_is_not_shown(how):
    odds_BC, lead_BC, _ = random_case(10, 140.0)
    lead_BC[:, ::2] = NEVER
    assert (SEARCHES[how](odds_BC, lead_BC, K) % 2 == 1).all()


@pytest.mark.parametrize("how", SEARCHES)
def test_any_leading_axes(how):
    odds_BC, lead_BC, _ = random_case(10, 50.0)
    flat_BK = SEARCHES[how](odds_BC, lead_BC, K)
    stacked_SBK = SEARCHES[how](odds_BC.view(4, 100, 10), lead_BC.view(4, 100, 10), K)
    assert torch.equal(stacked_SBK.flatten(0, 1), flat_BK)


@pytest.mark.parametrize("how", SEARCHES)
def test_too_few_that_may_be_shown_still_make_a_slate(how):
    odds_BC, lead_BC, _ = random_case(10, 0.0)
    lead_BC[:, 2:] = NEVER
    slate_BK = SEARCHES[how](odds_BC, lead_BC, K)
    assert all({0, 1} < set(slate) and len(set(slate)) == K for slate in slate_BK.tolist())
