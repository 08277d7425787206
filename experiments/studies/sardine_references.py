"""What in SARDINE needs no learning: one direction a slate, told the truth; two rules.

The first bounds proto-actions. The rules are what every learner has to beat: one sees clicks alone,
the other all that learners see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from slategym.agents.core.inputs import Inputs
from slategym.agents.slates.plackett_luce import draw, scores_of
from slategym.agents.slates.towards import slate_towards
from slategym.agents.types import Action
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Observation, World
from slategym.envs.users.boredom import BoredomState

SLOT = purpose("sardine.more_but_varied.slot")
SLATES_SLOT = purpose("sardine.from_slates.slot")
BY_CLICK_SCALE = 3.0  # makes a sum of `RecentTopics`' trace that fades with every click


@dataclass(frozen=True)
class OneDirection:
    """The ten items furthest along one direction: all that a person likes, in equal parts.

    What learners of proto-actions show is such a slate (`proto-sac`, `proto-td3`, `hac`), whose
    items are of one kind. This direction is told what people like, and was the best of seven in
    Bored, read on 100 people who are in no table: taste 151, taste less what was clicked lately
    161 and 141, without the topics clicked three times 133, all liked topics alike 171, these less
    what was clicked lately 147, the root of taste less what was clicked lately 168.
    """

    world: World
    name: ClassVar[str] = "one direction"
    privileged: ClassVar[bool] = True

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate along the indicator of liked topics."""
        assert observation.hidden is not None
        state = observation.hidden.user
        assert isinstance(state, BoredomState)
        allowed = observation.allowed
        return Action(slate_towards(self.world, (state.taste > 0).float(), None, allowed))


@dataclass(frozen=True)
class MoreButVaried:
    """More of what was clicked, not much of one topic: draws of a law with two numbers, unlearnt.

    The network of `plackett-luce` before training is this law at `fond` 20 and `varied` 4, drawn;
    its logits times 4, which is 80 and 16, already earn 273. Clicks in Bored of 150 people who are
    in no table, by fond and varied, +- 8 to 14; `plackett-luce` after 96,000 slates: 285:

        varied   fond 40    60    80   120   160
        8            243         204         153
        16           276   277   273         185
        20           276   292   284
        40                             234
    """

    world: World
    fond: float = 60.0  # nats per unit of an item's match with `Inputs`' sum of what was clicked
    varied: float = 20.0  # nats per earlier slot of the topic
    name: ClassVar[str] = "more, but varied"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A slate that is drawn, and its log-probability."""
        inputs, catalogue = Inputs(self.world), self.world.catalogue
        where = inputs.remembered
        assert where is not None  # the study's worlds remember clicks
        width = catalogue.embedding.shape[1]
        taste_BD = inputs.vector(observation)[:, where.taste][:, :width]
        logits_BN = self.fond * taste_BD @ inputs.items_ND.T
        penalty_BG = torch.full_like(logits_BN[:, : catalogue.num_topics], self.varied)
        topic_BN = catalogue.topic.long().expand(len(logits_BN), -1)
        scores = scores_of(logits_BN, penalty_BG, topic_BN, observation.allowed)
        slate_BK, logp_BK = draw(scores, luck.uniform(SLOT, self.world.slate_size))
        return Action(slate_BK.int(), logp_BK.sum(1), logp_BK)


@dataclass(frozen=True)
class FromSlates:
    """What slates say is wanted, less what is wearing out: a law with four numbers, unlearnt.

    It reads what `plackett-luce` reads where slates are remembered, whose network begins as this
    law at `fond` 30 and `varied` 8 with the other two 0. Clicks in Bored of 150 people who are in
    no table, +- 7 to 10, by fond, varied, worn and near:

        30   8  2   0    330        60  16  4  20    372        90  20  6  30    350
        30   8  2  10    363        60  16  4  35    350        90  20  8  20    353
        45  12  3  15    373        60  20  6  20    353
    """

    world: World
    fond: float = 45.0  # nats per unit of match with what is wanted (`core/wanted.py`)
    varied: float = 12.0  # nats per earlier slot of the topic
    worn: float = 3.0  # nats per click on the topic, fading by .8 with every click since
    near: float = 15.0  # nats at the threshold of boredom, which the user model reveals
    name: ClassVar[str] = "from slates"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A slate that is drawn, and its log-probability."""
        inputs, catalogue = Inputs(self.world), self.world.catalogue
        where, G = inputs.remembered, catalogue.num_topics
        assert where is not None and inputs.reads_slates  # the study's worlds remember both
        assert where.revealed is not None
        x_BX, D = inputs.vector(observation), catalogue.embedding.shape[1]
        wanted_BD = x_BX[:, where.taste][:, -D:]
        trace_BG = BY_CLICK_SCALE * x_BX[:, where.topics][:, 3 * G : 4 * G]
        worn_BG = self.worn * trace_BG + self.near * x_BX[:, where.revealed]
        topic_BN = catalogue.topic.long().expand(len(x_BX), -1)
        logits_BN = self.fond * wanted_BD @ inputs.items_ND.T - worn_BG.gather(1, topic_BN)
        penalty_BG = torch.full_like(worn_BG, self.varied)
        scores = scores_of(logits_BN, penalty_BG, topic_BN, observation.allowed)
        slate_BK, logp_BK = draw(scores, luck.uniform(SLATES_SLOT, self.world.slate_size))
        return Action(slate_BK.int(), logp_BK.sum(1), logp_BK)


def more_but_varied_in_topic_rec(world: World) -> MoreButVaried:
    """The rule as it serves people of GeMS' worlds best, of four values of `fond`.

    Clicks of 150 people in no table: 99 at 30, 256 at 60, 337 at 90, 378 at 150.
    """
    return MoreButVaried(world, fond=150.0)
