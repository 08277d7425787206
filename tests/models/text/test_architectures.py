"""Encoders of many kinds are read and tuned in every way: small random ones, by AutoModel."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
import transformers
from text_encoder import write_text_encoder

from slategym.envs.names import UsageError
from slategym.models.text.masked import adapted_encoder
from slategym.models.text.settings import TUNINGS, EncoderSettings
from slategym.models.text.tuned import TunedEncoder
from slategym.models.text.vectors import encode

TEXTS = ["toy story 1", "alien film 2", "space toy 3"]
USUAL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PADDED = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
KINDS = {
    "Albert": {**USUAL, "embedding_size": 8},  # one layer, used again
    "DebertaV2": USUAL | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "Electra": {**USUAL, "embedding_size": 16},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, **PADDED},  # pads nothing
    "MPNet": USUAL | PADDED,
    "ModernBert": USUAL | PADDED | {"cls_token_id": 2, "sep_token_id": 3},
    "Roberta": USUAL | PADDED | {"max_position_embeddings": 80},  # peft knows its pooler by name
    "T5": {"d_model": 16, "d_kv": 8, "num_layers": 2, "num_heads": 2, "d_ff": 32},  # has a decoder
}
NO_TYPES = ("DistilBert", "GPT2", "MPNet", "ModernBert", "Roberta", "T5")


@pytest.fixture(params=KINDS)
def encoder_of_a_kind(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A random encoder of two layers, with the words of `text_encoder`."""
    kind, folder = request.param, write_text_encoder(tmp_path / "encoder")
    size = len((folder / "vocab.txt").read_text().split("\n"))
    settings = getattr(transformers, f"{kind}Config")(vocab_size=size, **KINDS[kind])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        getattr(transformers, f"{kind}Model")(settings).save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    told = json.loads(path.read_text())
    if kind in NO_TYPES:
        told["model_input_names"] = ["input_ids", "attention_mask"]
    if kind == "GPT2":
        told |= {"pad_token": None, "eos_token": "[SEP]"}
    path.write_text(json.dumps(told))
    return folder


def test_every_kind_is_read_and_tuned(encoder_of_a_kind: Path) -> None:
    vectors_AD = encode(TEXTS, encoder_of_a_kind, progress=False)
    assert vectors_AD.shape == (3, 16) and bool(vectors_AD.isfinite().all())
    torch.testing.assert_close(  # padding changes nothing
        encode([*TEXTS, "toy " * 12], encoder_of_a_kind, progress=False)[:3], vectors_AD
    )
    for tuning in TUNINGS.keys() - {"frozen"}:
        settings = EncoderSettings(str(encoder_of_a_kind), tuning=tuning, learning_rate=0.01)
        model = TunedEncoder(TEXTS, settings, steps=8, progress=False)
        torch.testing.assert_close(model.all_vectors(), vectors_AD, msg=tuning)
        frozen = model.frozen_hash()
        optimizer = torch.optim.Adam([p for _, p in model.named_parameters()], lr=0.02)
        for step in range(6):
            moved_AD = model.vectors(torch.tensor([0, 1]))
            loss, penalty = (moved_AD[0] * moved_AD[1]).sum(), model.penalty()
            optimizer.zero_grad()
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
            model.after_step(step + 1)
        assert not torch.equal(model.all_vectors(), vectors_AD), tuning
        assert model.frozen_hash() == frozen, tuning


def test_every_kind_that_masks_words_is_adapted(encoder_of_a_kind: Path) -> None:
    vectors_AD = encode(TEXTS, encoder_of_a_kind, progress=False)
    folder = adapted_encoder(TEXTS * 9, encoder_of_a_kind, epochs=1, progress=False)
    assert not torch.allclose(encode(TEXTS, folder, progress=False), vectors_AD)


def test_an_encoder_without_a_token_for_what_is_masked_is_refused(encoder: Path, tmp_path) -> None:
    copytree(encoder, tmp_path / "unmasked")
    path = tmp_path / "unmasked" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": None}))
    with pytest.raises(UsageError, match="has no mask token; leave masked_epochs=1 out"):
        adapted_encoder(TEXTS, tmp_path / "unmasked", epochs=1, progress=False)
