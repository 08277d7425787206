"""From a log to its multi-task model in one call."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from slategym.envs.names import UsageError
from slategym.models.data.datasets import load_log
from slategym.models.data.fitness import one_valued
from slategym.models.data.log import Log
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.private import PrivacySettings, train_private
from slategym.models.multitask.train import train_multitask
from slategym.models.multitask.training_settings import TrainingSettings

logger = logging.getLogger(__name__)

HELD_SHARE = 0.1  # of the people: stop early and calibrate on them


def fit(
    log: Log | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    settings: MultiTaskSettings | None = None,
    training: TrainingSettings | None = None,
    privacy: PrivacySettings | None = None,
    report_to: Sequence[str] = (),
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> MultiTaskBert:
    """Fit the multi-task model to a log, or load what an equal call fitted.

    A tenth of the people, drawn by the seed, is held out: training stops early and the heads are
    calibrated on their rows.

    Args:
        log: a log, its folder, or a data set's name.
        folder: of the model: weights, config.json and a card, README.md.
        epochs: at most; None: as the training settings say, fewer for a log of many rows
            (`TrainingSettings.for_rows`).
        settings: the architecture; None: the default.
        training: how to train; None: the default.
        privacy: a budget to train within, people as the unit: no early stopping, no calibration,
            and settings without a part that is not private; None: not private.
        report_to: names of reporters: tensorboard, wandb, mlflow.
        seed: decides everything random.
        device: "cpu" or "cuda".
        progress: whether to draw bars on stderr.

    Raises:
        UsageError: there is no such log; it has too few people; epochs is not positive; a part of
            the settings is not private; a reporter or opacus is not installed.
        ValueError: the folder holds another model; the log breaks the schema.
    """
    if epochs is not None and epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    if not isinstance(log, Log):
        log = load_log(log if isinstance(log, str) else Path(log), progress=progress)
    if log.num_users < 2:
        raise UsageError(
            f"{log.name} is of {log.num_users} person; two are needed, of whom one is held out"
        )
    for line in one_valued(log):
        logger.warning("%s", line)
    how = training or TrainingSettings()
    people = np.random.default_rng(seed).permutation(log.num_users)
    held = max(1, round(HELD_SHARE * log.num_users))
    if epochs is not None:
        how = replace(how, epochs=epochs)
    else:
        how = how.for_rows(int(np.isin(log.events["user"].to_numpy(), people[held:]).sum()))
    if privacy is not None:
        if report_to:
            raise UsageError(
                "reporters are given losses of training rows, which are not private; leave "
                f"{', '.join(report_to)} out"
            )
        return train_private(
            log,
            np.sort(people[held:]),
            settings or MultiTaskSettings(wide="none", prior="none"),
            how,
            privacy,
            Path(folder),
            held=np.sort(people[:held]),
            seed=seed,
            device=device,
            label=f"private multi-task BERT of {log.name}",
            progress=progress,
        )
    return train_multitask(
        log,
        np.sort(people[held:]),
        settings or MultiTaskSettings(),
        how,
        Path(folder),
        validation=np.sort(people[:held]),
        report_to=report_to,
        seed=seed,
        device=device,
        label=f"multi-task BERT of {log.name}",
        progress=progress,
    )
