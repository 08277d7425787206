"""A pretrained encoder as `AutoModel` loads it: where it lies, which one it is, its layers."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.names import UsageError
from slategym.models.assets.registry import ASSETS, fetch
from slategym.models.checksums import sha256_of
from slategym.models.hashes import hash_of
from slategym.models.text.settings import DEFAULT_ENCODER

logger = logging.getLogger(__name__)

MAX_TOKENS = 64  # longer texts are cut; titles with genres have 10 to 30
MAX_UNKNOWN_RATE = 0.03  # of tokens; above it the encoder cannot read this language
# the same of tokens in words that are read letter by letter; MiniLM on a sentence each: English,
# German, French, Polish, Turkish, Finnish 0; Korean .33, Hindi .65, Greek .75, Japanese .78,
# Hebrew .80, Arabic .85, Russian .89
MAX_SPELLED_RATE = 0.25
SPELLED = 0.7  # tokens a letter of a word from which on it is so read
LEAST_LETTERS = 3  # of such a word
WEIGHTS = (".safetensors", ".bin")
READ = (".json", ".txt", ".model", *WEIGHTS)  # suffixes of what decides the vectors


class Tokens(NamedTuple):
    """Texts as an encoder reads them."""

    id_NL: Tensor  # int64, padded on the right
    mask_NL: Tensor  # int64, 1 where a token is real


class Met(NamedTuple):
    """What an encoder's tokenizer made of some texts."""

    tokens: int
    unknown: int  # of them the one that stands for what it does not know
    spelled: int  # of them in words that it has no larger part of than about a letter


class Layers(NamedTuple):
    """Where an encoder keeps its layers."""

    owner: nn.Module
    name: str

    @property
    def all(self) -> nn.ModuleList:
        """The layers, the lowest first."""
        found = getattr(self.owner, self.name)
        assert isinstance(found, nn.ModuleList)
        return found

    def keep(self, layers: Sequence[nn.Module]) -> None:
        """Make these the encoder's layers."""
        setattr(self.owner, self.name, nn.ModuleList(layers))


def find_encoder(encoder: str | Path, *, progress: bool = True) -> str | Path:
    """What `load_encoder` takes: the asset's folder, a folder, or a hub id as it is.

    Raises:
        UsageError: a path is given, and there is no folder, or one without an encoder in it.
    """
    if encoder == DEFAULT_ENCODER:
        return fetch(DEFAULT_ENCODER, progress=progress)
    folder, name = Path(encoder).expanduser(), os.fspath(encoder)
    if folder.is_dir():
        missing = [what for what, there in _needs(folder).items() if not there]
        if missing:
            raise UsageError(
                f"no text encoder at {name!r}: the folder lacks {' and '.join(missing)}; give one "
                "that save_pretrained wrote, tokenizer included, or a hub id"
            )
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise UsageError(f"no text encoder at {name!r}: no such folder, and no hub id")
    return name


def _needs(folder: Path) -> dict[str, bool]:
    names = {path.name for path in folder.iterdir()}
    return {
        "config.json": "config.json" in names,
        "weights (model.safetensors)": any(name.endswith(WEIGHTS) for name in names),
        "a tokenizer (tokenizer.json or vocab.txt)": any(
            name in names or name.endswith(".model") for name in ("tokenizer.json", "vocab.txt")
        )
        or any(name.endswith((".model", "vocab.json")) for name in names),
    }


def encoder_version(source: str | Path) -> str:
    """A hash of an encoder's files, or of a hub id: what a cache of its vectors is kept under.

    Args:
        source: the asset's name, which need not be here to be told; a folder; a hub id.
    """
    if source == DEFAULT_ENCODER:
        stated = ASSETS[DEFAULT_ENCODER].sources[0].files
        return hash_of({name: x for name, x in stated.items() if Path(name).suffix in READ})
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return sha256(str(source).encode()).hexdigest()[:16]
    files = sorted(folder.glob("*"))
    return hash_of({file.name: sha256_of(file) for file in files if file.suffix in READ})


