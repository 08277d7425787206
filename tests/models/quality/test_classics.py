"""The classics as lines of the comparison."""

from importlib.util import find_spec

import pytest

from slategym.models.classics import families, gaussian, next_figures, trees, value_figures
from slategym.models.classics.figures import NAMES
from slategym.models.classics.reading import Reading
from slategym.models.multitask.scores import heading
from slategym.models.quality import classics
from slategym.models.quality.classics import classic_rows
from slategym.models.quality.evaluation import Evaluation


@pytest.fixture
def quick(monkeypatch, tiny_vectors, tmp_path) -> None:
    """Two families, one ladder, small trees, no encoder to fetch."""
    few = {name: families.FAMILIES[name] for name in ("popularity", "ease")}
    monkeypatch.setattr(next_figures, "FAMILIES", few)
    monkeypatch.setattr(gaussian, "LADDERS", {"bias": (0.15, 0.4)})
    small = trees.TreeSettings(folds=3, least_rows=5, most=20, patience=5, members=1)
    monkeypatch.setattr(value_figures, "TreeSettings", lambda: small)
    monkeypatch.setattr(classics, "item_text_vectors", lambda texts, progress: tiny_vectors)
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))


def test_they_are_read_once_and_kept(quick, tiny_log, monkeypatch):
    evaluation = Evaluation(tiny_log, "time", progress=False)
    rows = evaluation.classics()
    assert [row.model for row in rows] == [
        "popularity",
        "EASE",
        "online biases",
        "online biases with drift",
        "Gaussian process",
        "boosted trees",
    ]
    shared = {f.model: f for f in evaluation.anchors()}
    for name, figures in (("online biases", ("rating_rmse",)), ("popularity", ("click_auc",))):
        row = next(row for row in rows if row.model == name)
        for figure in figures:  # fitted and read on the same rows as the anchors
            assert row.get(figure) == pytest.approx(shared[name].get(figure), abs=0.02)
    monkeypatch.setattr(classics, "classic_figures", None)  # would fail if called
    assert evaluation.classics() == rows


def test_without_scikit_learn_the_trees_say_what_they_need(quick, tiny_log, monkeypatch):
    monkeypatch.setattr(
        classics, "find_spec", lambda name: None if name == "sklearn" else find_spec(name)
    )
    rows = Evaluation(tiny_log, "loo", progress=False).classics()
    assert rows[-1].model == "boosted trees" and not rows[-1].values
    assert "pip install 'slategym[classics]'" in rows[-1].notes[0]


def test_progress_is_said_on_stderr(quick, tiny_log, capsys):
    evaluation = Evaluation(tiny_log, "time", progress=False)
    split = evaluation.split
    reading = Reading(tiny_log, split.train, split.validation, split.test, refit=True)
    classic_rows("time", reading, progress=True)
    told = capsys.readouterr()
    assert not told.out and "EASE: 0 s" in told.err
    assert f"{len(NAMES)}/{len(NAMES)} classics" in told.err


def test_headings():
    assert heading("click_auc_popular") == "click AUC popular"
    assert heading("dwell_rmsle") == "dwell RMSLE"
