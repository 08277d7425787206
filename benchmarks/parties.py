"""Models of a third of the people, read on another third: python benchmarks/parties.py LOG.

Rows of J's people with at least ten clicks before them, 8,000 at most, evenly spread. Of A and B
the multi-task BERT is read, one line for each `--members` (other weights, batches and people held
out); then every family of people fitted on A's, as it would play them: told the last 45 clicks
before a row, beside online biases and popularity of the same party on the same rows. Families of
J's people, as a judge would have them, are fitted without its selection people and read on those.
What was not fitted before is fitted now.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import torch

from slategym.models.data.datasets import load_log
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.people.figures import quality
from slategym.models.people.reading import rows_of
from slategym.models.people.registry import BERT, family_names
from slategym.models.quality.evaluation import DRAW_SEED, NEGATIVES
from slategym.models.simulator.parties import UNMET, Parties
from slategym.models.tasks import head_weights

ROWS, LEAST = 8_000, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--members", type=int, nargs="*", default=[0, 1, 2], help="of each BERT")
    parser.add_argument("--families", nargs="*", default=list(family_names()))
    parser.add_argument("--split", type=int, default=0, help="of the people into thirds")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    parties = Parties(load_log(asked.log), split=asked.split)
    for row in [*_berts(parties, asked.members), *_families(parties, asked.families)]:
        print(json.dumps(row), flush=True)


def _berts(parties: Parties, members: list[int]) -> Iterator[dict[str, Any]]:
    """Of A and B, every earlier row told."""
    log = parties.log
    sequences = Sequences.from_log(log)
    row_x = rows_of(log, parties.people["J"], least=LEAST, most=ROWS)
    for party in "AB":
        for member in members:
            begun = time.process_time()
            model = parties.bert(party, progress=False, member=member)
            spent = time.process_time() - begun
            said = predict(model, sequences, row_x, negatives=NEGATIVES, seed=DRAW_SEED)
            weights = head_weights(model.tasks, parties.training(party).weights)
            figures = model_figures("", said, platt_of(model), weights).values
            yield {
                **{"party": party, "family": BERT, "member": member, "read on": "J"},
                **{"rows": len(row_x), "cpu_seconds": round(spent, 1), **figures},
            }


def _families(parties: Parties, names: list[str]) -> Iterator[dict[str, Any]]:
    """Of A's people read on J's; of J's, without the selection people, read on those."""
    for read, people in (("A", "J"), (UNMET, "selection")):
        for name in names:
            begun = time.process_time()
            taste = parties.taste(name, read)
            spent = time.process_time() - begun
            found = quality(
                taste,
                parties.log,
                parties.people[read],
                parties.people[people],
                least=LEAST,
                history=parties.settings.model.max_history,
                most=ROWS,
            )
            yield {
                **{"party": read, "family": name, "read on": people, "rows": found.rows},
                **{"cpu_seconds": round(spent, 1), **found.figures},
                **{"anchors": found.anchors, "surely worse": found.worse},
            }


if __name__ == "__main__":
    main()
