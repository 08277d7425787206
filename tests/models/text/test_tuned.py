"""An encoder that learns: which weights move, what is kept, what a run may rely on."""

import pytest
import torch
from transformers import BertModel

from slategym.envs.names import UsageError
from slategym.models.text.settings import TUNINGS, EncoderSettings
from slategym.models.text.tuned import TunedEncoder
from slategym.models.text.vectors import encode

TEXTS = ["toy story", "alien", "toy toy toy film space alien", "space film", "film"]
MODES = [mode for mode in TUNINGS if mode != "frozen"]


def tuned(encoder, tuning="lora", texts=TEXTS, **others):
    rate = {"learning_rate": 0.01, **others}
    settings = EncoderSettings(str(encoder), tuning=tuning, **rate)
    return TunedEncoder(texts, settings, steps=20, progress=False)


def learn(model, steps=6, start=0, rule=torch.optim.SGD):
    """Pull the first text's vector away from the second's."""
    parameters = [parameter for _, parameter in model.named_parameters()]
    optimizer = rule(parameters, lr=0.2 if rule is torch.optim.SGD else 0.02)
    for step in range(start, start + steps):
        vectors_AD = model.vectors(torch.tensor([0, 1]))
        loss = (vectors_AD[0] * vectors_AD[1]).sum()
        penalty = model.penalty()
        optimizer.zero_grad()
        (loss if penalty is None else loss + penalty).backward()
        optimizer.step()
        model.after_step(step + 1)
    return float(loss.detach())


@pytest.mark.parametrize("tuning", MODES)
def test_it_learns_and_frozen_weights_keep_their_hash(encoder, tuning):
    model = tuned(encoder, tuning)
    frozen, before = model.frozen_hash(), model.all_vectors()
    torch.testing.assert_close(before, encode(TEXTS, encoder, progress=False))  # starts as it was
    first = float((before[0] * before[1]).sum())
    assert learn(model, 20, rule=torch.optim.Adam) < first - 0.01
    assert model.frozen_hash() == frozen
    assert not torch.equal(model.all_vectors(), before)


def test_what_learns_is_what_the_name_says(encoder):
    def names(tuning, **others):
        return {name for name, _ in tuned(encoder, tuning, **others).named_parameters()}

    assert len(names("full")) == len(dict(BertModel.from_pretrained(encoder).named_parameters()))
    assert all(".layer.0." in name for name in names("top-layers"))  # the lower is left out
    assert all("lora_" in name for name in names("lora") | names("adalora"))
    assert all("down" in name or "up" in name for name in names("adapter"))
    assert len(names("lora")) == 2 * len(names("lora", layers=1))
    assert names("frozen", pooling="attention") == {"pool.query.weight", "pool.query.bias"}


@pytest.mark.parametrize("tuning", ["top-layers", "lora", "adapter"])
def test_layers_below_are_computed_once_and_exactly(encoder, tuning):
    model = tuned(encoder, tuning, layers=1)
    assert model.kept_NLD is not None
    assert len(model.encoder.base_model.encoder.layer if tuning == "top-layers" else [0]) == 1
    torch.testing.assert_close(model.all_vectors(), encode(TEXTS, encoder, progress=False))


def test_the_whole_encoder_runs_where_its_layers_cannot_be_cut(encoder, monkeypatch):
    monkeypatch.setattr("slategym.models.text.tuned.CLOSE", -1.0)
    model = tuned(encoder, "top-layers")
    assert model.kept_NLD is None
    torch.testing.assert_close(model.all_vectors(), encode(TEXTS, encoder, progress=False))
    frozen = model.frozen_hash()
    learn(model)
    assert model.frozen_hash() == frozen


@pytest.mark.parametrize("tuning", [*MODES, "frozen"])
def test_what_was_learned_comes_back(encoder, tuning, tmp_path):
    pooling = "attention" if tuning == "frozen" else "mean"
    model = tuned(encoder, tuning, pooling=pooling)
    learn(model, 8)
    model.save(tmp_path)
    again = TunedEncoder.load(tmp_path, TEXTS, progress=False)
    assert torch.equal(model.all_vectors(), again.all_vectors())


@pytest.mark.parametrize("tuning", ["lora", "adalora"])
def test_learning_goes_on_as_if_nothing_had_happened(encoder, tuning):
    whole = tuned(encoder, tuning)
    learn(whole, 16)
    first = tuned(encoder, tuning)
    learn(first, 8)
    second = tuned(encoder, tuning)
    second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
    learn(second, 8, start=8)
    assert torch.equal(whole.all_vectors(), second.all_vectors())


def test_altered_weights_are_refused(encoder, tmp_path):
    tuned(encoder).save(tmp_path)
    content = bytearray((tmp_path / "tuned.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "tuned.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="was altered"):
        TunedEncoder.load(tmp_path, TEXTS, progress=False)


def test_some_texts_are_encoded_again_and_the_table_keeps_them(encoder):
    model = tuned(encoder, texts_per_step=2)
    table_ND = torch.zeros(5, 16)
    found_ND = model.refreshed(table_ND, torch.tensor([4, 1, 1, 0]), torch.Generator())
    changed = (table_ND != 0).any(1).nonzero()[:, 0].tolist()
    assert len(changed) == 2 and set(changed) <= {0, 1, 4}
    assert torch.equal(found_ND, table_ND) and found_ND.requires_grad
    torch.testing.assert_close(table_ND[changed], model.all_vectors()[changed])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuning": "lroa"}, "did you mean 'lora'"),
        ({"pooling": "means"}, "did you mean 'mean'"),
        ({"tuning": "full", "layers": 1}, "layers says"),
        ({"tuning": "lora", "layers": 0}, "at least 1"),
        ({"rank": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        EncoderSettings(**settings)


def test_more_layers_than_there_are_is_refused(encoder):
    with pytest.raises(UsageError, match="layers=3 are to be tuned, the encoder has 2"):
        tuned(encoder, "lora", layers=3)
