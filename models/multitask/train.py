"""Training the multi-task BERT: one call from a log to a complete model folder.

A folder whose config.json carries the hash of everything that determines the result is complete:
the same call returns it at once. A killed run goes on from the last whole epoch to the same
weights, bit for bit on a CPU.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.models.checksums import Damaged, set_aside
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.files import sweep
from slategym.models.hashes import content_hash, hash_of
from slategym.models.multitask.balance import SHARED
from slategym.models.multitask.biases import fitted_tasks, item_biases
from slategym.models.multitask.crossfit import cross_fit
from slategym.models.multitask.fit import Fit, Listener
from slategym.models.multitask.item_extras import item_extras
from slategym.models.multitask.judging import Judgement
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.position import click_weights
from slategym.models.multitask.pretrained import (
    CONFIG,
    VOCABULARY,
    WEIGHTS,
    check_model_files,
    read_config,
)
from slategym.models.multitask.progress import EpochBar
from slategym.models.multitask.reporters import check_reporters, open_reporters
from slategym.models.multitask.sequences import Bools, Ints, Sequences, as_mask, plan_epoch
from slategym.models.multitask.shares import serve_shares
from slategym.models.multitask.team import Team
from slategym.models.multitask.training_settings import TrainingSettings as TrainingSettings
from slategym.models.multitask.unseen import describe_unseen
from slategym.models.multitask.vocabulary import Vocabulary, anonymous
from slategym.models.status import status_kept, write_status
from slategym.models.tasks import from_json, head_weights, tasks_of, to_json
from slategym.models.tensor_files import remove_checkpoints
from slategym.models.text.encoder import encoder_version, find_encoder
from slategym.models.text.kept import FOLDER as TEXT
from slategym.models.text.kept import keep_encoder
from slategym.models.text.masked import adapted
from slategym.models.text.settings import DEFAULT_ENCODER, HUB_NAME, EncoderSettings
from slategym.models.text.tuned import TunedEncoder
from slategym.models.text.vectors import item_text_vectors

logger = logging.getLogger(__name__)

FORMAT = 16  # raise it when the same spec would give other weights
MOST_SLOTS = 100  # of a slate; those beyond count as the last
CHECKPOINT = "checkpoint.safetensors"
BEGUN = "fit.json"  # while a fit runs, and where it failed or was killed: how it stands

Rows = NDArray[np.bool_] | NDArray[np.integer[Any]]


def train_multitask(
    log: Log,
    rows: Rows,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    folder: str | Path,
    *,
    validation: Rows | None = None,
    refit: bool = False,
    text_vectors_ND0: Tensor | None = None,
    seed: int = 0,
    device: str = "cpu",
    label: str = "multi-task BERT",
    progress: bool = True,
    report_to: Sequence[str] = (),
    on_epoch: Listener | None = None,
) -> MultiTaskBert:
    """Train, or load what an equal call trained.

    Args:
        log: the data.
        rows: training rows: a bool mask over log.events, or user ids meaning all their rows.
        settings: the architecture.
        training: how to train.
        folder: of the model; made if absent.
        validation: rows for early stopping and calibration, in the same form; None: neither.
        refit: train again on rows and validation together, for as many epochs as served best,
            keeping the calibration; the first model is left in folder/"selection".
        text_vectors_ND0: of the items; None: as settings.text has it, cached.
        seed: decides everything random.
        device: "cpu" or "cuda".
        label: for the progress bar and the card.
        progress: whether to draw a bar on stderr.
        report_to: names of reporters, see `REPORTERS`; what they keep is in folder/"reports".
        on_epoch: called with the epoch and its losses once its checkpoint is written.

    Returns:
        The model in evaluation mode, on the device.

    Raises:
        ValueError: if the rows do not fit together, or the folder holds a model of another spec.
    """
    folder = Path(folder)
    check_reporters(report_to)
    team = Team.launched()
    sequences = Sequences.from_log(log, device)
    train_E = as_mask(sequences, rows)
    held_E = None if validation is None else as_mask(sequences, validation)
    check_rows(train_E, held_E, refit)
    if not (sequences.click_E.cpu().numpy()[train_E] > 0).any():
        raise ValueError(
            f"nothing was clicked in the {int(train_E.sum())} training rows of {log.name}: a model "
            "learns from what was taken up; give rows with a click of 1"
        )
    extras = item_extras(log, settings.items, train_E)
    _click_weights(log, sequences, train_E, training)
    tasks = tasks_of(log.signals, log.like_from)
    weights = head_weights(tasks, training.weights)
    encoder = None
    if text_vectors_ND0 is None:
        text_vectors_ND0 = text_vectors_of(log, settings.text, progress)
        encoder = HUB_NAME if settings.text.encoder == DEFAULT_ENCODER else settings.text.encoder
    elif settings.text.learns:
        raise ValueError(
            f"text vectors are given, so that no encoder can be tuned ({settings.text.tuning!r}, "
            f"pooling {settings.text.pooling!r}); leave text_vectors_ND0 out, or take 'frozen' "
            "and 'mean'"
        )
    about: dict[str, Any] = {
        "data": {"name": log.name, "sha256": log.sha256},
        "rows": describe(train_E, sequences),
        "validation": None if held_E is None else describe(held_E, sequences),
        "refit": refit,
        "settings": asdict(settings),
        "training": asdict(replace(training, weights=weights)),
        "like_from": log.like_from,
        "repeats": log.repeats,
        "clicks": "shown" if has_slates(log) else "sampled",
        "seed": seed,
        "text": content_hash(text_vectors_ND0.cpu().numpy()),
        "format": FORMAT,
    }
    about |= training.versions
    if team.size > 1:  # each takes its share of the batches: other updates
        about["processes"] = team.size
    about |= {"spec": _spec(about, settings, extras.media_NV), "label": label, "encoder": encoder}
    # without a lock, as the folder may be read-only; a team looks together, inside
    if team.size == 1 and is_complete(folder, about["spec"]):
        return MultiTaskBert.from_pretrained(folder).to(device)
    folder.mkdir(parents=True, exist_ok=True)
    with team.locked(folder):  # another process may be at it: wait, then load
        if is_complete(folder, about["spec"], mend=team.first):
            return MultiTaskBert.from_pretrained(folder).to(device)
        judgement: Judgement | None = None
        if refit and held_E is not None:
            train_multitask(
                log,
                train_E,
                settings,
                training,
                folder / "selection",
                validation=held_E,
                text_vectors_ND0=text_vectors_ND0,
                seed=seed,
                device=device,
                label=f"{label}, selection",
                progress=progress,
                report_to=report_to,
                on_epoch=on_epoch,
            )
            selection = read_about(folder / "selection")
            training = replace(training, epochs=selection["best_epoch"] + 1)
            judgement = Judgement(
                from_json(selection["tasks"]),
                selection["calibration"],
                {head: tuple(share) for head, share in selection["shares"].items()},
                selection["figures"],
            )
            train_E, held_E = train_E | held_E, None
        events, slots = log.events[train_E], slots_of(sequences, train_E)
        tasks = fitted_tasks(events, tasks) if judgement is None else judgement.tasks
        crossfit = cross_fit(log, train_E, text_vectors_ND0, settings, tasks, seed)
        biases = item_biases(events, tasks, sequences.num_users, sequences.num_items, slots)
        model = MultiTaskBert(
            settings,
            tasks,
            text_vectors_ND0=text_vectors_ND0,
            biases=biases,
            profile_sizes=log.profile_sizes,
            num_items=sequences.num_items,
            context=log.context,
            item_columns=log.item_columns,
            item_extra_NZ=item_columns_of(log),
            num_slots=0 if slots is None else int(slots.max()) + 1,
            wide=None if crossfit is None else crossfit.sizes,
            seed=seed,
            extras=item_extras(log, settings.items, train_E),
        ).to(device)
        text = _tuned(log, settings, training, sequences, train_E, seed, device, progress)
        weight_E = _click_weights(log, sequences, train_E, training)
        weight_E = None if weight_E is None else weight_E.to(device)
        fit = Fit(
            model,
            sequences,
            train_E,
            held_E,
            training,
            seed,
            None,
            text,
            weight_E,
            team,
            crossfit,
            new=True,
        )
        names = report_to if team.first else ()
        told = open_reporters(names, folder, label, about["training"])
        stands = partial(write_status, folder / BEGUN, {"format": FORMAT, "spec": about["spec"]})
        status_first = status_kept(stands) if team.first else nullcontext()
        with status_first, EpochBar(label, training.epochs, progress and team.first, told) as bar:
            state = fit.run(folder / CHECKPOINT, about["spec"], bar, on_epoch)
        if judgement is None:
            judgement = fit.judge()
        else:
            serve_shares(model, judgement.shares)
        if fit.left_N is not None:  # after the shares, which are not of what is filled in
            describe_unseen(model, fit.left_N, biases)
        about |= {
            "history": state.history,
            "best_epoch": state.best_epoch,
            "cpu_seconds": round(state.cpu_seconds, 1),
            "tasks": to_json(judgement.tasks),
            "calibration": judgement.calibration,
            "shares": judgement.shares,
            "figures": judgement.figures,
            "gradient_cosines": {
                "heads": list(fit.trained),
                "epochs": state.cosines,
                "shared": SHARED,
            },
        }
        if encoder is not None and team.first:
            model.text_folder = kept_encoder(folder, log, settings.text, text)
        model.vocabulary = Vocabulary.of(log, _held(log, None if refit else validation))
        write(model, folder, about, files=team.first)
    return model


def text_vectors_of(log: Log, text: EncoderSettings, progress: bool) -> Tensor:
    """Vectors of the items' texts before any training."""
    if text.masked_epochs:
        text = adapted(text, log.items["text"].tolist(), progress=progress)
    pooling = "mean" if text.pooling == "attention" else text.pooling  # what attention starts as
    texts = log.items["text"].tolist()
    if text.encoder == DEFAULT_ENCODER and pooling == "mean":
        return item_text_vectors(texts, progress=progress)
    return item_text_vectors(texts, text.encoder, pooling=pooling, progress=progress)


