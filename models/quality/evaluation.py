"""How good the multi-task BERT is on held-out rows, beside what it must beat, with the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from slategym.envs.names import UsageError, lookup
from slategym.models import metrics
from slategym.models.classics.reading import Reading, popular_negatives
from slategym.models.data.datasets import data_sets
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.data.splits import hold_out, random_test, split_time
from slategym.models.files import kept, place_of
from slategym.models.multitask.balance import SHARED
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.predict import Predictions, predict
from slategym.models.multitask.scores import (
    TOP,
    Figures,
    defined,
    heading,
    model_figures,
    platt_of,
)
from slategym.models.multitask.sequences import Bools, Ints, Sequences
from slategym.models.multitask.train import FORMAT, TrainingSettings, read_about, train_multitask
from slategym.models.quality.anchors import (
    Anchors,
    fit_anchors,
    popularity_click_auc,
    popularity_ranks,
)
from slategym.models.quality.classics import classic_rows
from slategym.models.quality.groups import FORMAT as GROUPS_FORMAT
from slategym.models.quality.groups import GroupReport, group_report
from slategym.models.tasks import NEXT, Task, head_weights, tasks_of

LABEL = "multi-task BERT"
NEGATIVES = 4  # per test click
FOLDS = 5  # of the split "random"
DRAW_SEED = 0  # of the negatives: the same for every model and training seed


@dataclass(frozen=True)
class Split:
    """Which rows are for what, and how that is said."""

    name: str
    train: Bools  # (E,)
    validation: Bools  # (E,)
    test: Bools  # (E,)
    sentence: str
    # The log over whose rows the masks are; None: the one that was split, in its own order.
    log: Log | None = None
    held_out: bool = False  # at random: all test rows of a user are asked at once, for values alone


@dataclass(frozen=True)
class Recipe:
    """How a split's model is trained."""

    training: TrainingSettings
    refit: bool
    sentence: str

    def for_rows(self, num_rows: int) -> Recipe:
        """The same for so many training rows: fewer epochs, and once, where there are many."""
        training = self.training.for_rows(num_rows)
        if not self.refit or training.may_refit(num_rows):
            return replace(self, training=training)
        return Recipe(training, refit=False, sentence=STOPPED)


def time_split(log: Log) -> Split:
    """Train on the first 70 % of the events, validate on the next 10 %, test on the last 20 %."""
    parts = split_time(log)
    known = np.isin(log.events["user"][parts.test], log.events["user"][~parts.test].unique())
    return Split(
        "time",
        parts.train,
        parts.validation,
        parts.test,
        f"global time split: train before {_day(parts.validation_from)}, validation before "
        f"{_day(parts.test_from)}, test after ({int(parts.test.sum())} rows, "
        f"{1 - known.mean():.0%} of them by users without any training or validation row)",
    )


def leave_one_out(log: Log) -> Split:
    """Test on each user's last event, validate on the one before, train on the others."""
    users = log.events["user"].to_numpy()
    count_U = np.bincount(users, minlength=len(log.users))
    order_E = np.arange(len(users)) - (np.cumsum(count_U) - count_U)[users]
    left_E = count_U[users] - 1 - order_E  # events of the user after this one
    return Split(
        "loo",
        left_E >= 2,
        left_E == 1,
        left_E == 0,
        "leave-one-out: each user's last event is the test, the one before it validation "
        f"({int((left_E == 0).sum())} test rows)",
    )


def random_split(log: Log, fold: int = 0) -> Split:
    """Test on one of five random folds; a tenth of the others validates."""
    said = f"{FOLDS} random folds, each the test once"
    return _held_out(log, "random", random_test(log, FOLDS, fold), said)


def published_split(name: str, log: Log) -> Split:
    """Test on the rows of a split that others have published results for."""
    data_set = data_sets.find(log.name)
    return _held_out(log, name, data_set.test_rows(name, log), f"published split {name}")


def _held_out(log: Log, name: str, test_E: Bools, said: str) -> Split:
    """Raises UsageError: the log has no signal beside the click to predict."""
    if len(log.signals) < 2:
        raise UsageError(
            f"split {name} predicts what a click is worth, and {log.name} has no signal beside the "
            f"{log.signals[0].name}; use time or loo"
        )
    held = hold_out(log, test_E)
    return Split(
        name,
        held.train,
        held.validation,
        held.test,
        f"{said} ({int(held.test.sum())} test rows); each is predicted from all its user's other "
        "rows, whatever their time, test rows left out",
        held.log,
        held_out=True,
    )


