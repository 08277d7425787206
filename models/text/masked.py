"""A text encoder read into a catalogue's language: masked words of the item texts, guessed.

Done once, before anything else; what comes of it is an encoder's folder like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.envs.names import UsageError
from slategym.models.console import plain_console
from slategym.models.files import kept_path
from slategym.models.optimizers import AdamW
from slategym.models.text.encoder import (
    Tokens,
    encoder_version,
    find_encoder,
    load_encoder,
    tokenize,
)
from slategym.models.text.settings import EncoderSettings

MASKED = 0.15  # of the tokens
AS_MASK, AS_RANDOM = 0.8, 0.1  # of them; the others are left as they are, and guessed too
BATCH = 32  # texts
LEARNING_RATE = 5e-5
IGNORED = -100  # label of what is not guessed


class _Words(nn.Module):
    """From states to words: a layer, then the encoder's own word vectors.

    Args:
        width: of the states.
        of_words: of the word vectors, which Albert has narrower.
        num_words: W.
    """

    def __init__(self, width: int, of_words: int, num_words: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, of_words), nn.GELU(), nn.LayerNorm(of_words))
        self.bias = nn.Parameter(torch.zeros(num_words))

    def forward(self, hidden_ALD: Tensor, words_WD: Tensor) -> Tensor:
        """Logits of every word, (A, L, W)."""
        return F.linear(self.layer(hidden_ALD), words_WD, self.bias)


def adapted_encoder(
    texts: Sequence[str],
    source: str | Path,
    *,
    epochs: int,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """The encoder's folder after so many passes over the texts, made once.

    Args:
        texts: of the items.
        source: folder or hub id of the encoder.
        epochs: passes over the texts, at least 1.
        seed: decides masks and order.
        progress: whether to draw a bar on stderr.

    Raises:
        UsageError: the encoder has no token for what is masked.

    Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1, task 1.
    """

    def make(folder: Path) -> None:
        tokenizer, model = load_encoder(source)
        if tokenizer.mask_token_id is None:
            raise UsageError(
                f"{source} masks no words: its tokenizer has no mask token; leave "
                f"masked_epochs={epochs} out, or take an encoder of the kind of BERT"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            losses = _adapt(model, tokenizer, tokenize(texts, tokenizer, source), epochs, progress)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        lines = [f"{loss:.6f}\n" for loss in losses]
        (folder / "losses.tsv").write_text("".join(lines), encoding="utf-8")

    decides = [encoder_version(source), list(texts), epochs, seed, LEARNING_RATE, MASKED, BATCH]
    return kept_path("encoders/adapted", decides, make)


def adapted(text: EncoderSettings, texts: Sequence[str], *, progress: bool) -> EncoderSettings:
    """The settings with the adapted encoder's folder for the encoder, where one is asked for."""
    if not text.masked_epochs:
        return text
    source = find_encoder(text.encoder, progress=progress)
    folder = adapted_encoder(texts, source, epochs=text.masked_epochs, progress=progress)
    return replace(text, encoder=str(folder), masked_epochs=0)


def _adapt(model: Any, tokenizer: Any, tokens: Tokens, epochs: int, shown: bool) -> list[float]:
    """Train in place; mean loss by epoch, nats a guessed token."""
    words_WD = model.get_input_embeddings().weight
    guess = _Words(int(model.config.hidden_size), words_WD.shape[1], words_WD.shape[0])
    parameters = [*model.parameters(), *guess.parameters()]
    optimizer = AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    special = torch.tensor(sorted(tokenizer.all_special_ids))
    model.train()
    losses = []
    with Progress(console=plain_console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("reading the item texts", total=epochs * len(tokens.id_NL))
        for _ in range(epochs):
            total, guessed = 0.0, 0
            for part_A in torch.split(torch.randperm(len(tokens.id_NL)), BATCH):
                mask_AL = tokens.mask_NL[part_A]
                length = int(mask_AL.sum(1).max())
                id_AL, mask_AL = tokens.id_NL[part_A, :length], mask_AL[:, :length]
                shown_AL, label_AL = _masked(id_AL, special, tokenizer.mask_token_id, len(words_WD))
                hidden_ALD = model(input_ids=shown_AL, attention_mask=mask_AL).last_hidden_state
                logit_ALW = guess(hidden_ALD, words_WD)
                asked = int((label_AL != IGNORED).sum())
                bar.advance(task, len(part_A))
                if not asked:
                    continue
                loss = F.cross_entropy(logit_ALW.flatten(0, 1), label_AL.flatten())
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                total, guessed = total + float(loss.detach()) * asked, guessed + asked
            losses.append(total / max(guessed, 1))
    model.eval()
    return losses


def _masked(id_AL: Tensor, special: Tensor, mask_id: int, num_words: int) -> tuple[Tensor, Tensor]:
    """Tokens with some hidden, and what was there; IGNORED where nothing is asked."""
    chosen_AL = (torch.rand(id_AL.shape) < MASKED) & ~torch.isin(id_AL, special)
    how_AL = torch.rand(id_AL.shape)
    random_AL = torch.randint(num_words, id_AL.shape)
    shown_AL = torch.where(chosen_AL & (how_AL < AS_MASK), mask_id, id_AL)
    swapped_AL = chosen_AL & (how_AL >= AS_MASK) & (how_AL < AS_MASK + AS_RANDOM)
    shown_AL = torch.where(swapped_AL, random_AL, shown_AL)
    return shown_AL, torch.where(chosen_AL, id_AL, IGNORED)
