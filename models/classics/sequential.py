"""Next-item scorers that are trained by full cross-entropy over the catalogue.

Two networks share the loop: `Asymmetric`, where a user is a fading sum of what they clicked, and
`SASRec`, where self-attention decides what counts.

Axis letters beyond the legend of `envs/types.py`: T positions of a window; after position t comes
item t + 1.

Source: SASRec: Kang and McAuley 2018, arXiv:1808.09781; with full cross-entropy: Klenitskiy and
Vasilev 2023, arXiv:2309.07602; asymmetric factors: Paterek 2007, section 4.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.models.closed_form.events import Bools, Events
from slategym.models.optimizers import AdamW

WINDOW = 50  # clicks that are read
BATCH = 64  # windows of a step at the least; more where they are short
BATCH_TARGETS = 1_600  # that a step should predict
MOST_LOGITS = 2**23  # held at once when held-out rows are predicted
MOST_TARGETS = 4_000  # items that a step's cross-entropy runs over; of more, these and the batch's
SPREAD = 0.02  # of the first weights


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    width: int = 64
    epochs: int = 60
    rate: float = 3e-3  # Adam's
    decay: float = 0.05  # of weights, AdamW
    dropout: float = 0.3
    patience: int = 5  # epochs without gain on validation rows
    seconds: float = 100.0  # of CPU time after which no further epoch begins
    seed: int = 0


class Asymmetric(nn.Module):
    """A user is the fading sum of the factors of what they clicked, over the root of its weight."""

    def __init__(self, num_items: int, training: Training) -> None:
        super().__init__()
        self.past = nn.Embedding(num_items + 1, training.width, padding_idx=num_items)
        self.item = nn.Parameter(torch.randn(num_items, training.width) * SPREAD)
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.fading = nn.Parameter(torch.tensor(2.0))  # log-odds of what is left after a click
        self.dropout = nn.Dropout(training.dropout)
        nn.init.normal_(self.past.weight, std=10 * SPREAD)

    def forward(self, id_BT: Tensor) -> Tensor:
        """States after each position, (B, T, D); id -1: padding in front."""
        used_BT = id_BT >= 0
        num = self.past.num_embeddings - 1
        past_BTD = self.dropout(self.past(torch.where(used_BT, id_BT, num)))
        apart_T = torch.arange(id_BT.shape[1])
        apart_TT = (apart_T[:, None] - apart_T).clamp(min=0)
        weight_TT = (self.fading.sigmoid() ** apart_TT).tril()
        total_BT1 = (used_BT.float() @ weight_TT.T)[..., None].clamp(min=1e-6)
        state_BTD: Tensor = (weight_TT @ past_BTD) / total_BT1.sqrt()
        return state_BTD


class SASRec(nn.Module):
    """Causal self-attention over item and position embeddings."""

    def __init__(
        self, num_items: int, training: Training, *, num_layers: int = 2, num_heads: int = 2
    ) -> None:
        super().__init__()
        width = training.width
        self.item = nn.Parameter(torch.randn(num_items, width) * SPREAD)
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.place = nn.Parameter(torch.randn(WINDOW, width) * SPREAD)
        self.dropout = nn.Dropout(training.dropout)
        layer = nn.TransformerEncoderLayer(
            width,
            num_heads,
            2 * width,
            training.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, id_BT: Tensor) -> Tensor:
        """States after each position, (B, T, D); id -1: padding in front."""
        used_BT, T = id_BT >= 0, id_BT.shape[1]
        x_BTD = F.embedding(id_BT.clamp(min=0), self.item) * math.sqrt(self.item.shape[1])
        x_BTD = self.dropout(x_BTD + self.place[-T:]) * used_BT[..., None]
        later_TT = torch.ones(T, T, dtype=torch.bool).triu(1)
        barred_BTT = later_TT | ~used_BT[:, None]
        barred_BTT = barred_BTT & ~torch.eye(T, dtype=torch.bool)  # padding attends to itself
        heads = self.layers.layers[0].self_attn.num_heads
        mask = barred_BTT.repeat_interleave(heads, 0)
        state_BTD: Tensor = self.norm(self.layers(x_BTD, mask=mask))
        return state_BTD


Network = Asymmetric | SASRec


@dataclass(frozen=True)
class Encoded:
    """A trained network as a scorer: its state is the last clicks themselves."""

    network: SASRec
    name: str = "SASRec"

    def initial(self, history_BH: Tensor) -> Tensor:
        """The last WINDOW items, (B, WINDOW), used ones last."""
        order_BH = (history_BH >= 0).int().argsort(dim=1, stable=True)
        last_BH = history_BH.gather(1, order_BH)[:, -WINDOW:].long()
        return F.pad(last_BH, (WINDOW - last_BH.shape[1], 0), value=-1)

    def after(self, state: Tensor, item_B: Tensor, took_B: Tensor) -> Tensor:
        """One item more; the oldest is forgotten."""
        moved_BT = torch.cat([state[:, 1:], item_B[:, None].long()], 1)
        return torch.where(took_B[:, None], moved_BT, state)

    @torch.no_grad()
    def score(self, state: Tensor) -> Tensor:
        """Logits of all items, (B, N)."""
        network = self.network
        logits_BN: Tensor = network(state)[:, -1] @ network.item.T + network.bias
        return logits_BN


@dataclass(frozen=True)
class FadingFactors:
    """A trained `Asymmetric` as a scorer."""

    past_ND: Tensor
    item_ND: Tensor
    bias_N: Tensor
    fade: float
    name: str = "asymmetric factors"

    @staticmethod
    def of(network: Asymmetric) -> FadingFactors:
        """Its tables."""
        past_ND = network.past.weight.detach()[:-1].clone()
        item_ND, bias_N = network.item.detach().clone(), network.bias.detach().clone()
        return FadingFactors(past_ND, item_ND, bias_N, float(network.fading.detach().sigmoid()))

    def initial(self, history_BH: Tensor) -> Tensor:
        """The fading sum of factors, and last of their weights, (B, D + 1)."""
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1
        weight_BH = torch.where(used_BH, self.fade**later_BH, 0.0)
        past_BHD = F.embedding(history_BH.clamp(min=0).long(), self.past_ND)
        total_BD = (past_BHD * weight_BH[..., None]).sum(1)
        return torch.cat([total_BD, weight_BH.sum(1, keepdim=True)], 1)

    def after(self, state: Tensor, item_B: Tensor, took_B: Tensor) -> Tensor:
        """One item's factors more."""
        added_BD = F.pad(F.embedding(item_B.long(), self.past_ND), (0, 1), value=1.0)
        return torch.where(took_B[:, None], state * self.fade + added_BD, state)

    def score(self, state: Tensor) -> Tensor:
        """Logits of all items, (B, N)."""
        user_BD = state[:, :-1] / state[:, -1:].clamp(min=1e-6).sqrt()
        return user_BD @ self.item_ND.T + self.bias_N


