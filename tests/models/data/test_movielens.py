from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slategym.models.data.log import Log, main_topics
from slategym.models.data.sets.movielens import GENRES, load_movielens, split_title, u1_test

FILMS = [  # id, title as in u.item, as in ml-100k.item, year there, genres
    (1, "Toy Story (1995)", "Toy Story", "1995", "Animation Children's Comedy"),
    (2, 'Quote "Unquote" (1990)', 'Quote "Unquote"', "1990", "Drama"),
    (3, "Cérémonie, La (1995)", "Cérémonie, La", "1995", "Drama"),
    (4, "Land Before Time III (1995) (V)", "Land Before Time III (1995)", "V", "Animation"),
    (5, "unknown", "unkonwn", "unkonwn", "unknown"),
    (6, "1-900 (1994)", "1-900", "1994", "Sci-Fi Film-Noir Drama"),
]
PEOPLE = [
    (1, 7, "M", "student", "00000"),
    (2, 18, "F", "none", "94043"),
    (3, 56, "F", "artist", "T8H1N"),
]
RATINGS = [  # user, item, stars, time: not in order, as in the original
    (2, 3, 3, 881250949),
    (1, 1, 5, 874965478),
    (3, 6, 1, 881250950),
    (1, 4, 4, 874965400),
    (1, 5, 2, 874965400),
    (2, 2, 4, 0),
]


def write_original(folder: Path) -> Path:
    folder.mkdir()
    lines = ["\t".join(map(str, rating)) for rating in RATINGS]
    (folder / "u.data").write_text("\n".join(lines) + "\n", "latin-1")
    lines = []
    for item, title, _, _, genres in FILMS:
        flags = [str(int(genre in genres.split())) for genre in GENRES]
        lines.append("|".join([str(item), title, "01-Jan-1995", "", "http://film", *flags]))
    (folder / "u.item").write_text("\n".join(lines) + "\n", "latin-1")
    lines = ["|".join(map(str, person)) for person in PEOPLE]
    (folder / "u.user").write_text("\n".join(lines) + "\n", "latin-1")
    return folder


def write_recbole(folder: Path) -> Path:
    folder.mkdir()
    tables = {
        "inter": ("user_id:token item_id:token rating:float timestamp:float", RATINGS),
        "item": (
            "item_id:token movie_title:token_seq release_year:token class:token_seq",
            [(i, title, year, _flag_order(genres)) for i, _, title, year, genres in FILMS],
        ),
        "user": (
            "user_id:token age:token gender:token occupation:token zip_code:token",
            PEOPLE[::-1],
        ),
    }
    for kind, (header, rows) in tables.items():
        lines = [header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in rows)]
        (folder / f"ml-100k.{kind}").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _flag_order(genres: str) -> str:
    return " ".join(genre for genre in GENRES if genre in genres.split())


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return load_movielens(write_original(tmp_path / "original"))


def test_both_layouts_give_the_same_log(log: Log, tmp_path: Path) -> None:
    other = load_movielens(write_recbole(tmp_path / "recbole"))
    pd.testing.assert_frame_equal(log.events, other.events)
    pd.testing.assert_frame_equal(log.items, other.items)
    pd.testing.assert_frame_equal(log.users, other.users)
    np.testing.assert_array_equal(log.item_topics, other.item_topics)
    assert log.sha256 == other.sha256


def test_text_is_title_year_and_genres(log: Log) -> None:
    assert list(log.items["text"]) == [
        "Toy Story (1995) | Animation, Children's, Comedy",
        'Quote "Unquote" (1990) | Drama',
        "Cérémonie, La (1995) | Drama",
        "Land Before Time III (1995) | Animation",
        "unknown | unknown",
        "1-900 (1994) | Drama, Film-Noir, Sci-Fi",
    ]


