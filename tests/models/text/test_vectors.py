import warnings

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from slategym.models.text import vectors as text
from slategym.models.text.vectors import encode, encoder_version, item_text_vectors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "toy", "story", "alien", "space", "film"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A random BERT of two layers that knows five words."""
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    settings = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(settings).save_pretrained(folder)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    return tmp_path


def test_vectors_are_the_mean_over_real_tokens_at_unit_length(encoder):
    texts = ["toy story", "alien", "toy toy toy film space alien"]
    vectors_ND = encode(texts, encoder, progress=False)
    torch.testing.assert_close(vectors_ND.norm(dim=1), torch.ones(3))
    model = BertModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        ids = torch.tensor([[2, 5, 6, 3]])  # [CLS] toy story [SEP]
        mean_D = model(input_ids=ids).last_hidden_state[0].mean(0)
    torch.testing.assert_close(vectors_ND[0], mean_D / mean_D.norm(), atol=1e-5, rtol=0)
    alone = encode(["alien"], encoder, progress=False)
    torch.testing.assert_close(vectors_ND[1], alone[0], atol=1e-5, rtol=0)


def test_vectors_are_computed_once(encoder, home, monkeypatch):
    texts = ["toy story", "alien"]
    first = item_text_vectors(texts, encoder, progress=False)
    assert len(list((home / "vectors").iterdir())) == 1
    monkeypatch.setattr(text, "encode", lambda *a, **k: pytest.fail("encoded again"))
    assert torch.equal(item_text_vectors(texts, encoder, progress=False), first)


def test_other_texts_are_other_vectors(encoder, home):
    first = item_text_vectors(["toy"], encoder, progress=False)
    second = item_text_vectors(["alien"], encoder, progress=False)
    assert len(list((home / "vectors").iterdir())) == 2
    assert not torch.equal(first, second)


def test_another_encoder_is_another_version(encoder, tmp_path):
    before = encoder_version(encoder)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in encoder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert encoder_version(copy) == before
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert encoder_version(copy) != before
    assert encoder_version("some/hub-id") != encoder_version("other/hub-id")


def test_a_language_that_the_encoder_cannot_read_is_warned_of(encoder):
    with pytest.warns(UserWarning, match=r"% of the tokens .* are unknown"):
        encode(["玩具总动员 2", "toy"], encoder, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(["toy story film"], encoder, progress=False)


def test_no_encoder_is_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no text encoder at .*empty"):
        encode(["toy"], tmp_path / "empty", progress=False)
