"""The networks of slate policies that score every candidate, and what they look at, in any world.

Two faces. `Whole`: from scratch, every candidate of the request by its vector and its topic.
`Shortlist`: the best candidates of the supervised policy, whose slates the network corrects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Ranker, has_ranker
from slategym.agents.core.start import Start, start_of
from slategym.agents.policy_gradient.residual import ResidualNetwork, ResidualSettings
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

HIDDEN = (128, 128)  # units of every trunk
TOPIC_HIDDEN = 32  # units of the network that all topics share
LOGIT_SCALE = 10.0  # nats per unit of the policy's last layer, against items of norm one
FOND = 20.0  # nats per unit of an item's match with the sum of what was clicked, at the start
VARIED = 4.0  # nats per earlier slot of the topic, at the start
WANTED = 30.0  # nats per unit of an item's match with what slates say is wanted, at the start
VARIED_THEN = 8.0  # nats per earlier slot of the topic, at the start where slates are read
SHORTLIST = 100  # candidates of the ranker, where nothing else is said
TIMID = 0.01  # first weights of the policy's last layer, relative to the usual

Shown = dict[str, Tensor]  # what a request shows, by name, (B, ...) each; "x" always


class Face(Protocol):
    """What a policy network reads of a request, and what its candidates are."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Entries of `show` that the policy network takes, in order."""
        ...

    @property
    def inputs(self) -> Inputs:
        """What its vectors are made by."""
        ...

    @property
    def width(self) -> int:
        """X, of the input vector."""
        ...

    def network(self) -> nn.Module:
        """A new one: logits (B, C) and topic penalties (B, G), nats."""
        ...

    def vector(self, observation: Observation) -> Tensor:
        """The input vector alone, (B, X): the "x" of `show`."""
        ...

    def show(self, observation: Observation) -> Shown:
        """Input vector "x"; "id", unless a place is an item id; "allowed", unless all are."""
        ...

    def topic(self, shown: Shown) -> Tensor:
        """Of each candidate, (B, C) int64."""
        ...

    def slate(self, shown: Shown, chosen_BK: Tensor) -> Tensor:
        """Positions as the world counts them, (B, K) int32, of those chosen candidates."""
        ...

    def places(self, shown: Shown, slate_BK: Tensor) -> Tensor:
        """The inverse, (B, K) int64; -1: no candidate, or an empty slot."""
        ...

    def spread(self, shown: Shown, law_BKC: Tensor) -> Tensor:
        """Log-probabilities of candidates as those of all positions, -inf where there is none."""
        ...


