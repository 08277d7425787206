"""Which loss the click has, and what is learned beside the heads."""

from __future__ import annotations

from dataclasses import dataclass

from slategym.envs.names import UsageError, lookup
from slategym.models.multitask.ranking import CLICK_LOSSES

POSITIONS = {
    "beside": "the slot's effect is learned beside the items' where the log has slates",
    "logged": "that, and each row over its logged propensity",
    "estimated": "each click over how often its slot is looked at, by the slots' click rates",
}


@dataclass(frozen=True)
class LossSettings:
    """Of the click's loss, and of losses that no head has."""

    click: str = "pointwise"  # in CLICK_LOSSES
    position: str = "beside"  # how the slot is taken out of a click; in POSITIONS
    contrastive: float = 0.0  # weight of two views of a history; 0: none
    adversarial: float = 0.0  # size of the worst step of the item vectors, of their length; 0: none

    def __post_init__(self) -> None:
        lookup("loss of the click", self.click, CLICK_LOSSES)
        lookup("position", self.position, POSITIONS)
        if self.contrastive < 0 or self.adversarial < 0:
            raise UsageError(
                "contrastive and adversarial must not be negative, got "
                f"{self.contrastive}, {self.adversarial}"
            )
        if self.click != "pointwise" and self.position != "beside":
            raise UsageError(
                f"position {self.position!r} weighs rows, and {self.click!r} compares pairs of "
                "them; take click 'pointwise' or position 'beside'"
            )
