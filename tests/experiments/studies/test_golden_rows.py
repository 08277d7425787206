"""Rows of small studies, kept: the engine of studies changes none of them silently.

`golden/STUDY.csv` holds every session of the study in small, as `rows` gives it. Where rows change
because a world, a policy or a learner does, say so in CHANGELOG.md and write them again:
`python tests/experiments/studies/test_golden_rows.py`.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console

from slategym.experiments.measure.plan import plan_of
from slategym.experiments.request import Request
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import closure
from slategym.experiments.studies import sardine, slateq, topicrec
from slategym.experiments.study import Profile, Study

GOLDEN = Path(__file__).with_name("golden")
STUDIES = {study.name: study for study in (slateq.STUDY, sardine.STUDY, topicrec.STUDY)}
SLOW = {  # what takes seconds each, and the engine treats as it treats the others
    "slateq": (
        *("SARSA, top-k", "SARSA, greedy", "QL-TT", "QL-GT"),
        *("SARSA, greedy, given a click", "QL-GT, given a click", "QL-OT, given a click"),
    ),
    "sardine": (
        "one direction",
        "more, but varied",
        "from slates",
        "planner",
        "ppo-multidiscrete",
        "reinforce-topk",
        "proto-sac",
        "hac",
        "thompson",
    ),
    "topicrec": (
        *("more, but varied", "gems", "gems, random log", "hac", "reinforce-topk"),
        *topicrec.OTHERS,
    ),
}
# Whose draws or ties are decided by last bits, which differ between processors: of their rows who
# is read where, trained where with which seed, is compared, not what they earn. Learners that are
# compared in full: those of slateq and topicrec.
LAST_BITS = {"sardine": ("linucb", "plackett-luce")}
DIGITS = 6  # after the point, of the file
PLACE = ["variant", "policy", "trained_in", "seed", "user"]
WHO = [*PLACE, "person", "world", "group"]


def rows_of(study: Study, folder: Path) -> pd.DataFrame:
    """Four sessions of every policy in every place, two seeds of every learner."""
    size = Profile("rows", seeds=2, users=4, training=0.001, left_out=SLOW[study.name])
    plan = plan_of(replace(study, profiles={"quick": size}), Request())
    store = open_store(folder)
    run_units(closure(plan.readings), store, console=Console(quiet=True))
    rows = plan.rows(store).sort_values(PLACE, kind="stable", ignore_index=True)
    return rows[[*WHO, *sorted(rows.columns.difference(WHO))]]


@pytest.mark.parametrize("name", STUDIES)
def test_rows_are_those_of_before(name: str, tmp_path: Path) -> None:
    rows = rows_of(STUDIES[name], tmp_path)
    written = tmp_path / "rows.csv"
    rows.to_csv(written, index=False, float_format=f"%.{DIGITS}f")
    found, kept = pd.read_csv(written), pd.read_csv(GOLDEN / f"{name}.csv")
    pd.testing.assert_frame_equal(found[WHO], kept[WHO])
    told = ~kept["policy"].isin(LAST_BITS.get(name, ()))
    assert told.any()
    pd.testing.assert_frame_equal(found[told], kept[told], rtol=1e-4, atol=10**-DIGITS)
    assert found.loc[~told].notna().equals(kept.loc[~told].notna())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, study in STUDIES.items():
        with tempfile.TemporaryDirectory() as scratch:
            rows = rows_of(study, Path(scratch))
        rows.to_csv(GOLDEN / f"{name}.csv", index=False, float_format=f"%.{DIGITS}f")
