"""Made logs of ratings: half stars in the size and shape of MovieLens-latest-small, and others.

`python tests/film_log.py FOLDER` writes events, items and log.toml: 610 people, 9,742 films, about
100,000 ratings from 0.5 to 5, most films rated by a few people only. `--kind ten-points` is of 300
people, 2,500 items without a text of their own, two topics, whole points from 0 to 10, and tastes
that move; `--kind dense` of 250 people and 400 films, of which everybody rates a good part.
Nobody's data are copied: people have tastes in a space of films, drift, and follow a film by one
like it that many know; genres and the words of a title say part of where a film lies. So what
closed forms assume (biases, factors, what follows what) holds by construction: a log of this kind
tests that code and defaults carry over, not which model is better on people.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

FEWEST, MOST = 20, 2_000  # ratings of a person
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

[signals.rating]
kind = "ordinal"
low = {low}
high = {high}
step = {step}
"""


@dataclass(frozen=True)
class Kind:
    """What a log is like."""

    people: int = 610
    films: int = 9_742
    ratings: float = 165.0  # of a person, on average
    genres: int = len(GENRES)
    titles: bool = True  # whether words say where a film lies
    low: float = 0.5  # of the scale
    high: float = 5.0
    step: float = 0.5
    moving: float = 0.0  # of a taste, from rating to rating, in its own deviations


KINDS = {
    "half-stars": Kind(),
    "ten-points": Kind(300, 2_500, 80.0, 2, False, 0.0, 10.0, 1.0, 0.15),
    "dense": Kind(250, 400, 90.0),
}
DAY, PAUSE = 86_400, 40.0  # seconds; between two ratings of a sitting
SITTING = 40  # ratings
SINCE, UNTIL = 828_124_615, 1_537_799_250  # unix seconds


def write_film_log(folder: Path, seed: int = 0, kind: Kind | None = None) -> None:
    """Write the log.

    Args:
        folder: made if it is not there.
        seed: of everything.
        kind: of log; None: half stars.
    """
    kind = kind or Kind()
    rng, films = np.random.default_rng(seed), kind.films
    genre_GD = rng.normal(size=(len(GENRES), WIDTH))
    word_WD = rng.normal(size=(len(WORDS), WIDTH))
    share_G = rng.dirichlet(np.ones(kind.genres) * 0.7)
    most = min(3, kind.genres)
    genres = [
        rng.choice(kind.genres, size=rng.integers(1, most + 1), replace=False, p=share_G)
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
    count_U = np.exp(rng.normal(np.log(70.0), 1.1, size=kind.people))
    count_U = np.clip(count_U * kind.ratings / count_U.mean(), FEWEST, min(MOST, films // 3))
    rows = []
    for user, count in enumerate(count_U.astype(int)):
        rows += _person(rng, user, count, place_ND, known_N, good_N, kind)
    events = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    years = rng.integers(1930, 2018, size=films)
    table = pd.DataFrame(
        {
            "item": np.arange(1, films + 1),
            "title": [_title(n, w if kind.titles else ()) for n, w in enumerate(words)],
            "year": years,
            "topics": ["|".join(GENRES[i] for i in sorted(g)) for g in genres],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    events.to_csv(folder / "events.csv", index=False)
    table.to_csv(folder / "items.csv", index=False)
    text = TOML.format(low=kind.low, high=kind.high, step=kind.step)
    (folder / "log.toml").write_text(text, encoding="utf-8")


def _title(number: int, words: Sequence[int]) -> str:
    return " ".join([*(WORDS[i].title() for i in words), str(number)])


def _person(
    rng: np.random.Generator,
    user: int,
    count: int,
    place_ND: np.ndarray,
    known_N: np.ndarray,
    good_N: np.ndarray,
    kind: Kind,
) -> list[tuple[int, int, float, int]]:
    """One person's ratings in order."""
    films, width = place_ND.shape
    taste_D = rng.normal(size=width)
    # what one chooses and what one likes are alike, not the same
    liking_D = 0.6 * taste_D + 0.5 * rng.normal(size=width)
    level, drift = 0.45 * rng.normal(), 0.0
    wish_N, heard_N = TASTE * place_ND @ taste_D, np.exp(known_N).cumsum()
    wider = (kind.high - kind.low) / 4.5  # than half stars
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
        told = kind.low + wider * (value + 0.75 * rng.normal() - 0.5)
        told = np.clip(np.round(told / kind.step) * kind.step, kind.low, kind.high)
        rows.append((user + 1, item + 1, float(told), time))
        if kind.moving:
            kept = np.sqrt(1 - kind.moving**2)
            taste_D = kept * taste_D + kind.moving * rng.normal(size=width)
            wish_N = TASTE * place_ND @ taste_D
        time += int(rng.exponential(PAUSE)) + 1
        if (n + 1) % SITTING == 0:
            time += int(rng.exponential(20 * DAY))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, default="half-stars")
    parser.add_argument("--people", type=int, help="another number of them")
    asked = parser.parse_args()
    kind = KINDS[asked.kind]
    if asked.people is not None:
        kind = replace(kind, people=asked.people)
    write_film_log(asked.folder, asked.seed, kind)


if __name__ == "__main__":
    main()
