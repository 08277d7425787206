"""Items that nobody has met: how well their texts tell who will want them, against less.

A share of the items is drawn, and every row of them before the test is taken out of the log: they
arrive when the test begins, so nothing is drawn against them before and they have no residual: a
network that is told all along that nobody takes these items learns to set those lowest that its
texts speak for. The same network is trained with the items' texts, with their topics and categories
alone, which cost no encoder, and with neither; all are read on the test rows of these items, among
these items alone. Beside them stands the strongest that is had without training: closed forms of
the same texts and of the same attributes.

Axis letters beyond the legend of `envs/types.py`: x rows that are read, C the cold items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from slategym.envs.names import UsageError
from slategym.models.classics.alike import alike_figures, fit_alike
from slategym.models.closed_form.events import Events, Floats
from slategym.models.data.log import Log
from slategym.models.data.splits import split_time
from slategym.models.files import kept, place_of
from slategym.models.hashes import hash_of
from slategym.models.multitask.item_extras import attributes
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.scores import TOP
from slategym.models.multitask.sequences import NEVER, Bools, Ints, Sequences, windows_before
from slategym.models.multitask.settings import ItemSettings
from slategym.models.multitask.train import FORMAT, TrainingSettings, train_multitask
from slategym.models.tasks import NEXT, head_weights
from slategym.models.text.vectors import item_text_vectors

SHARE = 0.2  # of the items
READING = 2  # raise it when the same model would be read otherwise
LEAST = 20  # clicked test rows of cold items, to be read at all
BATCH = 256  # windows encoded together
CONFIDENCE = 0.95
TEXT, TOPICS, NO_TEXT = "text", "topics", "no text"  # what is known of a cold item
TEXT_COSINES, TOPIC_COSINES = "text cosines", "topic cosines"  # closed forms
GRAPH = "spectral"  # how attributes are told to the network


@dataclass(frozen=True)
class ColdFigure:
    """One figure over the seeds: with text, with less, and the difference."""

    name: str
    against: str  # "topics" or "no text": what is known instead; or a closed form
    text: float  # mean over seeds
    other: float
    difference: float
    low: float  # of the difference, 95 % by Student's t over seeds; NaN of one seed
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval is on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class ColdReading:
    """What a log's cold items say of its texts."""

    figures: tuple[ColdFigure, ...]
    seeds: tuple[int, ...]
    rows: tuple[int, ...]  # test rows of cold items, by seed
    items: int  # cold ones, each time

    def sentence(self) -> str:
        """The protocol."""
        return (
            f"{self.items} items ({SHARE:.0%}) are drawn, once for each of {len(self.seeds)} "
            f"seeds, and their rows before the test taken away; read on their test rows "
            f"({min(self.rows):,} to {max(self.rows):,}), among these items alone: AUC against the "
            f"cold items that the user never meets, HR@{TOP} full rank. 95 % intervals of the "
            "difference by Student's t over seeds, each with its own items and training. "
            f"{TOPICS}: topics and categories without text; {NO_TEXT}: without either; "
            "cosines: closed forms, popularity by traits and likeness to what was taken up."
        )


@dataclass(frozen=True)
class Cold:
    """A log in which some items have no rows before the test."""

    log: Log
    train_E: Bools
    held_E: Bools  # validation rows
    row_x: Ints  # test rows of the cold items
    item_C: Ints  # the cold items, sorted


def cold_log(log: Log, seed: int, share: float = SHARE) -> Cold:
    """The log as if some items arrived when the test begins.

    Args:
        log: the data.
        seed: draws the items.
        share: of the items.

    Raises:
        UsageError: if too few rows of such items would be read.
    """
    parts = split_time(log)
    count = round(share * log.num_items)
    item_C = np.sort(np.random.default_rng(seed).permutation(log.num_items)[:count])
    cold_E = log.events["item"].isin(item_C).to_numpy()
    read = int((cold_E & parts.test & (log.events["click"].to_numpy() > 0)).sum())
    if read < LEAST:
        raise UsageError(
            f"{log.name} has {read} clicked rows of cold items in the last fifth of its events, at "
            f"least {LEAST} are needed: the log is too small to ask"
        )
    left_E = ~cold_E | parts.test
    changed = replace(
        log,
        events=log.events[left_E].reset_index(drop=True),
        sha256=hash_of([log.sha256, "cold items", seed, share]),
    )
    row_x = np.flatnonzero((cold_E & parts.test)[left_E])
    return Cold(changed, parts.train[left_E], parts.validation[left_E], row_x, item_C)


