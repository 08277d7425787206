"""Weights of rows in the click's loss, by how likely they were to be shown or looked at."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.statistics import smoothed_rate

CHANCES = ("position_propensity", "slot_propensity", "propensity")  # the first that is logged
MOST = 10.0  # of a weight, in units of the mean


def click_weights(
    log: Log, train_E: NDArray[np.bool_], slots: NDArray[np.int64] | None, position: str
) -> Tensor | None:
    """Weight of each row of the log in the click's loss, (E,), mean 1 over training rows.

    Args:
        log: the data.
        train_E: training rows, from which slots' rates are taken.
        slots: of every row; None: the log has no slates.
        position: "beside", "logged" or "estimated".

    Returns:
        None where all weigh alike. logged: 1 / chance of the item in its slot, whatever else the
        slate holds (position_propensity), else given the slots before it (slot_propensity), else
        the row's propensity. estimated: 1 / (rate of
        clicks in the row's slot, of that in the first slot) for clicked rows, 1 for others.

    Raises:
        UsageError: if the log does not have what is asked for.

    Source: Joachims, Swaminathan and Schnabel 2017, arXiv:1608.04468, equation 4; clipped.
    """
    if position == "beside":
        return None
    if position == "logged":
        chance = next((name for name in CHANCES if name in log.events), None)
        if chance is None:
            raise UsageError(
                f"{log.name} logs no propensities; take position 'estimated' where it has slates, "
                "else 'beside'"
            )
        weight_E = 1 / log.events[chance].to_numpy(np.float64).clip(min=1e-6)
    else:
        if slots is None:
            raise UsageError(
                f"{log.name} has no slates, so that no slot can be looked at less than another; "
                "take position 'beside'"
            )
        clicked_E = log.events["click"].to_numpy() > 0
        rate_S = smoothed_rate(slots[train_E], clicked_E[train_E], int(slots.max()) + 1)
        looked_S = (rate_S / rate_S[0]).clip(1e-3, None)
        weight_E = np.where(clicked_E, 1 / looked_S[slots], 1.0)
    weight_E = weight_E / weight_E[train_E].mean()
    return torch.as_tensor(weight_E.clip(max=MOST), dtype=torch.float32)
