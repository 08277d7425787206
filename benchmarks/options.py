"""What each choice of the multi-task model changes: python benchmarks/options.py LOG [NAME ...].

Every choice is the default with one thing changed, trained on the first 70 % of the log's events,
stopped early on the next 10 %, read on the last 20 % (8,000 rows of them at most, spread evenly);
nothing is trained again. `--third` is smaller: fitted on party A's people, a tenth of them held
out to stop, read on rows of party J's people with at least ten clicks before them.

One seed each: rows are added to a file, and a second run goes on where the first was stopped.
`--seeds 0 1 2 default` says how much of a difference is the seed's. `--table` trains nothing: it
prints what the file has, differences from the default of the same seed, with the standard error of
the difference by jackknife over twenty groups of the people who are read, the same rows for both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slategym.experiments.cli.model_settings import read_model_choices
from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log
from slategym.models.data.splits import split_time
from slategym.models.files import place_of
from slategym.models.hashes import hash_of
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.predict import mean_losses, predict
from slategym.models.multitask.scores import TOP, heading, model_figures, platt_of
from slategym.models.multitask.sequences import Ints, Sequences
from slategym.models.multitask.train import FORMAT, read_about, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.people.reading import rows_of
from slategym.models.quality.resampling import groups_left_out, row_figures
from slategym.models.simulator.parties import Parties, PartySettings
from slategym.models.tasks import head_weights

ROWS = 8_000
LEAST = 10  # clicks before a row, with --third
GROUPS = 20  # of people, for the jackknife
DEFAULT = "default"
SHOWN = ("_auc", "_rmse", f"hr{TOP}", f"ndcg{TOP}")  # of the figures, in the table
CHOICES: dict[str, list[str]] = {
    DEFAULT: [],
    "no regression": ["wide=none"],
    "no tables": ["prior=none"],
    "neither": ["wide=none", "prior=none"],
    "transitions alone": ["prior=transitions"],
    "mmoe": ["sharing=mmoe"],
    "ple": ["sharing=ple"],
    "cross-stitch": ["sharing=cross-stitch"],
    "uncertainty": ["balance=uncertainty"],
    "pcgrad": ["balance=pcgrad"],
    "gradnorm": ["balance=gradnorm"],
    "cagrad": ["balance=cagrad"],
    "aligned-mtl": ["balance=aligned-mtl"],
    "famo": ["balance=famo"],
    "mgda": ["balance=mgda"],
    "esmm": ["chain=esmm"],
    "aitm": ["chain=aitm"],
    "pairwise": ["losses.click=pairwise"],
    "listwise": ["losses.click=listwise"],
    "contrastive": ["losses.contrastive=0.1"],
    "adversarial": ["losses.adversarial=0.1"],
    "gru": ["sequence=gru"],
    "cloze": ["sequence=cloze"],
    "no text": ["items.text=false"],
    "no residual": ["items.residual=none"],
    "residual of seen": ["items.residual=seen"],
    "graph": ["items.graph=spectral"],
    "graph, gated": ["items.graph=spectral", "items.mix=gated"],
    "propagated": ["items.graph=propagated"],
    "unseen left out": ["unseen=left-out", "items.residual=seen"],
    "top-layers": ["text.tuning=top-layers"],
    "lora, top 2": ["text.tuning=lora", "text.layers=2"],
    "attention": ["text.pooling=attention"],
    "cls": ["text.pooling=cls"],
    "masked words": ["text.masked_epochs=2"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CHOICES)}; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], help="of every row: NAME=VALUE")
    parser.add_argument("--no-context", action="store_true", help="drop the context columns")
    parser.add_argument("--third", action="store_true", help="fitted on a third of the people")
    parser.add_argument("--table", action="store_true", help="print what the file has")
    parser.add_argument("--out", type=Path, default=Path("runs/options.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    if asked.no_context:
        log = without_context(log)
    if asked.table:
        for line in table(_done(asked.out), log.sha256, asked.third):
            print(line)
        return
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    done = {json.dumps(row["key"]) for row in _done(asked.out)}
    for name in asked.names or CHOICES:
        for seed in asked.seeds:
            label = f"{name}{', no context' if asked.no_context else ''}"
            pairs = [*CHOICES[name], *asked.set]
            key = [log.sha256, label, pairs, seed, FORMAT, "third" if asked.third else "time"]
            if json.dumps(key) in done:
                continue
            row = measure(log, pairs, seed, label, asked.third)
            about = {"key": key, "name": label, "seed": seed}
            done.add(json.dumps(key))
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**about, **row}) + "\n")
            del row["left"]
            print(json.dumps({**about, **row}), flush=True)


def without_context(log: Log) -> Log:
    """The log without its context columns."""
    names = [column.name for column in log.context]
    events = log.events.drop(columns=names)
    return replace(log, events=events, context=(), sha256=hash_of([log.sha256, "no context"]))


def measure(log: Log, pairs: list[str], seed: int, label: str, third: bool) -> dict[str, Any]:
    """Train and read one choice; `left` are its figures without each group of people."""
    choices = read_model_choices(pairs)
    settings, training = choices.settings(), choices.training(TrainingSettings())
    fitted = _of_a_third if third else _in_time
    model, folder, rows = fitted(log, settings, training, seed, label)
    predictions = predict(model, Sequences.from_log(log), rows)
    weights = head_weights(model.tasks, training.weights)
    platt = platt_of(model)
    statistic = row_figures(predictions, platt, weights)
    return {
        "rows": len(rows),
        "cpu_seconds": read_about(folder)["cpu_seconds"],
        **model_figures("", predictions, platt, weights).values,
        **{f"{head} loss": loss for head, loss in mean_losses(predictions, weights).items()},
        "left": [statistic(weight_x) for weight_x in groups_left_out(predictions.user_x, GROUPS)],
    }


def _in_time(
    log: Log, settings: MultiTaskSettings, training: TrainingSettings, seed: int, label: str
) -> tuple[MultiTaskBert, Path, Ints]:
    """The model, where it is kept, and the rows to read."""
    parts = split_time(log)
    decides = [log.sha256, settings, training, seed, FORMAT, *training.versions.items()]
    folder = place_of("models/options", decides)
    model = train_multitask(
        log,
        parts.train,
        settings,
        training,
        folder,
        validation=parts.validation,
        seed=seed,
        label=label,
        progress=False,
    )
    rows = np.flatnonzero(parts.test)
    return model, folder, rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(np.int64)]


def _of_a_third(
    log: Log, settings: MultiTaskSettings, training: TrainingSettings, seed: int, label: str
) -> tuple[MultiTaskBert, Path, Ints]:
    """The same, fitted on A's people; seeds are members of an ensemble."""
    parties = Parties(log, PartySettings(model=settings, training=training))
    model = parties.bert("A", progress=False, member=seed)
    rows = rows_of(log, parties.people["J"], least=LEAST, most=ROWS)
    return model, parties.folder("A", seed), rows


