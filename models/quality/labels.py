"""How many labels a model needs: given at random or asked for, with and without unlabelled clicks.

A label is everything that a row tells beyond its click. Of each person's rows the last fifth is the
test; labels of the others are a pool from which a budget is taken, and nothing else is known of the
rest, in training and in histories, but the click. Three ways to spend equal budgets:

- labelled rows only: random rows; before the test, rows without a label are not used at all;
- random: the same labels, and the clicks of all rows train click and next item (semi-supervised);
- asked: also semi-supervised; the rows of which the model of the budget before is least certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t as student

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.files import kept, place_of
from slategym.models.hashes import content_hash
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import Predictions, predict
from slategym.models.multitask.scores import Figures, heading, model_figures
from slategym.models.multitask.sequences import Bools, Ints, Sequences
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.train import FORMAT, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.tasks import head_weights

ONLY, RANDOM, ASKED = "labelled rows only", "random", "asked"
WAYS = (ONLY, RANDOM, ASKED)
SHARES = (0.05, 0.1, 0.2, 0.4, 1.0)
TEST_SHARE = 0.2  # of each person's rows, the last
TEST_ROWS = 6_000  # at most, spread evenly
PASSES = 8  # with dropout, where a head gives no probability
SMALL = MultiTaskSettings(width=32, num_layers=1, num_heads=2, feedforward=64, max_history=20)
TRAINING = TrainingSettings(epochs=3)
LOWER_IS_BETTER = ("_rmse", "_rmsle", "_ece")


@dataclass(frozen=True)
class Point:
    """One training."""

    way: str
    share: float  # of the pool's labels
    labels: int
    seed: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Contrast:
    """Two ways with equal budgets, seed by seed."""

    one: str
    other: str
    figure: str
    share: float
    difference: float  # one - other, mean over seeds
    low: float  # 95 % interval of the mean, Student's t
    high: float
    seeds: int

    @property
    def clear(self) -> bool:
        """Whether zero is outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool:
        """Whether it is in favour of `one`."""
        return (self.difference < 0) == self.figure.endswith(LOWER_IS_BETTER)

    def sentence(self) -> str:
        """For people, a null as a null."""
        word = "not clearly different from"
        if self.clear:
            word = "better than" if self.better else "worse than"
        return (
            f"{self.share:.0%} of labels, {heading(self.figure)}: {self.one} {word} {self.other} "
            f"({self.difference:+z.4f} [{self.low:+z.4f}, {self.high:+z.4f}], {self.seeds} seeds)"
        )


@dataclass(frozen=True)
class LabelCurve:
    """What budgets of labels buy."""

    log: str
    points: tuple[Point, ...]
    protocol: str

    def mean(self, way: str, share: float, figure: str) -> tuple[float, float]:
        """Mean and standard error over seeds; NaN where there are none."""
        values = [
            p.figures[figure]
            for p in self.points
            if p.way == way and p.share == share and figure in p.figures
        ]
        if not values:
            return math.nan, math.nan
        error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
        return float(np.mean(values)), error

    @property
    def shares(self) -> tuple[float, ...]:
        """Budgets, growing."""
        return tuple(sorted({p.share for p in self.points}))

    @property
    def figure_names(self) -> tuple[str, ...]:
        """Of the labelled signals."""
        return tuple(dict.fromkeys(name for p in self.points for name in p.figures))

    def contrasts(self) -> list[Contrast]:
        """Asked against random, and random against labelled rows only, below the whole pool."""
        found = []
        for one, other in ((ASKED, RANDOM), (RANDOM, ONLY)):
            for figure in self.figure_names:
                for share in self.shares[:-1]:
                    values = [self._by_seed(way, share, figure) for way in (one, other)]
                    seeds = sorted(set(values[0]) & set(values[1]))
                    pairs = np.array([values[0][s] - values[1][s] for s in seeds])
                    if len(pairs) < 2:
                        continue
                    error = float(pairs.std(ddof=1) / math.sqrt(len(pairs)))
                    wide = float(student.ppf(0.975, len(pairs) - 1)) * error
                    mean = float(pairs.mean())
                    found.append(
                        Contrast(
                            one, other, figure, share, mean, mean - wide, mean + wide, len(pairs)
                        )
                    )
        return found

    def _by_seed(self, way: str, share: float, figure: str) -> dict[int, float]:
        return {
            p.seed: p.figures[figure]
            for p in self.points
            if p.way == way and p.share == share and figure in p.figures
        }

    def summary(self) -> list[str]:
        """Sentences: what asking and unlabelled clicks are worth, nulls as such."""
        contrasts = self.contrasts()
        lines = []
        for one, other, said in (
            (ASKED, RANDOM, "asking for the least certain rows"),
            (RANDOM, ONLY, "training click and next item on rows without a label"),
        ):
            mine = [c for c in contrasts if (c.one, c.other) == (one, other)]
            worse = [c for c in mine if c.clear and not c.better]
            better = [c for c in mine if c.clear and c.better]
            if not mine:
                continue
            lines += [c.sentence() for c in worse]
            if better:
                lines += [c.sentence() for c in better]
            else:
                lines.append(f"{said} is clearly better at no budget")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        contrasts = [
            {**asdict(c), "clear": c.clear, "sentence": c.sentence()} for c in self.contrasts()
        ]
        return {
            "log": self.log,
            "protocol": self.protocol,
            "points": [asdict(p) for p in self.points],
            "contrasts": contrasts,
            "summary": self.summary(),
        }


