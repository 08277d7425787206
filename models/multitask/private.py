"""Training under differential privacy, with the user as the unit: DP-SGD.

What is promised: whether a person was among those trained on, with all of that person's rows or
with none, changes the probability of any set of models by a factor of at most e^epsilon, but for
delta.

What is private: the weights. Each update adds up, over people drawn by chance, gradients of one
window of their events, clipped to one norm, and Gaussian noise; nothing else of the training rows
enters. So heads start from what is declared (the middle of a scale of levels) instead of
popularity, scales stay as declared, training losses are not kept, and the noise comes from the
operating system and is forgotten with the checkpoint: an equal call gives other weights.

What is not: rows of people held out serve the card's figures and are not protected; the log's
description (catalogue, texts, ranges, categories), its period to the day and the numbers of people
and rows are taken as public. The folder keeps no hash of the rows: it would tell who is among them.
Closed-form statistics of the rows (the wide part) are not private, and settings that have one are
refused.

Opacus accounts for what is spent. Its hooks for gradients of each example do not serve here: item
vectors and biases are shared by all people of a batch, and the unit is a person with many rows; so
each person's gradient is computed by itself.

Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; McMahan et al. 2018, arXiv:1710.06963,
section 2, for users as units.
"""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from slategym.envs.names import UsageError
from slategym.models import finite
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.hashes import hash_of
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from slategym.models.multitask.fit import Listener
from slategym.models.multitask.item_extras import item_extras
from slategym.models.multitask.judging import JUDGED_ROWS
from slategym.models.multitask.losses import batch_targets, task_losses
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import predict
from slategym.models.multitask.progress import EpochBar
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.scores import model_figures
from slategym.models.multitask.sequences import Ints, Sequences, Windows, as_mask
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.team import Team
from slategym.models.multitask.train import (
    BEGUN,
    CHECKPOINT,
    check_rows,
    describe,
    is_complete,
    item_columns_of,
    kept_encoder,
    text_vectors_of,
    write,
)
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.multitask.vocabulary import Vocabulary, anonymous
from slategym.models.optimizers import AdamW
from slategym.models.status import status_kept, write_status
from slategym.models.tasks import head_weights, tasks_of, to_json
from slategym.models.text.settings import DEFAULT_ENCODER, HUB_NAME

# of Renyi's divergence, of which the best bounds epsilon; any of them is a bound
ORDERS = [
    1.1,
    1.25,
    1.5,
    1.75,
    2,
    2.5,
    3,
    4,
    5,
    6,
    8,
    10,
    12,
    16,
    20,
    24,
    32,
    48,
    64,
    128,
    256,
    1024,
]
DAY = 86_400  # seconds
WITHHELD = "withheld: it would tell who is among the rows"
FORMAT = 2  # raise it when the same spec would give other weights


@dataclass(frozen=True)
class PrivacySettings:
    """How private, and how."""

    epsilon: float = 8.0  # to be spent when training is over, at most
    delta: float | None = None  # None: 1 / (10 people)
    clip: float = 1.0  # largest norm of a person's gradient
    rate: float = 0.05  # probability that a person takes part in an update

    def __post_init__(self) -> None:
        if self.epsilon <= 0 or self.clip <= 0:
            raise UsageError(
                f"epsilon and clip must be above 0, got {self.epsilon} and {self.clip}"
            )
        if not 0 < self.rate <= 1:
            raise UsageError(f"rate is a probability above 0, got {self.rate}")
        if self.delta is not None and not 0 < self.delta < 1:
            raise UsageError(f"delta is a probability between 0 and 1, got {self.delta}")


@dataclass(frozen=True)
class Spent:
    """What a training spends."""

    epsilon: float
    delta: float
    noise: float  # standard deviation of the noise, in units of the clip
    steps: int
    people: int

    def so_far(self, rate: float, steps: int) -> float:
        """Epsilon after so many updates."""
        from opacus.accountants import RDPAccountant

        accountant = RDPAccountant()
        accountant.history = [(self.noise, rate, steps)]
        return float(accountant.get_epsilon(self.delta, alphas=ORDERS))

    def sentences(self, rate: float, clip: float) -> list[str]:
        """For the terminal and the card."""
        return [
            f"differentially private for people: epsilon {self.epsilon:.3f} at delta "
            f"{self.delta:.2g}, {self.steps} updates, each person with probability {rate:g} in "
            f"each, gradients clipped to norm {clip:g}, noise {self.noise:.3f} times that "
            "(accounted by opacus, Renyi)",
            "unit: a person with all rows, against the same person with none",
            f"private: the weights, of {self.people:,} people trained on",
            "not private: figures are of people held out, who are not protected; the log's "
            "description, its period to the day and the numbers of people and rows are taken as "
            "public; noise is of a pseudo-random generator seeded by the operating system, in "
            "floating point",
        ]


