"""The contract of a user model, checked by running it; what is wrong is said in words."""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from slategym.envs.context import Clock
from slategym.envs.luck import Luck, key, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.registry import make_user_model
from slategym.envs.trees import map_tensors
from slategym.envs.types import CLICK, Arrival, Catalogue, Context, Items
from slategym.envs.users.unchanging import changes
from slategym.envs.worlds.plain_catalogue import plain_catalogue

T = TypeVar("T")
PICK, CLICKED = purpose("check.pick"), purpose("check.clicked")
B, K, NUM_SLATES, NUM_SAMPLES = 6, 4, 12, 4096
TOLERANCE = 1e-5


class ContractError(ValueError):
    """A user model breaks the contract; the message says where, how, and the likely cause."""


def check_user_model(model: UserModel[Any] | str, catalogue: Catalogue | None = None) -> None:
    """Run a user model through its contract.

    Args:
        model: to be checked, or the name of a registered one, or "module:Class".
        catalogue: items that it understands; None: 40 made-up items of ten topics, whose embedding
            is the topic as a unit vector.

    Raises:
        ContractError: at the first rule that is broken: signals begin with the click; shapes,
            types and devices; finite numbers; probabilities in [0, 1]; arguments unchanged; no
            randomness but luck's; users in a batch do not affect one another and the batch's size
            does not matter; state of a constant form; what it writes of change changes somebody;
            means that agree with samples.
        UsageError: nothing has that name.
    """
    model = make_user_model(model) if isinstance(model, str) else model
    catalogue = plain_catalogue(40, 10) if catalogue is None else catalogue
    probe = _Probe(model, catalogue)
    probe.check_signals()
    state = probe.check_initial()
    for slate in range(NUM_SLATES):
        state = probe.check_slate(state, slate)
    probe.check_moves()
    probe.check_means(state)


