"""BERT over vectors instead of words: parameters, start and arithmetic of transformers' BertModel.

Importing transformers takes seconds, in every process that makes a network, and of BertModel these
few layers are needed alone. A test holds the two against each other: weights of a seed, outputs and
a training step are equal bit for bit.

Source: Devlin et al. 2019, arXiv:1810.04805; LayerNorm after each sum, as in Vaswani et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.models.multitask.settings import MultiTaskSettings

EPSILON = 1e-12  # of every LayerNorm
START_STD = 0.02  # of every weight


class Bert(nn.Module):
    """Vectors with positions, then layers of attention; starts from torch's global generator.

    Args:
        settings: the architecture.
        causal: whether a position sees itself and those before it alone.
    """

    def __init__(self, settings: MultiTaskSettings, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        word_1D = torch.empty(1, settings.width).normal_()  # BertModel draws a table of one word
        self.embeddings = Embeddings(settings, num_positions=settings.max_history + 2 - causal)
        self.encoder = Encoder(settings)
        word_1D.normal_()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=START_STD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, tokens_BSD: Tensor, seen_BS: Tensor | None = None) -> tuple[Tensor, ...]:
        """The first layer's input and every layer's output, each (B, S, D).

        Args:
            tokens_BSD: of positions 0 to S - 1.
            seen_BS: False where no position looks; None: every position is seen.
        """
        mask_BSS = self._mask(seen_BS, tokens_BSD.shape[1])
        place_1S = torch.arange(tokens_BSD.shape[1], device=tokens_BSD.device)[None]
        states = [self.embeddings(tokens_BSD, place_1S)]
        for layer in self.encoder.layer:
            states.append(layer(states[-1], mask_BSS, self.causal))
        return tuple(states)

    def _mask(self, seen_BS: Tensor | None, S: int) -> Tensor | None:
        """Where a position looks, (B, S, S); None where torch's own kernels know it.

        A graph that is being recorded keeps the mask, as it must not depend on its values.
        """
        if seen_BS is None:
            return None
        recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        if not recorded and bool(seen_BS.all()):
            return None
        mask_BSS = seen_BS[:, None].expand(-1, S, -1)
        if self.causal:
            mask_BSS = mask_BSS & seen_BS.new_ones(S, S).tril()
        return mask_BSS


class Embeddings(nn.Module):
    """Adds the vector of each position, and one vector that is the same everywhere."""

    def __init__(self, settings: MultiTaskSettings, num_positions: int) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(num_positions, settings.width)
        self.token_type_embeddings = nn.Embedding(1, settings.width)
        self.LayerNorm = nn.LayerNorm(settings.width, eps=EPSILON)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, tokens_BSD: Tensor, place_xS: Tensor) -> Tensor:
        """The first layer's input, (B, S, D).

        Args:
            tokens_BSD: without positions.
            place_xS: positions, (1, S) or (B, S).
        """
        kind_BS = place_xS.new_zeros(1, 1).expand(tokens_BSD.shape[:2])
        tokens_BSD = tokens_BSD + self.token_type_embeddings(kind_BS)
        tokens_BSD = tokens_BSD + self.position_embeddings(place_xS)
        dropped_BSD: Tensor = self.dropout(self.LayerNorm(tokens_BSD))
        return dropped_BSD


class Encoder(nn.Module):
    """The layers, one after another."""

    def __init__(self, settings: MultiTaskSettings) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(settings) for _ in range(settings.num_layers))


class BertLayer(nn.Module):
    """Attention, then a feed-forward network at every position."""

    def __init__(self, settings: MultiTaskSettings) -> None:
        super().__init__()
        self.attention = Attention(settings)
        self.intermediate = Intermediate(settings)
        self.output = Output(settings.feedforward, settings)

    def forward(self, x_BSD: Tensor, mask_BSS: Tensor | None, causal: bool) -> Tensor:
        """(B, S, D), of the same; causal: whether no mask means to see earlier positions alone."""
        x_BSD = self.attention(x_BSD, mask_BSS, causal)
        out_BSD: Tensor = self.output(self.intermediate(x_BSD), x_BSD)
        return out_BSD


class Attention(nn.Module):
    """Every position looks at others; what it finds is added to it."""

    def __init__(self, settings: MultiTaskSettings) -> None:
        super().__init__()
        self.self = SelfAttention(settings)
        self.output = Output(settings.width, settings)

    def forward(self, x_BSD: Tensor, mask_BSS: Tensor | None, causal: bool) -> Tensor:
        """(B, S, D), of the same."""
        out_BSD: Tensor = self.output(self.self(x_BSD, mask_BSS, causal), x_BSD)
        return out_BSD


class SelfAttention(nn.Module):
    """Scaled dot products of several heads, H of width E = D / H."""

    def __init__(self, settings: MultiTaskSettings) -> None:
        super().__init__()
        width = settings.width
        self.num_heads, self.dropout = settings.num_heads, settings.dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x_BSD: Tensor, mask_BSS: Tensor | None, causal: bool) -> Tensor:
        """What each position finds, (B, S, D)."""
        heads = (*x_BSD.shape[:-1], self.num_heads, -1)
        found_BHSE = F.scaled_dot_product_attention(
            self.query(x_BSD).view(heads).transpose(1, 2),
            self.key(x_BSD).view(heads).transpose(1, 2),
            self.value(x_BSD).view(heads).transpose(1, 2),
            attn_mask=None if mask_BSS is None else mask_BSS[:, None],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal and mask_BSS is None,
        )
        return found_BHSE.transpose(1, 2).flatten(2)


class Intermediate(nn.Module):
    """The wide half of the feed-forward network."""

    def __init__(self, settings: MultiTaskSettings) -> None:
        super().__init__()
        self.dense = nn.Linear(settings.width, settings.feedforward)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Its activations, (B, S, feedforward)."""
        return F.gelu(self.dense(x_BSD))


class Output(nn.Module):
    """Back to the network's width, added to what was there."""

    def __init__(self, size: int, settings: MultiTaskSettings) -> None:
        super().__init__()
        self.dense = nn.Linear(size, settings.width)
        self.LayerNorm = nn.LayerNorm(settings.width, eps=EPSILON)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x_BSX: Tensor, before_BSD: Tensor) -> Tensor:
        """(B, S, D)."""
        out_BSD: Tensor = self.LayerNorm(self.dropout(self.dense(x_BSX)) + before_BSD)
        return out_BSD
