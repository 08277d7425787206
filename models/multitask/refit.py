"""A fitted model, fitted further: on new rows of its log, with old ones against forgetting.

New are the rows after the last moment of the log that the model was fitted on. All of them are
learned from; of the windows without any, so many are drawn in each epoch that old rows make a
stated share. Whoever was held out stays held out, and so does a tenth of the people who came since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from torch import Tensor

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.hashes import content_hash, hash_of
from slategym.models.multitask.biases import item_biases
from slategym.models.multitask.crossfit import cross_fit
from slategym.models.multitask.fit import Fit, Listener
from slategym.models.multitask.grow import Grown, grown
from slategym.models.multitask.judging import Judgement
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.progress import EpochBar
from slategym.models.multitask.reporters import check_reporters, open_reporters
from slategym.models.multitask.sequences import Bools, Rehearsal, Sequences
from slategym.models.multitask.train import (
    BEGUN,
    CHECKPOINT,
    describe,
    is_complete,
    slots_of,
    write,
)
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.multitask.unseen import describe_unseen
from slategym.models.multitask.vocabulary import Vocabulary, anonymous
from slategym.models.status import status_kept, write_status
from slategym.models.tasks import to_json

HELD_SHARE = 0.1  # of the people who came since, as of those of the first fit
FORMAT = 8  # raise it when the same spec would give other weights


@dataclass(frozen=True)
class RefitSettings:
    """How a model is fitted further."""

    epochs: int = 4  # at most; fewer where the held-out loss stops falling
    replay: float = 0.5  # share of the rows learned from that are old ones
    learning_rate: float = 1e-3  # half of a first fit's
    warmup_steps: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.replay < 1:
            raise UsageError(
                f"replay is the share of old rows among those learned from, in [0, 1), got "
                f"{self.replay}; all rows alike are a new fit"
            )
        if self.epochs < 1:
            raise UsageError(f"epochs must be at least 1, got {self.epochs}")


@dataclass(frozen=True)
class Since:
    """Which rows of a log a model has not been fitted on."""

    fresh_E: Bools  # (E,) after `until`
    held_E: Bools  # (E,) of people held out
    until: int  # unix seconds UTC
    notes: tuple[str, ...] = ()

    @property
    def train_E(self) -> Bools:
        """Rows to learn from."""
        return ~self.held_E


@dataclass(frozen=True)
class Refitted:
    """What a refit started from, and what came of it."""

    old: Grown  # the model before, on the new log
    model: MultiTaskBert
    since: Since


def since_fit(model: MultiTaskBert, log: Log, *, since: int | None = None, seed: int = 0) -> Since:
    """Part a log's rows in old and new, and its people in learned from and held out.

    Args:
        model: with its vocabulary.
        log: what the model was fitted on, and more.
        since: rows after this moment are new, unix seconds UTC; None: after the last moment of the
            log that the model was fitted on.
        seed: decides who is held out of those who came since.

    Raises:
        UsageError: no row is new, or none of the new ones was taken up.
    """
    vocabulary = model.vocabulary
    if vocabulary is None:
        raise UsageError("the model keeps no vocabulary: it is not known which rows are new to it")
    until = vocabulary.until if since is None else since
    events = log.events
    fresh_E = events["time"].to_numpy() > until
    if not fresh_E.any():
        raise UsageError(
            f"{log.name} has no row after {_moment(until)}, the last moment that the model was "
            "fitted on; add newer rows, or say with --since from when they are new"
        )
    user_E = events["user"].to_numpy()
    if not (events["click"].to_numpy()[fresh_E] > 0).any():
        raise UsageError(f"nothing was clicked in the {int(fresh_E.sum())} new rows of {log.name}")
    notes = []
    count = int((~fresh_E).sum())
    if since is None and count != vocabulary.rows:
        notes.append(
            f"{count:,} rows are as old as those of the first fit, which was on {vocabulary.rows:,}"
            ": rows came in late or left; they count as old"
        )
    known = set(user_E[~fresh_E].tolist())
    came = np.setdiff1d(np.unique(user_E), list(known))
    rng = np.random.default_rng([seed, until])
    held = rng.permutation(came)[: round(HELD_SHARE * len(came))]
    if vocabulary.held:
        hashes = set(vocabulary.held)
        keys = enumerate(log.users["key"])
        stayed = [user for user, key in keys if user in known and anonymous(str(key)) in hashes]
    else:
        old = rng.permutation(sorted(known))
        stayed = old[: max(1, round(HELD_SHARE * len(old)))].tolist()
        notes.append(
            "the model keeps no people held out: a tenth is drawn now, on whose old rows it may "
            "have been fitted, so that what it has forgotten is overstated"
        )
    held_E = np.isin(user_E, np.union1d(held, np.asarray(stayed, dtype=np.int64)))
    if not (fresh_E & ~held_E).any():
        raise UsageError(
            f"all {int(fresh_E.sum())} new rows of {log.name} are of people held out; there is "
            "nothing to learn from"
        )
    return Since(fresh_E, held_E, until, tuple(notes))


def refit_multitask(
    model: MultiTaskBert,
    log: Log,
    folder: str | Path,
    settings: RefitSettings | None = None,
    *,
    since: int | None = None,
    text_vectors_ND0: Tensor | None = None,
    seed: int = 0,
    progress: bool = True,
    report_to: Sequence[str] = (),
    on_epoch: Listener | None = None,
) -> Refitted:
    """Fit a model further, or load what an equal call fitted; the model given is left as it is.

    A killed run goes on from the last whole epoch to the same weights, bit for bit on a CPU.

    Args:
        model: to go on from; its tensors decide the device.
        log: what it was fitted on, and more; see `grown` and `since_fit`.
        folder: of the new model.
        settings: how; None: the default.
        since: see `since_fit`.
        text_vectors_ND0: see `grown`.
        seed: decides everything random.
        progress: whether to draw bars on stderr.
        report_to: names of reporters; what they keep is in folder/"reports".
        on_epoch: called with the epoch and its losses once its checkpoint is written.

    Raises:
        UsageError: the log has nothing new, or lacks what the model knows. ValueError: the folder
            holds another model.
    """
    settings, folder = settings or RefitSettings(), Path(folder)
    check_reporters(report_to)
    parted = since_fit(model, log, since=since, seed=seed)
    start = grown(model, log, parted.train_E, text_vectors_ND0=text_vectors_ND0, progress=progress)
    device = str(model.device)
    sequences = Sequences.from_log(log, device)
    before = model.about or {}
    training = replace(
        TrainingSettings.from_json(before.get("training", {})),
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
    )
    watched_E = _watched(parted)
    about: dict[str, Any] = {
        "data": {"name": log.name, "sha256": log.sha256},
        "rows": describe(parted.train_E, sequences),
        "validation": None if watched_E is None else describe(watched_E, sequences),
        "refit": False,
        "settings": asdict(model.settings),
        "training": asdict(training),
        "like_from": log.like_from,
        "repeats": log.repeats,
        "clicks": "shown" if has_slates(log) else "sampled",
        "seed": seed,
        "from": {
            "label": before.get("label", "a model"),
            "spec": before.get("spec"),
            "weights": _weights_hash(model),
            "until": parted.until,
            "new_rows": int(parted.fresh_E.sum()),
            "new_items": len(start.new_items),
            "replay": settings.replay,
            "notes": [*parted.notes, *start.notes],
        },
        "format": FORMAT,
    }
    about |= training.versions
    label = f"{about['from']['label'].removesuffix(', refitted')}, refitted"
    about |= {"spec": hash_of(about), "label": label, "encoder": before.get("encoder")}
    if is_complete(folder, about["spec"]):  # without a lock: the folder may be read-only
        done = MultiTaskBert.from_pretrained(folder).to(device)
        return Refitted(start, done, parted)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if is_complete(folder, about["spec"], mend=True):
            done = MultiTaskBert.from_pretrained(folder).to(device)
            return Refitted(start, done, parted)
        new = grown(
            model, log, parted.train_E, text_vectors_ND0=text_vectors_ND0, progress=False
        ).model
        for parameter in new.parameters():
            parameter.requires_grad_(True)
        replay = Rehearsal(parted.fresh_E, settings.replay)
        crossfit = cross_fit(
            log,
            parted.train_E,
            new.vectors.text_vectors_ND0.cpu(),
            new.settings,
            new.tasks,
            seed,
            new.wide_sizes,
        )
        fit = Fit(
            new,
            sequences,
            parted.train_E,
            watched_E,
            training,
            seed,
            replay,
            crossfit=None if new.wide_sizes is None else crossfit,
        )
        told = open_reporters(report_to, folder, label, about["training"])
        stands = partial(write_status, folder / BEGUN, {"format": FORMAT, "spec": about["spec"]})
        with status_kept(stands), EpochBar(label, training.epochs, progress, told) as bar:
            state = fit.run(folder / CHECKPOINT, about["spec"], bar, on_epoch)
        judgement = fit.judge() if watched_E is not None else _as_before(new, before)
        if fit.left_N is not None:
            counted = item_biases(
                log.events[parted.train_E],
                new.tasks,
                sequences.num_users,
                sequences.num_items,
                slots_of(sequences, parted.train_E),
            )
            describe_unseen(new, fit.left_N, counted)
        about |= {
            "history": state.history,
            "best_epoch": state.best_epoch,
            "cpu_seconds": round(state.cpu_seconds, 1),
            "tasks": to_json(judgement.tasks),
            "calibration": judgement.calibration,
            "shares": judgement.shares,
            "figures": judgement.figures,
        }
        held = log.users["key"].iloc[np.unique(log.events["user"].to_numpy()[parted.held_E])]
        new.text_folder = model.text_folder
        new.vocabulary = Vocabulary.of(log, tuple(anonymous(str(key)) for key in held))
        write(new, folder, about)
    return Refitted(start, new, parted)


def _watched(parted: Since) -> Bools | None:
    """Rows that stop the training and calibrate: the new ones of people held out, and as many old.

    None: nobody held out has a new row.
    """
    new_E, old_E = parted.held_E & parted.fresh_E, parted.held_E & ~parted.fresh_E
    if not new_E.any():
        return None
    rows = np.flatnonzero(old_E)
    count = min(int(new_E.sum()), len(rows))
    if count:
        new_E[rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]] = True
    return new_E


def _as_before(model: MultiTaskBert, before: dict[str, Any]) -> Judgement:
    """Where nobody is held out among the new rows: the calibration stays, nothing is measured."""
    return Judgement(model.tasks, before.get("calibration", []), {}, {})


def _weights_hash(model: MultiTaskBert) -> str:
    return content_hash(*(value.cpu().numpy() for value in model.state_dict().values()))


def _moment(seconds: int) -> str:
    import pandas as pd

    return f"{pd.Timestamp(seconds, unit='s'):%Y-%m-%d %H:%M:%S} UTC"
