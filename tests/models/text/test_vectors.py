import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from transformers import BertModel

from slategym.models.assets.registry import ASSETS
from slategym.models.assets.sources import Site
from slategym.models.checksums import sha256_of
from slategym.models.text import vectors as text
from slategym.models.text.encoder import READ, encoder_version
from slategym.models.text.settings import DEFAULT_ENCODER
from slategym.models.text.vectors import encode, item_text_vectors


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
    assert len(list((home / "vectors").glob("*/*.safetensors"))) == 1
    monkeypatch.setattr(text, "encode", lambda *a, **k: pytest.fail("encoded again"))
    assert torch.equal(item_text_vectors(texts, encoder, progress=False), first)


def test_other_texts_are_other_vectors(encoder, home):
    first = item_text_vectors(["toy"], encoder, progress=False)
    second = item_text_vectors(["alien"], encoder, progress=False)
    assert len(list((home / "vectors").glob("*/*.safetensors"))) == 2
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
        encode(["toy story film", "toy 12 film 9"], encoder, progress=False)


def test_words_that_are_read_letter_by_letter_are_warned_of(encoder):
    # as MiniLM reads Russian or Arabic: it has their letters, and none of their words
    with pytest.warns(UserWarning, match=r"^71% of the tokens of the item texts are letters to"):
        encode(["98765 43210 toy film"], encoder, progress=False)  # 10 of 14, its ends among them


def test_no_encoder_is_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no text encoder at .*empty"):
        encode(["toy"], tmp_path / "empty", progress=False)


def test_the_asset_is_not_wanted_where_every_text_is_known(encoder, home, monkeypatch):
    copy = home / "assets" / DEFAULT_ENCODER
    copy.mkdir(parents=True)
    for file in encoder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    hashes = {file.name: sha256_of(file) for file in copy.iterdir() if file.suffix in READ}
    asset = ASSETS[DEFAULT_ENCODER]
    sources = (Site("http://127.0.0.1:9/", hashes),)  # nobody is there
    monkeypatch.setitem(ASSETS, DEFAULT_ENCODER, replace(asset, sources=sources))
    assert encoder_version(DEFAULT_ENCODER) == encoder_version(copy)
    first = item_text_vectors(["toy", "alien"], progress=False)
    shutil.rmtree(copy)
    assert torch.equal(item_text_vectors(["toy", "alien"], progress=False), first)
    assert torch.equal(item_text_vectors(["alien"], progress=False), first[1:])
    with pytest.raises(OSError, match=f"could not fetch {DEFAULT_ENCODER}"):
        item_text_vectors(["film"], progress=False)


def test_only_texts_that_changed_are_encoded(encoder, home, monkeypatch):
    first = item_text_vectors(["toy", "alien", "toy story"], encoder, progress=False)
    asked, whole = [], text.encode
    monkeypatch.setattr(text, "encode", lambda t, *a, **k: asked.append(t) or whole(t, *a, **k))
    second = item_text_vectors(["alien", "film", "toy"], encoder, progress=False)
    assert asked == [["film"]]
    assert torch.equal(second[[0, 2]], first[[1, 0]])
    item_text_vectors(["alien"], encoder, pooling="cls", progress=False)
    assert asked[1:] == [["alien"]]  # other pooling, other vectors


def test_equal_texts_are_encoded_once(encoder, home, monkeypatch):
    asked, whole = [], text.encode
    monkeypatch.setattr(text, "encode", lambda t, *a, **k: asked.append(t) or whole(t, *a, **k))
    found = item_text_vectors(["toy", "alien", "toy", "toy"], encoder, progress=False)
    assert asked == [["toy", "alien"]]
    assert torch.equal(found[[0, 0, 1]], found[[2, 3, 1]]) and not torch.equal(found[0], found[1])


def test_cls_pooling_is_the_first_token(encoder):
    model = BertModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        state_D = model(input_ids=torch.tensor([[2, 7, 3]])).last_hidden_state[0, 0]
    found = encode(["alien"], encoder, pooling="cls", progress=False)[0]
    torch.testing.assert_close(found, state_D / state_D.norm(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), r"lacks config.json and weights .* and a tokenizer"),
        (("config.json", "tokenizer.json"), r"lacks weights"),
        (("config.json", "model.safetensors"), r"lacks a tokenizer"),
    ],
)
def test_a_folder_that_is_no_encoder_says_what_it_lacks(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=message):
        item_text_vectors(["toy"], tmp_path, progress=False)


def test_a_path_without_a_folder_is_not_asked_of_the_hub():
    with pytest.raises(ValueError, match="no such folder"):
        item_text_vectors(["toy"], "./nowhere", progress=False)


def test_a_text_of_ten_thousand_words_is_cut_and_that_is_said(encoder, caplog):
    start = ["toy", "film", "space"] * 40
    texts = [" ".join(start), " ".join([*start, *["alien"] * 10_000]), "toy"]
    with caplog.at_level("WARNING"):
        vectors_ND = encode(texts, encoder, progress=False)
    assert "2 of 3 texts have 64 tokens or more: what comes after these is not read" in caplog.text
    assert torch.equal(vectors_ND[0], vectors_ND[1]) and bool(vectors_ND.isfinite().all())
    caplog.clear()
    encode(["toy"], encoder, progress=False)
    assert not caplog.text
