"""The units of the MovieLens study: what each computes, from its spec and what it needs.

The study itself, which units there are and why, is `experiments/studies/movielens.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from slategym.agents.core.ranker import ranker_of
from slategym.agents.learning import (
    CurvePoint,
    PPOSettings,
    SACSettings,
    train_plackett_luce,
    train_proto_sac,
)
from slategym.agents.policy_gradient.residual import ResidualSettings
from slategym.agents.registry import make_policy
from slategym.agents.saved import save_policy
from slategym.envs.types import World
from slategym.experiments.measure.play import play
from slategym.experiments.runs.units import Progress, Work
from slategym.models.assets.registry import fetch
from slategym.models.multitask.calibrate import reliability_rows
from slategym.models.multitask.fit import Listener
from slategym.models.multitask.predict import predict
from slategym.models.multitask.scores import model_figures, platt_of
from slategym.models.multitask.sequences import Sequences
from slategym.models.simulator.movielens import (
    BOREDOM,
    DATASET,
    click_constants,
    movielens,
    movielens_judge,
    parties,
    patience_chosen,
)
from slategym.models.tasks import NEXT
from slategym.models.text.vectors import item_text_vectors

PREFIX = "slategym/"
METRIC_ROWS = 4000  # events of selection people on which A's and B's models are measured


@dataclass(frozen=True)
class Reading:
    """Where, on whom and with which luck policies are read."""

    variant: str  # "world" | "static" | "judge"
    boredom: float  # log-odds
    group: str  # of J's people
    num_users: int  # arrivals
    luck: int  # seed of what happens
    slate_size: int

    @property
    def world_id(self) -> str:
        """The registered world that it uses."""
        return f"{PREFIX}MovieLens-Judge-v0" if self.variant == "judge" else f"{PREFIX}MovieLens-v0"


@lru_cache(maxsize=12)
def world_of(variant: str, boredom: float, group: str, slate_size: int, device: str) -> World:
    """The world of a reading, built once a process."""
    build = movielens_judge if variant == "judge" else movielens
    return build(
        static=variant == "static",
        users=group,
        slate_size=slate_size,
        boredom=boredom,
        device=device,
    )


@dataclass(frozen=True)
class Lesson:
    """One training run of one learner."""

    agent: str
    trained_in: str  # "world" | "static"
    seed: int
    slate_size: int
    settings: PPOSettings | SACSettings
    network: ResidualSettings | None = None
    boredom: float = BOREDOM


def data(work: Work) -> dict[str, Any]:
    """The log and the item vectors, fetched and computed once for everybody."""
    work.progress(0, 3, "fetching")
    fetch(DATASET, progress=False)
    fetch("all-minilm-l6-v2", progress=False)
    work.progress(1, 3, "encoding the item texts")
    log = parties().log
    item_text_vectors(log.items["text"].tolist(), progress=False)
    return {
        "sha256": log.sha256,
        "events": len(log.events),
        "users": len(log.users),
        "items": len(log.items),
        "people": {group: len(people) for group, people in parties().people.items()},
    }


def fit(work: Work) -> dict[str, Any]:
    """One party's model, kept in the cache folder under a name that is part of the result."""
    party = work.spec["party"]
    epochs = parties().settings.training.epochs
    parties().prepare(party, progress=False, listener=_epochs(work.progress, epochs))
    return {"party": party, "folder": parties().folder(party).name}


def constants(work: Work) -> dict[str, Any]:
    """Choice constants of the world and of the judge's world, and patience, before any learning."""
    chosen = {party: asdict(click_constants(party)) for party in ("A", "J")}
    return {**chosen, "patience": asdict(patience_chosen())}


