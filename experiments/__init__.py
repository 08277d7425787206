"""From log to verdict: studies, statistics, reports and the command line.

What this package exports is its interface; files are private.
"""

if __name__ != "slategym.experiments":
    raise ImportError(
        "import slategym.experiments, not experiments: the bare name would make a second copy of it"
    )

from typing import TYPE_CHECKING

from slategym.envs.exports import exports

if TYPE_CHECKING:
    from slategym.experiments.measure.compare import Comparison as Comparison
    from slategym.experiments.measure.compare import PairedDifference as PairedDifference
    from slategym.experiments.measure.compare import compare as compare
    from slategym.experiments.measure.compare import play as play
    from slategym.experiments.measure.families import FamilyGrid as FamilyGrid
    from slategym.experiments.measure.families import compare_families as compare_families
    from slategym.experiments.measure.offline import d3rlpy_dataset as d3rlpy_dataset
    from slategym.experiments.measure.offline import minari_dataset as minari_dataset
    from slategym.experiments.measure.offline import obp_feedback as obp_feedback
    from slategym.experiments.measure.training import Training as Training
    from slategym.experiments.ope.evaluation import OffPolicyEvaluation as OffPolicyEvaluation
    from slategym.experiments.ope.offline import evaluate_offline as evaluate_offline
    from slategym.experiments.places import Place as Place
    from slategym.experiments.request import Request as Request
    from slategym.experiments.statistics.estimate import Estimate as Estimate
    from slategym.experiments.studies.registry import find_study as find_study
    from slategym.experiments.studies.registry import register_study as register_study
    from slategym.experiments.studies.run import run_study as run_study
    from slategym.experiments.study import Baseline as Baseline
    from slategym.experiments.study import Learner as Learner
    from slategym.experiments.study import Profile as Profile
    from slategym.experiments.study import Published as Published
    from slategym.experiments.study import Roles as Roles
    from slategym.experiments.study import Study as Study
    from slategym.experiments.study import Sweep as Sweep
    from slategym.experiments.study import Weighted as Weighted
    from slategym.experiments.validation.validate import Validation as Validation
    from slategym.experiments.validation.validate import validate_world as validate_world

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.experiments.measure.compare": (
                "Comparison",
                "PairedDifference",
                "compare",
                "play",
            ),
            "slategym.experiments.measure.families": ("FamilyGrid", "compare_families"),
            "slategym.experiments.measure.offline": (
                "d3rlpy_dataset",
                "minari_dataset",
                "obp_feedback",
            ),
            "slategym.experiments.measure.training": ("Training",),
            "slategym.experiments.ope.evaluation": ("OffPolicyEvaluation",),
            "slategym.experiments.ope.offline": ("evaluate_offline",),
            "slategym.experiments.places": ("Place",),
            "slategym.experiments.request": ("Request",),
            "slategym.experiments.statistics.estimate": ("Estimate",),
            "slategym.experiments.studies.registry": ("find_study", "register_study"),
            "slategym.experiments.studies.run": ("run_study",),
            "slategym.experiments.study": (
                "Baseline",
                "Learner",
                "Profile",
                "Published",
                "Roles",
                "Study",
                "Sweep",
                "Weighted",
            ),
            "slategym.experiments.validation.validate": ("Validation", "validate_world"),
        },
    )
