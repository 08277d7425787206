"""Real data, and the models learned from it: users, states, judges.

What this package exports is its interface; files are private.
"""

if __name__ != "slategym.models":
    raise ImportError(
        "import slategym.models, not models: the bare name would make a second copy of it"
    )

from typing import TYPE_CHECKING

from slategym.envs.exports import exports

if TYPE_CHECKING:
    from slategym.models.assets.registry import Asset as Asset
    from slategym.models.assets.registry import fetch as fetch
    from slategym.models.data.datasets import load_log as load_log
    from slategym.models.data.datasets import register_data_set as register_data_set
    from slategym.models.data.folder import load_folder as load_folder
    from slategym.models.data.folder import write_folder as write_folder
    from slategym.models.data.hugging_face import from_datasets as from_datasets
    from slategym.models.data.hugging_face import to_datasets as to_datasets
    from slategym.models.data.log import Log as Log
    from slategym.models.data.log import build_log as build_log
    from slategym.models.files import home as home
    from slategym.models.files import kept as kept
    from slategym.models.multitask.fitting import fit as fit
    from slategym.models.multitask.network import MultiTaskBert as MultiTaskBert
    from slategym.models.multitask.network import MultiTaskSettings as MultiTaskSettings
    from slategym.models.multitask.refit import RefitSettings as RefitSettings
    from slategym.models.multitask.train import train_multitask as train_multitask
    from slategym.models.multitask.training_settings import TrainingSettings as TrainingSettings
    from slategym.models.quality.refitting import refit as refit
    from slategym.models.simulator.assumptions import Assumptions as Assumptions
    from slategym.models.simulator.world import learned_world as learned_world

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.models.assets.registry": ("Asset", "fetch"),
            "slategym.models.data.datasets": ("load_log", "register_data_set"),
            "slategym.models.data.folder": ("load_folder", "write_folder"),
            "slategym.models.data.hugging_face": ("from_datasets", "to_datasets"),
            "slategym.models.data.log": ("Log", "build_log"),
            "slategym.models.files": ("home", "kept"),
            "slategym.models.multitask.training_settings": ("TrainingSettings",),
            "slategym.models.multitask.fitting": ("fit",),
            "slategym.models.multitask.network": ("MultiTaskBert", "MultiTaskSettings"),
            "slategym.models.multitask.refit": ("RefitSettings",),
            "slategym.models.multitask.train": ("train_multitask",),
            "slategym.models.quality.refitting": ("refit",),
            "slategym.models.simulator.assumptions": ("Assumptions",),
            "slategym.models.simulator.world": ("learned_world",),
        },
    )
