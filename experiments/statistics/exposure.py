"""What policies show, beside what they earn: columns of the rows, their names, their means."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

SESSION = ("novelty", "slate_distance", "miscalibration")  # of every session
READING = ("coverage", "exposure_gini", "provider_gap", "group_gap")  # the same in all rows
COLUMNS = (*SESSION, *READING)
NAMES = {
    "novelty": "novelty (bits)",
    "slate_distance": "distance within a slate",
    "miscalibration": "miscalibration (nats)",
    "coverage": "coverage",
    "exposure_gini": "Gini of exposure",
    "provider_gap": "provider gap",
    "group_gap": "group gap (return)",
}
MEANINGS = (
    "Novelty: self-information of what is shown by its popularity. Distance: mean of 1 − cosine "
    "over pairs of a slate. Miscalibration: Kullback-Leibler divergence of a slate's topics from "
    "those of the person's clicks. Coverage: share of the catalogue that anybody is shown; Gini of "
    "exposure: 0 where all items are shown alike. Provider gap: exposure per item of the most "
    "favoured provider (or topic) minus the least favoured one's, of the mean. Group gap: return "
    "of the best served group of people, by their first trait, minus that of the worst served."
)


def exposure_means(rows: pd.DataFrame, by: str | Iterable[str] = "policy") -> pd.DataFrame:
    """Means of what is shown, a row per policy; columns that no row has are left out.

    Args:
        rows: sessions.
        by: columns that tell the groups apart.
    """
    columns = [name for name in COLUMNS if name in rows and rows[name].notna().any()]
    keys = [by] if isinstance(by, str) else list(by)
    return rows.groupby(keys, sort=False, observed=True)[columns].mean()
