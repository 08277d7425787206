"""What heads share: by hand on small sizes."""

import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.multitask.sharing import (
    EXPERTS,
    SHARINGS,
    CrossStitch,
    MixtureOfExperts,
    sharing_of,
)

WIDTH, HEADS = 4, 3


def made(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return sharing_of(name, WIDTH, HEADS)


@pytest.mark.parametrize("name", SHARINGS)
def test_every_head_has_a_query_of_the_same_shape(name):
    sharing, query_xD = made(name), torch.randn(2, 5, WIDTH)
    assert all(sharing(head, query_xD).shape == query_xD.shape for head in range(HEADS))
    flat = sharing(1, query_xD.reshape(10, WIDTH)).reshape(2, 5, WIDTH)
    torch.testing.assert_close(flat, sharing(1, query_xD))


@pytest.mark.parametrize("name", [name for name in SHARINGS if name != "shared-bottom"])
def test_a_head_moves_what_is_shared_and_what_is_its_own(name):
    sharing = made(name)
    sharing(0, torch.randn(5, WIDTH)).sum().backward()
    moved = {n for n, p in sharing.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved, name
    others = [n for n, p in sharing.named_parameters() if p.grad is None]
    assert name == "cross-stitch" or others  # gates of other heads stay


def test_mmoe_is_the_gated_sum_of_its_experts():
    sharing, query_xD = MixtureOfExperts(WIDTH, HEADS), torch.randn(2, WIDTH)
    gate_xE = sharing.gates[2](query_xD).softmax(-1)
    wanted = sum(gate_xE[:, [e]] * sharing.experts[e](query_xD) for e in range(EXPERTS))
    torch.testing.assert_close(sharing(2, query_xD), wanted)


def test_cross_stitch_starts_with_each_heads_own_layer_ahead():
    sharing, query_xD = CrossStitch(WIDTH, HEADS), torch.randn(2, WIDTH)
    own, *others = (layer(query_xD) for layer in sharing.own)
    torch.testing.assert_close(sharing(0, query_xD), 0.9 * own + 0.05 * sum(others))


def test_shared_bottom_adds_no_weights_and_changes_nothing():
    query_xD = torch.randn(2, WIDTH)
    assert made("shared-bottom")(1, query_xD) is query_xD
    assert not list(made("shared-bottom").parameters())


def test_an_unknown_sharing_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'mmoe'"):
        sharing_of("moe", WIDTH, HEADS)
