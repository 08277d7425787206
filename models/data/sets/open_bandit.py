"""Open Bandit, small: 10,000 impressions of fashion items under a random or a Thompson policy.

Single slots of slates of three, with position, propensity and click. There are no user ids: people
with the same four hashed features are taken for one user.

Source: Saito, Aihara, Matsutani and Narita 2021, arXiv:2008.07146; the sample of the package obp.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slategym.models.data.description import ColumnEntry, Description, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import need
from slategym.models.data.tables import Table, Tables

FEATURES = [f"user_feature_{n}" for n in range(4)]
NOTES = (
    "users are pseudo users: impressions with the same four hashed user features; nobody is named",
    "every impression is a slate of one row: the other two slots were sampled away",
)


def load_random(folder: Path) -> Log:
    """The rows that were shown at random; see `load_open_bandit`."""
    return load_open_bandit(folder, "random")


def load_thompson(folder: Path) -> Log:
    """The rows that Bernoulli Thompson sampling showed; see `load_open_bandit`."""
    return load_open_bandit(folder, "bts")


def load_open_bandit(folder: Path, policy: str) -> Log:
    """The campaign "all" under that policy.

    Args:
        folder: with all.csv and item_context.csv of that policy.
        policy: "random" or "bts", for the log's name.
    """
    shown, described = need(folder, f"open-bandit-{policy}", "all.csv item_context.csv")
    rows = pd.read_csv(
        shown,
        usecols=["timestamp", "item_id", "position", "click", "propensity_score", *FEATURES],
        keep_default_na=False,
    )
    people = rows[FEATURES].agg("/".join, axis=1)
    number, keys = pd.factorize(people, sort=True)
    events = pd.DataFrame(
        {
            "user": [f"pseudo-{n:03d}" for n in number],
            "item": rows["item_id"],
            "time": rows["timestamp"],
            "slate_id": rows.index,
            "position": rows["position"] - 1,
            "propensity": rows["propensity_score"],
            "click": rows["click"],
        }
    )
    context = pd.read_csv(described)
    items = pd.DataFrame({"item": context["item_id"]})
    items["title"] = [f"fashion item {n}" for n in context["item_id"]]
    items["score"] = context["item_feature_0"]
    for n in (1, 2, 3):
        items[f"feature_{n}"] = context[f"item_feature_{n}"]
    users = pd.DataFrame([key.split("/") for key in keys], columns=[f[5:] for f in FEATURES])
    users.insert(0, "user", [f"pseudo-{n:03d}" for n in range(len(keys))])
    return build_log(
        f"open-bandit-{policy}",
        Tables(
            Table(events, "all.csv", 2, "line"),
            Table(items, "item_context.csv", 2, "line"),
            Table(users, "users"),
        ),
        Description(
            words=Words(session="visit", sessions="visits"),
            item_columns=(
                ColumnEntry("score", "number"),
                *(ColumnEntry(f"feature_{n}") for n in (1, 2, 3)),
            ),
            slate_size=3,
            repeats=True,
            notes=NOTES,
        ),
    )
