"""Gymnasium's face of the engine: the vector environment; `single.py` has its B = 1 view."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from slategym.envs import engine, seating
from slategym.envs.candidates import UnseenOfMany
from slategym.envs.compiling import SELDOM, compiled
from slategym.envs.identity import identity
from slategym.envs.memory import check_users
from slategym.envs.names import UsageError, lookup
from slategym.envs.observation import (
    action_space,
    observation_space,
    show_ids,
    with_vectors,
)
from slategym.envs.registry import make_world
from slategym.envs.render import RENDER_FPS, RENDER_MODES, Film
from slategym.envs.slates import check_slates
from slategym.envs.trees import map_tensors, where
from slategym.envs.types import Observation, Outcome, Session, World

INFOS = ("feedback", "expected", "expected_reward")  # what every step tells beside the rest
MODES = {mode.name: mode for mode in AutoresetMode}
Turned = tuple[Session, Outcome, Observation, Tensor]  # (B,) bool at the end: who ended


@dataclass(frozen=True)
class Snapshot:
    """An environment at one instant."""

    session: Session
    ended: Tensor  # (B,) bool, sessions that the last step ended
    of: str  # the world's identity


class SlateVectorEnv(VectorEnv[dict[str, Any], Any, Any]):
    """B users at once.

    Observation space: a Dict; which keys there are depends on the world, see
        `slategym.envs.observation.observation_space`.
    Action space: slate (K,) positions in [0, C), best first: into the candidates, or item ids where
        the whole catalogue is on offer. A repeat, or a position that the mask forbids, is an empty
        slot.
    Reward: world.objective . feedback, summed over the slate.
    Start: row b meets users b, b + B, b + 2B, ... of the population, whatever the seed, so that
        runs can be compared user by user. reset(seed=...) starts over at user b; reset() without a
        seed goes on with the next users. reset(options={"user": n}) seats user n, or one each.
    End: terminated when the user leaves, truncated after `max_episode_steps` slates.
    Auto-reset: SAME_STEP: every row is a real response, and infos["final_obs"] holds the last
        observations of ended sessions; NEXT_STEP, which Gymnasium's vector wrappers of
        observations ask for: the step after an end ignores its action; DISABLED: call
        reset(options={"reset_mask": ended_B}) before the next step.
    Infos: feedback (B, K, M) and its mean given the hidden state, expected (B, K, M);
        expected_reward (B,).

    Arrays are the caller's own. Tensors may be views of the simulator's: do not write into them.

    Args:
        world: a World, or the id of a registered one.
        num_envs: B.
        max_episode_steps: slates after which a session is cut; None: the world's horizon.
        autoreset_mode: SAME_STEP, NEXT_STEP or DISABLED, by name or as Gymnasium's enum.
        as_tensor: True: tensors on the world's device; False: numpy arrays.
        compile: run each step as one compiled graph: 10 to 30 s once, then two to four times
            faster on CPU.
        render_mode: None, "ansi" or "rgb_array"; every user is shown, which takes its time.
    """

    def __init__(
        self,
        world: World | str,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = "SAME_STEP",
        as_tensor: bool = False,
        compile: bool = False,
        render_mode: str | None = None,
    ):
        self.world = world = cut(
            make_world(world) if isinstance(world, str) else world, max_episode_steps
        )
        check_users(world, num_envs)
        if isinstance(autoreset_mode, AutoresetMode):
            autoreset_mode = autoreset_mode.name
        self.num_envs, self.as_tensor = num_envs, as_tensor
        self.autoreset_mode = lookup("autoreset mode", autoreset_mode, MODES)
        self.metadata = {
            "autoreset_mode": self.autoreset_mode,
            "render_modes": RENDER_MODES,
            "render_fps": RENDER_FPS,
        }
        self.device = world.device
        self._plain = self.device.type == "cpu"  # where a tensor is an array without more ado
        self.render_mode = render_mode
        self._films = (
            [] if render_mode is None else [Film(world, render_mode, b) for b in range(num_envs)]
        )

        first = engine.observe(world, seating.by_seed(world, 0))
        self.single_observation_space = observation_space(world, first)
        self.single_action_space = action_space(world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._turn = turn_of(world, compile)
        # people of a log are rows of tables, of which there is little to compile
        self.start = Beginning(world, compile and world.population.history is None)
        self._session: Session | None = None
        self._shown: dict[str, Tensor] = {}  # without vectors of candidates
        self._ended_B = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        all_B = np.ones(num_envs, dtype=np.bool_)
        self._told = {f"_{name}": all_B for name in INFOS}

    @torch.no_grad()
    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Seat users: the first ones if seeded, those asked for, else the next.

        Args:
            seed: decides what happens (not who the users are): a whole number, 0 or more, of any
                size; one for all users or one each.
            options: {"reset_mask": (B,) bool} begins anew only there; {"user": n}, or one each,
                seats those rows of the population.

        Raises:
            UsageError: a seed, a mask or a user that cannot be, or another option.
            gymnasium.error.ClosedEnvironmentError: after `close`.
        """
        seating.check_open(self.closed)
        asked = seating.check_options(options, (seating.MASK, seating.USER))
        before, world = self._session, self.world
        row_R = None
        if seating.MASK in asked:
            if before is None:
                raise UsageError("reset_mask: nobody is seated yet; call reset() without it first")
            row_R = seating.mask_rows(asked[seating.MASK], self.num_envs, self.device)
        if before is None or seed is not None:
            super().reset(seed=seating.only_seed(seed))
            seed = self._draw() if seed is None else seed
            seed_B, before = seating.seed_words(seed, self.num_envs, self.device, self._draw), None
        else:
            seed_B = before.seed
        if seating.USER in asked:
            user_B = seating.users_asked(asked[seating.USER], world, self.num_envs)
            self.seat(seating.asked_for(world, before, seed_B, user_B), row_R)
        elif before is None:
            self.seat(seating.in_order(world, seed_B), row_R)
        else:
            self._seat_next(
                torch.arange(self.num_envs, device=self.device) if row_R is None else row_R
            )
        return self._faces(self._shown), {}

    @property
    def session(self) -> Session | None:
        """What goes on now, hidden state and all; None: nothing yet."""
        return self._session

    def seat(self, fresh: Session, row_R: Tensor | None = None) -> dict[str, Any]:
        """Let these sessions begin.

        Args:
            fresh: of B users.
            row_R: int64, where; None: everywhere.

        Returns:
            what everybody sees now.
        """
        shown = show_ids(self.world, engine.observe(self.world, fresh))
        if row_R is None or self._session is None:
            self._session, self._shown = fresh, shown
            self._ended_B = torch.zeros_like(self._ended_B)
        else:

            def put(old: Tensor, new: Tensor) -> Tensor:
                return old.index_copy(0, row_R, new.index_select(0, row_R))

            self._session = map_tensors(put, self._session, fresh)
            self._shown = {name: put(x, shown[name]) for name, x in self._shown.items()}
            self._ended_B = self._ended_B.index_fill(0, row_R, False)
        self._films_begin(row_R)
        return self._faces(self._shown)

    @torch.no_grad()
    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Show each user a slate.

        Args:
            actions: (B, K) integer positions, an array or a tensor on the world's device.

        Raises:
            ValueError: the slates have a wrong shape, type, device or range.
            gymnasium.error.ResetNeeded: before the first reset, and where sessions that have ended
                were not reset (DISABLED).
        """
        seating.check_open(self.closed)
        before, skipped_B = self._the_session(), self._ended_B
        if self.autoreset_mode is AutoresetMode.DISABLED:
            seating.check_going_on(skipped_B)
        slate_BK = check_slates(self.world, actions, self.num_envs)
        self._session, outcome, observation, ended_B = self._turn(before, slate_BK)
        self._shown = show_ids(self.world, observation)
        for film in self._films:
            film.record(before, slate_BK, outcome, self._session)
        told = self._told
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and bool(skipped_B.any()):
            self._seat_next(skipped_B.nonzero()[:, 0])  # these begin anew instead
            outcome = where(skipped_B, map_tensors(torch.zeros_like, outcome), outcome)
            ended_B = ended_B & ~skipped_B
            told = dict.fromkeys(told, (~skipped_B).numpy(force=True))

        infos = {
            "feedback": self._face(outcome.feedback),
            "expected": self._face(outcome.expected),
            "expected_reward": self._face(outcome.expected_reward),
            **told,
        }
        if self.autoreset_mode is AutoresetMode.SAME_STEP and bool(self._face(ended_B).any()):
            infos["final_obs"] = self._final(ended_B)
            infos["final_info"] = dict(infos)
            infos["_final_obs"] = infos["_final_info"] = self._face(ended_B)
            self._seat_next(ended_B.nonzero()[:, 0])
        self._ended_B = ended_B
        results = (outcome.reward, outcome.left, outcome.cut)
        return self._faces(self._shown), *(self._face(x) for x in results), infos

    def get_state(self) -> Snapshot:
        """Everything that moves, copied; `set_state` goes on from it exactly."""
        now = Snapshot(self._the_session(), self._ended_B, self.identity)
        return map_tensors(torch.clone, now)

    @torch.no_grad()
    def set_state(self, state: Snapshot) -> dict[str, Any]:
        """Return to a saved instant, of this environment or of an equal one.

        Returns:
            the observation at that instant.

        Raises:
            ValueError: it was saved with another number of users, or in another world.
        """
        saved = state.ended.shape[0]
        if saved != self.num_envs:
            raise ValueError(
                f"this state holds {saved} users, this environment {self.num_envs}; "
                f"make one with num_envs={saved}"
            )
        check_identity(self.world, self.identity, state.of)
        copy = map_tensors(torch.clone, state)
        self._session, self._ended_B = copy.session, copy.ended
        self._shown = show_ids(self.world, engine.observe(self.world, copy.session))
        for film in self._films:
            film.begin(copy.session)
        return self._faces(self._shown)

    def render(self) -> tuple[Any, ...] | None:
        """Each user's session so far: text, or an image (height, width, 3) uint8, all of a size."""
        return tuple(film.show() for film in self._films) or None

    @cached_property
    def identity(self) -> str:
        """Of its world: equal where a saved state means the same."""
        return identity(self.world)

    def _draw(self) -> int:
        """A seed where none is given."""
        return int(self.np_random.integers(2**31))

    def _seat_next(self, row_R: Tensor) -> None:
        """Seat the next user in these rows."""
        self._session, fresh = engine.replace_rows(
            self.world, self._the_session(), row_R, everybody=self.start
        )
        first = show_ids(self.world, engine.observe(self.world, fresh))
        if fresh is self._session:
            self._shown = first
        else:
            self._shown = {
                name: x.index_copy(0, row_R, first[name]) for name, x in self._shown.items()
            }
        self._ended_B = self._ended_B.index_fill(0, row_R, False)
        self._films_begin(row_R)

    def _films_begin(self, row_R: Tensor | None = None) -> None:
        rows = range(self.num_envs) if row_R is None or not self._films else row_R.tolist()
        for film in (self._films[b] for b in rows) if self._films else ():
            film.begin(self._the_session())

    def _final(self, ended_B: Tensor) -> Any:
        """Last observations: dense as tensors; as Gymnasium has it, one dict per ended session."""
        if self.as_tensor:
            return with_vectors(self.world, self._shown)
        final_B = np.full(self.num_envs, None, dtype=object)
        row_R = ended_B.nonzero()[:, 0]
        ids = {name: x.index_select(0, row_R) for name, x in self._shown.items()}
        last = {name: self._face(x) for name, x in with_vectors(self.world, ids).items()}
        for user, parts in zip(row_R.tolist(), zip(*last.values(), strict=True), strict=True):
            final_B[user] = dict(zip(last, parts, strict=True))
        return final_B

    def _the_session(self) -> Session:
        if self._session is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        return self._session

    def _faces(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """What everybody sees: arrays that nothing here reads again, or tensors."""
        shown = with_vectors(self.world, tensors)
        if self.as_tensor or not self._plain:
            return {name: self._face(x) for name, x in shown.items()}
        return {  # vectors were made for it, the rest may be a view of a session
            name: x.numpy().copy() if name in tensors else x.numpy() for name, x in shown.items()
        }

    def _face(self, x: Tensor) -> Any:
        if self.as_tensor:
            return x
        return x.numpy() if self._plain else x.numpy(force=True)


def make_vector_env(world: str, num_envs: int = 1, **options: Any) -> SlateVectorEnv:
    """Gymnasium's vector entry point: options of SlateVectorEnv or of the world."""
    own, settings = divide(options)
    return SlateVectorEnv(make_world(world, **settings), num_envs, **own)


@final
class Beginning:
    """`engine.start` in a world, as one function of seed, user and visit.

    It crosses processes as `Turn` does.
    """

    def __init__(self, world: World, compile: bool = False):
        def start(seed_B: Tensor, user_B: Tensor, visit_B: Tensor) -> Session:
            return engine.start(world, seed_B, user_B, visit_B)

        self._made_of = (world, compile)
        self._run = compiled(start, SELDOM) if compile else start

    def __call__(self, seed_B: Tensor, user_B: Tensor, visit_B: Tensor) -> Session:
        """Sessions of these users, (B,) int32 each, at their first request."""
        return self._run(seed_B, user_B, visit_B)

    def __reduce__(self) -> tuple[type[Beginning], tuple[World, bool]]:
        return Beginning, self._made_of


@final
class Turn:
    """A transition of a world, what is seen after it and who ended it, as one function.

    It crosses processes and is copied as the world and the word whether to compile: a copy
    compiles anew.
    """

    def __init__(self, world: World, compile: bool = False):
        def turn(session: Session, slate_BK: Tensor) -> Turned:
            after, outcome = engine.transition(world, session, slate_BK)
            return after, outcome, engine.observe(world, after), outcome.left | outcome.cut

        self._made_of = (world, compile)
        self._run = compiled(turn) if compile else turn

    def __call__(self, session: Session, slate_BK: Tensor) -> Turned:
        """Show slates (B, K) int32: sessions after, outcome, observation, ended (B,) bool."""
        return self._run(session, slate_BK)

    def __reduce__(self) -> tuple[type[Turn], tuple[World, bool]]:
        return Turn, self._made_of


def turn_of(world: World, compile: bool = False) -> Turn:
    """A transition of this world, what is seen after it and who ended it, as one function."""
    return Turn(world, compile)


def check_identity(world: World, here: str, saved: str) -> None:
    """Refuse an instant of another world.

    Args:
        world: where one is.
        here: its identity.
        saved: identity of the world that the instant is of.

    Raises:
        UsageError: they differ.
    """
    if here != saved:
        raise UsageError(
            f"this state was saved in another world, or in {world.name} with other settings or "
            "another seed; make the environment as the one that saved it"
        )


def cut(world: World, max_episode_steps: int | None) -> World:
    """The same world with another horizon; None: its own."""
    if max_episode_steps is None:
        return world
    if type(max_episode_steps) is not int or max_episode_steps < 1:
        raise UsageError(
            f"max_episode_steps must be positive, a whole number; got {max_episode_steps!r}"
        )
    candidates = world.candidates
    if isinstance(candidates, UnseenOfMany):  # room for what longer sessions consume
        more = world.slate_size * max(0, max_episode_steps - world.horizon)
        candidates = replace(candidates, most=candidates.most + more)
    return replace(world, horizon=max_episode_steps, candidates=candidates)


def divide(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the environment, and settings of the world."""
    own = inspect.signature(SlateVectorEnv).parameters
    return (
        {name: x for name, x in options.items() if name in own},
        {name: x for name, x in options.items() if name not in own},
    )
