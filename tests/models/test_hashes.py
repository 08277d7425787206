"""A spec has one text, whoever writes it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slategym.models.hashes import canonical_json, content_hash, hash_of


@dataclass(frozen=True)
class Inner:
    rate: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    seed: int
    inner: Inner


@dataclass
class Loose:
    seed: int


def test_the_text_of_a_spec() -> None:
    assert canonical_json(Outer(3, Inner(1.0, ("a", "é")))) == (
        '{"inner":{"names":["a","\\u00e9"],"rate":1},"seed":3}'
    )


def test_the_id_is_short_and_does_not_move() -> None:
    assert hash_of(Outer(3, Inner(0.5))) == "dd3b54dc9012"


def test_a_class_may_be_renamed() -> None:
    assert hash_of(Inner(0.5)) == hash_of({"rate": 0.5, "names": ()})


def test_another_spec_has_another_id() -> None:
    specs = [Outer(s, Inner(r)) for s in (1, 2) for r in (0.1, 0.2)]
    assert len({hash_of(spec) for spec in specs}) == 4
    assert hash_of(True) != hash_of(1)
    assert hash_of("1") != hash_of(1)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_order_does_not_matter(spec: dict[str, float]) -> None:
    assert hash_of(spec) == hash_of(dict(reversed(spec.items())))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"a": float("nan")}, "spec.a is nan"),
        ({"a": {1: 2}}, r"string keys; spec.a has \[1\]"),
        ({"a": [Path("/tmp")]}, r"spec.a\[0\] is a PosixPath"),
        (Loose(1), "frozen; spec is Loose"),
        ({"a": Outer}, "spec.a is a type"),
    ],
)
def test_what_cannot_be_written_is_named(spec: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical_json(spec)


def test_the_id_does_not_depend_on_the_process() -> None:
    code = (
        "from slategym.models.hashes import hash_of\nprint(hash_of({'a': len({'x', 'y'}), 'b': 2}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert found == {hash_of({"a": 2, "b": 2}) + "\n"}


def test_arrays_are_told_apart_by_what_they_hold_their_kind_and_their_shape() -> None:
    a = np.arange(6, dtype=np.int64)
    different = [(a,), (a[::-1],), (a.astype(np.int32),), (a.reshape(2, 3),), (a, a), ()]
    assert len({content_hash(*arrays) for arrays in different}) == len(different)
    assert content_hash(a.astype(">i8")) == content_hash(a) == content_hash(np.arange(6))
    assert content_hash(np.arange(12)[::2]) == content_hash(np.arange(0, 12, 2))
