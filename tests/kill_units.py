"""Work to be killed at: trainings with checkpoints, readings of them, a fit. Run as a program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import Unit, Work
from slategym.models.ending import raise_when_told_to_end

WORLD = "Sardine-SlateTopK-Bored-v0"
NAMES = "kill_units"  # of this module, as units name its functions


def learn(work: Work) -> pd.DataFrame:
    """Train, with a checkpoint after every cycle."""
    from small_agents import CountingSettings

    seed, num_steps = work.spec
    settings = CountingSettings(num_steps=num_steps, num_users=4)
    training = Training("counting", WORLD, {"num_items": 50}, settings, (seed,))
    entry = PolicyEntry("learner", "counts", None, "small_agents:Counting")
    with patch.dict(POLICIES, counting=entry):
        agent = training.run(
            work.folder,
            checkpoint_every=0.0,
            callback=lambda now: work.progress(now.steps, now.total),
        )
    points = [(point.steps, point.return_mean) for point in agent.curve]
    return pd.DataFrame(points, columns=["steps", "return_mean"])


def read(work: Work) -> pd.DataFrame:
    """What was learned, as a table."""
    from safetensors.torch import load_file

    folder = work.needed_folder(f"{NAMES}:learn")
    tensors = load_file(folder / "agent.safetensors")
    return pd.DataFrame({name: x.flatten().numpy() for name, x in sorted(tensors.items())})


def units(num_steps: int) -> list[Unit]:
    """Four trainings, each read."""
    trainings = [Unit(f"learn {n}", f"{NAMES}:learn", (n, num_steps)) for n in range(4)]
    return [Unit(f"read {u.label}", f"{NAMES}:read", {}, (u,)) for u in trainings] + trainings


def train(folder: Path, num_steps: int) -> Any:
    """Plackett-Luce by policy gradient, with a checkpoint after every cycle."""
    from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
    from slategym.envs.registry import make_world

    world = make_world(WORLD, num_items=50)
    settings = PPOSettings(num_steps=num_steps, num_users=16, minibatch=240)
    return PlackettLuce(world, settings).learn(world, folder=folder, checkpoint_every=0.0)


def fit(folder: Path, epochs: int) -> Any:
    """A small multi-task BERT."""
    import torch
    from small_worlds import small_log

    from slategym.models.multitask.network import MultiTaskSettings
    from slategym.models.multitask.train import TrainingSettings, train_multitask

    torch.set_num_threads(1)
    return train_multitask(
        small_log(num_users=12, num_items=12),
        np.arange(10),
        MultiTaskSettings(width=8, feedforward=8, max_history=8, wide="none", prior="none"),
        TrainingSettings(epochs=epochs, patience=epochs, batch_events=64),
        folder,
        validation=np.arange(10, 12),
        text_vectors_ND0=torch.zeros(12, 4),
        progress=False,
    )


if __name__ == "__main__":
    raise_when_told_to_end()
    what, out, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "fit":
        fit(out, size)
    elif what == "training":
        train(out, size)
    else:
        run_units(units(size), open_store(out), workers=2 if what == "study" else 0)
