"""KuaiRand-Pure: short videos shown in Kuaishou, April to May 2022, partly at random.

Source: Gao et al. 2022, doi:10.1145/3511808.3557624; doi:10.5281/zenodo.10439422, CC BY-SA 4.0.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slategym.models.data.columns import texts
from slategym.models.data.description import ColumnEntry, Description, SignalEntry, Words
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.files import UNKNOWN, need
from slategym.models.data.tables import Table, Tables

LOGS = ["log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08", "log_random_4_22_to_5_08"]
SIGNALS = (
    SignalEntry("click", "binary"),
    SignalEntry("like", "binary"),
    SignalEntry("watched", "nonnegative", "s"),
    SignalEntry("long_view", "binary"),
    SignalEntry("follow", "binary"),
    SignalEntry("comment", "binary"),
    SignalEntry("forward", "binary"),
    SignalEntry("hate", "binary"),
    SignalEntry("profile_visit", "binary"),
)
NAMES = {
    **{"user_id": "user", "video_id": "item", "is_click": "click", "is_like": "like"},
    **{"is_follow": "follow", "is_comment": "comment", "is_forward": "forward"},
    **{"is_hate": "hate", "is_profile_enter": "profile_visit"},
}
TRAITS = (
    *("user_active_degree", "follow_user_num_range", "fans_user_num_range"),
    *("friend_user_num_range", "register_days_range"),
)
HOURS_AHEAD = 8  # of UTC, where the people are: the clock that the hour of an event is read from


def load_kuairand(folder: Path) -> Log:
    """All three logs together; `random` in the context says which rows were shown at random.

    Args:
        folder: with the log_*_pure.csv files (at least one), video_features_basic_pure.csv and
            user_features_pure.csv, or with a folder `data` that holds them.
    """
    if (folder / "data").is_dir():
        folder = folder / "data"
    logs = [path for log in LOGS if (path := folder / f"{log}_pure.csv").exists()]
    videos, people = need(
        folder, "kuairand-pure", "video_features_basic_pure.csv user_features_pure.csv"
    )
    if not logs:
        need(folder, "kuairand-pure", " ".join(f"{log}_pure.csv" for log in LOGS))
    rows = pd.concat([pd.read_csv(path) for path in logs], ignore_index=True).rename(columns=NAMES)
    local = rows["time_ms"] // 1_000 + HOURS_AHEAD * 3_600
    events = pd.DataFrame(
        {
            "user": rows["user"],
            "item": rows["item"],
            "time": rows["time_ms"] / 1_000,
            "hour": local % 86_400 / 3_600,
            "weekday": (local // 86_400 + 3) % 7,
            "watched": rows["play_time_ms"] / 1_000,
            **{s.name: rows[s.name] for s in SIGNALS if s.name != "watched"},
            "tab": rows["tab"],
            "random": rows["is_rand"].map({0: "no", 1: "yes"}),
        }
    ).drop_duplicates(["user", "item", "time"], ignore_index=True)
    described = pd.read_csv(videos)
    items = pd.DataFrame({"item": described["video_id"]})
    items["title"] = [f"video {video}" for video in described["video_id"]]
    items["topics"] = [
        [f"tag {tag.strip()}" for tag in str(tags).split(",")] if isinstance(tags, str) else []
        for tags in described["tag"].map(_tag)
    ]
    items["length"] = described["video_duration"] / 1_000
    items["video_type"] = texts(described["video_type"]).fillna(UNKNOWN)
    items["upload_type"] = texts(described["upload_type"]).fillna(UNKNOWN)
    users = pd.read_csv(people, usecols=["user_id", *TRAITS]).rename(columns=NAMES)
    for trait in TRAITS:
        users[trait] = texts(users[trait]).fillna(UNKNOWN)
    return build_log(
        "kuairand-pure",
        Tables(
            Table(events, "logs"),
            Table(items, "video_features_basic_pure.csv", 2, "line"),
            Table(users, "user_features_pure.csv", 2, "line"),
        ),
        Description(
            words=Words("video", "videos", "tag", "tags", "visit", "visits"),
            signals=SIGNALS,
            context=(ColumnEntry("tab"), ColumnEntry("random", categories=("no", "yes"))),
            item_columns=(
                ColumnEntry("length", "number", unit="s"),
                ColumnEntry("video_type"),
                ColumnEntry("upload_type"),
            ),
            notes=("rows are single videos: slates were not logged",),
        ),
    )


def _tag(cell: object) -> str | None:
    """Text as it is, 12.0 as "12", and nothing where there is no tag."""
    if cell is None or cell != cell:
        return None
    return str(int(cell)) if isinstance(cell, float) else str(cell)
