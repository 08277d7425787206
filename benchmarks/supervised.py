"""Figures of the multi-task BERT, seed by seed: python benchmarks/supervised.py LOG --split time.

Trains what was not trained before, reads the test rows once a seed, and prints one JSON line each,
then mean and standard deviation over the seeds; a killed run goes on from its last epoch.
`--set wide=none`, `--set prior=none` and others leave parts out; `--folds 0 1 2 3 4` are those of
the split "random". `--classics` adds what closed forms, Gaussian processes and trees say of the
same rows.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from slategym.experiments.cli.model_settings import read_model_choices
from slategym.models.data.datasets import load_log
from slategym.models.multitask.scores import Figures
from slategym.models.quality.evaluation import Evaluation, recipe_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--split", default="time")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--classics", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    choices = read_model_choices(asked.set)
    settings = choices.settings()
    training = choices.training(recipe_of(asked.split).training)
    rows = []
    for fold in asked.folds:
        for seed in asked.seeds:
            begun = time.process_time()
            one = Evaluation(
                log, asked.split, settings=settings, training=training, seed=seed, fold=fold
            )
            found = one.multi_task()
            about = {"split": asked.split, "set": asked.set, "fold": fold, "seed": seed}
            spent = {"cpu_seconds": round(time.process_time() - begun, 1)}
            print(json.dumps({**about, **found.to_json(), **spent}), flush=True)
            rows.append(found)
        if asked.classics:
            for row in one.classics():
                print(json.dumps({"split": asked.split, "fold": fold, **row.to_json()}), flush=True)
    print(_summary(rows))


def _summary(rows: list[Figures]) -> str:
    """Mean and standard deviation of every figure."""
    said = []
    for name in rows[0].values:
        found = [row.values[name] for row in rows if name in row.values]
        spread = f" +- {np.std(found, ddof=1):.4f}" if len(found) > 1 else ""
        said.append(f"{name} {np.mean(found):.4f}{spread}")
    return f"{len(rows)} trainings: {', '.join(said)}"


if __name__ == "__main__":
    main()
