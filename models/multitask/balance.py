"""How the losses of the heads are brought into one step: weights that are set, learned or solved.

Gradients of single heads are taken at the weights that several heads share; what only one head
uses, gets its own gradient as ever. Axis letters beyond the legend of `envs/types.py`: G heads that
are trained, P shared weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from slategym.envs.names import UsageError, lookup

# tables with a row a head: several heads reach them, and no weight of them is shared
APART = frozenset(
    {
        "item_bias_YN",
        "queries.sharing.share_YY",
        "wide.gate_V",
        "wide.last.bias",
        "wide.last.weight",
        "wide.told.bias",
        "wide.told.weight",
    }
)
AT_SHARED = ("gradnorm", "pcgrad", "cagrad", "aligned-mtl", "mgda")  # look at shared weights
SHARED = 2  # which weights are shared; raise it when the same ones would be told otherwise
TINY = 1e-8
GRADNORM_ALPHA, GRADNORM_RATE = 1.5, 0.025
CAGRAD_RADIUS = 0.4  # c, of the mean gradient's norm
FAMO_RATE, FAMO_DECAY = 0.025, 0.01
ADAM = (0.9, 0.999)  # of FAMO's weights

Losses = Mapping[str, Tensor]
Parameters = Sequence[tuple[str, nn.Parameter]]


class Balance(Protocol):
    """What turns the losses of the heads into gradients."""

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """Set every parameter's gradient.

        Args:
            losses: of the trained heads, each times its weight.
            parameters: of the network, by name.
        """
        ...

    def after(self, losses: Callable[[], Losses]) -> None:
        """Look at what the step did.

        Args:
            losses: works out the losses of the same batch again, without gradient.
        """
        ...

    def learned(self) -> list[nn.Parameter]:
        """Parameters of its own, for the optimizer of the network."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What it must not forget between two epochs."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` gave."""
        ...


class Gradients:
    """Each head's gradient of every parameter.

    Args:
        losses: of the trained heads.
        parameters: of the network, by name.
    """

    def __init__(self, losses: Losses, parameters: Parameters) -> None:
        self.parameters = [parameter for _, parameter in parameters]
        self.heads = tuple(losses)
        self.rows_G = [
            torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True)
            for loss in losses.values()
        ]
        self.shared = [
            name not in APART and sum(row[i] is not None for row in self.rows_G) > 1
            for i, (name, _) in enumerate(parameters)
        ]

    def gram(self) -> Tensor:
        """Inner products of the heads' gradients of the shared weights, (G, G)."""
        G = len(self.rows_G)
        gram_GG = torch.zeros(G, G, dtype=torch.float64)
        for i, is_shared in enumerate(self.shared):
            if is_shared:
                parts = [row[i] for row in self.rows_G]
                flat_GP = torch.stack(
                    [torch.zeros_like(self.parameters[i]) if g is None else g for g in parts]
                ).flatten(1)
                gram_GG += (flat_GP @ flat_GP.T).double().cpu()
        return gram_GG

    def put(self, share_G: Tensor, own_G: Tensor | None = None) -> None:
        """Set the gradients: shared weights get this mix of the heads', the others the sum.

        Args:
            share_G: of each head's gradient, at shared weights.
            own_G: the same at weights of one head; None: 1.
        """
        for i, parameter in enumerate(self.parameters):
            mix_G = share_G if self.shared[i] else own_G
            parts = [
                g if mix_G is None else g * float(mix_G[head])
                for head, row in enumerate(self.rows_G)
                if (g := row[i]) is not None
            ]
            parameter.grad = torch.stack(parts).sum(0) if parts else None


def cosines(gram_GG: Tensor) -> list[list[float]]:
    """Cosines between the heads' gradients; 0 where a head has none.

    >>> cosines(torch.tensor([[4.0, -2.0], [-2.0, 4.0]]))
    [[1.0, -0.5], [-0.5, 1.0]]
    """
    norm_G = gram_GG.diagonal().clamp(min=0).sqrt()
    product_GG = norm_G[:, None] * norm_G
    cosine_GG = torch.where(product_GG > 0, gram_GG / product_GG.clamp(min=1e-30), 0.0)
    rows: list[list[float]] = cosine_GG.tolist()
    return rows


class Fixed:
    """The weighted sum, as it is."""

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """The sum's gradient."""
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]

    def after(self, losses: Callable[[], Losses]) -> None:
        """Nothing."""

    def learned(self) -> list[nn.Parameter]:
        """None."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """Empty."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing."""


class Uncertainty(Fixed):
    """Each loss over a variance that is learned: sum of exp(-s) L + s / 2.

    Source: Kendall, Gal and Cipolla 2018, arXiv:1705.07115, section 3.2, with s = log variance.
    """

    def __init__(self, num_heads: int) -> None:
        self.log_variance_G = nn.Parameter(torch.zeros(num_heads))

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """The weighted sum's gradient, that of the variances among it."""
        loss_G = torch.stack(list(losses.values()))
        s_G = self.log_variance_G.to(loss_G.device)
        total = ((-s_G).exp() * loss_G + s_G / 2).sum()
        total.backward()  # type: ignore[no-untyped-call]

    def learned(self) -> list[nn.Parameter]:
        """The log variances."""
        return [self.log_variance_G]

    def state_dict(self) -> dict[str, Tensor]:
        """The log variances."""
        return {"log_variance_G": self.log_variance_G.detach()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put them back."""
        self.log_variance_G.copy_(state["log_variance_G"])


class GradNorm(Fixed):
    """Weights that bring the norms of the heads' gradients together, slow heads ahead.

    Source: Chen et al. 2018, arXiv:1711.02257, algorithm 1; norms at all shared weights.
    """

    def __init__(self, num_heads: int) -> None:
        self.weight_G = torch.ones(num_heads, dtype=torch.float64)
        self.first_G = torch.zeros(num_heads, dtype=torch.float64)  # losses of the first step

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """The weighted sum's gradient; then one step of the weights, their sum kept."""
        loss_G = torch.stack([loss.detach() for loss in losses.values()]).double().cpu()
        if not self.first_G.any():
            self.first_G = loss_G.clamp(min=TINY)
        gradients = Gradients(losses, parameters)
        norm_G = gradients.gram().diagonal().clamp(min=0).sqrt()
        gradients.put(self.weight_G, self.weight_G)
        ratio_G = loss_G / self.first_G
        rate_G = (ratio_G / ratio_G.mean().clamp(min=TINY)) ** GRADNORM_ALPHA
        weighted_G = self.weight_G * norm_G
        slope_G = (weighted_G - weighted_G.mean() * rate_G).sign() * norm_G
        slope_G = slope_G / norm_G.mean().clamp(min=TINY)  # the rate means the same at any scale
        moved_G = (self.weight_G - GRADNORM_RATE * slope_G).clamp(min=TINY)
        self.weight_G = moved_G * len(moved_G) / moved_G.sum()

    def state_dict(self) -> dict[str, Tensor]:
        """Weights and first losses."""
        return {"weight_G": self.weight_G, "first_G": self.first_G}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put them back."""
        self.weight_G, self.first_G = state["weight_G"], state["first_G"]


class Surgery(Fixed):
    """A mix of the heads' gradients that follows from their inner products.

    Args:
        mix: (G, G) inner products -> (G,) shares; all 1 is the plain sum.
    """

    def __init__(self, mix: Callable[[Tensor], Tensor]) -> None:
        self.mix = mix

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """The mix at shared weights, the sum at others."""
        gradients = Gradients(losses, parameters)
        gradients.put(self.mix(gradients.gram()))


def cagrad(gram_GG: Tensor) -> Tensor:
    """The direction nearest to the sum, within a ball, that serves the worst served head best.

    Args:
        gram_GG: inner products of the heads' gradients.

    Returns:
        (G,) shares, of the size of the plain sum.

    Source: Liu et al. 2021, arXiv:2110.14048, algorithm 1, c = 0.4.
    """
    from scipy.optimize import minimize

    gram = gram_GG.numpy()
    G = len(gram)
    scale = max(float(np.sqrt(np.trace(gram))), TINY)
    gram = gram / scale**2
    mean = np.full(G, 1 / G)
    radius = CAGRAD_RADIUS * math.sqrt(max(mean @ gram @ mean, 0.0))

    def worst(w: np.ndarray) -> float:
        return float(w @ gram @ mean + radius * math.sqrt(max(w @ gram @ w, 0.0) + TINY))

    found = minimize(
        worst,
        mean,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * G,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    ).x
    norm = math.sqrt(max(found @ gram @ found, 0.0))
    mix = mean + radius * found / norm if norm > math.sqrt(TINY) else mean
    return torch.as_tensor(G * mix)


def _torchjd(name: str) -> Callable[[Tensor], Tensor]:
    """Shares by torchjd, of the size of the plain sum.

    PCGrad: Yu et al. 2020, arXiv:2001.06782, algorithm 1 (orders drawn from the global generator,
    which training seeds). Aligned-MTL: Senushkin et al. 2023, arXiv:2305.19000, algorithm 1. MGDA:
    Sener and Koltun 2018, arXiv:1810.04650, algorithm 2.
    """
    try:
        from torchjd.aggregation import AlignedMTLWeighting, MGDAWeighting, PCGradWeighting
    except ImportError as error:
        raise UsageError(
            f"balance {name!r} needs torchjd; pip install 'slategym[balance]', or take 'fixed', "
            "'uncertainty', 'gradnorm', 'cagrad' or 'famo'"
        ) from error
    kinds = {"pcgrad": PCGradWeighting, "aligned-mtl": AlignedMTLWeighting, "mgda": MGDAWeighting}
    weighting = kinds[name]()
    size = 1.0 if name == "pcgrad" else None

    def mix(gram_GG: Tensor) -> Tensor:
        share_G: Tensor = weighting(gram_GG)
        return share_G * (len(gram_GG) if size is None else size)

    return mix


class Famo(Fixed):
    """Weights by which all losses fall at the same rate, learned from how they fell.

    Source: Liu et al. 2023, arXiv:2306.03792, algorithm 1; its weights by Adam as in the authors'
    code. A head's fixed weight only decides whether it takes part: a factor drops out of a rate.
    """

    def __init__(self, num_heads: int) -> None:
        self.logit_G = torch.zeros(num_heads, dtype=torch.float64)
        self.moment_2G = torch.zeros(2, num_heads, dtype=torch.float64)
        self.steps = torch.zeros(())
        self._before_G = self.logit_G

    def backward(self, losses: Losses, parameters: Parameters) -> None:
        """The gradient of the weighted log losses."""
        loss_G = torch.stack(list(losses.values())) + TINY
        share_G = self.logit_G.softmax(0).to(loss_G)
        scale = (share_G / loss_G).sum().detach()
        (share_G * loss_G.log() / scale).sum().backward()  # type: ignore[no-untyped-call]
        self._before_G = loss_G.detach().double().cpu()

    def after(self, losses: Callable[[], Losses]) -> None:
        """One step of the weights: heads whose loss fell less come to weigh more."""
        now_G = torch.stack(list(losses().values())).double().cpu() + TINY
        fell_G = self._before_G.log() - now_G.log()
        share_G = self.logit_G.softmax(0)
        slope_G = share_G * (fell_G - (share_G * fell_G).sum()) + FAMO_DECAY * self.logit_G
        self.steps = self.steps + 1
        first, second = ADAM
        self.moment_2G = torch.stack(
            [
                first * self.moment_2G[0] + (1 - first) * slope_G,
                second * self.moment_2G[1] + (1 - second) * slope_G**2,
            ]
        )
        count = int(self.steps)
        mean_G = self.moment_2G[0] / (1 - first**count)
        square_G = self.moment_2G[1] / (1 - second**count)
        self.logit_G = self.logit_G - FAMO_RATE * mean_G / (square_G.sqrt() + TINY)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights and Adam's moments."""
        return {"logit_G": self.logit_G, "moment_2G": self.moment_2G, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put them back."""
        self.logit_G, self.moment_2G = state["logit_G"], state["moment_2G"]
        self.steps = state["steps"]


BALANCES: dict[str, Callable[[int], Balance]] = {
    "fixed": lambda _: Fixed(),
    "uncertainty": Uncertainty,
    "gradnorm": GradNorm,
    "pcgrad": lambda _: Surgery(_torchjd("pcgrad")),
    "cagrad": lambda _: Surgery(cagrad),
    "aligned-mtl": lambda _: Surgery(_torchjd("aligned-mtl")),
    "mgda": lambda _: Surgery(_torchjd("mgda")),
    "famo": Famo,
}


def balance_of(name: str, num_heads: int) -> Balance:
    """The balance of that name for so many trained heads.

    Raises:
        UsageError: if there is none of that name, or its library is missing.
    """
    return lookup("balance", name, BALANCES)(num_heads)
