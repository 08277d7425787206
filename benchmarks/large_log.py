"""Seconds and bytes of a large log: python benchmarks/large_log.py.

Makes a folder with a million events of 100,000 users and 50,000 items (a shop: click, dwell,
device, brand, price, topics), and times the steps on it, each in a process of its own: `check` (as
`slategym data check`) and `load` (as `load_log`). Bytes are the most that the process held, less
what it held after importing the packages. The made log is kept in the folder that --folder names,
or removed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

TOML = """\
[signals.dwell]
kind = "nonnegative"
unit = "s"
weight = 0.01
[context.device]
[item_columns.brand]
[item_columns.price]
kind = "number"
unit = "EUR"
"""
GIB = 2**30


def make(folder: Path, num_events: int, num_users: int, num_items: int, form: str) -> None:
    """Write such a log; popular items are met more often, and a third of the rows are clicked."""
    rng = np.random.default_rng(0)
    click = (rng.random(num_events) < 1 / 3).astype(np.int8)
    user = np.r_[np.arange(num_users), rng.integers(0, num_users, num_events - num_users)]
    item = (num_items * rng.random(num_events) ** 3).astype(np.int64)
    events = pd.DataFrame(
        {
            "user": user,
            "item": item,
            "time": 1_700_000_000 + np.arange(num_events) * 3,
            "click": click,
            "dwell": np.where(click > 0, rng.exponential(30.0, num_events).round(2), np.nan),
            "device": rng.choice(["phone", "laptop", "tv"], num_events),
        }
    )
    topics = np.array([f"topic {g}" for g in range(40)])
    items = pd.DataFrame(
        {
            "item": np.arange(num_items),
            "title": [f"thing {n}" for n in range(num_items)],
            "text": [f"a thing of make {n % 997} and colour {n % 13}" for n in range(num_items)],
            "topics": ["|".join(pair) for pair in topics[rng.integers(0, 40, (num_items, 2))]],
            "brand": [f"brand {n % 300}" for n in range(num_items)],
            "price": rng.exponential(40.0, num_items).round(2),
        }
    )
    users = pd.DataFrame(
        {"user": np.arange(num_users), "age": rng.choice(["young", "middle", "old"], num_users)}
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("events", events), ("items", items), ("users", users)):
        path = folder / f"{name}.{form}"
        table.to_csv(path, index=False) if form == "csv" else table.to_parquet(path, index=False)
    (folder / "log.toml").write_text(TOML, "utf-8")


def check(folder: Path) -> str:
    """As `slategym data check`, without printing the table."""
    from slategym.models.data.check import check_folder

    checked = check_folder(folder)
    assert checked.log is not None, checked.problems[:3]
    return f"{sum(use.fit for use in checked.uses)} of {len(checked.uses)} uses"


def load(folder: Path) -> str:
    """As everything begins."""
    from slategym.models.data.datasets import load_log

    log = load_log(folder)
    held = sum(int(t.memory_usage(deep=True).sum()) for t in (log.events, log.items, log.users))
    return f"tables of {held / 2**20:,.0f} MiB"


STEPS = {"check": check, "load": load}


def measure(step: str, folder: Path) -> dict[str, object]:
    """That step in this process: seconds, and bytes at the most."""
    import slategym.models.data.check
    import slategym.models.data.datasets  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin, begin_cpu = time.perf_counter(), time.process_time()
    said = STEPS[step](folder)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu": cpu, "bytes": most - before, "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--form", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--folder", type=Path, help="keep the log here, and use it if it is there")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # in a process of its own
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(measure(asked.step, asked.folder)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch) / "large"
        if not folder.exists():
            make(folder, asked.events, asked.users, asked.items, asked.form)
        for step in asked.steps:
            command = [sys.executable, __file__, "--folder", str(folder), "--step", step]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            print(
                f"{step:8} {found['seconds']:8.1f} s  {found['cpu']:8.1f} s of CPU  "
                f"{found['bytes'] / GIB:6.2f} GiB  "
                f"{found['said']}"
            )


if __name__ == "__main__":
    main()