SPLITS: dict[str, Callable[[Log], Split]] = {
    "time": time_split,
    "loo": leave_one_out,
    "random": random_split,
}


def find_split(name: str, log: Log, fold: int = 0) -> Split:
    """The split of that name: one of SPLITS, or one published for the log's data set.

    Args:
        name: of the split.
        log: to part.
        fold: of the split "random", from 0.

    Raises:
        UsageError: the log has no such split; the nearest is offered.
    """
    if name == "random":
        return random_split(log, fold)
    known = data_sets.all().get(log.name)
    if known is not None and name in known.splits:
        return published_split(name, log)
    return lookup("split", name, SPLITS)(log)


STOPPED = "stopped early and calibrated on validation"
_TIME = Recipe(
    TrainingSettings(epochs=8),
    refit=True,
    sentence="epochs and calibration chosen on validation, then refitted on train + validation",
)
RECIPES: dict[str, Recipe] = {  # of splits; others as the one in time
    "time": _TIME,
    "loo": Recipe(
        TrainingSettings(),
        refit=False,
        sentence=STOPPED,
    ),
}


def recipe_of(split: str) -> Recipe:
    """How a split's model is trained, unless somebody chooses otherwise."""
    return RECIPES.get(split, _TIME)


class Evaluation:
    """One log under one split: models are trained, or found trained, when they are asked for.

    Args:
        log: the data.
        split: "time", "loo", "random", or one published for a data set, such as "u1".
        settings: the architecture; None: the default.
        seed: of training.
        device: "cpu" or "cuda".
        progress: whether to draw bars on stderr.
        training: None: the split's recipe. On many rows, epochs as that has them become fewer, and
            the model is not refitted.
        fold: of the split "random", in [0, FOLDS).
    """

    def __init__(
        self,
        log: Log,
        split: str,
        *,
        settings: MultiTaskSettings | None = None,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = True,
        training: TrainingSettings | None = None,
        fold: int = 0,
    ) -> None:
        self.split = find_split(split, log, fold)
        log = self.split.log or log
        usual = recipe_of(split)
        recipe = usual if training is None else replace(usual, training=training)
        if recipe.training.epochs == usual.training.epochs:  # nobody asked for others
            recipe = recipe.for_rows(int(self.split.train.sum()))
        self.recipe = recipe
        self.log, self.settings = log, settings or MultiTaskSettings()
        self.seed, self.device, self.progress = seed, device, progress
        self.tasks = tasks_of(log.signals, log.like_from)
        self.sequences = Sequences.from_log(log, device)
        self.rows: Ints = np.flatnonzero(self.split.test)

    def protocol(self) -> str:
        """What the figures mean."""
        derived = [s.name for s in self.log.signals if s.provenance == "derived"]
        history = self.settings.max_history
        first, *others = (signal.name for signal in self.log.signals)
        given = f"Given a {first}: {', '.join(others)}. " if others else ""
        scaled = ", ".join(task.signal.name for task in self.tasks if task.calibrated)
        columns = "".join(f", {column.name}" for column in self.log.context)
        against = (
            f"each test {first} against {NEGATIVES} items drawn uniformly from those that its user "
            "never meets"
        )
        masked = "those that the user met before masked"
        if self.log.repeats:
            masked = f"none masked: {self.log.words.items} may be consumed again"
            against = f"each test {first} against {NEGATIVES} other items drawn uniformly"
        head = f"{self.log.name}, {self.split.sentence}; {self.recipe.sentence}. "
        if self.split.held_out:
            return (
                f"{head}The multi-task BERT reads the last {history} of them. Derived signals: "
                f"{', '.join(derived) or 'none'}. {given}What comes next is not asked."
            )
        if has_slates(self.log):
            against = "over what was shown, taken up or passed over, the model knowing its slot"
        elif (self.log.events["click"] == 0).any():
            against += f", and against the test rows without a {first}"
        return (
            f"{head}Each test row is predicted from the profile, its hour, weekday{columns}, and "
            f"up to {history} earlier {first}s of its user, and running statistics of all of them, "
            "test rows included; its own gap to the event before is not an input. Derived signals: "
            f"{', '.join(derived) or 'none'}. {given}{first}_auc: {against}. "
            f"HR@{TOP} and NDCG@{TOP}: full rank over all {len(self.log.items)} items, {masked}. "
            f"ECE ({scaled}): 15 bins of equal width, Platt-scaled where that "
            "clearly lowered the error on held-out validation users."
        )

    def multi_task(self) -> Figures:
        """The multi-task BERT."""
        return self._trained(LABEL, self.recipe.training)

    def single_tasks(self) -> list[Figures]:
        """The same network and budget with one head trained at a time, of those given a click."""
        none = dict.fromkeys(head_weights(self.tasks, {}), 0.0)
        return [
            self._trained(
                f"{name} only", replace(self.recipe.training, weights={**none, name: 1.0})
            )
            for name in (task.signal.name for task in self.tasks[1:])
        ]

    def anchors(self) -> list[Figures]:
        """Static and online bias-only, and popularity; fitted on train + validation if refitted."""
        known_E = self.split.train
        if self.recipe.refit:
            known_E = known_E | self.split.validation
        anchors = fit_anchors(self.sequences, self.tasks, known_E)
        figures = anchor_figures(self.sequences, self.tasks, anchors, self.rows)
        return [shown for row in figures if (shown := self._asked(row)).values]

    def _asked(self, figures: Figures) -> Figures:
        """Without the figures of clicks where rows were held out at random: nothing is next."""
        if not self.split.held_out:
            return figures
        click = self.tasks[0].signal.name
        unasked = (f"{click}_", "hr", "ndcg")
        return replace(
            figures,
            values={k: v for k, v in figures.values.items() if not k.startswith(unasked)},
        )

    def classics(self) -> list[Figures]:
        """Counts, closed forms, Gaussian processes and trees, each tuned on validation rows."""
        return classic_rows(self.split.name, self._reading, progress=self.progress)

    @property
    def _reading(self) -> Reading:
        """The same rows and draws as the classics have them."""
        split = self.split
        return Reading(
            self.log,
            split.train,
            split.validation,
            split.test,
            self.recipe.refit,
            self.settings.max_history,
            NEGATIVES,
            DRAW_SEED,
            split.held_out,
        )

    def calibration(self) -> list[str]:
        """What calibrating the multi-task BERT did, one sentence per head."""
        return [row["sentence"] for row in self._about()["calibration"]]

    def cosines(self) -> dict[str, Any]:
        """Cosines between the heads' gradients at the weights they share, by epoch of training.

        Of a fit that told otherwise which weights these are, none.
        """
        found: dict[str, Any] = self._about()["gradient_cosines"]
        return found if found.get("shared") == SHARED else {"heads": [], "epochs": []}

    @property
    def folder(self) -> Path:
        """Where the multi-task BERT is kept, or will be."""
        return self._folder(LABEL, self.recipe.training)

    def _about(self) -> dict[str, Any]:
        """What the multi-task BERT's folder says of its training."""
        if not (self.folder / "config.json").exists():
            self.model(LABEL, self.recipe.training)
        return read_about(self.folder)

    def model(self, label: str, training: TrainingSettings) -> MultiTaskBert:
        """Train or load a model of this split."""
        return train_multitask(
            self.log,
            self.split.train,
            self.settings,
            training,
            self._folder(label, training),
            validation=self.split.validation,
            refit=self.recipe.refit,
            seed=self.seed,
            device=self.device,
            label=f"{label} ({self.split.name})",
            progress=self.progress,
        )

    def groups(self) -> GroupReport:
        """How well groups of people, and popular and rare items, are served; computed once."""
        training = self.recipe.training

        def measure() -> dict[str, Any]:
            model = self.model(LABEL, training)
            known_E = self.split.train | (self.split.validation & self.recipe.refit)
            weights = head_weights(self.tasks, training.weights)
            if self.split.held_out:  # what comes next is not asked
                weights |= {self.tasks[0].signal.name: 0.0, NEXT: 0.0}
            report = group_report(
                self.log,
                self._predictions(model),
                platt_of(model),
                weights,
                fit_anchors(self.sequences, self.tasks, known_E).count_N,
                seed=self.seed,
            )
            return report.to_json()

        decides = [*self._decides(training), self.split.name, NEGATIVES, DRAW_SEED, GROUPS_FORMAT]
        return GroupReport.from_json(kept(f"groups/{self._words(LABEL)}", decides, measure))

    def _predictions(self, model: MultiTaskBert) -> Predictions:
        return predict(model, self.sequences, self.rows, negatives=NEGATIVES, seed=DRAW_SEED)

    def _trained(self, label: str, training: TrainingSettings) -> Figures:
        """Figures of a trained model, computed once."""

        def measure() -> dict[str, Any]:
            model = self.model(label, training)
            predictions = self._predictions(model)
            weights = head_weights(self.tasks, training.weights)
            figures = model_figures(label, predictions, platt_of(model), weights)
            if weights[self.tasks[0].signal.name] and not has_slates(self.log):
                figures = self._with_popular(figures, model, predictions)
            return {"figures": figures.to_json(), "protocol": self.protocol()}

        decides = [*self._decides(training), self.split.name, NEGATIVES, DRAW_SEED]
        found = kept(f"figures/{self._words(label)}", decides, measure)
        return self._asked(Figures.from_json(found["figures"]))

    def _with_popular(self, figures: Figures, model: MultiTaskBert, p: Predictions) -> Figures:
        """With the click's AUC against popular items, the very draws of the classics."""
        clicked_x = p.clicked_xC[:, 0] > 0
        if not clicked_x.any():
            return figures
        rows = p.row_x[clicked_x]
        drawn_xC = popular_negatives(self._reading, rows)
        asked = predict(
            model,
            self.sequences,
            rows,
            negatives=0,
            seed=DRAW_SEED,
            others_xC=np.maximum(drawn_xC, 0),
        )
        assert asked.other_xC is not None
        others_x = asked.other_xC[drawn_xC >= 0]
        label_x = np.concatenate([clicked_x, np.zeros(len(others_x), bool)])
        score_x = np.concatenate([p.click_xC[:, 0], others_x])
        name = f"{self.tasks[0].signal.name}_auc_popular"
        return replace(figures, values={**figures.values, name: metrics.auc(label_x, score_x)})

    def _folder(self, label: str, training: TrainingSettings) -> Path:
        return place_of(f"models/{self._words(label)}", self._decides(training))

    def _decides(self, training: TrainingSettings) -> list[Any]:
        """Everything that a model of this split depends on."""
        return [
            *(self.log.sha256, self.settings, training, self.recipe.refit),
            *(self.seed, FORMAT, self.device, *training.versions.items()),
        ]

    def _words(self, label: str) -> str:
        return f"{self.log.name} {self.split.name} {label}".lower().replace(" ", "-")


