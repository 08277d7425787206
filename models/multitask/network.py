"""The multi-task BERT: a causal transformer over a user's events, a head per signal, next item.

    item text, id, columns -> item vectors                              (`item_vectors`)
    context, events -> causal BERT -> state -> query at a request       (`sequence`)
    query, item vectors -> click, every other signal given a click, next item  (`heads`)

Axis letters beyond the legend of `envs/types.py`: x stands for any leading axes, Y for the M + 1
heads, A for some items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.names import UsageError
from slategym.envs.settings import Count, Length, check_kinds
from slategym.envs.types import CLICK, Column
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.heads import QueryHeads
from slategym.models.multitask.item_extras import ItemExtras
from slategym.models.multitask.item_vectors import NOTHING, ItemVectors
from slategym.models.multitask.query import Query
from slategym.models.multitask.sequence import EventSequence
from slategym.models.multitask.settings import MultiTaskSettings as MultiTaskSettings
from slategym.models.multitask.vocabulary import Vocabulary
from slategym.models.multitask.wide import Prior, WideSizes, WideValues
from slategym.models.tasks import NEXT, Task, from_json, head_names, to_json
from slategym.models.taste import Outputs

SIZES = {  # of a kept configuration, beside the tasks and the settings
    "num_items": Count,
    "profile_sizes": tuple[Count, ...],
    "num_slots": Length,
    "text_width": Length,
}
_UNTOLD = (
    "this model reads {} of users beside their state; make the query with `StateEncoder.query`, or "
    "with `requests` for rows of a log"
)


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
        wide: sizes of the statistics that are read beside the events; None: there are none.
        seed: of the initial weights. The global generator is left as it was.
        extras: what else is known of the items, as `settings.items` asks.

    Raises:
        ValueError: if the vectors or the biases are not one per item.
    """

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
        wide: WideSizes | None = None,
        seed: int = 0,
        extras: ItemExtras = NOTHING,
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
        self.num_items = num_items
        self.profile_sizes = tuple(profile_sizes)
        self.wide_sizes = wide
        self.context, self.item_columns, self.num_slots = context, item_columns, num_slots
        self.extra_widths = extras.widths
        self.about: dict[str, Any] | None = None  # what is known of its training
        self.vocabulary: Vocabulary | None = None  # what its rows stand for
        self.text_folder: Path | None = None  # of its text encoder; None: see models/text/kept
        self.register_buffer("offset_M", torch.tensor(biases.offset_M, dtype=torch.float32))
        self.register_buffer("platt_scale_M", torch.ones(len(tasks)))
        self.register_buffer("platt_shift_M", torch.zeros(len(tasks)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.vectors = ItemVectors(
                settings.width,
                text_vectors_ND0,
                item_columns,
                item_extra_NZ,
                settings.items,
                extras,
            )
            self.sequence = EventSequence(settings, tasks, self.profile_sizes, context)
            stages = [m for m, task in enumerate(tasks) if task.signal.kind == "binary"]
            self.queries = QueryHeads(settings, len(self.heads), stages)
            self.wide: WideValues | None = None
            self.prior: Prior | None = None
            if wide is not None and wide.values:
                self.wide = WideValues(tasks, num_items, wide)
            if wide is not None and wide.kinds:
                self.prior = Prior(num_items, wide)
        self.item_bias_YN = nn.Parameter(torch.from_numpy(biases.item_YN).float())
        if num_slots > 1:  # beside the first
            starts = biases.slot_S[1:num_slots] or (0.0,) * (num_slots - 1)
            self.slot_bias = nn.Parameter(torch.tensor(starts, dtype=torch.float32))

    @property
    def scales(self) -> tuple[str, ...]:
        """Names of the few numbers that move by units of log-odds: of tables, and of slots."""
        slots = ("slot_bias",) if self.num_slots > 1 else ()
        if self.prior is None:
            return slots
        weights = (f"prior.weights.{kind}" for kind in self.prior.weights)
        return (*weights, "queries.user_levels.0.bias", *slots)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.offset_M.device

    def item_vectors(self, id_A: Tensor | None = None) -> Tensor:
        """Vectors of these items, (A, D), or of all. Constant once trained: compute them once."""
        vectors_AD: Tensor = self.vectors(id_A)
        return vectors_AD

    def item_table(self, id_A: Tensor | None = None, text_ND0: Tensor | None = None) -> ItemTable:
        """Vectors and biases of these items, sorted ids, or of all.

        Args:
            id_A: sorted ids; None: all.
            text_ND0: text vectors instead of the kept ones, where their encoder learns.
        """
        bias_YA = self.item_bias_YN if id_A is None else self.item_bias_YN[:, id_A]
        return ItemTable(self.vectors(id_A, text_ND0), bias_YA, id_A)

    def score(self, query: Query, items_ND: Tensor, id_xC: Tensor | None = None) -> Outputs:
        """Every task's output for candidates, calibrated where a calibration was set.

        Args:
            query: users at a request.
            items_ND: from `item_vectors`.
            id_xC: candidates' item ids; None: all N items in order.
        """
        return tuple(
            self.calibrated(name, self.logits(name, query, items_ND, id_xC))
            for name in self.heads[:-1]
        )

    def calibrated(self, head: str, logits_xC: Tensor) -> Tensor:
        """A task's output with the scaling that was set for it, same shape."""
        at = self.heads.index(head)
        if not self.tasks[at].calibrated:
            return logits_xC
        return logits_xC * self.platt_scale_M[at] + self.platt_shift_M[at]

    def expected(self, head: str, query: Query, items_ND: Tensor, id_xC: Tensor | None) -> Tensor:
        """A signal's mean given a click, as people of this model would respond, (x, C).

        Arguments as `logits`.
        """

        def output(name: str) -> Tensor:
            return self.calibrated(name, self.logits(name, query, items_ND, id_xC))

        return self.expected_from(head, output)

    def expected_from(self, head: str, output: Callable[[str], Tensor]) -> Tensor:
        """The same where every head's calibrated output is known by its name."""
        task = self.tasks[self.heads.index(head)]
        given_xC = None if task.given is None else self.expected_from(task.given, output)
        mean_xC = task.mean(output(head), given_xC)
        if task.signal.given is None:
            return mean_xC
        return mean_xC * self.expected_from(task.signal.given, output)

    def next_logits(self, query: Query, items_ND: Tensor) -> Tensor:
        """Unnormalised log-probability of being the next event's item, (x, N)."""
        return self.logits(NEXT, query, items_ND, None)

    def logits(
        self,
        head: str,
        query: Query,
        items_ND: Tensor,
        id_xC: Tensor | None,
        bias_YN: Tensor | None = None,
    ) -> Tensor:
        """One head's uncalibrated output, (x, C): log-odds, or as its task's `link` has it.

        Args:
            head: a signal's name, or "next".
            query: users at a request; its sums are of the items in items_ND.
            items_ND: from `item_vectors`, or some items' vectors.
            id_xC: rows of them; None: all.
            bias_YN: the biases of some items; None: items_ND are all items.

        Raises:
            ValueError: the model has a wide part and the query nothing for it.
        """
        index = self.heads.index(head)
        bias_N = (self.item_bias_YN if bias_YN is None else bias_YN)[index]
        logits_xC = self.queries.match(index, query.state, items_ND, id_xC, bias_N)
        if head == NEXT:  # a user's level would cancel in the softmax
            return self._with_prior(NEXT, logits_xC, query, id_xC)
        logits_xC = torch.add(logits_xC, self.queries.level(index, query.state))
        if index == 0:
            told_xC = self._with_prior("click", logits_xC, query, id_xC)
            if self.prior is None or query.sums is None:
                return told_xC
            own_xC = bias_N if id_xC is None else F.embedding(id_xC, bias_N[:, None]).squeeze(-1)
            return self.prior.by_length(told_xC, query.sums, own_xC)
        if self.wide is not None:
            if query.values is None:
                raise ValueError(_UNTOLD.format("values"))
            said_xC = query.values.outputs(id_xC)[..., index - 1]
            return torch.add(said_xC, self.wide.gate_V[index - 1] * logits_xC)
        return logits_xC if self.tasks[index].calibrated else logits_xC + self.offset_M[index]

    def _with_prior(
        self, kind: str, logits_xC: Tensor, query: Query, id_xC: Tensor | None
    ) -> Tensor:
        """What co-occurrence says, added."""
        if self.prior is None:
            return logits_xC
        if query.sums is None:
            raise ValueError(_UNTOLD.format("co-occurrence sums"))
        return torch.add(logits_xC, self.prior.logits(kind, query.sums, id_xC))

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
            "extra_widths": self.extra_widths,
            "wide": None if self.wide_sizes is None else self.wide_sizes._asdict(),
            "text_width": self.vectors.text_vectors_ND0.shape[1],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MultiTaskBert:
        """A model of that architecture whose weights are about to be loaded."""
        check_kinds("the model", config, SIZES)
        num_items, tasks = config["num_items"], from_json(config["tasks"])
        if not tasks or tasks[0].signal.name != CLICK.name:
            raise UsageError("a model's first signal is click")
        settings = MultiTaskSettings.from_json(config["settings"])
        return cls(
            settings,
            tasks,
            text_vectors_ND0=torch.zeros(num_items, config["text_width"]),
            biases=ItemBiases.neutral(num_items, len(tasks)),
            profile_sizes=tuple(config["profile_sizes"]),
            num_items=num_items,
            context=_columns(config["context"]),
            item_columns=_columns(config["item_columns"]),
            num_slots=config["num_slots"],
            extras=ItemExtras.blank(
                num_items, config["extra_widths"], seen=settings.items.residual == "seen"
            ),
            wide=_sizes(config["wide"]),
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


def _sizes(kept: Mapping[str, Any] | None) -> WideSizes | None:
    """What JSON kept of them."""
    return None if kept is None else WideSizes(**{**kept, "blocks": tuple(kept["blocks"])})


def _columns(rows: list[list[Any]]) -> tuple[Column, ...]:
    """What JSON kept of them."""
    return tuple(Column(name, tuple(categories), *rest) for name, categories, *rest in rows)
