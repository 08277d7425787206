"""Where numbers of a training go: by name, and with an error before anything is trained."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from slategym.envs.names import UsageError
from slategym.models.multitask.reporters import REPORTERS, open_reporters
from slategym.models.multitask.train import TrainingSettings, train_multitask

QUICK = TrainingSettings(epochs=2, batch_events=64, warmup_steps=2)


@pytest.fixture
def train(tiny_log, tiny_settings, tiny_vectors):
    def run(folder, *names, **others):
        train_multitask(
            tiny_log, np.arange(20), tiny_settings, replace(QUICK, **others), folder,
            text_vectors_ND0=tiny_vectors, progress=False, report_to=names,
        )  # fmt: skip

    return run


def test_tensorboard_files(train, tmp_path):
    train(tmp_path, "tensorboard")
    assert list((tmp_path / "reports" / "tensorboard" / "multi-task-BERT").glob("events*"))


def test_pictures_of_slates_go_where_numbers_go(tmp_path, monkeypatch):
    image = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    (board,) = open_reporters(["tensorboard"], tmp_path, "x", {})
    board.picture(7, "slates", image)
    board.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (tmp_path / "reports" / "tensorboard").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    (kept,) = events.Images("slates")
    assert (kept.step, kept.height, kept.width) == (7, 5, 4)
    logged = []
    wandb, tracking = ModuleType("wandb"), ModuleType("mlflow.tracking")
    wandb.Image = lambda array: ("image", array.shape)
    wandb.init = lambda **given: SimpleNamespace(
        log=lambda values, step: logged.append((step, values))
    )
    client = SimpleNamespace(
        get_experiment_by_name=lambda name: SimpleNamespace(experiment_id="7"),
        create_run=lambda at, run_name: SimpleNamespace(info=SimpleNamespace(run_id="r")),
        log_image=lambda run, array, file: logged.append((run, array.shape, file)),
    )
    tracking.MlflowClient = lambda tracking_uri: client
    for name, module in (
        ("wandb", wandb),
        ("mlflow", ModuleType("mlflow")),
        ("mlflow.tracking", tracking),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("wandb", "mlflow"):
        (found,) = open_reporters([name], tmp_path, "x", {})
        found.picture(7, "slates", image)
    assert logged == [(7, {"slates": ("image", (5, 4, 3))}), ("r", (5, 4, 3), "slates-7.png")]


def test_a_run_of_weights_and_biases(train, tmp_path, monkeypatch):
    calls = []
    run = SimpleNamespace(
        log=lambda values, step: calls.append((step, values)), finish=lambda: calls.append("end")
    )
    wandb = ModuleType("wandb")
    wandb.init, wandb.Image = lambda **given: calls.append(given) or run, None
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    train(tmp_path, "wandb")
    begun, first, second, end = calls
    assert begun["project"] == "slategym" and begun["config"]["epochs"] == 2
    assert begun["dir"] == str(tmp_path / "reports") and begun["name"] == "multi-task BERT"
    assert (first[0], second[0], end) == (1, 2, "end") and first[1]["like"] > 0


def test_a_run_of_mlflow(train, tmp_path, monkeypatch):
    calls = []

    class Client:
        def __init__(self, tracking_uri):
            calls.append(tracking_uri)

        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return "7"

        def create_run(self, experiment, run_name):
            return SimpleNamespace(info=SimpleNamespace(run_id=f"{experiment}-{run_name}"))

        def log_param(self, run, name, value):
            calls.append((run, name))

        def log_metric(self, run, name, value, step):
            calls.append((name, step))

        def set_terminated(self, run):
            calls.append("end")

    tracking = ModuleType("mlflow.tracking")
    tracking.MlflowClient = Client
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    train(tmp_path, "mlflow")
    assert calls[0] == f"sqlite:///{(tmp_path / 'reports').absolute()}/mlflow.db"
    assert ("7-multi-task BERT", "learning_rate") in calls
    assert ("like", 1) in calls and ("like", 2) in calls and calls[-1] == "end"


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_is_not_installed_is_said_before_any_training(train, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"needs {name}: pip install 'slategym\[{name}\]'"):
        train(tmp_path / "m", name)
    with pytest.raises(UsageError, match="unknown reporter 'tensorbord'; did you mean"):
        train(tmp_path / "m", "tensorbord")
    assert not (tmp_path / "m").exists()


def test_a_reporter_of_ones_own(tmp_path, monkeypatch):
    module = ModuleType("my_reports")
    module.Mine = lambda folder, label, settings: (folder, label, settings)
    monkeypatch.setitem(sys.modules, "my_reports", module)
    found = open_reporters(["my_reports:Mine"], tmp_path, "x", {"a": 1})
    assert found == [(tmp_path / "reports", "x", {"a": 1})]
    assert set(REPORTERS) == {"tensorboard", "wandb", "mlflow"}


def test_accumulated_batches_make_one_update(tiny_log, tiny_settings, tiny_vectors, tmp_path):
    """Half as many updates; each is along the mean of its batches' gradients."""
    import torch

    from slategym.models.multitask.biases import ItemBiases
    from slategym.models.multitask.fit import Fit, Part
    from slategym.models.multitask.network import MultiTaskBert
    from slategym.models.multitask.progress import EpochBar
    from slategym.models.multitask.sequences import Sequences
    from slategym.models.tasks import tasks_of

    def steps(accumulate):
        tasks = tasks_of(tiny_log.signals, 4.0)
        model = MultiTaskBert(
            tiny_settings, tasks, text_vectors_ND0=tiny_vectors, profile_sizes=(3, 2), num_items=30,
            biases=ItemBiases.neutral(30, 3),
        )  # fmt: skip
        everything = np.ones(len(tiny_log.events), bool)
        training = replace(QUICK, epochs=1, accumulate=accumulate, learning_rate=0.0)
        fit = Fit(model, Sequences.from_log(tiny_log), everything, None, training, 0)
        path = tmp_path / f"{accumulate}.safetensors"
        state = fit.run(path, "spec", EpochBar("", 1, False), None)
        return state.step, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    one, _ = steps(1)
    two, _ = steps(2)
    whole, whole_grads = steps(one)
    assert one > 4 and two == -(-one // 2) and whole == 1
    assert all(torch.isfinite(g).all() for g in whole_grads)
    parts = [Part.of(number, 5, 2) for number in range(5)]
    assert [p.first for p in parts] == [True, False, True, False, True]
    assert [p.last for p in parts] == [False, True, False, True, True]
    assert [p.batches for p in parts] == [2, 2, 2, 2, 1]
    with pytest.raises(
        ValueError, match=r"accumulate=2 adds up the heads' gradients alone, and balance"
    ):
        replace(QUICK, accumulate=2, balance="pcgrad")
    with pytest.raises(ValueError, match="accumulate must be at least 1"):
        replace(QUICK, accumulate=0)


def test_bfloat16_learns_and_keeps_float32_weights(train, tmp_path):
    import torch

    from slategym.models.multitask.network import MultiTaskBert
    from slategym.models.multitask.train import read_about

    train(tmp_path / "1")
    train(tmp_path / "2", precision="bfloat16")
    history = [read_about(tmp_path / n)["history"][-1] for n in "12"]
    assert history[0] != history[1]
    for head in ("click", "like", "next"):
        assert history[1][head] == pytest.approx(history[0][head], rel=0.1)
    model = MultiTaskBert.from_pretrained(tmp_path / "2")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    with pytest.raises(UsageError, match="unknown precision 'float16'"):
        replace(QUICK, precision="float16")
