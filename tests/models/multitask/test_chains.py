"""Chains and rankings of the heads' losses, by hand."""

import math

import pytest
import torch

from slategym.models.multitask.chains import Transfer, joint_loss, overtaking
from slategym.models.multitask.ranking import ranking_loss


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_the_joint_loss_is_the_cross_entropy_of_the_product():
    click, given = torch.tensor([0.3, -1.2]), torch.tensor([2.0, 0.5])
    both = [sigmoid(0.3) * sigmoid(2.0), sigmoid(-1.2) * sigmoid(0.5)]
    found = joint_loss(click, given, torch.tensor([1.0, 0.0]))
    assert found.tolist() == pytest.approx([-math.log(both[0]), -math.log(1 - both[1])], rel=1e-5)
    sure = joint_loss(torch.tensor([40.0]), torch.tensor([40.0]), torch.tensor([0.0]))
    assert sure.isfinite().all()


def test_only_a_stage_that_overtakes_is_held_back():
    found = overtaking(torch.tensor([0.0, 0.0]), torch.tensor([1.0, -1.0]))
    assert found.tolist() == pytest.approx([sigmoid(1.0) - 0.5, 0.0])


def test_a_stage_hears_of_the_one_before_and_others_do_not():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transfer = Transfer(4, (0, 2))
    queries = {head: torch.randn(3, 4) for head in range(4)}
    assert transfer(0, queries.__getitem__) is queries[0]  # the first stage
    assert transfer(1, queries.__getitem__) is queries[1]  # no stage
    told = transfer(2, queries.__getitem__)
    queries[0] = queries[0] + 1
    assert not torch.allclose(told, transfer(2, queries.__getitem__))


def test_rankings_by_hand():
    # row 0 was clicked, with one drawn negative; row 1 passed over at its place; row 2 elsewhere
    logit_xC = torch.tensor([[2.0, 1.0], [0.5, 9.0], [7.0, 9.0]])
    used_xC = torch.tensor([[True, True], [True, False], [True, False]])
    clicked_x, place_x = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([4, 4, 5])
    pairs = [math.log1p(math.exp(1.0 - 2.0)), math.log1p(math.exp(0.5 - 2.0))]
    found = ranking_loss("pairwise", logit_xC, used_xC, clicked_x, place_x)
    assert float(found) == pytest.approx(sum(pairs) / 2, rel=1e-5)
    whole = math.exp(2.0) / (math.exp(2.0) + math.exp(1.0) + math.exp(0.5))
    found = ranking_loss("listwise", logit_xC, used_xC, clicked_x, place_x)
    assert float(found) == pytest.approx(-math.log(whole), rel=1e-5)


@pytest.mark.parametrize("kind", ["pairwise", "listwise"])
def test_a_batch_without_clicks_has_no_ranking(kind):
    found = ranking_loss(
        kind, torch.randn(2, 1), torch.ones(2, 1).bool(), torch.zeros(2), torch.zeros(2)
    )
    assert float(found) == 0
