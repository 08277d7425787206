"""Ours against each column's best classic, in standard errors: python benchmarks/columns.py LOG.

A log is split in time; all is fitted on the first 70 % (our network stopped by the next 10 %, the
classics' settings chosen there), nothing is fitted again, and test rows are read once. The best
classic of a column is the best *on these test rows*, which favours it. The standard error is of the
difference, by jackknife over twenty groups of people, the same rows for both.

What was clicked of what was shown, in a log with slates, is told of classics as a figure alone: its
error is that of our own figure. Prints a line a column, and JSON with `--out`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slategym.experiments.cli.model_settings import read_model_choices
from slategym.models import metrics
from slategym.models.classics.figures import classic_figures
from slategym.models.classics.reading import Reading
from slategym.models.data.datasets import load_log
from slategym.models.data.slates import has_slates
from slategym.models.data.splits import split_time
from slategym.models.files import place_of
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import TOP, heading
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.train import FORMAT, read_about, train_multitask
from slategym.models.quality.evaluation import recipe_of
from slategym.models.text.vectors import item_text_vectors

GROUPS = 20  # of people, for the jackknife
LESS = ("_rmse", "_rmsle")  # of these figures less is better

Figure = Callable[[np.ndarray], float]  # of the rows that are kept, a bool mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--trees", action="store_true", help="boosted trees, too")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    parts, choices = split_time(log), read_model_choices(asked.set)
    reading = Reading(log, parts.train, parts.validation, parts.test, refit=False)
    rows = np.flatnonzero(parts.test)
    settings, training = choices.settings(), choices.training(recipe_of("time").training)
    folder = place_of("models/columns", [log.sha256, settings, training, asked.seed, FORMAT])
    model = train_multitask(
        log, parts.train, settings, training, folder, validation=parts.validation, seed=asked.seed
    )
    print(f"{log.name}: trained in {read_about(folder)['cpu_seconds']:.0f} CPU s of epochs")
    print(f"shares: {read_about(folder)['shares'] or 'all of each part'}")
    if model.prior is not None:
        print(f"fades: {[round(x, 3) for x in model.prior.fade_T.tolist()]}")
    predicted = predict(model, Sequences.from_log(log), rows)
    ours = _figures(log, predicted.row_x, _of_network(predicted), model=True)
    best: dict[str, tuple[str, float, Figure]] = {}
    text_ND0 = item_text_vectors(log.items["text"].tolist(), progress=False)
    begun = time.process_time()
    for classic in classic_figures(reading, text_ND0, trees=asked.trees):
        figures = _figures(log, rows, classic.rows)
        if has_slates(log) and "click_auc" in classic.figures:
            figures["click_auc"] = partial(_always, classic.figures["click_auc"])
        for name, figure in figures.items():
            value = figure(np.ones(len(rows), bool))
            sign = -1.0 if name.endswith(LESS) else 1.0
            if name not in best or sign * value > sign * best[name][1]:
                best[name] = (classic.model, value, figure)
    print(f"classics: {time.process_time() - begun:.0f} CPU s")
    group_x = _groups(log.events["user"].to_numpy()[rows])
    found = []
    for name, (classic_name, value, figure) in best.items():
        if name not in ours:
            continue
        own = ours[name](np.ones(len(rows), bool))
        sign = -1.0 if name.endswith(LESS) else 1.0
        left = [sign * (ours[name](group_x != g) - figure(group_x != g)) for g in range(GROUPS)]
        error = float(np.std(left) * np.sqrt(GROUPS - 1))
        ahead = sign * (own - value)
        found.append([name, own, classic_name, value, ahead, error])
        print(
            f"{heading(name):18s} {own:.4f}  {classic_name} {value:.4f}  "
            f"{ahead:+.4f} +- {error:.4f}: {ahead / error:+.1f} standard errors"
        )
    if asked.out:
        asked.out.write_text(json.dumps({"log": log.name, "seed": asked.seed, "columns": found}))


def _always(value: float, kept: np.ndarray) -> float:
    return value


def _groups(user_x: np.ndarray) -> np.ndarray:
    """People dealt into groups, by row."""
    place_x = np.unique(user_x, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(place_x.max() + 1)[place_x] % GROUPS


def _of_network(p: Any) -> dict[str, Any]:
    """What `ClassicFigures.rows` has of a classic."""
    told = {"rank": p.rank_x, "own": p.click_xC[:, 0], "others": p.click_xC[:, 1:]}
    for m, task in enumerate(p.tasks[1:], start=1):
        output_x, name = p.output_xM[:, m], task.signal.name
        if task.calibrated:
            told[f"{name} score"] = output_x
        else:
            scale = getattr(task, "scale", 1.0)
            low, high = task.signal.low, task.signal.high
            told[name] = (output_x * scale).clip(low, high)
    return told


def _auc(value_x: np.ndarray, score_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.auc(value_x[at], score_x[at])


def _gauc(user_x: np.ndarray, value_x: np.ndarray, score_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.gauc(user_x[at], value_x[at], score_x[at])


def _rmse(value_x: np.ndarray, said_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.rmse(value_x[at], said_x[at])


def _figures(log: Any, rows: np.ndarray, told: Any, model: bool = False) -> dict[str, Figure]:
    """Figures of one model as functions of the rows that are kept."""
    events = log.events.iloc[rows]
    user_x, took_x = events["user"].to_numpy(), events["click"].to_numpy() > 0
    found: dict[str, Figure] = {}
    if "rank" in told:
        rank_x = told["rank"]
        found["hr10"] = lambda kept: metrics.hit_rate(rank_x[kept & took_x], TOP)
        found["ndcg10"] = lambda kept: metrics.ndcg(rank_x[kept & took_x], TOP)
        if not has_slates(log):
            own_x, others_xC = told["own"], told["others"]
            drawn = others_xC[:, :4]

            def click_auc(kept: np.ndarray) -> float:
                own, others = own_x[kept & took_x], drawn[kept & took_x].ravel()
                label = np.r_[np.ones(len(own)), np.zeros(len(others))]
                return metrics.auc(label, np.r_[own, others])

            found["click_auc"] = click_auc
        elif model:  # a row's own score, in the slot in which it was shown
            own_x = told["own"]
            found["click_auc"] = lambda kept: metrics.auc(took_x[kept], own_x[kept])
    for signal in log.signals[1:]:
        value_x = np.where(took_x, events[signal.name].to_numpy(np.float64), np.nan)
        score = told.get(f"{signal.name} score")
        if score is not None:
            found[f"{signal.name}_auc"] = partial(_auc, value_x, score)
            found[f"{signal.name}_gauc"] = partial(_gauc, user_x, value_x, score)
        elif signal.name in told and signal.kind == "ordinal":
            found[f"{signal.name}_rmse"] = partial(_rmse, value_x, told[signal.name])
    return found


if __name__ == "__main__":
    main()
