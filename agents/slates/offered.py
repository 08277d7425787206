"""From scores of the whole catalogue to a slate of what an observation offers."""

from __future__ import annotations

from torch import Tensor

from slategym.agents.slates.top import allowed_only, capped_slate, top_slate
from slategym.envs.types import Observation


def offered_slate(
    score_BN: Tensor, topic_N: Tensor, observation: Observation, num_slots: int, cap: int | None
) -> Tensor:
    """The best-scored of the candidates that may be shown.

    Args:
        score_BN: of every item of the catalogue.
        topic_N: int, main topic of each item.
        observation: its candidates, if it has any, else all items; what may not be shown is not.
        num_slots: K.
        cap: items of a topic, at most; None: as many as there are.

    Returns:
        (B, K) int32 positions among the candidates, best first.
    """
    topic_BC, score_BC = topic_N.expand(score_BN.shape[0], -1), score_BN
    if observation.candidates is not None:
        id_BC = observation.candidates.long()
        score_BC, topic_BC = score_BC.gather(1, id_BC), topic_BC.gather(1, id_BC)
    score_BC = allowed_only(score_BC, observation.allowed)
    if cap is None:
        return top_slate(score_BC, num_slots)
    return capped_slate(score_BC, topic_BC, num_slots, cap)
