"""Worlds that envs builds, to iterate over.

The scenarios are one builder and one user model with other constants: what holds of any world is
asked of a few of them here, and of each in tests/envs/test_scenarios.py.
"""

from slategym.envs.registry import WORLDS

SCENARIO = "slategym.envs.worlds.scenario:scenario"
ASKED = ("slategym/Scenario-Shop-v0",)
OWN = sorted(
    id
    for id, entry in WORLDS.items()
    if entry.builder.startswith("slategym.envs.") and (entry.builder != SCENARIO or id in ASKED)
)
