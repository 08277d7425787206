"""Item factors of a signal's residuals: alternating ridge regressions over observed rows only."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.residuals import Base

USER_PRIOR = 5.0  # pseudo-rows that pull a user's mean residual to 0


def item_factors(
    events: Events,
    base: Base,
    keep_E: Bools,
    *,
    width: int,
    ridge: float,
    sweeps: int = 10,
    seed: int = 0,
) -> Floats:
    """Factors whose inner products tell which items are valued alike, (N, D).

    Args:
        events: the log.
        base: what is taken off first; each user's shrunk mean residual follows.
        keep_E: rows to fit on; those without a value are left out.
        width: D.
        ridge: on users and items alike.
        sweeps: over both sides.
        seed: of the first item factors.
    """
    residual_E = base.residual(events)
    at_x = np.flatnonzero(keep_E & np.isfinite(residual_E))
    user_x, item_x, residual_x = events.user_E[at_x], events.item_E[at_x], residual_E[at_x]
    U, N = events.num_users, events.num_items
    rows_U = np.bincount(user_x, minlength=U)
    residual_x = residual_x - (np.bincount(user_x, residual_x, U) / (rows_U + USER_PRIOR))[user_x]
    # rows of the same pair are added up: each counts
    value_UN = csr_array((residual_x, (user_x, item_x)), (U, N))
    rated_UN = csr_array((np.ones(len(at_x)), (user_x, item_x)), (U, N))
    value_NU, rated_NU = csr_array(value_UN.T), csr_array(rated_UN.T)
    factor_ND = np.random.default_rng(seed).normal(0, 0.1, (N, width))
    for _ in range(sweeps):
        factor_UD = _ridge(value_UN, rated_UN, factor_ND, ridge)
        factor_ND = _ridge(value_NU, rated_NU, factor_UD, ridge)
    return factor_ND


def _ridge(value_RO: csr_array, rated_RO: csr_array, other_OD: Floats, ridge: float) -> Floats:
    num, D = other_OD.shape
    outer = (other_OD[:, :, None] * other_OD[:, None]).reshape(num, D * D)
    gram_RDD = (rated_RO @ outer).reshape(-1, D, D) + ridge * np.eye(D)
    solved_RD: Floats = np.linalg.solve(gram_RDD, (value_RO @ other_OD)[..., None])[..., 0]
    return solved_RD
