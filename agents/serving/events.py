"""Raw events in place of a learned state: what a user did, as a log has it.

A policy of a learned world reads a state embedding, which the world's observer makes event by
event. Outside the world there is no session to keep it in, so a program of its own reads the
user's events anew at every request: the same network, all positions at once, in plain tensor
operations that torch.jit can record. What was taken and is not offered again follows from the
events as well.

Axis letters beyond the legend of `envs/types.py`: E events, oldest first, the newest last; W items
taken before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.candidates import UnseenCatalogue, UnseenOfMany
from slategym.envs.engine import arrive
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import read
from slategym.envs.types import LONG_AGO, Arrival, Observation, Outcome, Session, World
from slategym.models.multitask.incremental import BertObserver, Encoded, Layer, StateEncoder

EVENTS = ("event_item", "event_feedback", "event_gap", "event_age", "arrival")
EARLIER = "earlier_item"  # beside them where what was taken is not offered again
MASK = "action_mask"
REMEMBERED = ("history_item", "history_feedback", "history_age")


@dataclass(frozen=True)
class Events:
    """What each user did, room for E; padded in front. A mutable log is not kept: see `after`."""

    item: Tensor  # (B, E) int32, -1: nothing there
    feedback: Tensor  # (B, E, M) float32
    gap: Tensor  # (B, E) float32, seconds since the event before
    age: Tensor  # (B, E) int32, slates of this visit since then; LONG_AGO: before the visit
    arrival: Tensor  # (B, 2 + Z) float32, hour, weekday and context columns as the visit began
    earlier: Tensor | None = None  # (B, W) int32, taken before; -1: nothing. None: nobody asks

    @staticmethod
    def of(world: World, session: Session) -> Events:
        """At the first request of these sessions."""
        encoder = encoder_of(world)
        assert encoder is not None, "only a world with a learned observer has events to read"
        arrival = arrive(world.population, session.user_id)
        assert arrival.history is not None and arrival.feedback is not None
        assert arrival.gap is not None and arrival.hour is not None and arrival.weekday is not None
        room = encoder.capacity - 1 - arrival.history.shape[1]
        began = torch.stack([arrival.hour.float(), arrival.weekday.float()], 1)
        if arrival.extra is not None:
            began = torch.cat([began, arrival.extra.float()], 1)
        return Events(
            item=F.pad(arrival.history, (room, 0), value=-1),
            feedback=F.pad(arrival.feedback, (0, 0, room, 0)),
            gap=F.pad(arrival.gap, (room, 0)),
            age=torch.full_like(F.pad(arrival.history, (room, 0)), LONG_AGO),
            arrival=began,
            earlier=_earlier(arrival) if masks(world) else None,
        )

    def after(self, item_BK: Tensor, outcome: Outcome, seconds: float) -> Events:
        """With the clicked items of each slate, in the order of the slots.

        Args:
            item_BK: int32 ids that were shown.
            outcome: of the slate.
            seconds: from event to event.
        """
        click_BK = outcome.feedback[..., 0] > 0
        order_BK = (~click_BK).int().argsort(dim=1, stable=True)  # clicked slots first
        age_BE = torch.where(self.age < LONG_AGO, self.age + 1, self.age)
        new = (
            (self.item, item_BK.gather(1, order_BK)),
            (
                self.feedback,
                outcome.feedback.gather(1, order_BK[..., None].expand_as(outcome.feedback)),
            ),
            (self.gap, torch.full_like(outcome.feedback[..., 0], seconds)),
            (age_BE, torch.ones_like(item_BK)),
        )
        E = self.item.shape[1]
        kept_BE = torch.arange(E, device=item_BK.device) + click_BK.sum(1, keepdim=True)
        item, feedback, gap, age = (
            torch.cat([old, one], 1).gather(
                1,
                kept_BE.view(*kept_BE.shape, *[1] * (old.dim() - 2)).expand(-1, -1, *old.shape[2:]),
            )
            for old, one in new
        )
        return replace(self, item=item, feedback=feedback, gap=gap, age=age)

    def shown(self) -> dict[str, Tensor]:
        """As entries by name, in the order of EVENTS."""
        parts = (self.item, self.feedback, self.gap, self.age, self.arrival)
        earlier = {} if self.earlier is None else {EARLIER: self.earlier}
        return dict(zip(EVENTS, parts, strict=True)) | earlier


def encoder_of(world: World) -> StateEncoder | None:
    """The network that reads the user for the agents; None: there is none in this world."""
    return world.observer.encoder if isinstance(world.observer, BertObserver) else None


def masks(world: World) -> bool:
    """Whether what a user took is not offered again, which the events then tell."""
    return isinstance(world.candidates, UnseenCatalogue | UnseenOfMany)


def replaced(world: World) -> tuple[str, ...]:
    """Entries of an observation that follow from events."""
    return ("state", *REMEMBERED, *([MASK] if masks(world) else []))


def _earlier(arrival: Arrival) -> Tensor:
    """All that was taken before the visit, be it among the events or not."""
    assert arrival.history is not None
    return arrival.history if arrival.consumed is None else arrival.consumed


def observed(world: World, shown: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An observation's entries from raw events: the state, what is remembered and may be shown.

    Args:
        world: with a learned observer.
        shown: the other entries, and those of EVENTS; a mask of the caller's own is respected.
    """
    encoder = encoder_of(world)
    assert encoder is not None, "raw events are read by a learned observer"
    rest = {name: x for name, x in shown.items() if name not in (*EVENTS, EARLIER)}
    item_BE, feedback_BEM, _, age_BE, _ = (shown[name] for name in EVENTS)
    if H := world.history_size:
        missing = max(0, H - item_BE.shape[1])
        rest["history_item"] = F.pad(item_BE, (missing, 0), value=-1)[:, -H:]
        known_BEM = feedback_BEM.masked_fill(feedback_BEM.isnan(), 0.0)  # as sessions remember it
        rest["history_feedback"] = F.pad(known_BEM, (0, 0, missing, 0))[:, -H:]
        rest["history_age"] = F.pad(age_BE, (missing, 0), value=LONG_AGO)[:, -H:]
    arrival = _arrival(world, shown)
    if masks(world):
        rest[MASK] = _allowed(world, arrival, rest.get(MASK))
    now = read(world, rest).context
    state_BD = encoder.model.sequence.query(
        last_state(encoder, arrival), now.hour, now.weekday.long(), now.extra
    )
    return rest | {"state": state_BD}


