"""The multi-task BERT event by event: what it has read is kept, only the new event is encoded.

Every layer of a causal transformer sees a position's own input and those before it, so a session
keeps each layer's inputs and adds one column per event. Keys and values are not stored: with
q . (W x) = (W' q) . x the attention reads the inputs themselves, which halves the memory that a
step has to move. Equal to the full forward up to float rounding (tested).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.engine import arrive
from slategym.envs.names import lookup
from slategym.envs.trees import map_tensors
from slategym.envs.types import Arrival, Context, Items, Observation, Population
from slategym.models.multitask.bert import EPSILON
from slategym.models.multitask.beside import (
    Beside,
    beside_after,
    query_beside,
    read_beside,
    read_sums,
)
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.query import Query
from slategym.models.multitask.reading import STEPS
from slategym.models.tasks import Task
from slategym.models.taste import Outputs, clicked, clicks_in_order

SECONDS_PER_DAY = 86_400.0
PEOPLE_AT_ONCE = 512  # rows of a population that are encoded together


class NoState(ValueError):
    """A ranker was asked about an observation without a state embedding."""


@dataclass(frozen=True)
class Encoded:
    """What the network has made of each user's events so far."""

    inputs: tuple[Tensor, ...]  # per layer (B, P, D), its input by position; unread past `length`
    state: Tensor  # (B, D) output at the last position
    length: Tensor  # (B,) int64, positions in use, the context token included
    away: Tensor  # (B,) float32, days between visits since the last event
    beside: Beside | None = None  # statistics; None: the model reads none


@dataclass(frozen=True)
class Layer:
    """One transformer layer, its key and query folded together. H heads of width E = D / H."""

    query_key: Tensor  # (H, D, D): x -> the input-space direction that each head looks for
    query_key_bias: Tensor  # (H, D)
    value_out: Tensor  # (H * D, D): what each head found -> its part of the output
    out_bias: Tensor  # (D,)
    norm: tuple[Tensor, Tensor]  # weight (D,), bias (D,)
    wide: tuple[Tensor, Tensor]  # weight (W, D), bias (W,); W is the feedforward width
    narrow: tuple[Tensor, Tensor]  # weight (D, W), bias (D,)
    last_norm: tuple[Tensor, Tensor]  # weight (D,), bias (D,)
    epsilon: float  # added to the variances that are normalised


