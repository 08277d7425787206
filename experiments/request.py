"""What is asked of a study: how much of it, where, and what differs from the study's own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from slategym.envs.names import UsageError, lookup
from slategym.experiments.study import Profile, Study

MOST_SEEDS = 100


@dataclass(frozen=True)
class Request:
    """How much of a study, where, and with what. None: the study's own."""

    profile: str = "quick"
    out: str | Path = "runs"  # run folder
    workers: int = 0  # processes; 0: this one
    ray: str | None = None  # address of a Ray cluster to compute on instead, or "auto"
    device: str = "cpu"  # to compute on
    seeds: int | None = None  # of training, each learner
    users: int | None = None  # on whom policies are read
    slate_size: int | None = None  # K, where the study lets it be chosen
    agents: tuple[str, ...] = ()  # learners; (): the study's
    log: str | None = None  # name or folder, of the study `log`
    objective: tuple[tuple[str, float], ...] = ()  # reward per unit of a signal; (): the log's
    assumptions: str | None = None  # names with commas, of studies of logs; None: the profile's
    splits: int | None = None  # of the people into parties, of studies of logs
    families: str | None = None  # of a grid: names with commas, "all" or "none"; None: profile's

    def of(self, study: Study) -> Study:
        """The study with the learners, slates and assumptions that were asked for.

        Raises:
            UsageError: it cannot have them; there is no such profile.
        """
        if self.agents:
            study = study.with_agents(self.agents)
        if self.slate_size is not None and self.slate_size != study.slates:
            study = study.with_slates(self.slate_size)
        self.in_families(study)
        further = lookup("profile", self.profile, study.profiles).assumptions
        if self.assumptions is not None:
            return study.under(study.named(self.assumptions) or (study.assumptions,), {})
        if not further:
            return study
        return study.under((study.assumptions, *further), {} if self.agents else further)

    def size(self, study: Study) -> Profile:
        """The numbers.

        Raises:
            UsageError: there is no such profile, or a number is out of range.
        """
        profile = lookup("profile", self.profile, study.profiles)
        seeds = profile.seeds if self.seeds is None else self.seeds
        users = profile.users if self.users is None else self.users
        if not 1 <= seeds <= MOST_SEEDS:
            raise UsageError(f"seeds must be in [1, {MOST_SEEDS}], got {seeds}")
        splits = self._splits(study, profile)
        if not 2 <= users <= study.most_users:
            raise UsageError(f"users must be in [2, {study.most_users}], got {users}")
        control = seeds if profile.control_seeds is None else min(seeds, profile.control_seeds)
        alone = self.seeds is not None or len(study.of_role("open")) < 2
        return replace(
            profile,
            seeds=seeds,
            users=users,
            control_seeds=control,
            place_seeds={} if alone else profile.place_seeds,
            splits=splits,
        )

    def in_families(self, study: Study) -> tuple[str, ...]:
        """Families in whose worlds and before whose judges everybody is read; (): of the study's.

        Raises:
            UsageError: there is no such family or profile, or the study is not of a log.
        """
        from slategym.models.people.registry import family_names, find_family

        profile = lookup("profile", self.profile, study.profiles)
        if self.families is None:
            return family_names() if profile.families and study.log is not None else ()
        if study.log is None:
            raise UsageError(f"--families is for studies of logs, not for {study.name}")
        if self.families in ("all", "none"):
            return family_names() if self.families == "all" else ()
        return tuple(find_family(name.strip()) for name in self.families.split(","))

    def _splits(self, study: Study, profile: Profile) -> int:
        """In how many ways the people are parted."""
        from slategym.models.simulator.parties import MOST_SPLITS

        if self.splits is None:
            return profile.splits
        if study.log is None:
            raise UsageError(f"--splits is for studies of logs, not for {study.name}")
        if not 1 <= self.splits <= MOST_SPLITS:
            raise UsageError(
                f"splits must be in [1, {MOST_SPLITS}], got {self.splits}: in {MOST_SPLITS} "
                "everybody is judged once"
            )
        return self.splits

    def command(self, study: Study) -> str:
        """That repeats it."""
        words = ["slategym", "benchmark", study.name, *([self.log] if self.log else [])]
        words += ["--profile", self.profile]
        objective = ",".join(f"{name}={weight:g}" for name, weight in self.objective)
        for option, value in (
            ("--objective", objective or None),
            ("--agents", ",".join(self.agents) or None),
            ("--seeds", self.seeds),
            ("--users", self.users),
            ("--slate-size", self.slate_size),
            ("--assumptions", self.assumptions),
            ("--splits", self.splits),
            ("--families", self.families),
        ):
            words += [] if value is None else [option, str(value)]
        return shlex.join(words)
