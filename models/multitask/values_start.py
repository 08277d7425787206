"""Where the wide part's values begin: at the likeliest that closed forms alone can say.

Each signal given a click is what its own statistics expect, and a linear function of what is
expected of every signal. That function is fitted to training rows, each described by statistics of
other people's rows (`crossfit`), before the first epoch; what the network learns is what it leaves
over. A like that is derived from stars begins at what the regression of the stars says of it.

Axis letters beyond the legend of `envs/types.py`: x the rows, V signals given a click.
"""

from __future__ import annotations

import torch
from torch import Tensor

from slategym.models.multitask.crossfit import Described
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.wide import WideValues
from slategym.models.optimizers import LBFGS
from slategym.models.tasks import Task

ROWS = 20_000  # on which it is found, at most
STEPS = 60  # of the search, at most: few parameters, convex
RIDGE = 1e-3  # on squared weights, beside mean losses: keeps what says nothing at 0


@torch.no_grad()
def begin_values(
    wide: WideValues, described: Described, sequences: Sequences, tasks: tuple[Task, ...]
) -> None:
    """Set the linear function to the likeliest; a signal that no row tells of keeps its own.

    Args:
        wide: new, with the statistics of all rows taken and features scaled.
        described: training rows.
        sequences: the log.
        tasks: of its signals, click first.
    """
    device = wide.mean_V.device
    place_x = torch.linspace(0, len(described.row_x) - 1, min(ROWS, len(described.row_x))).long()
    row_x = torch.as_tensor(described.row_x, device=device)[place_x.to(device)]
    expected_xV = described.expected_xV[place_x].to(device)
    feedback_xM, clicked_x = sequences.feedback_EM[row_x], sequences.click_E[row_x] > 0
    told_xV = wide.in_deviations(expected_xV)
    for v, task in enumerate(tasks[1:]):
        value_x = feedback_xM[:, v + 1]
        seen_x = clicked_x & ~value_x.isnan()
        if not seen_x.any():
            continue
        own_x = task.output_of(expected_xV[:, v])
        found_W = _least(task, own_x[seen_x], told_xV[seen_x], value_x[seen_x])
        wide.told.weight[v], wide.told.bias[v] = found_W[:-1], found_W[-1]


def _least(task: Task, own_x: Tensor, told_xV: Tensor, value_x: Tensor) -> Tensor:
    """Weights of the V expectations and, last, a level, with the least mean loss."""
    weight_W = torch.zeros(told_xV.shape[1] + 1, device=told_xV.device).requires_grad_()
    search = LBFGS([weight_W], max_iter=STEPS, line_search_fn="strong_wolfe")

    def total() -> Tensor:
        search.zero_grad()
        output_x = own_x + told_xV @ weight_W[:-1] + weight_W[-1]
        value = task.loss(output_x, value_x).mean() + RIDGE * weight_W[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        search.step(total)  # type: ignore[no-untyped-call]
    found_W = weight_W.detach()
    return found_W if bool(found_W.isfinite().all()) else torch.zeros_like(found_W)
