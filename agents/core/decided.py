"""A learner some of whose settings its name decides: the same program, under a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any, ClassVar

from slategym.agents.core.agent import Agent
from slategym.envs.names import UsageError
from slategym.envs.types import World

Decided = tuple[tuple[str, Any], ...]  # names and values of settings


@cache
def with_decided(learner: type[Agent], called: str, decided: Decided) -> type[Agent]:
    """The learner of that name, which has these settings and refuses others.

    Args:
        learner: whose program it is.
        called: its name, in tables and folders.
        decided: settings.

    Raises:
        UsageError: the learner has no such setting.
    """
    known = {field.name for field in fields(learner.default_settings())}
    for setting, _ in decided:
        if setting not in known:
            raise UsageError(f"{learner.name} has no {setting}, so there is no {called}")

    class WithDecided(learner):  # type: ignore[misc, valid-type]
        name: ClassVar[str] = called

        def __init__(
            self, world: World, settings: Any = None, *, seeds: Sequence[int] = (0,)
        ) -> None:
            for setting, value in decided if settings is not None else ():
                if (given := getattr(settings, setting)) != value:
                    raise UsageError(
                        f"{called} is {learner.name} with {setting} = {value:g}, got {given}; "
                        f"train {learner.name} for another"
                    )
            super().__init__(world, settings, seeds=seeds)

        @classmethod
        def default_settings(cls) -> Any:
            return replace(super().default_settings(), **dict(decided))

    WithDecided.__doc__, WithDecided.__module__ = learner.__doc__, learner.__module__
    WithDecided.__name__ = WithDecided.__qualname__ = learner.__name__
    return WithDecided
