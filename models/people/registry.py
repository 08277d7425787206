"""Families of people by name. Strings only: nothing heavy is imported before it is asked for.

A new family is an object with the methods of `types.Family` and a line in FAMILIES, or an entry
point `slategym.families` in another package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from slategym.envs.names import Registry, load_object, lookup

if TYPE_CHECKING:
    from slategym.models.people.types import Family


class FamilyEntry(NamedTuple):
    """Where a family is, and what it is in a line."""

    path: str  # "module:object"
    one_line: str

    def load(self) -> Family:
        """The family itself.

        Raises:
            UsageError: there is none at that place.
        """
        family: Family = load_object(self.path)
        return family


BERT = "bert"  # the multi-task network itself, fitted by `models/multitask` as the ranker is
PEOPLE = "slategym.models.people"
FAMILIES: dict[str, FamilyEntry] = {
    "factor": FamilyEntry(
        f"{PEOPLE}.classic:FACTOR",
        "fading factors of what was clicked; biases, drift, factors, topics of what it is worth",
    ),
    "gp": FamilyEntry(
        f"{PEOPLE}.classic:GP",
        "implicit factors; a Gaussian process of what a click is worth over factors, text, topics",
    ),
    "covisitation": FamilyEntry(
        f"{PEOPLE}.classic:COVISITATION",
        "fading EASE and transitions; online biases with drift",
    ),
    "trees": FamilyEntry(
        f"{PEOPLE}.classic:TREES",
        "item-kNN and transitions; boosted trees over a user's running statistics",
    ),
}
families = Registry("family of people", FAMILIES, {"slategym.families": FamilyEntry})


def family_names() -> tuple[str, ...]:
    """Every family's name, the network's first."""
    return (BERT, *families.all())


def find_family(name: str) -> str:
    """The name itself; nothing is imported.

    Raises:
        UsageError: there is no such family; the nearest is offered.
    """
    if ":" not in name:
        lookup(families.kind, name, dict.fromkeys(family_names()))
    return name


def register_family(name: str, path: str, one_line: str = "") -> None:
    """Add a family in this process; for every process, a package has an entry point.

    Args:
        name: such as "habits".
        path: "module:object" with the methods of `types.Family`.
        one_line: what it is.

    Raises:
        UsageError: there is a family of that name.
    """
    families.register(name, FamilyEntry(path, one_line or path))
