"""Draws depend on their counters alone, and look random along every one of them."""

import pytest
import torch

from slategym.envs import luck
from slategym.envs.luck import Luck, purpose

A, B = purpose("test.a"), purpose("test.b")


def ints(*shape: int) -> torch.Tensor:
    return torch.arange(shape[0], dtype=torch.int32)


def streams(U: int, step: int = 0, seed: int = 0) -> Luck:
    user_B = ints(U)
    key_B = luck.key(torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))
    return Luck.at(key_B, torch.full_like(user_B, step))


def correlation(x, y) -> float:
    return torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].abs().item()


def test_uniform_is_uniform():
    """Chi-squared over 256 cells, 255 degrees of freedom: 99.9 % lie within [184, 341]."""
    for x in (streams(200_000).uniform(A, 1), streams(200).uniform(A, 1000)):
        seen = torch.histc(x, 256, 0.0, 1.0)
        expected = x.numel() / 256
        assert 184 < ((seen - expected) ** 2 / expected).sum() < 341
        assert x.min() >= 0.0 and x.max() < 1.0


def test_a_stream_of_another_kind_of_numbers_has_as_many_draws():
    for kind in (torch.int32, torch.int64):
        assert Luck(streams(8).stream.to(kind)).uniform(A, 3).shape == (8, 3)


def test_low_bits_are_uniform():
    bit = (streams(100_000).uniform(A, 4) * 2**24).long() & 1
    assert abs(bit.float().mean() - 0.5) < 0.005


def test_neighbours_are_independent():
    """|r| < 5 / sqrt(n) between users, steps, seeds, visits, purposes and indices."""
    n = 100_000
    x = streams(n).uniform(A, 2)
    limit = 5 / n**0.5
    visit = Luck.at(luck.key(0 * ints(n), ints(n), 0 * ints(n) + 1), 0 * ints(n))
    assert correlation(x[:, 0], x[:, 1]) < limit  # index
    assert correlation(x[:-1, 0], x[1:, 0]) < limit  # user
    assert correlation(x[:, 0], streams(n, step=1).uniform(A, 2)[:, 0]) < limit
    assert correlation(x[:, 0], streams(n, seed=1).uniform(A, 2)[:, 0]) < limit
    assert correlation(x[:, 0], visit.uniform(A, 2)[:, 0]) < limit
    assert correlation(x[:, 0], streams(n).uniform(B, 2)[:, 0]) < limit


def test_steps_of_one_user_are_uniform():
    step_B = ints(100_000)
    x = Luck.at(torch.full_like(step_B, 7), step_B).uniform(A, 1)
    seen = torch.histc(x, 256, 0.0, 1.0)
    assert 184 < ((seen - len(x) / 256) ** 2 / (len(x) / 256)).sum() < 341
    assert correlation(x[1:], x[:-1]) < 5 / len(x) ** 0.5


def test_users_never_share_a_stream_within_a_step():
    assert streams(1_000_000).stream.unique().numel() == 1_000_000


def test_normal_and_gumbel_moments():
    normal, gumbel = streams(200_000).normal(A, 1), streams(200_000).gumbel(A, 1)
    assert abs(normal.mean()) < 0.01 and abs(normal.std() - 1.0) < 0.01
    assert abs((normal**4).mean() - 3.0) < 0.1
    assert abs(gumbel.mean() - 0.5772) < 0.02 and abs(gumbel.var() - 1.645) < 0.04
    assert normal.isfinite().all() and gumbel.isfinite().all()


def test_integers_cover_their_range():
    x = streams(10_000).integers(A, 10, 7)
    assert x.dtype == torch.int32
    assert torch.allclose(
        x.long().flatten().bincount() / x.numel(), torch.full((7,), 1 / 7), atol=0.01
    )


def test_categorical_follows_its_probabilities():
    p_K = torch.tensor([0.1, 0.5, 0.0, 0.25])  # 0.15 left for none
    choice_BK = streams(200_000).categorical(A, p_K.expand(200_000, 4))
    assert torch.allclose(choice_BK.float().mean(0), p_K, atol=0.005)
    assert choice_BK.sum(1).max() == 1


def test_global_generator_is_untouched():
    before = torch.get_rng_state()
    streams(10).gumbel(A, 10)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_same_bits_on_cuda():
    here = streams(1000)
    there = Luck(here.stream.cuda())
    assert torch.equal(here.uniform(A, 10), there.uniform(A, 10).cpu())