class _Probe:
    """One check run: a model, its name for the messages, and something to show it."""

    def __init__(self, model: UserModel[Any], catalogue: Catalogue):
        self.model, self.catalogue, self.name = model, catalogue, type(model).__name__
        self.device = catalogue.embedding.device
        user_B = torch.arange(B, dtype=torch.int32, device=self.device)
        self.key_B = key(user_B * 0 + 7, user_B, user_B * 0)
        self.arrival = Arrival(user_B, None, None, None, None, None, None)
        self.context = Clock(5.0).initial(self.arrival, self.luck(0))
        self.moved = False  # whether anything has happened to anybody

    def luck(self, step: int) -> Luck:
        return Luck.at(self.key_B, torch.full_like(self.key_B, step))

    def check_signals(self) -> None:
        signals = self.model.signals
        names = [signal.name for signal in signals]
        if not signals or signals[0] != CLICK:
            self.fail("signals", f"must begin with slategym.envs.CLICK, got {names}")
        if len(set(names)) < len(names):
            self.fail("signals", f"has a name twice: {names}")

    def check_initial(self) -> Any:
        f = lambda arrival, luck: self.model.initial(arrival, luck)  # noqa: E731
        state = self.pure("initial", f, self.arrival, self.luck(0))
        self.check_state("initial", state, None)
        return state

    def check_slate(self, state: Any, slate: int) -> Any:
        """One slate: the first without a click, the second with nothing else, then at random."""
        model, luck, context = self.model, self.luck(slate), self.context
        items = Items(luck.integers(PICK, K, self.catalogue.num_items), self.catalogue)
        appeal_BK = self.pure("appeal", model.appeal, state, items, context)
        self.shape("appeal", appeal_BK, (B, K))
        self.numbers("appeal", appeal_BK)
        value, mean = self.pure("respond", model.respond, state, items, context, luck)
        value_BKM, _ = self.check_values(value), self.check_values(mean)
        chance = {0: 0.0, 1: 1.0}.get(slate, 0.4)
        click_BK = (luck.uniform(CLICKED, K) < chance).float()
        feedback_BKM = click_BK[..., None] * value_BKM
        after = self.pure("evolve", model.evolve, state, items, feedback_BKM, context, luck)
        self.check_state("evolve", after, state)
        self.moved |= not _same(after, state, tolerance=0.0)
        leave_B = self.pure("leave", model.leave, after)
        if leave_B is not None:
            self.shape("leave", leave_B, (B,))
            self.numbers("leave", leave_B)
            self.bounds("leave", leave_B, 0.0, 1.0, "a probability; a logit needs a sigmoid")
            self.moved |= bool((leave_B > 0).any())
        away_B = self.pure("away", model.away, after)
        if away_B is not None:
            self.shape("away", away_B, (B,))
            self.numbers("away", away_B)
            self.bounds("away", away_B, 0.0, 10_000.0, "days until the next request")
            self.moved |= bool((away_B > 0).any())
        revealed = self.pure("reveal", model.reveal, after)
        if revealed is not None:
            self.shape("reveal", revealed, (B, *revealed.shape[1:2]))
            self.numbers("reveal", revealed)
            self.bounds("reveal", revealed, -1.0, 1.0, "scale it")
        return after

    def check_values(self, value: Any) -> Tensor:
        """One of the two answers of `respond`, broadcast."""
        signals = self.model.signals
        self.numbers("respond", value)
        try:
            value_BKM: Tensor = value.expand(B, K, len(signals))
        except RuntimeError:
            self.fail(
                "respond",
                f"returned shape {tuple(value.shape)}, which does not broadcast to (users, slots, "
                f"signals) = {(B, K, len(signals))}",
            )
        if not bool((value_BKM[..., 0] == 1.0).all()):
            self.fail("respond", "must give the click, the first signal, the value 1")
        for m, signal in enumerate(signals):
            self.bounds(
                "respond", value_BKM[..., m], signal.low, signal.high, f"declared of {signal.name}"
            )
        return value_BKM

    def check_state(self, what: str, state: Any, before: Any) -> None:
        """Every tensor of a state: first axis B, finite, of the form that it had before."""
        for number, leaf in enumerate(_leaves(state)):
            if leaf.dim() == 0 or leaf.shape[0] != B:
                self.fail(
                    what,
                    f"made a state with a tensor of shape {tuple(leaf.shape)}, whose first axis is "
                    f"not the {B} users. A sum or mean over all axes, a dim= missing?",
                )
            if leaf.is_floating_point() and not bool(leaf.isfinite().all()):
                self.fail(what, f"made a state with NaN or infinity in its tensor number {number}")
        if before is None:
            return
        old, new = _leaves(before), _leaves(state)
        if [x.shape for x in old] != [x.shape for x in new]:
            self.fail(
                what,
                f"changed the state's shapes from {[tuple(x.shape) for x in old]} to "
                f"{[tuple(x.shape) for x in new]}. State may not grow: keep the last few in a "
                "tensor of fixed size",
            )
        for x, y in zip(old, new, strict=True):
            if x.dtype != y.dtype:
                self.fail(
                    what,
                    f"changed a tensor of the state from {x.dtype} to {y.dtype}; resets need them "
                    "equal. An int times a float, or a bool times an int?",
                )

    def pure(self, what: str, method: Callable[..., T], *arguments: Any) -> T:
        """The result, once it is known to depend on the arguments alone, user by user."""
        before = [map_tensors(torch.clone, argument) for argument in arguments]
        generators = _generators()
        result = self.attempt(what, method, arguments)
        for leaf in _leaves(result):
            if leaf.device != self.device:
                self.fail(
                    what,
                    f"made a tensor on {leaf.device}, the world is on {self.device}. Make tensors "
                    "with device=items.id.device, or luck.stream.device",
                )
        if generators != _generators():
            self.fail(
                what,
                "advanced a global random generator. torch.rand, numpy.random or random inside? "
                "Draw from luck instead",
            )
        if not _same(before, list(arguments), tolerance=0.0):
            self.fail(what, "changed its arguments in place. An operation ending in _, or x[i] =?")
        if not _same(result, self.attempt(what, method, arguments), tolerance=0.0):
            self.fail(what, "gave two results for the same arguments. Something kept in self?")
        row = slice(2, 3)
        users = [_users(argument, row) for argument in before]
        alone = self.attempt(what, method, users, " with one user. A size written out?")
        ours = map_tensors(lambda x: x[row] if x.shape[:1] == (B,) else x, result)
        if not _same(ours, alone, TOLERANCE):
            self.fail(what, self.company(what, method, before, ours))
        return result

    def company(
        self, what: str, method: Callable[..., T], arguments: Sequence[Any], ours: T
    ) -> str:
        """Why a user's result is another alone: because of the others, or of their number."""
        others_B = torch.tensor([0, 0, 2, 0, 0, 0], device=self.device)  # all but user 2 are user 0
        crowd = self.attempt(what, method, [_users(argument, others_B) for argument in arguments])
        row = slice(2, 3)
        theirs = map_tensors(lambda x: x[row] if x.shape[:1] == (B,) else x, crowd)
        told = "gives a user another result alone than among others. "
        if _same(ours, theirs, TOLERANCE):
            return told + (
                "It depends on the batch size, not on who the others are: shape[0], len or a mean "
                "over users in the arithmetic?"
            )
        return told + "Users affect one another: a sum, mean, max or norm without dim=?"

    def attempt(
        self, what: str, method: Callable[..., T], arguments: Sequence[Any], when: str = ""
    ) -> T:
        """The result; an exception of the model's own is told with its line."""
        try:
            return method(*arguments)
        except Exception as error:
            file = getattr(sys.modules[type(self.model).__module__], "__file__", None)
            lines = [
                f" (line {frame.lineno}: {frame.line})"
                for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename == file
            ]
            said = " ".join(str(error).split())
            place = lines[-1] if lines else ""
            raise ContractError(
                f"{self.name}.{what} failed{when}: {type(error).__name__}: {said}{place}"
            ) from error

    def check_moves(self) -> None:
        """Who writes how people change has them change: else the static twin is the world."""
        if changes(self.model) and not self.moved:
            self.fail(
                "evolve, leave and away",
                f"changed nobody in {NUM_SLATES} slates with and without clicks, so that a world "
                "of these people is its own static twin, which controls nothing. Is the new state "
                "returned? If nobody is to change, leave these methods out",
            )

    def check_means(self, state: Any) -> None:
        """The mean feedback of one user, against many samples of it."""
        one = map_tensors(lambda x: x[:1].expand(NUM_SAMPLES, *x.shape[1:]).contiguous(), state)
        draw = torch.arange(NUM_SAMPLES, dtype=torch.int32, device=self.device)
        items = Items((draw[:, None] * 0).expand(-1, K).contiguous(), self.catalogue)
        context: Context = map_tensors(lambda x: x[:1].expand(NUM_SAMPLES), self.context)
        given = one, items, context, Luck.at(draw, draw)
        value, mean = self.attempt("respond", self.model.respond, given)
        shape = (NUM_SAMPLES, K, len(self.model.signals))
        sample_M, mean_M = value.expand(shape).flatten(0, 1), mean.expand(shape).flatten(0, 1)
        error_M = sample_M.std(0) / NUM_SAMPLES**0.5
        for m, signal in enumerate(self.model.signals):
            gap = float((sample_M[:, m].mean() - mean_M[:, m].mean()).abs())
            if gap > 6.0 * float(error_M[m]) + 1e-4:
                self.fail(
                    "respond",
                    f"says that {signal.name} has mean {float(mean_M[:, m].mean()):.4g}, but its "
                    f"samples have {float(sample_M[:, m].mean()):.4g}",
                )

    def shape(self, what: str, x: Any, expected: tuple[int, ...]) -> None:
        if not isinstance(x, Tensor) or x.shape != expected:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            self.fail(what, f"returned {got}, expected a tensor of shape {expected}")

    def numbers(self, what: str, x: Any) -> None:
        if not isinstance(x, Tensor):
            self.fail(what, f"returned {type(x).__name__}, expected a tensor")
        if x.dtype != torch.float32:
            self.fail(what, f"returned {x.dtype}, expected torch.float32; use .float()")
        if bool((x.isnan() | (x == torch.inf)).any()):
            self.fail(what, "returned NaN or +infinity. A division by zero, or log of zero?")

    def bounds(self, what: str, x: Tensor, low: float, high: float, hint: str) -> None:
        if bool(((x < low) | (x > high)).any()):
            worst = float(x.min()) if bool((x < low).any()) else float(x.max())
            self.fail(what, f"returned {worst:.4g}, outside [{low:g}, {high:g}]: {hint}")

    def fail(self, what: str, message: str) -> None:
        raise ContractError(f"{self.name}.{what} {message}")


def _users(argument: Any, row: slice | Tensor) -> Any:
    """Some users' part of an argument; the catalogue of items is everybody's."""
    if isinstance(argument, Items):
        return Items(argument.id[row], argument.catalogue)
    return map_tensors(lambda x: x[row], argument)


def _leaves(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []

    def note(x: Tensor) -> Tensor:
        found.append(x)
        return x

    map_tensors(note, tree)
    return found


def _same(a: Any, b: Any, tolerance: float) -> bool:
    """Whether all tensors of two trees agree."""
    if isinstance(a, list):
        return all(_same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    ours, theirs = _leaves(a), _leaves(b)
    return len(ours) == len(theirs) and all(
        x.shape == y.shape
        and torch.allclose(x.double(), y.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
        for x, y in zip(ours, theirs, strict=True)
    )


def _generators() -> tuple[Any, ...]:
    """The state of every global generator that is loaded."""
    numpy = sys.modules.get("numpy")
    theirs = () if numpy is None else tuple(map(str, numpy.random.get_state()))
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    ours = [state.numpy().tobytes() for state in (torch.get_rng_state(), *gpus)]
    return (ours, random.getstate(), theirs)
