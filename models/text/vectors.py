"""Item texts as vectors, by a pretrained encoder that is not trained further. Computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor

from slategym.models.checksums import state_of
from slategym.models.console import plain_console
from slategym.models.files import home, kept_path
from slategym.models.text.encoder import (
    MAX_TOKENS,
    Met,
    encoder_version,
    find_encoder,
    load_encoder,
    met,
    pooled,
    say_what_is_cut,
    warn_of_unknown,
)
from slategym.models.text.settings import DEFAULT_ENCODER

BATCH = 64  # texts encoded together


def item_text_vectors(
    texts: Sequence[str],
    encoder: str | Path = DEFAULT_ENCODER,
    *,
    pooling: str = "mean",
    progress: bool = True,
) -> Tensor:
    """Pooled, L2-normalised vectors of texts, (N, D0), read from the cache where they are.

    Equal texts are encoded once, and a text that this encoder has met keeps its vector: of a
    catalogue that changed, only the texts that changed are encoded. Where all are met, the encoder
    itself is not needed.

    Args:
        texts: N of them.
        encoder: the asset's name, a local folder, or any hub id that AutoModel loads.
        pooling: "mean" or "cls".
        progress: whether to draw bars on stderr.

    Raises:
        UsageError: if there is no such encoder.

    Warns:
        UserWarning: if the encoder does not know the texts' language.
    """
    shelf = f"vectors/{encoder_version(encoder)}-{pooling}-{MAX_TOKENS}"

    def write(path: Path) -> None:
        hash_N2 = _hashes(texts)
        known = _known(home() / shelf)
        pairs = [tuple(pair) for pair in hash_N2.tolist()]
        text_of = dict(zip(pairs, texts, strict=True))  # equal texts are encoded once
        new = [pair for pair in text_of if pair not in known]
        if new:  # only now need the encoder be here
            source = find_encoder(encoder, progress=progress)
            asked = [text_of[pair] for pair in new]
            made_AD0 = encode(asked, source, pooling=pooling, progress=progress)
            known.update(zip(new, made_AD0, strict=True))
        found_ND0 = torch.stack([known[pair] for pair in pairs])
        save_file({"text_vectors_ND0": found_ND0, "hash_N2": hash_N2}, path)

    path = kept_path(f"{shelf}/texts.safetensors", list(texts), write)
    return load_file(path)["text_vectors_ND0"]


def _hashes(texts: Sequence[str]) -> Tensor:
    """128 bits of each text's hash, (N, 2) int64."""
    digests = b"".join(sha256(text.encode()).digest()[:16] for text in texts)
    return torch.frombuffer(bytearray(digests), dtype=torch.int64).view(-1, 2).clone()


def _known(shelf: Path) -> dict[tuple[int, ...], Tensor]:
    """Vectors of every text that this encoder has met, by the text's hash."""
    known: dict[tuple[int, ...], Tensor] = {}
    for file in sorted(shelf.glob("texts-*.safetensors")):
        if state_of(file) == "damaged":
            continue
        tensors = load_file(file)
        pairs = map(tuple, tensors["hash_N2"].tolist())
        known |= dict(zip(pairs, tensors["text_vectors_ND0"], strict=True))
    return known


@torch.no_grad()
def encode(
    texts: Sequence[str], source: str | Path, *, pooling: str = "mean", progress: bool = True
) -> Tensor:
    """Encode texts, (N, D0) float32: pooled over tokens, then unit length.

    Args:
        texts: N of them.
        source: a local folder or hub id.
        pooling: "mean" or "cls".
        progress: whether to draw a bar on stderr.

    Raises:
        UsageError: if the source is neither a folder nor a hub id with an encoder in it.
    """
    tokenizer, model = load_encoder(source)
    parts: list[Met] = []
    full = 0
    # texts of like length together: padding costs as much as words
    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
    vectors: list[Tensor] = [torch.empty(0)] * len(texts)
    with Progress(console=plain_console(stderr=True), disable=not progress) as bar:
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
            parts.append(met(tokens, tokenizer))
            full += int((mask_BL.sum(1) >= MAX_TOKENS).sum())
            hidden_BLD = model(**tokens).last_hidden_state
            for n, vector in zip(part, pooled(pooling, hidden_BLD, mask_BL), strict=True):
                vectors[n] = vector
            bar.advance(task, len(part))
    warn_of_unknown(parts, source)
    say_what_is_cut(full, len(texts))
    return torch.stack(vectors).float()


def _parts(order: list[int]) -> Iterator[list[int]]:
    for begin in range(0, len(order), BATCH):
        yield order[begin : begin + BATCH]
