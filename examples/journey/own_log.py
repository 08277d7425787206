"""From a log of your own to a verdict, without the command line.

    python own_log.py my-log/ [--out runs/mine] [--profile smoke]

`slategym data from-table` and `slategym data describe` make the folder from a table of events.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import slategym as sg


def main(log: str, out: Path, profile: str = "smoke", **less: Any) -> Path:
    """Read the log, ask what it shows, and study it; called again, it computes what is missing."""
    found = sg.load_log(log)  # what is wrong with it is said with file, line and fix
    print(f"{found.num_users:,} users, {found.num_items:,} items, {len(found.events):,} rows")
    for signal in found.signals:
        print(f"  {signal.name}: {signal.kind}, reward {signal.weight:g} a unit")
    report = sg.run_study("log", log=log, profile=profile, out=out, **less)
    print(f"read {report}")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", help="folder with events, items and, if you like, users")
    parser.add_argument("--out", type=Path, default=Path("runs/mine"), help="folder of the run")
    parser.add_argument("--profile", default="smoke", help="smoke, quick or full")
    asked = parser.parse_args()
    main(asked.log, asked.out, asked.profile)
