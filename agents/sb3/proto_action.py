"""Proto-actions: a point in the item space, and the slate of the items that lie that way.

stable-baselines3's SAC and TD3 act in a box. The box here is the item space of the supervised
model with one more axis per topic: an action w ranks the retrieved candidates by their inner
product with w, on top of the supervised score (`residual`) or alone. With w = 0 a residual agent
shows the ranker's own slate. The topic axes are there because the directions of a text model say
too little about the topics that people tire of.

Source: Dulac-Arnold et al. 2015, arXiv:1512.07679; Zhao et al. 2017, arXiv:1801.00209, for slates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from slategym.agents.core.features import RecentTopics
from slategym.agents.core.ranker import Ranker
from slategym.envs.types import Observation, World


@dataclass(frozen=True)
class ProtoView:
    """State embedding and recent topics in, a direction of the item space out."""

    ranker: Ranker
    recent: RecentTopics
    num_candidates: int  # C
    num_slots: int  # K
    residual: bool = True  # False: the inner product alone ranks
    sharpness: float = 4.0  # weight of the supervised score, as in the residual policy
    reach: float = 1.5  # log-odds by which a whole unit of topic moves an item

    @property
    def action_width(self) -> int:
        """D + G, of the item space and its topic axes."""
        return self.ranker.encoder.model.settings.width + self.recent.num_topics

    @property
    def width(self) -> int:
        """Of what the learner sees."""
        by_topic = self.recent.per_topic * self.recent.num_topics
        return self.ranker.encoder.model.settings.width + by_topic + self.recent.per_visit

    def space(self, world: World) -> spaces.Dict:
        """seen: state embedding, recent topics and the visit, one after the other."""
        limit = float("inf")
        return spaces.Dict({"seen": spaces.Box(-limit, limit, (self.width,))})

    def action_space(self, world: World) -> spaces.Box:
        """A direction, (D + G,) in [-1, 1]."""
        return spaces.Box(-1.0, 1.0, (self.action_width,))

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """What the learner sees; beside it, under `id` and `score`, what its action will rank."""
        best = self.ranker.retrieve(observation, self.num_candidates)
        assert observation.state is not None
        topics_BX = self.recent.by_topic(observation).flatten(1)
        parts = [observation.state, topics_BX, self.recent.of_visit(observation)]
        return {"seen": torch.cat(parts, 1), "id": best.id, "score": best.score}

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """Catalogue positions of the K candidates furthest along the action, (B, K) int32.

        Raises:
            ValueError: if the action has the wrong width or is not a number everywhere.
        """
        if action.dim() != 2 or action.shape[1] != self.action_width:
            raise ValueError(
                f"a proto-action is a direction of the item space and its topics, (users, "
                f"{self.action_width}); got shape {tuple(action.shape)}"
            )
        if not bool(action.isfinite().all()):
            raise ValueError("a proto-action must be finite; the policy produced NaN or infinity")
        D = self.ranker.encoder.model.settings.width
        towards_BN = functional.linear(action[:, :D].float(), self.ranker.unit_items) / D
        topic_BC = self.recent.topic_N[shown["id"]]
        along_BC = towards_BN.gather(1, shown["id"]) + action[:, D:].float().gather(1, topic_BC)
        along_BC = self.reach * along_BC
        if self.residual:
            along_BC = along_BC + self.sharpness * shown["score"]
        at_BK = along_BC.topk(self.num_slots, dim=1).indices
        return shown["id"].gather(1, at_BK).int()
