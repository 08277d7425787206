"""The three independent parties of an honest comparison, and the people each may know.

A simulates, B acts, J judges. Their models are fitted on different people; J's people are also
the ones on whom policies are read, again in groups that share nobody: one to calibrate the worlds,
one to select (caps, checkpoints), one to evaluate, and one for the control, whose people are met
nowhere else.

Another split of the same people turns the parties round: A's place is taken by whom B's had, B's by
J's, J's by A's. So in three splits everybody is judged once, and whoever selects in one of them
evaluates in none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from slategym.envs.names import UsageError
from slategym.envs.settings import Range
from slategym.envs.types import AgentLog, Population
from slategym.models.data.log import Log
from slategym.models.data.sittings import clicked
from slategym.models.data.splits import split_users
from slategym.models.files import kept, kept_path, place_of
from slategym.models.multitask.fit import Listener
from slategym.models.multitask.incremental import StateEncoder
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.train import FORMAT, train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.people.card import NOT_READ, write_card
from slategym.models.people.figures import Quality, quality, refuse
from slategym.models.people.registry import BERT, families, find_family
from slategym.models.people.types import Party
from slategym.models.simulator.population import population
from slategym.models.tasks import from_json, to_json
from slategym.models.taste import Taste
from slategym.models.text.settings import DEFAULT_ENCODER
from slategym.models.text.vectors import item_text_vectors

SHARES = {"A": 1 / 3, "B": 1 / 3, "J": 1 / 3}
GROUP_SHARES = {"calibration": 0.2, "selection": 0.3, "evaluation": 0.5}
CONTROL_SHARE = 1 / 3  # of the evaluation people, who are in the control and nowhere else
GROUPS = ("training", *GROUP_SHARES, "control")
SPLIT_SEED = 7
MOST_SPLITS = 3  # as many as parties: a further one would judge people for a second time
Split = Annotated[int, Range(0, 2)]
FEWEST_PEOPLE = 15  # of whom every group has one
UNMET = "J-unmet"  # J's people without the selection people: the fit on whom figures are read
USUAL = {"A": BERT, "B": BERT, "J": "factor"}  # family of each party's model
HELD_SHARE = 0.15  # of A's people, on whom a family's outputs are calibrated
LEFT_OUT = 0.2  # of a party's people, by every further member of an ensemble
QUALITY_FORMAT = 1  # of how figures are read: a change is a new one
ENOUGH = 0.5  # of a group's people; so many must have the clicks with which everybody arrives


@dataclass(frozen=True)
class PartySettings:
    """All that decides the three models besides the data."""

    model: MultiTaskSettings = field(default_factory=MultiTaskSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    validation_share: float = 0.1  # of a party's own people, for early stopping
    warm: int = 10  # clicks with which everybody arrives; fewer where a log's people have fewer
    starts: int = 8  # arrivals per person


class Parties:
    """A log, its people in their groups, and the models fitted on them when first needed."""

    def __init__(
        self, log: Log, settings: PartySettings = PartySettings(), split: Split = 0
    ) -> None:
        """Part the people; nothing is fitted yet.

        Args:
            log: whose people.
            settings: of the models.
            split: which of the ways to part them; see this module.

        Raises:
            UsageError: if the log has too few people, or too few with a click.
        """
        self.log, self.settings, self.split = log, settings, split
        if log.num_users < FEWEST_PEOPLE:
            raise UsageError(_too_few(log, f"has {log.num_users}"))
        thirds = list(split_users(log.num_users, SHARES, SPLIT_SEED).values())
        parts = dict(zip(SHARES, thirds[split:] + thirds[:split], strict=True))
        self.people: dict[str, np.ndarray] = dict(parts)
        groups = split_users(len(parts["J"]), GROUP_SHARES, SPLIT_SEED + 1)
        for group, at in groups.items():
            self.people[group] = parts["J"][at]
        shares = {"evaluation": 1 - CONTROL_SHARE, "control": CONTROL_SHARE}
        last = self.people["evaluation"]
        for group, at in split_users(len(last), shares, SPLIT_SEED + 2).items():
            self.people[group] = last[at]
        self.people[UNMET] = np.setdiff1d(parts["J"], self.people["selection"])
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
        """Starting points of a group's people: training (A and B), or one of J's groups.

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

    def folder(self, party: str, member: int = 0, family: str | None = None) -> Path:
        """Where this party's model is kept; its name holds the hash of all that decides it.

        Args:
            party: "A", "B" or "J".
            member: of an ensemble.
            family: of people; None: the party's usual one.
        """
        return place_of(*self._kept_as(party, member, family or USUAL[party]))

    def _kept_as(self, party: str, member: int, family: str) -> tuple[str, list[Any]]:
        """Where below `home`, and all that decides the model."""
        s = self.settings
        decides: list[Any] = [self.log.sha256, SHARES, SPLIT_SEED, party]
        decides += [self.split] if self.split else []
        if family == BERT:
            training = self.training(party)
            decides += [s.model, training, s.validation_share, member, FORMAT]
            decides += training.versions.items()
            return f"models/{self.slug}-{party}", decides
        kind = families.find(family).load()
        decides += [family, kind.version, HELD_SHARE, LEFT_OUT, member, self._history]
        decides += [DEFAULT_ENCODER] if kind.reads_text else []
        return f"models/{self.slug}-{party}-{re.sub(r'[^a-z0-9]+', '-', family.lower())}", decides

    def training(self, party: str) -> TrainingSettings:
        """How a party's model is trained: for fewer epochs where the party has many rows."""
        return self.settings.training.for_rows(self.rows(party))

    def rows(self, party: str) -> int:
        """Rows of a party's people."""
        rows_U = np.bincount(self.log.events["user"].to_numpy(), minlength=self.log.num_users)
        return int(rows_U[self.people[party]].sum())

    @property
    def _history(self) -> int:
        """Clicks before a row that are read: as many as the network's."""
        return self.settings.model.max_history

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
        """A party's multi-task BERT, fitted on its own people only, once.

        Args:
            party: "A", "B" or "J".
            progress: show a bar.
            listener: told of every epoch.
            member: of an ensemble: others than 0 have other initial weights, other batches and
                other people held out.
        """
        seed = ord(party[0]) + 1000 * member
        rng = np.random.default_rng([SPLIT_SEED, seed])
        people = rng.permutation(self.people[party])
        held = max(1, round(len(people) * self.settings.validation_share))
        return train_multitask(
            self.log,
            np.sort(people[held:]),
            self.settings.model,
            self.training(party),
            place_of(*self._kept_as(party, member, BERT)),
            validation=np.sort(people[:held]),
            seed=seed,
            label=f"multi-task BERT of {party}" + (f", model {member + 1}" if member else ""),
            progress=progress,
            on_epoch=listener,
        )

    def taste(
        self,
        family: str,
        party: str,
        member: int = 0,
        *,
        seconds_per_event: float = 60.0,
        device: str = "cpu",
    ) -> Taste[Any]:
        """A party's people as a family has them, fitted once.

        Args:
            family: "bert", or a name in `families`.
            party: "A", "B" or "J".
            member: of an ensemble: others than 0 have not met a fifth of the people.
            seconds_per_event: gap that the network is told between events of a session.
            device: of its tensors.

        Raises:
            UsageError: there is no such family, or it cannot be fitted on such a log.
        """
        find_family(family)
        if family == BERT:
            model = self.bert(party, member=member).to(device)
            return StateEncoder(model, seconds_per_event=seconds_per_event)
        kind = families.find(family).load()

        def fit(folder: Path) -> None:
            fitted_on = self._party(party, member, kind.reads_text)
            found = kind.fit(fitted_on)
            folder.mkdir(parents=True, exist_ok=True)
            kind.save(found, folder)
            about = {
                "family": family,
                "party": party,
                "people": len(fitted_on.people),
                "held": len(fitted_on.held),
                "tasks": to_json(found.tasks),
            }
            (folder / "config.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
            write_card(folder, self.log, family, kind.one_line, about, NOT_READ)

        folder = kept_path(*self._kept_as(party, member, family), fit)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return kind.load(folder, from_json(config["tasks"]), device)

    def _party(self, party: str, member: int, reads_text: bool) -> Party:
        """The people of a fit, and those of them on whom it is calibrated."""
        people = self.people[party]
        rng = np.random.default_rng([SPLIT_SEED, ord(party[0]), member])
        if member:
            people = np.sort(rng.permutation(people)[round(LEFT_OUT * len(people)) :])
        held = np.intersect1d(people, self.people["calibration"])
        if not len(held):
            held = np.sort(rng.permutation(people)[: max(1, round(HELD_SHARE * len(people)))])
        texts = self.log.items["text"].tolist() if reads_text else []
        text_ND0 = item_text_vectors(texts, progress=False) if texts else None
        return Party(self.log, people, held, text_ND0, member, self._history)

    def quality(self, family: str, party: str) -> Quality:
        """How well a family does on selection people, who are unknown to the fit that is read.

        J's people include them: there another fit is read, on J's others. Computed once.

        Args:
            family: "bert", or a name in `families`.
            party: "A", "B" or "J".
        """
        read = UNMET if party == "J" else party

        def measured() -> dict[str, Any]:
            found = quality(
                self.taste(family, read),
                self.log,
                self.people[read],
                self.people["selection"],
                least=self.warm,
                history=self._history,
            )
            return found.to_json()

        place, decides = self._kept_as(read, 0, find_family(family))
        place = place.replace("models/", "figures/", 1)
        decides = [*decides, self.warm, GROUP_SHARES, QUALITY_FORMAT]
        found = Quality.from_json(kept(place, decides, measured))
        if family != BERT and (folder := self.folder(party, 0, family)).is_dir():
            self._say_in_card(folder, family, found)
        return found

    def _say_in_card(self, folder: Path, family: str, found: Quality) -> None:
        card = (folder / "README.md").read_text(encoding="utf-8")
        if NOT_READ in card:
            about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            one_line = families.find(family).one_line
            write_card(folder, self.log, family, one_line, about, found.sentence())

    def check(self, family: str, party: str) -> None:
        """Refuse a family that does worse than no model on people unknown to it.

        Raises:
            UsageError: with its figures, and with families that do not.
        """
        found = self.quality(family, party)
        if found.worse:
            others = [name for name in (BERT, *families.own) if name != family]
            fine = [name for name in others if self._fine(name, party)]
            refuse(family, "judge" if party == "J" else "world", found, fine)

    def _fine(self, family: str, party: str) -> bool:
        try:
            return not self.quality(family, party).worse
        except UsageError:  # it cannot be fitted on this log
            return False

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

    def prepare(
        self,
        party: str,
        progress: bool = True,
        listener: Listener | None = None,
        family: str | None = None,
    ) -> None:
        """Fit one party's model if it is not there yet.

        Args:
            party: "A", "B" or "J".
            progress: show a bar, where there are epochs.
            listener: told of every epoch.
            family: of people; None: the party's usual one.
        """
        family = family or USUAL[party]
        if family == BERT:
            self.bert(party, progress, listener)
        else:
            self.taste(family, party)


def _too_few(log: Log, found: str) -> str:
    return (
        f"a learned world parts people in three, and the last third in three groups: at least "
        f"{FEWEST_PEOPLE} people are needed, some with a click in each group; {log.name} {found}; "
        "add people, or see what else it is fit for: slategym data check"
    )
