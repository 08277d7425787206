"""Several processes train one model: batches are shared out, and all end with the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slategym.envs.names import UsageError
from slategym.models.multitask.team import Team

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, {tests!r})
from small_log import shop_log
from slategym.models.hashes import content_hash
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.team import Team
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.text.settings import EncoderSettings
torch.set_num_threads(1)
log = shop_log(24, 12, slates=8)
vectors_ND0 = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
text = EncoderSettings({encoder!r}, tuning={tuning!r}, texts_per_step=3, learning_rate=0.01)
model = train_multitask(
    log, np.arange(20),
    MultiTaskSettings(width=8, num_layers=1, feedforward=8, max_history=8, text=text),
    TrainingSettings(epochs=2, batch_events=32, warmup_steps=2), Path({folder!r}),
    validation=np.arange(20, 24), text_vectors_ND0=None if text.learns else vectors_ND0,
    progress=False,
)
weights = content_hash(*(x.numpy() for x in model.state_dict().values()))
Path({folder!r} + f"-{{Team.launched().rank}}").write_text(weights)
"""


def test_batches_are_shared_out_evenly():
    batches = list(range(11))
    parts = [Team(rank, 3).share(batches) for rank in range(3)]
    assert parts == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert Team().share(batches) == batches and Team(1, 3).share([5, 6]) == [5, 6]


def test_alone_nothing_is_averaged(monkeypatch):
    import torch

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team = Team.launched()
    assert team.first and team.average(torch.nn.Linear(2, 2).parameters()) == []
    assert team.mean({"a": 2.0}) == {"a": 2.0}


def test_accelerate_is_asked_for_only_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Team.launched().size == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"pip install 'slategym\[multi-gpu\]'"):
        Team.launched()


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["frozen", "adalora"])
def test_two_processes_end_with_the_same_weights(tuning, encoder, tmp_path):
    script = tmp_path / "train.py"
    folder = str(tmp_path / "model")
    given = {"tests": str(ROOT / "tests"), "encoder": str(encoder), "tuning": tuning}
    script.write_text(SCRIPT.format(folder=folder, **given))
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, str(script)], check=True, env=environment, timeout=300)
    first, second = (Path(f"{folder}-{rank}").read_text() for rank in range(2))
    assert first == second
    alone = tmp_path / "alone"
    script.write_text(SCRIPT.format(folder=str(alone), **given))
    subprocess.run([sys.executable, str(script)], check=True, env=environment, timeout=300)
    assert Path(f"{alone}-0").read_text() != first  # a process alone makes twice the updates
