"""Item texts as vectors, by a pretrained BERT that is not trained further. Computed once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from slategym.models.assets.registry import fetch
from slategym.models.files import kept_path

DEFAULT_ENCODER = "all-minilm-l6-v2"  # an asset
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"  # the same on the hub
BATCH = 64  # texts encoded together
MAX_TOKENS = 64  # longer texts are cut; titles with genres have 10 to 30
MAX_UNKNOWN_RATE = 0.03  # of tokens; above it the encoder cannot read this language


def item_text_vectors(
    texts: Sequence[str], encoder: str | Path = DEFAULT_ENCODER, *, progress: bool = True
) -> Tensor:
    """Mean-pooled, L2-normalised vectors of texts, (N, D0), read from the cache where they are.

    Args:
        texts: N of them.
        encoder: the asset's name, a local folder, or any hub id that AutoModel loads.
        progress: whether to draw bars on stderr.

    Warns:
        UserWarning: if more than 3 % of the tokens are unknown to the encoder.
    """
    source = fetch(DEFAULT_ENCODER, progress=progress) if encoder == DEFAULT_ENCODER else encoder

    def write(path: Path) -> None:
        save_file({"text_vectors_ND0": encode(texts, source, progress=progress)}, path)

    decides = [encoder_version(source), list(texts), MAX_TOKENS]
    path = kept_path("vectors/texts.safetensors", decides, write)
    return load_file(path)["text_vectors_ND0"]


def encoder_version(source: str | Path) -> str:
    """A hash of a local folder's files, or of a hub id: what a cache of its vectors is kept under.

    Args:
        source: folder or hub id.
    """
    folder = Path(source)
    if not folder.is_dir():
        return sha256(str(source).encode()).hexdigest()[:16]
    digest = sha256()
    for file in sorted(folder.glob("*")):
        if file.suffix in {".json", ".txt", ".model"}:
            digest.update(file.name.encode() + file.read_bytes())
        elif file.suffix in {".safetensors", ".bin"}:
            with file.open("rb") as weights:
                weights_hash = file_digest(weights, "sha256").digest()
            digest.update(file.name.encode() + weights_hash)
    return digest.hexdigest()[:16]


@torch.no_grad()
def encode(texts: Sequence[str], source: str | Path, *, progress: bool = True) -> Tensor:
    """Encode texts, (N, D0) float32: mean over real tokens, then unit length.

    Args:
        texts: N of them.
        source: a local folder or hub id.
        progress: whether to draw a bar on stderr.

    Raises:
        ValueError: if the source is neither a folder nor a hub id with an encoder in it.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084, section 3 (MEAN pooling).
    """
    tokenizer, model = _load_encoder(source)
    unknown = total = 0
    # texts of like length together: padding costs as much as words
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    vectors: list[Tensor] = [torch.empty(0)] * len(texts)
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("item texts", total=len(texts))
        for part in _parts(order):
            tokens = tokenizer(
                [texts[n] for n in part],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            mask_BL = tokens["attention_mask"]
            real_BL = mask_BL.bool()
            unknown += int((tokens["input_ids"] == tokenizer.unk_token_id)[real_BL].sum())
            total += int(mask_BL.sum())
            hidden_BLD = model(**tokens).last_hidden_state
            mean_BD = (hidden_BLD * mask_BL[..., None]).sum(1) / mask_BL.sum(1, keepdim=True)
            for n, vector in zip(part, F.normalize(mean_BD, dim=1), strict=True):
                vectors[n] = vector
            bar.advance(task, len(part))
    if unknown > MAX_UNKNOWN_RATE * total:
        warnings.warn(
            f"{unknown / total:.0%} of the tokens of the item texts are unknown to {source}: "
            "its vectors say little; choose an encoder of the texts' language",
            stacklevel=2,
        )
    return torch.stack(vectors).float()


def _parts(order: list[int]) -> Iterator[list[int]]:
    for begin in range(0, len(order), BATCH):
        yield order[begin : begin + BATCH]


def _load_encoder(source: str | Path) -> tuple[Any, Any]:
    """Tokenizer and model in evaluation mode; a local folder never asks the network."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    local = Path(source).is_dir()
    name = os.fspath(source)
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # 0.1 s needs no bar
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        model = AutoModel.from_pretrained(name, local_files_only=local)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no text encoder at {name!r}: a local folder or a hub id that AutoModel loads is "
            f"needed ({str(error).splitlines()[0]})"
        ) from error
    finally:
        if had_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return tokenizer, model.eval()