def table(rows: list[dict[str, Any]], sha256: str, third: bool) -> Iterator[str]:
    """Lines of Markdown: the default's figures, then differences from it with standard errors."""
    wanted = [sha256, FORMAT, "third" if third else "time"]
    rows = [row for row in rows if [row["key"][n] for n in (0, 4, 5)] == wanted]
    usual = {row["seed"]: row for row in rows if row["name"] == DEFAULT}
    if not usual:
        return
    names = [n for n in next(iter(usual.values())) if n.endswith(SHOWN) and "gauc" not in n]
    yield f"| choice | seed | {' | '.join(map(heading, names))} | CPU s |"
    yield f"|---|--:|{'--:|' * len(names)}--:|"
    for row in rows:
        base, own = usual.get(row["seed"]), row["name"] == DEFAULT
        if base is None:
            continue
        said = [f"{row[n]:.4f}" if own else _moved(row, base, n) for n in names]
        about = f"| {row['name']} | {row['seed']} |"
        yield f"{about} {' | '.join(said)} | {row['cpu_seconds']:.0f} |"


def _moved(row: dict[str, Any], base: dict[str, Any], name: str) -> str:
    """The difference of a figure with its standard error; in bold above twice that."""
    if name not in row:
        return ""
    moved = row[name] - base[name]
    left = [one[name] - other[name] for one, other in zip(row["left"], base["left"], strict=True)]
    error = float(np.std(left) * np.sqrt(GROUPS - 1))
    said = f"{moved:+.4f} +- {error:.4f}"
    return f"**{said}**" if abs(moved) > 2 * error else said


def _done(path: Path) -> list[dict[str, Any]]:
    """The rows of the file, in the order in which they were made."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