@dataclass(frozen=True)
class Windows:
    """Clicks in order with what came next."""

    id_ST: NDArray[np.int64]  # -1: padding in front
    next_ST: NDArray[np.int64]  # -1: not to be predicted

    @staticmethod
    def of(events: Events, read_E: Bools, target_E: Bools) -> Windows:
        """Half-overlapping windows of everybody with a target; each target is in one of them.

        Args:
            events: the log.
            read_E: rows that may be read as history.
            target_E: rows to predict.
        """
        rows = np.flatnonzero((read_E | target_E) & events.took_E)
        user = events.user_E[rows]
        begin = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
        size = np.diff(np.r_[begin, len(rows)])
        item, target = events.item_E[rows], target_E[rows]
        ids, nexts = [], []
        half = WINDOW // 2
        for first, num in zip(begin, size, strict=True):
            own, aim = item[first : first + num], target[first : first + num]
            at = 1  # the first item is predicted from nothing: left out
            while at < num:
                stop = min(at + (WINDOW if at == 1 else half), num)
                start = max(0, stop - 1 - WINDOW)
                window = np.full((2, WINDOW), -1)
                fed = own[start : stop - 1]
                window[0, WINDOW - len(fed) :] = fed
                wanted = np.where(aim[at:stop], own[at:stop], -1)
                window[1, WINDOW - len(wanted) :] = wanted
                if (wanted >= 0).any():
                    ids.append(window[0])
                    nexts.append(window[1])
                at = stop
        shape = (len(ids), WINDOW)
        return Windows(np.array(ids).reshape(shape), np.array(nexts).reshape(shape))

    def batches(self, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """In random order, or as they are."""
        order = np.arange(len(self.id_ST)) if rng is None else rng.permutation(len(self.id_ST))
        targets = max(1, int((self.next_ST >= 0).sum()))
        size = max(BATCH, BATCH_TARGETS * len(order) // targets)
        for begin in range(0, len(order), size):
            at = order[begin : begin + size]
            yield torch.as_tensor(self.id_ST[at]), torch.as_tensor(self.next_ST[at])


def train_next(
    network: Network, events: Events, train_E: Bools, validation_E: Bools | None, training: Training
) -> int:
    """Train in place; with validation rows, keep the epoch that predicts them best.

    Args:
        network: made under a seed.
        events: the log.
        train_E: rows to learn.
        validation_E: rows to stop by; None: all the epochs.
        training: how.

    Returns:
        Epochs that served best; 0, and the network as it was, where no row to stop by has a click
        before it.
    """
    windows = Windows.of(events, train_E, train_E)
    held = None
    if validation_E is not None:
        held = Windows.of(events, _readable(events, train_E, validation_E), validation_E)
        if not len(held.id_ST):
            return 0
    rng, generator = np.random.default_rng(training.seed), torch.Generator()
    generator.manual_seed(training.seed)
    optimizer = AdamW(network.parameters(), lr=training.rate, weight_decay=training.decay)
    best, best_epoch, kept = math.inf, training.epochs, None
    begun = time.process_time()
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream
        torch.manual_seed(training.seed)
        for epoch in range(1, training.epochs + 1):
            network.train()
            for id_BT, next_BT in windows.batches(rng):
                loss = _loss(network, id_BT, next_BT, generator)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
            if held is None:
                continue
            error = _held_out(network, held)
            if error < best:
                best, best_epoch, kept = error, epoch, deepcopy(network.state_dict())
            late = time.process_time() - begun > training.seconds
            if late or epoch - best_epoch >= training.patience:
                break
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()
    return best_epoch


def _readable(events: Events, train_E: Bools, validation_E: Bools) -> Bools:
    """Rows that may be read before those to stop by: all of people who are held out as a whole."""
    known_U = np.zeros(int(events.user_E.max(initial=-1)) + 1, bool)
    known_U[events.user_E[train_E]] = True
    readable_E: Bools = train_E | validation_E | ~known_U[events.user_E]
    return readable_E


def make_network(
    kind: type[Asymmetric] | type[SASRec], num_items: int, training: Training
) -> Network:
    """A network with the first weights of the training's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        return kind(num_items, training)


def _loss(network: Network, id_BT: Tensor, next_BT: Tensor, generator: torch.Generator) -> Tensor:
    state_xD, next_x = network(id_BT)[next_BT >= 0], next_BT[next_BT >= 0]
    item_ND: Tensor = network.item
    bias_N: Tensor = network.bias
    if len(item_ND) > MOST_TARGETS:
        drawn = torch.randperm(len(item_ND), generator=generator)[:MOST_TARGETS]
        some = torch.unique(torch.cat([next_x, drawn]))
        item_ND, bias_N, next_x = item_ND[some], bias_N[some], torch.searchsorted(some, next_x)
    return F.cross_entropy(state_xD @ item_ND.T + bias_N, next_x)


@torch.no_grad()
def _held_out(network: Network, windows: Windows) -> float:
    network.eval()
    total, count = 0.0, 0
    size = max(1, MOST_LOGITS // len(network.item))
    for id_BT, next_BT in windows.batches(None):
        state_xD, next_x = network(id_BT)[next_BT >= 0], next_BT[next_BT >= 0]
        for begin in range(0, len(next_x), size):
            logits_pN = state_xD[begin : begin + size] @ network.item.T + network.bias
            loss = F.cross_entropy(logits_pN, next_x[begin : begin + size], reduction="sum")
            total += float(loss)
        count += len(next_x)
    return total / max(count, 1)