def budget(people: int, epochs: int, privacy: PrivacySettings) -> Spent:
    """The noise that keeps a training within its budget, and what it then spends.

    Args:
        people: trained on.
        epochs: each person takes part about once in each.
        privacy: the budget.

    Raises:
        UsageError: opacus is not installed; delta is not below one over the number of people.
    """
    try:
        from opacus.accountants.utils import get_noise_multiplier
    except ImportError:
        raise UsageError(
            "training under differential privacy needs opacus: pip install 'slategym[privacy]'"
        ) from None
    delta = 1 / (10 * people) if privacy.delta is None else privacy.delta
    if delta >= 1 / people:
        raise UsageError(
            f"delta must be below one over the number of people, {1 / people:.2g}, got {delta:g}: "
            "else one person's rows may be published as they are"
        )
    steps = max(1, round(epochs / privacy.rate))
    noise = get_noise_multiplier(
        target_epsilon=privacy.epsilon,
        target_delta=delta,
        sample_rate=privacy.rate,
        steps=steps,
        accountant="rdp",
        alphas=ORDERS,
    )
    found = Spent(math.nan, delta, float(noise), steps, people)
    return replace(found, epsilon=found.so_far(privacy.rate, steps))


def train_private(
    log: Log,
    people: Ints,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    privacy: PrivacySettings,
    folder: str | Path,
    *,
    held: Ints,
    text_vectors_ND0: Tensor | None = None,
    seed: int = 0,
    device: str = "cpu",
    label: str = "private multi-task BERT",
    progress: bool = True,
    on_epoch: Listener | None = None,
) -> MultiTaskBert:
    """Train under differential privacy, or load what is in the folder; see this module.

    A killed run goes on from the last whole epoch to the same weights: until it is complete, its
    checkpoint holds the seed of the noise, and must be kept as the rows are.

    Args:
        log: the data.
        people: trained on, all their rows.
        settings: the architecture, without anything that is not private.
        training: epochs, learning rate, weights of heads; no early stopping.
        privacy: the budget.
        folder: of the model; made if absent.
        held: people whose rows give the figures; not protected.
        text_vectors_ND0: of the items; None: as settings.text has it, cached.
        seed: of the initial weights only.
        device: "cpu" or "cuda".
        label: for the progress bar and the card.
        progress: whether to draw a bar on stderr.
        on_epoch: called with the epoch and what is spent once its checkpoint is written.

    Raises:
        UsageError: the settings have a part that is not private; opacus is not installed.
        ValueError: the rows do not fit together, or the folder holds another model.
    """
    folder = Path(folder)
    check_private(settings, training)
    if Team.launched().size > 1:
        raise UsageError("one process trains under differential privacy; start a single one")
    spent = budget(len(people), training.epochs, privacy)
    encoder = None
    if text_vectors_ND0 is None:
        encoder = HUB_NAME if settings.text.encoder == DEFAULT_ENCODER else settings.text.encoder
        text_vectors_ND0 = text_vectors_of(log, settings.text, progress)
    sequences = Sequences.from_log(log, device)
    train_E, held_E = as_mask(sequences, people), as_mask(sequences, held)
    check_rows(train_E, held_E, False)
    tasks = tasks_of(log.signals, log.like_from)
    weights = head_weights(tasks, training.weights)
    about: dict[str, Any] = {
        "data": {"name": log.name, "sha256": WITHHELD},
        "rows": {**describe(train_E, sequences), "sha256": WITHHELD},
        "validation": {**describe(held_E, sequences), "sha256": WITHHELD},
        "refit": False,
        "settings": asdict(settings),
        "training": asdict(replace(training, weights=weights)),
        "privacy": asdict(privacy),
        "like_from": log.like_from,
        "repeats": log.repeats,
        "clicks": "shown" if has_slates(log) else "sampled",
        "seed": seed,
        "format": FORMAT,
    }
    about |= {"spec": hash_of(about), "label": label, "encoder": encoder}
    if is_complete(folder, about["spec"]):  # without a lock: the folder may be read-only
        return MultiTaskBert.from_pretrained(folder).to(device)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if is_complete(folder, about["spec"], mend=True):
            return MultiTaskBert.from_pretrained(folder).to(device)
        model = MultiTaskBert(
            settings,
            tasks,
            text_vectors_ND0=text_vectors_ND0,
            biases=replace(
                ItemBiases.neutral(log.num_items, len(tasks)),
                offset_M=tuple(task.declared_start for task in tasks),
            ),
            profile_sizes=log.profile_sizes,
            num_items=log.num_items,
            context=log.context,
            item_columns=log.item_columns,
            item_extra_NZ=item_columns_of(log),
            num_slots=log.slate_size or 0 if has_slates(log) else 0,
            seed=seed,
            extras=item_extras(log, settings.items, np.zeros_like(train_E)),
        ).to(device)
        fit = PrivateFit(model, sequences, np.sort(people), training, privacy, spent)
        stands = partial(write_status, folder / BEGUN, {"format": FORMAT, "spec": about["spec"]})
        with status_kept(stands), EpochBar(label, training.epochs, progress) as bar:
            state = fit.run(folder / CHECKPOINT, about["spec"], bar, on_epoch)
        rows = np.flatnonzero(held_E)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), JUDGED_ROWS)).astype(np.int64)]
        predictions = predict(model.eval(), sequences, rows, seed=seed)
        figures = model_figures("", predictions, {}, weights).to_json()
        del figures["model"]
        about |= {
            "history": state.history,
            "best_epoch": training.epochs - 1,
            "cpu_seconds": round(state.cpu_seconds, 1),
            "tasks": to_json(tasks),
            "calibration": [],
            "figures": figures,
            "spent": {**asdict(spent), "sentences": spent.sentences(privacy.rate, privacy.clip)},
        }
        keys = log.users["key"].iloc[held]
        known = Vocabulary.of(log, tuple(anonymous(str(key)) for key in keys))
        model.vocabulary = replace(known, until=math.ceil(known.until / DAY) * DAY)
        if encoder is not None:
            model.text_folder = kept_encoder(folder, log, settings.text)
        write(model, folder, about)
    return model


