"""The three independent parties of an honest comparison, and the people each may know.

A simulates, B acts, J judges. Their models are fitted on different people; J's people are also
the ones on whom policies are read, again in three groups that share nobody: one to calibrate the
worlds, one to select (caps, checkpoints), one to evaluate.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slategym.envs.names import UsageError
from slategym.envs.types import AgentLog, Population
from slategym.models.data.log import Log
from slategym.models.data.sittings import clicked
from slategym.models.data.splits import split_users
from slategym.models.files import kept_path, place_of
from slategym.models.judge.factor import FORMAT as JUDGE_FORMAT
from slategym.models.judge.factor import (
    FactorModel,
    JudgeSettings,
    judge_card,
    load_judge,
    save_judge,
)
from slategym.models.judge.fit import train_judge
from slategym.models.multitask.fit import Listener, TrainingSettings
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.train import FORMAT, train_multitask
from slategym.models.simulator.population import population

SHARES = {"A": 1 / 3, "B": 1 / 3, "J": 1 / 3}
GROUP_SHARES = {"calibration": 0.2, "selection": 0.3, "evaluation": 0.5}
GROUPS = ("training", *GROUP_SHARES)
SPLIT_SEED = 7
FEWEST_PEOPLE = 15  # of whom every group has one
ENOUGH = 0.5  # of a group's people; so many must have the clicks with which everybody arrives


@dataclass(frozen=True)
class PartySettings:
    """All that decides the three models besides the data."""

    model: MultiTaskSettings = field(default_factory=MultiTaskSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(epochs=8))
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    validation_share: float = 0.1  # of a party's own people, for early stopping
    warm: int = 10  # clicks with which everybody arrives; fewer where a log's people have fewer
    starts: int = 8  # arrivals per person


class Parties:
    """A log, its people in their groups, and the models fitted on them when first needed."""

    def __init__(self, log: Log, settings: PartySettings = PartySettings()) -> None:
        """Part the people; nothing is fitted yet.

        Raises:
            UsageError: if the log has too few people, or too few with a click.
        """
        self.log, self.settings = log, settings
        if log.num_users < FEWEST_PEOPLE:
            raise UsageError(_too_few(log, f"has {log.num_users}"))
        parts = split_users(log.num_users, SHARES, SPLIT_SEED)
        self.people: dict[str, np.ndarray] = dict(parts)
        groups = split_users(len(parts["J"]), GROUP_SHARES, SPLIT_SEED + 1)
        for group, at in groups.items():
            self.people[group] = parts["J"][at]
        self.people["training"] = np.sort(np.concatenate([parts["A"], parts["B"]]))
        self.warm = self._warm()

    def _warm(self) -> int:
        """Clicks with which everybody arrives: those asked for, or what half of each group has."""
        user = clicked(self.log)["user"].to_numpy()
        clicks_U = np.bincount(user, minlength=self.log.num_users)
        wanted = self.settings.warm
        for group in GROUPS:
            theirs = clicks_U[self.people[group]]
            if not (theirs > 0).any():
                raise UsageError(
                    _too_few(self.log, f"has none with a click among the {group} people")
                )
            if (theirs >= wanted).mean() < ENOUGH:
                wanted = int(min(wanted, max(1, np.median(theirs[theirs > 0]))))
        return wanted

    def population(self, group: str, starts: int | None = None) -> Population:
        """Starting points of a group's people: training (A and B), or one of J's three groups.

        Raises:
            UsageError: if there is no such group.
        """
        if group not in GROUPS:
            raise UsageError(f"unknown group of users {group!r}; known: {', '.join(GROUPS)}")
        return population(
            self.log,
            self.people[group],
            starts=self.settings.starts if starts is None else starts,
            warm=self.warm,
            seed=SPLIT_SEED + GROUPS.index(group),
        )

    def folder(self, party: str, member: int = 0) -> Path:
        """Where this party's model is kept; its name holds the hash of all that decides it."""
        return place_of(*self._kept_as(party, member))

    def _kept_as(self, party: str, member: int = 0) -> tuple[str, list[Any]]:
        """Where below `home`, and all that decides the model."""
        s = self.settings
        decides: list[Any] = [self.log.sha256, SHARES, SPLIT_SEED, party]
        if party == "J":
            decides += [s.judge, JUDGE_FORMAT]
        else:
            decides += [s.model, s.training, s.validation_share, member, FORMAT]
        return f"models/{self.slug}-{party}", decides

    @property
    def slug(self) -> str:
        """The log's name as part of a file's."""
        return re.sub(r"[^\w.-]+", "-", self.log.name).strip("-.") or "log"

    def bert(
        self,
        party: str,
        progress: bool = True,
        listener: Listener | None = None,
        member: int = 0,
    ) -> MultiTaskBert:
        """The multi-task BERT of A or B, fitted on its own people only, once.

        Args:
            party: "A" or "B".
            progress: show a bar.
            listener: told of every epoch.
            member: of an ensemble: others than 0 have other initial weights, other batches and
                other people held out.
        """
        seed = ord(party) + 1000 * member
        rng = np.random.default_rng([SPLIT_SEED, seed])
        people = rng.permutation(self.people[party])
        held = max(1, round(len(people) * self.settings.validation_share))
        return train_multitask(
            self.log,
            np.sort(people[held:]),
            self.settings.model,
            self.settings.training,
            self.folder(party, member),
            validation=np.sort(people[:held]),
            seed=seed,
            label=f"multi-task BERT of {party}" + (f", model {member + 1}" if member else ""),
            progress=progress,
            on_epoch=listener,
        )

    def judge(self) -> FactorModel:
        """The judge, fitted on J's people."""

        def fit(folder: Path) -> None:
            model, figures = train_judge(self.log, self.people["J"], self.settings.judge)
            save_judge(model, self.settings.judge, figures, folder, judge_card(self.log, figures))

        return load_judge(kept_path(*self._kept_as("J"), fit))

    def judge_metrics(self) -> dict[str, float]:
        """What the judge reached on held-out people of its own."""
        self.judge()
        figures: dict[str, float] = json.loads((self.folder("J") / "config.json").read_text())[
            "metrics"
        ]
        return figures

    def clicks_of(self, party: str) -> torch.Tensor:
        """How often each item was taken up by a party's people, (N,) float32."""
        events = clicked(self.log)
        mine = events["item"].to_numpy()[np.isin(events["user"], self.people[party])]
        counts = np.bincount(mine, minlength=len(self.log.items))
        return torch.as_tensor(counts, dtype=torch.float32)

    def agent_log(self, party: str) -> AgentLog:
        """Everything that a party's people did, for whoever learns from them."""
        log = self.log
        mine = log.events[np.isin(log.events["user"], self.people[party])]
        _, user_E = np.unique(mine["user"], return_inverse=True)
        feedback_EM = mine[[signal.name for signal in log.signals]].to_numpy(np.float32)
        return AgentLog(
            user=torch.as_tensor(user_E, dtype=torch.int32),
            item=torch.tensor(mine["item"].to_numpy(), dtype=torch.int32),
            feedback=torch.tensor(feedback_EM),
            signals=log.signals,
            repeats=log.repeats,
        )

    def prepare(self, party: str, progress: bool = True, listener: Listener | None = None) -> None:
        """Fit one party's model if it is not there yet."""
        if party == "J":
            self.judge()
        else:
            self.bert(party, progress, listener)


def _too_few(log: Log, found: str) -> str:
    return (
        f"a learned world parts people in three, and the last third in three groups: at least "
        f"{FEWEST_PEOPLE} people are needed, some with a click in each group; {log.name} {found}"
    )
