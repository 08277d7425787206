"""stable-baselines3's face of the engine: a native VecEnv, without Python work per environment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from slategym.envs import engine, seating
from slategym.envs.gym import check_identity, cut, turn_of
from slategym.envs.identity import identity
from slategym.envs.memory import check_users
from slategym.envs.names import UsageError, lookup
from slategym.envs.observation import STATE_LIMIT, action_space, observation_space, show
from slategym.envs.registry import make_world
from slategym.envs.render import Film
from slategym.envs.slates import check_slates
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, Session, World

MODES = {"rgb_array": "rgb_array"}


class View(Protocol):
    """What a learner sees of a world, and how its actions become slates."""

    def space(self, world: World) -> spaces.Dict | spaces.Box:
        """Of what the learner sees; a Box if `show` gives one entry."""
        ...

    def action_space(self, world: World) -> spaces.Space[Any]:
        """Of what the learner does."""
        ...

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """What the learner sees, by name, first axis B.

        Entries that are not in the space are kept for `slate` and not given to the learner.
        """
        ...

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """The slate (B, K) int32, positions, that an action means where this was shown."""
        ...


@dataclass(frozen=True)
class VecSnapshot:
    """A `SlateVecEnv` at one instant."""

    session: Session
    shown: dict[str, Tensor]  # what the view made of it
    earned: Tensor  # (B,) float64, reward of the sessions so far
    slates: Tensor  # (B,) int64, of the sessions so far
    of: str  # the world's identity


def seen_space(width: int) -> spaces.Dict:
    """Of one vector of numbers of order one, under the name `seen`."""
    return spaces.Dict({"seen": spaces.Box(-STATE_LIMIT, STATE_LIMIT, (width,), np.float32)})


class RawView:
    """The observation as Gymnasium's face shows it; an action is a slate of positions."""

    def space(self, world: World) -> spaces.Dict:
        """See `slategym.envs.observation.observation_space`."""
        zero_1 = torch.zeros(1, dtype=torch.int32, device=world.device)
        return observation_space(
            world, engine.observe(world, engine.start(world, zero_1, zero_1, zero_1))
        )

    def action_space(self, world: World) -> spaces.MultiDiscrete:
        """A position per slot."""
        return action_space(world)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """Everything there is."""
        return show(world, observation)

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """The action itself."""
        return check_slates(world, action, action.shape[0])