def test_events_are_sorted_by_user_and_time_and_ties_keep_their_order(log: Log) -> None:
    assert list(zip(log.events["user"], log.events["item"], strict=True)) == [
        (0, 3), (0, 4), (0, 0), (1, 1), (1, 2), (2, 5),
    ]  # fmt: skip


def test_context_is_utc(log: Log) -> None:
    epoch = log.events[log.events["time"] == 0].iloc[0]
    assert (epoch["hour"], epoch["weekday"]) == (0.0, 3)  # midnight of a Thursday
    later = log.events[log.events["time"] == 881250949].iloc[0]  # Thu 4 Dec 1997 15:55:49 UTC
    assert later["weekday"] == 3
    assert later["hour"] == pytest.approx(15 + 55 / 60 + 49 / 3600, abs=1e-4)


def test_click_and_like_are_derived_and_the_rating_is_logged(log: Log) -> None:
    assert [(s.name, s.provenance) for s in log.signals] == [
        ("click", "derived"),
        ("like", "derived"),
        ("rating", "logged"),
    ]
    assert (log.events["click"] == 1).all()
    assert list(log.events["like"]) == [float(r >= 4) for r in log.events["rating"]]
    assert 0 < log.events["like"].sum() < len(log.events)


def test_profile_is_categories(log: Log) -> None:
    assert log.profile_names == ("age", "gender", "occupation")
    assert log.profile_sizes == (7, 2, 3)
    assert log.users[["age", "gender", "occupation"]].to_numpy().tolist() == [
        [0, 0, 2],
        [1, 1, 1],
        [6, 1, 0],
    ]


def test_main_topic_is_the_rarest_common_one_else_the_most_frequent() -> None:
    item_topics_NG = np.zeros((351, 4), np.float32)
    item_topics_NG[:200, 0] = 1  # 200 items
    item_topics_NG[100:250, 1] = 1  # 150 items, half of them with topic 0 as well
    item_topics_NG[250:, 2] = 1  # 101 items, none common with the others but the last
    item_topics_NG[199:201, 3] = 1  # 2 items: too few to be a main topic
    item_topics_NG[350, :] = [0, 0, 0, 1]  # only a rare topic: that one
    topic_N = main_topics(item_topics_NG)
    assert topic_N[0] == 0
    assert topic_N[150] == 1  # 0 and 1: the rarer
    assert topic_N[199] == 1  # and not 3, which is rarer still
    assert topic_N[350] == 3


@pytest.mark.parametrize(
    ("full", "expected"),
    [
        (
            "Marlene Dietrich: Shadow and Light (1996) ",
            ("Marlene Dietrich: Shadow and Light", 1996),
        ),
        ("Hate (Haine, La) (1995)", ("Hate (Haine, La)", 1995)),
        ("unkonwn (unkonwn)", ("unknown", 0)),
        ("2001: A Space Odyssey (1968)", ("2001: A Space Odyssey", 1968)),
    ],
)
def test_titles(full: str, expected: tuple[str, int]) -> None:
    assert split_title(full) == expected


def test_a_folder_with_neither_layout(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither u\.data nor ml-100k\.inter"):
        load_movielens(tmp_path)


@pytest.mark.parametrize("write", [write_original, write_recbole])
def test_u1_is_the_first_lines_of_the_file(write, tmp_path, monkeypatch):
    monkeypatch.setattr("slategym.models.data.sets.movielens.U1_LINES", 2)
    folder = write(tmp_path / "data")
    log = load_movielens(folder)
    (lines,) = [
        (folder / n).read_text() for n in ("u.data", "ml-100k.inter") if (folder / n).exists()
    ]
    rows = [line.split("\t")[:2] for line in lines.splitlines() if line[0].isdigit()][:2]
    test_E = u1_test(folder, log)
    found = log.events[test_E]
    keys = zip(log.users["key"][found["user"]], log.items["key"][found["item"]], strict=True)
    assert {tuple(row) for row in rows} == set(keys)
    assert test_E.sum() == 2
