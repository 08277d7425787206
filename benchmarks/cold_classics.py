"""Items that nobody has met, read without training: python benchmarks/cold_classics.py LOG.

The rows of `slategym evaluate-model LOG --cold-items`, read the same way, by the closed form of
`models/classics/alike.py` on attributes (topics and categories) and on vectors of the texts. Its
settings are chosen on validation rows, which are of other items. Prints a line each seed and kind,
then means; then the same settings with popularity alone, and with likeness alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from slategym.models.classics.alike import alike_figures, fit_alike
from slategym.models.closed_form.events import Events, Floats
from slategym.models.data.datasets import load_log
from slategym.models.multitask.item_extras import attributes
from slategym.models.quality.cold import Cold, cold_log
from slategym.models.text.vectors import item_text_vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    log = load_log(asked.log)
    texts = item_text_vectors(log.items["text"].tolist(), progress=False).numpy()
    kinds = {"attributes": attributes(log), "texts": texts.astype(np.float64)}
    for kind, trait_ND in kinds.items():
        found = []
        for seed in asked.seeds:
            settings, figures = read(cold_log(log, seed), trait_ND)
            found.append(figures)
            print(f"{kind}, seed {seed}: {_said(figures)} {settings}", flush=True)
        mean = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        print(f"{kind}, mean: {_said(mean)}")


def read(cold: Cold, trait_ND: Floats) -> tuple[dict[str, float], dict[str, float]]:
    """Settings and figures of one draw of items.

    Args:
        cold: the log without the rows of cold items before the test.
        trait_ND: what is known of each item.
    """
    events, repeats = Events.from_log(cold.log), cold.log.repeats
    held_x = np.flatnonzero(cold.held_E & events.took_E)
    row_x = cold.row_x[events.took_E[cold.row_x]]
    chosen, settings = fit_alike(
        events, cold.train_E, held_x, cold.item_C, trait_ND, repeats=repeats
    )
    parts = {
        "": chosen,
        "popularity alone, ": replace(chosen, weight=0.0),
        "likeness alone, ": replace(chosen, popular_N=torch.zeros_like(chosen.popular_N)),
    }
    return settings, {
        f"{part}{name}": figure
        for part, one in parts.items()
        for name, figure in alike_figures(one, events, row_x, cold.item_C, repeats=repeats).items()
    }


def _said(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


if __name__ == "__main__":
    main()
