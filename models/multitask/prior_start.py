"""Where the weights of the prior begin: at the likeliest, the network left out.

The tables' evidence, the log of popularity and a level explain clicks and next items of a sample of
training rows, each described by the tables of other people's rows (`crossfit`). A network that
begins there learns what they leave over; one that begins elsewhere unlearns popularity for most of
its epochs, as tables and item biases both tell of it.

Axis letters beyond the legend of `envs/types.py`: x the rows, T kinds of tables, A items of a
table, W the T weights, that of popularity and the level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.cooccurrence import Sums
from slategym.models.multitask.losses import FORBIDDEN, Targets
from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.sequences import Sequences
from slategym.models.optimizers import LBFGS
from slategym.models.tasks import NEXT

ROWS = 2_000  # on which they are found
STEPS = 40  # of the search, at most: few parameters, convex
RIDGE = 1e-3  # on squared weights, beside a mean loss: keeps what says nothing at 0


@dataclass(frozen=True)
class Sample:
    """Rows of a batch, and what is known of them before the network.

    A search asks of the same rows many times: what follows from them alone is computed once.
    """

    sums: Sums  # of co-occurrence tables, A items
    next_A: Tensor  # biases of the next head: log-popularity, where the model is new
    click_A: Tensor  # the same of the click
    item_x: Tensor  # what was taken up, rows of the A
    clicked_x: Tensor  # float32, 0 or 1
    negative_xC: Tensor  # rows of the A
    free_xC: Tensor  # bool, False where a negative does not count
    barred_xA: Tensor | None  # of those in the softmax, which cannot be the next; None: none
    sampled_A: Tensor | None  # rows of the A in the softmax; None: all
    log_count_A: Tensor | None  # log of how often each of those was expected among the draws

    @cached_property
    def asked_xC(self) -> Tensor:
        """The row's item, then those drawn against it, rows of the A."""
        return torch.cat([self.item_x[:, None], self.negative_xC], 1)

    @cached_property
    def told_xTA(self) -> Tensor:
        """What the tables say of every item, as it enters log-odds."""
        return self.sums.evidence()

    @cached_property
    def told_xTC(self) -> Tensor:
        """The same of the items asked about."""
        return self.sums.evidence(self.asked_xC)

    @cached_property
    def bias_xC(self) -> Tensor:
        """The click's, of the items asked about."""
        return self.click_A[self.asked_xC]

    @cached_property
    def num_clicked(self) -> Tensor:
        """Rows that were taken up, at least 1."""
        return self.clicked_x.sum().clamp(min=1.0)

    @cached_property
    def label_xC(self) -> Tensor:
        """Which of the items asked about were clicked, 0 or 1."""
        return F.pad(self.clicked_x[:, None], (0, self.negative_xC.shape[1]))

    @cached_property
    def used_xC(self) -> Tensor:
        """Which of them count, bool."""
        return F.pad(self.free_xC & (self.clicked_x > 0)[:, None], (1, 0), value=True)

    @cached_property
    def num_used(self) -> Tensor:
        """How many do, at least 1."""
        return self.used_xC.sum().clamp(min=1)

    @staticmethod
    @torch.no_grad()
    def of(table: ItemTable, sums: Sums, sequences: Sequences, targets: Targets) -> Sample:
        """What a batch's targets are compared with.

        Args:
            table: of a model; a new one's biases are log-popularity.
            sums: of co-occurrence tables, of the table's items.
            sequences: the log.
            targets: rows of it.
        """
        drawn = targets.sampled
        return Sample(
            sums,
            table.bias_YA[-1].clone(),
            table.bias_YA[0].clone(),
            table.local(sequences.item_E[targets.row_x]),
            (sequences.click_E[targets.row_x] > 0).float(),
            table.local(targets.negative_xC),
            targets.free_xC,
            targets.barred_xA,
            None if drawn is None else table.local(drawn.id_A),
            None if drawn is None else drawn.log_count_A,
        )


