"""How item texts become vectors: which encoder, how its tokens are pooled, what of it is tuned."""

from __future__ import annotations

from dataclasses import dataclass

from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import check_kinds, kinds_of_function

DEFAULT_ENCODER = "all-minilm-l6-v2"  # an asset
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"  # the same on the hub
POOLINGS = {
    "mean": "the mean over real tokens",
    "cls": "the first token",
    "attention": "a learned weighting of the tokens, which starts as their mean",
}
TUNINGS = {
    "frozen": "nothing of the encoder",
    "top-layers": "all weights of its top layers",
    "lora": "low-rank updates of queries and values",
    "adalora": "the same, the ranks shared out among the layers as training goes on",
    "adapter": "a bottleneck after each layer",
    "full": "all weights",
}
GENTLE, BRISK = 2e-5, 5e-4  # learning rates of pretrained and of new weights


@dataclass(frozen=True)
class EncoderSettings:
    """The text side of the item vectors.

    What is tuned, is tuned inside the joint loss: at every step some texts of the batch's items are
    encoded again; the others keep the vectors of the last time.
    """

    encoder: str = DEFAULT_ENCODER  # an asset's name, a local folder, or a hub id of AutoModel
    pooling: str = "mean"  # in POOLINGS
    tuning: str = "frozen"  # in TUNINGS
    layers: int | None = None  # from the top, to tune; None: 1 of top-layers, else all
    rank: int = 8  # of lora; at most on average of adalora
    bottleneck: int = 32  # width of the adapters
    learning_rate: float | None = None  # None: 2e-5 of pretrained weights, 5e-4 of new ones
    texts_per_step: int = 32  # encoded again at each step, at most
    masked_epochs: int = 0  # over the item texts, of masked-language adaptation before all else

    def __post_init__(self) -> None:
        check_kinds("text", vars(self), kinds_of_function(type(self)))
        lookup("pooling", self.pooling, POOLINGS)
        lookup("tuning", self.tuning, TUNINGS)
        if self.layers is not None and self.tuning in ("frozen", "full"):
            raise UsageError(
                f"layers says how many of the top layers are tuned, and tuning {self.tuning!r} "
                f"leaves nothing to choose; leave layers={self.layers} out, or take 'top-layers'"
            )
        if self.layers is not None and self.layers < 1:
            raise UsageError(f"layers must be at least 1, got {self.layers}")
        if min(self.rank, self.bottleneck, self.texts_per_step) < 1 or self.masked_epochs < 0:
            raise UsageError(
                "rank, bottleneck and texts_per_step must be at least 1 and masked_epochs at least "
                f"0, got {self.rank}, {self.bottleneck}, {self.texts_per_step}, "
                f"{self.masked_epochs}"
            )

    @property
    def learns(self) -> bool:
        """Whether anything of the text side is trained with the network."""
        return self.tuning != "frozen" or self.pooling == "attention"

    @property
    def rate(self) -> float:
        """The learning rate of what is tuned."""
        if self.learning_rate is not None:
            return self.learning_rate
        return GENTLE if self.tuning in ("top-layers", "full") else BRISK
