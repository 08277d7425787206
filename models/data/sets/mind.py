"""MIND: news shown and clicked, Microsoft News, October to November 2019.

Source: Wu et al. 2020, doi:10.18653/v1/2020.acl-main.331. Research licence of Microsoft: fetched by
whoever accepts it, never part of this project.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from slategym.models.data.description import ColumnEntry, Description, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import UNKNOWN, need
from slategym.models.data.tables import Table, Tables

BEHAVIORS = ["impression", "user", "time", "history", "shown"]
NEWS = ["item", "category", "subcategory", "title", "abstract"]
NOTES = (
    "times have no zone and are taken for UTC",
    "the order of news within an impression was shuffled by the publisher: no position is known",
    "clicks before the first impression (column history) have no time and are left out",
)


def load_mind(folder: Path) -> Log:
    """Every impression a slate, with what was clicked and what was not.

    Args:
        folder: with behaviors.tsv and news.tsv, of MINDsmall_train, say.
    """
    behaviors, news = need(folder, "mind", "behaviors.tsv news.tsv")
    rows = pd.read_csv(
        behaviors, sep="\t", names=BEHAVIORS, dtype=str, quoting=3, keep_default_na=False
    )
    seen = rows["shown"].str.split()
    count = seen.str.len().fillna(0).astype(int)
    shown = seen.explode().dropna().str.rsplit("-", n=1, expand=True)
    at = np.repeat(np.arange(len(rows)), count)
    times = pd.to_datetime(rows["time"], format="%m/%d/%Y %I:%M:%S %p", utc=True)
    events = pd.DataFrame(
        {
            "user": rows["user"].to_numpy()[at],
            "item": shown[0].to_numpy(),
            "time": times.take(at).reset_index(drop=True),
            "slate_id": rows["impression"].to_numpy()[at],
            "click": shown[1].astype(int).to_numpy(),
        }
    ).drop_duplicates(["slate_id", "item"])
    items = pd.read_csv(
        news,
        sep="\t",
        names=[*NEWS, "url", "title_entities", "abstract_entities"],
        usecols=NEWS,
        dtype=str,
        quoting=3,
        keep_default_na=False,
    )
    items["topics"] = items["category"].replace("", UNKNOWN)
    items["title"] = items["title"].where(items["title"].str.strip() != "", items["item"])
    items["text"] = (items["title"] + " | " + items["abstract"]).str.strip(" |")
    return build_log(
        "mind",
        Tables(
            Table(events.reset_index(drop=True), "behaviors.tsv"),
            Table(items.drop(columns=["category", "abstract"]), "news.tsv", 1, "line"),
        ),
        Description(
            words=Words("article", "articles", "category", "categories", "visit", "visits"),
            item_columns=(ColumnEntry("subcategory"),),
            repeats=False,
            notes=NOTES,
        ),
    )
