"""Learners that begin at a ranker refitted on slates of their own: NAME-from-refit.

Half of the slates goes to `supervised-refit`, from the best tuned policy on; the learner has the
other half, and begins at what the first made: the ranker's utilities and rewards with the
corrections that were fitted, so that with nothing learned on top it serves what refit serves, every
slate, the history rule heeded where refit heeds it. In all it is shown as many slates as the
learner alone or as `supervised-refit` alone. Half, because selection people are hardly better off
with a refit of fewer slates than with the tuned policy (MovieLens-v0 under `mixed`, of 307,200
slates a third, half and all: +.92 [.05, 1.80], +1.31 [.51, 2.14], +1.87 [1.16, 2.55]), and what is
learned on top needs slates, too.

Nothing is begun at that is worse than the tuned policy. When its slates are shown, refit and its
start meet selection people (`agents/core/step_back.py`), and the learner begins at refit where
that is clearly better, at the tuned policy as ever otherwise. After training the same rule decides
between what was learned and what it began at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.core.agent import Agent
from slategym.agents.core.offer import Offers
from slategym.agents.core.ranker import Pairs, Ranker
from slategym.agents.core.step_back import decide
from slategym.agents.core.tuning import Setting
from slategym.agents.refit.agent import RefitSettings, SupervisedRefit
from slategym.agents.refit.network import Correction
from slategym.agents.types import Action, Policy
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

SHARE = 1 / 2  # of all slates, with which the ranker is refitted
REFIT, LEARNER = "refit.", "learner."  # begin the names of their weights


@dataclass(frozen=True)
class FittedCorrections:
    """What a refit fitted, as a ranker has it."""

    offers: Offers
    correction: Correction

    @torch.no_grad()
    def offered(self, observation: Observation, count: int) -> Pairs:
        """Of at least `count` of the likeliest clicks; utilities are less that of nothing."""
        offer = self.offers(observation, count)
        return Pairs(offer.id, offer.allowed, *self.correction(offer))

    @torch.no_grad()
    def of(self, observation: Observation, id_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Utility and reward of these items, (B, K) each, by what the session has shown so far."""
        utility_BK, reward_BK = self.correction(self.offers.of(observation, id_BK))
        return utility_BK, reward_BK


def refitted_ranker(refit: SupervisedRefit) -> Ranker:
    """The ranker with what was fitted so far: its best slates are those of the refit."""
    corrections = FittedCorrections(refit.offers, refit.correction)
    return replace(refit.ranker, corrections=corrections)


