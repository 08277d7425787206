"""What every user saw at each request, what it was shown and what came of it, to learn from again.

A ring of rounds. The request after round t is round t + 1 of the same row, so nothing is kept
twice; where a session ended in between, its successor is of no account and `ended` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.agents.core.tree import leaves
from slategym.envs.luck import Luck, purpose
from slategym.envs.trees import map_tensors

DRAW = purpose("slate_replay.draw")


@dataclass(frozen=True)
class Scene:
    """Requests as networks see them. B of every seed."""

    x: Tensor  # (S, B, X) float32, see agents/core/inputs.py
    candidate: Tensor | None  # (S, B, C) int32 item ids; None: a position is an item id
    allowed: Tensor | None  # (S, B, C) bool; None: all
    odds: Tensor | None  # (S, B, C) float32, of a click, where the choice model is given


@dataclass(frozen=True)
class Shown:
    """A slate and what came of it."""

    scene: Scene
    slate: Tensor  # (S, B, K) int64 positions
    slot: Tensor  # (S, B) int64, the slot clicked; K: none
    reward: Tensor  # (S, B) float32
    ended: Tensor  # (S, B) bool, the session, whether left or cut


@dataclass(frozen=True)
class SlateReplay:
    """The last rounds. `put` writes in place."""

    kept: Shown  # every tensor (S, T, B, ...)

    @staticmethod
    def like(shown: Shown, num_rounds: int, most_bytes: int) -> SlateReplay:
        """Room for as many rounds as wanted and as fit.

        Args:
            shown: any one round, for shapes.
            num_rounds: wanted.
            most_bytes: for each seed.
        """
        parts = leaves(shown).values()
        num_bytes = sum(x[0].numel() * x.element_size() for x in parts)
        T = max(2, min(num_rounds, most_bytes // num_bytes))
        return SlateReplay(map_tensors(lambda x: x.new_zeros(x.shape[0], T, *x.shape[1:]), shown))

    @property
    def num_rounds(self) -> int:
        """T."""
        return self.kept.reward.shape[1]

    def put(self, at: int, shown: Shown) -> None:
        """Keep round number `at`, in place of the oldest if there is no room."""

        def write(ring: Tensor, x: Tensor) -> Tensor:
            ring[:, at % self.num_rounds] = x
            return ring

        map_tensors(write, self.kept, shown)

    def draw(self, newest: int, luck_S: Luck, num: int) -> tuple[Shown, Shown]:
        """Rounds and those that followed them, uniform over sessions and all rounds but the newest.

        Args:
            newest: number of the round that was put last, at least 1.
            luck_S: one stream per seed.
            num: of each seed.

        Returns:
            Each (S, num, ...).
        """
        T, B = self.kept.reward.shape[1:]
        pairs = min(newest, T - 1) * B
        drawn_Sn = luck_S.integers(DRAW, num, pairs).long()
        round_Sn, lane_Sn = newest - 1 - drawn_Sn // B, drawn_Sn % B
        S = len(drawn_Sn)
        seed_S1 = torch.arange(S, device=drawn_Sn.device)[:, None]
        row_2Sn = seed_S1 * T * B + torch.stack([round_Sn, round_Sn + 1]) % T * B + lane_Sn
        row_X = row_2Sn.flatten()

        def pick(ring: Tensor) -> Tensor:
            return ring.flatten(0, 2).index_select(0, row_X).view(2, S, num, *ring.shape[3:])

        both = map_tensors(pick, self.kept)
        now, after = (map_tensors(lambda x, i=i: x[i], both) for i in (0, 1))
        return now, after
