"""Worlds and user models by name. Strings only: nothing heavy is imported before it is asked for.

A new world is one function and one line in WORLDS, or an entry point `slategym.worlds` in another
package. A new user model is one file and one line in USER_MODELS, or an entry point
`slategym.user_models`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from slategym.envs.names import (
    Registry,
    UnknownSettingError,
    UsageError,
    load_object,
    path_of,
    shown,
)
from slategym.envs.scenarios.pages import PAGES
from slategym.envs.settings import check_kinds, kinds_of_function

if TYPE_CHECKING:
    from slategym.envs.protocols import UserModel
    from slategym.envs.types import World

NAMESPACE = "slategym/"
OWN = "slategym."  # what builders in this package begin with
ON_EVERY_PAGE = (
    "A seed chooses who comes and what happens: in gymnasium.make, and in the vectorisers made of "
    "it, reset(seed=s) begins with user s mod U, of U in the population, and reset() goes on with "
    "somebody else. gymnasium.make_vec is the native environment: row b of B meets users b, b + B, "
    "b + 2B, ... whatever the seed, which decides what happens. "
    'options={"user": n} seats user n in both.',
    'Worker processes of other libraries (RLlib) know the name "slategym:NAME", which imports the '
    'package, and not "slategym/NAME". Gymnasium\'s vector wrappers of observations '
    '(FlattenObservation) need autoreset_mode="NEXT_STEP"; the default is SAME_STEP.',
)
"""Paragraphs that hold in all worlds."""


class WorldEntry(NamedTuple):
    """Where a world is built, and what it is in a line."""

    builder: str  # "module:function"; its parameters are the world's settings, its docstring a page
    one_line: str
    fixed: tuple[tuple[str, Any], ...] = ()  # settings that the id decides
    about: str = ""  # what its page says beside the builder's docstring
    recipe_of: str = ""  # the world whose page says what the builder's docstring leaves out

    def load(self) -> Callable[..., World]:
        """The function that builds it.

        Raises:
            UsageError: there is none at that place.
        """
        build: Callable[..., World] = load_object(self.builder)
        return build


def _sardine(variant: str, one_line: str) -> WorldEntry:
    return WorldEntry("slategym.envs.worlds.sardine:sardine", one_line, (("variant", variant),))


def _topic_rec(click: str, items: str, one_line: str) -> WorldEntry:
    fixed = (("click", click), ("items", items))
    return WorldEntry("slategym.envs.worlds.topic_rec:topic_rec", one_line, fixed)


def _scenario(name: str) -> WorldEntry:
    place, page = "slategym.envs.worlds.scenario:scenario", PAGES[name]
    return WorldEntry(place, page.one_line, (("scenario", name),), page.text)


WORLDS: dict[str, WorldEntry] = {
    "slategym/MovieLens-v0": WorldEntry(
        "slategym.models.simulator.movielens:movielens",
        "people fitted on MovieLens-100K who tire of genres and lose patience (assumed)",
        (("role", "world"),),
        recipe_of="slategym/Log-v0",
    ),
    "slategym/MovieLens-Judge-v0": WorldEntry(
        "slategym.models.simulator.movielens:movielens",
        "the same films before an independent model, of another family, fitted on other people",
        (("role", "judge"),),
        recipe_of="slategym/Log-v0",
    ),
    "slategym/Log-v0": WorldEntry(
        "slategym.models.simulator.world:log_world",
        "people fitted on a log of your own: log=FOLDER, or the name of a data set",
        (("role", "world"),),
    ),
    "slategym/Log-Judge-v0": WorldEntry(
        "slategym.models.simulator.world:log_world",
        "the same log before an independent model, of another family, fitted on other people",
        (("role", "judge"),),
    ),
    "slategym/DayInLife-v0": WorldEntry(
        "slategym.envs.worlds.day_in_life:day_in_life",
        "context matters: hour, place, device and weather move what people want; five signals",
    ),
    "slategym/Workbench-v0": WorldEntry(
        "slategym.envs.worlds.workbench:workbench",
        "any user model, yours too, before a made-up catalogue",
    ),
    "slategym/InterestEvolution-v0": WorldEntry(
        "slategym.envs.worlds.interest_evolution:interest_evolution",
        "SlateQ: a time budget, good topics that few like, interests that follow clicks",
    ),
    "slategym/InterestExploration-v0": WorldEntry(
        "slategym.envs.worlds.recsim:interest_exploration",
        "RecSim: two types of people, hidden, and a niche that only exploration finds",
    ),
    "slategym/LongTermSatisfaction-v0": WorldEntry(
        "slategym.envs.worlds.recsim:long_term_satisfaction",
        "RecSim: chocolate engages now, kale keeps people satisfied",
    ),
    "slategym/Sardine-SingleItem-Static-v0": _sardine(
        "SingleItem-Static", "SARDINE: one item a time, nothing changes"
    ),
    "slategym/Sardine-SingleItem-BoredInf-v0": _sardine(
        "SingleItem-BoredInf", "SARDINE: one item a time, boredom and influence"
    ),
    "slategym/Sardine-SingleItem-Uncertain-v0": _sardine(
        "SingleItem-Uncertain", "SARDINE: one item a time, noisy clicks"
    ),
    "slategym/Sardine-SlateTopK-Bored-v0": _sardine(
        "SlateTopK-Bored", "SARDINE: ten of a thousand items, boredom"
    ),
    "slategym/Sardine-SlateTopK-BoredInf-v0": _sardine(
        "SlateTopK-BoredInf", "SARDINE: ten of a thousand items, boredom and influence"
    ),
    "slategym/Sardine-SlateTopK-Uncertain-v0": _sardine(
        "SlateTopK-Uncertain", "SARDINE: ten of a thousand items, all that and noisy clicks"
    ),
    "slategym/Sardine-SlateRerank-Static-v0": _sardine(
        "SlateRerank-Static", "SARDINE: ten items in the best order, nothing changes"
    ),
    "slategym/Sardine-SlateRerank-Bored-v0": _sardine(
        "SlateRerank-Bored", "SARDINE: ten items in the best order, boredom"
    ),
    "slategym/TopicRec-TopDown-Focused-v0": _topic_rec(
        "TopDown", "Focused", "GeMS: read from the top, one draw of the items"
    ),
    "slategym/TopicRec-TopDown-Diffuse-v1": _topic_rec(
        "TopDown", "Diffuse", "GeMS: read from the top, another draw of the items"
    ),
    "slategym/TopicRec-Mixed-Focused-v0": _topic_rec(
        "Mixed", "Focused", "GeMS: read from both ends, one draw of the items"
    ),
    "slategym/TopicRec-Mixed-Diffuse-v1": _topic_rec(
        "Mixed", "Diffuse", "GeMS: read from both ends, another draw of the items"
    ),
    "slategym/TopicRec-DivPen-Focused-v0": _topic_rec(
        "DivPen", "Focused", "GeMS: as Mixed, crowded slates repel, one draw of the items"
    ),
    "slategym/TopicRec-DivPen-Diffuse-v1": _topic_rec(
        "DivPen", "Diffuse", "GeMS: as Mixed, crowded slates repel, another draw"
    ),
    **{f"slategym/Scenario-{name}-v0": _scenario(name) for name in PAGES},
}

USER_MODELS: dict[str, str] = {
    "likes": "slategym.envs.users.likes:Likes",
    "day-in-life": "slategym.envs.users.day_in_life:DayInLife",
    "interest-evolution": "slategym.envs.users.interest_evolution:InterestEvolution",
    "interest-exploration": "slategym.envs.users.interest_exploration:InterestExploration",
    "long-term-satisfaction": "slategym.envs.users.long_term_satisfaction:LongTermSatisfaction",
    "boredom": "slategym.envs.users.boredom:Boredom",
    "topic-rec": "slategym.envs.users.topic_rec:TopicRec",
}


worlds = Registry("world", WORLDS, {"slategym.worlds": WorldEntry}, NAMESPACE)
user_models = Registry(
    "user model", USER_MODELS, {"slategym.user_models": lambda path, one_line: path}
)


def make_world(id: str, /, **settings: Any) -> World:
    """Build a world.

    Args:
        id: of a registered world, such as "slategym/MovieLens-v0", of which the prefix may be left
            out; or "module:function" of a builder of your own.
        **settings: arguments of its builder.

    Raises:
        UsageError: the id is unknown, and the nearest is offered; a setting cannot be; or the
            builder makes no world.
        UnknownSettingError: there is no such setting; the nearest is offered.
    """
    from slategym.envs.types import World

    name, entry = find_world(id)
    build, fixed = entry.load(), dict(entry.fixed)
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"{id} is no function that builds a world") from error
    check_names(name, entry, settings, parameters)
    given = check_kinds(name.removeprefix(NAMESPACE), settings, kinds_of_function(build))
    if isinstance(device := given.get("device"), str):
        check_device(device)
    world = build(**given, **fixed)
    if not isinstance(world, World):
        raise UsageError(f"{id} makes no world but a {type(world).__name__}")
    if given.get("static") is True and not entry.builder.startswith(OWN):
        check_static(world, build(**{**given, "static": False}, **fixed))
    return world


def check_static(twin: World, world: World) -> None:
    """Refuse a static twin that is the world itself; builders of our own look by themselves.

    Args:
        twin: made with static=True.
        world: made without.

    Raises:
        UsageError: they are equal in everything that moves anybody.
    """
    from slategym.envs.identity import identity

    if identity(twin) == identity(world):
        raise UsageError(
            f"static: {world.name} is built the same with static=True as without, so that its twin "
            "controls nothing; have the builder wrap its people in slategym.envs.Unchanging, or "
            "refuse static as our own worlds do where nobody changes"
        )


def check_names(
    name: str, entry: WorldEntry, settings: Iterable[str], parameters: Iterable[str]
) -> None:
    """Refuse a setting that a world does not have.

    Args:
        name: the world's.
        entry: what it fixes.
        settings: names of those given.
        parameters: names of its builder's.

    Raises:
        UnknownSettingError: the nearest name is offered.
    """
    fixed = dict(entry.fixed)
    allowed = [parameter for parameter in parameters if parameter not in fixed]
    for setting in settings:
        if setting not in allowed:
            raise UnknownSettingError(_refusal(name, setting, allowed, fixed))


def register_world(name: str, builder: str | Callable[..., World], one_line: str = "") -> None:
    """Add a world in this process; for every process, a package has an entry point.

    Args:
        name: such as "Habits-v0".
        builder: a function that builds it, or its "module:function".
        one_line: what it is.

    Raises:
        UsageError: there is a world of that name; the function is found by no other process.
    """
    path = path_of(builder)
    worlds.register(name, WorldEntry(path, one_line or path))
    register_worlds()


def register_user_model(name: str, model: str | Callable[..., UserModel[Any]]) -> None:
    """Add a user model in this process; for every process, a package has an entry point.

    Args:
        name: such as "weary".
        model: a class, or a function, that makes one without arguments; or its "module:Name".

    Raises:
        UsageError: there is a user model of that name; the class is found by no other process.
    """
    user_models.register(name, path_of(model))


def find_world(id: str) -> tuple[str, WorldEntry]:
    """The full id and the entry of a world named with or without the prefix, or by its builder.

    Raises:
        UsageError: there is no such world; the nearest is offered.
    """
    return worlds.whole(id), worlds.find(id)


def find_user_model(name: str) -> Callable[..., UserModel[Any]]:
    """A user model's class or function, by registered name, plug-in name or "module:Name".

    A module is looked for in the current folder as well, as `python -m` would.

    Raises:
        UsageError: there is none of that name; the nearest is offered.
    """
    model: Callable[..., UserModel[Any]] = load_object(user_models.find(name))
    return model


def make_user_model(name: str) -> UserModel[Any]:
    """A user model by name, made without arguments; see `find_user_model`.

    Raises:
        UsageError: there is none of that name, or it names nothing that can be called.
        ValueError: it cannot be made without arguments, or lacks a method of the protocol.
    """
    from slategym.envs.protocols import UserModel

    make = find_user_model(name)
    if not callable(make):
        raise UsageError(f"{name} must name a class or a function, got {type(make).__name__}")
    try:
        model: UserModel[Any] = make()
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{name}() failed: {type(error).__name__}: {error}. A model is made "
            "without arguments here: give every field a default"
        ) from error
    methods = [method for method in vars(UserModel) if not method.startswith("_")]
    missing = [method for method in methods if method not in dir(model)]
    if missing:
        raise ValueError(
            f"{name} makes a {type(model).__name__}, which lacks {', '.join(missing)}: derive it "
            "from slategym.UserModel"
        )
    return model


def register_worlds() -> None:
    """Tell Gymnasium of every world, with and without the prefix, by strings alone.

    The bare name serves `gym.make("slategym:MovieLens-v0")`, which imports this package first.
    """
    from gymnasium.envs.registration import register, registry

    for full in worlds.all():
        for id in (full, full.removeprefix(NAMESPACE)):
            if id not in registry:
                register(
                    id,
                    entry_point="slategym.envs.single:make_env",
                    vector_entry_point="slategym.envs.gym:make_vector_env",
                    kwargs={"world": full},
                )


def check_device(name: str) -> None:
    """Refuse a device that torch does not have here.

    Raises:
        UsageError: with torch's reason.
    """
    import torch

    try:
        torch.zeros(1, device=name).add_(1)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here: {reason}") from None


def _refusal(world: str, setting: str, allowed: list[str], fixed: dict[str, Any]) -> str:
    if setting in fixed:
        return f"{world} fixes {setting}={fixed[setting]!r}; choose another id instead"
    near = get_close_matches(setting, allowed, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    known = ", ".join(allowed) or "none"
    return (
        f"{world} got an unexpected keyword argument {shown(setting)}: it has no setting "
        f"{shown(setting)}{hint} It has: {known}"
    )
