"""Fitting weights, epoch by epoch, with a checkpoint after each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from slategym.envs.names import UsageError
from slategym.envs.trees import map_tensors
from slategym.models import finite
from slategym.models.closed_form.fades import reach
from slategym.models.multitask.auxiliary import cloze_batch, contrastive_loss, disturbed
from slategym.models.multitask.balance import Balance, Gradients, balance_of, cosines
from slategym.models.multitask.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from slategym.models.multitask.crossfit import CrossFitted
from slategym.models.multitask.judging import JUDGED_ROWS, Judgement, judge, sample
from slategym.models.multitask.losses import (
    ClickLoss,
    Proposal,
    Targets,
    batch_targets,
    items_of,
    task_losses,
)
from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.optimizer import optimizer_of
from slategym.models.multitask.predict import (
    clearly_above,
    loss_parts,
    mean_losses,
    predict,
)
from slategym.models.multitask.prior_start import ROWS, Sample, begin
from slategym.models.multitask.progress import EpochBar
from slategym.models.multitask.requests import Known, requests, sums_before
from slategym.models.multitask.sequences import (
    Batch,
    Bools,
    Rehearsal,
    Sequences,
    Windows,
    plan_epoch,
)
from slategym.models.multitask.shares import HeldOut
from slategym.models.multitask.team import ALONE, Team
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.multitask.values_start import begin_values
from slategym.models.tasks import head_weights
from slategym.models.text.tuned import TunedEncoder

WATCHED_ROWS = 3000  # validation rows read after each epoch
LARGE = 5_000  # items above which the next-item softmax is sampled
SAMPLED = 2_048  # draws of it
WARMUP_SHARE = 0.25  # of all updates, at most, before the learning rate is whole
MEASURED = 2  # steps of an epoch at which the cosines between heads' gradients are taken

Listener = Callable[[int, dict[str, float]], None]


class Part(NamedTuple):
    """Where a batch stands among those of its update."""

    first: bool
    last: bool
    batches: int  # of the update

    @staticmethod
    def of(number: int, planned: int, accumulate: int) -> Part:
        """Of a batch of an epoch; the last update of an epoch may have fewer."""
        at = number % accumulate
        batches = min(accumulate, planned - (number - at))
        return Part(at == 0, at == batches - 1, batches)


class _Asked(NamedTuple):
    """One batch: what is asked, what happened, and what statistics say."""

    windows: Windows
    batch: Batch
    targets: Targets
    known: Known


@dataclass(frozen=True)
class Fit:
    """One run: what stays the same from epoch to epoch; only the model's weights change."""

    model: MultiTaskBert
    sequences: Sequences
    train_E: Bools
    held_E: Bools | None
    training: TrainingSettings
    seed: int
    replay: Rehearsal | None = None  # of a model that is fitted further
    text: TunedEncoder | None = None  # the item texts' encoder, if it learns too
    click_weight_E: Tensor | None = None  # of each row in the click's loss; None: all alike
    team: Team = ALONE  # processes that train together
    crossfit: CrossFitted | None = None  # statistics of the training rows
    new: bool = False  # whether the model's weights are those it was made with

    @cached_property
    def balance(self) -> Balance:
        """How the heads' losses become one step."""
        return balance_of(self.training.balance, len(self.trained))

    @cached_property
    def left_N(self) -> Tensor | None:
        """Items that are neither drawn against nor counted as a next; None: none."""
        if self.training.unseen == "drawn":
            return None
        item_E = self.sequences.item_E
        left_N = torch.ones(self.sequences.num_items, dtype=torch.bool, device=item_E.device)
        left_N[item_E[torch.as_tensor(self.train_E, device=item_E.device)]] = False
        return left_N

    @property
    def trained(self) -> tuple[str, ...]:
        """Heads with a weight."""
        return tuple(head for head in self.model.heads if self.weights[head])

    @property
    def weights(self) -> dict[str, float]:
        """Of every head's mean loss."""
        return head_weights(self.model.tasks, self.training.weights)

    def run(
        self, checkpoint: Path, spec: str, bar: EpochBar, on_epoch: Listener | None
    ) -> TrainingState:
        """Train from the checkpoint, or from the start; the model ends with its best weights."""
        if self.team.size > 1 and self.training.balance != "fixed":
            raise UsageError(
                f"{self.team.size} processes average gradients of the heads' sum, and balance "
                f"{self.training.balance!r} makes others of it; take balance='fixed'"
            )
        hooks = self.team.average(p for _, p in self._parameters)
        learned = self._learned()
        watched = self._watched()
        optimizer = optimizer_of(self.model, self.balance, self.text, self.training)
        state = read_checkpoint(checkpoint, spec, self.model, optimizer)
        if self.new and not state.epoch and learned.tables is not None:
            begin(self.model, self._samples(learned))
        if self.new and not state.epoch and learned.described is not None:
            assert self.model.wide is not None
            begin_values(self.model.wide, learned.described, self.sequences, self.model.tasks)
        if state.epoch:
            self.balance.load_state_dict(_under(state.beside, "balance."))
            if self.text is not None:
                self.text.load_state_dict(_under(state.beside, "text."))
        while state.epoch < self.training.epochs and not self._has_stalled(state):
            begun = time.process_time()
            with _seeded(self.seed, state.epoch, self.model.device, self.team.rank) as drawn:
                losses = self._train_epoch(state, optimizer, learned, *drawn, bar)
            losses = self.team.mean(losses)
            when = f"in epoch {state.epoch + 1}"
            finite.check_losses({f"loss of {name}": x for name, x in losses.items()}, when)
            finite.check_weights(dict(self.model.named_parameters()), when)
            row = {"epoch": float(state.epoch + 1), **losses}
            if self.text is not None:
                self.model.vectors.text_vectors_ND0.copy_(self.text.all_vectors())
            if self.held_E is not None:
                row |= self._watch(state, watched)
            else:
                state.best_epoch = state.epoch
            state.epoch += 1
            state.history.append(row)
            state.cpu_seconds += time.process_time() - begun
            state.beside = self._beside()
            if self.team.first:
                write_checkpoint(checkpoint, spec, state, self.model, optimizer)
            bar.move(state.epoch, losses)
            bar.record(state.epoch, row)
            if on_epoch is not None:
                on_epoch(state.epoch, row)
        for hook in hooks:
            hook.remove()
        if state.best:
            self.model.load_state_dict(state.best)
        if state.best_text and self.text is not None:
            self.text.load_state_dict(state.best_text)
        self.model.eval()
        return state

    def _beside(self) -> dict[str, Tensor]:
        """What is learned beside the network, as it stands."""
        kept = {f"balance.{name}": x for name, x in self.balance.state_dict().items()}
        if self.text is not None:
            kept |= {f"text.{name}": x for name, x in self.text.state_dict().items()}
        return {name: value.detach().clone() for name, value in kept.items()}

    def judge(self) -> Judgement:
        """What the validation rows say of the model, whose shares are served from now on."""
        held = None if self.held_E is None else self._held_out(self.held_E)
        return judge(self.model, held, self._shared(), self.weights)

    def _held_out(self, held_E: Bools) -> HeldOut:
        """The rows on which shares are found, and all that is judged."""
        rows, proposal = sample(held_E, JUDGED_ROWS), self._proposal()
        most, num_items = self.training.softmax_items or SAMPLED, self.sequences.num_items
        return HeldOut(
            self.sequences,
            rows,
            Known.of(self.model, self.sequences, rows),
            self.training.negatives,
            lambda generator: None if proposal is None else proposal.draw(most, generator),
            num_items if proposal is None else min(num_items, 2 * most),
            self.left_N,
            self.seed,
        )

    def _shared(self) -> tuple[str, ...]:
        """Trained heads that tell likelihoods: a click learned otherwise is none of them."""
        losses = self.training.losses
        likely = losses.click == "pointwise" and losses.position == "beside"
        return tuple(head for head in self.trained if likely or head != self.model.heads[0])

    def _has_stalled(self, state: TrainingState) -> bool:
        return (
            self.held_E is not None and state.epoch - 1 - state.best_epoch >= self.training.patience
        )

    def _train_epoch(
        self,
        state: TrainingState,
        optimizer: torch.optim.Optimizer,
        learned: Known,
        rng: np.random.Generator,
        generator: torch.Generator,
        bar: EpochBar,
    ) -> dict[str, float]:
        """One pass over the training rows; mean losses by head."""
        model, training = self.model.train(), self.training
        length_U = self.sequences.prefix_lengths(self.train_E)
        limit_U = torch.as_tensor(self.sequences.clicks_within(self.train_E), device=model.device)
        chunk = model.settings.max_history + 1
        plan = plan_epoch(self.sequences, length_U, chunk, training.batch_events, rng, self.replay)
        plan = self.team.share(plan)
        proposal = self._proposal()
        sums: dict[str, float] = {}
        measured = [len(plan) * part // MEASURED for part in range(min(MEASURED, len(plan)))]
        grams: list[Tensor] = []
        for number, windows in enumerate(plan):
            done = (state.epoch + number / len(plan)) / training.epochs
            warm = min(1.0, (state.step + 1) / self._warmup(len(plan)))
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * warm * (1 + math.cos(math.pi * done)) / 2
            watched = grams if number in measured else None
            part = Part.of(number, len(plan), training.accumulate)
            losses = self._step(
                windows, learned, limit_U, optimizer, generator, proposal, watched, part
            )
            state.step += part.last
            if self.text is not None and part.last:
                self.text.after_step(state.step)
            for head, loss in losses.items():
                sums[head] = sums.get(head, 0.0) + loss
            if number % 10 == 0:
                means = {head: total / (number + 1) for head, total in sums.items()}
                bar.move(state.epoch + number / len(plan), means)
        state.cosines.append(cosines(torch.stack(grams).sum(0)))
        return {head: total / len(plan) for head, total in sums.items()}

    def _warmup(self, planned: int) -> int:
        """Updates until the learning rate is whole: at most a share of all there will be."""
        training = self.training
        updates = math.ceil(planned / training.accumulate) * training.epochs
        return max(1, min(training.warmup_steps, int(WARMUP_SHARE * updates)))

    def _step(
        self,
        windows: Windows,
        learned: Known,
        limit_U: Tensor,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        proposal: Proposal | None,
        grams: list[Tensor] | None,
        part: Part,
    ) -> dict[str, float]:
        """One batch; losses by head. Inner products of gradients are added to `grams`, if any."""
        model, training = self.model, self.training
        batch = self.sequences.batch(windows)
        if model.settings.sequence == "cloze":
            batch = cloze_batch(batch, generator)
        most = training.softmax_items or SAMPLED
        sampled = None if proposal is None else proposal.draw(most, generator)
        targets = batch_targets(
            self.sequences,
            batch,
            limit_U[batch.user_B],
            training.negatives,
            generator,
            sampled,
            self.left_N,
        )
        text_ND0 = None
        if self.text is not None:
            met_x = self.sequences.item_E[targets.row_x]
            text_ND0 = self.text.refreshed(model.vectors.text_vectors_ND0, met_x, generator)
        asked = _Asked(windows, batch, targets, learned)
        with torch.autocast(
            model.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"
        ):
            losses = self._losses(asked, text_ND0)
        weighted = {head: self.weights[head] * loss / part.batches for head, loss in losses.items()}
        if part.first:
            optimizer.zero_grad()
        if grams is not None:
            grams.append(Gradients(weighted, self._own).gram())
        self.balance.backward(weighted, self._parameters)
        self._beside_heads(asked, generator)
        if not part.last:
            return {head: float(loss.detach()) for head, loss in losses.items()}
        penalty = None if self.text is None else self.text.penalty()
        if penalty is not None:
            penalty.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for _, p in self._own], training.clip)
        if self._of_text:
            nn.utils.clip_grad_norm_([p for _, p in self._of_text], training.clip)
        optimizer.step()
        self.balance.after(lambda: self._again(asked))
        return {head: float(loss.detach()) for head, loss in losses.items()}

    @cached_property
    def _own(self) -> list[tuple[str, nn.Parameter]]:
        """The network's parameters by name, looked up once: torch walks through all its modules."""
        return list(self.model.named_parameters())

    @cached_property
    def _of_text(self) -> list[tuple[str, nn.Parameter]]:
        """Those of the encoder that learns with it."""
        return [] if self.text is None else list(self.text.named_parameters())

    @property
    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        """All that the losses move, by name."""
        return self._own + [(f"text.{name}", p) for name, p in self._of_text]

    def _losses(
        self, asked: _Asked, text_ND0: Tensor | None, table: ItemTable | None = None
    ) -> dict[str, Tensor]:
        """Mean loss of each trained head."""
        model, sequences = self.model, self.sequences
        if table is None:
            table = model.item_table(items_of(sequences, asked.batch, asked.targets), text_ND0)
        apart = model.settings.chain == "none"  # a chain asks of what was passed over, too
        query = requests(
            model, table, sequences, asked.windows, asked.batch, asked.known, apart=apart
        )
        click = ClickLoss(self.training.losses, self.click_weight_E)
        return task_losses(model, table, query, sequences, asked.targets, self.weights, click)

    def _beside_heads(self, asked: _Asked, generator: torch.Generator) -> None:
        """Add the gradients of the losses that no head has."""
        settings, model = self.training.losses, self.model

        def table() -> ItemTable:
            return model.item_table(items_of(self.sequences, asked.batch, asked.targets))

        def total(of: ItemTable) -> Tensor:
            losses = self._losses(asked, None, of)
            return torch.stack([self.weights[head] * loss for head, loss in losses.items()]).sum()

        if settings.contrastive:
            loss = contrastive_loss(model, table(), asked.batch, generator)
            if loss is not None:
                (settings.contrastive * loss).backward()  # type: ignore[no-untyped-call]
        if settings.adversarial:
            first = table()
            moved = disturbed(total(first), first, table, settings.adversarial)
            total(moved).backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def _again(self, asked: _Asked) -> dict[str, Tensor]:
        """The weighted losses of a batch after its step."""
        losses = self._losses(asked, None)
        return {head: self.weights[head] * loss for head, loss in losses.items()}

    def _proposal(self) -> Proposal | None:
        """Where the next-item softmax is sampled, what draws its items."""
        sequences, asked = self.sequences, self.training.softmax_items
        if sequences.num_items <= (LARGE if asked is None else asked):
            return None
        row_Q = sequences.click_Q
        row_Q = row_Q[torch.as_tensor(self.train_E, device=row_Q.device)[row_Q]]
        return Proposal.of(torch.bincount(sequences.item_E[row_Q], minlength=sequences.num_items))

    @torch.no_grad()
    def _samples(self, learned: Known) -> list[Sample]:
        """Training rows from which the prior's weights begin."""
        model, sequences, device = self.model, self.sequences, self.model.device
        assert learned.tables is not None
        rng, generator = np.random.default_rng(self.seed), torch.Generator().manual_seed(self.seed)
        length_U = sequences.prefix_lengths(self.train_E)
        limit_U = torch.as_tensor(sequences.clicks_within(self.train_E), device=device)
        chunk, proposal = model.settings.max_history + 1, self._proposal()
        training, found, rows = self.training, list[Sample](), 0
        for windows in plan_epoch(sequences, length_U, chunk, training.batch_events, rng):
            batch, most = sequences.batch(windows), training.softmax_items or SAMPLED
            targets = batch_targets(
                sequences,
                batch,
                limit_U[batch.user_B],
                training.negatives,
                generator,
                None if proposal is None else proposal.draw(most, generator),
                self.left_N,
            )
            table = model.item_table(items_of(sequences, batch, targets))
            sums = sums_before(learned, learned.tables, sequences, windows, batch, table.id_A)
            found.append(Sample.of(table, sums, sequences, targets))
            rows += len(targets.row_x)
            if rows >= ROWS:
                break
        return found

    def _learned(self) -> Known:
        """What statistics of other users' rows say of the training rows."""
        if self.crossfit is None:
            return Known()
        device = self.model.device
        described = self.crossfit.install(self.model, self.sequences, self.train_E)
        return Known(
            described,
            map_tensors(lambda x: x.to(device), self.crossfit.tables),
            torch.as_tensor(self.crossfit.fold_U, device=device),
            earlier=self._earlier(),
        )

    def _earlier(self) -> int:
        """Clicks before a window that count in sums: a window may begin anywhere."""
        assert self.crossfit is not None
        tables = self.crossfit.tables
        return 0 if tables is None else max(self.model.settings.max_history, reach(tables.fade_T))

    def _watched(self) -> Known | None:
        """What those of all training rows say of the rows that are watched."""
        if self.held_E is None:
            return None
        return Known.of(self.model, self.sequences, sample(self.held_E, WATCHED_ROWS))

    def _watch(self, state: TrainingState, watched: Known | None) -> dict[str, float]:
        """Losses on validation rows; keeps the weights unless they are clearly worse than the best.

        Of epochs that the people held out cannot tell apart, the last is kept: the learning rate is
        planned for all of them, and a few people's noise would stop it anywhere.
        """
        assert self.held_E is not None
        rows = sample(self.held_E, WATCHED_ROWS)
        weights = self.weights
        predictions = predict(
            self.model.eval(), self.sequences, rows, seed=self.seed, known=watched
        )
        losses = mean_losses(predictions, weights)
        total = sum(weights[head] * loss for head, loss in losses.items())
        part_B = loss_parts(predictions, weights)
        if total < state.best_loss:
            state.best_loss, state.best_parts = total, part_B.tolist()
        if not clearly_above(part_B, np.array(state.best_parts)):
            state.best_epoch = state.epoch
            state.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            if self.text is not None:
                state.best_text = {k: v.clone() for k, v in self.text.state_dict().items()}
        return {**{f"held-out {head}": loss for head, loss in losses.items()}, "held-out": total}


@contextmanager
def _seeded(
    seed: int, epoch: int, device: torch.device, rank: int = 0
) -> Iterator[tuple[np.random.Generator, torch.Generator]]:
    """Randomness of one epoch, a function of seed and epoch: what makes resuming exact.

    Dropout only knows torch's global generator: it is seeded inside and restored after.
    """
    numbers = np.random.SeedSequence([seed, epoch]).generate_state(3)
    if rank:  # the plan is every process's, what is drawn and dropped its own
        numbers[1:] = np.random.SeedSequence([seed, epoch, rank]).generate_state(2)
    generator = torch.Generator().manual_seed(int(numbers[1]))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(numbers[2]))
        yield np.random.default_rng(int(numbers[0])), generator


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
