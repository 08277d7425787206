"""Networks side by side: nothing crosses from one seed to another."""

import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call

from slategym.agents.core.ensemble import Ensemble, adam_state, clip_each, load_adam, ready_adam
from slategym.agents.slateq import network as network_module
from slategym.envs.types import Catalogue

CPU = torch.device("cpu")


def network():
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))


def data(seeds):
    """Inputs and targets of every seed, (S, 32, 5) and (S, 32, 3)."""
    draws = [torch.Generator().manual_seed(100 + seed) for seed in seeds]
    return (torch.stack([torch.randn(32, n, generator=g) for g in draws]) for n in (5, 3))


def train(seeds, updates=20):
    ensemble = Ensemble(network, seeds, CPU)
    adam = ready_adam(ensemble.parameters(), 1e-2)
    x, y = data(seeds)
    for _ in range(updates):
        loss_S = (ensemble(x) - y).square().mean((1, 2))
        adam.zero_grad()
        loss_S.sum().backward()
        clip_each(ensemble.parameters(), 0.5)
        adam.step()
    return ensemble, adam


def test_seed_3_of_8_is_trained_as_seed_3_alone():
    together, _ = train(range(8))
    alone, _ = train([3])
    for name, x in alone.member(0).items():
        torch.testing.assert_close(together.member(3)[name], x, rtol=1e-5, atol=1e-6)


def test_a_member_is_the_plain_network_of_its_seed():
    ensemble = Ensemble(network, [4, 9], CPU)
    torch.manual_seed(9)
    plain = network()
    x = torch.randn(7, 5)
    expected = plain(x)
    torch.testing.assert_close(ensemble(x.expand(2, 7, 5))[1], expected)
    torch.testing.assert_close(functional_call(plain, ensemble.member(1), (x,)), expected)


def test_one_member_alone_says_what_it_says_among_others():
    ensemble, x = Ensemble(network, [4, 9, 2], CPU), torch.randn(3, 7, 5)
    torch.testing.assert_close(ensemble.only(1)(x[1:2]), ensemble(x)[1:2])
    assert ensemble.only(1).weights["0.bias"].data_ptr() == ensemble.weights["0.bias"][1].data_ptr()


def test_the_global_generator_is_left_as_it_was():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Ensemble(network, [1, 2], CPU)
    assert torch.equal(before, torch.get_rng_state())


def test_clipping_is_for_each_member_by_itself():
    weight = torch.zeros(2, 3, requires_grad=True)
    weight.grad = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.3, 0.4]])
    norm_S = clip_each([weight], 1.0)
    assert norm_S.tolist() == pytest.approx([5.0, 0.5])
    assert weight.grad.norm(dim=1).tolist() == pytest.approx([1.0, 0.5], rel=1e-5)


def test_a_target_follows():
    ensemble = Ensemble(network, [0], CPU)
    target = ensemble.frozen_copy()
    with torch.no_grad():
        for x in ensemble.parameters():
            x.add_(1.0)
    target.follow(ensemble, 0.25)
    for mine, theirs in zip(target.parameters(), ensemble.parameters(), strict=True):
        torch.testing.assert_close(theirs - mine, torch.full_like(mine, 0.75))


def test_adam_goes_on_exactly_from_its_saved_state():
    ensemble, adam = train([1], updates=5)
    weights = {name: x.detach().clone() for name, x in ensemble.weights.items()}
    moments = tuple({n: x.clone() for n, x in parts.items()} for parts in adam_state(adam))
    other = Ensemble(network, [2], CPU)
    fresh = ready_adam(other.parameters(), 1e-2)
    other.load(weights)
    load_adam(fresh, moments)
    x, y = data([1])
    for which, optimiser in ((ensemble, adam), (other, fresh)):
        optimiser.zero_grad()
        (which(x) - y).square().mean().backward()
        optimiser.step()
    for a, b in zip(ensemble.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_cohort_of_one_can_be_recorded():
    ensemble = Ensemble(network, [4, 9], CPU).only(1)
    x = torch.randn(1, 7, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        recorded = torch.jit.trace(lambda x: ensemble(x), (x[:, :2],), check_trace=False)
    torch.testing.assert_close(recorded(x), ensemble(x).detach())


@pytest.mark.parametrize("rows", [20, 30])
def test_a_network_that_runs_all_members_at_once_says_what_vmap_says(monkeypatch, rows):
    """Its items have rows of weights, or vectors with which the state's query is multiplied."""
    monkeypatch.setattr(network_module, "MOST_ROWS", 25)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(rows, 6, generator=generator)
    catalogue = Catalogue(torch.zeros(rows, dtype=torch.int32), vectors, torch.zeros(rows))
    build = lambda: network_module.ItemNetwork(5, catalogue)  # noqa: E731
    assert build().by_row == (rows == 20)
    ensemble, x = Ensemble(build, [4, 9, 2], CPU), torch.randn(3, 7, 5, generator=generator)
    at_once = ensemble(x)
    gradients = torch.autograd.grad(sum(y.sin().sum() for y in at_once), ensemble.parameters())
    monkeypatch.delattr(network_module.ItemNetwork, "stacked")
    one_by_one = ensemble(x)
    expected = torch.autograd.grad(sum(y.sin().sum() for y in one_by_one), ensemble.parameters())
    torch.testing.assert_close(at_once, one_by_one)
    torch.testing.assert_close(gradients, expected)
