"""The same estimates by obp, where it is installed: another hand's arithmetic."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from slategym.experiments.ope.estimators import Evidence
from slategym.experiments.ope.slates import LoggedSlates

BY_SLOT = {
    "ipw": "InverseProbabilityWeighting",
    "snipw": "SelfNormalizedInverseProbabilityWeighting",
}
BY_SLATE = {
    "sips": ("SlateStandardIPS", "pscore"),
    "iips": ("SlateIndependentIPS", "pscore_item_position"),
    "rips": ("SlateRewardInteractionIPS", "pscore_cascade"),
}


def obp_estimates(slates: LoggedSlates, evidence: Evidence) -> tuple[dict[str, float], str]:
    """What the package obp says, by its own names, and why nothing, if it is installed.

    Only of single slates: of visits it knows nothing.

    Args:
        slates: each an episode of its own, with propensities.
        evidence: of the policy.

    Source: Saito, Aihara, Matsutani and Narita 2021, arXiv:2008.07146.
    """
    if find_spec("obp") is None or evidence.reward_ETK.shape[1] > 1:
        return {}, ""
    try:
        ope = import_module("obp.ope")
    except (ImportError, AttributeError, TypeError) as error:  # old pins beside new libraries
        return {}, f"obp is installed and cannot be imported: {error}"
    read = _slots if slates.num_slots == 1 else _slates
    return read(ope, slates, evidence), ""


def _slots(ope: Any, slates: LoggedSlates, evidence: Evidence) -> dict[str, float]:
    """Of single slots: its estimators of one action."""
    assert slates.slate_logp_S is not None and evidence.slate_ET is not None
    action_S, pscore_S = slates.item_SK[:, 0], np.exp(slates.slate_logp_S)
    dist_SN1 = np.zeros((slates.num_slates, slates.num_items, 1))
    prob_S, row_S = pscore_S * np.exp(evidence.slate_ET[:, 0]), np.arange(slates.num_slates)
    dist_SN1[row_S, (action_S + 1) % slates.num_items, 0] = 1 - prob_S  # anywhere: it is not read
    dist_SN1[row_S, action_S, 0] = prob_S
    return {
        name: float(
            getattr(ope, kind)().estimate_policy_value(
                reward=slates.reward_SK[:, 0],
                action=action_S,
                position=np.zeros_like(action_S),
                pscore=pscore_S,
                action_dist=dist_SN1,
            )
        )
        for name, kind in BY_SLOT.items()
    }


def _slates(ope: Any, slates: LoggedSlates, evidence: Evidence) -> dict[str, float]:
    """Of whole slates."""
    S, K = slates.item_SK.shape
    there = {
        "slate_id": np.repeat(np.arange(S), K),
        "position": np.tile(np.arange(K), S),
        "reward": slates.reward_SK.ravel(),
    }
    logged, ratio = _log_pscores(slates), _log_ratios(evidence, K)
    found = {}
    for name, (kind, pscore) in BY_SLATE.items():
        if pscore in logged and pscore in ratio:
            asked = logged[pscore] + ratio[pscore]
            chances = {
                pscore: np.exp(logged[pscore]).ravel(),
                f"evaluation_policy_{pscore}": np.exp(asked).ravel(),
            }
            reader = getattr(ope, kind)(len_list=K)
            found[name] = float(reader.estimate_policy_value(**there, **chances))
    return found


def _log_pscores(slates: LoggedSlates) -> dict[str, np.ndarray]:
    """The log's propensities under obp's names, (S, K)."""
    found = {}
    if slates.slate_logp_S is not None:
        found["pscore"] = np.repeat(slates.slate_logp_S[:, None], slates.num_slots, 1)
    if slates.position_logp_SK is not None:
        found["pscore_item_position"] = slates.position_logp_SK
    if slates.slot_logp_SK is not None:
        found["pscore_cascade"] = slates.slot_logp_SK.cumsum(1)
    return found


def _log_ratios(evidence: Evidence, K: int) -> dict[str, np.ndarray]:
    """The policy's above them, (S, K)."""
    found = {}
    if evidence.slate_ET is not None:
        found["pscore"] = np.repeat(evidence.slate_ET, K, 1)
    if evidence.position_ETK is not None:
        found["pscore_item_position"] = evidence.position_ETK[:, 0]
    if evidence.slot_ETK is not None:
        found["pscore_cascade"] = evidence.slot_ETK[:, 0].cumsum(1)
    return found
