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
    from slategym.experiments.measure.compare import Difference as Difference
    from slategym.experiments.measure.compare import compare as compare
    from slategym.experiments.measure.compare import play as play
    from slategym.experiments.measure.training import Training as Training
    from slategym.experiments.statistics.stats import Estimate as Estimate

else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "slategym.experiments.measure.compare": ("Comparison", "Difference", "compare", "play"),
            "slategym.experiments.measure.training": ("Training",),
            "slategym.experiments.statistics.stats": ("Estimate",),
        },
    )
