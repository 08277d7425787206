"""Ours against each column's best classic, in standard errors: python benchmarks/columns.py LOG.

A log is split in time; all is fitted on the first 70 % (our network stopped by the next 10 %, the
classics' settings chosen there), nothing is fitted again, and test rows are read once. The best
classic of a column is the best *on these test rows*, which favours it. The standard error is of the
difference, by jackknife over twenty groups of people, the same rows for both.

In a log with slates values are judged at the first click of each slate. What was clicked of what
was shown is told there of classics as a figure alone: its error is that of our own figure. Prints
each classic's figures, ours with the calibration's errors, then a line a column, and JSON with
`--out`. `--closed-forms` leaves out what is trained by gradients: asymmetric factors and SASRec.
With `--kept FILE.npz` the classics' scores of each row are written there, and read at the next
call, so that another network is read beside them without fitting them again; with `--no-network`
as well nothing else is done.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slategym.experiments.cli.model_settings import read_model_choices
from slategym.models import metrics
from slategym.models.classics.families import FAMILIES
from slategym.models.classics.figures import classic_figures
from slategym.models.classics.reading import ClassicFigures, Reading, popular_negatives
from slategym.models.data.datasets import load_log
from slategym.models.data.slates import first_clicks, has_slates
from slategym.models.data.splits import split_time
from slategym.models.files import place_of
from slategym.models.hashes import content_hash, hash_of
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import TOP, heading, model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.train import FORMAT, read_about, train_multitask
from slategym.models.quality.classics import FORMAT as CLASSICS
from slategym.models.quality.evaluation import recipe_of
from slategym.models.quality.resampling import dealt
from slategym.models.tasks import head_weights
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
    parser.add_argument("--closed-forms", action="store_true", help="of the classics, only these")
    parser.add_argument("--kept", type=Path, help=".npz: the classics' scores, written or read")
    parser.add_argument("--no-network", action="store_true", help="only the classics, with --kept")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    parts, choices = split_time(log), read_model_choices(asked.set)
    reading = Reading(log, parts.train, parts.validation, parts.test, refit=False)
    families = [name for name, one in FAMILIES.items() if not (asked.closed_forms and one.search)]
    if asked.no_network:
        if asked.kept is None:
            parser.error("--no-network keeps the classics: give --kept FILE.npz")
        for _ in _classics(reading, families, asked.trees, asked.kept):
            pass
        return
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
    popular_xC = _popular(reading, rows)
    sequences, asked_xC = Sequences.from_log(log), np.maximum(popular_xC, 0)
    predicted = predict(model, sequences, rows, others_xC=asked_xC)
    weights = head_weights(model.tasks, training.weights)
    _tell("ours", model_figures("ours", predicted, platt_of(model), weights).values)
    there_xC = np.concatenate([predicted.used_xC[:, 1:], popular_xC >= 0], 1)
    ours = _figures(log, predicted.row_x, _of_network(predicted), there_xC, model=True)
    best: dict[str, tuple[str, float, Figure]] = {}
    begun = time.process_time()
    for classic in _classics(reading, families, asked.trees, asked.kept):
        figures = _figures(log, rows, classic.rows, there_xC)
        if has_slates(log) and "click_auc" in classic.figures:
            figures["click_auc"] = partial(_always, classic.figures["click_auc"])
        for name, figure in figures.items():
            value = figure(np.ones(len(rows), bool))
            sign = -1.0 if name.endswith(LESS) else 1.0
            if name not in best or sign * value > sign * best[name][1]:
                best[name] = (classic.model, value, figure)
    print(f"classics: {time.process_time() - begun:.0f} CPU s")
    group_x = dealt(log.events["user"].to_numpy()[rows], GROUPS)
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


def _classics(
    reading: Reading, families: Sequence[str], trees: bool, kept: Path | None
) -> Iterator[ClassicFigures]:
    """Each classic's figures, told as they are read; from the file where it has these very ones."""
    parts = content_hash(reading.train, reading.validation, reading.test)
    key = hash_of([reading.log.sha256, parts, reading.negatives, families, trees, CLASSICS])
    found = _read(kept, key)
    if found is None:
        text_ND0 = item_text_vectors(reading.log.items["text"].tolist(), progress=False)
        fitted = classic_figures(reading, text_ND0, trees=trees, families=families)
    told: list[ClassicFigures] = []
    for classic in fitted if found is None else found:
        name = f"{classic.model} {dict(classic.settings)}, {classic.seconds:.0f} CPU s"
        _tell(name, classic.figures)
        told.append(classic)
        yield classic
    if kept is not None and found is None:
        about = [[one.model, one.figures, one.settings, one.seconds] for one in told]
        arrays: dict[str, Any] = {
            f"{n} {name}": row_x for n, one in enumerate(told) for name, row_x in one.rows.items()
        }
        np.savez_compressed(kept, key=key, about=json.dumps(about), **arrays)


