"""Adam side by side, against torch's own."""

from copy import deepcopy

import torch

from slategym.agents.core.adam import SeedAdam


def run(adam, weight, grads, going=None, steps=range(6)):
    for t in steps:
        weight.grad = grads[t].clone()
        adam.step(0.1, going)


def test_it_is_adam():
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 3, generator=g).requires_grad_()
    other = weight.detach().clone().requires_grad_()
    grads = torch.randn(6, 2, 3, generator=g)
    run(SeedAdam([weight]), weight, grads)
    reference = torch.optim.Adam([other], lr=0.1, eps=1e-5)
    for t in range(6):
        other.grad = grads[t].clone()
        reference.step()
    torch.testing.assert_close(weight, other, rtol=1e-5, atol=1e-6)


def test_a_member_that_paused_goes_on_as_if_nothing_had_been():
    g = torch.Generator().manual_seed(1)
    start, grads = torch.randn(2, 3, generator=g), torch.randn(6, 2, 3, generator=g)
    weight, alone = start.clone().requires_grad_(), start[:1].clone().requires_grad_()
    adam, single = SeedAdam([weight]), SeedAdam([alone])
    run(adam, weight, grads, steps=range(2))
    run(adam, weight, grads, [False, True], steps=range(2, 4))
    run(adam, weight, grads, steps=range(4, 6))
    run(single, alone, grads[:, :1], steps=[0, 1, 4, 5])
    assert torch.equal(weight[0], alone[0]) and adam.updates_S.tolist() == [4.0, 6.0]


def test_one_loaded_after_a_pause_goes_on_as_the_one_that_was_saved():
    g = torch.Generator().manual_seed(2)
    start, grads = torch.randn(2, 3, generator=g), torch.randn(6, 2, 3, generator=g)
    weight = start.clone().requires_grad_()
    adam = SeedAdam([weight])
    run(adam, weight, grads, [False, True], steps=range(2))
    other = weight.detach().clone().requires_grad_()
    loaded = SeedAdam([other])
    loaded.load(deepcopy(adam.state()))
    for one, its in ((adam, weight), (loaded, other)):
        run(one, its, grads, steps=range(2, 6))
    assert torch.equal(weight, other) and loaded.updates_S.tolist() == [4.0, 6.0]
