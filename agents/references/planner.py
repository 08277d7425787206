"""A reference that looks ahead: it plays candidate slates out in the true world and shows the best.

A rollout policy: of some candidate slates, show the one after which a base policy earns most, by
simulation. The base is the best of a few simple rules that are told the truth as well: the myopic
slate, with a cap per topic or without, passing over topics about to bore or not. As the candidates
hold the base's own slate this is, up to the noise of the simulation, at least as good as the best
of those rules; it is an upper reference, not the optimum.

It knows the user's hidden state and the world's rules, but not what will happen: rollouts have
luck of their own, never the luck that the session is about to meet. Where a fitted model plays the
people, their tastes are held still while it looks ahead (`UserModel.still`): what is assumed of
them goes on, and a step costs little.

Source: Bertsekas, Tsitsiklis and Wu 1997, doi:10.1023/A:1009635226865, section 2 (rollout
algorithms); Tesauro and Galperin 1996, "On-line policy improvement using Monte-Carlo search";
Karnin, Koren and Somekh 2013, "Almost optimal exploration in multi-armed bandits" (futures are
spent on the slates that look best, halving).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import comb
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.slates.top import FORBIDDEN, capped_slate, top_slate
from slategym.agents.types import Action
from slategym.envs import engine, luck
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.trees import map_tensors
from slategym.envs.types import History, Items, Observation, Session, World

AHEAD = purpose("planner.ahead")
CAPS = (None, 3, 2, 1)  # items of a topic in a rule's slates
AVOIDED = (0.0, 2.0, 8.0)  # log-odds by which topics about to bore are played down
RESTED = 3  # of the best topics, each of which one candidate slate leaves out
FOCUSED = 3  # of the best topics, each of which one candidate slate is made of
FINALISTS = 4  # candidate slates on which most futures are spent, besides the base's
FIRST_LOOK = 4  # of the futures, one in so many is spent on every candidate, and at least one
TRIED = 64  # users on whom the base is chosen
SURE = 2.0  # standard errors by which a rule must be ahead of the slate of the moment
LUCK = 1_009  # seed of what happens to them


@dataclass(frozen=True)
class Rule:
    """A base policy: the best slate of the moment, with a cap and topics played down."""

    cap: int | None  # items of a topic; None: no cap
    avoid: float  # log-odds

    def __str__(self) -> str:
        cap = "no cap" if self.cap is None else f"at most {self.cap} of a topic"
        return cap + (f", topics about to bore less {self.avoid:g}" if self.avoid else "")


@dataclass(frozen=True)
class Planner:
    """The candidate slate with the best mean return over simulated futures."""

    world: World
    depth: int = 8  # slates looked ahead, this one included
    rollouts: int = 8  # futures per candidate slate
    caution: float = 1.0  # standard errors by which a gain on the base policy must stand out, >= 0
    base: Rule | None = None  # of the slates that follow; None: the best of `rules_of`, by trial
    still: bool = True  # hold tastes still while looking ahead, where the users' model can
    all_up_to: int = 128  # where there are no more slates than this, each is a candidate
    batch: int = 4096  # rollouts side by side; bounds memory, changes no result
    privileged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        lowest = {"depth": 1, "rollouts": 1, "batch": 1, "caution": 0}
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
            past=None,
            history=History(nobody.id[:, :0], nobody.feedback[:, :0], nobody.age[:, :0]),
        )
        size = max(1, self.batch // (self._num_candidates * self._first_futures))
        parts = []
        for begin in range(0, len(session.step), size):
            rows = slice(begin, begin + size)
            parts.append(self._plan(map_tensors(lambda x, rows=rows: x[rows], session)))
        return Action(torch.cat(parts))

    def _plan(self, session: Session) -> Tensor:
        """The best of the candidate slates of these users, (B, K) int32."""
        world, session = self._ahead(session)
        offer = self._offer(world, session)
        slate_BMK, whole_BM = self._candidates(offer)
        first = self._first_futures
        return_BMR = self._play_out(world, session, slate_BMK, offer, range(first))
        gain_BM = self._sure_gain(return_BMR).masked_fill(~whole_BM, FORBIDDEN)
        if first == self._futures or slate_BMK.shape[1] <= FINALISTS + 1:
            return _at(slate_BMK, gain_BM.argmax(1))
        gain_BM[:, 0] = -FORBIDDEN  # the base's own slate always stays, in front
        final_BF = gain_BM.topk(FINALISTS + 1, dim=1).indices
        slate_BFK = slate_BMK.gather(1, final_BF[..., None].expand(-1, -1, slate_BMK.shape[2]))
        whole_BF = whole_BM.gather(1, final_BF)
        more_BFR = self._play_out(world, session, slate_BFK, offer, range(first, self._futures))
        seen_BFR = return_BMR.gather(1, final_BF[..., None].expand(-1, -1, first))
        gain_BF = self._sure_gain(torch.cat([seen_BFR, more_BFR], 2))
        return _at(slate_BFK, gain_BF.masked_fill(~whole_BF, FORBIDDEN).argmax(1))

    def _ahead(self, session: Session) -> tuple[World, Session]:
        """The world and the sessions in which futures are played out."""
        world, users = self._bare, None
        if self.still:
            now = Luck.at(session.key, session.step)
            users = world.users.still(session.user, world.catalogue, session.context, now)
        if users is None:
            return world, session
        return replace(world, users=users[0]), replace(session, user=users[1])

    def _sure_gain(self, return_BMR: Tensor) -> Tensor:
        """What each slate gains on the base policy's own, less its error, (B, M).

        Gains are taken future by future. A mishap that is rare may be in none of few futures, so
        before any is seen a gain is taken to vary by what a slate earns.
        """
        gain_BMR = return_BMR - return_BMR[:, :1]
        if self.depth == 1:
            return gain_BMR.mean(2)  # expected rewards: nothing is left to luck
        slate_B1 = return_BMR[:, :1].mean(2) / self.depth
        number = return_BMR.shape[2]
        error_BM = ((gain_BMR.var(2, correction=0) + slate_B1.square()) / number).sqrt()
        return gain_BMR.mean(2) - self.caution * error_BM * (gain_BMR != 0).any(2)

    def _play_out(
        self, world: World, session: Session, slate_BMK: Tensor, offer: Offer, futures: range
    ) -> Tensor:
        """Return of showing each slate and the base policy's thereafter, in these futures."""
        B, M, K = slate_BMK.shape
        R = len(futures)
        future_R = torch.tensor(futures, dtype=torch.int32, device=session.step.device)
        # the same futures for every slate: differences are not drowned by luck
        future = map_tensors(lambda x: x.repeat_interleave(M * R, 0), session)
        future = replace(
            future, key=luck.key(future.key ^ AHEAD, future_R.repeat(B * M), future.step)
        )
        offer = map_tensors(lambda x: x.repeat_interleave(M * R, 0), offer)
        slate_LK = slate_BMK.reshape(B * M, K).repeat_interleave(R, 0)
        earned_L = torch.zeros(B * M * R, device=session.step.device)
        going_L = torch.ones_like(earned_L)
        for step in range(self.depth):
            if step:
                offer = self._later(world, future, offer)
                slate_LK = self._slate(offer, self._base)
            future, outcome = engine.transition(world, future, slate_LK)
            earned_L += going_L * outcome.expected_reward
            going_L = going_L * ~(outcome.left | outcome.cut)
        return earned_L.view(B, M, R)

    def _slate(self, offer: Offer, rule: Rule) -> Tensor:
        """What a rule shows of the offer, (B, K) int32 positions."""
        appeal_BP = offer.appeal
        if rule.avoid and offer.tired is not None:
            appeal_BP = appeal_BP - rule.avoid * offer.tired.float().gather(1, offer.topic)
        worth_BP = self._myopic.rank(appeal_BP, offer.value, offer.allowed)
        return self._best(worth_BP, offer, rule.cap)

    def _best(self, worth_BP: Tensor, offer: Offer, cap: int | None) -> Tensor:
        K = self.world.slate_size
        if cap is None or cap >= K:
            slot_BK = top_slate(worth_BP, K)
        else:
            slot_BK = capped_slate(worth_BP, offer.topic, K, cap)
        return offer.position.gather(1, slot_BK.long()).int()

    def _candidates(self, offer: Offer) -> tuple[Tensor, Tensor]:
        """Slates to try, the base policy's first, (B, M, K); whether all may be shown, (B, M)."""
        K, (B, P) = self.world.slate_size, offer.appeal.shape
        base_B1K = self._slate(offer, self._base)[:, None]
        base_B1 = torch.ones_like(base_B1K[..., 0], dtype=torch.bool)
        worth_BP = self._myopic.rank(offer.appeal, offer.value, offer.allowed)
        allowed_BP = worth_BP > FORBIDDEN / 2
        if self._tries_all:
            every = torch.tensor(list(combinations(range(P), K)), device=worth_BP.device)
            worth_BMK = worth_BP[:, every]
            best_first_BMK = worth_BMK.argsort(dim=2, descending=True, stable=True)
            slot_BMK = every.expand(B, -1, -1).gather(2, best_first_BMK)
            position_BMK = offer.position[:, None].expand(-1, len(every), -1).gather(2, slot_BMK)
            whole_BM = allowed_BP[:, every].all(2)
            return torch.cat([base_B1K, position_BMK.int()], 1), torch.cat([base_B1, whole_BM], 1)
        slates = [self._slate(offer, rule) for rule in self.rules if rule != self._base]
        rank_BP = worth_BP.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        score_BP = torch.where(allowed_BP, -rank_BP.float(), FORBIDDEN)
        best_BT = self._best_topics(score_BP, offer.topic)
        for topic_B in best_BT[:, : self._num_rested].unbind(1):
            last_BP = score_BP - P * (offer.topic == topic_B[:, None])
            slates.append(self._best(last_BP, offer, self._base.cap))
        for topic_B in best_BT[:, : self._num_focused].unbind(1):
            first_BP = score_BP + P * ((offer.topic == topic_B[:, None]) & allowed_BP)
            slates.append(self._best(first_BP, offer, None))
        slate_BMK = torch.stack([base_B1K[:, 0], *slates], 1)
        return slate_BMK, base_B1.expand(-1, slate_BMK.shape[1])

    def _best_topics(self, score_BP: Tensor, topic_BP: Tensor) -> Tensor:
        """The topics of the best items, best first, (B, few)."""
        G = self.world.catalogue.num_topics
        best_BG = score_BP.new_full((len(score_BP), G), 2 * FORBIDDEN)
        best_BG = best_BG.scatter_reduce(1, topic_BP, score_BP, "amax")
        return best_BG.topk(min(G, max(RESTED, FOCUSED)), dim=1).indices

    def _offer(self, world: World, session: Session) -> Offer:
        """What may be shown to these users; of a fixed catalogue the best K of every topic."""
        now = Luck.at(session.key, session.step)
        seen = replace(engine.observe(world, session), hidden=session)
        topic_BC, appeal_BC, value_BC = replace(self._myopic, world=world).truth(seen, now)
        every_C = torch.arange(appeal_BC.shape[1], device=appeal_BC.device)
        offer = Offer(
            every_C.expand_as(appeal_BC),
            topic_BC,
            appeal_BC,
            value_BC,
            seen.allowed,
            world.users.about_to_bore(session.user),
            renewed=seen.candidates is not None,
        )
        if offer.renewed:
            return offer
        worth_BC = self._myopic.rank(appeal_BC, value_BC, seen.allowed)
        # best K of every topic: in a slate with a cap of one and K topics, or all of one topic
        position_BP = capped_slate(
            worth_BC, topic_BC, self._num_positions, self.world.slate_size
        ).long()
        few = {
            name: getattr(offer, name).gather(1, position_BP)
            for name in ("topic", "appeal", "value")
        }
        allowed_BP = None if seen.allowed is None else seen.allowed.gather(1, position_BP)
        return replace(offer, position=position_BP, allowed=allowed_BP, **few)

    def _later(self, world: World, session: Session, offer: Offer) -> Offer:
        """The offer at a later request: of a fixed catalogue the same items, valued anew."""
        if offer.renewed:
            return self._offer(world, session)
        items = Items(offer.position.int(), world.catalogue)
        now = Luck.at(session.key, session.step)
        allowed_BC = world.candidates.allowed(session.offer)
        users, user = world.users, session.user
        appeal_BP = users.appeal(user, items, session.context)
        value_BP = offer.value
        if not self._tastes_are_still(world):
            _, mean_BPM = users.respond(user, items, session.context, now)
            value_BP = (mean_BPM * mean_BPM.new_tensor(world.objective)).sum(2).expand_as(appeal_BP)
        return replace(
            offer,
            appeal=appeal_BP,
            value=value_BP,
            allowed=None if allowed_BC is None else allowed_BC.gather(1, offer.position),
            tired=users.about_to_bore(user) if self._base.avoid else None,
        )

    def _tastes_are_still(self, world: World) -> bool:
        return world.users is not self._bare.users

    @property
    def _futures(self) -> int:
        """Rollouts per slate; what one slate earns is known without."""
        return self.rollouts if self.depth > 1 else 1

    @property
    def _first_futures(self) -> int:
        """Of them, those in which every candidate is tried."""
        return self._futures if self._tries_all else max(1, self._futures // FIRST_LOOK)

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
    def _num_focused(self) -> int:
        return min(FOCUSED, self.world.catalogue.num_topics)

    @property
    def _num_candidates(self) -> int:
        """M."""
        if self._tries_all:
            return 1 + comb(self.world.num_candidates, self.world.slate_size)
        others = sum(rule != self._base for rule in self.rules)
        return 1 + others + self._num_rested + self._num_focused

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The simple rules of this world."""
        return rules_of(self.world)

    @cached_property
    def _base(self) -> Rule:
        return best_rule(self.world) if self.base is None else self.base

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
    appeal: Tensor  # (B, P) float32, log-odds
    value: Tensor  # (B, P) float32, mean reward of a click
    allowed: Tensor | None  # (B, P) bool
    tired: Tensor | None  # (B, G) bool, topics that bore or are about to
    renewed: bool  # whether positions mean other items at the next request


def rules_of(world: World) -> tuple[Rule, ...]:
    """Simple rules that are told the truth: caps below the slate's size, topics passed over."""
    row_1 = torch.zeros(1, dtype=torch.int32, device=world.device)
    session = engine.start(world, row_1, row_1, row_1)
    bores = world.users.about_to_bore(session.user) is not None
    many = world.catalogue.num_topics > 1
    caps = [cap for cap in CAPS if cap is None or (cap < world.slate_size and many)]
    avoided = AVOIDED if bores else AVOIDED[:1]
    return tuple(Rule(cap, avoid) for cap in caps for avoid in avoided)


def best_rule(world: World) -> Rule:
    """The rule that earns most on people and luck of their own.

    One beside the plain slate of the moment is taken only if it is ahead by `SURE` standard errors,
    user by user: among a dozen rules that do not matter, one is ahead by luck.
    """
    where = world.selection() if world.selection is not None else world
    size = where.population.size
    user_B = torch.arange(max(0, size - TRIED), size, dtype=torch.int32, device=where.device)

    def returns(rule: Rule) -> Tensor:
        return earned(where, Myopic(where, rule.cap, avoid=rule.avoid), user_B, LUCK)

    plain, *others = rules_of(world)
    plain_B, best, most = returns(plain), plain, 0.0
    for rule in others:
        gain_B = returns(rule) - plain_B
        gain = float(gain_B.mean())
        if gain > max(most, SURE * float(gain_B.std()) / len(gain_B) ** 0.5):
            best, most = rule, gain
    return best


def _at(slate_BMK: Tensor, best_B: Tensor) -> Tensor:
    """One slate of each user, (B, K)."""
    return slate_BMK[torch.arange(len(best_B), device=best_B.device), best_B]
