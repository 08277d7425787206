"""MovieLens 1M and the CSV releases (latest, latest-small, 25M): ratings of films, with times.

Source: Harper and Konstan 2015, doi:10.1145/2827872. For research; not to be redistributed.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slategym.models.data.description import Description
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import need
from slategym.models.data.sets.movielens import FILMS, split_title
from slategym.models.data.tables import Table, Tables

AGES = {  # years; the codes of users.dat are the lower ends
    **{1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55"},
    56: "56 and over",
}
OCCUPATIONS = (  # by the codes of users.dat
    *("other", "educator", "artist", "clerical", "college student", "customer service"),
    *("doctor", "executive", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales", "scientist", "self-employed", "technician", "tradesman", "unemployed"),
    "writer",
)
NO_GENRES = "(no genres listed)"
MOST_TAGS = 10  # of a film, in its text


def load_movielens_1m(folder: Path) -> Log:
    """1,000,209 ratings of 3,883 films by 6,040 people, 2000-03, with age, gender, occupation.

    Args:
        folder: with ratings.dat, movies.dat and users.dat.
    """
    ratings, movies, people = need(folder, "movielens-1m", "ratings.dat movies.dat users.dat")
    events = pd.read_csv(ratings, sep=":", header=None, usecols=[0, 2, 4, 6], encoding="latin-1")
    events.columns = pd.Index(["user", "item", "rating", "time"])
    films = pd.DataFrame(
        [line.split("::") for line in movies.read_text("latin-1").splitlines()],
        columns=["item", "full_title", "topics"],
    )
    users = pd.read_csv(people, sep=":", header=None, usecols=[0, 2, 4, 6], encoding="latin-1")
    users.columns = pd.Index(["user", "gender", "age", "occupation"])
    profile = pd.DataFrame(
        {
            "user": users["user"],
            "age": pd.Categorical(users["age"].map(AGES), categories=list(AGES.values())),
            "gender": pd.Categorical(users["gender"], categories=["M", "F"]),
            "occupation": [OCCUPATIONS[code] for code in users["occupation"]],
        }
    )
    films[["title", "year"]] = [split_title(full) for full in films["full_title"]]
    return build_log(
        "movielens-1m",
        Tables(
            Table(events, "ratings.dat", 1, "line"),
            Table(films[["item", "title", "year", "topics"]], "movies.dat", 1, "line"),
            Table(profile, "users.dat", 1, "line"),
        ),
        Description(words=FILMS, repeats=False),
    )


def load_movielens_csv(folder: Path, name: str = "movielens-latest-small") -> Log:
    """Ratings in half stars; the commonest tags of a film stand in its text.

    Args:
        folder: with ratings.csv, movies.csv and, if there is one, tags.csv.
        name: of the log.
    """
    ratings, movies = need(folder, name, "ratings.csv movies.csv")
    events = pd.read_csv(ratings).rename(
        columns={"userId": "user", "movieId": "item", "timestamp": "time"}
    )
    films = pd.read_csv(movies).rename(columns={"movieId": "item", "title": "full_title"})
    titles = [split_title(full) for full in films["full_title"]]
    films["title"] = [
        title if year else full
        for (title, year), full in zip(titles, films["full_title"], strict=True)
    ]
    films["year"] = [year for _, year in titles]
    films["topics"] = films["genres"].where(films["genres"] != NO_GENRES)
    films["text"] = _texts(films, _tags(folder / "tags.csv"))
    return build_log(
        name,
        Tables(
            Table(events, "ratings.csv", 2, "line"),
            Table(films[["item", "title", "year", "topics", "text"]], "movies.csv", 2, "line"),
        ),
        Description(words=FILMS, repeats=False),
    )


def _tags(path: Path) -> pd.Series:
    """Film -> its commonest tags, ", " between them; of equals, by name."""
    if not path.exists():
        return pd.Series(dtype=str)
    tags = pd.read_csv(path, dtype={"tag": str}, keep_default_na=False)
    tags["tag"] = tags["tag"].str.strip().str.lower()
    counts = tags.groupby(["movieId", "tag"]).size().rename("count").reset_index()
    counts = counts.sort_values(["movieId", "count", "tag"], ascending=[True, False, True])
    best = counts.groupby("movieId").head(MOST_TAGS)
    return best.groupby("movieId")["tag"].agg(", ".join)


def _texts(films: pd.DataFrame, tags: pd.Series) -> list[str]:
    """Title, year, genres and tags, as far as there are any."""
    said = films["item"].map(tags)
    texts = []
    for title, year, genres, tagged in zip(
        films["title"], films["year"], films["topics"], said, strict=True
    ):
        head = f"{title} ({year})" if year else title
        parts = [head, genres.replace("|", ", ") if isinstance(genres, str) else None, tagged]
        texts.append(" | ".join(part for part in parts if isinstance(part, str) and part))
    return texts