def kept_encoder(
    folder: Path, log: Log, text: EncoderSettings, tuned: TunedEncoder | None = None
) -> Path | None:
    """Keep the text encoder in the model's folder, if it is nowhere else; where it is then."""
    found = adapted(text, log.items["text"].tolist(), progress=False)  # made already
    return folder / TEXT if keep_encoder(folder / TEXT, text, found, tuned) else None


def _tuned(
    log: Log,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    sequences: Sequences,
    train_E: Bools,
    seed: int,
    device: str,
    progress: bool,
) -> TunedEncoder | None:
    """The encoder that learns with the network; None: none does."""
    if not settings.text.learns:
        return None
    length_U, chunk = sequences.prefix_lengths(train_E), settings.max_history + 1
    plan = plan_epoch(
        sequences, length_U, chunk, training.batch_events, np.random.default_rng(seed)
    )
    texts = log.items["text"].tolist()
    return TunedEncoder(
        texts,
        adapted(settings.text, texts, progress=progress),
        steps=len(plan) * training.epochs,
        seed=seed,
        device=device,
        progress=progress,
    )


def _click_weights(
    log: Log, sequences: Sequences, train_E: Bools, training: TrainingSettings
) -> Tensor | None:
    """Weights of rows in the click's loss; None: all weigh alike."""
    slots = slots_of(sequences, np.ones_like(train_E))
    return click_weights(log, train_E, slots, training.losses.position)