def load_encoder(source: str | Path) -> tuple[Any, Any]:
    """Tokenizer and model in evaluation mode; a local folder never asks the network.

    Of an encoder with a decoder behind it (T5) the encoder alone; a tokenizer that pads nothing
    (GPT-2) pads with its end.

    Raises:
        UsageError: if the source is neither a folder nor a hub id with an encoder in it.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as bars

    local = Path(source).is_dir()
    name = os.fspath(source)
    had_bars = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()  # type: ignore[no-untyped-call]  # 0.1 s needs no bar
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        model = AutoModel.from_pretrained(name, local_files_only=local)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no text encoder at {name!r}: a local folder or a hub id that AutoModel loads is "
            f"needed ({str(error).splitlines()[0]})"
        ) from error
    finally:
        if had_bars:
            bars.enable_progress_bar()  # type: ignore[no-untyped-call]
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()


def layers_of(model: nn.Module) -> Layers:
    """The longest list of layers of one class in the model.

    Raises:
        UsageError: if it has none.
    """
    found: list[tuple[int, Layers]] = []
    for owner in model.modules():
        for name, child in owner.named_children():
            if isinstance(child, nn.ModuleList) and len({type(layer) for layer in child}) == 1:
                found.append((len(child), Layers(owner, name)))
    if not found:
        raise UsageError(
            f"{type(model).__name__} has no list of layers, so none can be tuned alone; "
            "take tuning 'frozen' or 'full'"
        )
    return max(found, key=lambda pair: pair[0])[1]


def tokenize(texts: Sequence[str], tokenizer: Any, source: str | Path) -> Tokens:
    """Texts as tokens, cut at MAX_TOKENS.

    Warns:
        UserWarning: if the encoder does not know the texts' language; see `warn_of_unknown`.
    """
    tokens = tokenizer(
        list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    warn_of_unknown([met(tokens, tokenizer)], source)
    return Tokens(tokens["input_ids"], tokens["attention_mask"])


def say_what_is_cut(count: int, total: int) -> None:
    """Tell the log how many texts are longer than what is read of them."""
    if count:
        logger.warning(
            "%d of %d texts have %d tokens or more: what comes after these is not read",
            count, total, MAX_TOKENS,
        )  # fmt: skip


def met(encoded: Any, tokenizer: Any) -> Met:
    """Count what a tokenizer gave for a list of texts.

    Args:
        encoded: from calling the tokenizer, as tensors.
        tokenizer: where it is not a fast one, it is not known which tokens make a word.
    """
    id_NL, mask_NL = encoded["input_ids"], encoded["attention_mask"]
    unknown_NL = (id_NL == tokenizer.unk_token_id) & (mask_NL > 0)
    spelled = sum(_spelled(text) for text in encoded.encodings or ())
    return Met(int(mask_NL.sum()), int(unknown_NL.sum()), spelled)


def _spelled(text: Any) -> int:
    """Tokens of one text in words that are read letter by letter."""
    words: dict[int, list[int]] = {}  # where each word begins and ends, and its tokens
    for word, (begin, end) in zip(text.word_ids, text.offsets, strict=True):
        if word is not None:
            first, _, count = words.get(word, (begin, end, 0))
            words[word] = [first, end, count + 1]
    return sum(
        count
        for begin, end, count in words.values()
        if end - begin >= LEAST_LETTERS and count >= SPELLED * (end - begin)
    )


def warn_of_unknown(parts: Sequence[Met], source: str | Path) -> None:
    """Warn if the encoder does not know the tokens, or spells words: another language, as a rule.

    Warns:
        UserWarning: more than 3 % of the tokens are unknown, or more than 25 % of words spelled.
    """
    total, unknown, spelled = (sum(counts) for counts in zip(*parts, strict=True))
    if unknown > MAX_UNKNOWN_RATE * total:
        told = f"{unknown / total:.0%} of the tokens of the item texts are unknown to {source}"
    elif spelled > MAX_SPELLED_RATE * total:
        told = f"{spelled / total:.0%} of the tokens of the item texts are letters to {source}"
    else:
        return
    warnings.warn(
        f"{told}: its vectors say little; choose an encoder of the texts' language", stacklevel=3
    )


def pooled(pooling: str, hidden_ALD: Tensor, mask_AL: Tensor) -> Tensor:
    """Token states as one vector of unit length a text, (A, D0).

    Args:
        pooling: "mean" or "cls".
        hidden_ALD: the encoder's last states.
        mask_AL: 1 where a token is real.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084, section 3 (MEAN and CLS pooling).
    """
    if pooling == "cls":
        return F.normalize(hidden_ALD[:, 0], dim=1)
    mean_AD = (hidden_ALD * mask_AL[..., None]).sum(1) / mask_AL.sum(1, keepdim=True)
    return F.normalize(mean_AD, dim=1)


class AttentionPool(nn.Module):
    """A weighting of a text's tokens, learned; it starts as their mean.

    Args:
        width: D0.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1)
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)

    def forward(self, hidden_ALD: Tensor, mask_AL: Tensor) -> Tensor:
        """One vector of unit length a text, (A, D0)."""
        logit_AL = self.query(hidden_ALD)[..., 0].masked_fill(mask_AL == 0, -torch.inf)
        return F.normalize((logit_AL.softmax(1)[..., None] * hidden_ALD).sum(1), dim=1)
