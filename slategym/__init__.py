"""Does reinforcement learning beat a good supervised ranker for my slates?

    import slategym as sg

    world = sg.make_world("InterestEvolution-v0")
    agent = sg.agents.SlateQ(world).learn(world)
    rows = sg.play(world, agent, users=200, seed=0)

Importing this registers the worlds with Gymnasium, by name only: torch is imported when the first
world is made. Processes forked afterwards compute with one torch thread each, as more would hang
there. What `slategym` and its packages envs, models, agents and experiments export is the
interface; files are private.
"""

from typing import TYPE_CHECKING

from slategym.envs.exports import exports
from slategym.envs.forking import compute_alone_after_fork
from slategym.envs.registry import register_worlds

if TYPE_CHECKING:
    from slategym import agents as agents
    from slategym import envs as envs
    from slategym import experiments as experiments
    from slategym import models as models
    from slategym.agents.check import check_agent as check_agent
    from slategym.agents.core.agent import Agent as Agent
    from slategym.agents.registry import load_agent as load_agent
    from slategym.agents.registry import make_policy as make_policy
    from slategym.agents.registry import register_agent as register_agent
    from slategym.agents.registry import register_policy as register_policy
    from slategym.agents.types import Policy as Policy
    from slategym.envs.check import check_user_model as check_user_model
    from slategym.envs.gym import SlateVectorEnv as SlateVectorEnv
    from slategym.envs.names import UsageError as UsageError
    from slategym.envs.protocols import UserModel as UserModel
    from slategym.envs.registry import make_world as make_world
    from slategym.envs.registry import register_user_model as register_user_model
    from slategym.envs.registry import register_world as register_world
    from slategym.envs.single import SlateEnv as SlateEnv
    from slategym.envs.types import Signal as Signal
    from slategym.envs.types import World as World
    from slategym.experiments.measure.compare import compare as compare
    from slategym.experiments.measure.compare import play as play
    from slategym.experiments.ope.offline import evaluate_offline as evaluate_offline
    from slategym.experiments.studies.run import run_study as run_study
    from slategym.models.data.datasets import load_log as load_log
    from slategym.models.simulator.world import learned_world as learned_world

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.agents.check": ("check_agent",),
            "slategym.agents.core.agent": ("Agent",),
            "slategym.agents.registry": (
                "load_agent",
                "make_policy",
                "register_agent",
                "register_policy",
            ),
            "slategym.agents.types": ("Policy",),
            "slategym.envs.check": ("check_user_model",),
            "slategym.envs.gym": ("SlateVectorEnv",),
            "slategym.envs.single": ("SlateEnv",),
            "slategym.envs.names": ("UsageError",),
            "slategym.envs.registry": ("make_world", "register_user_model", "register_world"),
            "slategym.envs.protocols": ("UserModel",),
            "slategym.envs.types": ("Signal", "World"),
            "slategym.experiments.measure.compare": ("compare", "play"),
            "slategym.experiments.ope.offline": ("evaluate_offline",),
            "slategym.experiments.studies.run": ("run_study",),
            "slategym.models.data.datasets": ("load_log",),
            "slategym.models.simulator.world": ("learned_world",),
        },
        packages=("agents", "envs", "experiments", "models"),
    )

__version__ = "0.2.0"

register_worlds()
compute_alone_after_fork()