def _spec(about: dict[str, Any], settings: MultiTaskSettings, media_NV: Tensor | None) -> str:
    """Hash of what decides the weights: files by what they hold, not by where they lie."""
    text, items = {**about["settings"]["text"], "encoder": ""}, {**about["settings"]["items"]}
    if settings.text.learns:
        text["encoder"] = encoder_version(find_encoder(settings.text.encoder, progress=False))
    items["media"] = "" if media_NV is None else content_hash(media_NV.numpy())
    return hash_of({**about, "settings": {**about["settings"], "text": text, "items": items}})


def _held(log: Log, validation: Rows | None) -> tuple[str, ...]:
    """Hashes of the people of whom no row was trained on, where rows were given as people."""
    if validation is None or validation.dtype == np.bool_:
        return ()
    return tuple(anonymous(str(key)) for key in log.users["key"].iloc[validation])


def item_columns_of(log: Log) -> Tensor | None:
    """The items' further columns, (N, Z)."""
    if not log.item_columns:
        return None
    columns = [log.items[column.name].to_numpy(np.float32) for column in log.item_columns]
    return torch.as_tensor(np.stack(columns, axis=1))


def slots_of(sequences: Sequences, train_E: Bools) -> Ints | None:
    """The slot of each training row, at most MOST_SLOTS - 1; None: the log has no slates."""
    if sequences.slot_E is None:
        return None
    slots: Ints = sequences.slot_E.cpu().numpy()[train_E].clip(max=MOST_SLOTS - 1)
    return slots


