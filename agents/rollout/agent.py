"""Search at serving time: the best of some rules, by futures imagined with what was learned.

What is learned is a model of people (`response.py`): how they answer slates after what the session
has shown, with kinds of people that nobody names, and when they leave. It is learned from slates
that the agent itself shows, of rules on topics clicked lately, each held for a session. To serve,
the agent asks who this may be, by what was taken and passed over so far; plays every rule on in its
own model, for people drawn from that belief; and shows the slate of the rule that earns most.
Nothing of the world's truth is asked. Unless training pays, it serves the tuned history rule.

Source: Tesauro and Galperin 1996 (rollouts); Chang, Givan and Chong 2000 (parallel rollout);
Silver and Veness 2010 (belief by what was observed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import Candidates, rules_of, worth
from slategym.agents.rollout.people import Learning, People
from slategym.agents.rollout.rule_first import RuleFirst
from slategym.agents.rollout.traces import Traces
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

LUCK = 1_004  # seed of imagined futures


@dataclass(frozen=True)
class RolloutSettings:
    """How people are learned, and how far ahead is played."""

    num_steps: Count = 51_200  # slates, in all
    num_users: Count = 256  # B, side by side
    rollout: Count = 20  # slates of every user between fits
    updates: Count = 200  # of the model, after each
    minibatch: Count = 1_600  # slates, about: those of some users, all of them so far
    learning_rate: Amount = 1e-2  # Adam's, falling linearly to a tenth
    kinds: Count = 3  # of people
    noise: Amount = 0.5  # spread of what is added to scores while it learns
    gamma: Rate = 0.99  # discount per slate, in [0, 1]; 0: this slate alone
    depth: Count = 16  # slates that are played
    futures: Count = 6  # of each rule
    shortlist: Count = 100  # best of the ranker, from which slates are filled


class Rollout(RuleFirst):
    """Rules on topics clicked lately, chosen anew at every request by imagined futures."""

    name: ClassVar[str] = "rollout"
    settings: RolloutSettings

    @classmethod
    def default_settings(cls) -> RolloutSettings:
        """From the tuned history rule on."""
        return RolloutSettings()

    def build(self) -> None:
        """The model of people."""
        s, world = self.settings, self.world
        ranker = self.begin_as_rule()
        rules = rules_of(self.trace.strength, self.trace.fading)
        self.people = People(world, Learning.of(s, s.num_steps), ranker, rules, self.seeds[0])
        depth = s.depth if s.gamma else 1
        generator = torch.Generator().manual_seed(LUCK)
        uniform_MT = torch.rand(s.futures, depth + 1, generator=generator)
        self.uniform_MT = uniform_MT.to(world.device)  # of all requests alike: nothing is drawn

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.people.seat(world)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """Some slates for everybody, then updates of the model on all slates so far."""
        return self.people.cycle(self.steps)

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate of the rule that earns most in imagined futures."""
        if not self.trained:
            return self.rule.act(observation, luck)
        people = self.people
        best, few = people.candidates(observation)
        belief_BZ, traces = people.belief(observation)
        which_B = self._worth(few, traces, belief_BZ.exp(), observation).argmax(1)
        at_BK = people.by_rule(few.score, few, traces, which_B)
        return Action(best.id.gather(1, at_BK).int())

    def _worth(
        self, few: Candidates, traces: Traces, belief_BZ: Tensor, observation: Observation
    ) -> Tensor:
        """Of every rule, (B, R)."""
        uniform_BMT = self.uniform_MT.expand(belief_BZ.shape[0], -1, -1)
        return worth(
            self.people.response,
            few,
            traces,
            belief_BZ,
            self.people.rules,
            self.world.horizon - observation.step,
            uniform_BMT,
            self.settings.gamma,
            self.world.slate_size,
        )

    def weights(self) -> dict[str, Tensor]:
        """The model of people, and whether it is searched."""
        return {**self.people.response.state_dict(), "trained": torch.tensor(self.trained)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        self.trained = bool(weights["trained"])
        kept = {name: x for name, x in weights.items() if name != "trained"}
        self.people.response.load_state_dict(kept)

    def state(self) -> Any:
        """The model, its Adam, the sessions, all slates so far."""
        return self.people.state()

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.people.restore(state)
