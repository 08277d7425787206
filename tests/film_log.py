"""A made log of ratings in half stars, of the size and shape of MovieLens-latest-small.

`python tests/film_log.py FOLDER` writes events, items and log.toml: 610 people, 9,742 films, about
100,000 ratings from 0.5 to 5, most films rated by a few people only.
Nobody's data are copied: people have tastes in a space of films, drift, and follow a film by one
like it that many know; genres and the words of a title say part of where a film lies. So what
closed forms assume (biases, factors, what follows what) holds by construction: a log of this kind
tests that code and defaults carry over, not which model is better on people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

PEOPLE, FILMS, FEWEST, MOST = 610, 9_742, 20, 2_000
MEAN_RATINGS = 165.0
WIDTH = 10  # dimensions of taste
GENRES = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
WORDS = (
    *("night", "river", "king", "love", "road", "star", "war", "house", "dream", "city", "blood"),
    *("summer", "winter", "last", "first", "lost", "man", "woman", "child", "ghost", "island"),
    *("train", "sea", "mountain", "secret", "dance", "school", "robot", "crime", "wedding"),
)
TASTE, WALK = 1.6, 2.0  # weights of taste, and of likeness to the film before, in log-odds
KNOWN, FOUND = 60, 2  # films that come to mind by how many know them, and by chance
TOML = """\
repeats = false

[words]
item = "film"
items = "films"
"""
DAY, PAUSE = 86_400, 40.0  # seconds; between two ratings of a sitting
SITTING = 40  # ratings
SINCE, UNTIL = 828_124_615, 1_537_799_250  # unix seconds


def write_film_log(folder: Path, seed: int = 0, people: int = PEOPLE, films: int = FILMS) -> None:
    """Write the log.

    Args:
        folder: made if it is not there.
        seed: of everything.
        people: who rate.
        films: of which most are hardly rated.
    """
    rng = np.random.default_rng(seed)
    genre_GD = rng.normal(size=(len(GENRES), WIDTH))
    word_WD = rng.normal(size=(len(WORDS), WIDTH))
    share_G = rng.dirichlet(np.ones(len(GENRES)) * 0.7)
    genres = [
        rng.choice(len(GENRES), size=rng.integers(1, 4), replace=False, p=share_G)
        for _ in range(films)
    ]
    words = [rng.choice(len(WORDS), size=2, replace=False) for _ in range(films)]
    place_ND = np.stack(
        [
            genre_GD[g].mean(0) + 0.5 * word_WD[w].mean(0) + 0.7 * rng.normal(size=WIDTH)
            for g, w in zip(genres, words, strict=True)
        ]
    )
    place_ND /= np.linalg.norm(place_ND, axis=1, keepdims=True)
    known_N = rng.permutation(np.log(1.0 / np.arange(60, films + 60) ** 1.9))
    good_N = 0.35 * rng.normal(size=films) + 0.08 * (known_N - known_N.mean())
    count_U = np.exp(rng.normal(np.log(70.0), 1.1, size=people))
    count_U = np.clip(count_U * MEAN_RATINGS / count_U.mean(), FEWEST, min(MOST, films // 3))
    rows = []
    for user, count in enumerate(count_U.astype(int)):
        rows += _person(rng, user, count, place_ND, known_N, good_N)
    events = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    years = rng.integers(1930, 2018, size=films)
    table = pd.DataFrame(
        {
            "item": np.arange(1, films + 1),
            "title": [f"{' '.join(WORDS[i] for i in w).title()} {n}" for n, w in enumerate(words)],
            "year": years,
            "topics": ["|".join(GENRES[i] for i in sorted(g)) for g in genres],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    events.to_csv(folder / "events.csv", index=False)
    table.to_csv(folder / "items.csv", index=False)
    (folder / "log.toml").write_text(TOML, encoding="utf-8")


def _person(
    rng: np.random.Generator,
    user: int,
    count: int,
    place_ND: np.ndarray,
    known_N: np.ndarray,
    good_N: np.ndarray,
) -> list[tuple[int, int, float, int]]:
    """One person's ratings in order."""
    films, width = place_ND.shape
    taste_D = rng.normal(size=width)
    # what one chooses and what one likes are alike, not the same
    liking_D = 0.6 * taste_D + 0.5 * rng.normal(size=width)
    level, drift = 0.45 * rng.normal(), 0.0
    wish_N, heard_N = TASTE * place_ND @ taste_D, np.exp(known_N).cumsum()
    open_N = np.ones(films, bool)
    time = int(rng.integers(SINCE, UNTIL))
    rows: list[tuple[int, int, float, int]] = []
    for n in range(count):
        some = np.searchsorted(heard_N, heard_N[-1] * rng.random(KNOWN), side="right")
        some = np.concatenate([some, rng.integers(0, films, size=FOUND)])
        some = some[open_N[some]]
        score = wish_N[some] + rng.gumbel(size=len(some))
        if rows:
            score += WALK * place_ND[some] @ place_ND[rows[-1][1] - 1]
        item = int(some[np.argmax(score)])
        open_N[item] = False
        drift = 0.9 * drift + 0.15 * rng.normal()
        value = 3.4 + good_N[item] + level + drift + 0.35 * place_ND[item] @ liking_D
        stars = np.clip(np.round(2 * (value + 0.75 * rng.normal())) / 2, 0.5, 5.0)
        rows.append((user + 1, item + 1, float(stars), time))
        time += int(rng.exponential(PAUSE)) + 1
        if (n + 1) % SITTING == 0:
            time += int(rng.exponential(20 * DAY))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    write_film_log(asked.folder, asked.seed)


if __name__ == "__main__":
    main()
