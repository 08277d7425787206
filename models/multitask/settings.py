"""The architecture of the multi-task BERT as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Count, Range, check_kinds, kinds_of_function
from slategym.models.multitask.chains import CHAINS
from slategym.models.multitask.sharing import SHARINGS
from slategym.models.text.settings import EncoderSettings

SEQUENCES = {
    "causal": "a BERT whose positions see what came before them; a step encodes one event",
    "gru": "a gated recurrent network; a step is one cell a layer",
    "cloze": "a BERT that sees both sides of what is asked; a step reads the window again",
}
RESIDUALS = {
    "always": "every item has one",
    "seen": "items with training rows have one, of others it is exactly 0",
    "none": "no item has one",
}
GRAPHS = {
    "none": "no vector by attributes",
    "spectral": "singular vectors of the links between items, topics and categories",
    "propagated": "random vectors of topics and categories, spread over those links",
}
MIXES = {"sum": "the sum of its parts", "gated": "each part through a gate that sees all parts"}


@dataclass(frozen=True)
class ItemSettings:
    """What makes an item's vector, beside the columns of the log."""

    text: bool = True  # the vector of its text
    residual: str = "always"  # of the item alone; in RESIDUALS
    graph: str = "none"  # vector by topics and categories; in GRAPHS
    media: str = ""  # file of vectors of images or sounds, computed elsewhere; "": none
    mix: str = "sum"  # in MIXES

    def __post_init__(self) -> None:
        check_kinds("items", vars(self), kinds_of_function(type(self)))
        lookup("residual", self.residual, RESIDUALS)
        lookup("graph", self.graph, GRAPHS)
        lookup("mix", self.mix, MIXES)
        if not self.text and self.residual == "none" and self.graph == "none" and not self.media:
            raise UsageError(
                "an item without text, residual, graph and media is nothing; leave text=False or "
                "residual='none' out"
            )


PARTS = {"text": EncoderSettings, "items": ItemSettings}  # settings of their own

WIDE: Mapping[str, str] = {
    "regression": "running statistics and a Bayesian regression of each user's values",
    "none": "nothing: the sequence alone",
}
PRIORS: Mapping[str, str] = {
    "cooccurrence": "fading sums of transitions and, where the catalogue allows it, EASE",
    "transitions": "fading sums of transitions",
    "none": "nothing: the sequence alone",
}


@dataclass(frozen=True)
class MultiTaskSettings:
    """The architecture, and nothing else."""

    width: Count = 64  # D
    num_layers: Annotated[int, Range(1, 1_000)] = 2
    num_heads: Count = 2
    feedforward: Count = 128  # width of the layers' inner activations
    max_history: Count = 45  # H, events the model can see
    dropout: float = 0.2  # probability
    wide: str = "regression"  # what values are read by beside the sequence; in WIDE
    prior: str = "cooccurrence"  # what clicks and next items are read by beside it; in PRIORS
    sequence: str = "causal"  # what reads the events; in SEQUENCES
    sharing: str = "shared-bottom"  # of the heads; in SHARINGS
    chain: str = "none"  # from one stage of the funnel to the next; in CHAINS
    text: EncoderSettings = field(default_factory=EncoderSettings)  # how item texts become vectors
    items: ItemSettings = field(default_factory=ItemSettings)  # what makes an item's vector

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> MultiTaskSettings:
        """What `asdict` gave."""
        parts = {name: kind(**values[name]) for name, kind in PARTS.items() if name in values}
        return MultiTaskSettings(**{**values, **parts})

    def __post_init__(self) -> None:
        check_kinds("the model", vars(self), kinds_of_function(type(self)))
        lookup("sequence", self.sequence, SEQUENCES)
        lookup("sharing", self.sharing, SHARINGS)
        lookup("chain", self.chain, CHAINS)
        lookup("wide part", self.wide, WIDE)
        lookup("prior", self.prior, PRIORS)
        if self.width % self.num_heads:
            raise ValueError(
                f"width must be a multiple of num_heads, got {self.width} and {self.num_heads}; "
                f"try width={self.num_heads * max(1, round(self.width / self.num_heads))}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a probability in [0, 1), got {self.dropout}")
