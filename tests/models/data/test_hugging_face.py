"""A log goes to `datasets` and comes back the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_worlds import small_log

from slategym.envs.names import UsageError
from slategym.models.data.folder import load_folder, write_folder
from slategym.models.data.hugging_face import from_datasets, to_datasets

datasets = pytest.importorskip("datasets", reason="needs the extra datasets")


@pytest.mark.filterwarnings("ignore")
def test_there_and_back_is_the_same_log(tmp_path: Path) -> None:
    write_folder(small_log(30, 40), tmp_path / "log")
    log = load_folder(tmp_path / "log")
    tables = to_datasets(log)
    assert {name: len(table) for name, table in tables.items()} == {
        "events": len(log.events),
        "items": log.num_items,
        "users": log.num_users,
    }
    tables.save_to_disk(str(tmp_path / "disk"))
    again = datasets.load_from_disk(str(tmp_path / "disk"))
    found = from_datasets(again, tmp_path / "copy", log_toml=again["events"].info.description)
    for name in ("events", "items", "users"):
        mine, theirs = getattr(log, name), getattr(found, name)
        assert mine.equals(theirs[mine.columns]), name
    assert found.signals == log.signals and found.context == log.context


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a log is made of events, items and, if any, users; got"):
        from_datasets({"events": datasets.Dataset.from_dict({"user": [1]})}, tmp_path / "x")
    assert not (tmp_path / "x").exists()
