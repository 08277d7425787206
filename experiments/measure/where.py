"""What a unit's spec and its label say of a place."""

from __future__ import annotations

from typing import Any

from slategym.envs.registry import find_world
from slategym.experiments.places import Place

GROUPING = 2  # of J's people; 1 had the control's among those for evaluation


def where_of(place: Place, num_users: int) -> dict[str, Any]:
    """The place, and so many of its users, for a spec."""
    return {
        "world": find_world(place.world)[0],
        "settings": place.settings,
        "place": place.name,
        "group": place.group,
        "strength": place.strength,
        "first_user": place.first_user,
        "num_users": num_users,
        "luck": place.luck,
        **grouped(place),
    }


def grouped(place: Place) -> dict[str, Any]:
    """Who the evaluation people of a log are has changed: rows of others are not taken up."""
    return {"grouping": GROUPING} if place.settings.get("users") == "evaluation" else {}


def said_of(place: Place) -> str:
    """The place for a label: with what sets it apart from others of its name."""
    words = [place.name]
    words += [] if place.strength is None else [f"strength {place.strength:g}"]
    words += [] if place.group == "evaluation" else [place.group]
    return ", ".join(words) + in_split(place)


def in_split(place: Place) -> str:
    """For a label, of places in another than the first split."""
    return f", split {place.split}" if place.split else ""
