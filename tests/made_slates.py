"""Made slates whose truth is known: two tastes, four items, slates of two, visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from slategym.experiments.ope.estimators import Evidence, Floats, Predicted

ITEMS, SLOTS = 4, 2
SLATES = np.array(list(permutations(range(ITEMS), SLOTS)))  # (L, K)
LIKED = np.array([[0.7, 0.2, 0.5, 0.1], [0.1, 0.6, 0.2, 0.4]])  # by taste and item
MODEL = np.array([0.9, 0.1, 0.3, 0.5])  # a wrong reward model, by item


def plackett_luce(logit_N: list[float]) -> Floats:
    """Probability of every slate in SLATES, (L,)."""
    weight_N = np.exp(np.array(logit_N))
    left_L, prob_L = np.full(len(SLATES), weight_N.sum()), np.ones(len(SLATES))
    for item_L in SLATES.T:
        prob_L *= weight_N[item_L] / left_L
        left_L -= weight_N[item_L]
    return prob_L


# by taste, (Z, L): what the log shows, and what is asked of it
LOGGING = np.stack([plackett_luce([0.5, 0.0, 0.3, -0.2]), plackett_luce([0.0, 0.4, 0.0, 0.2])])
ASKED = np.stack([plackett_luce([-0.3, 0.6, 0.2, 0.4]), plackett_luce([0.5, -0.2, 0.6, 0.3])])


def cascade(taste: int) -> Floats:
    """Chance of a click in each slot, by slate: half of it after a liked first item, (L, K)."""
    click_LK = LIKED[taste][SLATES].copy()
    click_LK[:, 1] *= 1 - 0.6 * click_LK[:, 0]
    return click_LK


def apart(taste: int) -> Floats:
    """The same, each slot on its own; the second is looked at less."""
    return LIKED[taste][SLATES] * np.array([1.0, 0.7])


@dataclass(frozen=True)
class Made:
    """A world of `steps` slates a visit; half of first-slot clicks change the taste."""

    clicks: Callable[[int], Floats] = cascade
    steps: int = 1
    sharpness: float = (
        1.0  # power of the asked policy's probabilities: how far it is from the log's
    )

    @property
    def asked(self) -> Floats:
        """Probability of every slate under the policy asked about, by taste, (Z, L)."""
        power_ZL = ASKED**self.sharpness
        return power_ZL / power_ZL.sum(1, keepdims=True)

    def truth(self) -> float:
        """Expected clicks of a visit under the policy asked about."""
        value_Z = np.zeros(2)
        for _ in range(self.steps):
            click_ZLK = np.stack([self.clicks(0), self.clicks(1)])
            turn_ZL = 0.5 * click_ZLK[..., 0]
            next_ZL = (1 - turn_ZL) * value_Z[:, None] + turn_ZL * value_Z[::-1, None]
            value_Z = (self.asked * (click_ZLK.sum(2) + next_ZL)).sum(1)
        return float(value_Z.mean())

    def log(self, episodes: int, rng: np.random.Generator) -> Evidence:
        """What the logging policy's visits say of the policy asked about."""
        taste_E = rng.integers(0, 2, episodes)
        columns: dict[str, list[Floats]] = {n: [] for n in ("r", "s", "k", "p", "q", "g", "f")}
        click_ZLK = np.stack([self.clicks(0), self.clicks(1)])
        for _ in range(self.steps):
            upto_EL = LOGGING[taste_E].cumsum(1)
            slate_E = (rng.random((episodes, 1)) > upto_EL).sum(1).clip(max=len(SLATES) - 1)
            reward_EK = (rng.random((episodes, SLOTS)) < click_ZLK[taste_E, slate_E]) * 1.0
            slot_EK, place_EK, given_EK, free_EK = self._ratios(taste_E, slate_E)
            for name, x in zip("rskpqgf", (
                reward_EK, slot_EK.sum(1), slot_EK, place_EK,
                MODEL[SLATES[slate_E]], given_EK, free_EK,
            ), strict=True):  # fmt: skip
                columns[name].append(x)
            turned_E = (reward_EK[:, 0] > 0) & (rng.random(episodes) < 0.5)
            taste_E = np.where(turned_E, 1 - taste_E, taste_E)
        found = {name: np.stack(x, 1) for name, x in columns.items()}
        return Evidence(
            reward_ETK=found["r"],
            slate_ET=found["s"],
            slot_ETK=found["k"],
            position_ETK=found["p"],
            additive_ET=None,
            predicted=Predicted(found["q"], found["g"], found["f"]),
        )

    def _ratios(self, taste_E, slate_E):
        """Log-ratios by slot, given the slot before and whatever it holds; model's means."""
        slots, places = [], []
        for prob_ZL in (self.asked, LOGGING):
            first_ZN = np.stack([prob_ZL[:, SLATES[:, 0] == n].sum(1) for n in range(ITEMS)], 1)
            second_ZN = np.stack([prob_ZL[:, SLATES[:, 1] == n].sum(1) for n in range(ITEMS)], 1)
            first_E = first_ZN[taste_E, SLATES[slate_E, 0]]
            slots.append(np.stack([first_E, prob_ZL[taste_E, slate_E] / first_E], 1))
            places.append(np.stack([first_E, second_ZN[taste_E, SLATES[slate_E, 1]]], 1))
        prob_EL = self.asked[taste_E]
        mean_EK = prob_EL @ MODEL[SLATES]
        same_EL = SLATES[:, 0] == SLATES[slate_E, 0][:, None]
        after_EL = prob_EL * same_EL / (prob_EL * same_EL).sum(1, keepdims=True)
        given_EK = np.stack([mean_EK[:, 0], (after_EL * MODEL[SLATES[:, 1]]).sum(1)], 1)
        return (
            np.log(slots[0] / slots[1]), np.log(places[0] / places[1]), given_EK, mean_EK,
        )  # fmt: skip
