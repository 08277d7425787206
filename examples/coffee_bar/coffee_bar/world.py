"""A bar whose guests are creatures of habit."""

from dataclasses import dataclass

import torch

from slategym.envs import (
    Catalogue,
    Clock,
    MultinomialLogit,
    Population,
    UserModel,
    WholeCatalogue,
    World,
    purpose,
)

TASTE = purpose("coffee_bar.taste")
NUM_DRINKS, NUM_KINDS = 24, 4


@dataclass(frozen=True)
class Habitual(UserModel[torch.Tensor]):
    """People with tastes, who like a kind of drink better whenever they take it."""

    gain: float = 0.2  # log-odds per drink of a kind

    def initial(self, arrival, luck):
        """Liking of each kind, (B, 4) log-odds."""
        return luck.normal(TASTE, NUM_KINDS)

    def appeal(self, state, items, context):
        """The liking of each drink's kind, (B, K)."""
        return state.gather(1, items.topic.long()) - 1.0

    def evolve(self, state, items, feedback_BKM, context, luck):
        """What was taken is liked better."""
        return state.scatter_add(1, items.topic.long(), self.gain * feedback_BKM[..., 0])


def coffee_bar(slate_size: int = 3, static: bool = False, seed: int = 0, device: str = "cpu"):
    """Guests of a bar, who grow fond of what they drink.

    Description:
        Two dozen drinks of four kinds; three are recommended at a time.

    Args:
        slate_size: drinks recommended at a time.
        static: True: the negative control, in which nobody grows fond of anything.
        seed: decides who people are.
        device: of every tensor.
    """
    kind_N = torch.arange(NUM_DRINKS, dtype=torch.int32, device=device) % NUM_KINDS
    return World(
        name="slategym/CoffeeBar-v0",
        catalogue=Catalogue(
            topic=kind_N,
            embedding=torch.eye(NUM_KINDS, device=device)[kind_N.long()],
            quality=torch.zeros(NUM_DRINKS, device=device),
        ),
        population=Population(size=100_000),
        users=Habitual(gain=0.0 if static else 0.2),
        choice=MultinomialLogit(),
        context=Clock(minutes_per_slate=60.0),
        candidates=WholeCatalogue(),
        slate_size=slate_size,
        horizon=20,
        objective=(1.0,),
        history_size=4,
        seed=seed,
        labels=(("everything", "synthetic", "an example"),),
    )
