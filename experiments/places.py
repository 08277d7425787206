"""Places of a study: a world, who is in it and what it is for; and the same place elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Role = Literal["open", "judge", "control", "selection", "sweep", "assumed", "family"]
"""What a place is for.

open: looking ahead may pay; learners are trained and everybody is read.
judge: other people, or people of another make; what was learned in an open place is read.
control: nothing changes people, so that looking ahead is worth nothing; trained and read.
selection: people on whom something is chosen, and on whom nothing is claimed.
sweep: an open place or a judge with an assumption made stronger or weaker; read only.
assumed: an open place under other assumptions; what was learned in the open place is read.
family: an open place or a judge whose people another family plays; what was learned is read.
"""
MAIN = ("open", "judge", "control")  # roles of the places that stand in the first table
# seeds of what happens to people; no training has one as high, and none of these is met by a choice
# but that of selection people (on whom policies are tuned on yet another, `agents/core/tuning.py`)
EVALUATION_LUCK, CONTROL_LUCK, SELECTION_LUCK = 1_001, 1_005, 1_004
LUCK = 3  # of studies whose people are made up: their users are out of any training's reach
FIRST_USER = 600_000  # of the evaluation users, on whom nothing was trained and no setting chosen


@dataclass(frozen=True)
class Place:
    """A world, and what it is for."""

    name: str  # as in tables; a selection or sweep has the name of the place that it varies
    world: str  # id of a registered world
    settings: Mapping[str, Any] = field(default_factory=dict)  # of its builder
    role: Role = "open"
    title: str = ""  # in headings; "": the name
    training: Mapping[str, Any] = field(default_factory=dict)  # settings that differ in training
    of: str = ""  # the place whose learners are read here; "": they are trained here
    group: str = "evaluation"  # of people
    strength: float | None = None  # of the assumption that the study sweeps over
    policies: tuple[str, ...] | None = None  # read here; None: all of the study's
    people: tuple[str, str] | None = None  # party and family that play them; None: the usual ones
    luck: int = LUCK
    first_user: int = FIRST_USER  # row of the population; of a small table of people, the last

    @property
    def heading(self) -> str:
        """Its title."""
        return self.title or self.name

    @property
    def split(self) -> int:
        """Of the people into parties, of places in worlds of a log."""
        return int(self.settings.get("split", 0))

    @property
    def trained_in(self) -> str:
        """The place in which the learners that are read here were trained."""
        return self.of or self.name


@dataclass(frozen=True)
class Judging:
    """Which families of people judge in a study, and which were refused."""

    families: tuple[str, ...]  # that judge, the first judge's first
    tried: tuple[tuple[str, str], ...]  # party and family, in this order, until enough passed
    refused: Mapping[str, str] = field(default_factory=dict)  # by family: in which figures
    wanted: int = 1  # judges that the study would have
    unread: Mapping[str, str] = field(default_factory=dict)  # worlds and judges of a grid, and why

    @property
    def unfit(self) -> bool:
        """Whether those judge who are refused, since none passes."""
        return bool(self.refused) and set(self.families) <= set(self.refused)

    def sentences(self) -> tuple[str, ...]:
        """What a report says of it; nothing where nobody was refused."""
        if not self.refused:
            return ()
        why = "; ".join(f"{family} ({reason})" for family, reason in self.refused.items())
        if self.unfit:
            judge = " and ".join(self.families)
            return (
                f"No judge of this study can be relied on: every family that could judge does "
                f"worse than no model on people unknown to it: {why}. So {judge} judge all the "
                "same, which the labels say.",
            )
        instead = f"Instead {' and '.join(self.families)} judge."
        fewer = self.wanted - len(self.families)
        if fewer:
            judges = "one judge" if fewer == 1 else f"{fewer} judges"
            instead = f"{' and '.join(self.families)} passed: the study has {judges} fewer."
        return (f"Refused as judges, since they do worse than no model: {why}. {instead}",)


def family_of(place: Place, usual: str) -> str:
    """Who plays a judge's people.

    Args:
        place: a judge.
        usual: the family where its settings name none.
    """
    return str(place.settings.get("family") or usual)


def in_family(place: Place, party: str, family: str) -> Place:
    """An open place or a judge whose people another family plays, for everybody of the study."""
    kept = {k: v for k, v in place.settings.items() if k not in ("family", "anyway")}
    what = "judge" if party == "J" else "world"
    return replace(
        place,
        name=f"{place.name}-of-{family}",
        title=f"{what} of family {family}",
        role="family",
        of=place.trained_in,
        settings={**kept, "family": family},
        policies=None,
        people=(party, family),
    )


def judged_by(
    places: Sequence[Place], families: Mapping[str, str | None], usual: str
) -> tuple[Place, ...]:
    """The places with judges of other families.

    Args:
        places: of a study.
        families: by a judge's family: who judges instead; None: that judge is left out.
        usual: the family where a judge's settings name none.
    """
    judges = {place.name for place in places if place.role == "judge"}
    found = []
    for place in places:
        before = family_of(place, usual)
        if place.name not in judges or families.get(before, before) == before:
            found.append(place)
        elif (family := families[before]) is not None:
            kept = {k: v for k, v in place.settings.items() if k not in ("family", "anyway")}
            named = place.name.endswith(f"-{before}")
            found.append(
                replace(
                    place,
                    name=f"{place.name.removesuffix(before)}{family}" if named else place.name,
                    title=place.title.removesuffix(before) + family
                    if named
                    else f"{place.heading} (family {family})",
                    settings={**kept, "family": family},
                    people=("J", family),
                )
            )
    return tuple(found)


def assuming(place: Place, name: str) -> Place:
    """The place under other assumptions; its strength goes with the old ones."""
    settings = {key: value for key, value in place.settings.items() if key != "boredom"}
    return replace(place, settings={**settings, "assumptions": name}, strength=None)


def under_others(place: Place, name: str, policies: tuple[str, ...] | None) -> Place:
    """An open place whose people are assumed to be otherwise.

    Args:
        place: in which learners are trained.
        name: of the other assumptions.
        policies: read there beside them; None: all of the study's.
    """
    return replace(
        assuming(place, name),
        name=f"{place.name}-under-{_base(name)}",
        title=f"{place.heading}, under {name}",
        role="assumed",
        of=place.name,
        policies=policies,
    )


def read_under(
    places: Sequence[Place], others: Mapping[str, tuple[str, ...] | None]
) -> tuple[Place, ...]:
    """The open ones under others' assumptions than their own."""
    return tuple(
        under_others(place, name, policies)
        for place in places
        for name, policies in others.items()
        if place.role == "open" and place.settings["assumptions"] != name
    )


def _base(name: str) -> str:
    """Of assumptions, for the name of a place."""
    return name.replace(":", "-").replace("=", "")


def elsewhere(place: Place, name: str, own: tuple[str, ...]) -> Place:
    """The place by another name, beside the study's own."""
    base = _base(name)
    return replace(
        place,
        name=f"{place.name}-{base}",
        title=f"{place.heading}, {name}",
        of=f"{place.of}-{base}" if place.of in own else place.of,
    )
