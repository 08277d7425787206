"""proto-sac and proto-td3: a point of the item space, and the K items that lie furthest that way.

stable-baselines3's SAC and TD3 act in a box, here that of the catalogue's own embeddings: the slate
is the K candidates of largest inner product with the action (`slate_towards`). Where the world has
a supervised ranker, the action moves the ranker's scores instead, along its item vectors and the
topics (`agents/sb3/proto_action.py`). The critic is taught the action that was executed: what the
replay holds is what the slate was made of.

One point draws one kind of items, so that what it earns depends on the embeddings: with those of
the simulator itself it can turn from topic to topic as people tire.

Source: Dulac-Arnold et al. 2015, arXiv:1512.07679; Zhao et al. 2017, arXiv:1801.00209, for slates;
SAC with top-K as a baseline: Deffayet et al. 2023, arXiv:2301.08632, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import has_ranker
from slategym.agents.core.supervised import ranker_chosen, ranker_of
from slategym.agents.core.tuning import Setting
from slategym.agents.sb3.agent import StableAgent
from slategym.agents.sb3.algorithms import StableSAC, StableTD3
from slategym.agents.sb3.env import View
from slategym.agents.sb3.item_space import ItemSpace
from slategym.agents.sb3.proto_action import ProtoView
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import World

SAC_NOISE, TD3_NOISE = (purpose(f"proto.{name}") for name in ("sac", "td3"))
RETRIEVED = 100  # candidates that a ranker offers for re-ranking


def proto_view(world: World) -> View:
    """The ranker's scores moved, where there is a ranker; else the item space itself."""
    if not has_ranker(world):
        return ItemSpace(world)
    count = min(max(RETRIEVED, world.slate_size), world.num_candidates)
    return ProtoView(ranker_of(world), Inputs(world).topics, count, world.slate_size)


def topic_rec_settings() -> StableSAC:
    """proto-sac for TopicRec-TopDown-Focused with `history_size=30`.

    Measured with one seed, read by its mean action on 200 people who were not in the training:

        slates shown     10 k  20 k  30 k  40 k  50 k  60 k  70 k  80 k  90 k  100 k
        clicks a session   76   110   188   262   351   310   320   325   322    353

    in 200 CPU seconds on one thread. The short-term oracle (`myopic`) earns 106, the oracle with a
    cap per topic (`capped`) 402, on 1,000 other people; published are 107.7 for that oracle and
    305.3 for GeMS. From reading to reading the served policy moves by some twenty clicks: a small
    turn of the direction exchanges many of the thousand items. A learning rate that fell to a tenth
    ended at 309 instead; twice the updates on 60 k slates, gamma 0.8 and such a rate at 240.
    """
    return StableSAC(
        num_steps=100_000,
        num_users=100,
        updates=10,
        batch=256,
        buffer=100_000,
        warm_up=2_000,
        learning_rate=3e-4,
        gamma=0.9,
        tau=0.01,
        hidden=(256, 256),
    )


class ProtoSAC(StableAgent):
    """SAC, unchanged, on proto-actions."""

    name = "proto-sac"

    @classmethod
    def default_settings(cls) -> StableSAC:
        """For hand-written worlds of a hundred slates; see also `topic_rec_settings`."""
        return StableSAC()

    @classmethod
    def view_of(cls, world: World) -> View:
        """See `proto_view`."""
        return proto_view(world)

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker from which it starts, if it does."""
        return ranker_chosen(self.world)

    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, None]:
        """A squashed Gaussian. The slate's own probability is an integral without closed form."""
        mean_BA, log_std_BA, _ = self.model.actor.get_action_dist_params(seen)
        noise_BA = luck.normal(SAC_NOISE, mean_BA.shape[1])
        return torch.tanh(mean_BA + log_std_BA.exp() * noise_BA), None


class ProtoTD3(StableAgent):
    """TD3, unchanged, on proto-actions."""

    name = "proto-td3"

    @classmethod
    def default_settings(cls) -> StableTD3:
        """For hand-written worlds of a hundred slates."""
        return StableTD3()

    @classmethod
    def view_of(cls, world: World) -> View:
        """See `proto_view`."""
        return proto_view(world)

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker from which it starts, if it does."""
        return ranker_chosen(self.world)

    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, None]:
        """The policy's action and some noise. The slate's own probability has no closed form."""
        action_BA: Tensor = self.model.actor(seen)
        noise_BA = luck.normal(TD3_NOISE, action_BA.shape[1])
        return (action_BA + self.settings.noise * noise_BA).clamp(-1.0, 1.0), None
