"""Which slots were read, as each choice model has it."""

import pytest
import torch

from slategym.agents.bandits.examination import examination
from slategym.envs.choice import (
    Cascade,
    DynamicBayesian,
    ExponentialCascade,
    MixedPositionBased,
    MultinomialLogit,
    PositionBased,
)
from slategym.envs.luck import Luck

CLICKS = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]]).bool()


@pytest.mark.parametrize("choice", [Cascade(), ExponentialCascade(), DynamicBayesian()])
def test_where_people_read_down_to_a_click_what_lies_below_was_not_read(choice):
    read_BK = examination(choice, CLICKS)
    assert read_BK.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]


def test_attention_falls_with_the_position():
    assert examination(PositionBased(0.5), CLICKS)[0].tolist() == [1, 0.5, 0.25, 0.125]
    both = examination(MixedPositionBased(0.5), CLICKS)[1]
    assert both.tolist() == [0.5625, 0.375, 0.375, 0.5625]


@pytest.mark.parametrize("choice", [PositionBased(0.7), MixedPositionBased(0.7)])
def test_it_is_the_choice_models_own_rate(choice):
    sure_BK = torch.full((1, 4), 30.0)  # certain to be clicked if read
    prob_BK, click_BK = choice(sure_BK, Luck(torch.zeros(1, dtype=torch.int32)))
    torch.testing.assert_close(examination(choice, click_BK), prob_BK)


def test_without_an_order_all_count():
    assert examination(MultinomialLogit(), CLICKS).eq(1).all()
