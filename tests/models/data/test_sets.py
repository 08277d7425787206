"""Named data sets: each reader on a small made file with the real columns, and on the real ones."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slategym.envs.names import UsageError, load_object
from slategym.models.assets.registry import ASSETS
from slategym.models.data.datasets import DATASETS, load_log
from slategym.models.data.fitness import facts
from slategym.models.data.folder import write_folder
from slategym.models.data.log import Log
from slategym.models.data.sets.open_bandit import load_open_bandit
from slategym.models.data.sets.womens_clothing import FILE, load_womens_clothing, pseudo_users

SHARED = (
    Path(__file__).parents[3].parent / "shared" / "data"
)  # real files, where a machine has them


def write(folder: Path, files: dict[str, str], encoding: str = "utf-8") -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding)
    return folder


def rows(log: Log, *columns: str) -> list[tuple[object, ...]]:
    """Those columns of the events, as keys and numbers."""
    frame = log.events.assign(
        user=log.users["key"].to_numpy()[log.events["user"]],
        item=log.items["key"].to_numpy()[log.events["item"]],
    )
    return list(frame[list(columns)].itertuples(index=False, name=None))


@pytest.fixture
def movielens_1m(tmp_path: Path) -> Path:
    return write(
        tmp_path / "ml-1m",
        {
            "ratings.dat": "2::3::3::978300275\n1::1193::5::978300760\n1::3::4::978300761\n",
            "movies.dat": "3::Étoile: The Return, A (1995)::Comedy|Romance\n"
            "1193::One Flew Over the Cuckoo's Nest (1975)::Drama\n",
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
        },
        "latin-1",
    )


def test_movielens_1m(movielens_1m: Path) -> None:
    log = load_log("movielens-1m", source=movielens_1m)
    assert rows(log, "user", "item", "rating", "like") == [
        ("1", "1193", 5, 1), ("1", "3", 4, 1), ("2", "3", 3, 0),
    ]  # fmt: skip
    assert log.items["title"].tolist() == [
        "Étoile: The Return, A",
        "One Flew Over the Cuckoo's Nest",
    ]
    assert log.items["year"].tolist() == [1995, 1975]
    assert log.profile_sizes == (7, 2, 2)
    assert log.users["age"].tolist() == [0, 6]
    assert log.traits[2].categories == ("K-12 student", "self-employed")
    assert not log.repeats and log.words.item == "film"


def test_movielens_latest_keeps_half_stars_and_reads_tags(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "latest",
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,10,3.5,964982703\n"
            "1,20,0.5,964982704\n2,10,4.0,964982705\n",
            "movies.csv": 'movieId,title,genres\n10,"Toy Story, The (1995)",Adventure|Comedy\n'
            "20,Untitled,(no genres listed)\n",
            "tags.csv": "userId,movieId,tag,timestamp\n1,10,fun,1\n2,10,Pixar,2\n1,10,pixar,3\n",
        },
    )
    log = load_log("movielens-latest-small", source=str(folder))
    rating = log.signals[2]
    assert (rating.low, rating.high, rating.step) == (0.5, 5.0, 0.5)
    assert rows(log, "item", "rating", "like") == [("10", 3.5, 0), ("20", 0.5, 0), ("10", 4.0, 1)]
    assert log.items["text"].tolist() == [
        "Toy Story, The (1995) | Adventure, Comedy | pixar, fun",
        "Untitled",
    ]
    assert log.topic_names == ("Adventure", "Comedy", "unknown")


def test_mind(tmp_path: Path) -> None:
    behaviors = [
        ["1", "U8", "11/11/2019 9:05:58 AM", "N1 N2", "N1-0 N3-1"],
        ["2", "U9", "11/12/2019 6:11:30 PM", "", "N3-0"],
    ]
    news = [
        ["N1", "sports", "golf", "A title", "An abstract", "u", "[]", "[]"],
        ["N3", "news", "us", 'A "quoted" title', "", "u", "[]", "[]"],
    ]
    tables = {"behaviors.tsv": behaviors, "news.tsv": news}
    files = {name: "\n".join("\t".join(row) for row in table) for name, table in tables.items()}
    log = load_log("mind", source=write(tmp_path / "mind", files))
    assert rows(log, "user", "item", "slate_id", "click", "time") == [
        ("U8", "N1", 0, 0, 1573463158),
        ("U8", "N3", 0, 1, 1573463158),
        ("U9", "N3", 1, 0, 1573582290),
    ]
    assert log.items["text"].tolist() == ["A title | An abstract", 'A "quoted" title']
    assert log.topic_names == ("news", "sports")
    assert log.item_columns[0].categories == ("golf", "us")


def test_kuairand(tmp_path: Path) -> None:
    head = (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
        "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
        "is_profile_enter,is_rand,tab\n"
    )
    standard = "0,7,20220408,0,1649347214123,1,1,0,0,0,0,1,11500,11500,0,0,0,0,1\n"
    random = "0,8,20220422,100,1650556800000,0,0,0,0,0,1,0,0,9000,0,0,0,1,4\n"
    folder = write(
        tmp_path / "kuairand",
        {
            "log_standard_4_08_to_4_21_pure.csv": head + standard + standard,
            "log_random_4_22_to_5_08_pure.csv": head + random,
            "video_features_basic_pure.csv": (
                "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,"
                "server_width,server_height,music_id,music_type,tag\n"
                '7,1,NORMAL,2022-03-01,ShortImport,1,11500,720,1280,5,9,"12,9"\n'
                "8,1,AD,2022-03-01,,1,,720,1280,5,9,\n"
            ),
            "user_features_pure.csv": (
                "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,"
                "follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,"
                "friend_user_num,friend_user_num_range,register_days,register_days_range\n"
                '0,full_active,0,0,0,5,"(0,10]",0,0,0,,107,61-90\n'
            ),
        },
    )
    log = load_log("kuairand-pure", source=folder)
    assert rows(log, "item", "click", "like", "hate", "watched", "tab", "random") == [
        ("7", 1, 1, 0, 11.5, 0, 0),
        ("8", 0, 0, 1, 0.0, 1, 1),
    ]
    assert log.events["time"].tolist() == [1649347214, 1650556800]
    assert log.events["hour"].tolist() == pytest.approx([0.004, 0.0], abs=1e-3)  # in Beijing
    assert [signal.kind for signal in log.signals][:3] == ["binary", "binary", "nonnegative"]
    assert log.topic_names == ("tag 12", "tag 9", "unknown")
    assert log.items["length"].tolist() == pytest.approx([11.5, np.nan], nan_ok=True)
    assert log.traits[3].categories == ("unknown",)
    assert facts(log).has_refusals


def test_amazon(tmp_path: Path) -> None:
    reviews = [
        {"rating": 5.0, "title": "t", "text": "x", "asin": "B1", "parent_asin": "P1",
         "user_id": "A", "timestamp": 1588687728923, "helpful_vote": 3, "verified_purchase": True},
        {"rating": 1.0, "title": "t", "text": "x", "asin": "B2", "parent_asin": "P2",
         "user_id": "A", "timestamp": 1588687729000, "helpful_vote": 0, "verified_purchase": False},
    ]  # fmt: skip
    metas = [
        {"main_category": "All Beauty", "title": "A  brush", "features": ["soft"], "price": 9.5,
         "description": ["long"], "store": "Ada", "categories": ["Beauty", "Hair"],
         "parent_asin": "P1"},
        {"main_category": "All Beauty", "title": "", "features": [], "price": None,
         "description": [], "store": None, "categories": [], "parent_asin": "P2"},
        {"main_category": "All Beauty", "title": "never met", "parent_asin": "P3"},
    ]  # fmt: skip
    folder = write(tmp_path / "amazon", {})
    for name, lines in (("All_Beauty", reviews), ("meta_All_Beauty", metas)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as stream:
            stream.write("\n".join(json.dumps(line) for line in lines))
    log = load_log("amazon-reviews-2023", source=folder)
    assert log.name == "amazon-reviews-2023-all-beauty"
    assert rows(log, "user", "item", "time", "rating", "helpful", "bought_here") == [
        ("A", "P1", 1588687728, 5, 3, 1),
        ("A", "P2", 1588687729, 1, 0, 0),
    ]
    assert log.items["text"].tolist() == ["A brush | soft | long", "P2"]
    assert log.topic_names == ("All Beauty", "Hair")
    assert log.items["price"].tolist() == pytest.approx([9.5, np.nan], nan_ok=True)
    assert log.items["store"].tolist() == [0, -1]


def open_bandit(folder: Path) -> Path:
    head = "timestamp,item_id,position,click,propensity_score," + ",".join(
        f"user_feature_{n}" for n in range(4)
    )
    times = "2019-11-24 00:00:34.762830+00:00", "2019-11-24 00:00:53+00:00"
    return write(
        folder,
        {
            "all.csv": f",{head},user-item_affinity_0\n0,{times[0]},1,3,0,0.0125,a,b,c,d,0.0\n"
            f"1,{times[1]},0,1,1,0.25,a,b,c,e,0.0\n",
            "item_context.csv": ",item_id,item_feature_0,item_feature_1,item_feature_2,"
            "item_feature_3\n0,0,-0.5,x,y,z\n1,1,0.25,x,w,z\n",
        },
    )


def test_open_bandit(tmp_path: Path) -> None:
    log = load_open_bandit(open_bandit(tmp_path / "bandit"), "random")
    assert rows(log, "user", "item", "position", "click", "propensity") == [
        ("pseudo-000", "1", 2, 0, 0.0125),
        ("pseudo-001", "0", 0, 1, 0.25),
    ]
    assert log.events["time"].tolist() == [1574553634, 1574553653]
    assert log.profile_sizes == (1, 1, 1, 2)
    assert log.items["score"].tolist() == [-0.5, 0.25]
    assert log.slate_size == 3
    assert any("pseudo users" in note for note in log.notes)


def test_womens_clothing(tmp_path: Path) -> None:
    reviews = pd.DataFrame(
        {
            "Clothing ID": [9, 7, 9, 7],
            "Age": [33, 33, 33, 61],
            "Title": None,
            "Review Text": "words",
            "Rating": [5, 2, 3, 4],
            "Recommended IND": [1, 0, 0, 1],
            "Positive Feedback Count": [0, 12, 1, 0],
            "Division Name": ["Initmates", None, "Initmates", None],
            "Department Name": ["Intimate", None, "Intimate", None],
            "Class Name": ["Sleep", None, "Sleep", None],
        }
    )
    reviews.to_parquet(tmp_path / FILE)
    log = load_womens_clothing(tmp_path)
    assert rows(log, "user", "item", "rating", "recommended", "helpful") == [
        ("pseudo-33-000", "9", 5, 1, 0),
        ("pseudo-33-000", "7", 2, 0, 12),  # the third row is this pseudo user's 9 again: left out
        ("pseudo-61-000", "7", 4, 1, 0),
    ]
    assert log.items["text"].tolist() == [
        "unknown | unknown | unknown",
        "Intimates | Intimate | Sleep",
    ]
    assert np.diff(log.events["time"])[0] == 240
    assert [note.split(":")[0] for note in log.notes] == [
        "users are synthetic",
        "times are synthetic",
    ]


def test_pseudo_users_are_dealt_every_item_once() -> None:
    rng = np.random.default_rng(0)
    age_E, item_E = rng.integers(20, 23, 900), np.minimum(rng.geometric(0.08, 900), 60)
    user_E = pseudo_users(age_E, item_E)
    assert all(user.split("-")[1] == str(age) for user, age in zip(user_E, age_E, strict=True))
    pairs = pd.DataFrame({"user": user_E, "item": item_E})
    crowded = pairs["item"].map(pairs["item"].value_counts()) > 30  # more than people of an age
    assert not pairs[~crowded].duplicated().any()
    assert pairs.groupby("user").size().max() <= 16


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside the repository")
def test_the_real_womens_clothing(tmp_path: Path) -> None:
    log = load_womens_clothing(SHARED / "womens-clothing")
    assert (len(log.events), log.num_users, log.num_items) == (23_473, 1_510, 1_206)
    assert not log.repeats and facts(log).repeated == 0
    assert facts(log).num_long_pasts > 1_400


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside the repository")
@pytest.mark.parametrize(("policy", "users"), [("random", 240), ("bts", 253)])
def test_the_real_open_bandit(policy: str, users: int, tmp_path: Path) -> None:
    with tarfile.open(SHARED / "obd-small.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "obd-small" / "obp" / "dataset" / "obd" / policy / "all"
    log = load_open_bandit(folder, policy)
    assert (len(log.events), log.num_users, log.num_items) == (10_000, users, 80)
    clicks = pd.read_csv(folder / "all.csv", usecols=["click"])["click"]
    assert log.events["click"].sum() == clicks.sum()
    if policy == "random":
        assert (log.events["propensity"] == 1 / 80).all()


def test_every_data_set_says_what_it_is_and_where_it_is_from() -> None:
    for entry in DATASETS.values():
        told = ASSETS[entry.asset] if entry.asset else entry
        assert told.what and told.licence and "\n" not in told.what
        assert entry.asset is not None or entry.address.startswith("https://")
        assert callable(load_object(str(entry.read)))


def test_a_data_set_that_is_not_fetched_says_where_to_get_it(
    movielens_1m: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"get it from https://grouplens.*SLATEGYM_SOURCE_MOVIEL"):
        load_log("movielens-1m")
    monkeypatch.setenv("SLATEGYM_SOURCE_MOVIELENS_1M", str(movielens_1m))
    assert load_log("movielens-1m").num_users == 2
    (movielens_1m / "users.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"movielens-1m lacks users\.dat"):
        load_log("movielens-1m")
    with pytest.raises(FileNotFoundError, match="no such folder, named for movielens-1m"):
        load_log("movielens-1m", source="nowhere")


def test_a_log_is_a_folder_or_a_name(
    movielens_1m: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(load_log("movielens-1m", source=movielens_1m), tmp_path / "films")
    assert load_log(folder).name == load_log(str(folder)).name == "films"
    monkeypatch.chdir(tmp_path)
    assert load_log("films").num_items == 2
    with pytest.raises(
        UsageError, match=r"no folder is called 'movielens-1k', and: unknown data set"
    ):
        load_log("movielens-1k")
    with pytest.raises(UsageError, match="did you mean 'movielens-1"):
        load_log("movielens-1k")
    for path in ("./nowhere", Path("nowhere")):
        with pytest.raises(UsageError, match="nowhere: no such folder; a log is a folder or a"):
            load_log(path)


def test_movielens_as_a_folder_is_the_same_log(movielens_1m: Path, tmp_path: Path) -> None:
    log = load_log("movielens-1m", source=movielens_1m)
    for form in ("csv", "parquet"):
        other = load_log(write_folder(log, tmp_path / form, form))
        for name in ("events", "items", "users"):
            pd.testing.assert_frame_equal(getattr(log, name), getattr(other, name))
        assert other.sha256 == log.sha256