def request(world: World, shown: Mapping[str, Tensor]) -> Observation:
    """An observation from raw events, with what the observer would have kept of the session."""
    encoder = encoder_of(world)
    assert encoder is not None, "raw events are read by a learned observer"
    observation = read(world, observed(world, shown))
    assert observation.state is not None
    beside = encoder.beside(_arrival(world, shown))
    away_B = observation.context.gap
    return replace(
        observation, view=Encoded((), observation.state, observation.step, away_B, beside)
    )


def _arrival(world: World, shown: Mapping[str, Tensor]) -> Arrival:
    """All that was done so far, as if it had been before the visit."""
    item_BE, feedback_BEM, gap_BE, _, arrival_BX = (shown[name] for name in EVENTS)
    return Arrival(
        user_id=item_BE[:, 0],
        profile=shown["profile"],
        history=item_BE,
        feedback=feedback_BEM,
        gap=gap_BE,
        hour=arrival_BX[:, 0],
        weekday=arrival_BX[:, 1].long(),
        consumed=torch.cat([shown[EARLIER], item_BE], 1) if masks(world) else None,
        extra=arrival_BX[:, 2:] if world.context.columns else None,
    )


def _allowed(world: World, arrival: Arrival, mask_BC: Tensor | None) -> Tensor:
    """What was not taken, and what the caller's own mask leaves, (B, N) int8."""
    nothing = Luck(torch.zeros_like(arrival.user_id))  # nothing is drawn
    offer = world.candidates.initial(world.catalogue, arrival, nothing)
    allowed_BC = world.candidates.allowed(offer)
    assert allowed_BC is not None
    return (allowed_BC if mask_BC is None else allowed_BC & (mask_BC > 0)).to(torch.int8)


def last_state(encoder: StateEncoder, arrival: Arrival) -> Tensor:
    """What `encoder.read(arrival).state` is, (B, D), by plain tensor operations."""
    context_BD, events_BED, used_BE = encoder.tokens(arrival)
    sequence = encoder.model.sequence
    if encoder.steps is not None:
        raise UsageError(
            f"a model whose sequence is {encoder.model.settings.sequence!r} is not exported; take "
            "'causal'"
        )
    embeddings = sequence.bert.embeddings
    x_BPD = sequence.input_norm(torch.cat([context_BD[:, None], events_BED], 1))
    P = events_BED.shape[1] + 1
    x_BPD = x_BPD + embeddings.token_type_embeddings.weight[0]
    x_BPD = embeddings.LayerNorm(x_BPD + embeddings.position_embeddings.weight[:P])
    ahead_PP = torch.ones(P, P, dtype=torch.bool, device=x_BPD.device).triu(1)
    hidden_BPP = ahead_PP | F.pad(~used_BE, (1, 0))[:, None]
    for layer in encoder.layers:
        x_BPD = _layer(layer, x_BPD, hidden_BPP)
    last_B11 = used_BE.sum(1)[:, None, None]
    last_B1D: Tensor = x_BPD.gather(1, last_B11.expand(-1, 1, x_BPD.shape[2]))
    return last_B1D[:, 0]


def _layer(layer: Layer, x_BPD: Tensor, hidden_BPP: Tensor) -> Tensor:
    """One layer's outputs at all positions; P is the event positions and the context token."""
    D = x_BPD.shape[2]
    look_BPHD = torch.einsum("bpd,hde->bphe", x_BPD, layer.query_key) + layer.query_key_bias
    logits_BPHP = torch.einsum("bphd,bqd->bphq", look_BPHD, x_BPD)
    weight_BPHP = logits_BPHP.masked_fill(hidden_BPP[:, :, None], -torch.inf).softmax(3)
    found_BPX = torch.einsum("bphq,bqd->bphd", weight_BPHP, x_BPD).flatten(2)
    out_BPD = found_BPX @ layer.value_out + layer.out_bias
    x_BPD = F.layer_norm(out_BPD + x_BPD, (D,), *layer.norm, layer.epsilon)
    narrowed_BPD = F.linear(F.gelu(F.linear(x_BPD, *layer.wide)), *layer.narrow)
    return F.layer_norm(narrowed_BPD + x_BPD, (D,), *layer.last_norm, layer.epsilon)
