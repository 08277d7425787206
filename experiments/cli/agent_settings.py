"""Settings of a learner as the command line takes them: NAME=VALUE, checked against its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from slategym.agents.registry import find_agent, find_learner
from slategym.envs.names import UsageError, shown
from slategym.envs.settings import check_kinds
from slategym.experiments.cli.declared import kinds_of, settings_of
from slategym.experiments.cli.pairs import read_pairs

OPTION = "--agent-set"


def read_agent_settings(agent: str, pairs: Sequence[str], num_steps: int | None = None) -> Any:
    """The learner's own settings with what `--agent-set` and `--steps` say.

    Args:
        agent: a learner's name.
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.
        num_steps: slates of the whole training; None: the learner's own number.

    Raises:
        UsageError: if the learner or a setting is unknown (the nearest is offered), comes twice, or
            a value is of the wrong kind or out of range.
    """
    given = read_pairs(OPTION, pairs)
    if num_steps is not None:
        if "num_steps" in given:
            raise UsageError(f"--steps and {OPTION} num_steps are the same; give one of them")
        given["num_steps"] = num_steps
    declared = settings_of(agent)
    known = kinds_of(declared)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UsageError(
                f"{agent} has no setting {shown(name)}{hint} It has: {', '.join(known)}"
            )
        if name in (decided := dict(find_learner(agent).fixed)):
            raise UsageError(f"{agent} has {name} = {decided[name]:g} by its name; leave it out")
    values = check_kinds(agent, given, known)
    return replace(find_agent(agent).default_settings(), **values)
