"""A named data set written out as a folder: the same weights, the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_movielens import forget, small_home, small_movielens
from small_worlds import small_log

from slategym import load_log, make_policy, play
from slategym.agents.core import tuning
from slategym.models import write_folder
from slategym.models.assets.registry import fetch
from slategym.models.files import home
from slategym.models.multitask.network import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings
from slategym.models.simulator.assumptions import MILD
from slategym.models.simulator.cache import builder_of
from slategym.models.simulator.parties import USUAL, PartySettings
from slategym.models.simulator.recipe import WorldSettings
from slategym.models.simulator.world import LOG, build_world

NAME = "movielens-100k"
SMALL = replace(  # the log's own world with small models, each fitted for one epoch
    LOG,
    parties=PartySettings(
        MultiTaskSettings(width=16, num_layers=1, num_heads=2, feedforward=32, max_history=16),
        TrainingSettings(epochs=1),
    ),
)


def world_and_rows(log: str) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Weights of the agents' model, and the rows of a supervised policy."""
    settings = WorldSettings("A", False, "evaluation", None, MILD, True, 8, "cpu")
    world = build_world(log, SMALL, settings)
    assert world.observer is not None
    weights = world.observer.encoder.model.state_dict()
    return weights, play(world, make_policy("supervised", world), users=12, seed=3)


def test_weights_and_rows_are_those_of_the_named_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "SLATES", 500)
    made = load_log(write_folder(small_log(60, 160), tmp_path / "made"))
    with small_movielens(tmp_path / "home", made) as log:
        write_folder(log, tmp_path / "folder")
        assert load_log(tmp_path / "folder").sha256 == load_log("movielens-100k").sha256
        weights, rows = world_and_rows("movielens-100k")
        forget()
        again, same = world_and_rows(str(tmp_path / "folder"))
        assert weights.keys() == again.keys()
        assert all(torch.equal(weights[name], again[name]) for name in weights)
        pd.testing.assert_frame_equal(rows, same)
        fitted = {path.parent.name for path in (home() / "models").rglob("model.safetensors")}
        assert len(fitted) >= 4  # both names were fitted, none was taken from the other


def rows_of_everybody(log: str) -> pd.DataFrame:
    """Sessions of policies that read the log, its model or neither, in the world and the judge."""
    parts = []
    for role in ("A", "J"):
        settings = WorldSettings(role, False, "evaluation", None, MILD, True, 8, "cpu")
        world = build_world(log, SMALL, settings)
        for policy in ("random", "popularity", "ease", "supervised"):
            played = play(world, make_policy(policy, world), users=20, seed=3)
            parts.append(played.assign(role=role, policy=policy))
    return pd.concat(parts, ignore_index=True)


def weights_of_everybody(log: str) -> dict[str, torch.Tensor]:
    """Of the three models."""
    parties = builder_of(log, SMALL).parties
    models = {party: parties.bert(party).state_dict() for party in "AB"}
    parties.taste(USUAL["J"], "J")
    kept = parties.folder("J", 0, USUAL["J"])
    models |= {f"J.{path.name}": load_file(path) for path in kept.rglob("*.safetensors")}
    assert len(models) > 2
    return {f"{party}.{n}": w for party, model in models.items() for n, w in model.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*tokens of the item texts are unknown")
def test_the_real_movielens_is_its_folder(tmp_path: Path) -> None:
    """The same, with all 100,000 ratings; both are fitted, each in a home of its own."""
    with small_home(tmp_path / "one"):
        try:
            fetch(NAME)
        except OSError as error:
            pytest.skip(f"MovieLens-100K cannot be had here: {error}")
        write_folder(load_log(NAME), tmp_path / NAME)
        assert load_log(NAME).sha256 == load_log(tmp_path / NAME).sha256
        weights, rows = weights_of_everybody(NAME), rows_of_everybody(NAME)
        assert len(load_log(NAME).events) == 100_000 and len(rows) == 160
    with small_home(tmp_path / "other"):
        again = weights_of_everybody(str(tmp_path / NAME))
        assert weights.keys() == again.keys()
        assert all(torch.equal(weights[name], again[name]) for name in weights)
        pd.testing.assert_frame_equal(rows, rows_of_everybody(str(tmp_path / NAME)))
