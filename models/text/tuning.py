"""Which of an encoder's weights learn, and what is added to it for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from slategym.envs.names import UsageError
from slategym.models.text.encoder import layers_of
from slategym.models.text.settings import EncoderSettings

ADALORA_START = 1.5  # ranks at the start, of those kept at the end
ADALORA_WARM, ADALORA_COLD = 0.1, 0.4  # shares of the steps before and after ranks are shared out
ADALORA_LEAST = 4  # steps


class Adapter(nn.Module):
    """A layer, then a bottleneck beside it that starts at zero.

    Args:
        layer: of the encoder, frozen.
        width: D0.
        bottleneck: inner width.

    Source: Houlsby et al. 2019, arXiv:1902.00751, section 2, one adapter a layer.
    """

    def __init__(self, layer: nn.Module, width: int, bottleneck: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, *inputs: Any, **others: Any) -> Any:
        """What the layer gives, its states moved by the bottleneck."""
        output = self.layer(*inputs, **others)
        if isinstance(output, tuple):
            return (self._moved(output[0]), *output[1:])
        return self._moved(output)

    def __getattr__(self, name: str) -> Any:
        """What an encoder asks of its layers: ModernBERT which attention each has."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def _moved(self, hidden_ALD: Tensor) -> Tensor:
        return torch.add(hidden_ALD, self.up(nn.functional.gelu(self.down(hidden_ALD))))


def num_frozen_layers(settings: EncoderSettings, num_layers: int) -> int:
    """Layers below the lowest that is tuned.

    Raises:
        UsageError: if more are to be tuned than there are.
    """
    if settings.tuning == "frozen":
        return num_layers
    wanted = 1 if settings.tuning == "top-layers" else num_layers
    wanted = wanted if settings.layers is None else settings.layers
    if wanted > num_layers:
        raise UsageError(f"layers={wanted} are to be tuned, the encoder has {num_layers}")
    return num_layers - wanted


def prepare(model: nn.Module, settings: EncoderSettings, steps: int) -> nn.Module:
    """Freeze the encoder but for what is tuned, and add what is added.

    The layers that the model still has are all tuned: see `num_frozen_layers`.

    Args:
        model: the encoder, changed in place.
        settings: which weights learn.
        steps: of the whole training, by which adalora shares out its ranks.

    Returns:
        The encoder to call: its weights that require a gradient are the tuned ones.

    Raises:
        UsageError: if peft is needed and not installed.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(settings.tuning == "full")
    if settings.tuning == "top-layers":
        for parameter in layers_of(model).all.parameters():
            parameter.requires_grad_(True)
    if settings.tuning == "adapter":
        layers = layers_of(model)
        width = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]
        layers.keep([Adapter(layer, width, settings.bottleneck) for layer in layers.all])
    if settings.tuning in ("lora", "adalora"):
        return _low_rank(model, settings, steps)
    return model


def _low_rank(model: nn.Module, settings: EncoderSettings, steps: int) -> nn.Module:
    try:
        from peft import AdaLoraConfig, LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError(
            f"tuning {settings.tuning!r} needs peft; pip install 'slategym[tuning]', or take "
            "'top-layers', 'adapter' or 'full'"
        ) from error
    inside, outside = _linear(model)
    lora: dict[str, Any] = {"lora_alpha": 2 * settings.rank, "lora_dropout": 0.0}
    lora |= {"exclude_modules": outside or None}
    if settings.tuning == "lora":
        config: Any = LoraConfig(r=settings.rank, **lora)
    else:
        steps = max(steps, ADALORA_LEAST)
        config = AdaLoraConfig(
            init_r=round(ADALORA_START * settings.rank),
            target_r=settings.rank,
            tinit=int(ADALORA_WARM * steps),
            tfinal=int(ADALORA_COLD * steps),
            total_step=steps,
            **lora,
        )
    with warnings.catch_warnings():  # peft 0.21 asks transformers for a name that it will drop
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)  # GPT-2's; it sees to it
        try:
            return get_peft_model(model, config)  # type: ignore[arg-type,no-any-return]
        except ValueError:  # an encoder whose queries and values peft does not know by name
            config.target_modules = inside
            return get_peft_model(model, config)  # type: ignore[arg-type,no-any-return]


def _linear(model: nn.Module) -> tuple[list[str], list[str]]:
    """Names of linear maps in the encoder's layers, and of others, which its states may not need.

    Nothing is learned of a pooler: the last states do not go through it.
    """
    layers = {id(module) for module in layers_of(model).all.modules()}
    maps = {n: id(m) in layers for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    return [n for n, within in maps.items() if within], [n for n, w in maps.items() if not w]


def trained_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Those that learn, by name."""
    return ((n, p) for n, p in model.named_parameters() if p.requires_grad)


def frozen_hash(model: nn.Module) -> str:
    """Of every weight that does not learn: the same before and after training."""
    digest = sha256()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def allocator_of(model: nn.Module) -> Any:
    """What shares out the ranks of adalora; None: nothing does."""
    for module in model.modules():
        found = getattr(module, "rankallocator", None)
        if found is not None:
            return found
    return None


ALLOCATED = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # what an allocator has measured, by weight
PATTERN = "pattern."


def allocator_state(model: nn.Module) -> dict[str, Tensor]:
    """What an adalora encoder must not forget between two epochs."""
    allocator = allocator_of(model)
    if allocator is None:
        return {}
    measured = {
        f"{kind}.{name}": value.detach().clone()
        for kind in ALLOCATED
        for name, value in getattr(allocator, kind).items()
    }
    pattern = allocator.peft_config.rank_pattern or {}
    return measured | {f"{PATTERN}{n}": torch.as_tensor(kept) for n, kept in pattern.items()}


def load_allocator(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `allocator_state` gave."""
    allocator = allocator_of(model)
    if allocator is None:
        return
    for kind in ALLOCATED:
        setattr(allocator, kind, _under(state, f"{kind}."))
    kept = {name: value.tolist() for name, value in _under(state, PATTERN).items()}
    allocator.peft_config.rank_pattern = kept


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def orthogonality(model: nn.Module) -> Tensor | None:
    """How far the singular vectors of adalora are from orthogonal, weighted; None: not adalora.

    Source: Zhang et al. 2023, arXiv:2303.10512, equation 4; weight and mean as in peft.
    """
    allocator = allocator_of(model)
    if allocator is None:
        return None
    parts = []
    for name, parameter in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            gram = parameter @ parameter.T if "lora_A" in name else parameter.T @ parameter
            parts.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
    weighted: Tensor = allocator.peft_config.orth_reg_weight * torch.stack(parts).mean()
    return weighted


def share_out(model: nn.Module, step: int) -> None:
    """Let adalora measure its gradients and drop ranks; nothing for the others.

    Args:
        model: from `prepare`, its gradients of this step in place.
        step: from 1.
    """
    if allocator_of(model) is not None:
        model.base_model.update_and_allocate(step)  # type: ignore[operator, union-attr]
