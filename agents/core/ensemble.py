"""S copies of a network, each with weights of its own, run and trained as one.

The leading axis S is the training seed, everywhere. Nothing crosses it: member s of S is trained
exactly as it would be alone (up to the rounding of a batched matrix product).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_map

from slategym.models.optimizers import Adam


class Stackable(Protocol):
    """A network that runs all members at once by itself: vmap costs more than a few layers.

    `forward` has to be the same for one member; a test holds them against each other.
    """

    def stacked(self, weights: Mapping[str, Tensor], *inputs: Tensor) -> Any:
        """What `forward` returns, with a leading S.

        Args:
            weights: parameters and buffers by name, (S, ...) each.
            *inputs: (S, ...) each.
        """
        ...


def linear(weights: Mapping[str, Tensor], name: str, x_SBX: Tensor) -> Tensor:
    """Every member's `nn.Linear` of this name, (S, B, Y)."""
    product_SBY = torch.bmm(x_SBX, weights[f"{name}.weight"].mT)
    return product_SBY + weights[f"{name}.bias"][:, None]


class Ensemble:
    """Stacked weights of S networks of one shape.

    Args:
        build: makes one network, its initial weights from torch's global generator, which is set
            for it and left as it was.
        seeds: of the initial weights, one per member.
        device: of the weights.
    """

    def __init__(
        self, build: Callable[[], nn.Module], seeds: Sequence[int], device: torch.device
    ) -> None:
        members = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                members.append(build())
        self.skeleton = deepcopy(members[0]).to("meta")
        weights, self.constants = stack_module_state(members)
        self.weights: dict[str, Tensor] = {
            name: x.detach().to(device).requires_grad_() for name, x in weights.items()
        }
        self.constants = {name: x.to(device) for name, x in self.constants.items()}
        self.num_seeds = len(members)

    def __call__(self, *inputs: Tensor, shared: tuple[Tensor, ...] = ()) -> Any:
        """Every member on its own inputs.

        Args:
            *inputs: (S, ...) each.
            shared: given to every member alike, after the inputs.

        Returns:
            What the network returns, with a leading S.
        """
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if tracing and self.num_seeds == 1:
            plain = self._plain()(*(x[0] for x in inputs), *shared)
            return tree_map(lambda x: x[None], plain)

        def one(weights: dict[str, Tensor], constants: dict[str, Tensor], *given: Tensor) -> Any:
            return functional_call(self.skeleton, (weights, constants), (*given, *shared))

        stacked = (self.weights, self.constants)
        if (
            self.num_seeds == 1
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
        ):
            found = self._shared(*(x.squeeze(0) for x in inputs), *shared)
            return tree_map(lambda x: x[None], found)
        if self.num_seeds == 1:  # without vmap, whose dispatch costs more than a small network
            weights, constants = ({n: x.squeeze(0) for n, x in parts.items()} for parts in stacked)
            found = one(weights, constants, *(x.squeeze(0) for x in inputs))
            return tree_map(lambda x: x[None], found)
        if hasattr(self.skeleton, "stacked") and not shared:
            network = cast(Stackable, self.skeleton)
            return network.stacked({**self.weights, **self.constants}, *inputs)
        return vmap(one)(*stacked, *inputs)

    @cached_property
    def _shared(self) -> nn.Module:
        """The only member as a network that shares its weights: no search of modules in a call."""
        return self._plain()

    def __getstate__(self) -> dict[str, Any]:
        """Without that network: pickle would part its weights from these."""
        return {name: x for name, x in self.__dict__.items() if name != "_shared"}

    def _plain(self) -> nn.Module:
        """The only member as a network of its own: what a recording of torch.jit understands."""
        network = deepcopy(self.skeleton)
        for name, x in {**self.weights, **self.constants}.items():
            place, _, leaf = name.rpartition(".")
            owner = network.get_submodule(place)
            one = x.detach()[0]
            setattr(owner, leaf, nn.Parameter(one, False) if name in self.weights else one)
        return network

    def parameters(self) -> list[Tensor]:
        """The stacked weights, (S, ...) each."""
        return list(self.weights.values())

    def only(self, seed_index: int) -> Ensemble:
        """One member as an ensemble of one, which shares its weights."""
        return self.fixed(slice(seed_index, seed_index + 1))

    def frozen_copy(self) -> Ensemble:
        """The same weights, without gradients: a target network."""
        twin = object.__new__(Ensemble)
        twin.skeleton, twin.constants, twin.num_seeds = (
            self.skeleton,
            self.constants,
            self.num_seeds,
        )
        twin.weights = {name: x.detach().clone() for name, x in self.weights.items()}
        return twin

    def fixed(self, members: slice = slice(None)) -> Ensemble:
        """These members' weights, shared and not copied, without gradients."""
        twin = object.__new__(Ensemble)
        twin.skeleton = self.skeleton
        twin.weights = {name: x.detach()[members] for name, x in self.weights.items()}
        twin.constants = {name: x[members] for name, x in self.constants.items()}
        twin.num_seeds = len(range(self.num_seeds)[members])
        return twin

    def where(self, mine: Sequence[bool], other: Ensemble) -> Ensemble:
        """By seed, this one's weights or those of another of the same shape; itself if all are its.

        Args:
            mine: whose weights, by seed.
            other: of as many seeds.
        """
        if all(mine):
            return self
        twin = other.frozen_copy()
        for name, x in self.weights.items():
            mine_S = torch.tensor(mine, device=x.device).view(-1, *[1] * (x.dim() - 1))
            twin.weights[name] = torch.where(mine_S, x.detach(), twin.weights[name])
        return twin

    @torch.no_grad()
    def follow(self, other: Ensemble, rate: float) -> None:
        """Move towards another's weights by this share (Polyak averaging)."""
        mine, theirs = self.parameters(), other.parameters()
        torch._foreach_lerp_(mine, theirs, rate)

    @torch.no_grad()
    def load(self, weights: dict[str, Tensor]) -> None:
        """Take over weights, (S, ...) each, in place, so that optimisers keep them."""
        for name, x in self.weights.items():
            x.copy_(weights[name])

    def member(self, seed_index: int) -> dict[str, Tensor]:
        """The weights of one member, detached copies without the leading axis."""
        return {name: x.detach()[seed_index].clone() for name, x in self.weights.items()}


