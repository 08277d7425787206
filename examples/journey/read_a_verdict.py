"""Read a verdict in the order in which it can fall, and its differences again from the rows.

python read_a_verdict.py runs/movielens-quick
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd


def main(run: Path) -> pd.DataFrame:
    """Headroom, opponents, what a lead consists of; returns the differences, read again."""
    told = json.loads((run / "summary.json").read_text("utf-8"))
    study = json.loads((run / "study.json").read_text("utf-8"))
    rows = pd.read_parquet(run / "rows.parquet")
    learner = told["agent"]
    places = {place["name"]: place for place in study["places"] if place["role"] == "open"}
    print(told["title"], "\n", told["command"], sep="")

    print("\n1. What looking ahead is worth at most, told the truth")
    for name, found in told["headroom"].items():
        print(f"  {name}: {found['sentence']}")

    print("\n2. The learner minus everybody else, from the rows: people are what varies")
    again = []
    for name in told["outcomes"]:
        mine = returns(rows, places[name], learner)
        for other in sorted(set(rows["policy"]) - {learner}):
            apart = (mine - returns(rows, places[name], other)).dropna()
            if len(apart):
                of_person = (apart - apart.mean()).groupby("person").sum()  # arrivals go together
                half = 1.96 * (of_person**2).sum() ** 0.5 / len(apart)
                again.append((name, other, apart.mean(), half, len(of_person)))
    table = pd.DataFrame(again, columns=["place", "minus", "difference", "half", "people"])
    table = table.sort_values(["place", "difference"]).reset_index(drop=True)
    print(table.to_string(index=False, float_format="{:+.2f}".format))  # hardest opponents first

    print("\n3. What the lead consists of; only planning needs reinforcement learning")
    for found in told["attribution"]:
        if found["agent"] == learner:
            parts = [f"{name} {part['value']:+.2f}" for name, part in found["parts"].items()]
            print(f"  {found['place']}: {found['start']} {found['level']:.1f}, {', '.join(parts)}")

    print("\n4. All that is said\n ", told["verdict"])
    for objection in told["objections"]:
        print(f"  but: {objection}")
    return table


def returns(rows: pd.DataFrame, place: dict[str, Any], policy: str) -> pd.Series:
    """Expected return of each arrival of a person in a place, mean over training seeds."""
    here = (rows["variant"] == place["name"]) & (rows["group"] == "evaluation")
    if place["strength"] is not None:  # a study may sweep over it under one name
        here &= rows["strength"] == place["strength"]
    here &= (rows["policy"] == policy) & rows["trained_in"].isin(["", place["name"]])
    return rows[here].groupby(["person", "user"])["expected_return"].mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished study")
    main(parser.parse_args().run)
