"""Fewer draws of the bootstrap: rules and sentences are tested, not an interval's last digit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slategym.experiments.statistics import bootstrap


@pytest.fixture(autouse=True, scope="package")
def _few_draws() -> Iterator[None]:
    """Enough for p-values that Holm can still call small in short tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 2_000)
        patch.setattr(bootstrap, "OF_SESSIONS", 200)
        _forget()
        yield
    _forget()


def _forget() -> None:
    bootstrap._people_weights.cache_clear()
    bootstrap._seed_weights.cache_clear()
    bootstrap._rows_drawn.cache_clear()
