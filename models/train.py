"""Training the multi-task BERT: one call from a log to a complete model folder.

A folder whose config.json carries the hash of everything that determines the result is complete:
the same call returns it at once. A killed run goes on from the last whole epoch to the same
weights, bit for bit on a CPU.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slategym.models.biases import item_biases
from slategym.models.calibrate import calibrate
from slategym.models.card import write_card
from slategym.models.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from slategym.models.data.log import Log
from slategym.models.losses import TaskWeights, batch_targets, task_losses, total_loss
from slategym.models.multitask import CALIBRATED, MultiTaskBert, MultiTaskSettings
from slategym.models.predict import mean_losses, predict
from slategym.models.progress import EpochBar
from slategym.models.sequences import Bools, Ints, Sequences, as_mask, plan_epoch, queries
from slategym.models.text import item_text_vectors

FORMAT = 1  # raise it when the same spec would give other weights
WATCHED_ROWS = 3000  # validation rows read after each epoch
CALIBRATION_ROWS = 10_000  # validation rows that calibration is fitted and judged on
CHECKPOINT = "checkpoint.safetensors"

Rows = NDArray[np.bool_] | NDArray[np.integer[Any]]
Listener = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found."""

    epochs: int = 5  # at most; fewer where the validation loss stops falling
    batch_events: int = 736  # positions of a batch, padding included
    learning_rate: float = 2e-3  # after the warmup, then a half cosine to zero
    warmup_steps: int = 50
    weight_decay: float = 0.01  # of matrices only, per step and unit of learning rate
    clip: float = 1.0  # largest norm of the gradient
    negatives: int = 4  # uniform unconsumed items against each click
    patience: int = 2  # epochs without a better validation loss
    weights: TaskWeights = field(default_factory=TaskWeights)

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_events, self.patience) < 1:
            raise ValueError(
                "epochs, batch_events and patience must be at least 1, got "
                f"{self.epochs}, {self.batch_events}, {self.patience}"
            )


