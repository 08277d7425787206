"""What every policy shows: a table of each main place."""

from __future__ import annotations

from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import best_first
from slategym.experiments.statistics.differences import cell
from slategym.experiments.statistics.exposure import COLUMNS, MEANINGS, NAMES, exposure_means
from slategym.experiments.statistics.numbers import Numbers


def exposure_section(result: Result, numbers: Numbers) -> list[Html | None]:
    """Novelty, variety, fairness to items, providers and groups, policy by policy.

    Nothing where the rows do not have them, as those of earlier versions.
    """
    study, found = result.study, list[Html | None]()
    if not any(name in result.rows for name in COLUMNS):
        return []
    for place in study.of_role("open"):
        standings = [standing for standing in numbers.ladder if place.name in standing.mean]
        body, columns = [], list[str]()
        for standing in best_first(standings, place):
            mine = cell(study, standing.policy, place).among(result.rows)
            means = exposure_means(mine)
            if means.empty or not len(means.columns):
                continue
            columns = columns or list(means.columns)
            values = means.iloc[0]
            body.append(
                [standing.policy, *(f"{values[c]:.2f}" if c in values else "" for c in columns)]
            )
        if body:
            heads = ["policy", *(NAMES[name] for name in columns)]
            found.append(table(f"{place.heading}: what is shown", heads, body, wide=True))
    return [*found, element("p", MEANINGS, class_="soft")] if found else []
