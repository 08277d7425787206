"""What follows from a signal: how it is predicted, measured, drawn and reported.

A `Task` is derived from a `Signal` alone, and the only place where kinds of signals are told apart:

    binary       log-odds, cross-entropy, Platt scaling, AUC and calibration error
    ordinal      a normal cut half way between the levels, squared error
    real         a normal cut off at the ends of its range, squared error
    nonnegative  a normal on log(1 + value / scale), cut off at 0: its mass there is the zeros'
    count        Poisson with a log rate

A head's *output* is what the network says of an item: log-odds, or the mean on the scale of
`link`. Everything is given a click: a signal that was not observed is NaN and counts nowhere.

Axis letters beyond the legend of `envs/types.py`: x any leading axes.
"""

from __future__ import annotations

from slategym.models.tasks.binary import Binary as Binary
from slategym.models.tasks.count import Count as Count
from slategym.models.tasks.derive import (
    NEXT as NEXT,
)
from slategym.models.tasks.derive import (
    column as column,
)
from slategym.models.tasks.derive import (
    from_json as from_json,
)
from slategym.models.tasks.derive import (
    head_names as head_names,
)
from slategym.models.tasks.derive import (
    head_weights as head_weights,
)
from slategym.models.tasks.derive import (
    label as label,
)
from slategym.models.tasks.derive import (
    observed_only as observed_only,
)
from slategym.models.tasks.derive import (
    task_of as task_of,
)
from slategym.models.tasks.derive import (
    tasks_of as tasks_of,
)
from slategym.models.tasks.derive import (
    to_json as to_json,
)
from slategym.models.tasks.nonnegative import Nonnegative as Nonnegative
from slategym.models.tasks.ordinal import SPREAD as SPREAD
from slategym.models.tasks.ordinal import Ordinal as Ordinal
from slategym.models.tasks.real import Real as Real
from slategym.models.tasks.types import Start as Start
from slategym.models.tasks.types import Task as Task