def label_curve(
    log: Log,
    *,
    shares: Sequence[float] = SHARES,
    seeds: int = 3,
    settings: MultiTaskSettings = SMALL,
    training: TrainingSettings = TRAINING,
    text_vectors_ND0: torch.Tensor | None = None,
    device: str = "cpu",
    progress: bool = True,
    told: Callable[[Point], None] | None = None,
) -> LabelCurve:
    """Train with each budget in each way, several times; what was trained once is kept.

    Args:
        log: with a signal beside the click.
        shares: budgets as shares of the pool, growing, the last 1.
        seeds: of budget and training, from 0.
        settings: the architecture; small by default, so that a curve takes minutes.
        training: a fixed number of epochs: held-out rows would be labels too.
        text_vectors_ND0: of the items; None: MiniLM's, cached.
        device: "cpu" or "cuda".
        progress: whether to draw bars on stderr.
        told: is given each point when it is there.

    Raises:
        UsageError: the log has no labels, or shares do not grow to 1.
    """
    labels = [signal.name for signal in log.signals[1:]]
    if not labels:
        raise UsageError(
            f"{log.name} has no signal beside the {log.signals[0].name}: there are no labels whose "
            "number could matter"
        )
    if sorted(set(shares)) != list(shares) or not shares[0] > 0 or shares[-1] != 1:
        raise UsageError(f"shares of labels must grow, from above 0 to 1; got {tuple(shares)}")
    pool_E, test_E = _parts(log, labels)
    pool = np.flatnonzero(pool_E)
    rows = np.flatnonzero(test_E)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), TEST_ROWS)).astype(np.int64)]
    work = _Work(
        log, labels, pool, test_E, rows, settings, training, text_vectors_ND0, device, progress
    )
    points: list[Point] = []
    for seed in range(seeds):
        order = np.random.default_rng([seed, 7]).permutation(pool)
        asked = order[: max(1, round(shares[0] * len(pool)))]
        for share in shares:
            count = max(1, round(share * len(pool)))
            known = {ONLY: order[:count], RANDOM: order[:count], ASKED: asked[:count]}
            for way in WAYS:
                same = (way == ASKED and share == shares[0]) or (way != RANDOM and share == 1)
                twin = [p for p in points if (p.way, p.share, p.seed) == (RANDOM, share, seed)]
                if same and twin:
                    point = replace(twin[0], way=way)
                elif same:
                    point = replace(work.point(RANDOM, share, known[RANDOM], seed), way=way)
                else:
                    point = work.point(way, share, known[way], seed)
                points.append(point)
                if told is not None:
                    told(point)
            if share < 1:
                after = shares[list(shares).index(share) + 1]
                more = max(1, round(after * len(pool))) - count
                asked = work.ask(known[ASKED], more, seed)
    protocol = (
        f"{log.name}: the last {TEST_SHARE:.0%} of each person's rows are the test "
        f"({len(rows):,} of them read), {len(pool):,} labelled rows before them the pool. Labels "
        f"({', '.join(labels)}) outside the budget are known to nobody, neither in training nor in "
        f"a history; clicks are. Asked: of the rows without a label those of which the model of "
        f"the budget before is least certain. {seeds} seeds, {training.epochs} epochs, width "
        f"{settings.width}, {settings.num_layers} layers, not calibrated."
    )
    return LabelCurve(log.name, tuple(points), protocol)


def _parts(log: Log, labels: Sequence[str]) -> tuple[Bools, Bools]:
    """Labelled rows of the pool, and of the test: the last of each person."""
    events = log.events
    user_E = events["user"].to_numpy()
    count_E = np.bincount(user_E, minlength=log.num_users)[user_E]
    place_E = events.groupby("user").cumcount().to_numpy()
    late_E = place_E >= np.ceil((1 - TEST_SHARE) * count_E)
    labelled_E = events[list(labels)].notna().any(axis=1).to_numpy()
    labelled_E = labelled_E & (events["click"].to_numpy() > 0)
    if not (labelled_E & late_E).any() or not (labelled_E & ~late_E).any():
        raise UsageError(f"{log.name} has too few labelled rows of each person for a curve")
    return labelled_E & ~late_E, labelled_E & late_E


@dataclass(frozen=True)
class _Known:
    """A log of which some labels are known."""

    log: Log
    train_E: Bools  # its rows to train on
    place_E: Ints  # of each row of the whole log, among its rows


