"""What is stated of a kind of learned worlds, and asked of one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from slategym.envs.names import UsageError
from slategym.models.data.slates import SLATE_SIZE
from slategym.models.simulator.assumptions import Assumptions, Label
from slategym.models.simulator.click_rates import ClickRates
from slategym.models.simulator.parties import USUAL, PartySettings, Split


@dataclass(frozen=True)
class Recipe:
    """What a kind of learned world states instead of reading it off its log."""

    world: str  # its id
    judge: str  # its judge's id
    seconds_per_slate: float | None = None  # None: as the log tells
    horizon: int | None = None  # slates; None: as the log tells
    rates: ClickRates = field(default_factory=ClickRates)  # where the log has no refusals
    rates_slate: int = SLATE_SIZE  # slots of the slates that the rates speak of
    objective: tuple[float, ...] | None = None  # reward per unit of each signal
    labels: tuple[Label, ...] = ()  # instead of those that follow
    parties: PartySettings = field(default_factory=PartySettings)


@dataclass(frozen=True)
class WorldSettings:
    """The settings of one world; `learned_world` says what they mean."""

    role: str  # "A" or "J": whose people
    static: bool
    users: str
    slate_size: int | None  # K
    assumptions: Assumptions
    state: bool
    starts: int
    device: str
    objective: tuple[tuple[str, float], ...] | None = None  # by signal
    pessimism: float = 0.0  # reward per unit of disagreement
    ensemble: int = 3  # models that may disagree, the world's own included
    family: str | None = None  # of the people; None: the role's usual one
    anyway: bool = False  # whether people who do worse than no model are taken all the same
    split: Split = 0  # of the people into parties

    @property
    def people(self) -> str:
        """The family."""
        return self.family or USUAL[self.role]

    def __post_init__(self) -> None:
        if not 0 <= self.pessimism < float("inf"):
            raise UsageError(f"pessimism is taken from rewards and is >= 0, got {self.pessimism}")
        if self.pessimism and self.role == "J":
            raise UsageError(
                "pessimism is for training, and a judge's people train nobody; drop it"
            )
        if self.pessimism and self.ensemble < 2:
            raise UsageError(f"an ensemble needs at least 2 models, got {self.ensemble}")
        if self.starts < 1:
            raise UsageError(f"starts must be at least 1 arrival per person, got {self.starts}")