class StateEncoder:
    """A trained network with its weights folded and its item vectors computed once."""

    def __init__(self, model: MultiTaskBert, *, seconds_per_event: float) -> None:
        """Take a trained network, in evaluation mode.

        Args:
            model: the network; its tensors decide the device.
            seconds_per_event: gap that the network is told between events of one visit.
        """
        self.model = model.eval()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.seconds = seconds_per_event
        with torch.no_grad():
            self.items_ND = model.item_vectors()
            causal = model.settings.sequence == "causal"
            self.layers = _folded_layers(model) if causal else []
            make = STEPS.get(model.settings.sequence)
            self.steps = None if make is None else make(model.sequence)
        self.capacity = model.settings.max_history + 1
        self._table: Encoded | None = None
        self._last: tuple[tuple[Any, ...], Outputs] | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Of the network's signals, click first."""
        return self.model.tasks

    @torch.no_grad()
    def prepared(self, population: Population) -> StateEncoder:
        """The same encoder with everybody's history read once, so that arrivals are look-ups."""
        ready = copy(self)
        parts = []
        everybody_U = torch.arange(population.size, dtype=torch.int32, device=self.model.device)
        for begin in range(0, population.size, PEOPLE_AT_ONCE):
            arrival = arrive(population, everybody_U[begin : begin + PEOPLE_AT_ONCE])
            encoded = self.read(arrival)
            P = 1 if arrival.history is None else 1 + arrival.history.shape[1]
            inputs = tuple(x_BPD[:, :P] for x_BPD in encoded.inputs)
            parts.append(replace(encoded, inputs=inputs, beside=_without_sums(encoded.beside)))
        ready._table = map_tensors(lambda *x: torch.cat(x), parts[0], *parts[1:])
        return ready

    def initial(self, arrival: Arrival) -> Encoded:
        """State after the histories with which users arrive."""
        if self._table is None:
            return self.read(arrival)
        rows = map_tensors(lambda x: x.index_select(0, arrival.user_id), self._table)
        beside = rows.beside
        if beside is not None:  # N numbers a user: too many to keep for everybody
            assert arrival.history is not None
            beside = replace(beside, sums=read_sums(self.model, arrival.history))
        return replace(rows, inputs=tuple(map(self._widened, rows.inputs)), beside=beside)

    def _widened(self, input_BPD: Tensor) -> Tensor:
        if self.steps is not None:
            return self.steps.widened(input_BPD, self.capacity)
        return F.pad(input_BPD, (0, 0, 0, self.capacity - input_BPD.shape[1]))

    @torch.no_grad()
    def read(self, arrival: Arrival) -> Encoded:
        """Encode whole histories, (B, H) with unused places in front."""
        context_BD, events_BHD, used_BH = self.tokens(arrival)
        if self.steps is not None:
            tokens_BPD = torch.cat([context_BD[:, None], events_BHD], 1)
            used_BP = F.pad(used_BH, (1, 0), value=True)
            kept, state_BD = self.steps.read(self.model.sequence.input_norm(tokens_BPD), used_BP)
            kept = tuple(map(self._widened, kept))
            length_B = used_BP.sum(1)
            return Encoded(
                inputs=kept,
                state=state_BD,
                length=length_B,
                away=torch.zeros_like(length_B, dtype=torch.float32),
                beside=self.beside(arrival),
            )
        *inputs, out_BPD = self._layer_outputs(context_BD, events_BHD, used_BH)
        length_B = used_BH.sum(1) + 1
        last_B1D = (length_B - 1)[:, None, None].expand(-1, 1, out_BPD.shape[2])
        return Encoded(
            inputs=tuple(map(self._widened, inputs)),
            state=out_BPD.gather(1, last_B1D)[:, 0],
            length=length_B,
            away=torch.zeros_like(length_B, dtype=torch.float32),
            beside=self.beside(arrival),
        )

    def beside(self, arrival: Arrival) -> Beside | None:
        """Statistics after whole histories."""
        assert arrival.history is not None and arrival.feedback is not None
        return read_beside(self.model, arrival.history, arrival.feedback)

    def tokens(self, arrival: Arrival) -> tuple[Tensor, Tensor, Tensor]:
        """The network's input: context (B, D), events (B, H, D), which places are used (B, H).

        Unused places are moved behind the events.
        """
        history, feedback, gap = arrival.history, arrival.feedback, arrival.gap
        profile, hour, weekday = arrival.profile, arrival.hour, arrival.weekday
        if history is None or feedback is None or gap is None:
            raise ValueError("learned users need a population with a history; this one has none")
        if profile is None or hour is None or weekday is None:
            raise ValueError("learned users need a population with profiles and arrival times")
        H = history.shape[1]
        if self.capacity < H + 1:
            raise ValueError(f"{H} events of history exceed the model's {self.capacity - 1}")
        used_BH = history >= 0
        order_BH = (~used_BH).int().argsort(dim=1, stable=True)  # used places first, in order
        id_BH, gap_BH, used_BH = (
            x.gather(1, order_BH) for x in (history.clamp(min=0).long(), gap, used_BH)
        )
        feedback_BHM = feedback.gather(1, order_BH[..., None].expand_as(feedback))
        model = self.model
        context_BD = model.sequence.context_token(profile, hour, weekday, arrival.extra)
        events_BHD = model.sequence.event_tokens(self.items_ND, id_BH, feedback_BHM, gap_BH)
        return context_BD, events_BHD, used_BH

    @torch.no_grad()
    def after(
        self,
        encoded: Encoded,
        item_B: Tensor,
        feedback_BM: Tensor,
        took_B: Tensor,
        context: Context,
    ) -> Encoded:
        """One more event each; rows where took_B is False are left as they are.

        Every row is computed and the unwanted thrown away: no shape depends on the data. The gap
        to the event before is `seconds_per_event` and the days between visits in the meantime,
        which the context tells.
        """
        away_B = encoded.away + context.gap
        gap_B1 = (self.seconds + SECONDS_PER_DAY * away_B)[:, None]
        away_B = away_B.masked_fill(took_B, 0.0)
        token_BD = self.model.sequence.event_tokens(
            self.items_ND, item_B[:, None], feedback_BM[:, None], gap_B1
        )[:, 0]
        at_B = encoded.length.clamp(max=self.capacity - 1)
        if self.steps is not None:
            normed_BD = self.model.sequence.input_norm(token_BD)
            kept, state_BD = self.steps.step(encoded.inputs, normed_BD, at_B)
            return Encoded(
                inputs=tuple(
                    torch.where(took_B[:, None, None], new, old)
                    for new, old in zip(kept, encoded.inputs, strict=True)
                ),
                state=torch.where(took_B[:, None], state_BD, encoded.state),
                length=torch.where(took_B, at_B + 1, encoded.length),
                away=away_B,
                beside=beside_after(self.model, encoded.beside, item_B, feedback_BM, took_B),
            )
        x_BD = self._positioned(token_BD, at_B)
        unread_BP = torch.arange(self.capacity, device=at_B.device) > at_B[:, None]
        here_B1D = at_B[:, None, None].expand(-1, 1, x_BD.shape[1])
        inputs = []
        for layer, before_BPD in zip(self.layers, encoded.inputs, strict=True):
            inputs.append(before_BPD.scatter(1, here_B1D, x_BD[:, None]))
            x_BD = _layer(layer, x_BD, inputs[-1], unread_BP)
        return Encoded(
            inputs=tuple(inputs),
            state=torch.where(took_B[:, None], x_BD, encoded.state),
            length=torch.where(took_B, at_B + 1, encoded.length),
            away=away_B,
            beside=beside_after(self.model, encoded.beside, item_B, feedback_BM, took_B),
        )

    def _layer_outputs(
        self, context_BD: Tensor, events_BHD: Tensor, used_BH: Tensor
    ) -> tuple[Tensor, ...]:
        """The first layer's input and every layer's output, each (B, H + 1, D)."""
        tokens_BPD = self.model.sequence.input_norm(torch.cat([context_BD[:, None], events_BHD], 1))
        outputs: tuple[Tensor, ...] = self.model.sequence.bert(
            tokens_BPD, F.pad(used_BH, (1, 0), value=True)
        )
        return outputs

    def _positioned(self, token_BD: Tensor, at_B: Tensor) -> Tensor:
        """The first layer's input for one token each, at these positions."""
        normed_B1D = self.model.sequence.input_norm(token_BD)[:, None]
        embedded: Tensor = self.model.sequence.bert.embeddings(normed_B1D, at_B[:, None])
        return embedded[:, 0]

    def embed(self, encoded: Encoded, context: Context) -> Tensor:
        """State embedding at this request, (B, D)."""
        with torch.no_grad():
            return self.model.sequence.query(
                encoded.state, context.hour, context.weekday, context.extra
            )

    def query(self, encoded: Encoded, context: Context, state_BD: Tensor | None = None) -> Query:
        """What the heads are asked about these users at this request.

        Args:
            encoded: what was read of them.
            context: of the request.
            state_BD: from `embed`, where it is known already.
        """
        state_BD = self.embed(encoded, context) if state_BD is None else state_BD
        return query_beside(self.model, state_BD, encoded.beside, context.hour, context.weekday)

    def asked(self, observation: Observation) -> Query:
        """The same about what a policy sees; see `read_of`.

        Raises:
            NoState: the observation has no state embedding.
        """
        if observation.state is None:
            raise NoState("the ranker needs a world with an observer (state=True)")
        if self.model.wide is None and self.model.prior is None:
            return Query(observation.state)
        encoded = self.read_of(observation, observation.state)
        return self.query(encoded, observation.context, observation.state)

    def read_of(self, observation: Observation, state_BD: Tensor) -> Encoded:
        """What was read of the users whom a policy sees.

        An observation that came through another face holds no view of the session: statistics are
        then read anew from the clicks that it remembers, of which a signal that was not observed
        counts as 0.

        Args:
            observation: of B users.
            state_BD: their state embedding.
        """
        if observation.view is not None:
            seen: Encoded = observation.view
            return seen
        history = observation.history
        arrival = Arrival(
            user_id=observation.step,
            profile=observation.profile,
            history=history.id,
            feedback=history.feedback,
            gap=None,
            hour=None,
            weekday=None,
        )
        length_B = torch.zeros_like(observation.step)
        return Encoded((), state_BD, length_B, observation.context.gap, self.beside(arrival))

    @torch.no_grad()
    def doubt(self, encoded: Encoded, signal: str, id_BC: Tensor) -> Tensor:
        """How unsure the regression is of what these users give these items, (B, C).

        A standard deviation in the unit of the signal's evidence (`Task.evidence`), noise left out:
        to be taken off for pessimism, or drawn with for Thompson sampling.

        Raises:
            UsageError: no regression reads that signal.
        """
        wide, given = self.model.wide, [task.signal.name for task in self.tasks[1:]]
        read = {} if wide is None else {given[v]: w for w, v in enumerate(wide.regressed)}
        place = lookup("regressed signal", signal, read)
        assert wide is not None and encoded.beside is not None
        assert encoded.beside.reading is not None
        return wide.reader.doubt(encoded.beside.reading, id_BC.long(), place)

    def score(self, encoded: Encoded, id_BC: Tensor | None, context: Context) -> Outputs:
        """Outputs for these items, or for all; see `Taste`.

        A slate's items are asked about twice in a step, when people choose and when they respond:
        the last answer is remembered for the very same objects.
        """
        asked = (encoded, id_BC, context)
        if not torch.compiler.is_compiling() and self._last is not None:
            known, outputs = self._last
            if all(a is b for a, b in zip(asked, known, strict=True)):
                return outputs
        with torch.no_grad():
            id_BC = None if id_BC is None else id_BC.long()
            outputs = self.model.score(self.query(encoded, context), self.items_ND, id_BC)
        if not torch.compiler.is_compiling() and encoded.beside is not None:
            self._last = (asked, outputs)
        return outputs