def write(model: MultiTaskBert, folder: Path, about: dict[str, Any], *, files: bool = True) -> None:
    """Set the calibration and write the folder, unless another process does."""
    model.tasks = from_json(about["tasks"])
    platt = {row["head"]: row["platt"] for row in about["calibration"]}
    model.set_calibration(
        {head: values["scale"] for head, values in platt.items()},
        {head: values["shift"] for head, values in platt.items()},
    )
    model.about = about
    if not files:
        return
    model.save_pretrained(folder)
    remove_checkpoints(folder / CHECKPOINT)
    sweep(folder / BEGUN)
    (folder / BEGUN).unlink(missing_ok=True)  # config.json says that it is finished


def read_about(folder: Path) -> dict[str, Any]:
    """What a complete model folder's config.json says of its training."""
    about: dict[str, Any] = read_config(folder)["about"]
    return about


def check_rows(train_E: Bools, held_E: Bools | None, refit: bool) -> None:
    """Refuse rows that do not fit together.

    Raises:
        ValueError: there are none, or some are for both.
    """
    if not train_E.any():
        raise ValueError("there are no training rows: the mask or the list of users is empty")
    if held_E is None:
        if refit:
            raise ValueError(
                "refit needs validation rows, got none; give validation= or refit=False"
            )
        return
    both = int((train_E & held_E).sum())
    if both:
        raise ValueError(f"{both} rows are both training and validation rows; make them disjoint")
    if not held_E.any():
        raise ValueError("there are no validation rows; leave validation out to train without")


def describe(mask_E: Bools, sequences: Sequences) -> dict[str, Any]:
    """How many rows of how many people, and which."""
    users = np.unique(sequences.user_E.cpu().numpy()[mask_E])
    return {
        "rows": int(mask_E.sum()),
        "users": len(users),
        "sha256": content_hash(np.packbits(mask_E)),
    }


def is_complete(folder: Path, spec: str, *, mend: bool = False) -> bool:
    """Whether the folder holds the model of this spec, whole.

    Args:
        folder: of the model.
        spec: hash of what decides the weights.
        mend: set aside what is damaged, and say so: only who holds the folder's lock may.

    Raises:
        ValueError: if it holds another.
    """
    if not (folder / CONFIG).exists():
        return False
    try:
        config = read_config(folder)
        check_model_files(folder, config)
    except Damaged as error:
        if mend:
            logger.warning("%s: set aside, and trained again", str(error).partition("; ")[0])
            for name in (WEIGHTS, VOCABULARY, CONFIG):
                if (folder / name).exists():
                    set_aside(folder / name)
        elif not os.access(folder, os.W_OK):
            raise
        return False
    found = config["about"]["spec"]
    if found != spec:
        raise ValueError(
            f"{folder} holds a model of another spec ({found}, wanted {spec}); "
            "choose another folder or delete that one"
        )
    return True