def check_private(settings: MultiTaskSettings, training: TrainingSettings) -> None:
    """Refuse what would carry the rows past the noise.

    Raises:
        UsageError: naming it, and what to take instead.
    """
    wrong = [
        (settings.text.learns, "a tuned text encoder is trained outside", "text.tuning=frozen"),
        (
            settings.items.residual == "seen",
            "residuals of items with training rows tell which these are",
            "items.residual=always",
        ),
        (
            training.unseen != "drawn",
            "leaving unseen items out tells which these are",
            "unseen=drawn",
        ),
        (
            training.losses.position != "beside",
            "propensities are estimated from rows",
            "losses.position=beside",
        ),
        (
            bool(training.losses.contrastive or training.losses.adversarial),
            "losses beside the heads are not clipped person by person",
            "losses.contrastive=0 and losses.adversarial=0",
        ),
        (
            settings.wide != "none" or settings.prior != "none",
            "closed-form statistics of rows carry no noise",
            "wide=none and prior=none",
        ),
        (training.balance != "fixed", "a balance reads losses of the rows", "balance=fixed"),
    ]
    for broken, why, instead in wrong:
        if broken:
            raise UsageError(f"not private: {why}; with a privacy budget set {instead}")


@dataclass(frozen=True)
class PrivateFit:
    """One training: what stays the same from update to update."""

    model: MultiTaskBert
    sequences: Sequences
    people: Ints  # sorted ids
    training: TrainingSettings
    privacy: PrivacySettings
    spent: Spent

    def run(
        self, checkpoint: Path, spec: str, bar: EpochBar, on_epoch: Listener | None
    ) -> TrainingState:
        """Train from the checkpoint, or from the start."""
        model, training = self.model, self.training
        optimizer = AdamW(
            model.parameters(), training.learning_rate, weight_decay=training.weight_decay
        )
        state = read_checkpoint(checkpoint, spec, model, optimizer)
        if "noise_seed" not in state.beside:
            state.beside["noise_seed"] = torch.tensor(secrets.randbits(63))
        per_epoch = self.spent.steps / training.epochs
        while state.epoch < training.epochs:
            begun = time.process_time()
            last = min(self.spent.steps, round((state.epoch + 1) * per_epoch))
            while state.step < last:
                self._update(state, optimizer)
                state.step += 1
                bar.move(state.step / per_epoch, {})
            state.epoch += 1
            finite.check_weights(model.state_dict(), f"in epoch {state.epoch}")
            row = {
                "epoch": float(state.epoch),
                "epsilon": self.spent.so_far(self.privacy.rate, state.step),
            }
            state.history.append(row)
            state.cpu_seconds += time.process_time() - begun
            write_checkpoint(checkpoint, spec, state, model, optimizer)
            bar.record(state.epoch, row)
            if on_epoch is not None:
                on_epoch(state.epoch, row)
        return state

    def _update(self, state: TrainingState, optimizer: torch.optim.Optimizer) -> None:
        """One step: clipped gradients of people drawn by chance, summed, and noise."""
        seeds = [int(state.beside["noise_seed"]), state.step]
        numbers = np.random.SeedSequence(seeds).generate_state(4, np.uint64)
        rng = np.random.default_rng(numbers[0])
        draws = torch.Generator().manual_seed(int(numbers[1] >> np.uint64(1)))
        noise = torch.Generator().manual_seed(int(numbers[2] >> np.uint64(1)))
        model, privacy = self.model.train(), self.privacy
        parameters = list(model.parameters())
        total = [torch.zeros_like(p) for p in parameters]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(numbers[3] >> np.uint64(1)))
            for person in self.people[rng.random(len(self.people)) < privacy.rate]:
                gradient = self.gradient(int(person), rng, draws)
                if gradient is not None:
                    for part, added in zip(total, clipped(gradient, privacy.clip), strict=True):
                        part += added
        spread, expected = self.spent.noise * privacy.clip, privacy.rate * len(self.people)
        for parameter, part in zip(parameters, total, strict=True):
            drawn = torch.randn(part.shape, generator=noise).to(part.device)
            parameter.grad = (part + spread * drawn) / expected
        done = state.step / self.spent.steps
        warm = min(1.0, (state.step + 1) / self.training.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = self.training.learning_rate * warm * (1 + math.cos(math.pi * done)) / 2
        optimizer.step()

    def gradient(
        self, person: int, rng: np.random.Generator, draws: torch.Generator
    ) -> list[Tensor] | None:
        """Of the mean losses of one window of one person; None: there is nothing to learn from."""
        model, sequences = self.model, self.sequences
        windows = self._window(person, rng)
        if windows is None:
            return None
        batch = sequences.batch(windows)
        limit_B = sequences.clicks_U[batch.user_B]
        targets = batch_targets(sequences, batch, limit_B, self.training.negatives, draws)
        table = model.item_table()
        query = requests(model, table, sequences, windows, batch, Known())
        weights = head_weights(model.tasks, self.training.weights)
        losses = task_losses(model, table, query, sequences, targets, weights)
        total = torch.stack([weights[head] * loss for head, loss in losses.items()]).sum()
        found = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
        return [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(model.parameters(), found, strict=True)
        ]

    def _window(self, person: int, rng: np.random.Generator) -> Windows | None:
        """As many of a person's positions as the model reads, from a random one on."""
        s, longest = self.sequences, self.model.settings.max_history + 1
        first, count = int(s.first_U[person]), int(s.count_U[person])
        base, clicks = int(s.base_U[person]), int(s.clicks_U[person])
        if not count:
            return None
        start = base + int(rng.integers(0, max(0, clicks + 1 - longest) + 1))
        stop = min(start + longest, base + clicks + 1)
        place = s.position_E[first : first + count].cpu().numpy()
        row = first + int(np.searchsorted(place, start))
        end = first + int(np.searchsorted(place, stop))
        if end <= row:
            return None
        return Windows(*(np.array([x]) for x in (start, stop, row, end)))


def clipped(gradient: list[Tensor], clip: float) -> list[Tensor]:
    """The gradient, no longer than `clip` over all parameters together."""
    norm = torch.sqrt(sum((part.square().sum() for part in gradient), torch.zeros(())))
    factor = (clip / norm.clamp(min=1e-12)).clamp(max=1.0)
    return [part * factor for part in gradient]
