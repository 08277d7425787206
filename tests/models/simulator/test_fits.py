"""Networks fitted side by side are those fitted in turns, whatever becomes of who helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_movielens import films, know_texts, small_home, small_movielens
from small_worlds import small_log

from slategym.models.multitask.network import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings
from slategym.models.simulator import builder, fits
from slategym.models.simulator.assumptions import find_assumptions
from slategym.models.simulator.fits import Network, fit_side_by_side
from slategym.models.simulator.parties import Parties, PartySettings
from slategym.models.simulator.recipe import WorldSettings

QUICK = PartySettings(
    model=MultiTaskSettings(width=16, feedforward=16, num_layers=1, max_history=8),
    training=TrainingSettings(epochs=1, batch_events=128, warmup_steps=2),
)
DEEP = replace(QUICK, model=replace(QUICK.model, wide="none", prior="none"))  # the soonest fitted
BOTH = [Network("A"), Network("B")]
LOG = small_log(30, 40)


@pytest.fixture
def fitted_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parties whose networks this process fitted or loaded; it has two processors, and time."""
    found = list[str]()
    bert = Parties.bert

    def seen(parties: Parties, party: str, *given: Any, **named: Any) -> torch.nn.Module:
        found.append(party)
        return bert(parties, party, *given, **named)

    monkeypatch.setattr(Parties, "bert", seen)
    monkeypatch.setattr(fits, "WORTH", 0)
    monkeypatch.setattr(fits, "processors", lambda: 2)
    return found


def weights(parties: Parties) -> list[dict[str, torch.Tensor]]:
    return [parties.bert(party, progress=False).state_dict() for party in "AB"]


@pytest.mark.usefixtures("whole_searches")  # as in the process beside
def test_the_weights_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted_here: list[str]
) -> None:
    found = []
    for way in ("side by side", "in turns"):
        with small_home(tmp_path / way), monkeypatch.context() as patch:
            know_texts(tmp_path / way, LOG, patch)
            parties = Parties(LOG, QUICK)
            if way == "side by side":
                fit_side_by_side(parties, BOTH)
                assert fitted_here == ["A"]
                assert (parties.folder("B") / "config.json").exists()
            found.append(weights(parties))
    for one, other in zip(*found, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "import sys; sys.stdin.buffer.read()"])
def test_what_was_not_done_beside_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted_here: list[str], program: str
) -> None:
    monkeypatch.setattr(fits, "PROGRAM", program)
    with small_home(tmp_path):
        parties = Parties(LOG, DEEP)
        fit_side_by_side(parties, BOTH)
        assert fitted_here == ["A"] and not parties.folder("B").exists()
        assert len(weights(parties)) == 2


@pytest.mark.parametrize(
    "unless",
    [{"WORTH": 10**9}, {"MOST_ROWS": 10}, {"processors": lambda: 1}],
    ids=["of few rows", "of many rows", "on one processor"],
)
def test_nothing_is_fitted_beside_where_it_does_not_pay(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fitted_here: list[str],
    unless: dict[str, object],
) -> None:
    for name, value in unless.items():
        monkeypatch.setattr(fits, name, value)
    with small_home(tmp_path):
        fit_side_by_side(Parties(LOG, QUICK), BOTH)
    assert fitted_here == []


class Asked(Exception):
    """For, before anything else."""


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"assumptions": "none"}, ["A0", "B0"]),
        ({"assumptions": "none", "pessimism": 1.0}, ["A0", "A1", "A2", "B0"]),
        ({"assumptions": "none", "role": "J"}, ["B0"]),
        ({"assumptions": "mild", "role": "J"}, ["A0", "B0"]),  # patience is chosen before A's
        ({"assumptions": "mild", "role": "J", "family": "bert"}, ["J0", "A0", "B0"]),
    ],
)
def test_a_world_asks_for_all_that_it_rests_on_before_it_fits_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], wanted: list[str]
) -> None:
    met = list[str]()

    def asked(parties: Parties, networks: list[Network]) -> None:
        met.extend(f"{one.party}{one.member}" for one in networks)
        raise Asked

    monkeypatch.setattr(builder, "fit_side_by_side", asked)
    given: dict[str, Any] = {"role": "A", "static": False, "users": "training", "slate_size": None}
    given |= {"state": True, "starts": 1, "device": "cpu", **settings}
    given["assumptions"] = find_assumptions(given["assumptions"])
    with small_movielens(tmp_path), pytest.raises(Asked):
        films().world(WorldSettings(**given))
    assert met == wanted
