"""Effects of slates on people, each a small final class with a state of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.scenarios.effect import Effect
from slategym.envs.scenarios.look import Look, Score
from slategym.envs.types import Arrival

NEED, SKILL, AMOUNT = (purpose(f"scenario.{name}") for name in ("need", "skill", "amount"))


def _nothing(luck: Luck, width: int) -> Tensor:
    """Zeros, (B, width) float32."""
    return luck.stream.new_zeros((len(luck.stream), width), dtype=torch.float32)


@dataclass(frozen=True)
class Satiation(Effect[Tensor]):
    """Topics tire, by clicks or by being shown at all; rest makes up for it.

    fatigue <- keep * fatigue + per_click * clicks + per_shown * slots, (B, G) log-odds, of which
    appeal loses all and worth a share.
    """

    per_click: float  # log-odds
    per_shown: float = 0.0  # log-odds
    keep: float = 0.95  # of fatigue, from slate to slate
    recovery: float = 1.0  # days in which fatigue falls to 1/e
    worth_share: float = 0.0
    annoyance: float = 0.0  # loyalty lost per log-odds of fatigue, mean over topics
    enough: float = 1.5  # log-odds from which a topic is said to tire

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Nothing tires."""
        return _nothing(luck, num_topics)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """What fatigue takes, (B, K)."""
        return -look.of_topic(state)

    def worth(self, state: Tensor, look: Look) -> Tensor | None:
        """The share of it, (B, K)."""
        return -self.worth_share * look.of_topic(state) if self.worth_share else None

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above."""
        more_BK = self.per_click * feedback_BKM[..., 0]
        if self.per_shown:
            more_BK = more_BK + self.per_shown * look.first_BK
        return self.keep * state + look.by_topic(more_BK)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """Fatigue falls."""
        return state * (-days_B / self.recovery).exp()[:, None]

    def loyalty(self, state: Tensor) -> Tensor | None:
        """Annoyance, (B,)."""
        return -self.annoyance * state.mean(1) if self.annoyance else None

    def tired(self, state: Tensor) -> Tensor:
        """Where one more click makes it enough, (B, G)."""
        return state + self.per_click >= self.enough

    def at(self, strength: float) -> Satiation:
        """Clicks and slots tire by so much."""
        return replace(
            self, per_click=strength * self.per_click, per_shown=strength * self.per_shown
        )


@dataclass(frozen=True)
class Habit(Effect[Tensor]):
    """What one has had, one wants more of: a click on a topic adds its `gain`, up to `most`.

    gained <- gained + gain * (1 - gained / most) * clicks, (B, G) log-odds of appeal.
    """

    gain: tuple[float, ...]  # (G,) log-odds per click
    most: float  # log-odds
    worth_share: float = 0.0  # of what is gained, added to worth
    loyalty_share: float = 0.0  # loyalty per log-odds, of the topic that has gained most

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Nothing gained."""
        return _nothing(luck, num_topics)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """What the topic has gained, (B, K)."""
        return look.of_topic(state)

    def worth(self, state: Tensor, look: Look) -> Tensor | None:
        """The share of it, (B, K)."""
        return self.worth_share * look.of_topic(state) if self.worth_share else None

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above."""
        clicks_BG = look.by_topic(feedback_BKM[..., 0])
        gain_G = constant(self.gain, state)
        return (state + gain_G * (1.0 - state / self.most) * clicks_BG).clamp(max=self.most)

    def loyalty(self, state: Tensor) -> Tensor | None:
        """Of the strongest habit, (B,)."""
        return self.loyalty_share * state.amax(1) if self.loyalty_share else None

    def at(self, strength: float) -> Habit:
        """Clicks add by so much."""
        return replace(self, gain=tuple(strength * gain for gain in self.gain))


@dataclass(frozen=True)
class Familiarity(Effect[Tensor]):
    """Items that one knows: plays among the last clicks please up to a number, then they wear out.

    appeal + lift * min(plays, best) - wear * max(plays - best, 0), plays among the last `memory`
    clicks.
    """

    lift: float  # log-odds per play
    wear: float  # log-odds per play too many
    best: int = 2  # plays
    memory: int = 12  # clicks
    strength: float = 1.0

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Nothing is known: -1, (B, memory) int32, newest last."""
        return luck.stream.new_full((len(luck.stream), self.memory), -1)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """As above, (B, K)."""
        plays_BK = (look.items.id[:, :, None] == state[:, None, :]).sum(2)
        many_BK = (plays_BK - self.best).clamp(min=0)
        return self.strength * (self.lift * plays_BK.clamp(max=self.best) - self.wear * many_BK)

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """The last clicks, newest last."""
        click_BK = feedback_BKM[..., 0] > 0
        order_BK = (~click_BK).int().argsort(dim=1, stable=True)
        both = torch.cat([state, look.items.id.gather(1, order_BK)], 1)
        place_R = torch.arange(self.memory, device=state.device)
        return both.gather(1, place_R + click_BK.sum(1, keepdim=True))

    def at(self, strength: float) -> Familiarity:
        """Plays matter by so much."""
        return replace(self, strength=strength * self.strength)


