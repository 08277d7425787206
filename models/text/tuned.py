"""A text encoder that learns with the network: a catalogue's texts, some encoded again each step.

Layers below the lowest that learns give the same states for ever: they are computed once and kept,
where the encoder allows it exactly. Dropout inside the encoder is off, so that a text has one
vector. The network keeps the vectors of all items in its own table, and they are refreshed after
each epoch: the trained network needs no encoder, and this one encodes only texts that are new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from slategym.models.files import atomic_path
from slategym.models.text.encoder import (
    AttentionPool,
    Tokens,
    encoder_version,
    find_encoder,
    layers_of,
    load_encoder,
    pooled,
    tokenize,
)
from slategym.models.text.settings import EncoderSettings
from slategym.models.text.tuning import (
    allocator_state,
    frozen_hash,
    load_allocator,
    num_frozen_layers,
    orthogonality,
    prepare,
    share_out,
    trained_parameters,
)

BATCH = 64  # texts encoded together where no gradient is kept
MOST_KEPT = 2**30  # bytes of kept states; more are computed again each time
CLOSE = 1e-4  # kept layers must give the whole encoder's states up to this
POOL = "pool."
WEIGHTS, ABOUT = "tuned.safetensors", "encoder.json"
ENCODER = "encoder"  # folder of the encoder beside them, where it is nowhere else
FORMAT = 1  # of these files; raise it when what is written changes


class TunedEncoder:
    """An encoder, its texts, and the weights of it that learn.

    Args:
        texts: N of them.
        settings: what is tuned, and how tokens are pooled.
        steps: of the whole training; adalora shares out its ranks by them.
        seed: of added weights. The global generator is left as it was.
        device: where to work.
        progress: whether to draw a bar while the encoder is fetched.

    Raises:
        UsageError: if there is no such encoder, or it cannot be tuned so.

    Warns:
        UserWarning: if many of the tokens are unknown to the encoder.
    """

    def __init__(
        self,
        texts: Sequence[str],
        settings: EncoderSettings,
        *,
        steps: int = 1,
        seed: int = 0,
        device: str | torch.device = "cpu",
        progress: bool = True,
    ) -> None:
        self.settings = settings
        source = find_encoder(settings.encoder, progress=progress)
        self.version = encoder_version(source)
        tokenizer, model = load_encoder(source)
        self.tokenizer = tokenizer
        found = tokenize(texts, tokenizer, source)
        self.tokens = Tokens(found.id_NL.to(device), found.mask_NL.to(device))
        self.kept_NLD: Tensor | None = None
        self.encodes = True  # False: the kept states are the encoder's last
        self._given_ALD: Tensor | None = None
        model = model.to(device)
        width = int(model.config.hidden_size)
        if settings.tuning != "full":
            layers = layers_of(model)
            below = num_frozen_layers(settings, len(layers.all))
            if below and self.tokens.id_NL.numel() * width * 4 <= MOST_KEPT:
                self._keep(model, below)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = prepare(model, settings, steps).to(device).eval()
            self.pool = AttentionPool(width).to(device) if settings.pooling == "attention" else None

    @torch.no_grad()
    def _keep(self, model: Any, below: int) -> None:
        """Compute the states under the layers that learn, and leave those layers out of the model.

        The model goes on working out its embeddings, and the kept states take the place of what
        would enter the first layer that is left.
        """
        layers = layers_of(model)
        every = list(layers.all)
        entering: list[Tensor] = []
        if below < len(every):
            watched = every[below].register_forward_pre_hook(
                lambda _, args, others: entering.append(_first(args, others)), with_kwargs=True
            )
        N, L = self.tokens.id_NL.shape
        kept_NLD = torch.zeros(N, L, int(model.config.hidden_size), device=self.tokens.id_NL.device)
        last_NLD = torch.zeros_like(kept_NLD[: min(N, BATCH)])
        for part_A in self._parts():
            tokens = self._some(part_A)
            hidden_ALD = _call(model, tokens)
            length = tokens.id_NL.shape[1]
            kept_NLD[part_A, :length] = entering.pop() if below < len(every) else hidden_ALD
            first_A = part_A < len(last_NLD)
            last_NLD[part_A[first_A], :length] = hidden_ALD[first_A]
        self.kept_NLD = kept_NLD
        if below == len(every):
            self.encodes = False
            return
        watched.remove()
        layers.keep(every[below:])
        self._hook = every[below].register_forward_pre_hook(self._enter, with_kwargs=True)
        some_A = torch.arange(len(last_NLD), device=kept_NLD.device)
        hidden_ALD, mask_AL = self._states(model, some_A)
        same = hidden_ALD - last_NLD[:, : hidden_ALD.shape[1]]
        if float((same * mask_AL[..., None]).abs().max()) > CLOSE:  # not such an encoder
            self._hook.remove()
            layers.keep(every)
            self.kept_NLD = None

    def _enter(self, _: nn.Module, args: tuple[Any, ...], others: dict[str, Any]) -> Any:
        """The kept states instead of what enters the first layer that is left."""
        if args:
            return (self._given_ALD, *args[1:]), others
        return args, {**others, "hidden_states": self._given_ALD}

    def _parts(self) -> Iterator[Tensor]:
        """All texts, those of like length together."""
        order_N = self.tokens.mask_NL.sum(1).argsort(stable=True)
        yield from torch.split(order_N, BATCH)

    def _some(self, id_A: Tensor) -> Tokens:
        """The tokens of these texts, padded no longer than the longest of them."""
        mask_AL = self.tokens.mask_NL[id_A]
        length = int(mask_AL.sum(1).max())
        return Tokens(self.tokens.id_NL[id_A, :length], mask_AL[:, :length])

    def _states(self, model: nn.Module, id_A: Tensor) -> tuple[Tensor, Tensor]:
        """The last states of these texts, and which of their tokens are real."""
        tokens = self._some(id_A)
        length = tokens.id_NL.shape[1]
        if self.kept_NLD is None:
            return _call(model, tokens), tokens.mask_NL
        self._given_ALD = self.kept_NLD[id_A, :length]
        if not self.encodes:
            return self._given_ALD, tokens.mask_NL
        return _call(model, tokens), tokens.mask_NL

    @property
    def num_texts(self) -> int:
        """N."""
        return len(self.tokens.id_NL)

    def vectors(self, id_A: Tensor) -> Tensor:
        """Vectors of these texts as the encoder now stands, (A, D0), with their gradient."""
        hidden_ALD, mask_AL = self._states(self.encoder, id_A)
        if self.pool is not None:
            found_AD: Tensor = self.pool(hidden_ALD, mask_AL)
            return found_AD
        return pooled(self.settings.pooling, hidden_ALD, mask_AL)

    @torch.no_grad()
    def all_vectors(self) -> Tensor:
        """Vectors of all texts, (N, D0)."""
        parts = list(self._parts())
        vectors_ND = torch.cat([self.vectors(part_A) for part_A in parts])
        return vectors_ND[torch.cat(parts).argsort()]

    def refreshed(self, vectors_ND: Tensor, met_x: Tensor, generator: torch.Generator) -> Tensor:
        """The table of vectors with some of the items met encoded again, with their gradient.

        Args:
            vectors_ND: of all items; the new vectors are kept in it as well, without gradient.
            met_x: item ids, each as often as it was met.
            generator: draws the items if there are more than `texts_per_step`; on the CPU.
        """
        id_A = torch.unique(met_x)
        if len(id_A) > self.settings.texts_per_step:
            drawn = torch.randperm(len(id_A), generator=generator)[: self.settings.texts_per_step]
            id_A = id_A[drawn.to(id_A.device)].sort().values
        new_AD = self.vectors(id_A)
        table_ND = vectors_ND.index_copy(0, id_A, new_AD)
        vectors_ND.index_copy_(0, id_A, new_AD.detach())
        return table_ND

    def penalty(self) -> Tensor | None:
        """What adalora adds to the loss; None: nothing."""
        return orthogonality(self.encoder)

    def after_step(self, step: int) -> None:
        """Let adalora share out its ranks, the gradients of this step still in place."""
        share_out(self.encoder, step)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights that learn."""
        if self.encodes:
            yield from trained_parameters(self.encoder)
        if self.pool is not None:
            yield from ((POOL + name, p) for name, p in self.pool.named_parameters())

    def frozen_hash(self) -> str:
        """Of the encoder's weights that do not learn: the same before and after."""
        return frozen_hash(self.encoder)

    def state_dict(self) -> dict[str, Tensor]:
        """What has been learned, and what adalora has measured."""
        learned = {name: parameter.detach() for name, parameter in self.named_parameters()}
        measured = allocator_state(self.encoder)
        return learned | {f"allocator.{name}": value for name, value in measured.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` gave."""
        for name, parameter in self.named_parameters():
            parameter.copy_(state[name])
        prefix = "allocator."
        measured = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        load_allocator(self.encoder, measured)

    def save(self, folder: Path) -> None:
        """Write what was learned, of which encoder it is, and its tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        tensors = {name: value.cpu().contiguous() for name, value in self.state_dict().items()}
        with atomic_path(folder / WEIGHTS) as path:
            save_file(tensors, path, metadata={"format": "pt"})
        about: dict[str, Any] = {"format": FORMAT, "status": "finished"}
        about |= {"settings": asdict(self.settings), "version": self.version}
        about |= {"sha256": sha256((folder / WEIGHTS).read_bytes()).hexdigest()}
        with atomic_path(folder / ABOUT) as path:
            path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, texts: Sequence[str], *, progress: bool = True) -> TunedEncoder:
        """The encoder that `save` wrote, on these texts; what it was tuned from may lie elsewhere.

        Raises:
            ValueError: if the pretrained encoder or what was learned is not as it was saved.
        """
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        settings = EncoderSettings(**about["settings"])
        if (folder / ENCODER).is_dir():
            settings = replace(settings, encoder=str(folder / ENCODER))
        found = cls(texts, settings, progress=progress)
        if found.version != about["version"]:
            raise ValueError(
                f"{folder} was tuned from version {about['version']} of "
                f"{found.settings.encoder!r}, which is of version {found.version} now; give the "
                "encoder that it was tuned from, or train again"
            )
        if sha256((folder / WEIGHTS).read_bytes()).hexdigest() != about["sha256"]:
            raise ValueError(f"{folder / WEIGHTS} was altered since it was saved; train again")
        found.load_state_dict(load_file(folder / WEIGHTS))
        return found


def _call(model: nn.Module, tokens: Tokens) -> Tensor:
    hidden_ALD: Tensor = model(
        input_ids=tokens.id_NL, attention_mask=tokens.mask_NL
    ).last_hidden_state
    return hidden_ALD


def _first(args: tuple[Any, ...], others: dict[str, Any]) -> Tensor:
    """The states that enter a layer."""
    found: Tensor = args[0] if args else others["hidden_states"]
    return found.detach()
