"""Amazon Reviews 2023, one category: reviews with stars and times, and what the products are.

Source: Hou et al. 2024, arXiv:2403.03952. For research; fetched by whoever wants it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from slategym.models.data.description import ColumnEntry, Description, SignalEntry, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import UNKNOWN, commonest
from slategym.models.data.tables import Table, Tables

NAME = "amazon-reviews-2023"
STORES = 500  # named; the others are "other"
TEXT = 500  # characters of a product's text
SIGNALS = (
    SignalEntry("rating", "ordinal", "stars", 1.0, 5.0),
    SignalEntry("helpful", "count", "votes"),
)


def load_amazon(folder: Path) -> Log:
    """The category whose two files are in that folder.

    Args:
        folder: with <Category>.jsonl and meta_<Category>.jsonl, or both with .gz.

    Raises:
        FileNotFoundError: if one is not there, or there are several categories.
    """
    metas = sorted(folder.glob("meta_*.jsonl*"))
    if len(metas) != 1:
        raise FileNotFoundError(
            f"{folder}: {NAME} wants one meta_<Category>.jsonl (or .gz) and its <Category>.jsonl; "
            f"{len(metas)} are there"
        )
    category = metas[0].name.removeprefix("meta_").split(".")[0]
    reviews = sorted(folder.glob(f"{category}.jsonl*"))
    if not reviews:
        raise FileNotFoundError(f"{folder}: {NAME} lacks {category}.jsonl (or .gz)")
    events = pd.DataFrame(
        (
            (r["user_id"], r["parent_asin"], r["timestamp"] / 1_000, r["rating"],
             r.get("helpful_vote", 0), "yes" if r.get("verified_purchase") else "no")
            for r in _lines(reviews[0])
        ),
        columns=["user", "item", "time", "rating", "helpful", "bought_here"],
    ).drop_duplicates(["user", "item", "time"])  # fmt: skip
    items = pd.DataFrame(
        (_product(product) for product in _lines(metas[0])),
        columns=["item", "title", "text", "topics", "price", "store"],
    ).drop_duplicates("item", ignore_index=True)
    events = events[events["item"].isin(items["item"])].reset_index(drop=True)
    items = items[items["item"].isin(events["item"])].reset_index(drop=True)
    items["store"] = commonest(items["store"], STORES)
    return build_log(
        f"{NAME}-{category.lower().replace('_', '-')}",
        Tables(Table(events, reviews[0].name), Table(items, metas[0].name)),
        Description(
            words=Words("product", "products", "category", "categories", "visit", "visits"),
            signals=SIGNALS,
            context=(ColumnEntry("bought_here", categories=("no", "yes")),),
            item_columns=(ColumnEntry("price", "number", unit="USD"), ColumnEntry("store")),
            repeats=False,
        ),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as stream
    ):
        for line in stream:
            if line.strip():
                yield json.loads(line)


def _product(product: dict[str, Any]) -> tuple[Any, ...]:
    """Id, title, text, topics, price and store of one product."""
    title = " ".join(str(product.get("title") or product["parent_asin"]).split())
    told = [*(product.get("features") or []), *(product.get("description") or [])]
    text = " ".join(" | ".join([title, *map(str, told)]).split())[:TEXT]
    names = [name.strip() for name in product.get("categories") or [] if name.strip()]
    topics = names[1:] or names or [product.get("main_category") or UNKNOWN]
    price = pd.to_numeric(str(product.get("price")).lstrip("$"), errors="coerce")
    return product["parent_asin"], title, text, topics, price, product.get("store")