def _without_sums(beside: Beside | None) -> Beside | None:
    return None if beside is None else replace(beside, sums=None)


@dataclass(frozen=True)
class NetworkObserver(ABC):
    """The agent's own network at work during a session: its state embedding of each user."""

    encoder: StateEncoder

    @property
    def width(self) -> int:
        """D."""
        return self.encoder.model.settings.width

    def initial(self, arrival: Arrival, context: Context) -> Encoded:
        """Read the history with which users arrive."""
        return self.encoder.initial(arrival)

    @abstractmethod
    def update(
        self, view: Encoded, items: Items, feedback_BKM: Tensor, context: Context
    ) -> Encoded:
        """Read what a slate led to."""

    def embed(self, view: Encoded, context: Context) -> Tensor:
        """State embedding at this request, (B, D)."""
        return self.encoder.embed(view, context)


@final
@dataclass(frozen=True)
class BertObserver(NetworkObserver):
    """The observer of learned worlds."""

    several: bool = False  # whether several items of a slate may be clicked

    def update(
        self, view: Encoded, items: Items, feedback_BKM: Tensor, context: Context
    ) -> Encoded:
        """Read the clicked items of each slate; days away are told with the first event alone."""
        events = clicks_in_order(items, feedback_BKM) if self.several else ()
        for event in events or (clicked(items, feedback_BKM),):
            view = self.encoder.after(view, *event, context)
            context = replace(context, gap=torch.zeros_like(context.gap))
        return view