@dataclass(frozen=True)
class Trust(Effect[Tensor]):
    """How the service is thought of, in [-1, 1]: it follows what clicks were worth.

    After a slate with a click, trust <- inertia * trust + (1 - inertia) * mean of tanh(score +
    signals), over what was clicked, or over all that was shown.
    """

    score: Score
    inertia: float  # per slate
    appeal_weight: float = 0.0  # log-odds per unit of trust
    worth_weight: float = 0.0  # log-odds of worth per unit
    loyalty_weight: float = 1.0
    quality: float = 1.0  # of the item, in its worth for this purpose
    liking: float = 0.0  # of its topic
    signals: tuple[tuple[int, float], ...] = ()  # number of a signal, weight of its value
    shown: bool = False  # whether what is shown counts, clicked or not
    strength: float = 1.0

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Neither good nor bad, (B, 1)."""
        return _nothing(luck, 1)

    def appeal(self, state: Tensor, look: Look) -> Tensor | None:
        """The same for all items, (B, 1)."""
        return self.strength * self.appeal_weight * state if self.appeal_weight else None

    def worth(self, state: Tensor, look: Look) -> Tensor | None:
        """The same for all items, (B, 1)."""
        return self.strength * self.worth_weight * state if self.worth_weight else None

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above."""
        own_BK = self.quality * look.items.quality + self.liking * look.liking_BK
        thought_BK = self.score(own_BK, look)
        for m, weight in self.signals:
            thought_BK = thought_BK + weight * feedback_BKM[..., m]
        counts_BK = look.first_BK.float() if self.shown else feedback_BKM[..., 0]
        number_B1 = counts_BK.sum(1, keepdim=True)
        mean_B1 = (counts_BK * thought_BK.tanh()).sum(1, keepdim=True) / number_B1.clamp(min=1.0)
        moved_B1 = self.inertia * state + (1.0 - self.inertia) * mean_B1
        return torch.where(number_B1 > 0, moved_B1, state)

    def loyalty(self, state: Tensor) -> Tensor:
        """As trust has it, (B,)."""
        return self.strength * self.loyalty_weight * state[:, 0]

    def at(self, strength: float) -> Trust:
        """Trust matters by so much."""
        return replace(self, strength=strength * self.strength)