class PolicyNetwork(nn.Module):
    """Logits as a direction in the space of items, plus a word on every topic.

    The direction is the network's own plus a learned multiple of what the user clicked; the word is
    the network's own plus what one small network, the same for all topics, makes of the recent
    clicks on each. So what is learnt of one topic and one taste holds for the others. At first the
    policy wants more of what was clicked, and not too much of one topic: of a thousand items that
    all look alike, none would be learnt of in time.

    Where slates are read (`Inputs.reads_slates`), it wants at first what these say is wanted, and
    topics are also told what the user model reveals of them and how much their items are wanted.

    Args:
        inputs: of the world.
    """

    features_NW: Tensor
    centre_GD: Tensor

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        catalogue, self.where = inputs.world.catalogue, inputs.remembered
        self.num_topics, self.width = catalogue.num_topics, catalogue.embedding.shape[1]
        topic_NG = F.one_hot(catalogue.topic.long(), self.num_topics).float()
        self.register_buffer("features_NW", torch.cat([inputs.items_ND, topic_NG], 1).clone())
        self.per_taste = inputs.per_taste if self.where else 0
        multiples = self.per_taste
        self.trunk = trunk(inputs.width)
        self.last = nn.Linear(HIDDEN[-1], self.width + 2 * self.num_topics + multiples)
        recent = inputs.topics
        self.per_topic, self.per_visit = recent.per_topic, recent.per_visit
        self.reads_slates = self.where is not None and inputs.reads_slates
        width = self.per_topic + self.per_visit
        if self.reads_slates:
            size_G1 = topic_NG.sum(0).clamp(min=1.0)[:, None]
            self.register_buffer("centre_GD", topic_NG.T @ inputs.items_ND / size_G1)
            assert self.where is not None
            width += 1 + (self.where.revealed is not None)
        varied = VARIED_THEN if self.reads_slates else VARIED
        self.by_topic = None if self.where is None else _topic_network(width, varied)
        with torch.no_grad():
            self.last.weight.mul_(TIMID)
            self.last.bias.zero_()
            if self.reads_slates:
                self.last.bias[-1] = WANTED / LOGIT_SCALE
            elif multiples:
                self.last.bias[-multiples] = FOND / LOGIT_SCALE

    def forward(self, x_BX: Tensor, id_BC: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of the items id_BC, or of all, and penalties (B, G)."""
        D, G = self.width, self.num_topics
        out_BW = LOGIT_SCALE * self.last(self.trunk(x_BX))
        towards_BD, word_BG2 = out_BW[:, :D], out_BW[:, D : D + 2 * G].reshape(-1, G, 2)
        if self.where is not None and self.by_topic is not None:
            multiple_Bn1 = out_BW[:, D + 2 * G :, None]
            taste_BnD = x_BX[:, self.where.taste].reshape(-1, self.per_taste, D)
            towards_BD = towards_BD + (multiple_Bn1 * taste_BnD).sum(1)
            recent_BGR = x_BX[:, self.where.topics].reshape(-1, self.per_topic, G).mT
            visit_BGV = x_BX[:, None, self.where.visit].expand(-1, G, -1)
            told = [recent_BGR, visit_BGV]
            if self.reads_slates:
                told.append((taste_BnD[:, -1] @ self.centre_GD.T)[..., None])
                if self.where.revealed is not None:
                    told.append(x_BX[:, self.where.revealed, None])
            word_BG2 = word_BG2 + LOGIT_SCALE * self.by_topic(torch.cat(told, 2))
        logits_BN = F.linear(torch.cat([towards_BD, word_BG2[..., 0]], 1), self.features_NW)
        return logits_BN if id_BC is None else logits_BN.gather(1, id_BC), word_BG2[..., 1]


def _topic_network(width: int, varied: float) -> nn.Sequential:
    """A topic's logit and penalty from the recent clicks on it and how the visit goes."""
    last = nn.Linear(TOPIC_HIDDEN, 2)
    with torch.no_grad():
        last.weight.mul_(TIMID)
        last.bias.copy_(torch.tensor([0.0, varied / LOGIT_SCALE]))
    return nn.Sequential(nn.Linear(width, TOPIC_HIDDEN), nn.Tanh(), last)


class ValueNetwork(nn.Module):
    """Expected discounted reward from an input vector.

    Args:
        width: X.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk, self.last = trunk(width), nn.Linear(HIDDEN[-1], 1)

    def forward(self, x_BX: Tensor) -> Tensor:
        """(B,), in the learner's units of reward."""
        value_B1: Tensor = self.last(self.trunk(x_BX))
        return value_B1[:, 0]


class CorrectedRanking(nn.Module):
    """A `ResidualNetwork` as a policy network.

    Args:
        network: new.
    """

    def __init__(self, network: ResidualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *shown: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) and penalties (B, G) from the entries that `Shortlist` reads."""
        return self.network.corrected(dict(zip(Shortlist.reads, shown, strict=True)))


def trunk(width: int) -> nn.Sequential:
    """Dense layers with tanh between and after."""
    first, second = HIDDEN
    return nn.Sequential(nn.Linear(width, first), nn.Tanh(), nn.Linear(first, second), nn.Tanh())


class ByPosition:
    """What faces that show every candidate have in common. Abstract."""

    def slate(self, shown: Shown, chosen_BK: Tensor) -> Tensor:
        """A candidate's place is its position."""
        return chosen_BK.int()

    def places(self, shown: Shown, slate_BK: Tensor) -> Tensor:
        """The same."""
        return slate_BK.long()

    def spread(self, shown: Shown, law_BKC: Tensor) -> Tensor:
        """As they are."""
        return law_BKC


@dataclass(frozen=True)
class Whole(ByPosition):
    """Every candidate of the request."""

    world: World
    inputs: Inputs

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The input vector, and the items where they change from request to request."""
        zero_1 = torch.zeros(1, dtype=torch.int32, device=self.world.device)
        first = engine.observe(self.world, engine.start(self.world, zero_1, zero_1, zero_1))
        return ("x",) if first.candidates is None else ("x", "id")

    @property
    def width(self) -> int:
        """X, of the input vector."""
        return self.inputs.width

    def network(self) -> nn.Module:
        """From scratch."""
        return PolicyNetwork(self.inputs)

    def vector(self, observation: Observation) -> Tensor:
        """The input vector alone, (B, X)."""
        return self.inputs.vector(observation)

    def show(self, observation: Observation) -> Shown:
        """The input vector and the offer."""
        shown = {"x": self.vector(observation)}
        if observation.candidates is not None:
            shown["id"] = observation.candidates.long()
        if observation.allowed is not None:
            shown["allowed"] = observation.allowed
        return shown

    def topic(self, shown: Shown) -> Tensor:
        """By item."""
        topic_N = self.world.catalogue.topic.long()
        return topic_N[shown["id"]] if "id" in shown else topic_N.expand(shown["x"].shape[0], -1)


@dataclass(frozen=True)
class Shortlist:
    """The best candidates of a tuned policy; its slates are corrected from zero on."""

    start: Start
    num_candidates: int  # C
    world: World
    inputs: Inputs
    reads: ClassVar[tuple[str, ...]] = ("id", "score", "topics", "visit", "state")

    @property
    def width(self) -> int:
        """X, of the input vector."""
        return self.inputs.width

    def network(self) -> nn.Module:
        """The policy itself, at first."""
        seed = int(torch.randint(2**31 - 1, ()))  # it has a generator of its own
        return CorrectedRanking(
            ResidualNetwork(
                ResidualSettings(self.start.sharpness, self.start.quota),
                self.start.policy.ranker.unit_items,
                self.inputs.topics,
                seed,
            )
        )

    def vector(self, observation: Observation) -> Tensor:
        """The input vector alone, (B, X): nothing is retrieved for it."""
        return self.inputs.vector(observation)

    def show(self, observation: Observation) -> Shown:
        """The input vector, the retrieved candidates, best first, and what is known of the user."""
        best = self.start.candidates(observation, self.num_candidates)
        assert observation.state is not None
        x_BX, where, recent = (
            self.vector(observation),
            self.inputs.remembered,
            self.inputs.topics,
        )
        assert where is not None  # a world with a learned state remembers clicks
        by_topic = (recent.per_topic, recent.num_topics)
        topics_BRG = x_BX[:, where.topics].unflatten(1, by_topic)  # type: ignore[no-untyped-call]
        return {
            "x": x_BX,
            "id": best.id,
            "score": best.score,
            "state": observation.state,
            "topics": topics_BRG,
            "visit": x_BX[:, where.visit],
            "allowed": best.score > FORBIDDEN / 2,  # where fewer than C may be shown
        }

    def topic(self, shown: Shown) -> Tensor:
        """By item."""
        return self.world.catalogue.topic.long()[shown["id"]]

    def slate(self, shown: Shown, chosen_BK: Tensor) -> Tensor:
        """The candidates' items, which are positions in the catalogue."""
        return shown["id"].gather(1, chosen_BK).int()

    def places(self, shown: Shown, slate_BK: Tensor) -> Tensor:
        """Where the items stand in the shortlist."""
        same_BKC = slate_BK[..., None] == shown["id"][:, None]
        return torch.where(same_BKC.any(2), same_BKC.int().argmax(2), -1)

    def spread(self, shown: Shown, law_BKC: Tensor) -> Tensor:
        """What the shortlist lacks is never shown."""
        B, K, _ = law_BKC.shape
        whole_BKN = law_BKC.new_full((B, K, self.world.num_candidates), -torch.inf)
        return whole_BKN.scatter(2, shown["id"].long()[:, None].expand_as(law_BKC), law_BKC)


def face_of(world: World, shortlist: int | None, ranker: Ranker | None = None) -> Face:
    """All candidates, or the ranker's best; as many as there are, in a small catalogue.

    Args:
        world: where.
        shortlist: how many of its best; 0: all items; None: SHORTLIST where there is a ranker.
        ranker: refitted; None: the tuned one.

    Raises:
        UsageError: the world has no ranker; the shortlist is shorter than a slate.
    """
    inputs = Inputs(world)
    if shortlist is None:
        shortlist = max(SHORTLIST, world.slate_size) if has_ranker(world) else 0
    if not shortlist:
        return Whole(world, inputs)
    if shortlist < world.slate_size:
        raise UsageError(
            f"shortlist must be 0 or at least {world.slate_size}, the slots of a slate in "
            f"{world.name}, got {shortlist}"
        )
    count = min(shortlist, world.num_candidates)
    start = start_of(world, count, rules=True, ranker=ranker)
    return Shortlist(start, count, world, inputs)
