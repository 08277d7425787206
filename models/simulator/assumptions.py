"""What a learned world adds to its people because no log shows it, as named values.

A named value is one answer to all that is not known. Worlds that differ in nothing else are built
with different ones, so that a claim can be seen to stand or fall with what is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from slategym.envs.names import UsageError, lookup
from slategym.envs.types import Provenance
from slategym.envs.users.satiation import GenreSatiation
from slategym.models.data.log import Words

STATED_PATIENCE = 5.0  # slates without a click, where no log says how long people stay

Label = tuple[str, Provenance, str]  # what, whence, why


@dataclass(frozen=True)
class Assumptions:
    """Boredom with a topic that was clicked often lately, and patience with slates in vain."""

    boredom: float = 4.0  # log-odds taken from a boring topic; 0: no boredom
    memory: int = 5  # clicks
    threshold: int = 3  # clicks on one topic
    duration: int = 8  # slates
    impatience: bool = True  # whether people leave for want of anything to click

    def __post_init__(self) -> None:
        if not 0 <= self.boredom < math.inf:
            raise UsageError(f"boredom is taken from log-odds and is 0 or more, got {self.boredom}")

    def satiation(self, num_topics: int) -> GenreSatiation | None:
        """The rule of boredom; None where nobody is ever bored, or topics do not differ."""
        if not self.boredom or num_topics < 2:
            return None
        return GenreSatiation(
            num_topics,
            memory=self.memory,
            threshold=self.threshold,
            penalty=self.boredom,
            duration=self.duration,
        )

    def labels(self, words: Words, num_topics: int, patience_chosen: bool) -> tuple[Label, ...]:
        """Every piece, labelled; also what could not be added.

        Args:
            words: what people call the log's things.
            num_topics: G of the log.
            patience_chosen: whether patience follows from the log's visits, or is stated.
        """
        told: list[Label] = []
        if self.boredom and num_topics < 2:
            told.append(("no boredom", "assumed", f"the log has no {words.topics} to tire of"))
        elif self.boredom:
            rule = f"{self.threshold} of the last {self.memory} clicks on a {words.topic} lower it"
            told.append(
                ("boredom", "assumed", f"{rule} for {self.duration} slates; the log has none")
            )
        if self.impatience:
            how = (
                f"how much there is of it is chosen so that {words.sessions} under popular slates "
                "last as long as the log's"
                if patience_chosen
                else f"{STATED_PATIENCE:g} slates, stated: the log's {words.sessions} are too "
                "short, or its times too coarse, to choose it"
            )
            told.append(
                (
                    "patience",
                    "assumed",
                    f"a slate without a click costs 1, a click regains .5; {how}",
                )
            )
        return tuple(told)


MILD = Assumptions()
ASSUMPTIONS: dict[str, Assumptions] = {
    "none": Assumptions(boredom=0.0, impatience=False),
    "mild": MILD,
}


def find_assumptions(name: str | Assumptions) -> Assumptions:
    """The value of that name; a value is itself.

    Raises:
        UsageError: there is none of that name; the nearest is offered.
    """
    return name if isinstance(name, Assumptions) else lookup("assumptions", name, ASSUMPTIONS)
