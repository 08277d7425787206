"""The multi-task BERT: a causal transformer over a user's events, a head per signal, next item.

    item text -> frozen text vectors -> LayerNorm -> Linear (D), + id embedding + item columns
    [context token: profile, context] [event: item + signals + gap] ... -> BertModel -> state
    state + context of this request -> click, every other signal given a click, next item

The context is hour and weekday, and the further columns of the log's events.

Every head is a dot product with the item vectors plus an item bias, so that scoring the whole
catalogue costs one matrix product and nothing of BERT runs per (user, item) pair.

Axis letters beyond the legend of `envs/types.py`: x stands for any leading axes, S for the H + 1
positions of a sequence (the context token, then H events), Y for the M + 1 heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.types import Column
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.columns import ColumnInputs
from slategym.models.multitask.vocabulary import Vocabulary
from slategym.models.tasks import NEXT, Task, from_json, head_names, to_json
from slategym.models.taste import Outputs

if TYPE_CHECKING:  # seconds to import, and no page or check of a setting needs it
    from transformers import BertModel

GAP_BUCKETS = 16  # floor(log1p(seconds)): e^15 seconds are 38 days
TIME_FEATURES = 9  # sine and cosine of the hour, weekday one-hot
ID_STD = 0.02  # small: an item without training rows stays where its text puts it
TOKEN_STD = 0.1


@dataclass(frozen=True)
class MultiTaskSettings:
    """The architecture, and nothing else."""

    width: int = 64  # D
    num_layers: int = 2
    num_heads: int = 2
    feedforward: int = 128  # width of the layers' inner activations
    max_history: int = 45  # H, events the model can see
    dropout: float = 0.2  # probability

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(
                f"width must be a multiple of num_heads, got {self.width} and {self.num_heads}; "
                f"try width={self.num_heads * max(1, round(self.width / self.num_heads))}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a probability in [0, 1), got {self.dropout}")
        if self.max_history < 1:
            raise ValueError(f"max_history must be at least 1 event, got {self.max_history}")


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


class ItemTable(NamedTuple):
    """Vectors and biases of A items, so that a step needs no more of a large catalogue."""

    vectors_AD: Tensor
    bias_YA: Tensor
    id_A: Tensor | None  # their ids, sorted; None: all items in order

    def local(self, id_x: Tensor) -> Tensor:
        """Rows of these items, all of which are in the table."""
        return id_x if self.id_A is None else torch.searchsorted(self.id_A, id_x)


class MultiTaskBert(nn.Module):
    """A causal BERT over events with a dot-product head per task.

    Args:
        settings: the architecture.
        tasks: of the log's signals, click first, fitted to its training rows.
        text_vectors_ND0: frozen vectors of the items' texts, any width D0.
        biases: where the item biases start; from training rows only.
        profile_sizes: number of categories of each profile column, F of them.
        num_items: N, must match text_vectors_ND0.
        context: further columns of events.
        item_columns: further columns of items.
        item_extra_NZ: their values, codes and numbers; None: there are none.
        num_slots: slots of the log's slates whose effect on clicks is learned beside the items'; 0:
            clicks are learned against sampled items.
        seed: of the initial weights. The global generator is left as it was.

    Raises:
        ValueError: if the vectors or the biases are not one per item.
    """

    text_vectors_ND0: Tensor
    item_extra_NZ: Tensor
    offset_M: Tensor
    platt_scale_M: Tensor
    platt_shift_M: Tensor

    def __init__(
        self,
        settings: MultiTaskSettings,
        tasks: tuple[Task, ...],
        *,
        text_vectors_ND0: Tensor,
        biases: ItemBiases,
        profile_sizes: tuple[int, ...],
        num_items: int,
        context: tuple[Column, ...] = (),
        item_columns: tuple[Column, ...] = (),
        item_extra_NZ: Tensor | None = None,
        num_slots: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if text_vectors_ND0.dim() != 2 or text_vectors_ND0.shape[0] != num_items:
            raise ValueError(
                f"text vectors must be ({num_items}, width), one row per item, "
                f"got {tuple(text_vectors_ND0.shape)}"
            )
        if biases.num_items != num_items:
            raise ValueError(
                f"biases are of {biases.num_items} items, the catalogue has {num_items}"
            )
        self.settings = settings
        self.tasks = tasks
        self.heads = head_names(tasks)
        self.read = tuple(m for m, task in enumerate(tasks) if task.signal.provenance != "derived")
        self.num_items = num_items
        self.profile_sizes = tuple(profile_sizes)
        self.context, self.item_columns, self.num_slots = context, item_columns, num_slots
        self.about: dict[str, Any] | None = None  # what is known of its training
        self.vocabulary: Vocabulary | None = None  # what its rows stand for
        self.register_buffer("text_vectors_ND0", text_vectors_ND0.detach().clone().float())
        self.register_buffer("offset_M", torch.tensor(biases.offset_M, dtype=torch.float32))
        self.register_buffer("platt_scale_M", torch.ones(len(tasks)))
        self.register_buffer("platt_shift_M", torch.zeros(len(tasks)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(biases)
            if context:
                self.start_columns = ColumnInputs(context, settings.width)
                self.request_columns = ColumnInputs(context, settings.width)
            if item_columns:
                empty_NZ = torch.zeros(num_items, len(item_columns))
                values_NZ = empty_NZ if item_extra_NZ is None else item_extra_NZ
                self.register_buffer("item_extra_NZ", values_NZ.detach().clone().float())
                self.item_inputs = ColumnInputs(item_columns, settings.width)
                self.item_inputs.set_scale(self.item_extra_NZ)
        if num_slots > 1:  # beside the first
            starts = biases.slot_S[1:num_slots] or (0.0,) * (num_slots - 1)
            self.slot_bias = nn.Parameter(torch.tensor(starts, dtype=torch.float32))

    def _build(self, biases: ItemBiases) -> None:
        width, drop = self.settings.width, self.settings.dropout
        self.text_norm = nn.LayerNorm(self.text_vectors_ND0.shape[1])
        self.text_projection = nn.Linear(self.text_vectors_ND0.shape[1], width)
        self.item_residual = _embedding(self.num_items, width, ID_STD)
        self.signal_tokens = nn.ModuleDict(
            {str(m): _embedding(self.tasks[m].num_levels, width, TOKEN_STD) for m in self.read}
        )
        self.gap_token = _embedding(GAP_BUCKETS, width, TOKEN_STD)
        self.profile_tokens = nn.ModuleList(
            _embedding(size, width, TOKEN_STD) for size in self.profile_sizes
        )
        self.start_time = nn.Linear(TIME_FEATURES, width)
        self.request_time = nn.Linear(TIME_FEATURES, width)
        nn.init.zeros_(self.request_time.weight)
        nn.init.zeros_(self.request_time.bias)
        self.input_norm = nn.LayerNorm(width)
        self.input_dropout = nn.Dropout(drop)
        self.bert = _causal_bert(self.settings)
        self.query_heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Dropout(drop), nn.Linear(width, width)
            )
            for _ in self.heads
        )
        self.user_levels = nn.ModuleList(nn.Linear(width, 1) for _ in self.tasks)
        self.item_bias_YN = nn.Parameter(torch.from_numpy(biases.item_YN).float())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.text_vectors_ND0.device

    def item_vectors(self, id_A: Tensor | None = None) -> Tensor:
        """Vectors of these items, (A, D), or of all. Constant once trained: compute them once."""
        text_AD0, residual_AD = self.text_vectors_ND0, self.item_residual.weight
        if id_A is not None:
            text_AD0, residual_AD = text_AD0[id_A], self.item_residual(id_A)
        vectors_AD = torch.add(self.text_projection(self.text_norm(text_AD0)), residual_AD)
        if not self.item_columns:
            return vectors_AD
        extra_AZ = self.item_extra_NZ if id_A is None else self.item_extra_NZ[id_A]
        return torch.add(vectors_AD, self.item_inputs(extra_AZ))

    def item_table(self, id_A: Tensor | None = None) -> ItemTable:
        """Vectors and biases of these items, sorted ids, or of all."""
        bias_YA = self.item_bias_YN if id_A is None else self.item_bias_YN[:, id_A]
        return ItemTable(self.item_vectors(id_A), bias_YA, id_A)

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
        for column, embedding in enumerate(self.profile_tokens):
            token_BD = token_BD + embedding(profile_BF[:, column])
        if self.context:
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
        for m in self.read:
            level_BH = self.tasks[m].level(feedback_BHM[..., m])
            token_BHD = token_BHD + self.signal_tokens[str(m)](level_BH)
        return torch.add(token_BHD, self.gap_token(bucket_BH))

    def states(self, context_BD: Tensor, events_BHD: Tensor, mask_BH: Tensor | None) -> Tensor:
        """Run BERT over the context token and the events, each seeing only what came before it.

        Args:
            context_BD: from `context_token`.
            events_BHD: from `event_tokens`, oldest first.
            mask_BH: True where an event is real; None: all are. Padding goes to the right, because
                positions are counted from the context token.

        Returns:
            (B, H + 1, D): state [:, h] has seen the context and the events before h, and so
            predicts event h.
        """
        tokens_BSD = self.input_norm(torch.cat([context_BD[:, None], events_BHD], dim=1))
        mask_BS = None
        if mask_BH is not None:
            mask_BS = F.pad(mask_BH.long(), (1, 0), value=1)
        output = self.bert(
            inputs_embeds=self.input_dropout(tokens_BSD), attention_mask=mask_BS, use_cache=False
        )
        states_BSD: Tensor = output.last_hidden_state
        return states_BSD

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
        if self.context:
            extra_xZ = self.request_columns.unknown(hour_x) if extra_xZ is None else extra_xZ
            query_xD = query_xD + self.request_columns(extra_xZ)
        return query_xD

    def score(self, state_xD: Tensor, items_ND: Tensor, id_xC: Tensor | None = None) -> Outputs:
        """Every task's output for candidates, calibrated where a calibration was set.

        Args:
            state_xD: from `query`.
            items_ND: from `item_vectors`.
            id_xC: candidates' item ids; None: all N items in order.
        """
        return tuple(
            self.calibrated(name, self.logits(name, state_xD, items_ND, id_xC))
            for name in self.heads[:-1]
        )

    def calibrated(self, head: str, logits_xC: Tensor) -> Tensor:
        """A task's output with the scaling that was set for it, same shape."""
        at = self.heads.index(head)
        if not self.tasks[at].calibrated:
            return logits_xC
        return logits_xC * self.platt_scale_M[at] + self.platt_shift_M[at]

    def expected(self, head: str, state_xD: Tensor, items_ND: Tensor, id_xC: Tensor) -> Tensor:
        """A signal's mean given a click, as people of this model would respond, (x, C)."""
        task = self.tasks[self.heads.index(head)]
        given = task.given
        given_xC = None if given is None else self.expected(given, state_xD, items_ND, id_xC)
        output_xC = self.calibrated(head, self.logits(head, state_xD, items_ND, id_xC))
        return task.mean(output_xC, given_xC)

    def next_logits(self, state_xD: Tensor, items_ND: Tensor) -> Tensor:
        """Unnormalised log-probability of being the next event's item, (x, N)."""
        return self.logits(NEXT, state_xD, items_ND, None)

    def logits(
        self,
        head: str,
        state_xD: Tensor,
        items_ND: Tensor,
        id_xC: Tensor | None,
        bias_YN: Tensor | None = None,
    ) -> Tensor:
        """One head's uncalibrated output, (x, C): log-odds, or as its task's `link` has it.

        Args:
            head: a signal's name, or "next".
            state_xD: from `query`.
            items_ND: from `item_vectors`, or some items' vectors.
            id_xC: rows of them; None: all.
            bias_YN: the biases of some items; None: items_ND are all items.
        """
        index = self.heads.index(head)
        query_xD = self.query_heads[index](state_xD) * self.settings.width**-0.5
        bias_N = (self.item_bias_YN if bias_YN is None else bias_YN)[index]
        if id_xC is None:
            logits_xC = F.linear(query_xD, items_ND, bias_N)
        else:
            match_xC = torch.linalg.vecdot(F.embedding(id_xC, items_ND), query_xD[..., None, :])
            logits_xC = match_xC + F.embedding(id_xC, bias_N[:, None]).squeeze(-1)
        if head == NEXT:
            return logits_xC  # a user's level would cancel in the softmax
        logits_xC = torch.add(logits_xC, self.user_levels[index](state_xD))
        return logits_xC if self.tasks[index].calibrated else logits_xC + self.offset_M[index]

    def slot_effect(self, slot_x: Tensor) -> Tensor:
        """What a slot adds to the log-odds of a click beside the first slot, (x,): not the item's.

        Slots beyond those of the training rows count as the last of them.
        """
        if self.num_slots < 2:
            return torch.zeros(slot_x.shape, device=slot_x.device)
        return F.pad(self.slot_bias, (1, 0))[slot_x.clamp(0, self.num_slots - 1)]

    def set_calibration(self, scale: Mapping[str, float], shift: Mapping[str, float]) -> None:
        """Make `score` return scale * logit + shift for the named tasks, which have log-odds."""
        for index, task in enumerate(self.tasks):
            self.platt_scale_M[index] = scale.get(task.signal.name, 1.0)
            self.platt_shift_M[index] = shift.get(task.signal.name, 0.0)

    def config(self) -> dict[str, Any]:
        """The architecture as JSON: what `from_config` makes an untrained twin of."""
        return {
            "tasks": to_json(self.tasks),
            "settings": asdict(self.settings),
            "num_items": self.num_items,
            "profile_sizes": self.profile_sizes,
            "context": [list(column) for column in self.context],
            "item_columns": [list(column) for column in self.item_columns],
            "num_slots": self.num_slots,
            "text_width": self.text_vectors_ND0.shape[1],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MultiTaskBert:
        """A model of that architecture whose weights are about to be loaded."""
        num_items, tasks = config["num_items"], from_json(config["tasks"])
        return cls(
            MultiTaskSettings(**config["settings"]),
            tasks,
            text_vectors_ND0=torch.zeros(num_items, config["text_width"]),
            biases=ItemBiases.neutral(num_items, len(tasks)),
            profile_sizes=tuple(config["profile_sizes"]),
            num_items=num_items,
            context=_columns(config["context"]),
            item_columns=_columns(config["item_columns"]),
            num_slots=config["num_slots"],
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model's folder: see `write_model`."""
        from slategym.models.multitask.pretrained import write_model  # it knows this class

        write_model(self, folder)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str | None = None) -> MultiTaskBert:
        """Read a model's folder, or the hub's "owner/name": see `read_model`."""
        from slategym.models.multitask.pretrained import read_model

        return read_model(source, revision=revision)

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, message: str = "Upload model"
    ) -> str:
        """Upload the model to the hub: see `push_model`. Returns the commit's address."""
        from slategym.models.multitask.pretrained import push_model

        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_model(folder, repo_id, private=private, message=message)


def _columns(rows: list[list[Any]]) -> tuple[Column, ...]:
    """What JSON kept of them."""
    return tuple(Column(name, tuple(categories), *rest) for name, categories, *rest in rows)


def _embedding(num: int, width: int, std: float) -> nn.Embedding:
    embedding = nn.Embedding(num, width)
    nn.init.normal_(embedding.weight, std=std)
    return embedding


def _causal_bert(settings: MultiTaskSettings) -> BertModel:
    """BertModel without word embeddings: it is fed vectors, and adds its own positions."""
    from transformers import BertConfig, BertModel

    bert = BertModel(
        BertConfig(
            vocab_size=1,
            type_vocab_size=1,
            pad_token_id=0,
            hidden_size=settings.width,
            num_hidden_layers=settings.num_layers,
            num_attention_heads=settings.num_heads,
            intermediate_size=settings.feedforward,
            max_position_embeddings=settings.max_history + 1,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
            is_decoder=True,
        ),
        add_pooling_layer=False,
    )
    bert.set_input_embeddings(None)  # type: ignore[no-untyped-call]
    return bert
