"""What each choice of the multi-task model changes: python benchmarks/options.py LOG [NAME ...].

Every choice is the default with one thing changed, trained on the first 70 % of the log's events,
stopped early on the next 10 %, read on the last 20 % (8,000 rows of them at most, spread evenly);
nothing is trained again. One seed each: rows are added to a file, and a second run goes on where
the first was stopped. `--seeds 0 1 2 default` says how much of a difference is the seed's.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from slategym.experiments.cli.model_settings import read_model_choices
from slategym.models.data.datasets import load_log
from slategym.models.data.splits import split_time
from slategym.models.files import place_of
from slategym.models.multitask.predict import mean_losses, predict
from slategym.models.multitask.scores import model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.train import FORMAT, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.tasks import head_weights

ROWS = 8_000
CHOICES: dict[str, list[str]] = {
    "default": [],
    "mmoe": ["sharing=mmoe"],
    "ple": ["sharing=ple"],
    "cross-stitch": ["sharing=cross-stitch"],
    "uncertainty": ["balance=uncertainty"],
    "pcgrad": ["balance=pcgrad"],
    "gradnorm": ["balance=gradnorm"],
    "cagrad": ["balance=cagrad"],
    "aligned-mtl": ["balance=aligned-mtl"],
    "famo": ["balance=famo"],
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
    parser.add_argument("--out", type=Path, default=Path("runs/options.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    if asked.no_context:
        log = without_context(log)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    done = _done(asked.out)
    for name in asked.names or CHOICES:
        for seed in asked.seeds:
            label = f"{name}{', no context' if asked.no_context else ''}"
            pairs = [*CHOICES[name], *asked.set]
            key = [log.sha256, label, pairs, seed, FORMAT]
            if json.dumps(key) in done:
                continue
            row = measure(log, pairs, seed, label)
            line = json.dumps({"key": key, "name": label, "seed": seed, **row})
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            print(line, flush=True)


def without_context(log):  # type: ignore[no-untyped-def]
    """The log without its context columns."""
    from dataclasses import replace

    from slategym.models.hashes import hash_of

    names = [column.name for column in log.context]
    events = log.events.drop(columns=names)
    return replace(log, events=events, context=(), sha256=hash_of([log.sha256, "no context"]))


def measure(log, pairs, seed, label):  # type: ignore[no-untyped-def]
    """Train and read one choice."""
    choices = read_model_choices(pairs)
    parts = split_time(log)
    settings, training = choices.settings(), choices.training(TrainingSettings())
    begun = time.process_time()
    model = train_multitask(
        log,
        parts.train,
        settings,
        training,
        place_of("models/options", [log.sha256, settings, training, seed, FORMAT]),
        validation=parts.validation,
        seed=seed,
        label=label,
        progress=False,
    )
    spent = time.process_time() - begun
    rows = np.flatnonzero(parts.test)
    rows = rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(np.int64)]
    predictions = predict(model, Sequences.from_log(log), rows)
    weights = head_weights(model.tasks, training.weights)
    figures = model_figures("", predictions, platt_of(model), weights).values
    losses = {f"{head} loss": loss for head, loss in mean_losses(predictions, weights).items()}
    return {"cpu_seconds": round(spent, 1), **figures, **losses}


def _done(path: Path) -> set[str]:
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines()
    return {json.dumps(json.loads(line)["key"]) for line in lines}


if __name__ == "__main__":
    main()
