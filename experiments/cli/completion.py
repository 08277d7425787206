"""What the shell offers for a word that is half typed: names of this repository and of packages.

Paths are no matter of these: a shell offers files where nothing of a name fits.
"""

from __future__ import annotations

from collections.abc import Iterable


def of_worlds(incomplete: str) -> list[str]:
    """Worlds that begin so."""
    from slategym.envs.registry import NAMESPACE, worlds

    return _begin((name.removeprefix(NAMESPACE) for name in worlds.all()), incomplete)


def of_learners(incomplete: str) -> list[str]:
    """Learners that begin so."""
    from slategym.agents.registry import policies

    return _begin((name for name, entry in policies.all().items() if entry.agent), incomplete)


def of_policies(incomplete: str) -> list[str]:
    """Policies, learners among them, that begin so; of a list with commas, its last."""
    from slategym.agents.registry import policies

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in _begin(policies.all(), last)]


def of_studies(incomplete: str) -> list[str]:
    """Studies that begin so."""
    from slategym.experiments.studies.registry import studies

    return _begin((*studies.all(), "truth"), incomplete)


def of_data_sets(incomplete: str) -> list[str]:
    """Data sets that begin so."""
    from slategym.models.data.datasets import DATASETS

    return _begin(DATASETS, incomplete)


def _begin(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