def refit_settings(num_steps: int) -> RefitSettings:
    """Of a refit of so many slates: its own defaults, rounds shorter where slates are few."""
    default = RefitSettings()
    users = min(default.num_users, num_steps)
    return replace(
        default,
        num_steps=num_steps,
        num_users=users,
        rollout=min(default.rollout, max(1, num_steps // users)),
    )


class RefitFirst(Agent):
    """A refit, then a learner that begins at it. Abstract; see `from_refit`."""

    learner: ClassVar[type[Agent]]
    refit: SupervisedRefit
    after: Agent  # the learner

    @classmethod
    def default_settings(cls) -> Any:
        """The learner's own: as many slates in all."""
        return cls.learner.default_settings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """Refuse a world in which refit or the learner cannot act."""
        SupervisedRefit.check_world(world)
        cls.learner.check_world(world)

    def build(self) -> None:
        """Both, with nothing learned."""
        first = refit_settings(max(1, round(SHARE * self.settings.num_steps)))
        self.refit = SupervisedRefit(self.world, first, seeds=self.seeds)
        self.over = False  # whether the refit has had its slates
        self.paid = False  # whether the learner begins at it
        self._make()
        if self.after.at_start() is None:
            raise UsageError(
                f"{self.name} begins at a ranker, and with these settings {self.learner.name} "
                "begins at none; leave shortlist as it is"
            )

    def _make(self) -> None:
        """The learner with nothing learned, where it begins."""
        shown = self.refit.settings.num_steps
        settings = replace(self.settings, num_steps=max(1, self.settings.num_steps - shown))
        ranker = refitted_ranker(self.refit) if self.paid else None
        self.after = self.learner(self.world, settings, seeds=self.seeds, ranker=ranker)

    @property
    def _now(self) -> Agent:
        """Whose turn it is."""
        return self.after if self.over else self.refit

    def chosen(self) -> Mapping[str, Setting]:
        """The tuned policies from which it starts."""
        return {**self.refit.chosen(), **self.after.chosen()}

    def at_start(self) -> Policy | None:
        """What the learner begins at; before that, what refit does."""
        return self._now.at_start()

    @property
    def start_name(self) -> str | None:
        """Of that, by name; None: refit, of which there is another of this name."""
        return None if self.over and self.paid else self._now.start_name

    def serve(self, trained: Sequence[bool]) -> None:
        """What was learned, or what it began at."""
        self._now.serve(trained)

    def begin(self, world: World) -> None:
        """Seat the training users of both."""
        self.where = world
        self.refit.begin(world)
        self.after.begin(world)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """One of the refit, and once it has had its slates, of the learner."""
        now = self._now
        shown, figures = now.cycle()
        now.steps += shown
        if not self.over and self.refit.steps >= self.refit.settings.num_steps:
            self._hand_over()
        return shown, figures

    def _hand_over(self) -> None:
        """From refit to the learner, which begins at it where selection people say so."""
        refit = self.refit
        refit.serve([True])
        named = {"start": refit.start_name, "chosen": dict(refit.chosen())}
        # as many people as are asked of the whole training, of which this is the first part
        steps = max(refit.steps, self.settings.num_steps)
        found = decide(self.where, refit.at_start(), [refit], steps, named)
        self.over, self.paid = True, not found or found[0].policy == "trained"
        self._make()
        self.after.begin(self.where)

    def act(self, observation: Observation, luck: Luck) -> Action:
        """As whoever's turn it is."""
        return self._now.act(observation, luck)

    def explore(self, observation: Observation, luck: Luck) -> Action:
        """As whoever's turn it is."""
        return self._now.explore(observation, luck)

    def weights(self) -> dict[str, Tensor]:
        """Of both, and where the learner begins."""
        return self._weights(self.after.weights())

    def blank(self) -> Mapping[str, Tensor]:
        """Of the same names and shapes."""
        return self._weights(self.after.blank())

    def _weights(self, of_learner: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            **{f"{REFIT}{name}": x for name, x in self.refit.weights().items()},
            **{f"{LEARNER}{name}": x for name, x in of_learner.items()},
            "over": torch.tensor(self.over),
            "paid": torch.tensor(self.paid),
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        self.refit.load_weights(_below(REFIT, weights))
        self.over, self.paid = bool(weights["over"]), bool(weights["paid"])
        self._make()
        self.after.load_weights(_below(LEARNER, weights))

    def state(self) -> Any:
        """Of both, and how far each is."""
        return {
            "refit": self.refit.state(),
            "learner": self.after.state(),
            "refit_steps": torch.tensor(self.refit.steps),
            "learner_steps": torch.tensor(self.after.steps),
            "over": torch.tensor(self.over),
            "paid": torch.tensor(self.paid),
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.refit.restore(state["refit"])
        self.refit.steps = int(state["refit_steps"])
        self.over, self.paid = bool(state["over"]), bool(state["paid"])
        if self.over:
            self._make()
            self.after.begin(self.where)
        self.after.restore(state["learner"])
        self.after.steps = int(state["learner_steps"])


def _below(begins: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(begins): x for name, x in weights.items() if name.startswith(begins)}


@cache
def from_refit(found: type[Agent], called: str) -> type[Agent]:
    """The learner of that name which begins at a refitted ranker.

    Args:
        found: the learner.
        called: its name, in tables and folders.

    Raises:
        UsageError: it begins at no ranker.
    """
    if not found.from_ranker:
        raise UsageError(f"{found.name} begins at no ranker that is refitted: no {called}")

    class FromRefit(RefitFirst):
        name: ClassVar[str] = called
        learner: ClassVar[type[Agent]] = found

    FromRefit.__doc__ = f"{found.__doc__} It begins at a refitted ranker."
    FromRefit.__module__ = __name__
    FromRefit.__name__ = FromRefit.__qualname__ = f"{found.__name__}FromRefit"
    return FromRefit
