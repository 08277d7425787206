"""The usual, please."""

from slategym.agents import Action, allowed_only, top_slate
from slategym.envs import purpose

TIES = purpose("coffee_bar.ties")


class Usual:
    """Drinks of the kind that was taken last; any where nothing was."""

    name, privileged = "usual", False

    def __init__(self, world):
        self.kind_N, self.num_slots = world.catalogue.topic, world.slate_size

    def act(self, observation, luck):
        """One of each guest's usual kind, at random."""
        last_B1 = observation.history.id[:, -1:].long()
        same_BN = (self.kind_N == self.kind_N[last_B1.clamp(min=0)]) & (last_B1 >= 0)
        score_BN = same_BN + luck.uniform(TIES, len(self.kind_N))
        return Action(top_slate(allowed_only(score_BN, observation.allowed), self.num_slots))
