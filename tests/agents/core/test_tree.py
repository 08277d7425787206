"""Nested states to flat names and back."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from slategym.agents.core.tree import filled, leaves


@dataclass(frozen=True)
class Pair:
    a: Tensor
    b: Tensor | None


def tree():
    return {"x": (torch.arange(3), {"deep": torch.ones(2, 2)}), "pair": Pair(torch.zeros(1), None)}


def test_every_tensor_has_its_path():
    assert set(leaves(tree())) == {"x.0", "x.1.deep", "pair.a"}


def test_there_and_back():
    doubled = {name: 2 * x for name, x in leaves(tree()).items()}
    back = filled(tree(), doubled)
    assert back["x"][0].tolist() == [0, 2, 4]
    assert back["pair"].b is None
    assert {name: x.tolist() for name, x in leaves(back).items()} == {
        name: x.tolist() for name, x in doubled.items()
    }


def test_what_is_filled_in_is_a_copy():
    source = leaves(tree())
    back = filled(tree(), source)
    source["x.0"].zero_()
    assert back["x"][0].tolist() == [0, 1, 2]


def test_a_missing_and_a_misshapen_tensor_are_named():
    whole = leaves(tree())
    with pytest.raises(ValueError, match=r"x\.1\.deep"):
        filled(tree(), {name: x for name, x in whole.items() if name != "x.1.deep"})
    with pytest.raises(ValueError, match=r"'x.0' has shape \(4,\), not \(3,\)"):
        filled(tree(), whole | {"x.0": torch.zeros(4)})