@torch.no_grad()
def cold_figures(
    model: MultiTaskBert,
    sequences: Sequences,
    row_E: Ints,
    item_C: Ints,
    weights: Mapping[str, float],
) -> dict[str, float]:
    """Figures on rows of cold items, among the cold items alone.

    Args:
        model: in evaluation mode.
        sequences: the log.
        row_E: rows of cold items.
        item_C: the cold items, sorted.
        weights: of the heads; those of weight 0 were not trained.
    """
    table, known = model.item_table(), Known.of(model, sequences, row_E)
    id_C = torch.as_tensor(item_C, device=model.device)
    cold_CD, bias_YC = table.vectors_AD[id_C], table.bias_YA[:, id_C]
    first = model.heads[0]
    parts: list[tuple[Tensor, ...]] = []
    for _, windows in windows_before(sequences, row_E, model.settings.max_history, BATCH):
        batch = sequences.batch(windows)
        query = requests(model, table, sequences, windows, batch, known).at_items(id_C)
        row_x = batch.row_BR[:, 0]
        at_x1 = torch.searchsorted(id_C, sequences.item_E[row_x])[:, None]
        # met at any time by a click, and not the row's own item: no answer to it
        barred_xC = sequences.rank(batch.user_B, id_C) < NEVER
        barred_xC.scatter_(1, at_x1, True)
        if sequences.repeats:
            barred_xC = torch.zeros_like(barred_xC).scatter_(1, at_x1, True)
        found = []
        for head in (first, NEXT):
            logit_xC = model.logits(head, query, cold_CD, None, bias_YC)
            own_x1 = logit_xC.gather(1, at_x1)
            above_x = ((logit_xC > own_x1) & ~barred_xC).sum(1)
            tied_x = ((logit_xC == own_x1) & ~barred_xC).sum(1)
            found += [above_x, tied_x]
        asked_x = (~barred_xC).sum(1)
        heads = [
            model.logits(head, query, cold_CD, at_x1, bias_YC)[:, 0] for head in model.heads[1:-1]
        ]
        outputs_x = torch.stack(heads, 1) if heads else query.state[:, :0]
        parts.append((row_x, batch.user_B, asked_x, *found, outputs_x))
    row, user, asked, above, tied, next_above, next_tied, outputs = (
        torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)
    )
    clicked = sequences.click_E.cpu().numpy()[row] > 0
    figures: dict[str, float] = {}
    if weights[first]:
        share = 1 - (above + tied / 2)[clicked] / np.maximum(asked[clicked], 1)
        figures[f"{first}_auc"] = float(share.mean())
    if weights[NEXT]:
        places = (TOP - next_above) / (next_tied + 1)  # equals stand in any order
        figures[f"hr{TOP}"] = float(places[clicked].clip(0, 1).mean())
    values_EM = sequences.feedback_EM.cpu().numpy()
    for m, task in enumerate(model.tasks[1:], start=1):
        value = values_EM[row, m]
        seen = clicked & ~np.isnan(value)
        if weights[task.signal.name] and seen.any():
            output = outputs[seen, m - 1]
            named = task.figures(value[seen], output, user[seen], output)
            figures |= {
                name: x for name, x in named.items() if not name.endswith(("ece", "ece_raw"))
            }
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def read_cold_items(
    log: Log,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    device: str = "cpu",
    progress: bool = True,
) -> ColdReading:
    """Train with texts, attributes alone and neither for each seed; read them on cold items.

    Args:
        log: the data.
        settings: the architecture; its text is switched off for the other arms, and a residual is
            of items with training rows alone. Attributes are an arm of their own where the log has
            them and the settings have no graph of them.
        training: how to train, items without training rows left out; stopped early on validation
            rows, not refitted.
        seeds: each draws its items and its training.
        device: "cpu" or "cuda".
        progress: whether to draw bars on stderr.

    Raises:
        UsageError: if the log is too small, or the settings have no text to switch off.
    """
    if not settings.items.text:
        raise UsageError("cold items are read with text and without; leave items.text=false out")
    if settings.items.residual == "always":
        settings = replace(settings, items=replace(settings.items, residual="seen"))
    training = replace(training, unseen="left-out")
    arms, traits = _arms(log, settings.items), _traits(log, progress)
    found: list[dict[str, dict[str, float]]] = []
    rows: list[int] = []
    for seed in seeds:
        cold = cold_log(log, seed)
        rows.append(len(cold.row_x))
        found.append(
            {
                arm: _figures_of(
                    cold,
                    replace(settings, items=items),
                    training,
                    f"{log.name} cold {arm}",
                    seed,
                    device,
                    progress,
                )
                for arm, items in arms.items()
            }
            | {name: _alike(cold, trait_ND) for name, trait_ND in traits.items()}
        )
    return ColdReading(_compared(found), tuple(seeds), tuple(rows), round(SHARE * log.num_items))