@dataclass(frozen=True)
class Needs(Effect[Tensor]):
    """What one came for, by topic, in [0, 1]: it ends with a purchase, and others follow.

    need <- need * (1 - met) + met @ follows, where met is 1 for topics in which the signal came.
    """

    lift: float  # log-odds of appeal that a whole need adds
    worth_lift: float  # log-odds of worth that it adds
    signal: int  # that meets a need
    likely: tuple[float, ...]  # (G,) chance that one arrives with the need of each topic
    follows: tuple[tuple[int, int, float], ...] = ()  # topic met, topic that follows, need
    renewal: float = 30.0  # days in which needs become what they were on arrival, to 1/e
    strength: float = 1.0

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Needs now and needs on arrival, (B, 2 G)."""
        draw_BG = luck.uniform(NEED, num_topics)
        need_BG = (draw_BG < constant(self.likely, draw_BG)).float()
        return torch.cat([need_BG, need_BG], 1)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """Of the topic's need, (B, K)."""
        return self.lift * look.of_topic(state[:, : look.num_topics])

    def worth(self, state: Tensor, look: Look) -> Tensor:
        """Of the topic's need, (B, K)."""
        return self.worth_lift * look.of_topic(state[:, : look.num_topics])

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above."""
        G = look.num_topics
        met_BG = self.strength * look.by_topic(feedback_BKM[..., self.signal]).clamp(max=1.0)
        table = [[0.0] * G for _ in range(G)]
        for topic, other, need in self.follows:
            table[topic][other] = need
        need_BG = state[:, :G] * (1.0 - met_BG).clamp(min=0.0) + met_BG @ constant(
            tuple(map(tuple, table)), state
        )
        return torch.cat([need_BG.clamp(max=1.0), state[:, G:]], 1)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """Needs come back, and what followed fades."""
        now_BG, first_BG = state.chunk(2, 1)
        kept_B1 = (-days_B / self.renewal).exp()[:, None]
        return torch.cat([first_BG + kept_B1 * (now_BG - first_BG), first_BG], 1)

    def at(self, strength: float) -> Needs:
        """Purchases meet and make needs by so much."""
        return replace(self, strength=strength * self.strength)


@dataclass(frozen=True)
class Mastery(Effect[Tensor]):
    """Skill by topic, in [0, 1]: what is just within reach teaches; some topics come before others.

    fit = exp(-((difficulty - skill) / reach)^2); skill <- skill + gain * fit * (1 - skill) per
    click. A topic whose prerequisite is below `enough` is locked by `lock` log-odds per unit that
    is missing. Skill above difficulty adds `slope` log-odds of worth per unit.
    """

    gain: float  # of what is missing, per click at best
    reach: float  # of difficulty
    slope: float  # log-odds of worth
    lift: float = 1.0  # log-odds of appeal at a fit of 1
    lock: float = 0.0  # log-odds, of appeal and worth
    enough: float = 0.5  # skill
    before: tuple[tuple[int, int], ...] = ()  # topic, the topic that comes before it
    first: float = 0.3  # skill on arrival, at most; uniform from 0
    forgetting: float = 0.0  # share of skill that is lost per day away
    column: str = "difficulty"  # of the items, in [0, 1]
    anew: bool = False  # whether every visit begins as the first did

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Uniform up to `first`, (B, G)."""
        return self.first * luck.uniform(SKILL, num_topics)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """What is within reach is wanted, what is locked is not, (B, K)."""
        return self.lift * self._fit(state, look) - self._locked(state, look)

    def worth(self, state: Tensor, look: Look) -> Tensor:
        """Skill above difficulty, (B, K)."""
        above_BK = look.of_topic(state) - look.column(self.column)
        return self.slope * above_BK - self._locked(state, look)

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above; what is locked teaches nothing."""
        open_BK = (-self._locked(state, look)).exp()
        taught_BG = look.by_topic(feedback_BKM[..., 0] * self._fit(state, look) * open_BK)
        return state + (1.0 - state) * (self.gain * taught_BG).clamp(max=1.0)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """Forget."""
        if self.anew:
            anew_BG = self.first * luck.uniform(SKILL, state.shape[1])
            return torch.where(days_B[:, None] > 0, anew_BG, state)
        return state * (-self.forgetting * days_B).exp()[:, None]

    def at(self, strength: float) -> Mastery:
        """Clicks teach by so much."""
        return replace(self, gain=strength * self.gain)

    def _fit(self, state: Tensor, look: Look) -> Tensor:
        far_BK = (look.column(self.column) - look.of_topic(state)) / self.reach
        return (-far_BK.square()).exp()

    def _locked(self, state: Tensor, look: Look) -> Tensor:
        """Log-odds that a missing prerequisite takes, (B, K) >= 0."""
        G, comes_before = look.num_topics, dict(self.before)
        first_G = constant(tuple(comes_before.get(g, g) for g in range(G)), state, torch.int64)
        needs_G = constant(tuple(float(g in comes_before) for g in range(G)), state)
        missing_BG = (self.enough - state[:, first_G]).clamp(min=0.0) * needs_G
        return self.lock * look.of_topic(missing_BG)


@dataclass(frozen=True)
class Budget(Effect[Tensor]):
    """Something that runs out, of the person or of each topic, and is filled up with time.

    left <- left - spent, in [0, amount]. An item for which too little is left loses `lack`
    log-odds of appeal and worth, times the share of its price that is missing.
    """

    amount: float  # in the unit of the signal, mean on arrival
    signal: int  # by which it is spent
    column: str  # of the items: what one costs, in the same unit
    lack: float  # log-odds
    spread: float = 0.5  # of amounts: uniform in [1 - spread, 1 + spread]
    refill: float = 7.0  # days in which it is full again, to 1/e
    each_topic: bool = False
    strength: float = 1.0

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """What is left and what there was, (B, 2) or (B, 2 G)."""
        u_BX = luck.uniform(AMOUNT, num_topics if self.each_topic else 1)
        full_BX = self.amount * (1.0 + self.spread * (2.0 * u_BX - 1.0))
        return torch.cat([full_BX, full_BX], 1)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """What is missing repels, (B, K)."""
        left_BX, _ = state.chunk(2, 1)
        left_BK = look.of_topic(left_BX) if self.each_topic else left_BX
        price_BK = look.column(self.column)
        return -self.lack * ((price_BK - left_BK) / price_BK.clamp(min=1e-3)).clamp(min=0.0)

    def worth(self, state: Tensor, look: Look) -> Tensor:
        """The same."""
        return self.appeal(state, look)

    def after(self, state: Tensor, look: Look, feedback_BKM: Tensor, luck: Luck) -> Tensor:
        """As above."""
        left_BX, full_BX = state.chunk(2, 1)
        spent_BK = self.strength * feedback_BKM[..., self.signal]
        spent_BX = look.by_topic(spent_BK) if self.each_topic else spent_BK.sum(1, keepdim=True)
        return torch.cat([(left_BX - spent_BX).clamp(min=0.0), full_BX], 1)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """Fill up."""
        left_BX, full_BX = state.chunk(2, 1)
        kept_B1 = (-days_B / self.refill).exp()[:, None]
        return torch.cat([full_BX + kept_B1 * (left_BX - full_BX), full_BX], 1)

    def at(self, strength: float) -> Budget:
        """What is spent is missed by so much."""
        return replace(self, strength=strength * self.strength)