@torch.no_grad()
def begin(model: MultiTaskBert, samples: Sequence[Sample]) -> None:
    """Set weights of the tables, item biases and the level of a click to the likeliest.

    Item biases keep their shape, log-popularity or log-odds of a click, and become a share of it.

    Args:
        model: new, with a prior.
        samples: of training rows.
    """
    assert model.prior is not None
    number = model.prior.tables.fade_T.shape[0]
    for kind, row, loss in ((NEXT, -1, _next_loss), ("click", 0, _click_loss)):
        found_W1 = _least(samples, loss, number)
        weight_1T: Tensor = model.prior.weights[kind]
        weight_1T.copy_(found_W1[None, :number])
        model.item_bias_YN[row] *= found_W1[number]
        if row == 0:
            model.queries.user_levels[0].get_parameter("bias").add_(found_W1[number + 1])


def _least(
    samples: Sequence[Sample], loss: Callable[[Sample, Tensor], Tensor], number: int
) -> Tensor:
    """Weights of T tables, of popularity, and a level, with the least mean loss."""
    weight_W1 = torch.zeros(number + 2, dtype=torch.float32, device=samples[0].sums.value.device)
    weight_W1[number] = 1.0
    weight_W1.requires_grad_()
    search = LBFGS([weight_W1], max_iter=STEPS, line_search_fn="strong_wolfe")

    def total() -> Tensor:
        search.zero_grad()
        losses = torch.stack([loss(sample, weight_W1) for sample in samples])
        value = losses.mean() + RIDGE * weight_W1[: number + 1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        search.step(total)  # type: ignore[no-untyped-call]
    found_W1 = weight_W1.detach()
    return found_W1 if bool(found_W1.isfinite().all()) else torch.zeros_like(found_W1)


def _scored(evidence_xTA: Tensor, popular: Tensor, weight_W1: Tensor) -> Tensor:
    """Log-odds without the network, (x, A)."""
    T = evidence_xTA.shape[1]
    tables_xA = torch.einsum("xta,t->xa", evidence_xTA, weight_W1[:T])
    return tables_xA + weight_W1[T] * popular + weight_W1[T + 1]


def _next_loss(sample: Sample, weight_W1: Tensor) -> Tensor:
    """Mean surprise at what was taken up next; the level cancels."""
    return next_loss(sample, _scored(sample.told_xTA, sample.next_A, weight_W1))


def next_loss(sample: Sample, score_xA: Tensor) -> Tensor:
    """Mean surprise at what was taken up next, nats.

    Args:
        sample: the rows.
        score_xA: log-odds of the table's items but for a level of each row.
    """
    own_x1 = score_xA.gather(1, sample.item_x[:, None])
    if sample.sampled_A is not None and sample.log_count_A is not None:
        score_xA = score_xA[:, sample.sampled_A] - sample.log_count_A
    if sample.barred_xA is not None:
        score_xA = score_xA.masked_fill(sample.barred_xA, FORBIDDEN)
    if sample.sampled_A is not None:
        score_xA = torch.cat([own_x1, score_xA], 1)
    surprise_x = score_xA.logsumexp(1) - own_x1[:, 0]
    return (surprise_x * sample.clicked_x).sum() / sample.num_clicked


def _click_loss(sample: Sample, weight_W1: Tensor) -> Tensor:
    """Mean cross-entropy of what was taken up or not, and of items drawn against it."""
    return click_loss(sample, _scored(sample.told_xTC, sample.bias_xC, weight_W1))


def click_loss(sample: Sample, logit_xC: Tensor) -> Tensor:
    """Mean cross-entropy of the items asked about, nats.

    Args:
        sample: the rows.
        logit_xC: log-odds of the row's item, and of those drawn against it.
    """
    loss_xC = F.binary_cross_entropy_with_logits(logit_xC, sample.label_xC, reduction="none")
    return (loss_xC * sample.used_xC).sum() / sample.num_used
