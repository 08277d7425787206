"""People who like topics more or less, and tire of whatever they click."""

import torch

from slategym.envs import UserModel, purpose

LIKES = purpose("weary.likes")


class Weary(UserModel[torch.Tensor]):
    """The state is the liking of each topic, (B, 10) log-odds."""

    def initial(self, arrival, luck):
        """Standard normal likings."""
        return luck.normal(LIKES, 10)

    def appeal(self, state, items, context):
        """The liking of each item's topic, (B, K)."""
        return state.gather(1, items.topic.long())

    def evolve(self, state, items, feedback_BKM, context, luck):
        """A click makes its topic less likeable."""
        return state.scatter_add(1, items.topic.long(), -0.3 * feedback_BKM[..., 0])