def train_multitask(
    log: Log,
    rows: Rows,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    folder: Path,
    *,
    validation: Rows | None = None,
    refit: bool = False,
    text_vectors_ND0: Tensor | None = None,
    seed: int = 0,
    device: str = "cpu",
    label: str = "multi-task BERT",
    progress: bool = True,
    tensorboard: Path | None = None,
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
        text_vectors_ND0: of the items; None: MiniLM's, cached.
        seed: decides everything random.
        device: "cpu" or "cuda".
        label: for the progress bar and the card.
        progress: whether to draw a bar on stderr.
        tensorboard: folder for scalars; None: none are written.
        on_epoch: called with the epoch and its losses once its checkpoint is written.

    Returns:
        The model in evaluation mode, on the device.

    Raises:
        ValueError: if the rows do not fit together, or the folder holds a model of another spec.
    """
    if text_vectors_ND0 is None:
        text_vectors_ND0 = item_text_vectors(log.items["text"].tolist(), progress=progress)
    sequences = Sequences.from_log(log, device)
    train_E = as_mask(sequences, rows)
    held_E = None if validation is None else as_mask(sequences, validation)
    _check_rows(train_E, held_E, refit)
    about: dict[str, Any] = {
        "data": {"name": log.name, "sha256": log.sha256},
        "rows": _describe(train_E, sequences),
        "validation": None if held_E is None else _describe(held_E, sequences),
        "refit": refit,
        "settings": asdict(settings),
        "training": asdict(training),
        "seed": seed,
        "text": _digest(text_vectors_ND0.cpu().numpy().tobytes()),
        "format": FORMAT,
    }
    about["spec"] = _digest(json.dumps(about, sort_keys=True).encode())
    if _is_complete(folder, about["spec"]):
        return MultiTaskBert.load(folder).to(device)

    calibration = None
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
            tensorboard=tensorboard,
            on_epoch=on_epoch,
        )
        selection = read_about(folder / "selection")
        training = replace(training, epochs=selection["best_epoch"] + 1)
        calibration = selection["calibration"]
        train_E, held_E = train_E | held_E, None
    model = MultiTaskBert(
        settings,
        text_vectors_ND0=text_vectors_ND0,
        biases=item_biases(log.events[train_E], sequences.num_users, sequences.num_items),
        profile_sizes=log.profile_sizes,
        num_items=sequences.num_items,
        seed=seed,
    ).to(device)
    run = _Run(model, sequences, train_E, held_E, training, seed)
    with EpochBar(label, training.epochs, progress, tensorboard) as bar:
        state = run.fit(folder / CHECKPOINT, about["spec"], bar, on_epoch)
    if calibration is None:
        calibration = run.calibrate()
    model.set_calibration(
        {row["head"]: row["platt"]["scale"] for row in calibration},
        {row["head"]: row["platt"]["shift"] for row in calibration},
    )
    about |= {
        "label": label,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "cpu_seconds": round(state.cpu_seconds, 1),
        "calibration": calibration,
    }
    write_card(folder, about)
    model.save(folder, {"about": about})
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return model


def read_about(folder: Path) -> dict[str, Any]:
    """What a complete model folder's config.json says of its training."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about: dict[str, Any] = config["about"]
    return about


@dataclass(frozen=True)
class _Run:
    """One fit: everything that stays the same from epoch to epoch but the weights."""

    model: MultiTaskBert
    sequences: Sequences
    train_E: Bools
    held_E: Bools | None
    training: TrainingSettings
    seed: int

    def fit(
        self, checkpoint: Path, spec: str, bar: EpochBar, on_epoch: Listener | None
    ) -> TrainingState:
        """Train from the checkpoint, or from the start; the model ends with its best weights."""
        optimizer = _optimizer(self.model, self.training)
        state = read_checkpoint(checkpoint, spec, self.model, optimizer)
        while state.epoch < self.training.epochs and not self._has_stalled(state):
            begun = time.process_time()
            with _seeded(self.seed, state.epoch, self.model.device) as (rng, generator):
                losses = self._train_epoch(state, optimizer, rng, generator, bar)
            row = {"epoch": float(state.epoch + 1), **losses}
            if self.held_E is not None:
                row |= self._watch(state)
            else:
                state.best_epoch = state.epoch
            state.epoch += 1
            state.history.append(row)
            state.cpu_seconds += time.process_time() - begun
            write_checkpoint(checkpoint, spec, state, self.model, optimizer)
            bar.record(state.epoch, row)
            if on_epoch is not None:
                on_epoch(state.epoch, row)
        if state.best:
            self.model.load_state_dict(state.best)
        self.model.eval()
        return state

    def calibrate(self) -> list[dict[str, Any]]:
        """Platt scaling on the validation rows, where there are any."""
        if self.held_E is None:
            return []
        judged = predict(
            self.model, self.sequences, _sample(self.held_E, CALIBRATION_ROWS), seed=self.seed
        )
        return [calibrate(judged, head).to_json() for head in CALIBRATED]

    def _has_stalled(self, state: TrainingState) -> bool:
        return (
            self.held_E is not None and state.epoch - 1 - state.best_epoch >= self.training.patience
        )

    def _train_epoch(
        self,
        state: TrainingState,
        optimizer: torch.optim.Optimizer,
        rng: np.random.Generator,
        generator: torch.Generator,
        bar: EpochBar,
    ) -> dict[str, float]:
        """One pass over the training rows; mean losses by head."""
        model, training = self.model.train(), self.training
        length_U = self.sequences.prefix_lengths(self.train_E)
        limit_U = torch.as_tensor(length_U, device=model.device)
        first_U = self.sequences.first_U.cpu().numpy()
        plan = plan_epoch(
            first_U, length_U, model.settings.max_history + 1, training.batch_events, rng
        )
        sums: dict[str, float] = {}
        for number, (start_B, stop_B) in enumerate(plan):
            done = (state.epoch + number / len(plan)) / training.epochs
            warm = min(1.0, (state.step + 1) / training.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * warm * (1 + math.cos(math.pi * done)) / 2
            losses = self._step(start_B, stop_B, limit_U, optimizer, generator)
            state.step += 1
            for head, loss in losses.items():
                sums[head] = sums.get(head, 0.0) + loss
            if number % 10 == 0:
                means = {head: total / (number + 1) for head, total in sums.items()}
                bar.move(state.epoch + number / len(plan), means)
        return {head: total / len(plan) for head, total in sums.items()}

    def _step(
        self,
        start_B: Ints,
        stop_B: Ints,
        limit_U: Tensor,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> dict[str, float]:
        """One update; losses by head."""
        model, weights = self.model, self.training.weights
        batch = self.sequences.batch(start_B, stop_B)
        targets = batch_targets(
            self.sequences, batch, limit_U[batch.user_B], self.training.negatives, generator
        )
        items_ND = model.item_vectors()
        query_xD = queries(model, items_ND, self.sequences, batch)[batch.real_BS]
        losses = task_losses(model, items_ND, query_xD, self.sequences, targets, weights)
        optimizer.zero_grad()
        total_loss(losses, weights).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), self.training.clip)
        optimizer.step()
        return {head: float(loss.detach()) for head, loss in losses.items()}

    def _watch(self, state: TrainingState) -> dict[str, float]:
        """Losses on validation rows; keeps the weights if their weighted sum is the best yet."""
        assert self.held_E is not None
        rows = _sample(self.held_E, WATCHED_ROWS)
        weights = self.training.weights
        predictions = predict(self.model.eval(), self.sequences, rows, seed=self.seed)
        losses = mean_losses(predictions, weights)
        total = sum(getattr(weights, head) * loss for head, loss in losses.items())
        if total < state.best_loss:
            state.best_loss, state.best_epoch = total, state.epoch
            state.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return {**{f"held-out {head}": loss for head, loss in losses.items()}, "held-out": total}


@contextmanager
def _seeded(
    seed: int, epoch: int, device: torch.device
) -> Iterator[tuple[np.random.Generator, torch.Generator]]:
    """Randomness of one epoch, a function of seed and epoch: what makes resuming exact.

    Dropout only knows torch's global generator: it is seeded inside and restored after.
    """
    numbers = np.random.SeedSequence([seed, epoch]).generate_state(3)
    generator = torch.Generator().manual_seed(int(numbers[1]))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(numbers[2]))
        yield np.random.default_rng(int(numbers[0])), generator