@dataclass(frozen=True)
class _Work:
    """What all trainings of a curve share."""

    log: Log
    labels: list[str]
    pool: Ints
    test_E: Bools
    rows: Ints  # test rows that are read
    settings: MultiTaskSettings
    training: TrainingSettings
    text_vectors_ND0: torch.Tensor | None
    device: str
    progress: bool

    def point(self, way: str, share: float, known: Ints, seed: int) -> Point:
        """Train and read; computed once."""

        def measure() -> dict[str, float]:
            model, part = self._trained(way, known, seed)
            p = self._read(model, part, self.rows)
            trained = head_weights(model.tasks, self.training.weights)
            figures: Figures = model_figures("", p, {}, trained)
            wanted = tuple(f"{label}_" for label in self.labels)
            return {
                name: value
                for name, value in figures.values.items()
                if name.startswith(wanted)
                and name.endswith(("_auc", "_rmse", "_rmsle"))
                and not name.endswith("_gauc")
            }

        found = kept("label-curves/point", self._decides(way, known, seed), measure)
        return Point(way, share, len(known), seed, dict(found))

    def ask(self, known: Ints, more: int, seed: int) -> Ints:
        """The labels so far and so many more: those of which their model is least certain."""

        def measure() -> list[int]:
            model, part = self._trained(ASKED, known, seed)
            rest = np.setdiff1d(self.pool, known)
            doubt = self._doubt(model, part, rest, seed)
            return [int(row) for row in rest[np.argsort(-doubt, kind="stable")[:more]]]

        found = kept("label-curves/asked", [*self._decides(ASKED, known, seed), more], measure)
        return np.concatenate([known, np.asarray(found, np.int64)])

    def _decides(self, way: str, known: Ints, seed: int) -> list[Any]:
        """Asked and random rows train alike."""
        kind = ONLY if way == ONLY else RANDOM
        text = self.text_vectors_ND0
        vectors = None if text is None else content_hash(text.cpu().numpy())
        return [
            *(self.log.sha256, kind, content_hash(np.sort(known)), seed, self.settings),
            *(self.training, FORMAT, vectors, self.device, TEST_SHARE, TEST_ROWS),
        ]

    def _known(self, known: Ints, only: bool) -> _Known:
        """The log of which only these labels are known."""
        events = self.log.events.copy()
        hidden_E = np.ones(len(events), bool)
        hidden_E[known] = False
        events.loc[hidden_E, self.labels] = np.float32(np.nan)
        user_E = events["user"].to_numpy()
        first_U = np.full(self.log.num_users, len(events))
        np.minimum.at(first_U, user_E[self.test_E], np.flatnonzero(self.test_E))
        late_E = np.arange(len(events)) >= first_U[user_E]
        left_E = ~hidden_E | late_E if only else np.ones(len(events), bool)
        identity = f"{self.log.sha256[:32]}{content_hash(np.sort(known), left_E)}".ljust(64, "0")
        log = replace(self.log, events=events[left_E].reset_index(drop=True), sha256=identity)
        return _Known(log, ~late_E[left_E], np.cumsum(left_E) - 1)

    def _trained(self, way: str, known: Ints, seed: int) -> tuple[MultiTaskBert, _Known]:
        """The model, and what it knows of the log."""
        part = self._known(known, way == ONLY)
        model = train_multitask(
            part.log,
            part.train_E,
            self.settings,
            self.training,
            place_of("label-curves/model", self._decides(way, known, seed)),
            text_vectors_ND0=self.text_vectors_ND0,
            seed=seed,
            device=self.device,
            label=f"{len(known):,} labels, {way}",
            progress=self.progress,
        )
        return model, part

    def _read(self, model: MultiTaskBert, part: _Known, rows: Ints) -> Predictions:
        """Predictions at rows, sorted, from what is known, held against all labels."""
        sequences = Sequences.from_log(part.log, self.device)
        p = predict(model, sequences, part.place_E[rows], negatives=1)
        full = self.log.events[[s.name for s in self.log.signals]].to_numpy(np.float32)
        return replace(p, value_xM=full[rows])

    def _doubt(
        self, model: MultiTaskBert, part: _Known, rows: Ints, seed: int
    ) -> NDArray[np.float64]:
        """How uncertain the model is of the labels of rows: p (1 - p), else spread by dropout."""
        at = next((m for m, t in enumerate(model.tasks) if m and t.calibrated), None)
        if at is not None:
            prob = expit(self._read(model, part, rows).output_xM[:, at].astype(np.float64))
            doubt: NDArray[np.float64] = prob * (1 - prob)
            return doubt
        sequences = Sequences.from_log(part.log, self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.train()
            outputs = [
                predict(model, sequences, part.place_E[rows], negatives=0).output_xM[:, 1]
                for _ in range(PASSES)
            ]
            model.eval()
        spread: NDArray[np.float64] = np.std(outputs, axis=0).astype(np.float64)
        return spread
