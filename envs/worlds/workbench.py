"""A plain place to try a user model in."""

from __future__ import annotations

from typing import Annotated, Any

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.check import check_user_model
from slategym.envs.choice import CHOICES
from slategym.envs.context import Clock
from slategym.envs.memory import check_fits
from slategym.envs.names import UsageError, lookup
from slategym.envs.protocols import UserModel
from slategym.envs.registry import USER_MODELS, make_user_model
from slategym.envs.settings import Count, Length, Range, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Population, World
from slategym.envs.users.unchanging import Unchanging, changes
from slategym.envs.worlds.plain_catalogue import plain_catalogue

Topics = Annotated[int, Range(1, 10_000)]


def workbench(
    users: str | UserModel[Any] = "likes",
    num_items: Count = 100,
    num_topics: Topics = 10,
    slate_size: Count = 5,
    choice: str = "multinomial-logit",
    horizon: Count = 50,
    objective: tuple[float, ...] | None = None,
    history_size: Length = 10,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """Any user model before a made-up catalogue.

    Description:
        Items have a topic, one of ten, and a quality, standard normal. The clock starts anywhere
        in the week and moves by five minutes a slate. All else is up to the user model.

    Observation space:
        step; context (2,): hour and weekday; history_item, history_feedback and history_age of the
        last clicks; user: whatever the user model reveals.

    Action space:
        MultiDiscrete([100] * 5), item ids. A repeated item is an empty slot.

    Reward:
        clicks, unless an objective is given.

    Start:
        As the user model has it.

    End:
        Terminated when the user leaves; truncated after `horizon` slates.

    Args:
        users: a user model, its registered or plug-in name, or "module:Class", which is then made
            without arguments.
        num_items: items in the catalogue.
        num_topics: topics; an item's embedding is its topic as a unit vector.
        slate_size: slots.
        choice: one of the choice models, by name.
        horizon: slates after which a session is cut.
        objective: reward per unit of each of the user model's signals; None: clicks.
        history_size: remembered clicks in the observation.
        static: True: the negative control, in which people never change and never leave; refused
            of models whose people never do.
        seed: decides who people and what items are.
        device: of every tensor.

    Source:
        made up.

    Version history:
        v0: first.
    """
    if isinstance(users, type):
        raise UsageError(f"users is a class, {users.__name__}; give one of it: {users.__name__}()")
    model = make_user_model(users) if isinstance(users, str) else users
    if static and not changes(model):
        raise UsageError(
            f"static: nothing moves people of {type(model).__name__}; the world is its own twin, "
            "leave it out"
        )
    check_fits("num_items", num_items, 12 * num_topics + 64, device, f"of {num_topics:,} topics")
    if not 1 <= slate_size <= num_items:
        raise UsageError(f"slate_size must be in [1, {num_items}], got {slate_size}")
    weights = (1.0,) + (0.0,) * (len(model.signals) - 1) if objective is None else objective
    if len(weights) != len(model.signals):
        names = ", ".join(signal.name for signal in model.signals)
        raise UsageError(f"objective needs a weight for each of {names}; got {weights}")
    catalogue = map_tensors(lambda x: x.to(device), plain_catalogue(num_items, num_topics, seed))
    if users not in USER_MODELS:  # which the tests have checked
        check_user_model(model, catalogue)
    return World(
        name="slategym/Workbench-v0",
        catalogue=catalogue,
        population=Population(size=2**20),
        users=Unchanging(model) if static else model,
        choice=lookup("choice model", choice, CHOICES)(),
        context=Clock(minutes_per_slate=5.0),
        candidates=WholeCatalogue(),
        slate_size=slate_size,
        horizon=horizon,
        objective=weights,
        history_size=history_size,
        seed=seed,
        labels=(("everything", "synthetic", "made up"),),
    )
