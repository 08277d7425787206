"""EASE's ridge and the rate at which its sums fade, chosen for a log: what serves its own rows.

How much people's clicks say of each other decides how far EASE is to be pulled towards nothing; a
ridge that is too great leaves how popular an item is. Each row is ranked by EASE of all other
people, exactly: with P = (X'X + ridge I)^-1, leaving out the row x of one of them is a change of
rank one,

    (X'X - x x' + ridge I)^-1 = P + P x x' P / (1 - x' P x),

and one eigendecomposition serves all ridges and people. The rate is chosen at the usual ridge, then
the ridge at that rate, both no further from the usual than people tell apart; of few people neither
is.

Axis letters beyond the legend of `envs/types.py`: R eigenvectors of X'X, x rows.

Source: Steck 2019, arXiv:1905.03375, equation 8; Sherman and Morrison 1950; Cameron
and Miller 2015, section VI (few clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse import csr_array
from torch import Tensor

from slategym.models.closed_form.cooccurrence import CooccurrenceSettings
from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.closed_form.fades import BATCH, asked_rows, error_of, gains_of
from slategym.models.closed_form.fades import LADDER as FADES

RIDGES = (50.0, 100.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0)
PEOPLE = 100  # fewest that are asked: of fewer, noise chooses
ROWS = (1_000, 3_000)  # that are ranked: fewest, most
COST = 1.5e9  # multiplications of rows by eigenvectors that settle how many
NOTHING = 1e-9  # of the greatest eigenvalue: what is less is no direction


def with_ease_for(
    events: Events, keep_E: Bools, settings: CooccurrenceSettings, *, repeats: bool
) -> CooccurrenceSettings:
    """The same settings with the ridge and the rate that serve these rows, where some clearly do.

    Args:
        events: the log.
        keep_E: rows to fit on.
        settings: with the usual ridge and rate of EASE.
        repeats: whether an item may be taken up again.
    """
    if len(np.unique(events.user_E[keep_E & events.took_E])) < PEOPLE:
        return settings
    left_out = LeftOut.fit(events.met(keep_E))
    row_x, history_xH = asked_rows(events, keep_E, left_out.affordable)
    user_x = events.user_E[row_x]
    if len(np.unique(user_x)) < PEOPLE:
        return settings
    rows = _Rows(user_x, history_xH, events.item_E[row_x], repeats)
    (first, usual), ridge = settings.fades, settings.ridge
    begun = left_out.gains(rows, ridge, usual)
    by_fade = climb(FADES, usual, begun, lambda fade: left_out.gains(rows, ridge, fade))
    fade = nearest_of(by_fade, usual, user_x)
    by_ridge = climb(RIDGES, ridge, by_fade[fade], lambda value: left_out.gains(rows, value, fade))
    return replace(settings, ridge=nearest_of(by_ridge, ridge, user_x), fades=(first, fade))


def climb(
    ladder: Sequence[float], usual: float, usual_x: Floats, gains: Callable[[float], Floats]
) -> dict[float, Floats]:
    """Gains at the usual value and, up and down the ladder from it, at all that still gain more.

    Args:
        ladder: values.
        usual: where to begin.
        usual_x: what is gained there.
        gains: of a value, a number for every row.

    Returns:
        Gains of each value that was tried; the last of either way gains no more than that before.
    """
    found = {usual: usual_x}
    above = sorted(value for value in ladder if value > usual)
    below = sorted((value for value in ladder if value < usual), reverse=True)
    for way in (above, below):
        last = usual
        for value in way:
            found[value] = gains(value)
            if found[value].mean() <= found[last].mean():
                break
            last = value
    return found


def nearest_of(gain: Mapping[float, Floats], usual: float, user_x: Ints) -> float:
    """The value nearest the usual one that is not clearly behind the one that gains most.

    Args:
        gain: of each value, a number for every row.
        usual: one of the values.
        user_x: whose rows these are: clearly is by more than a standard error of people.

    Source: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3 (1 SE rule).
    """
    best = max(gain, key=lambda value: float(gain[value].mean()))
    between = [value for value in gain if min(usual, best) <= value <= max(usual, best)]
    for value in sorted(between, key=lambda value: abs(value - usual)):
        behind_x = gain[best] - gain[value]
        if behind_x.mean() <= error_of(behind_x, user_x):
            return value
    return best


@dataclass(frozen=True)
class _Rows:
    """What is ranked."""

    user_x: Ints
    history_xH: Ints  # items, oldest first; -1: none
    item_x: Ints
    repeats: bool  # whether items of the history are ranked, too


@dataclass(frozen=True)
class LeftOut:
    """EASE of everybody but one person, at any ridge."""

    vector_NR: Tensor  # of X'X
    value_R: Tensor
    own_UR: Tensor  # X in these directions

    @staticmethod
    def fit(met_UN: csr_array) -> LeftOut:
        """Take X apart.

        Args:
            met_UN: X, 1 where a user took an item up.
        """
        some_UN = met_UN[np.diff(met_UN.indptr) > 0]
        U, N = some_UN.shape
        if U < N:
            value_R, vector_UR = eigh((some_UN @ some_UN.T).toarray())
        else:
            value_R, vector_NR = eigh((some_UN.T @ some_UN).toarray())
        there_R = value_R > NOTHING * value_R[-1]
        value_R = value_R[there_R]
        if U < N:
            vector_NR = some_UN.T @ (vector_UR[:, there_R] / np.sqrt(value_R))
        else:
            vector_NR = vector_NR[:, there_R]
        parts = (vector_NR, value_R, met_UN @ vector_NR)
        return LeftOut(*(torch.as_tensor(part, dtype=torch.float32) for part in parts))

    @property
    def affordable(self) -> int:
        """Rows that are ranked."""
        return int(np.clip(COST / self.vector_NR.numel(), *ROWS))

    def gains(self, rows: _Rows, ridge: float, fade: float) -> Floats:
        """1 / log2(2 + rank) of each row's item by EASE of all people but the row's own."""
        found = []
        for begin in range(0, len(rows.item_x), BATCH):
            part = slice(begin, begin + BATCH)
            history_BH = torch.as_tensor(rows.history_xH[part])
            history_BH = history_BH[:, (history_BH >= 0).any(0)]
            sum_BN = self.sums(torch.as_tensor(rows.user_x[part]), history_BH, ridge, fade)
            item_B = torch.as_tensor(rows.item_x[part])
            found.append(gains_of(sum_BN[:, None], history_BH, item_B, rows.repeats)[0])
        return np.concatenate(found)

    def sums(self, user_B: Tensor, history_BH: Tensor, ridge: float, fade: float) -> Tensor:
        """Fading sums of EASE's rows after these histories, the user left out of EASE, (B, N).

        Args:
            user_B: who is left out.
            history_BH: items, oldest first; -1: none.
            ridge: above 0.
            fade: what a click leaves of the sums.
        """
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1  # clicks after each one
        weight_BH = fade ** later_BH.clamp(min=0) * used_BH
        weight_BN = self.vector_NR.new_zeros(len(user_B), len(self.vector_NR))
        weight_BN.scatter_add_(1, history_BH.clamp(min=0), weight_BH)
        # In units of 1 / ridge: P is I - V fitted V', P x is V (own left).
        left_R = ridge / (self.value_R + ridge)
        fitted_R = self.value_R / (self.value_R + ridge)
        own_BR = self.own_UR[user_B]
        change_BR = own_BR * left_R
        change_BN = change_BR @ self.vector_NR.T
        scale_B1 = 1.0 / (ridge - (own_BR * change_BR).sum(1, keepdim=True))
        more_B1 = (weight_BN * change_BN).sum(1, keepdim=True) * scale_B1
        inner_BR = (weight_BN @ self.vector_NR) * fitted_R - more_B1 * change_BR
        above_BN = weight_BN - inner_BR @ self.vector_NR.T
        diagonal_N = 1.0 - self.vector_NR.square() @ fitted_R
        below_BN = diagonal_N + change_BN.square() * scale_B1
        return weight_BN - above_BN / below_BN  # an item says nothing of itself
