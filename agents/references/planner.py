"""A reference that looks ahead: it plays candidate slates out in the true world and shows the best.

A rollout policy: of a few candidate slates, show the one after which the base policy earns most,
by simulation. If the candidates hold the base policy's own slate this is, up to the noise of the
simulation, at least as good as the base policy; it is an upper reference, not the optimum.

It knows the user's hidden state and the world's rules, but not what will happen: rollouts have
luck of their own, never the luck that the session is about to meet.

Source: Bertsekas, Tsitsiklis and Wu 1997, doi:10.1023/A:1009635226865, section 2 (rollout
algorithms); Tesauro and Galperin 1996, "On-line policy improvement using Monte-Carlo search".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.references.myopic import Myopic
from slategym.agents.slates.top import FORBIDDEN, capped_slate
from slategym.agents.types import Action
from slategym.envs import engine, luck
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import History, Items, Observation, Session, World, map_tensors

AHEAD = purpose("planner.ahead")
CAPS = (1, 3, None)  # items of a topic in candidate slates, besides the base policy's cap
RESTED = 4  # of the best topics, each of which one candidate slate leaves out


@dataclass(frozen=True)
class Planner:
    """The candidate slate with the best mean return over simulated futures."""

    world: World
    depth: int = 10  # slates looked ahead, this one included
    rollouts: int = 16  # futures per candidate slate
    caution: float = 1.0  # standard errors by which a gain on the base policy must stand out, >= 0
    base_cap: int = 2  # most items of a topic in the slates that follow, myopic otherwise
    all_up_to: int = 128  # where there are no more slates than this, each is a candidate
    batch: int = 4096  # rollouts side by side; bounds memory, changes no result
    privileged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        lowest = {"depth": 1, "rollouts": 1, "base_cap": 1, "batch": 1, "caution": 0}
        for name, low in lowest.items():
            if (value := getattr(self, name)) < low:
                raise UsageError(f"a planner's {name} must be at least {low}, got {value}")

    @property
    def name(self) -> str:
        """Whether it looks further than the request."""
        return "planner" if self.depth > 1 else "planner-one-step"

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """Plan for each user, some at a time."""
        if observation.hidden is None:
            raise ValueError("a planner needs observation.hidden; this run withheld it")
        nobody = observation.hidden.history
        session = replace(
            observation.hidden,
            view=None,
            history=History(nobody.id[:, :0], nobody.feedback[:, :0], nobody.age[:, :0]),
        )
        size = max(1, self.batch // (self._num_candidates * self._futures))
        parts = []
        for begin in range(0, len(session.step), size):
            rows = slice(begin, begin + size)
            parts.append(self._plan(map_tensors(lambda x, rows=rows: x[rows], session)))
        return Action(torch.cat(parts))

    def _plan(self, session: Session) -> Tensor:
        """The best of the candidate slates of these users, (B, K) int32."""
        offer = self._offer(session)
        slate_BMK, whole_BM = self._candidates(offer)
        return_BMR = self._play_out(session, slate_BMK, offer)
        best_B = self._sure_gain(return_BMR).masked_fill(~whole_BM, FORBIDDEN).argmax(1)
        return slate_BMK[torch.arange(len(best_B), device=best_B.device), best_B]

    def _sure_gain(self, return_BMR: Tensor) -> Tensor:
        """What each slate gains on the base policy's own, less its error, (B, M).

        Gains are taken future by future. A mishap that is rare may be in none of few futures, so
        before any is seen a gain is taken to vary by what a slate earns.
        """
        gain_BMR = return_BMR - return_BMR[:, :1]
        if self.depth == 1:
            return gain_BMR.mean(2)  # expected rewards: nothing is left to luck
        slate_B1 = return_BMR[:, :1].mean(2) / self.depth
        error_BM = ((gain_BMR.var(2, correction=0) + slate_B1.square()) / self._futures).sqrt()
        return gain_BMR.mean(2) - self.caution * error_BM * (gain_BMR != 0).any(2)

    def _play_out(self, session: Session, slate_BMK: Tensor, offer: Offer) -> Tensor:
        """Return of showing each slate and the base policy's thereafter, in every future."""
        B, M, K = slate_BMK.shape
        R = self._futures
        future_R = torch.arange(R, dtype=torch.int32, device=session.step.device)
        # the same futures for every slate: differences are not drowned by luck
        future = map_tensors(lambda x: x.repeat_interleave(M * R, 0), session)
        future = replace(
            future, key=luck.key(future.key ^ AHEAD, future_R.repeat(B * M), future.step)
        )
        offer = map_tensors(lambda x: x.repeat_interleave(M * R, 0), offer)
        slate_LK = slate_BMK.view(B * M, K).repeat_interleave(R, 0)
        earned_L = torch.zeros(B * M * R, device=session.step.device)
        going_L = torch.ones_like(earned_L)
        for step in range(self.depth):
            if step:
                offer = self._later(future, offer)
                slate_LK = self._capped(offer.worth, offer, self.base_cap)
            future, outcome = engine.transition(self._bare, future, slate_LK)
            earned_L += going_L * outcome.expected_reward
            going_L = going_L * ~(outcome.left | outcome.cut)
        return earned_L.view(B, M, R)

    def _capped(self, worth_BP: Tensor, offer: Offer, cap: int) -> Tensor:
        slot_BK = capped_slate(worth_BP, offer.topic, self.world.slate_size, cap)
        return offer.position.gather(1, slot_BK.long()).int()

    def _candidates(self, offer: Offer) -> tuple[Tensor, Tensor]:
        """Slates to try, the base policy's first, (B, M, K); whether all may be shown, (B, M)."""
        K, (B, P) = self.world.slate_size, offer.worth.shape
        allowed_BP = offer.worth > FORBIDDEN / 2
        base_B1K = self._capped(offer.worth, offer, self.base_cap)[:, None]
        base_B1 = torch.ones_like(base_B1K[..., 0], dtype=torch.bool)
        if self._tries_all:
            every = torch.tensor(list(combinations(range(P), K)), device=offer.worth.device)
            worth_BMK = offer.worth[:, every]
            best_first_BMK = worth_BMK.argsort(dim=2, descending=True, stable=True)
            slot_BMK = every.expand(B, -1, -1).gather(2, best_first_BMK)
            position_BMK = offer.position[:, None].expand(-1, len(every), -1).gather(2, slot_BMK)
            whole_BM = allowed_BP[:, every].all(2)
            return torch.cat([base_B1K, position_BMK.int()], 1), torch.cat([base_B1, whole_BM], 1)
        rank_BP = offer.worth.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        score_BP = torch.where(allowed_BP, -rank_BP.float(), FORBIDDEN)
        slates = [self._capped(score_BP, offer, cap or K) for cap in CAPS]
        for topic_B in self._best_topics(score_BP, offer.topic).unbind(1):
            last_BP = score_BP - P * (offer.topic == topic_B[:, None])
            slates.append(self._capped(last_BP, offer, self.base_cap))
        slate_BMK = torch.cat([base_B1K, torch.stack(slates, 1)], 1)
        return slate_BMK, base_B1.expand(-1, slate_BMK.shape[1])

    def _best_topics(self, score_BP: Tensor, topic_BP: Tensor) -> Tensor:
        """The topics of the best items, best first, (B, few)."""
        shape = (len(score_BP), self.world.catalogue.num_topics)
        best_BG = score_BP.new_full(shape, 2 * FORBIDDEN)
        best_BG = best_BG.scatter_reduce(1, topic_BP, score_BP, "amax")
        return best_BG.topk(self._num_rested, dim=1).indices

    def _offer(self, session: Session) -> Offer:
        """What may be shown to these users; of a fixed catalogue the best K of every topic."""
        seen = replace(engine.observe(self._bare, session), hidden=session)
        topic_BC, worth_BC = self._myopic.worth(seen, Luck.at(session.key, session.step))
        if seen.candidates is not None:
            every_C = torch.arange(worth_BC.shape[1], device=worth_BC.device)
            return Offer(every_C.expand_as(worth_BC), topic_BC, worth_BC, renewed=True)
        position_BP = capped_slate(
            worth_BC, topic_BC, self._num_positions, self.world.slate_size
        ).long()
        topic_BP, worth_BP = (x.gather(1, position_BP) for x in (topic_BC, worth_BC))
        return Offer(position_BP, topic_BP, worth_BP, renewed=False)

    def _later(self, session: Session, offer: Offer) -> Offer:
        """The offer at a later request: of a fixed catalogue the same items, valued anew."""
        if offer.renewed:
            return self._offer(session)
        world, items = self._bare, Items(offer.position.int(), self.world.catalogue)
        now, allowed_BC = (
            Luck.at(session.key, session.step),
            world.candidates.allowed(session.offer),
        )
        appeal_BP = world.users.appeal(session.user, items, session.context)
        _, mean_BPM = world.users.respond(session.user, items, session.context, now)
        value_BP = (mean_BPM * mean_BPM.new_tensor(world.objective)).sum(2).expand_as(appeal_BP)
        allowed_BP = None if allowed_BC is None else allowed_BC.gather(1, offer.position)
        return replace(offer, worth=self._myopic.rank(appeal_BP, value_BP, allowed_BP))

    @property
    def _futures(self) -> int:
        """Rollouts per slate; what one slate earns is known without."""
        return self.rollouts if self.depth > 1 else 1

    @property
    def _tries_all(self) -> bool:
        return comb(self.world.num_candidates, self.world.slate_size) <= self.all_up_to

    @property
    def _num_positions(self) -> int:
        """P where positions mean the same at every request."""
        C, G = self.world.num_candidates, self.world.catalogue.num_topics
        return C if self._tries_all else min(C, G * self.world.slate_size)

    @property
    def _num_rested(self) -> int:
        return min(RESTED, self.world.catalogue.num_topics)

    @property
    def _num_candidates(self) -> int:
        """M."""
        if self._tries_all:
            return 1 + comb(self.world.num_candidates, self.world.slate_size)
        return 1 + len(CAPS) + self._num_rested

    @cached_property
    def _bare(self) -> World:
        """The world without what only agents look at."""
        return replace(self.world, observer=None, history_size=0)

    @cached_property
    def _myopic(self) -> Myopic:
        return Myopic(self.world)


@dataclass(frozen=True)
class Offer:
    """P candidates of each user and how good they are for one request."""

    position: Tensor  # (B, P) int64
    topic: Tensor  # (B, P) int64
    worth: Tensor  # (B, P) float32, see Myopic.worth; FORBIDDEN where it may not be shown
    renewed: bool  # whether positions mean other items at the next request