def accuracy(work: Work) -> dict[str, Any]:
    """A's and B's model on selection people, whom neither has met; the judge on its held-out."""
    sides, log = parties(), parties().log
    sequences = Sequences.from_log(log)
    rows_E = np.flatnonzero(np.isin(log.events["user"], sides.people["selection"]))
    rows_E = np.sort(np.random.default_rng(0).permutation(rows_E)[:METRIC_ROWS])
    table, reliability = [], []
    for turn, party in enumerate(("A", "B")):
        work.progress(turn, 3, f"model {party}")
        model = sides.bert(party, progress=False)
        said = predict(model, sequences, rows_E)
        platt = platt_of(model)
        weights = {**dict.fromkeys(model.heads, 1.0), NEXT: 0.0}
        found = model_figures("", said, platt, weights).values
        figures: dict[str, Any] = {"model": f"{party}: multi-task BERT", "rows": len(rows_E)}
        figures |= {name: value for name, value in found.items() if not name.endswith("_raw")}
        for head, scaling in platt.items():
            reliability += reliability_rows(said, party, head, scaling)
        table.append(figures)
    work.progress(2, 3, "judge")
    judge = {"model": "J: factor model", **sides.judge_metrics()}
    return {"metrics": [*table, judge], "reliability": reliability}


def read(work: Work) -> pd.DataFrame:
    """Episode rows of several policies in one reading.

    The spec has `reading`, `policies` and `seed`; a policy named `#n` is what the n-th needed
    unit has learned, called by that unit's lesson.
    """
    spec, device = work.spec, work.settings.get("device", "cpu")
    reading: Reading = spec["reading"]
    world = world_of(reading.variant, reading.boredom, reading.group, reading.slate_size, device)
    available = world.population.size
    users = torch.arange(min(reading.num_users, available), dtype=torch.int32)
    parts = []
    for turn, wanted in enumerate(spec["policies"]):
        label, trained_in, seed, source = wanted, "", 0, wanted
        if wanted.startswith("#"):
            need = int(wanted[1:])
            lesson: Lesson = work.unit.needs[need].spec
            label, trained_in, seed = lesson.agent, lesson.trained_in, lesson.seed
            source = str(work.needed_folder(need))
        elif wanted == "supervised-capped":
            source = work.needed(spec["cap"])["policy"]
        work.progress(turn, len(spec["policies"]), label)
        rows = play(world, make_policy(source, world), users.to(device), seed=reading.luck)
        parts.append(rows.assign(policy=label, trained_in=trained_in, seed=seed))
    return pd.concat(parts, ignore_index=True).assign(
        world=reading.world_id,
        variant=reading.variant,
        boredom=reading.boredom,
        group=reading.group,
    )


def choose_cap(work: Work) -> dict[str, Any]:
    """The cap per genre that does best on selection users; ties go to the looser one."""
    rows = work.needed(0)
    means = rows.groupby("policy")["return"].mean()
    returns = {name: float(means[name]) for name in work.spec["caps"]}  # loosest first
    return {"policy": max(returns, key=lambda name: returns[name]), "returns": returns}


def learn(work: Work) -> pd.DataFrame:
    """Train one agent; its policy goes to the unit's folder, its learning curve is the table."""
    lesson: Lesson = work.spec
    device = work.settings.get("device", "cpu")
    world = movielens(
        static=lesson.trained_in == "static",
        users="training",
        slate_size=lesson.slate_size,
        boredom=lesson.boredom,
        starts=4,
        device=device,
    )

    def listener(steps: int, total: int, figures: dict[str, float]) -> None:
        work.progress(steps, total, f"return {figures['return']:.1f}")

    logs: str | None = work.settings.get("tensorboard")
    folder = Path(logs) / work.unit.name if logs else None
    ranker = ranker_of(world)
    curve: list[CurvePoint]
    if isinstance(lesson.settings, PPOSettings):
        assert lesson.network is not None
        policy, curve = train_plackett_luce(
            world,
            ranker,
            lesson.settings,
            lesson.network,
            seed=lesson.seed,
            listener=listener,
            tensorboard=folder,
        )
        save_policy(policy, work.folder, asdict(lesson))
    else:
        proto, curve = train_proto_sac(
            world, ranker, lesson.settings, seed=lesson.seed, listener=listener, tensorboard=folder
        )
        save_policy(proto, work.folder, asdict(lesson))
    return pd.DataFrame(curve, columns=list(CurvePoint._fields)).assign(
        policy=lesson.agent, trained_in=lesson.trained_in, seed=lesson.seed
    )


def _epochs(progress: Progress, epochs: int) -> Listener:
    """Turns a training's epochs into progress."""

    def listener(epoch: int, losses: dict[str, float]) -> None:
        shown = {name: value for name, value in losses.items() if name != "epoch"}
        progress(epoch, epochs, " ".join(f"{name} {value:.2f}" for name, value in shown.items()))

    return listener
