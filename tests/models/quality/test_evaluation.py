import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from slategym.envs.names import UsageError
from slategym.experiments.cli.commands.evaluate_model import document
from slategym.experiments.cli.main import main
from slategym.models.classics import gaussian, trees, value_figures
from slategym.models.multitask import train, training_settings
from slategym.models.multitask.scores import Figures
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.train import TrainingSettings
from slategym.models.quality import classics, evaluation
from slategym.models.quality.evaluation import (
    Evaluation,
    leave_one_out,
    mean_figures,
    time_split,
)

REQUIRED = (
    "like_auc",
    "like_gauc",
    "rating_rmse",
    "click_auc",
    "like_ece",
    "hr10",
    "ndcg10",
    "protocol",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What one test trained the next reads: a model is that of its log, split and settings."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def evaluate(tiny_log, tiny_settings, tiny_vectors, home, monkeypatch):
    monkeypatch.setenv("SLATEGYM_HOME", str(home))
    monkeypatch.setattr(train, "item_text_vectors", lambda texts, *_, **__: tiny_vectors)

    def build(split):
        return Evaluation(
            tiny_log,
            split,
            settings=tiny_settings,
            progress=False,
            training=TrainingSettings(epochs=2, batch_events=64),
        )

    return build


def test_the_time_split_is_in_time_and_loo_by_user(tiny_log):
    split = time_split(tiny_log)
    time_E = tiny_log.events["time"].to_numpy()
    assert time_E[split.train].max() < time_E[split.validation].min()
    assert time_E[split.validation].max() < time_E[split.test].min()
    loo = leave_one_out(tiny_log)
    parts = np.stack([loo.train, loo.validation, loo.test])
    assert (parts.sum(0) == 1).all()
    users = tiny_log.events["user"].to_numpy()
    for user in (0, 11, 19):
        assert np.flatnonzero(loo.test & (users == user)) == np.flatnonzero(users == user)[-1]
        assert np.flatnonzero(loo.validation & (users == user)) == np.flatnonzero(users == user)[-2]


def test_the_document_holds_what_it_must_and_names_both_protocols(evaluate):
    evaluations = [evaluate("time"), evaluate("loo")]
    results = [[e.multi_task(), *e.anchors()] for e in evaluations]
    found = json.loads(json.dumps(document(evaluations, results, seed=0)))
    assert set(REQUIRED) <= set(found)
    for name in REQUIRED[:-1]:
        assert 0 <= found[name] <= 5, name
    assert found["hr10"] == results[1][0].get("hr10")
    assert found["time_hr10"] == results[0][0].get("hr10")
    assert found["like_auc"] == results[0][0].get("like_auc")
    for words in ("global time split", "leave-one-out", "4 items drawn uniformly", "validation"):
        assert words in found["protocol"]
    names = [row["model"] for row in found["comparison"]["time"]]
    assert names == ["multi-task BERT", "static biases", "online biases", "popularity"]


def test_without_loo_all_figures_are_of_the_split(evaluate):
    time = evaluate("time")
    figures = time.multi_task()
    found = document([time], [[figures]], seed=0)
    assert found["hr10"] == figures.get("hr10")
    assert "time_hr10" not in found
    assert found["protocol"].startswith("tiny, global time split")


def test_single_tasks_have_their_own_figures_only(evaluate):
    like, rating = evaluate("time").single_tasks()
    assert (like.model, rating.model) == ("like only", "rating only")
    assert set(like.values) == {"like_auc", "like_gauc", "like_ece", "like_ece_raw"}
    assert set(rating.values) == {"rating_rmse"}


def test_a_second_call_computes_nothing(evaluate, monkeypatch):
    first = evaluate("time").multi_task()
    monkeypatch.setattr(evaluation, "predict", lambda *a, **k: pytest.fail("predicted again"))
    monkeypatch.setattr(train.Fit, "run", lambda *a: pytest.fail("trained again"))
    assert evaluate("time").multi_task() == first


def test_other_data_are_another_model(evaluate, tiny_log):
    one = evaluate("time")
    other = Evaluation(replace(tiny_log, sha256="1" * 64), "time", settings=one.settings)
    training = one.recipe.training
    assert one._folder("x", training) != other._folder("x", training)


def test_many_rows_are_met_less_often_and_once(tiny_log, monkeypatch):
    few = Evaluation(tiny_log, "time", progress=False)
    assert few.recipe == evaluation.RECIPES["time"] and few.recipe.refit
    num_rows, epochs = int(few.split.train.sum()), few.recipe.training.epochs
    monkeypatch.setattr(training_settings, "MOST_ROWS", 2 * epochs * num_rows)
    assert Evaluation(tiny_log, "time", progress=False).recipe == few.recipe
    monkeypatch.setattr(training_settings, "MOST_ROWS", 2 * epochs * num_rows - 1)
    once = Evaluation(tiny_log, "time", progress=False).recipe
    assert once.training == few.recipe.training and not once.refit
    monkeypatch.setattr(training_settings, "MOST_ROWS", 3 * num_rows)
    many = Evaluation(tiny_log, "time", progress=False)
    assert many.recipe.training.epochs == 3 and not many.recipe.refit
    assert "refitted" in few.protocol() and "refitted" not in many.protocol()
    slower = replace(few.recipe.training, learning_rate=1e-3)
    assert Evaluation(tiny_log, "time", training=slower).recipe.training.epochs == 3
    asked = replace(slower, epochs=5)
    assert Evaluation(tiny_log, "time", training=asked).recipe.training == asked


def test_an_unknown_split_is_answered_with_the_nearest(evaluate):
    with pytest.raises(UsageError, match="did you mean 'time'"):
        evaluate("tyme")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["movielens-100", "--split", "time"], "did you mean 'movielens-100k'"),
        (["movielens-100k", "--split", "lo"], "did you mean 'loo'"),
        (["movielens-100k", "--device", "gpu"], "unknown device 'gpu'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["slategym", "evaluate-model", *arguments])
    assert main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_held_out_rows_enter_no_prediction(evaluate, tiny_vectors, monkeypatch):
    monkeypatch.setattr(gaussian, "LADDERS", {"bias": (0.15, 0.4)})
    small = trees.TreeSettings(folds=3, least_rows=5, most=20, patience=5, members=1)
    monkeypatch.setattr(value_figures, "TreeSettings", lambda: small)
    monkeypatch.setattr(classics, "item_text_vectors", lambda texts, *_, **__: tiny_vectors)
    fold = evaluate("random")
    clean, test_E = fold.log, fold.split.test

    def squared_errors(higher):
        """Of all models where the test rows' ratings are that much higher."""
        events = clean.events.copy()
        events.loc[test_E, "rating"] += higher
        fold.log = replace(clean, events=events, sha256=str(higher) * 32)
        fold.sequences = Sequences.from_log(fold.log)
        bert = fold.multi_task()
        own = {"like_auc", "like_gauc", "like_ece", "like_ece_raw", "rating_rmse"}
        assert set(bert.values) == own
        rows = [*fold.anchors(), *fold.classics(), bert]
        return {
            row.model: row.get("rating_rmse") ** 2 for row in rows if "rating_rmse" in row.values
        }

    one, two, three = (squared_errors(higher) for higher in (0.0, 0.5, 1.0))
    assert {"online biases", "Gaussian process", "boosted trees", "multi-task BERT"} <= set(one)
    for model, error in one.items():  # a parabola, as only the truth has moved
        assert three[model] - 2 * two[model] + error == pytest.approx(2 * 0.5**2, abs=1e-4), model


def test_the_mean_of_folds_says_their_spread():
    folds = [[Figures("a", {"like_auc": 0.7})], [Figures("a", {"like_auc": 0.8})]]
    (row,) = mean_figures(folds)
    assert row.get("like_auc") == pytest.approx(0.75)
    assert row.notes == ("standard deviation over 2 folds: like AUC 0.0707",)


def test_u1_is_of_movielens_alone(evaluate):
    with pytest.raises(UsageError, match="unknown split 'u1'"):
        evaluate("u1")
