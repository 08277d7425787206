"""Why an item is recommended: what each event of the history, the context and the item itself add.

    output = the item itself + an empty history + context + sum of events + rest

The item itself is exact: its bias in the head. The others are integrated gradients over the tokens
that enter the transformer, from empty tokens to the real ones, and `rest` is what the integral
misses. Beside them stands what each head adds to the reward of a click: a ranker sets by click and
worth together. Whether the attributions can be believed is tested: the events that are attributed
most are taken out of the history, and the output must fall by more than without random ones.

Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1; deletion: Samek et al. 2017,
arXiv:1509.06321, section III.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.names import UsageError, lookup
from slategym.models.closed_form.cooccurrence import USUAL, Sums
from slategym.models.data.log import Log
from slategym.models.multitask.beside import query_beside, read_beside
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.query import Query, RowValues
from slategym.models.multitask.sequences import NEVER, Sequences
from slategym.models.quality.resampling import Floats, Interval, intervals

STEPS = 32  # of the integral, Gauss-Legendre
TOGETHER = 64  # people explained at once
REMOVED = 3  # events taken out by the deletion test
RANDOM = 10  # random removals of each history, averaged


@dataclass(frozen=True)
class Readers:
    """What the model reads of B people at the end of what they did, asked once more."""

    user_B: Tensor  # (B,) int64
    id_BH: Tensor  # (B, H) int64, clicked items, oldest first; 0 where padded, on the right
    row_BH: Tensor  # (B, H) int64, rows of the log
    feedback_BHM: Tensor  # (B, H, M) float32
    gap_BH: Tensor  # (B, H) float32, seconds
    length_B: Tensor  # (B,) int64, events in use
    profile_BF: Tensor  # (B, F) int64
    start_BX: tuple[Tensor, Tensor, Tensor]  # hour, weekday, further columns where it begins
    asked_BX: tuple[Tensor, Tensor, Tensor]  # the same of the request: of the last event

    @staticmethod
    def of(sequences: Sequences, user_B: Tensor, max_history: int) -> Readers:
        """People with a click each, from the last clicks of theirs that the model can read."""
        s = sequences
        length_B = s.clicks_U[user_B].clamp(max=max_history)
        at_BH = torch.arange(int(length_B.max()), device=user_B.device)
        used_BH = at_BH < length_B[:, None]
        first_B = s.first_click_U[user_B] + s.clicks_U[user_B] - length_B
        place_BH = torch.where(used_BH, first_B[:, None] + at_BH, first_B[:, None])
        row_BH = s.click_Q[place_BH]
        last_B = s.first_U[user_B] + s.count_U[user_B] - 1
        start_B = row_BH[:, 0]
        return Readers(
            user_B,
            torch.where(used_BH, s.item_E[row_BH], 0),
            row_BH,
            s.feedback_EM[row_BH],
            s.gap_Q[place_BH],
            length_B,
            s.profile_UF[user_B],
            (s.hour_E[start_B], s.weekday_E[start_B], s.extra_EZ[start_B]),
            (s.hour_E[last_B], s.weekday_E[last_B], s.extra_EZ[last_B]),
        )

    @property
    def used_BH(self) -> Tensor:
        """Which places hold an event."""
        at_BH = torch.arange(self.id_BH.shape[1], device=self.id_BH.device)
        return at_BH < self.length_B[:, None]

    def without(self, gone_BH: Tensor) -> Readers:
        """The same people had these events not been; the others move up, with their gaps."""
        left_BH = self.used_BH & ~gone_BH
        order_BH = (~left_BH).int().argsort(dim=1, stable=True)
        return replace(
            self,
            id_BH=self.id_BH.gather(1, order_BH),
            row_BH=self.row_BH.gather(1, order_BH),
            feedback_BHM=self.feedback_BHM.gather(
                1, order_BH[..., None].expand_as(self.feedback_BHM)
            ),
            gap_BH=self.gap_BH.gather(1, order_BH),
            length_B=left_BH.sum(1),
        )


@dataclass(frozen=True)
class Contribution:
    """What one event adds."""

    item: str  # key
    title: str
    feedback: dict[str, float]  # observed signals
    adds: float  # on the head's scale


@dataclass(frozen=True)
class Explanation:
    """Why one item, for one person, in one head."""

    user: str
    item: str
    title: str
    head: str
    output: float  # log-odds, or as the head's task has it
    itself: float
    statistics: float  # what the wide part and the prior add that no single event does
    empty: float  # what the sequence says of somebody of whom nothing is known
    context: float  # profile, and when the history begins
    history: tuple[Contribution, ...]  # most telling first
    rest: float  # that the integral misses
    asked: float  # by how much the moment of the request moves the output, by leaving it out
    heads: dict[str, tuple[float, float]]  # of each head: output, share of items below it
    worth: dict[str, float]  # of a click on it, expected reward by signal; the parts add up

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


@dataclass(frozen=True)
class DeletionTest:
    """Whether the events that are attributed most matter more than random ones."""

    head: str
    people: int
    removed: int  # events taken out of each history
    attributed: Interval  # fall of the output without the most attributed
    random: Interval  # without as many random ones
    difference: Interval

    @property
    def passed(self) -> bool:
        """Whether it is clear that the attributed ones matter more."""
        return self.difference.low > 0

    def sentence(self) -> str:
        """The result, also when it fails."""
        a, r, d = self.attributed, self.random, self.difference
        said = "passed" if self.passed else "FAILED, do not believe the attributions"
        return (
            f"deletion test {said}: without the {self.removed} most attributed events of a history "
            f"{self.head} falls by {a.value:.4f}, without {self.removed} random ones by "
            f"{r.value:.4f}; difference {d.value:+z.4f} [{d.low:+z.4f}, {d.high:+z.4f}], "
            f"{self.people} people, each with the item recommended first"
        )

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        found = {
            name: value.to_json() if isinstance(value, Interval) else value
            for name, value in vars(self).items()
        }
        return {**found, "passed": self.passed, "sentence": self.sentence()}


class Explainer:
    """Explains what a model says of a log's people.

    Args:
        model: whose rows are the log's: fitted on it, or `grown` to it.
        log: the data.
        head: a signal's name, or "next"; None: the click.

    Raises:
        UsageError: captum is not installed, or there is no such head.
    """

    def __init__(self, model: MultiTaskBert, log: Log, head: str | None = None) -> None:
        try:
            from captum.attr import LayerIntegratedGradients
        except ImportError:
            raise UsageError("explanations need captum: pip install 'slategym[explain]'") from None
        self.model, self.log = model.eval(), log
        self.head = head or model.heads[0]
        lookup("head", self.head, dict.fromkeys(model.heads))
        self.sequences = Sequences.from_log(log, model.device)
        with torch.no_grad():
            self.items_ND = model.item_vectors()
        # over what enters the transformer: a LayerNorm hides how long its input is, and the
        # integral would jump at its start
        self._integral = LayerIntegratedGradients(self._from_tokens, model.sequence.input_norm)

    def explain(
        self, user: str, items: list[str] | None = None, *, top: int = 3
    ) -> list[Explanation]:
        """Why these items, or those recommended first.

        Args:
            user: the person's key.
            items: keys; None: the `top` items with the highest output that the person has not met,
                or of all where the log's items may be had again.
            top: how many where no items are given.

        Raises:
            UsageError: the log has no such person or item, or the person never clicked.
        """
        keys = [str(key) for key in self.log.users["key"]]
        at = keys.index(user) if user in keys else lookup("user", user, dict.fromkeys(keys))
        people = torch.tensor([at], device=self.model.device)
        if not int(self.sequences.clicks_U[people]):
            raise UsageError(f"{user} has clicked nothing: there is no history to explain by")
        readers = Readers.of(self.sequences, people, self.model.settings.max_history)
        item_keys = [str(key) for key in self.log.items["key"]]
        if items is None:
            chosen = self._recommended(readers, top)[0].tolist()
        else:
            known = {key: n for n, key in enumerate(item_keys)}
            chosen = [lookup("item", key, known) for key in items]
        return [self._explained(readers, item, user, item_keys) for item in chosen]

    def _explained(self, readers: Readers, item: int, user: str, keys: list[str]) -> Explanation:
        """One explanation."""
        item_B = torch.tensor([item], device=self.model.device)
        adds_BS, empty_B, output_B = self.attributions(readers, item_B)
        itself, beside_B = self._itself(item), self._beside(readers, item_B)
        left_BH = self._left_out(readers, item_B, beside_B)
        statistics = float(beside_B - left_BH.sum())
        with torch.no_grad():
            unasked_B = self._output(readers, item_B, asked=False)
            heads, worth = self._heads(readers, item), self._worth(readers, item_B)
        titles, names = self.log.items["title"], [s.name for s in self.log.signals]
        history = []
        for h in range(int(readers.length_B)):
            met = int(readers.id_BH[0, h])
            values = dict(zip(names, readers.feedback_BHM[0, h].tolist(), strict=True))
            seen = {name: value for name, value in values.items() if value == value}
            added = float(adds_BS[0, h + 1])
            history.append(Contribution(keys[met], str(titles.iloc[met]), seen, added))
        history.sort(key=lambda event: -abs(event.adds))
        output, empty = float(output_B), float(empty_B)
        return Explanation(
            user=user,
            item=keys[item],
            title=str(titles.iloc[item]),
            head=self.head,
            output=output,
            itself=itself,
            statistics=statistics,
            empty=empty - itself - float(beside_B),
            context=float(adds_BS[0, 0]),
            history=tuple(history),
            rest=output - empty - float(adds_BS.sum() - left_BH.sum()),
            asked=output - float(unasked_B),
            heads=heads,
            worth=worth,
        )

    def attributions(self, readers: Readers, item_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each token adds to the output of one item a person.

        Args:
            readers: B people.
            item_B: their items.

        Returns:
            adds_BS: of the context token, then of each event. empty_B: the output where all tokens
            are empty. output_B: the output.
        """
        context_BD, events_BHD = (x.detach() for x in self._tokens(readers))
        beside_B = self._beside(readers, item_B)
        others = (item_B, *readers.asked_BX, readers.length_B, beside_B)
        found_BSD = self._integral.attribute(
            (context_BD, events_BHD),
            baselines=(torch.zeros_like(context_BD), torch.zeros_like(events_BHD)),
            additional_forward_args=others,
            n_steps=STEPS,
        )
        with torch.no_grad():
            nothing = (torch.zeros_like(context_BD), torch.zeros_like(events_BHD))
            empty_B = self._from_tokens(*nothing, *others)
            output_B = self._from_tokens(context_BD, events_BHD, *others)
        adds_BS: Tensor = found_BSD.detach().sum(-1)
        real_BS = F.pad(readers.used_BH, (1, 0), value=True)
        left_BH = self._left_out(readers, item_B, beside_B)
        return adds_BS * real_BS + F.pad(left_BH, (1, 0)), empty_B, output_B

    @torch.no_grad()
    def _left_out(self, readers: Readers, item_B: Tensor, beside_B: Tensor) -> Tensor:
        """By how much what statistics add falls without each event, (B, H)."""
        falls = []
        for h in range(readers.id_BH.shape[1]):
            gone_BH = torch.zeros_like(readers.used_BH)
            gone_BH[:, h] = True
            falls.append(beside_B - self._beside(readers.without(gone_BH), item_B))
        return torch.stack(falls, 1) * readers.used_BH

    def deletion_test(
        self, *, people: int = 200, removed: int = REMOVED, seed: int = 0
    ) -> DeletionTest:
        """Take the most attributed events out, and random ones; see this module.

        Args:
            people: drawn from those with more than twice as many clicks as are removed.
            removed: events to take out of each history.
            seed: of the draws.

        Raises:
            UsageError: nobody has so many clicks.
        """
        rng = np.random.default_rng(seed)
        able_U = np.flatnonzero(self.sequences.clicks_U.cpu().numpy() > 2 * removed)
        if not len(able_U):
            raise UsageError(
                f"the deletion test takes {removed} events out of histories of more than "
                f"{2 * removed}; nobody in {self.log.name} has one"
            )
        chosen = np.sort(rng.permutation(able_U)[:people])
        falls: list[tuple[Tensor, Tensor]] = []
        for part in np.split(chosen, range(TOGETHER, len(chosen), TOGETHER)):
            user_B = torch.as_tensor(part, device=self.model.device)
            readers = Readers.of(self.sequences, user_B, self.model.settings.max_history)
            item_B = self._recommended(readers, 1)[:, 0]
            adds_BS, _, output_B = self.attributions(readers, item_B)
            with torch.no_grad():
                falls.append(self._falls(readers, item_B, adds_BS[:, 1:], output_B, removed, rng))
        attributed, random = (
            torch.cat(parts).double().numpy() for parts in zip(*falls, strict=True)
        )

        def means(weight_x: Floats) -> dict[str, float]:
            pairs = {"attributed": attributed, "random": random, "difference": attributed - random}
            return {n: float((weight_x * x).sum() / weight_x.sum()) for n, x in pairs.items()}

        found = intervals(means, np.arange(len(chosen)), draws=1000, seed=seed)
        return DeletionTest(self.head, len(chosen), removed, **found)

    def _falls(
        self,
        readers: Readers,
        item_B: Tensor,
        adds_BH: Tensor,
        output_B: Tensor,
        removed: int,
        rng: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """By how much the output falls without attributed and without random events, (B,) each."""
        used_BH = readers.used_BH

        def fall(order_BH: Tensor) -> Tensor:
            first_BH = order_BH.masked_fill(~used_BH, -torch.inf).topk(removed, dim=1).indices
            gone_BH = torch.zeros_like(used_BH).scatter(1, first_BH, True)
            return (output_B - self._output(readers.without(gone_BH), item_B)).cpu()

        draws = [
            fall(torch.as_tensor(rng.random(adds_BH.shape), device=adds_BH.device))
            for _ in range(RANDOM)
        ]
        return fall(adds_BH), torch.stack(draws).mean(0)

    def _tokens(self, readers: Readers) -> tuple[Tensor, Tensor]:
        """Context (B, D) and events (B, H, D), before the LayerNorm."""
        sequence = self.model.sequence
        context_BD = sequence.context_token(readers.profile_BF, *readers.start_BX)
        events_BHD = sequence.event_tokens(
            self.items_ND, readers.id_BH, readers.feedback_BHM, readers.gap_BH
        )
        return context_BD, events_BHD

    def _from_tokens(
        self,
        context_BD: Tensor,
        events_BHD: Tensor,
        item_B: Tensor,
        hour_B: Tensor,
        weekday_B: Tensor,
        extra_BZ: Tensor,
        length_B: Tensor,
        beside_B: Tensor,
    ) -> Tensor:
        """The head's output, (B,); beside_B is what statistics add."""
        state_BD = self._state(context_BD, events_BHD, length_B)
        query = self._alone(self.model.sequence.query(state_BD, hour_B, weekday_B, extra_BZ))
        return self.model.logits(self.head, query, self.items_ND, item_B[:, None])[:, 0] + beside_B

    def _alone(self, state_BD: Tensor) -> Query:
        """Of users whose statistics add nothing, one item each."""
        model, B = self.model, len(state_BD)
        T = 0 if model.wide_sizes is None else model.wide_sizes.kinds
        nothing = state_BD.new_zeros(1, 1, 1).expand(B, T, model.num_items)
        sums = Sums(nothing, state_BD.new_ones(B, T), state_BD.new_full((B,), USUAL - 1))
        return Query(state_BD, sums, RowValues(state_BD.new_zeros(B, len(model.tasks) - 1)))

    def _asked(self, state_BD: Tensor, readers: Readers) -> Query:
        """Of these people, statistics and all."""
        history_BH = torch.where(readers.used_BH, readers.id_BH, -1)
        beside = read_beside(self.model, history_BH, readers.feedback_BHM)
        hour_B, weekday_B, _ = readers.asked_BX
        return query_beside(self.model, state_BD, beside, hour_B, weekday_B)

    @torch.no_grad()
    def _beside(self, readers: Readers, item_B: Tensor) -> Tensor:
        """What statistics add to the output of one item a person, (B,), whatever the state is."""
        zero_BD = self.items_ND.new_zeros(len(item_B), self.items_ND.shape[1])
        both = (self._asked(zero_BD, readers), self._alone(zero_BD))
        with_B, without_B = (
            self.model.logits(self.head, query, self.items_ND, item_B[:, None])[:, 0]
            for query in both
        )
        return with_B - without_B

    def _state(self, context_BD: Tensor, events_BHD: Tensor, length_B: Tensor) -> Tensor:
        """The state after the last event, (B, D)."""
        return self.model.sequence.states_after(context_BD, events_BHD, length_B)

    def _output(self, readers: Readers, item_B: Tensor, asked: bool = True) -> Tensor:
        """The head's output for one item a person, (B,); without the moment of the request."""
        if asked:
            beside_B = self._beside(readers, item_B)
            others = (item_B, *readers.asked_BX, readers.length_B, beside_B)
            return self._from_tokens(*self._tokens(readers), *others)
        state_BD = self._state(*self._tokens(readers), readers.length_B)
        query = self._asked(state_BD, readers)
        return self.model.logits(self.head, query, self.items_ND, item_B[:, None])[:, 0]

    def _itself(self, item: int) -> float:
        """What the head says of the item whoever asks."""
        model = self.model
        index = model.heads.index(self.head)
        bias = float(model.item_bias_YN.detach()[index, item])
        given = 0 < index < len(model.tasks)
        if given and model.wide is not None:
            return bias * float(model.wide.gate_V.detach()[index - 1])
        offset = given and not model.tasks[index].calibrated
        return bias + (float(model.offset_M[index]) if offset else 0.0)

    @torch.no_grad()
    def _recommended(self, readers: Readers, top: int) -> Tensor:
        """The items with the highest output of each person, (B, top)."""
        state_BD = self._state(*self._tokens(readers), readers.length_B)
        query = self._asked(self.model.sequence.query(state_BD, *readers.asked_BX), readers)
        output_BN = self.model.logits(self.head, query, self.items_ND, None)
        if not self.log.repeats:
            met_BN = self.sequences.rank(readers.user_B) < NEVER
            output_BN = output_BN.masked_fill(met_BN, -torch.inf)
        return output_BN.topk(min(top, self.model.num_items), dim=1).indices

    def _worth(self, readers: Readers, item_B: Tensor) -> dict[str, float]:
        """What each signal adds to the expected reward of a click, by the log's weights.

        A click counts 1 where no signal has a weight.
        """
        state_BD = self._state(*self._tokens(readers), readers.length_B)
        query = self._asked(self.model.sequence.query(state_BD, *readers.asked_BX), readers)
        click = self.model.heads[0]
        declared = {signal.name: signal.weight for signal in self.log.signals if signal.weight}
        found = {}
        for name, weight in (declared or {click: 1.0}).items():
            mean = 1.0
            if name != click:
                mean = float(self.model.expected(name, query, self.items_ND, item_B[:, None]))
            found[name] = weight * mean
        return found

    def _heads(self, readers: Readers, item: int) -> dict[str, tuple[float, float]]:
        """Every head's output for the item, and the share of items that it sets below."""
        state_BD = self._state(*self._tokens(readers), readers.length_B)
        query = self._asked(self.model.sequence.query(state_BD, *readers.asked_BX), readers)
        found = {}
        for head in self.model.heads:
            output_N = self.model.logits(head, query, self.items_ND, None)[0]
            below = float((output_N < output_N[item]).float().mean())
            found[head] = (float(output_N[item]), below)
        return found
