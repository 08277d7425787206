"""A named data set written out as a folder: the same weights, the same rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from small_movielens import forget, small_movielens
from small_worlds import small_log

from slategym import learned_world, load_log, make_policy, play
from slategym.models import write_folder
from slategym.models.files import home


def world_and_rows(log: str | Path) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Weights of the agents' model, and the rows of a supervised policy."""
    world = learned_world(log, users="evaluation")
    assert world.observer is not None
    weights = world.observer.encoder.model.state_dict()
    return weights, play(world, make_policy("supervised", world), users=12, seed=3)


def test_weights_and_rows_are_those_of_the_named_log(tmp_path: Path) -> None:
    made = load_log(write_folder(small_log(90, 160), tmp_path / "made"))
    with small_movielens(tmp_path / "home", made) as log:
        write_folder(log, tmp_path / "folder")
        assert load_log(tmp_path / "folder").sha256 == load_log("movielens-100k").sha256
        weights, rows = world_and_rows("movielens-100k")
        forget()
        again, same = world_and_rows(tmp_path / "folder")
        assert weights.keys() == again.keys()
        assert all(torch.equal(weights[name], again[name]) for name in weights)
        pd.testing.assert_frame_equal(rows, same)
        fitted = {path.parent.name for path in (home() / "models").rglob("model.safetensors")}
        assert len(fitted) >= 4  # both names were fitted, none was taken from the other
