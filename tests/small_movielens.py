"""MovieLens in miniature under MovieLens' own name: a fake log and a fake text encoder, no network.

Only the tables that name data sets and assets are exchanged; all code is the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from small_worlds import small_log
from transformers import BertConfig, BertModel, BertTokenizer

from slategym.experiments.measure import preparation, units
from slategym.experiments.studies import log as log_study
from slategym.models.assets.registry import ASSETS, Asset
from slategym.models.assets.sources import Site
from slategym.models.data.datasets import DATASETS, DataSet
from slategym.models.data.log import Log
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.simulator import cache, world
from slategym.models.simulator import movielens as movielens_world
from slategym.models.simulator.builder import WorldBuilder
from slategym.models.simulator.parties import PartySettings
from slategym.models.text import vectors
from slategym.models.text.settings import DEFAULT_ENCODER

NUM_USERS, NUM_ITEMS = 90, 160
STATED = ASSETS[DEFAULT_ENCODER]  # as every process knows it
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film"]


@contextmanager
def small_movielens(home: Path, log: Log | None = None) -> Iterator[Log]:
    """Within, "movielens-100k" is this log, and everything that is kept is kept in `home`."""
    log = small_log(NUM_USERS, NUM_ITEMS) if log is None else log
    with small_home(home), pytest.MonkeyPatch.context() as patch:
        data = home / "assets" / movielens_world.DATASET
        data.mkdir(parents=True, exist_ok=True)
        (data / "nothing.txt").write_text("the log is made up in memory")
        patch.setitem(ASSETS, movielens_world.DATASET, _asset(data))
        source = DataSet(movielens_world.DATASET, lambda folder: log)
        patch.setitem(DATASETS, movielens_world.DATASET, source)
        yield log


@contextmanager
def small_home(home: Path) -> Iterator[None]:
    """Within, everything that is kept is kept in `home`, and texts are read by a tiny encoder."""
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLATEGYM_HOME", str(home))
        patch.setitem(ASSETS, DEFAULT_ENCODER, _encoder(home / "assets" / DEFAULT_ENCODER))
        yield
    forget()


SMALL = PartySettings(  # networks that read ten events
    MultiTaskSettings(width=16, num_layers=1, feedforward=16, max_history=10),
    TrainingSettings(epochs=2, batch_events=1_472),
)


def small_networks(patch: pytest.MonkeyPatch) -> None:
    """The networks of a log's worlds, and of its study, are `SMALL`."""
    small = replace(world.LOG, parties=SMALL)
    patch.setitem(world.FITS, "whole", small)
    patch.setitem(preparation.RECIPES, "log", small)
    patch.setattr(log_study, "LOG", small)


def know_texts(home: Path, log: Log, patch: pytest.MonkeyPatch) -> None:
    """Encode the item texts under the stated encoder's name: no process needs it from now on.

    Args:
        home: a `small_home`.
        log: whose texts.
        patch: for as long as the name is to stand for what every other process knows.
    """
    patch.setitem(ASSETS, DEFAULT_ENCODER, STATED)
    encoder = home / "assets" / DEFAULT_ENCODER
    with pytest.MonkeyPatch.context() as here:
        here.setattr(vectors, "find_encoder", lambda *_, **__: encoder)
        vectors.item_text_vectors(log.items["text"].tolist(), progress=False)


def films() -> WorldBuilder:
    """What all worlds of MovieLens share, one a process."""
    return cache.builder_of(movielens_world.DATASET, movielens_world.MOVIELENS)


def forget() -> None:
    """Empty the caches of a process, as a new one would find them."""
    cache.forget()
    units._world.cache_clear()


def _encoder(folder: Path) -> Asset:
    """A random BERT that knows the numbers of the films."""
    if not folder.exists():
        folder.mkdir(parents=True)
        words = [*WORDS, *(str(n) for n in range(NUM_ITEMS))]
        (folder / "vocab.txt").write_text("\n".join(words))
        BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        settings = BertConfig(
            vocab_size=len(words),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            initializer_range=0.5,
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            BertModel(settings).save_pretrained(folder)
    return _asset(folder)


def _asset(folder: Path) -> Asset:
    """An asset whose files are those already there."""
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    return Asset("made up", "none", 0, (Site("https://nowhere.invalid/", files),))
