"""A user's events as a sequence of tokens, and the causal BERT that reads it.

    [context token: profile, context] [event: item + signals + gap] ... -> Bert -> state
    state + context of this request -> query

The context is hour and weekday, and the further columns of the log's events.

Axis letters beyond the legend of `envs/types.py`: x stands for any leading axes, S for the H + 1
positions of a sequence (the context token, then H events).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.types import Column
from slategym.models.multitask.bert import Bert
from slategym.models.multitask.columns import ColumnInputs
from slategym.models.multitask.embeddings import embedding
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.tasks import Task, observed_only

GAP_BUCKETS = 16  # floor(log1p(seconds)): e^15 seconds are 38 days
TIME_FEATURES = 9  # sine and cosine of the hour, weekday one-hot
TOKEN_STD = 0.1


def time_features(hour_x: Tensor, weekday_x: Tensor) -> Tensor:
    """The clock as numbers: (x, 9), sine and cosine of the hour, then the weekday one-hot.

    Args:
        hour_x: in [0, 24).
        weekday_x: integers, 0 = Monday.
    """
    angle_x = hour_x * (2 * math.pi / 24)
    days_7 = torch.arange(7, device=weekday_x.device)
    weekday_x7 = (weekday_x[..., None] == days_7).to(angle_x.dtype)
    return torch.cat([angle_x.sin()[..., None], angle_x.cos()[..., None], weekday_x7], dim=-1)


class EventSequence(nn.Module):
    """Tokens of context and events, and the network that reads them one after another.

    Args:
        settings: the architecture.
        tasks: of the log's signals, click first; derived ones say nothing more and are not read.
        profile_sizes: number of categories of each profile column, F of them.
        columns: further columns of events.
    """

    def __init__(
        self,
        settings: MultiTaskSettings,
        tasks: tuple[Task, ...],
        profile_sizes: tuple[int, ...],
        columns: tuple[Column, ...] = (),
    ) -> None:
        super().__init__()
        width = settings.width
        self.tasks, self.columns = tasks, columns
        self.read = tuple(m for m, task in enumerate(tasks) if task.signal.provenance != "derived")
        self.signal_tokens = nn.ModuleDict(
            {str(m): embedding(tasks[m].num_levels, width, TOKEN_STD) for m in self.read}
        )
        self.gap_token = embedding(GAP_BUCKETS, width, TOKEN_STD)
        self.profile_tokens = nn.ModuleList(
            embedding(size, width, TOKEN_STD) for size in profile_sizes
        )
        self.start_time = nn.Linear(TIME_FEATURES, width)
        self.request_time = nn.Linear(TIME_FEATURES, width)
        nn.init.zeros_(self.request_time.weight)
        nn.init.zeros_(self.request_time.bias)
        self.input_norm = nn.LayerNorm(width)
        self.input_dropout = nn.Dropout(settings.dropout)
        self.kind = settings.sequence
        if self.kind == "gru":
            self.gru = nn.GRU(
                width,
                width,
                settings.num_layers,
                batch_first=True,
                dropout=settings.dropout if settings.num_layers > 1 else 0.0,
            )
        else:
            self.bert = Bert(settings, causal=self.kind == "causal")
        if self.kind == "cloze":
            self.asked_token = nn.Parameter(torch.randn(width) * TOKEN_STD)
        if columns:
            self.start_columns = ColumnInputs(columns, width)
            self.request_columns = ColumnInputs(columns, width)

    def context_token(
        self,
        profile_BF: Tensor,
        hour_B: Tensor,
        weekday_B: Tensor,
        extra_BZ: Tensor | None = None,
    ) -> Tensor:
        """First token of the sequence: who, and when the window begins.

        Args:
            profile_BF: categories of each profile column, integers.
            hour_B: in [0, 24), of the window's first event.
            weekday_B: integers, 0 = Monday, of the window's first event.
            extra_BZ: its further columns; None: nothing is known of them.

        Returns:
            (B, D), before the input LayerNorm.
        """
        token_BD: Tensor = self.start_time(time_features(hour_B, weekday_B))
        for column, table in enumerate(self.profile_tokens):
            token_BD = token_BD + table(profile_BF[:, column])
        if self.columns:
            extra_BZ = self.start_columns.unknown(hour_B) if extra_BZ is None else extra_BZ
            token_BD = token_BD + self.start_columns(extra_BZ)
        return token_BD

    def event_tokens(
        self, items_ND: Tensor, id_BH: Tensor, feedback_BHM: Tensor, gap_BH: Tensor
    ) -> Tensor:
        """One token per event.

        Args:
            items_ND: what `item_vectors` returned.
            id_BH: item ids, integers; any valid id where padded.
            feedback_BHM: every signal, NaN where it was not observed. Signals derived from others
                say nothing more and are not read.
            gap_BH: seconds between this event and the one before it, 0 for the first.

        Returns:
            (B, H, D), before the input LayerNorm.
        """
        bucket_BH = gap_BH.float().clamp(min=0).log1p().int().clamp(max=GAP_BUCKETS - 1)
        token_BHD = F.embedding(id_BH, items_ND)
        feedback_BHM = observed_only(self.tasks, feedback_BHM)
        for m in self.read:
            level_BH = self.tasks[m].level(feedback_BHM[..., m])
            token_BHD = token_BHD + self.signal_tokens[str(m)](level_BH)
        return torch.add(token_BHD, self.gap_token(bucket_BH))

    def states(
        self,
        context_BD: Tensor,
        events_BHD: Tensor,
        mask_BH: Tensor | None,
        asked_BS: Tensor | None = None,
    ) -> Tensor:
        """Read the context token and the events, each position seeing only what came before it.

        Args:
            context_BD: from `context_token`.
            events_BHD: from `event_tokens`, oldest first.
            mask_BH: True where an event is real; None: all are. Padding goes to the right, because
                positions are counted from the context token.
            asked_BS: of cloze alone: positions whose event is hidden and asked for; None: the last.

        Returns:
            (B, H + 1, D): state [:, h] has seen the context and the events before h, and so
            predicts event h. Of cloze: it has seen all events but those asked for.
        """
        tokens_BSD = self.input_norm(torch.cat([context_BD[:, None], events_BHD], dim=1))
        tokens_BSD = self.input_dropout(tokens_BSD)
        states_BSD: Tensor
        if self.kind == "gru":
            states_BSD, _ = self.gru(tokens_BSD)
            return states_BSD
        mask_BS = None
        if mask_BH is not None:
            mask_BS = F.pad(mask_BH, (1, 0), value=True)
        if self.kind == "cloze":
            B, S = tokens_BSD.shape[:2]
            length_B = tokens_BSD.new_full((B,), S).long() if mask_BS is None else mask_BS.sum(1)
            if asked_BS is None:  # what comes after the last
                asked_BS = F.one_hot(length_B - 1, S).bool()
            return self.cloze_states(tokens_BSD, length_B, asked_BS)
        states_BSD = self.bert(tokens_BSD, mask_BS)[-1]
        return states_BSD

    def states_after(self, context_BD: Tensor, events_BHD: Tensor, length_B: Tensor) -> Tensor:
        """The state after each user's last event, (B, D).

        Args:
            context_BD: from `context_token`.
            events_BHD: from `event_tokens`, padded on the right.
            length_B: real events.
        """
        mask_BH = None
        if self.kind == "cloze":  # the others never see what comes later
            mask_BH = torch.arange(events_BHD.shape[1], device=length_B.device) < length_B[:, None]
        states_BSD = self.states(context_BD, events_BHD, mask_BH)
        return states_BSD[torch.arange(len(length_B), device=length_B.device), length_B]

    def cloze_states(self, tokens_BPD: Tensor, length_B: Tensor, asked_BP: Tensor) -> Tensor:
        """States of what is asked for, read from both sides, (B, P, D): 0 where nothing is asked.

        Args:
            tokens_BPD: normed tokens, the context first, padded on the right.
            length_B: real ones, the context included.
            asked_BP: position p stands for event p: its token, one further right, is hidden.

        Source: Sun et al. 2019 (BERT4Rec), arXiv:1904.06690, section 3.
        """
        P = tokens_BPD.shape[1]
        place_P = torch.arange(P + 1, device=tokens_BPD.device)
        asked_BQ = F.pad(asked_BP, (1, 0))
        tokens_BQD = torch.where(
            asked_BQ[..., None], self.asked_token, F.pad(tokens_BPD, (0, 0, 0, 1))
        )
        seen_BQ = (place_P < length_B[:, None]) | asked_BQ
        states_BPD: Tensor = self.bert(tokens_BQD, seen_BQ)[-1][:, 1:]
        return states_BPD * asked_BP[..., None]

    def query(
        self, state_xD: Tensor, hour_x: Tensor, weekday_x: Tensor, extra_xZ: Tensor | None = None
    ) -> Tensor:
        """The state at the time of a request, (x, D): what `score` and `next_logits` take.

        Args:
            state_xD: positions of `states`.
            hour_x: in [0, 24), of the request.
            weekday_x: integers, 0 = Monday, of the request.
            extra_xZ: its further columns; None: nothing is known of them.
        """
        query_xD = torch.add(state_xD, self.request_time(time_features(hour_x, weekday_x)))
        if self.columns:
            extra_xZ = self.request_columns.unknown(hour_x) if extra_xZ is None else extra_xZ
            query_xD = query_xD + self.request_columns(extra_xZ)
        return query_xD