def _arms(log: Log, items: ItemSettings) -> dict[str, ItemSettings]:
    """What the network may know of an item, by arm."""
    bare = replace(items, text=False)
    arms = {TEXT: items, NO_TEXT: bare}
    if items.graph == "none":
        with suppress(UsageError):  # no attribute tells its items apart
            attributes(log)
            arms[TOPICS] = replace(bare, graph=GRAPH)
    return arms


def _traits(log: Log, progress: bool) -> dict[str, Floats]:
    """What closed forms read of items, (N, D) each."""
    text_ND0 = item_text_vectors(log.items["text"].tolist(), progress=progress)
    traits = {TEXT_COSINES: text_ND0.numpy().astype(np.float64)}
    with suppress(UsageError):  # no attribute tells its items apart
        traits[TOPIC_COSINES] = attributes(log)
    return traits


def _alike(cold: Cold, trait_ND: Floats) -> dict[str, float]:
    """A closed form of these traits, chosen and read once."""
    events, repeats = Events.from_log(cold.log), cold.log.repeats
    held_x = np.flatnonzero(cold.held_E & events.took_E)
    row_x = cold.row_x[events.took_E[cold.row_x]]
    model, _ = fit_alike(events, cold.train_E, held_x, cold.item_C, trait_ND, repeats=repeats)
    return alike_figures(model, events, row_x, cold.item_C, repeats=repeats)


def _figures_of(
    cold: Cold,
    settings: MultiTaskSettings,
    training: TrainingSettings,
    label: str,
    seed: int,
    device: str,
    progress: bool,
) -> dict[str, float]:
    """One arm of one seed, trained and read once."""
    decides = [cold.log.sha256, settings, training, seed, FORMAT, device]
    decides += training.versions.items()
    name = label.lower().replace(" ", "-")

    def measure() -> dict[str, float]:
        model = train_multitask(
            cold.log,
            cold.train_E,
            settings,
            training,
            place_of(f"models/{name}", decides),
            validation=cold.held_E,
            seed=seed,
            device=device,
            label=f"{label}, seed {seed}",
            progress=progress,
        )
        weights = head_weights(model.tasks, training.weights)
        sequences = Sequences.from_log(cold.log, device)
        return cold_figures(model, sequences, cold.row_x, cold.item_C, weights)

    figures: dict[str, float] = kept(f"figures/{name}", [*decides, READING], measure)
    return figures


def _compared(found: Sequence[dict[str, dict[str, float]]]) -> tuple[ColdFigure, ...]:
    """Each figure that every seed has, with its interval."""
    arms = [arm for arm in found[0] if arm != TEXT]
    return tuple(
        _difference(name, arm, *([each[one][name] for each in found] for one in (TEXT, arm)))
        for arm in arms
        for name in found[0][TEXT]
        if all(name in each[TEXT] and name in each[arm] for each in found)
    )


def _difference(
    name: str, against: str, text: Sequence[float], other: Sequence[float]
) -> ColdFigure:
    """One figure of both arms, seed by seed."""
    moved, half = np.subtract(text, other), math.nan
    if len(moved) > 1:
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(moved) - 1))
        half = quantile * float(moved.std(ddof=1)) / math.sqrt(len(moved))
    mean = float(moved.mean())
    return ColdFigure(
        name, against, float(np.mean(text)), float(np.mean(other)), mean, mean - half, mean + half
    )
