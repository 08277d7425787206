"""MovieLens-100K: 100,000 ratings of 1,682 films by 943 people, 1997-98, with their times.

Source: Harper and Konstan 2015, doi:10.1145/2827872. For research; not to be redistributed, so it
is fetched and never part of this project.

Two layouts of the same data are read: the original (`u.data`, `u.item`, `u.user`, latin-1) and
RecBole's (`ml-100k.inter`, `.item`, `.user`, tab-separated with typed headers).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.data.description import Description, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.tables import Table, Tables

# The order of the flags in u.item.
GENRES = ["unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"]
GENRES += ["Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"]
GENRES += ["Romance", "Sci-Fi", "Thriller", "War", "Western"]
AGE_FROM = (18, 25, 35, 45, 50, 56)  # years; lower ends of all brackets but the first
AGE_NAMES = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56 and over")
FILMS = Words("film", "films", "genre", "genres", "visit", "visits")
U1_LINES = 20_000
KEYS = 10_000  # above every film's number
TITLED = re.compile(r"(?P<title>.*\S)\s*\((?P<year>\d{4})\)\s*(\(V\))?\s*")  # (V): video only


def load_movielens(folder: Path, name: str = "movielens-100k") -> Log:
    """Read either layout; both give the same log.

    Clicks and likes are derived: a rated film was clicked, one with 4 stars or more was liked.

    Args:
        folder: with the three files of one layout.
        name: of the log.

    Raises:
        FileNotFoundError: if the folder holds neither layout.
    """
    if (folder / "u.data").exists():
        events, items, users = _read_original(folder)
    elif (folder / "ml-100k.inter").exists():
        events, items, users = _read_recbole(folder)
    else:
        raise FileNotFoundError(
            f"{folder}: neither u.data nor ml-100k.inter is there; fetch movielens-100k again"
        )
    items[["title", "year"]] = [split_title(full) for full in items["full_title"]]
    ages = pd.cut(users["age"], [-1, *(age - 1 for age in AGE_FROM), 200], labels=AGE_NAMES)
    profile = pd.DataFrame(
        {
            "user": users["user"],
            "age": ages,
            "gender": pd.Categorical(users["gender"], categories=["M", "F"]),
            "occupation": users["occupation"],
        }
    )
    return build_log(
        name,
        Tables(
            events=Table(events, "ratings", first=1),
            items=Table(_in_order(items, "item"), "films", first=1),
            users=Table(_in_order(profile, "user"), "users", first=1),
        ),
        Description(words=FILMS, repeats=False),
    )


def u1_test(folder: Path, log: Log) -> NDArray[np.bool_]:
    """The rows of u1.test: by the archive's mku.sh, the first 20,000 lines of its ratings.

    Args:
        folder: of either layout, both of which keep the order of the lines.
        log: `load_movielens` of it, whose rows are in another order.

    Returns:
        A mask over the log's rows, (E,).
    """
    original = (folder / "u.data").exists()
    lines = (_read_original if original else _read_recbole)(folder)[0].iloc[:U1_LINES]
    key_N, key_U = (log.items["key"].astype(int), log.users["key"].astype(int))
    pair_E = key_U.to_numpy()[log.events["user"]] * KEYS + key_N.to_numpy()[log.events["item"]]
    test_E: NDArray[np.bool_] = np.isin(pair_E, lines["user"] * KEYS + lines["item"])
    return test_E


def split_title(full: str) -> tuple[str, int]:
    """Title and year; year 0 where there is none.

    >>> split_title("Toy Story (1995)")
    ('Toy Story', 1995)
    """
    match = TITLED.fullmatch(full)
    return (match["title"], int(match["year"])) if match else ("unknown", 0)


def _in_order(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """By number, so that row = number - 1 whatever the order in the file."""
    return table.sort_values(key).reset_index(drop=True)


def _read_original(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The files of the grouplens archive."""
    events = pd.read_csv(
        folder / "u.data", sep="\t", names=["user", "item", "rating", "time"], encoding="latin-1"
    )
    columns = ["item", "full_title", "released", "video", "address", *GENRES]
    films = pd.read_csv(folder / "u.item", sep="|", names=columns, encoding="latin-1", quoting=3)
    films["topics"] = [
        "|".join(genre for genre, flag in zip(GENRES, flags, strict=True) if flag)
        for flags in films[GENRES].to_numpy()
    ]
    users = pd.read_csv(
        folder / "u.user",
        sep="|",
        names=["user", "age", "gender", "occupation", "zip"],
        encoding="latin-1",
    )
    return events, films[["item", "full_title", "topics"]], users


def _read_recbole(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """RecBole's files; their titles lost the brackets around the year, which are put back."""

    def read(kind: str) -> pd.DataFrame:
        frame = pd.read_csv(folder / f"ml-100k.{kind}", sep="\t", quoting=3, keep_default_na=False)
        frame.columns = pd.Index([str(column).split(":")[0] for column in frame.columns])
        return frame.rename(columns={"user_id": "user", "item_id": "item", "timestamp": "time"})

    films = read("item")
    films["full_title"] = films["movie_title"] + " (" + films["release_year"].astype(str) + ")"
    films["topics"] = films["class"].str.replace(" ", "|")
    return read("inter"), films[["item", "full_title", "topics"]], read("user")
