"""A learner: which drinks are taken when recommended."""

from dataclasses import dataclass

import torch

from slategym.agents import Action, Agent, allowed_only, harvest, luck_of, seat, show, top_slate
from slategym.envs import observe, purpose, turn_of

EXPLORE, WHEN = purpose("coffee_bar.explore"), purpose("coffee_bar.when")


@dataclass(frozen=True)
class BartenderSettings:
    """How the counts are gathered."""

    num_steps: int = 20_000  # slates shown in training
    num_users: int = 64  # side by side
    explore: float = 0.2  # share of random slates, in [0, 1]


class Bartender(Agent):
    """The drinks taken most often when recommended, for everybody alike; epsilon-greedy."""

    name = "bartender"

    @classmethod
    def default_settings(cls):
        """All of them."""
        return BartenderSettings()

    def build(self):
        """A count of each drink."""
        N, device = self.world.catalogue.num_items, self.world.device
        self.taken_N, self.shown_N = torch.zeros(N, device=device), torch.ones(N, device=device)

    def begin(self, world):
        """Seat the guests."""
        self.where, self.turn = world, turn_of(world)
        self.guests = seat(world, self.seeds, self.settings.num_users)

    def cycle(self):
        """Recommend once to everybody; count."""
        observation = observe(self.where, self.guests.session)
        slate_LK = self.explore(observation, luck_of(self.guests)).slate
        self.guests, step = show(self.where, self.turn, self.guests, slate_LK)
        id_X = slate_LK.long().flatten()
        self.taken_N.index_add_(0, id_X, step.outcome.feedback[..., 0].flatten())
        self.shown_N.index_add_(0, id_X, torch.ones_like(id_X, dtype=torch.float32))
        self.guests, figures = harvest(self.guests)
        return self.settings.num_users, figures

    def act(self, observation, luck):
        """The best three."""
        rate_BN = (self.taken_N / self.shown_N).expand(len(observation.step), -1)
        return Action(top_slate(allowed_only(rate_BN, observation.allowed), self.world.slate_size))

    def explore(self, observation, luck):
        """Now and then, any three."""
        any_BK = top_slate(luck.uniform(EXPLORE, len(self.taken_N)), self.world.slate_size)
        now_B1 = luck.uniform(WHEN, 1) < self.settings.explore
        return Action(torch.where(now_B1, any_BK, self.act(observation, luck).slate))

    def weights(self):
        """What serving needs."""
        return {"taken": self.taken_N, "shown": self.shown_N}

    def load_weights(self, weights):
        """Take them over."""
        self.taken_N, self.shown_N = weights["taken"], weights["shown"]

    def state(self):
        """All on which the rest of a training depends."""
        return {**self.weights(), "guests": self.guests}

    def restore(self, state):
        """Take it over."""
        self.load_weights(state)
        self.guests = state["guests"]