def ready_adam(parameters: Sequence[Tensor], learning_rate: float, eps: float = 1e-8) -> Any:
    """Adam whose moments exist from the start, so that all of its state can be saved."""
    adam = Adam(list(parameters), lr=learning_rate, eps=eps, fused=True)
    for x in parameters:
        adam.state[x] = {
            "step": torch.zeros((), dtype=torch.float32),
            "exp_avg": torch.zeros_like(x),
            "exp_avg_sq": torch.zeros_like(x),
        }
    return adam


def adam_state(adam: torch.optim.Optimizer) -> tuple[dict[str, Tensor], ...]:
    """Its moments, parameter by parameter, as a tree of live tensors."""
    return tuple(adam.state[x] for group in adam.param_groups for x in group["params"])


@torch.no_grad()
def load_adam(adam: torch.optim.Optimizer, saved: Sequence[dict[str, Tensor]]) -> None:
    """Take over what `adam_state` gave, in place."""
    for mine, theirs in zip(adam_state(adam), saved, strict=True):
        for name, x in mine.items():
            x.copy_(theirs[name])


@torch.no_grad()
def clip_each(parameters: Sequence[Tensor], limit: float) -> Tensor:
    """Scale every member's gradient to at most this norm; their norms before, (S,)."""
    grads = [x.grad for x in parameters if x.grad is not None]
    norm_P = [torch.stack(torch._foreach_norm(g.unbind())) for g in grads]
    norm_S: Tensor = torch.linalg.vector_norm(torch.stack(norm_P), dim=0)
    scale_S = (limit / (norm_S + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(grads, [scale_S.view(-1, *[1] * (g.dim() - 1)) for g in grads])
    return norm_S
