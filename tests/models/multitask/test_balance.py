"""Balancing the losses, by hand-computed numbers and by what each method promises."""

import math

import pytest
import torch
from torch import nn

from slategym.envs.names import UsageError
from slategym.models.multitask.balance import (
    BALANCES,
    Famo,
    Gradients,
    GradNorm,
    Uncertainty,
    balance_of,
    cagrad,
)


class Two(nn.Module):
    """A shared point in the plane, and a number of each head's own."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.own_a = nn.Parameter(torch.tensor(1.0))
        self.own_b = nn.Parameter(torch.tensor(1.0))

    def losses(self, a=(1.0, 0.0), b=(-1.0, 1.0)):
        """Losses whose gradients at the shared point are a and b."""
        return {
            "a": (self.shared @ torch.tensor(a)) * self.own_a + 3,
            "b": (self.shared @ torch.tensor(b)) * self.own_b + 5,
        }


@pytest.mark.parametrize("name", BALANCES)
def test_heads_that_agree_keep_their_direction(name):
    model = Two()
    balance_of(name, 2).backward(model.losses((1.0, 2.0), (1.0, 2.0)), [*model.named_parameters()])
    direction = model.shared.grad / model.shared.grad.norm()
    torch.testing.assert_close(direction, torch.tensor([1.0, 2.0]) / math.sqrt(5))
    assert model.own_a.grad is not None and model.own_b.grad is not None


def test_fixed_is_the_sum():
    model = Two()
    balance_of("fixed", 2).backward(model.losses(), [*model.named_parameters()])
    torch.testing.assert_close(model.shared.grad, torch.tensor([0.0, 1.0]))


def test_pcgrad_takes_the_conflict_out():
    # a = (1, 0), b = (-1, 1): a' = a + b / 2, b' = b + a, by algorithm 1
    model = Two()
    balance_of("pcgrad", 2).backward(model.losses(), [*model.named_parameters()])
    torch.testing.assert_close(model.shared.grad, torch.tensor([0.5, 1.5]))
    assert float(model.own_a.grad) == 1.0 and float(model.own_b.grad) == -1.0  # their own


def test_cagrad_serves_the_worst_served_better_than_the_mean():
    rows = torch.tensor([[1.0, 0.0], [-3.0, 1.0]], dtype=torch.float64)
    gram = rows @ rows.T
    mix = cagrad(gram)
    found, mean = mix @ rows / 2, rows.mean(0)
    assert float((rows @ found).min()) > float((rows @ mean).min())
    assert float((found - mean).norm()) <= 0.4 * float(mean.norm()) + 1e-6


def test_aligned_gradients_are_equally_long_and_orthogonal():
    rows = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    model = Two()
    balance_of("aligned-mtl", 2).backward(
        model.losses((3.0, 0.0), (0.0, 1.0)), [*model.named_parameters()]
    )
    grad = model.shared.grad.double()
    assert float(grad[0]) == pytest.approx(float(grad[1]), rel=1e-4)
    assert rows.shape == (2, 2)


def test_uncertainty_settles_where_the_weight_is_half_over_the_loss():
    model, balance = Two(), Uncertainty(2)
    optimizer = torch.optim.Adam(balance.learned(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        balance.backward(model.losses(), [*model.named_parameters()])
        optimizer.step()
    # d/ds (exp(-s) L + s / 2) = 0 where exp(-s) = 1 / (2 L)
    torch.testing.assert_close(
        (-balance.log_variance_G).exp().detach(), torch.tensor([1 / 8, 1 / 8]), rtol=1e-2, atol=0
    )


def test_gradnorm_lowers_the_weight_of_the_longer_gradient():
    model, balance = Two(), GradNorm(2)
    for _ in range(200):
        balance.backward(model.losses((8.0, 0.0), (0.0, 1.0)), [*model.named_parameters()])
    weight_a, weight_b = balance.weight_G.tolist()
    assert weight_a + weight_b == pytest.approx(2)
    assert weight_a * 8 == pytest.approx(weight_b, rel=0.2)


def test_famo_turns_to_the_loss_that_falls_less():
    model, balance = Two(), Famo(2)
    for _ in range(50):
        balance.backward(model.losses(), [*model.named_parameters()])
        balance.after(lambda: {"a": torch.tensor(2.0), "b": torch.tensor(5.9)})  # from 4 and 4
    share_a, share_b = balance.logit_G.softmax(0).tolist()
    assert share_b > share_a


def test_shared_weights_are_those_of_several_heads_and_never_the_biases():
    model = Two()
    model.item_bias_YN = nn.Parameter(torch.ones(2))
    losses = {"a": model.losses()["a"] + model.item_bias_YN[0], "b": model.item_bias_YN[1] * 2}
    gradients = Gradients(losses, [*model.named_parameters()])
    assert gradients.shared == [False, False, False, False]
    gradients = Gradients(model.losses(), [*model.named_parameters()])
    assert gradients.shared == [True, False, False, False]


@pytest.mark.parametrize("name", BALANCES)
def test_its_state_comes_back(name):
    first, second = balance_of(name, 2), balance_of(name, 2)
    model = Two()
    for balance in (first, first, second):
        balance.backward(model.losses(), [*model.named_parameters()])
        balance.after(lambda: {k: v.detach() * 0.9 for k, v in model.losses().items()})
    second.load_state_dict(first.state_dict())
    for name_, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name_])


def test_an_unknown_balance_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'pcgrad'"):
        balance_of("pc-grad", 2)