def anchor_figures(
    sequences: Sequences, tasks: Sequence[Task], anchors: Anchors, row_x: Ints
) -> list[Figures]:
    """Figures of the anchors at rows of the log.

    Args:
        sequences: the log.
        tasks: of its signals, click first.
        anchors: fitted on other rows.
        row_x: rows to predict.
    """
    user_x = sequences.user_E.cpu().numpy()[row_x]
    value_xM = sequences.feedback_EM.cpu().numpy()[row_x]
    clicked_x = value_xM[:, 0] > 0
    figures = []
    for name, point_EM in (
        ("static biases", anchors.static_EM),
        ("online biases", anchors.online_EM),
    ):
        values: dict[str, float] = {}
        for m, task in enumerate(tasks[1:], start=1):
            seen_x = clicked_x & ~np.isnan(value_xM[:, m])
            values |= task.anchored(value_xM[seen_x, m], point_EM[row_x[seen_x], m], user_x[seen_x])
        figures.append(defined(name, values))
    item_x = sequences.item_E.cpu().numpy()[row_x]
    popular: dict[str, float] = {}
    for m, task in enumerate(tasks[1:], start=1):
        if task.calibrated:
            seen_x = clicked_x & ~np.isnan(value_xM[:, m])
            head = f"{task.signal.name}_auc"
            popular[head] = metrics.auc(value_xM[seen_x, m], anchors.count_N[item_x[seen_x]])
    taken_x = row_x[clicked_x]
    if len(taken_x):
        rank_x = popularity_ranks(sequences, anchors.count_N, taken_x)
        popular[f"{tasks[0].signal.name}_auc"] = popularity_click_auc(
            sequences, anchors.count_N, row_x, NEGATIVES, DRAW_SEED
        )
        popular[f"hr{TOP}"] = metrics.hit_rate(rank_x, TOP)
        popular[f"ndcg{TOP}"] = metrics.ndcg(rank_x, TOP)
    figures.append(defined("popularity", popular))
    return figures


def mean_figures(folds: Sequence[Sequence[Figures]]) -> list[Figures]:
    """Every model's figures averaged over folds, with a note on how far they are apart.

    Args:
        folds: of each fold, the same models in the same order.
    """
    means = []
    for rows in zip(*folds, strict=True):
        found = {name: [row.values[name] for row in rows] for name in rows[0].values}
        spread = ", ".join(f"{heading(k)} {np.std(x, ddof=1):.4f}" for k, x in found.items())
        note = f"standard deviation over {len(rows)} folds: {spread}"
        values = {name: float(np.mean(x)) for name, x in found.items()}
        means.append(Figures(rows[0].model, values, (*rows[0].notes, *([note] if found else []))))
    return means


def _day(seconds: int) -> str:
    return f"{pd.Timestamp(seconds, unit='s'):%Y-%m-%d %H:%M} UTC"
