"""A hard rule of what a person may be shown: no policy can break it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Arrival, Catalogue, Items, Population

CLASS = purpose("scenario.class")


@dataclass(frozen=True)
class Rule:
    """People are of a class, known of them beforehand; an item is shown up to the class's limit."""

    trait: str  # column of the profile
    classes: tuple[str, ...]
    share: tuple[float, ...]  # of people, by class
    column: str  # of the items
    limit: tuple[float, ...]  # largest value that may be shown, by class

    def people(self, size: int, seed: int) -> Population:
        """Everybody with a class drawn by its share."""
        user_U = torch.arange(size, dtype=torch.int32)
        u_U1 = Luck.at(user_U, torch.full_like(user_U, seed)).uniform(CLASS, 1)
        class_U1 = (u_U1 >= torch.tensor(self.share).cumsum(0)[:-1]).sum(1, keepdim=True).int()
        return Population(size, None, class_U1, (self.trait,), (len(self.classes),))

    def check(self, catalogue: Catalogue, slate_size: int) -> None:
        """Every class must have a slate's worth of items.

        Raises:
            UsageError: one has fewer.
        """
        for name, limit in zip(self.classes, self.limit, strict=True):
            number = int((catalogue.attribute(self.column) <= limit).sum())
            if number < slate_size:
                raise UsageError(
                    f"only {number} items may be shown to people of {self.trait} {name!r}, and a "
                    f"slate has {slate_size} slots; take more items or a smaller slate_size"
                )


@dataclass(frozen=True)
class Permitted:
    """The catalogue without what the rule forbids this person; the offer is `allowed` (B, N)."""

    rule: Rule

    def count(self, catalogue: Catalogue) -> int:
        """C = N."""
        return catalogue.num_items

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> Tensor:
        """Items up to the limit of the person's class, (B, N) bool."""
        assert arrival.profile is not None, "the population has no classes"
        value_N = catalogue.attribute(self.rule.column)
        limit_B = constant(self.rule.limit, value_N)[arrival.profile[:, 0].long()]
        return value_N <= limit_B[:, None]

    def renew(
        self, offer: Tensor, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> Tensor:
        """The class does not change."""
        return offer

    def ids(self, offer: Tensor) -> None:
        """A position is an item id."""
        return None

    def allowed(self, offer: Tensor) -> Tensor:
        """(B, N) bool."""
        return offer
