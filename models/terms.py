"""What may be done with weights that were fitted on a data set."""

from __future__ import annotations

TERMS = {
    "movielens": (
        "Fitted on MovieLens data, whose terms allow research use and forbid redistribution and "
        "commercial use without permission of GroupLens: these weights are for research use."
    )
}
UNKNOWN = "The terms of the data that these weights were fitted on apply to them too."


def terms(data: str) -> str:
    """A sentence for a model's card.

    Args:
        data: a data set's name; "movielens-100k" is one of MovieLens's.
    """
    return TERMS.get(data.split("-")[0], UNKNOWN)