def _layer(layer: Layer, x_BD: Tensor, seen_BPD: Tensor, unread_BP: Tensor) -> Tensor:
    """One layer's output at the newest position."""
    B, D = x_BD.shape
    look_BHD = torch.einsum("bd,hde->bhe", x_BD, layer.query_key) + layer.query_key_bias
    logits_BHP = torch.bmm(look_BHD, seen_BPD.transpose(1, 2))
    weight_BHP = logits_BHP.masked_fill(unread_BP[:, None], -torch.inf).softmax(2)
    found_BHD = torch.bmm(weight_BHP, seen_BPD)
    out_BD = found_BHD.reshape(B, -1) @ layer.value_out + layer.out_bias
    x_BD = F.layer_norm(out_BD + x_BD, (D,), *layer.norm, layer.epsilon)
    narrowed_BD = F.linear(F.gelu(F.linear(x_BD, *layer.wide)), *layer.narrow)
    return F.layer_norm(narrowed_BD + x_BD, (D,), *layer.last_norm, layer.epsilon)


def _folded_layers(model: MultiTaskBert) -> list[Layer]:
    """Every layer of the network, folded."""
    return [
        _folded(dict(layer.named_parameters()), model.settings.num_heads)
        for layer in model.sequence.bert.encoder.layer
    ]


def _folded(weights: Mapping[str, Tensor], heads: int) -> Layer:
    """Fold the weights of one of BERT's layers, H heads of width E = D / H.

    The key's bias moves all logits of a head alike and drops out.
    """

    def linear(name: str) -> tuple[Tensor, Tensor]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    query_DD, query_bias_D = linear("attention.self.query")
    value_DD, value_bias_D = linear("attention.self.value")
    out_DD, out_bias_D = linear("attention.output.dense")
    D = out_DD.shape[0]
    E = D // heads
    query_HED, query_bias_HE = query_DD.view(heads, E, D), query_bias_D.view(heads, E)
    key_HED = weights["attention.self.key.weight"].view(heads, E, D) / math.sqrt(E)
    value_HED, out_DHE = value_DD.view(heads, E, D), out_DD.view(D, heads, E)
    return Layer(
        query_key=torch.einsum("hed,hef->hdf", query_HED, key_HED),
        query_key_bias=torch.einsum("he,hef->hf", query_bias_HE, key_HED),
        value_out=torch.einsum("hed,fhe->hdf", value_HED, out_DHE).reshape(heads * D, D),
        out_bias=out_bias_D + out_DD @ value_bias_D,
        norm=linear("attention.output.LayerNorm"),
        wide=linear("intermediate.dense"),
        narrow=linear("output.dense"),
        last_norm=linear("output.LayerNorm"),
        epsilon=EPSILON,
    )