class SlateVecEnv(VecEnv):
    """B users at once, for stable-baselines3.

    Finished sessions are replaced in the same step. Only their infos are filled; all the others
    are one shared empty dict, so do not write into it. With `episode` in the infos no Monitor is
    needed, and `env_is_wrapped(Monitor)` says so.

    Args:
        world: a World, or the id of a registered one.
        num_envs: B.
        view: what the learner sees and does.
        seed: decides what happens until `seed()` is called; one for all sessions.
        max_episode_steps: slates after which a session is cut; None: the world's horizon.
        bootstrap_at_limit: False: for the learner, a session that is cut has ended.
        compile: run each transition as one compiled graph.
        render_mode: None, or "rgb_array": a picture per user, which takes its time.
    """

    def __init__(
        self,
        world: World | str,
        num_envs: int = 1,
        view: View | None = None,
        *,
        seed: int = 0,
        max_episode_steps: int | None = None,
        bootstrap_at_limit: bool = True,
        compile: bool = False,
        render_mode: str | None = None,
    ):
        world = make_world(world) if isinstance(world, str) else world
        self.world = cut(world, max_episode_steps)
        check_users(self.world, num_envs)
        self.view = RawView() if view is None else view
        self.render_mode, self._films = render_mode, list[Film]()
        if render_mode is not None:
            mode = lookup("render mode", render_mode, MODES)
            self._films = [Film(self.world, mode, b) for b in range(num_envs)]
        self.bootstrap_at_limit = bootstrap_at_limit
        super().__init__(num_envs, self.view.space(self.world), self.view.action_space(self.world))
        self._turn = turn_of(self.world, compile)
        self._next_seed: int | None = seating.check_seed(seed)
        self._closed = False
        self._session: Session | None = None
        self._shown: dict[str, Tensor] = {}
        self._slate_BK = torch.zeros(0)
        self._return_B = np.zeros(num_envs)
        self._length_B = np.zeros(num_envs, dtype=np.int64)
        self._began = time.time()

    @torch.no_grad()
    def reset(self) -> Any:
        """Seat the first users if seeded, those of the option `user`, else the next.

        Raises:
            UsageError: another option was set, or a user that cannot be.
            gymnasium.error.ClosedEnvironmentError: after `close`.
        """
        seating.check_open(self._closed)
        seed = self._next_seed if self._seeds[0] is None else self._seeds[0]
        before = self._session if seed is None else None
        if before is None:
            seed_B = seating.seed_words(seed or 0, self.num_envs, self.world.device)
            self._session = seating.in_order(self.world, seed_B)
        else:
            every_B = torch.arange(self.num_envs, device=self.world.device)
            self._session, _ = engine.replace_rows(self.world, before, every_B)
        options = [seating.check_options(one, (seating.USER,)) for one in self._options]
        if any(options):
            own_B = self._session.user_id.tolist()
            user = [one.get(seating.USER, own) for one, own in zip(options, own_B, strict=True)]
            user_B = seating.users_asked(user, self.world, self.num_envs)
            self._session = seating.asked_for(self.world, before, self._session.seed, user_B)
        self._shown = self.view.show(self.world, engine.observe(self.world, self._session))
        for film in self._films:
            film.begin(self._session)
        self._return_B[:], self._length_B[:], self._next_seed = 0.0, 0, None
        self._reset_seeds()
        self._reset_options()
        return self._face(self._shown)

    @torch.no_grad()
    def step_async(self, actions: NDArray[Any]) -> None:
        """Turn the actions into slates.

        Raises:
            ValueError: an action is not a number, no slate comes of it, or they are not one each.
            gymnasium.error.ClosedEnvironmentError: after `close`.
        """
        seating.check_open(self._closed)
        actions = np.asarray(actions)
        if actions.shape[:1] != (self.num_envs,):
            raise ValueError(
                f"actions are one for each of {self.num_envs} users, got shape {actions.shape}"
            )
        if actions.dtype == object:
            raise ValueError("actions are an array of numbers, got some of different lengths")
        if actions.dtype.kind == "f" and not np.isfinite(actions).all():
            user = int((~np.isfinite(actions)).reshape(len(actions), -1).any(1).argmax())
            raise ValueError(
                f"actions must be finite, got {actions[user]} for user {user}; "
                "has the learner diverged?"
            )
        action = torch.as_tensor(actions, device=self.world.device)
        self._slate_BK = self.view.slate(self.world, self._shown, action)

    @torch.no_grad()
    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Show the slates; replace finished sessions."""
        if self._session is None:
            raise RuntimeError("call reset() before step()")
        before = self._session
        self._session, outcome, observation, ended_B = self._turn(before, self._slate_BK)
        for film in self._films:
            film.record(before, self._slate_BK, outcome, self._session)
        self._shown = self.view.show(self.world, observation)
        reward_B, done_B = outcome.reward.cpu().numpy(), ended_B.cpu().numpy()
        self._return_B += reward_B
        self._length_B += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done_B.any():
            row_R = ended_B.nonzero()[:, 0]
            only_cut_B = (outcome.cut & ~outcome.left).cpu().numpy()
            self._tell(infos, row_R, only_cut_B & self.bootstrap_at_limit)
            self._session, fresh = engine.replace_rows(self.world, self._session, row_R)
            first = self.view.show(self.world, engine.observe(self.world, fresh))
            self._shown = {
                name: x.index_copy(0, row_R, first[name]) for name, x in self._shown.items()
            }
            for row in row_R.tolist() if self._films else ():
                self._films[row].begin(self._session)
        return self._face(self._shown), reward_B, done_B, infos

    def _tell(self, infos: list[dict[str, Any]], row_R: Tensor, truncated_B: Any) -> None:
        """Fill in the infos of finished sessions and start counting anew."""
        last = self._face({name: x.index_select(0, row_R) for name, x in self._shown.items()})
        elapsed = round(time.time() - self._began, 6)
        for r, user in enumerate(row_R.tolist()):
            infos[user] = {
                "episode": {
                    "r": float(self._return_B[user]),
                    "l": int(self._length_B[user]),
                    "t": elapsed,
                },
                "terminal_observation": {name: x[r] for name, x in last.items()}
                if isinstance(last, dict)
                else last[r],
                "TimeLimit.truncated": bool(truncated_B[user]),
            }
            self._return_B[user], self._length_B[user] = 0.0, 0

    def _face(self, shown: dict[str, Tensor]) -> Any:
        """As arrays of the caller's own: those entries that the space has, or the only one."""
        if isinstance(self.observation_space, spaces.Dict):
            return {name: _own(shown[name]) for name in self.observation_space.spaces}
        return _own(next(iter(shown.values())))

    @cached_property
    def identity(self) -> str:
        """Of its world: equal where a saved state means the same."""
        return identity(self.world)

    def get_state(self) -> VecSnapshot:
        """Everything that moves, copied; `set_state` goes on from it exactly."""
        if self._session is None:
            raise RuntimeError("call reset() before get_state()")
        earned_B, slates_B = torch.from_numpy(self._return_B), torch.from_numpy(self._length_B)
        now = VecSnapshot(self._session, {}, earned_B, slates_B, self.identity)
        shown = {name: x.clone() for name, x in self._shown.items()}
        return replace(map_tensors(torch.clone, now), shown=shown)

    def set_state(self, state: VecSnapshot) -> Any:
        """Return to a saved instant of an equal environment; gives the observation there.

        Raises:
            UsageError: it was saved in another world, or with another number of users.
        """
        check_identity(self.world, self.identity, state.of)
        if (saved := state.earned.shape[0]) != self.num_envs:
            raise UsageError(f"this state holds {saved} users, this environment {self.num_envs}")
        copy = map_tensors(torch.clone, state)
        self._session, self._shown = copy.session, {n: x.clone() for n, x in state.shown.items()}
        self._return_B, self._length_B = copy.earned.cpu().numpy(), copy.slates.cpu().numpy()
        return self._face(self._shown)

    def close(self) -> None:
        """End it: whoever goes on is told so."""
        self._closed = True

    @property
    def spec(self) -> EnvSpec | None:
        """As Gymnasium registers the world, with its horizon; None: it is not registered."""
        found = gymnasium.registry.get(self.world.name)
        return found and replace(found, max_episode_steps=self.world.horizon)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for every user."""
        value = getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """For all sessions at once.

        Raises:
            ValueError: only some sessions were asked for; they share everything.
        """
        if indices is not None and len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(f"all users share {attr_name!r}; set it without indices")
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Called once, on all sessions; the result stands for each. Masks are each user's own."""
        if method_name == "action_masks":
            mask_BX = self.action_masks()
            return [mask_BX[b] for b in self._get_indices(indices)]
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """As if by a Monitor, whose infos these are; by nothing else."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Each user's session so far, if `render_mode` says so."""
        return [film.picture() for film in self._films] or [None] * self.num_envs

    def action_masks(self) -> NDArray[np.bool_]:
        """Which positions each slot may take, (B, K * C) bool, slot by slot.

        sb3-contrib's MaskablePPO asks for it. Slots of one slate do not know of one another: it
        may repeat an item, and that slot is then empty.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._session is None:
            raise RuntimeError("call reset() before action_masks()")
        allowed_BC = self.world.candidates.allowed(self._session.offer)
        if allowed_BC is None:
            shape = self.num_envs, self.world.slate_size * self.world.num_candidates
            return np.ones(shape, dtype=np.bool_)
        return np.tile(allowed_BC.cpu().numpy(), (1, self.world.slate_size))


def _own(x: Tensor) -> NDArray[Any]:
    return np.array(x.numpy(force=True))
