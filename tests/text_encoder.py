"""A small random text encoder. Importable by every test."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "toy", "story", "alien", "space", "film"]
DIGITS = [str(digit) for digit in range(10)]


def write_text_encoder(folder: Path, num_layers: int = 2) -> Path:
    """A BERT of width 16 that knows five words, and numbers up to nine, as save_pretrained has it.

    Args:
        folder: made if absent.
        num_layers: of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [*WORDS, *DIGITS, *(f"##{digit}" for digit in DIGITS)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    settings = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=num_layers,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(settings).save_pretrained(folder)
    return folder
