"""Slate policies: baselines, references and learners.

What this package exports is its interface; files are private.
"""

if __name__ != "slategym.agents":
    raise ImportError(
        "import slategym.agents, not agents: the bare name would make a second copy of it"
    )

from typing import TYPE_CHECKING

from slategym.envs.exports import exports

if TYPE_CHECKING:
    from slategym.agents.adapters.gymnasium import (
        FlatObservationVectorWrapper as FlatObservationVectorWrapper,
    )
    from slategym.agents.adapters.gymnasium import (
        FlatObservationWrapper as FlatObservationWrapper,
    )
    from slategym.agents.adapters.gymnasium import (
        ProtoActionVectorWrapper as ProtoActionVectorWrapper,
    )
    from slategym.agents.adapters.gymnasium import ProtoActionWrapper as ProtoActionWrapper
    from slategym.agents.adapters.predictor import StablePredictor as StablePredictor
    from slategym.agents.adapters.torchrl import SlateTensorDictEnv as SlateTensorDictEnv
    from slategym.agents.bandits.linear import LinearBanditSettings as LinearBanditSettings
    from slategym.agents.bandits.linear import LinUCB as LinUCB
    from slategym.agents.bandits.linear import Thompson as Thompson
    from slategym.agents.baselines.fixed import Popularity as Popularity
    from slategym.agents.check import check_agent as check_agent
    from slategym.agents.core.agent import Agent as Agent
    from slategym.agents.core.choice import ConditionalLogit as ConditionalLogit
    from slategym.agents.core.evaluation import Evaluation as Evaluation
    from slategym.agents.core.hub import push_to_hub as push_to_hub
    from slategym.agents.core.limits import Limit as Limit
    from slategym.agents.core.limits import diversity_floor as diversity_floor
    from slategym.agents.core.limits import harm as harm
    from slategym.agents.core.limits import provider_exposure as provider_exposure
    from slategym.agents.core.random_slates import Random as Random
    from slategym.agents.core.ranker import Ranker as Ranker
    from slategym.agents.core.sessions import harvest as harvest
    from slategym.agents.core.sessions import luck_of as luck_of
    from slategym.agents.core.sessions import seat as seat
    from slategym.agents.core.sessions import show as show
    from slategym.agents.core.stochastic import PopularitySoftmax as PopularitySoftmax
    from slategym.agents.core.supervised import Diversity as Diversity
    from slategym.agents.core.supervised import Supervised as Supervised
    from slategym.agents.core.tuning import Tuned as Tuned
    from slategym.agents.core.tuning import Tuning as Tuning
    from slategym.agents.core.tuning import tune as tune
    from slategym.agents.latent.gems import Gems as Gems
    from slategym.agents.latent.gems import GemsSettings as GemsSettings
    from slategym.agents.latent.hac import Hac as Hac
    from slategym.agents.latent.hac import HacSettings as HacSettings
    from slategym.agents.lookahead.agent import Lookahead as Lookahead
    from slategym.agents.lookahead.agent import LookaheadSettings as LookaheadSettings
    from slategym.agents.policy_gradient.ppo import PlackettLuce as PlackettLuce
    from slategym.agents.policy_gradient.ppo import PPOSettings as PPOSettings
    from slategym.agents.policy_gradient.reinforce import ReinforceSettings as ReinforceSettings
    from slategym.agents.policy_gradient.reinforce import ReinforceTopK as ReinforceTopK
    from slategym.agents.references.myopic import Myopic as Myopic
    from slategym.agents.references.myopic import RuleAware as RuleAware
    from slategym.agents.references.planner import Planner as Planner
    from slategym.agents.registry import find_agent as find_agent
    from slategym.agents.registry import from_hub as from_hub
    from slategym.agents.registry import load_agent as load_agent
    from slategym.agents.registry import make_policy as make_policy
    from slategym.agents.registry import register_agent as register_agent
    from slategym.agents.registry import register_policy as register_policy
    from slategym.agents.sb3.algorithms import StablePPO as StablePPO
    from slategym.agents.sb3.algorithms import StableSAC as StableSAC
    from slategym.agents.sb3.algorithms import StableTD3 as StableTD3
    from slategym.agents.sb3.env import SlateVecEnv as SlateVecEnv
    from slategym.agents.sb3.flat import Flat as Flat
    from slategym.agents.sb3.fusion import FusionPPO as FusionPPO
    from slategym.agents.sb3.fusion import FusionSAC as FusionSAC
    from slategym.agents.sb3.item_space import ItemSpace as ItemSpace
    from slategym.agents.sb3.multidiscrete import PPOMultiDiscrete as PPOMultiDiscrete
    from slategym.agents.sb3.proto import ProtoSAC as ProtoSAC
    from slategym.agents.sb3.proto import ProtoTD3 as ProtoTD3
    from slategym.agents.serving.export import Exported as Exported
    from slategym.agents.serving.export import export as export
    from slategym.agents.slateq.agent import SlateQ as SlateQ
    from slategym.agents.slateq.agent import SlateQSettings as SlateQSettings
    from slategym.agents.slates.top import allowed_only as allowed_only
    from slategym.agents.slates.top import capped_slate as capped_slate
    from slategym.agents.slates.top import top_slate as top_slate
    from slategym.agents.types import Action as Action
    from slategym.agents.types import Policy as Policy
    from slategym.agents.types import Stochastic as Stochastic

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.agents.adapters.gymnasium": (
                "FlatObservationVectorWrapper",
                "FlatObservationWrapper",
                "ProtoActionVectorWrapper",
                "ProtoActionWrapper",
            ),
            "slategym.agents.adapters.predictor": ("StablePredictor",),
            "slategym.agents.adapters.torchrl": ("SlateTensorDictEnv",),
            "slategym.agents.bandits.linear": ("LinUCB", "LinearBanditSettings", "Thompson"),
            "slategym.agents.baselines.fixed": ("Popularity",),
            "slategym.agents.core.ranker": ("Ranker",),
            "slategym.agents.core.choice": ("ConditionalLogit",),
            "slategym.agents.core.stochastic": ("PopularitySoftmax",),
            "slategym.agents.core.supervised": ("Diversity", "Supervised"),
            "slategym.agents.core.tuning": ("Tuned", "Tuning", "tune"),
            "slategym.agents.check": ("check_agent",),
            "slategym.agents.core.agent": ("Agent",),
            "slategym.agents.core.evaluation": ("Evaluation",),
            "slategym.agents.core.hub": ("push_to_hub",),
            "slategym.agents.core.limits": (
                "Limit",
                "diversity_floor",
                "harm",
                "provider_exposure",
            ),
            "slategym.agents.core.random_slates": ("Random",),
            "slategym.agents.core.sessions": ("harvest", "luck_of", "seat", "show"),
            "slategym.agents.latent.gems": ("Gems", "GemsSettings"),
            "slategym.agents.latent.hac": ("Hac", "HacSettings"),
            "slategym.agents.lookahead.agent": ("Lookahead", "LookaheadSettings"),
            "slategym.agents.policy_gradient.ppo": ("PPOSettings", "PlackettLuce"),
            "slategym.agents.policy_gradient.reinforce": ("ReinforceSettings", "ReinforceTopK"),
            "slategym.agents.references.myopic": ("Myopic", "RuleAware"),
            "slategym.agents.references.planner": ("Planner",),
            "slategym.agents.registry": (
                "find_agent",
                "from_hub",
                "load_agent",
                "make_policy",
                "register_agent",
                "register_policy",
            ),
            "slategym.agents.sb3.algorithms": ("StablePPO", "StableSAC", "StableTD3"),
            "slategym.agents.sb3.env": ("SlateVecEnv",),
            "slategym.agents.sb3.fusion": ("FusionPPO", "FusionSAC"),
            "slategym.agents.sb3.flat": ("Flat",),
            "slategym.agents.sb3.item_space": ("ItemSpace",),
            "slategym.agents.sb3.multidiscrete": ("PPOMultiDiscrete",),
            "slategym.agents.sb3.proto": ("ProtoSAC", "ProtoTD3"),
            "slategym.agents.serving.export": ("Exported", "export"),
            "slategym.agents.slateq.agent": ("SlateQ", "SlateQSettings"),
            "slategym.agents.slates.top": ("allowed_only", "capped_slate", "top_slate"),
            "slategym.agents.types": ("Action", "Policy", "Stochastic"),
        },
    )