def _optimizer(model: MultiTaskBert, training: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW; the item biases are a table of numbers, not a matrix, and do not decay."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() > 1 and name != "item_bias_4N"
        (decayed if is_matrix else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


def _check_rows(train_E: Bools, held_E: Bools | None, refit: bool) -> None:
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


def _describe(mask_E: Bools, sequences: Sequences) -> dict[str, Any]:
    users = np.unique(sequences.user_E.cpu().numpy()[mask_E])
    return {
        "rows": int(mask_E.sum()),
        "users": len(users),
        "sha256": _digest(np.packbits(mask_E).tobytes()),
    }


def _sample(mask_E: Bools, most: int) -> Ints:
    """At most so many of the rows, spread evenly, the same every time."""
    row_x = np.flatnonzero(mask_E)
    if len(row_x) <= most:
        return row_x
    return row_x[np.linspace(0, len(row_x) - 1, most).astype(np.int64)]


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _is_complete(folder: Path, spec: str) -> bool:
    """Whether the folder holds the model of this spec.

    Raises:
        ValueError: if it holds another.
    """
    if not (folder / "config.json").exists():
        return False
    found = read_about(folder)["spec"]
    if found != spec:
        raise ValueError(
            f"{folder} holds a model of another spec ({found}, wanted {spec}); "
            "choose another folder or delete that one"
        )
    return True
