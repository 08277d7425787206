"""Users whose day decides what they want, and whose satisfaction decides when they come back."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import CLICK, Arrival, Context, Items, Signal

TASTE, MOOD, LIKE, STARS, SHARE, RETURN = (
    purpose(f"day_in_life.{n}") for n in ("taste", "mood", "like", "stars", "share", "return")
)
TOPICS = ("news", "music", "comedy", "cooking", "sport", "documentary", "games", "travel")
LOUD, AGE, LENGTH = 8, 9, 10  # columns of an item's embedding, after the topics
VISIBLE = (3, 5, 10)  # slots that phone, tablet and screen show
GONE = 7.0  # days away after which one does not come back

# log-odds by topic: at the best hour against the worst, the best hour, on a weekend
HOURLY = (0.8, 0.5, 0.6, 0.9, 0.3, 0.7, 0.5, 0.2)
BEST_HOUR = (7.5, 17.0, 20.5, 17.5, 19.0, 22.0, 21.0, 12.0)
WEEKEND = (-0.4, 0.0, 0.2, 0.4, 0.7, 0.1, 0.5, 0.4)
# log-odds by topic on phone, tablet, screen; at home, at work, on the way; when clear, rain, cold
ON_DEVICE = ((0.3, 0.4, 0.2, -0.2, 0, -0.7, 0.2, 0), (0, 0, 0, 0.4, 0, 0, 0.2, 0.2),
             (0, -0.2, 0, 0, 0.3, 0.6, -0.1, 0.1))  # fmt: skip
AT_PLACE = ((0, 0, 0.2, 0.5, 0.2, 0.4, 0.2, 0), (0.4, 0.1, -0.4, -0.4, -0.2, -0.4, -0.8, 0),
            (0.3, 0.7, 0.3, -0.3, 0, -0.8, 0.1, 0.1))  # fmt: skip
IN_WEATHER = ((0, 0, 0, -0.1, 0.3, -0.2, -0.2, 0.2), (0, 0.1, 0.1, 0.4, -0.4, 0.4, 0.3, 0),
              (0, 0, 0.2, 0.4, -0.2, 0.3, 0.2, 0.4))  # fmt: skip
FADING = (0.25, 0.02, 0.03, 0.01, 0.15, 0.01, 0.03, 0.02)  # log-odds lost per day of age
IMPATIENCE = (0.8, 1.1, 1.5)  # patience lost per slate without a click, at home, at work, under way


@dataclass(frozen=True)
class DayState:
    """What one likes, what one has had enough of, and how things stand with the service."""

    taste: Tensor  # (B, G) float32, log-odds
    fatigue: Tensor  # (B, G) float32, log-odds
    satisfaction: Tensor  # (B,) float32, in [-1, 1]
    patience: Tensor  # (B,) float32, slates
    day: Tensor  # (B,) float32, days since the first visit
    away: Tensor  # (B,) float32, days until the next request


@dataclass(frozen=True)
class DayInLife(UserModel[DayState]):
    """A visit goes on until patience is out; satisfaction decides when the next one begins.

    appeal = taste + what the hour, weekday, device, place and weather add for the topic + loudness
    of the title - age - fatigue. Slots beyond what the device shows are not seen. Liking, stars and
    the share watched follow the item's quality and the match of taste, not its loudness; so does
    satisfaction. Days away are exponential, with a rate that grows with satisfaction.

    Source: made up; every constant is in this file.
    """

    num_slots: int = 10  # K of a slate; longer lists are judged as if all were seen
    reluctance: float = 2.5  # log-odds that any item has to overcome
    patience: float = 5.0  # slates, at the beginning of a visit
    inertia: float = 0.85  # of satisfaction, per slate with a click
    minutes_per_slate: float = 3.0
    swayed: bool = True  # False: context moves nothing; every slot is seen, everywhere is home

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Click, like, stars, minutes watched, and whether one would be back within a day."""
        return (
            CLICK,
            Signal("like", "binary", "count", 0.0, 1.0),
            Signal("rating", "ordinal", "stars", 1.0, 5.0),
            Signal("dwell", "nonnegative", "minutes", 0.0, 60.0),
            Signal("return", "binary", "count", 0.0, 1.0),
        )

    def initial(self, arrival: Arrival, luck: Luck) -> DayState:
        """Tastes normal around -reluctance, nothing tired of, neither content nor discontent."""
        taste_BG = luck.normal(TASTE, len(TOPICS)) - self.reluctance
        mood_B = 0.4 * luck.uniform(MOOD, 1)[:, 0] - 0.2
        return DayState(
            taste=taste_BG,
            fatigue=torch.zeros_like(taste_BG),
            satisfaction=mood_B,
            patience=torch.full_like(mood_B, self.patience),
            day=torch.zeros_like(mood_B),
            away=torch.zeros_like(mood_B),
        )

    def appeal(self, state: DayState, items: Items, context: Context) -> Tensor:
        """As above, (B, K) log-odds; -inf where the device does not show the slot."""
        now_BG = state.taste - state.fatigue
        if self.swayed:
            now_BG = now_BG + _circumstances(context)
        embedding_BKD, topic_BK = items.embedding, items.topic.long()
        age_BK = embedding_BKD[..., AGE] + state.day[:, None]
        fading_BK = constant(FADING, state.taste)[topic_BK] * age_BK
        appeal_BK = now_BG.gather(1, topic_BK) + embedding_BKD[..., LOUD] - fading_BK.clamp(max=3.0)
        if appeal_BK.shape[1] != self.num_slots or not self.swayed:
            return appeal_BK
        slot_K = torch.arange(self.num_slots, device=appeal_BK.device)
        visible_B = constant(VISIBLE, appeal_BK, torch.int64)[context.device.long()]
        return appeal_BK.masked_fill(slot_K >= visible_B[:, None], -torch.inf)

    def respond(
        self, state: DayState, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Of the five signals, (B, K, 5)."""
        K = items.id.shape[1]
        worth_BK = self._worth(state, items)
        like_BK, star_BK = worth_BK.sigmoid(), (0.5 + worth_BK).sigmoid()
        length_BK = items.embedding[..., LENGTH]
        eager_BK = worth_BK.exp()
        back_BK = 1.0 - (-_return_rate(self._satisfied(state, worth_BK))).exp()
        one_BK = torch.ones_like(worth_BK)
        stars_BK = sum(
            (luck.uniform(STARS + n, K) < star_BK).float() for n in range(4)
        ) + torch.ones_like(worth_BK)
        share_BK = luck.uniform(SHARE, K) ** (1.0 / eager_BK)
        sample = (
            one_BK,
            (luck.uniform(LIKE, K) < like_BK).float(),
            stars_BK,
            length_BK * share_BK,
            (luck.uniform(RETURN, 1) < back_BK).float(),
        )
        mean = (
            one_BK,
            like_BK,
            1.0 + 4.0 * star_BK,
            length_BK * eager_BK / (1.0 + eager_BK),
            back_BK,
        )
        return torch.stack(sample, -1), torch.stack(mean, -1)

    def evolve(
        self, state: DayState, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> DayState:
        """Be pleased or not, tire, lose patience; and perhaps go, for so many days."""
        click_BK = feedback_BKM[..., 0]
        number_B = click_BK.sum(1)
        clicked_B = number_B > 0
        pleased_BK = self._satisfied(state, self._worth(state, items))
        mean_B = (click_BK * pleased_BK).sum(1) / number_B.clamp(min=1.0)
        satisfaction_B = torch.where(clicked_B, mean_B, state.satisfaction)
        none_BG = torch.zeros_like(state.fatigue)
        fatigue_BG = 0.9 * state.fatigue + 0.4 * none_BG.scatter_add(
            1, items.topic.long(), click_BK
        )
        place_B = context.place.long() if self.swayed else torch.zeros_like(context.place.long())
        loss_B = constant(IMPATIENCE, state.patience)[place_B]
        patience_B = state.patience - torch.where(clicked_B, 0.25, loss_B)
        goes_B = patience_B <= 0
        rate_B = _return_rate(satisfaction_B)
        days_B = -torch.log1p(-luck.uniform(RETURN, 1)[:, 0]) / rate_B
        away_B = torch.where(goes_B, days_B.clamp(0.02, 1000.0), torch.zeros_like(days_B))
        passed_B = torch.where(goes_B, away_B, self.minutes_per_slate / 1440.0)
        return DayState(
            taste=state.taste,
            fatigue=fatigue_BG * (-away_B[:, None]).exp(),
            satisfaction=satisfaction_B,
            patience=torch.where(goes_B, self.patience, patience_B),
            day=state.day + passed_B,
            away=away_B,
        )

    def leave(self, state: DayState) -> Tensor:
        """Certain once one stays away for longer than a week, (B,)."""
        return (state.away > GONE).float()

    def away(self, state: DayState) -> Tensor:
        """Days until the next request, (B,)."""
        return state.away

    def _worth(self, state: DayState, items: Items) -> Tensor:
        """Quality, and half of how much better than usual the topic suits, (B, K)."""
        liking_BK = (state.taste + self.reluctance).gather(1, items.topic.long())
        return items.quality + 0.5 * liking_BK

    def _satisfied(self, state: DayState, worth_BK: Tensor) -> Tensor:
        """Satisfaction after a click on each item, (B, K)."""
        return self.inertia * state.satisfaction[:, None] + (1 - self.inertia) * worth_BK.tanh()


def _circumstances(context: Context) -> Tensor:
    """What hour, weekday, device, place and weather add to each topic, (B, G) log-odds."""
    hour_B = context.hour
    angle_BG = (hour_B[:, None] - constant(BEST_HOUR, hour_B)) * (2.0 * pi / 24.0)
    return (
        0.5 * constant(HOURLY, hour_B) * angle_BG.cos()
        + (context.weekday >= 5)[:, None] * constant(WEEKEND, hour_B)
        + constant(ON_DEVICE, hour_B)[context.device.long()]
        + constant(AT_PLACE, hour_B)[context.place.long()]
        + constant(IN_WEATHER, hour_B)[context.weather.long()]
    )


def _return_rate(satisfaction: Tensor) -> Tensor:
    """Visits per day of someone so satisfied: from .2 to 2."""
    return 0.2 + 1.8 * (4.0 * satisfaction).sigmoid()
