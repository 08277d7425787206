"""Simulated users for slate recommendation: a batched torch core and its Gymnasium faces.

What this package exports is its interface; files are private.
"""

if __name__ != "slategym.envs":
    raise ImportError(
        "import slategym.envs, not envs: the bare name would make a second copy of it"
    )

from typing import TYPE_CHECKING

from slategym.envs.exports import exports

if TYPE_CHECKING:
    from slategym.envs.candidates import FreshDocuments as FreshDocuments
    from slategym.envs.candidates import UnseenCatalogue as UnseenCatalogue
    from slategym.envs.candidates import UnseenOfMany as UnseenOfMany
    from slategym.envs.candidates import WholeCatalogue as WholeCatalogue
    from slategym.envs.check import ContractError as ContractError
    from slategym.envs.check import check_user_model as check_user_model
    from slategym.envs.choice import Cascade as Cascade
    from slategym.envs.choice import DynamicBayesian as DynamicBayesian
    from slategym.envs.choice import ExponentialCascade as ExponentialCascade
    from slategym.envs.choice import MixedPositionBased as MixedPositionBased
    from slategym.envs.choice import MultinomialLogit as MultinomialLogit
    from slategym.envs.choice import MultinomialProportional as MultinomialProportional
    from slategym.envs.choice import PositionBased as PositionBased
    from slategym.envs.choice import UserBrowsing as UserBrowsing
    from slategym.envs.context import Clock as Clock
    from slategym.envs.context import LoggedContext as LoggedContext
    from slategym.envs.context import Nothing as Nothing
    from slategym.envs.day import Day as Day
    from slategym.envs.engine import observe as observe
    from slategym.envs.engine import pick as pick
    from slategym.envs.engine import start as start
    from slategym.envs.engine import transition as transition
    from slategym.envs.gym import SlateVectorEnv as SlateVectorEnv
    from slategym.envs.gym import turn_of as turn_of
    from slategym.envs.luck import Luck as Luck
    from slategym.envs.luck import purpose as purpose
    from slategym.envs.names import UsageError as UsageError
    from slategym.envs.pages import describe_world as describe_world
    from slategym.envs.protocols import Candidates as Candidates
    from slategym.envs.protocols import ChoiceModel as ChoiceModel
    from slategym.envs.protocols import ContextProcess as ContextProcess
    from slategym.envs.protocols import Observer as Observer
    from slategym.envs.protocols import UserModel as UserModel
    from slategym.envs.registry import find_user_model as find_user_model
    from slategym.envs.registry import find_world as find_world
    from slategym.envs.registry import make_user_model as make_user_model
    from slategym.envs.registry import make_world as make_world
    from slategym.envs.registry import register_user_model as register_user_model
    from slategym.envs.registry import register_world as register_world
    from slategym.envs.single import SlateEnv as SlateEnv
    from slategym.envs.types import CLICK as CLICK
    from slategym.envs.types import Arrival as Arrival
    from slategym.envs.types import Catalogue as Catalogue
    from slategym.envs.types import Column as Column
    from slategym.envs.types import Context as Context
    from slategym.envs.types import Items as Items
    from slategym.envs.types import Observation as Observation
    from slategym.envs.types import Outcome as Outcome
    from slategym.envs.types import Population as Population
    from slategym.envs.types import Session as Session
    from slategym.envs.types import Signal as Signal
    from slategym.envs.types import World as World
    from slategym.envs.users.assumed import Assumed as Assumed
    from slategym.envs.users.boredom import Boredom as Boredom
    from slategym.envs.users.day_in_life import DayInLife as DayInLife
    from slategym.envs.users.interest_evolution import InterestEvolution as InterestEvolution
    from slategym.envs.users.interest_exploration import InterestExploration as InterestExploration
    from slategym.envs.users.likes import Likes as Likes
    from slategym.envs.users.long_term_satisfaction import (
        LongTermSatisfaction as LongTermSatisfaction,
    )
    from slategym.envs.users.patience import Patience as Patience
    from slategym.envs.users.returns import Returns as Returns
    from slategym.envs.users.satiation import Effect as Effect
    from slategym.envs.users.satiation import FadingSatiation as FadingSatiation
    from slategym.envs.users.satiation import GenreSatiation as GenreSatiation
    from slategym.envs.users.satiation import Habit as Habit
    from slategym.envs.users.satiation import Mixed as Mixed
    from slategym.envs.users.topic_rec import TopicRec as TopicRec
    from slategym.envs.users.unchanging import Unchanging as Unchanging

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.envs.candidates": (
                "FreshDocuments",
                "UnseenCatalogue",
                "UnseenOfMany",
                "WholeCatalogue",
            ),
            "slategym.envs.check": ("ContractError", "check_user_model"),
            "slategym.envs.choice": (
                "Cascade",
                "DynamicBayesian",
                "ExponentialCascade",
                "MixedPositionBased",
                "MultinomialLogit",
                "MultinomialProportional",
                "PositionBased",
                "UserBrowsing",
            ),
            "slategym.envs.context": ("Clock", "LoggedContext", "Nothing"),
            "slategym.envs.day": ("Day",),
            "slategym.envs.engine": ("observe", "pick", "start", "transition"),
            "slategym.envs.gym": ("SlateVectorEnv", "turn_of"),
            "slategym.envs.single": ("SlateEnv",),
            "slategym.envs.luck": ("Luck", "purpose"),
            "slategym.envs.names": ("UsageError",),
            "slategym.envs.pages": ("describe_world",),
            "slategym.envs.registry": (
                "find_user_model",
                "find_world",
                "make_user_model",
                "make_world",
                "register_user_model",
                "register_world",
            ),
            "slategym.envs.protocols": (
                "Candidates",
                "ChoiceModel",
                "ContextProcess",
                "Observer",
                "UserModel",
            ),
            "slategym.envs.types": (
                "Arrival",
                "CLICK",
                "Catalogue",
                "Column",
                "Context",
                "Items",
                "Observation",
                "Outcome",
                "Population",
                "Session",
                "Signal",
                "World",
            ),
            "slategym.envs.users.assumed": ("Assumed",),
            "slategym.envs.users.boredom": ("Boredom",),
            "slategym.envs.users.day_in_life": ("DayInLife",),
            "slategym.envs.users.interest_evolution": ("InterestEvolution",),
            "slategym.envs.users.interest_exploration": ("InterestExploration",),
            "slategym.envs.users.likes": ("Likes",),
            "slategym.envs.users.long_term_satisfaction": ("LongTermSatisfaction",),
            "slategym.envs.users.patience": ("Patience",),
            "slategym.envs.users.returns": ("Returns",),
            "slategym.envs.users.satiation": (
                "Effect",
                "FadingSatiation",
                "GenreSatiation",
                "Habit",
                "Mixed",
            ),
            "slategym.envs.users.topic_rec": ("TopicRec",),
            "slategym.envs.users.unchanging": ("Unchanging",),
        },
    )
