"""A spec has one text, whoever writes it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slategym.experiments.runs.spec import canonical_json, spec_id


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
    assert spec_id(Outer(3, Inner(0.5))) == "dd3b54dc9012"


def test_a_class_may_be_renamed() -> None:
    assert spec_id(Inner(0.5)) == spec_id({"rate": 0.5, "names": ()})


def test_another_spec_has_another_id() -> None:
    specs = [Outer(s, Inner(r)) for s in (1, 2) for r in (0.1, 0.2)]
    assert len({spec_id(spec) for spec in specs}) == 4
    assert spec_id(True) != spec_id(1)
    assert spec_id("1") != spec_id(1)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_order_does_not_matter(spec: dict[str, float]) -> None:
    assert spec_id(spec) == spec_id(dict(reversed(spec.items())))


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
        "from slategym.experiments.runs.spec import spec_id\n"
        "print(spec_id({'a': len({'x', 'y'}), 'b': 2}))"
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
    assert found == {spec_id({"a": 2, "b": 2}) + "\n"}
