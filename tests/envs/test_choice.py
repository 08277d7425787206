"""Choice models against hand-computed probabilities and their own samples."""

import pytest
import torch

from slategym.envs.choice import (
    CHOICES,
    Cascade,
    DynamicBayesian,
    ExponentialCascade,
    MixedPositionBased,
    MultinomialLogit,
    MultinomialProportional,
    PositionBased,
    UserBrowsing,
)
from slategym.envs.luck import Luck

EVEN = torch.tensor([[0.0, 0.0, 0.0]])  # appeal 0: sigmoid is one half
EMPTY = float("-inf")
SEVERAL = (PositionBased, MixedPositionBased, UserBrowsing, DynamicBayesian)

CASES = [
    (MultinomialLogit(skip=0.0), [0.25, 0.25, 0.25]),
    (MultinomialProportional(lowest=-1.0, skip=1.0), [0.2, 0.2, 0.2]),
    (PositionBased(decay=0.85), [0.5, 0.5 * 0.85, 0.5 * 0.85**2]),
    (MixedPositionBased(decay=0.5), [0.5 * 0.625, 0.5 * 0.5, 0.5 * 0.625]),
    (Cascade(patience=1.0), [0.5, 0.25, 0.125]),
    (Cascade(patience=0.8), [0.5, 0.8 * 0.25, 0.64 * 0.125]),
    (ExponentialCascade(attention=0.5, scale=0.4), [0.2, 0.8 * 0.2, 0.64 * 0.2]),
    # slot 1: after a click fully seen, else half; slot 2: three histories of the last click
    (
        UserBrowsing(keep=0.5),
        [0.5, 0.5 * 0.5 + 0.5 * 0.25, 0.375 * 0.5 + 0.5 * 0.5 * 0.25 + 0.5 * 0.75 * 0.125],
    ),
    (DynamicBayesian(satisfied=0.4, patience=0.9), [0.5, 0.5 * 0.72, 0.5 * 0.72**2]),
]


def lucky(B):
    return Luck.at(torch.arange(B, dtype=torch.int32), torch.zeros(B, dtype=torch.int32))


@pytest.mark.parametrize(("model", "expected"), CASES)
def test_probabilities_by_hand(model, expected):
    prob_BK, _ = model(EVEN, lucky(1))
    torch.testing.assert_close(prob_BK, torch.tensor([expected]))


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("appeal", [[1.0, -0.5, 0.3, 2.0], [1.0, EMPTY, 0.3, EMPTY], [EMPTY] * 4])
def test_samples_follow_probabilities(name, appeal):
    B, model = 100_000, CHOICES[name]()
    appeal_BK = torch.tensor(appeal).expand(B, 4)
    prob_BK, click_BK = model(appeal_BK, lucky(B))
    assert click_BK.dtype == torch.bool and prob_BK.dtype == torch.float32
    assert prob_BK.isfinite().all()
    torch.testing.assert_close(click_BK.float().mean(0), prob_BK[0], atol=0.008, rtol=0)
    empty_K = torch.tensor(appeal) == EMPTY
    assert not prob_BK[:, empty_K].any() and not click_BK[:, empty_K].any()
    if not isinstance(model, SEVERAL):
        assert click_BK.sum(1).max() <= 1


def test_an_empty_first_slot_does_not_stop_a_reader():
    """Cascade and browsing go past an empty slot as past one that was not clicked."""
    prob_BK, _ = Cascade()(torch.tensor([[EMPTY, 0.0]]), lucky(1))
    torch.testing.assert_close(prob_BK, torch.tensor([[0.0, 0.5]]))