def _read(kept: Path | None, key: str) -> list[ClassicFigures] | None:
    """The classics that a file keeps; None: it is not there, or is of others."""
    if kept is None or not kept.exists():
        return None
    with np.load(kept) as file:
        if str(file["key"]) != key:
            return None
        rows: dict[int, dict[str, np.ndarray]] = {}
        for label in set(file.files) - {"key", "about"}:
            number, name = label.split(" ", 1)
            rows.setdefault(int(number), {})[name] = file[label]
        about = enumerate(json.loads(str(file["about"])))
    return [
        ClassicFigures(model, figures, settings, seconds, rows.get(n, {}))
        for n, (model, figures, settings, seconds) in about
    ]


def _tell(name: str, figures: Mapping[str, float]) -> None:
    said = ", ".join(f"{heading(figure)} {value:.4f}" for figure, value in figures.items())
    print(f"{name}: {said}", flush=True)


def _popular(reading: Reading, row_x: np.ndarray) -> np.ndarray:
    """The very draws of the classics, (x, C); -1: none."""
    took_x = reading.log.events["click"].to_numpy()[row_x] > 0
    popular_xC = np.full((len(row_x), reading.negatives), -1)
    if not has_slates(reading.log):
        popular_xC[took_x] = popular_negatives(reading, row_x[took_x])
    return popular_xC


def _always(value: float, kept: np.ndarray) -> float:
    return value


def _of_network(p: Any) -> dict[str, Any]:
    """What `ClassicFigures.rows` has of a classic."""
    others_xC = np.concatenate([p.click_xC[:, 1:], p.other_xC], 1)
    told = {"rank": p.rank_x, "own": p.click_xC[:, 0], "others": others_xC}
    for m, task in enumerate(p.tasks[1:], start=1):
        output_x, name = p.output_xM[:, m], task.signal.name
        if task.calibrated:
            told[f"{name} score"] = output_x
        else:
            scale = getattr(task, "scale", 1.0)
            low, high = task.signal.low, task.signal.high
            if task.signal.kind == "nonnegative":  # on the log scale, as classics tell it
                told[name] = np.log1p(scale * np.expm1(output_x.clip(min=0.0)))
            else:
                told[name] = (output_x * scale).clip(low, high)
    return told


def _against(
    took_x: np.ndarray,
    own_x: np.ndarray,
    drawn_xC: np.ndarray,
    free_xC: np.ndarray,
    kept: np.ndarray,
) -> float:
    """AUC of clicked rows' items against drawn ones."""
    at = kept & took_x
    own, others = own_x[at], drawn_xC[at][free_xC[at]]
    label = np.r_[np.ones(len(own)), np.zeros(len(others))]
    return metrics.auc(label, np.r_[own, others])


def _auc(value_x: np.ndarray, score_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.auc(value_x[at], score_x[at])


def _gauc(user_x: np.ndarray, value_x: np.ndarray, score_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.gauc(user_x[at], value_x[at], score_x[at])


def _rmse(value_x: np.ndarray, said_x: np.ndarray, kept: np.ndarray) -> float:
    at = kept & np.isfinite(value_x)
    return metrics.rmse(value_x[at], said_x[at])


def _figures(
    log: Any, rows: np.ndarray, told: Any, there_xC: np.ndarray, model: bool = False
) -> dict[str, Figure]:
    """Figures of one model as functions of the rows that are kept.

    Args:
        log: the data.
        rows: of it.
        told: what the model says of them, as `ClassicFigures.rows` has it.
        there_xC: bool, which of the items drawn to compare count: uniform ones, then popular ones.
        model: whether it is our network.
    """
    events = log.events.iloc[rows]
    user_x, took_x = events["user"].to_numpy(), events["click"].to_numpy() > 0
    first_x = took_x & first_clicks(log)[rows]
    found: dict[str, Figure] = {}
    if "rank" in told:
        rank_x = told["rank"]
        found["hr10"] = lambda kept: metrics.hit_rate(rank_x[kept & took_x], TOP)
        found["ndcg10"] = lambda kept: metrics.ndcg(rank_x[kept & took_x], TOP)
        if not has_slates(log):
            half = there_xC.shape[1] // 2
            for name, part in (
                ("click_auc", slice(half)),
                ("click_auc_popular", slice(half, None)),
            ):
                drawn_xC, free_xC = told["others"][:, part], there_xC[:, part]
                found[name] = partial(_against, took_x, told["own"], drawn_xC, free_xC)
        elif model:  # a row's own score, in the slot in which it was shown
            own_x = told["own"]
            found["click_auc"] = lambda kept: metrics.auc(took_x[kept], own_x[kept])
    for signal in log.signals[1:]:
        value_x = np.where(first_x, events[signal.name].to_numpy(np.float64), np.nan)
        score = told.get(f"{signal.name} score")
        if score is not None:
            found[f"{signal.name}_auc"] = partial(_auc, value_x, score)
            found[f"{signal.name}_gauc"] = partial(_gauc, user_x, value_x, score)
        elif signal.name in told and signal.kind == "ordinal":
            found[f"{signal.name}_rmse"] = partial(_rmse, value_x, told[signal.name])
        elif signal.name in told and signal.kind == "nonnegative":
            found[f"{signal.name}_rmsle"] = partial(_rmse, np.log1p(value_x), told[signal.name])
    return found


if __name__ == "__main__":
    main()
