"""Women's clothing reviews: 23,486 reviews of 1,206 pieces, CC0, without users and times.

Who wrote a review and when is not in the data. Both are made up here, the same way each time, so
that the rows can serve as a shop's log: pseudo users and pseudo times, and the log says so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.data.description import ColumnEntry, Description, SignalEntry, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import UNKNOWN, need
from slategym.models.data.tables import Table, Tables

FILE = "WomensClothingE-CommerceReviews.parquet.brotli"
NAME = "womens-clothing"
REVIEWS = 16  # of a pseudo user, about
VISIT = 4  # reviews of a pseudo visit
START, WEEK, BETWEEN = 1_483_228_800, 604_800, 240  # unix seconds of 2017; seconds; seconds
NOTES = (
    "users are synthetic: reviews by people of one age are dealt out to pseudo users of that age",
    "times are synthetic: four reviews a pseudo visit, four minutes apart, a visit a week",
)
COLUMNS = {
    "Clothing ID": "item",
    "Age": "age",
    "Rating": "rating",
    "Recommended IND": "recommended",
    "Positive Feedback Count": "helpful",
    "Division Name": "division",
    "Department Name": "department",
    "Class Name": "class",
}


def load_womens_clothing(folder: Path) -> Log:
    """The reviews as a shop's log of pseudo users.

    Args:
        folder: with the Parquet file.
    """
    (path,) = need(folder, NAME, FILE)
    rows = pd.read_parquet(path, columns=list(COLUMNS)).rename(columns=COLUMNS)
    for name in ("division", "department", "class"):
        rows[name] = rows[name].fillna(UNKNOWN).str.replace("Initmates", "Intimates")
    user = pseudo_users(rows["age"].to_numpy(), rows["item"].to_numpy())
    rows = rows.assign(user=user).drop_duplicates(["user", "item"]).reset_index(drop=True)
    number, keys = pd.factorize(rows["user"])
    turn = rows.groupby("user").cumcount().to_numpy()
    first = START + (number * 7_919) % WEEK  # people begin at different hours of the week
    rows["time"] = first + turn // VISIT * WEEK + turn % VISIT * BETWEEN
    pieces = rows.drop_duplicates("item").sort_values("item")
    items = pd.DataFrame(
        {
            "item": pieces["item"],
            "title": [f"{c} {n}" for c, n in zip(pieces["class"], pieces["item"], strict=True)],
            "text": pieces["division"] + " | " + pieces["department"] + " | " + pieces["class"],
            "topics": pieces["class"],
            "division": pieces["division"],
            "department": pieces["department"],
        }
    ).reset_index(drop=True)
    ages = rows.groupby("user")["age"].first()[keys]
    signals = (
        SignalEntry("rating", "ordinal", "stars", 1.0, 5.0),
        SignalEntry("recommended", "binary"),
        SignalEntry("helpful", "count", "votes"),
    )
    return build_log(
        NAME,
        Tables(
            Table(rows[["user", "item", "time", *(s.name for s in signals)]], "reviews"),
            Table(items, "pieces"),
            Table(pd.DataFrame({"user": keys, "age": ages.to_numpy()}), "pseudo users"),
        ),
        Description(
            words=Words("piece", "pieces", "class", "classes", "visit", "visits"),
            signals=signals,
            item_columns=(ColumnEntry("division"), ColumnEntry("department")),
            traits=(ColumnEntry("age", brackets=(30.0, 40.0, 50.0, 60.0)),),
            repeats=False,
            notes=NOTES,
        ),
    )


def pseudo_users(age_E: NDArray[np.int64], item_E: NDArray[np.int64]) -> NDArray[np.object_]:
    """Somebody of that age for each review, (E,): the reviews of an age are dealt out by item.

    Whoever is dealt an item does not get it again, as far as there are people enough.

    Args:
        age_E: years, of each review's writer.
        item_E: what was reviewed.
    """
    user_E = np.empty(len(age_E), dtype=object)
    for age in np.unique(age_E):
        rows = np.flatnonzero(age_E == age)
        people = -(-len(rows) // REVIEWS)
        by_item = rows[np.argsort(item_E[rows], kind="stable")]
        user_E[by_item] = [f"pseudo-{age}-{n % people:03d}" for n in range(len(rows))]
    return user_E
