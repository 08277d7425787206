"""slategym check: does a user model, or whoever chooses slates, keep the contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from slategym.experiments.cli.completion import of_worlds
from slategym.experiments.cli.next_step import quoted, say_next
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.envs.types import World

EPILOG = r"""
**A class of your own, in a file of this folder or an installed package**\
`slategym check my_users:Weary`\
`slategym check my_agents:Mine`

**What a package registers as an entry point: a user model, a policy or a learner**\
`slategym check weary`

**A learner that cannot act everywhere, in a world that suits it**\
`slategym check my_agents:Mine --world InterestEvolution-v0 --set num_candidates=10`

docs/recipes/user_model.md writes a user model from the first line to the last.
"""
CHECKED_USERS = (
    "signals: the click first, no name twice",
    "shapes, dtypes and devices of all that is returned",
    "finite numbers; probabilities, days and signals within their bounds",
    "arguments unchanged; no randomness but luck's; nothing kept in self",
    "users who do not affect one another, whatever the batch size",
    "a state of constant form over 12 slates",
    "mean feedback beside 4,096 samples of it",
)
CHECKED_POLICY = (
    "int32 positions of the request's candidates, (users, slots); no item twice, none forbidden",
    "arguments unchanged; no randomness but luck's; nothing kept in self",
    "users who do not affect one another, whatever the batch size",
    "log-probabilities, where it gives them: one a slate, finite, at most 0",
)
CHECKED_LEARNER = (
    "settings: a frozen dataclass with num_steps",
    "a training of a few cycles: finite figures and weights",
    "the same training broken off and resumed, to the same result bit for bit",
    "saved and loaded: the same slates",
    "predict: the same slates from plain arrays, one user's or a batch",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog=EPILOG)(check)


def check(
    model: Annotated[
        str,
        typer.Argument(
            help="pkg.module:Class, or the registered name of a user model, policy or learner.",
            metavar="model",
        ),
    ],
    world: Annotated[
        str | None,
        typer.Option(
            autocompletion=of_worlds,
            help="Where a policy or learner is checked; a small one by default.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of that world; repeatable."),
    ] = None,
    agent_settings: Annotated[
        list[str] | None,
        typer.Option("--agent-set", metavar="NAME=VALUE", help="One of a learner; repeatable."),
    ] = None,
) -> None:
    """Run a user model, a policy or a learner through its contract.

    The first rule that it breaks is said in words. Exit code 0: it keeps the contract. 1: it does
    not. 2: there is no such model.
    """
    if _is_user_model(model):
        _check_users(model)
    else:
        _check_agent(model, world, settings or [], agent_settings or [])


def _is_user_model(name: str) -> bool:
    """Whether that names a user model, and not what chooses slates; both for a name of neither.

    Raises:
        UsageError: nothing has that name.
    """
    from slategym.agents.entries import plain_name
    from slategym.agents.registry import policies
    from slategym.envs.names import load_object, lookup
    from slategym.envs.outline import outline
    from slategym.envs.registry import user_models

    if ":" not in name:
        ours, others = user_models.all(), policies.all()
        base = name if name in ours else plain_name(name)
        lookup("user model, policy or learner", base, {**ours, **others})
        return name in ours
    outline(name)  # is it there? Its source says so at once, torch takes seconds to import
    found = load_object(name)
    from slategym.agents.core.agent import Agent

    returned = getattr(found, "__annotations__", {}).get("return")
    if isinstance(found, type):
        return not issubclass(found, Agent) and not callable(getattr(found, "act", None))
    return "Policy" not in str(returned)


def _check_users(model: str) -> None:
    import torch

    from slategym.envs.check import check_user_model
    from slategym.envs.registry import make_user_model

    torch.set_num_threads(1)
    check_user_model(make_user_model(model))
    _say(CHECKED_USERS, f"{model} keeps the contract of a user model")
    say_next(f"slategym simulate Workbench-v0 --set users={quoted(model)} --policy random")


def _check_agent(model: str, world: str | None, settings: list[str], pairs: list[str]) -> None:
    from slategym.agents.registry import find_entry
    from slategym.envs.names import UsageError
    from slategym.envs.registry import make_world
    from slategym.experiments.cli.agent_settings import read_agent_settings
    from slategym.experiments.cli.world_settings import read_settings

    learns = find_entry(model).agent is not None
    if settings and world is None:
        raise UsageError("--set is of a world: say which one by --world")
    if pairs and not learns:
        raise UsageError(f"--agent-set is of a learner; {model} does not learn")
    given = read_settings(world, settings) if world is not None else {}
    own: Any = read_agent_settings(model, pairs) if pairs else None
    import torch

    from slategym.agents.check import check_agent

    torch.set_num_threads(1)
    where: World | None = None if world is None else make_world(world, **given)
    found = check_agent(model, where, own)
    what = "learner" if learns else "policy"
    _say(
        CHECKED_POLICY + (CHECKED_LEARNER if learns else ()),
        f"{model} keeps the contract of a {what} in {found.name}",
    )
    bare = found.name.removeprefix("slategym/")
    say_next(
        f"slategym train {quoted(model)} --world {bare}"
        if learns
        else f"slategym compare {bare} --policies {quoted(model)},random"
    )


def _say(checked: tuple[str, ...], verdict: str) -> None:
    console = plain_console(soft_wrap=True)
    for line in checked:
        console.print(f"checked: {line}")
    console.print(f"OK: {verdict}")
