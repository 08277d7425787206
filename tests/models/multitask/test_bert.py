"""The network's BERT is transformers' BertModel, bit for bit; only its import is dearer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from slategym.models.multitask.bert import Bert
from slategym.models.multitask.settings import MultiTaskSettings

B, SEED = 6, 4
SIZES = {
    "small": MultiTaskSettings(width=12, num_heads=3, num_layers=3, feedforward=20, max_history=7),
    "one head": MultiTaskSettings(width=8, num_heads=1, num_layers=1, max_history=3, dropout=0.0),
    "default": MultiTaskSettings(),
}
CASES = [(name, causal) for name in SIZES for causal in (True, False)]


def bert_model(settings: MultiTaskSettings, causal: bool) -> BertModel:
    """That of transformers, without words."""
    model = BertModel(
        BertConfig(
            vocab_size=1,
            type_vocab_size=1,
            pad_token_id=0,
            hidden_size=settings.width,
            num_hidden_layers=settings.num_layers,
            num_attention_heads=settings.num_heads,
            intermediate_size=settings.feedforward,
            max_position_embeddings=settings.max_history + (1 if causal else 2),
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
            is_decoder=causal,
        ),
        add_pooling_layer=False,
    )
    model.set_input_embeddings(None)  # type: ignore[no-untyped-call]
    return model


def both(name: str, causal: bool) -> tuple[Bert, BertModel]:
    """Ours and theirs, from one seed; what the generator draws next is the same too."""
    pair: list[torch.nn.Module] = []
    after = []
    for make in (lambda: Bert(SIZES[name], causal=causal), lambda: bert_model(SIZES[name], causal)):
        torch.manual_seed(SEED)
        pair.append(make())
        after.append(torch.rand(3))
    assert torch.equal(*after)
    return pair[0], pair[1]  # type: ignore[return-value]


def inputs(settings: MultiTaskSettings) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Tokens, and which of them are seen: all, all by a mask, some."""
    g = torch.Generator().manual_seed(SEED)
    S = settings.max_history + 1
    tokens_BSD = torch.randn(B, S, settings.width, generator=g)
    length_B1 = torch.randint(1, S, (B, 1), generator=g)
    return {
        "no mask": (tokens_BSD, None),
        "full mask": (tokens_BSD, torch.ones(B, S, dtype=torch.bool)),
        "padded": (tokens_BSD, torch.arange(S) < length_B1),
        "one token": (tokens_BSD[:, :1], None),
    }


def theirs(model: BertModel, tokens_BSD: Tensor, seen_BS: Tensor | None) -> tuple[Tensor, ...]:
    output = model(
        inputs_embeds=tokens_BSD,
        attention_mask=None if seen_BS is None else seen_BS.long(),
        output_hidden_states=True,
        use_cache=False,
    )
    states: tuple[Tensor, ...] = output.hidden_states
    return states


@pytest.mark.parametrize(("name", "causal"), CASES)
def test_the_weights_of_a_seed_are_those_of_transformers(name: str, causal: bool) -> None:
    own, other = (model.state_dict() for model in both(name, causal))
    assert list(own) == list(other)
    assert all(torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize(("name", "causal"), CASES)
def test_every_layer_computes_what_transformers_does(name: str, causal: bool) -> None:
    own, other = both(name, causal)
    for tokens_BSD, seen_BS in inputs(SIZES[name]).values():
        with torch.no_grad():
            got = own.train(False)(tokens_BSD, seen_BS)
            want = theirs(other.train(False), tokens_BSD, seen_BS)
        assert len(got) == len(want) == SIZES[name].num_layers + 1
        for own_BSD, other_BSD in zip(got, want, strict=True):
            assert torch.equal(own_BSD, other_BSD)


@pytest.mark.parametrize(("name", "causal"), CASES)
def test_a_training_step_is_that_of_transformers(name: str, causal: bool) -> None:
    """Dropout is drawn in the same order, gradients are summed in the same order."""
    weights = []
    for model in both(name, causal):
        optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.01)
        torch.manual_seed(SEED)
        for tokens_BSD, seen_BS in inputs(SIZES[name]).values():
            run = model if isinstance(model, Bert) else lambda *x, m=model: theirs(m, *x)
            optimizer.zero_grad()
            run(tokens_BSD, seen_BS)[-1].pow(3).sum().backward()
            optimizer.step()
        weights.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(own, other) for own, other in zip(*weights, strict=True))


PROGRAM = """
import sys
import numpy as np, torch
import slategym.models.multitask.train, slategym.models.simulator.builder
from slategym.envs.types import CLICK
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.optimizers import LBFGS, AdamW
from slategym.models.tasks import tasks_of
model = MultiTaskBert(
    MultiTaskSettings(width=8),
    tasks_of((CLICK,), 0.0),
    text_vectors_ND0=torch.zeros(5, 3),
    biases=ItemBiases.neutral(5, 1),
    profile_sizes=(2,),
    num_items=5,
)
model.save_pretrained(sys.argv[1])
read = MultiTaskBert.from_pretrained(sys.argv[1])
def loss():
    optimizer.zero_grad()
    value = read.sequence.bert(torch.ones(1, 3, 8))[-1].square().sum()
    value.backward()
    return value
for make in (LBFGS, AdamW):
    optimizer = make(read.parameters(), lr=0.01)
    optimizer.step(loss)
    optimizer.load_state_dict(optimizer.state_dict())
print([name for name in ("transformers", "torch._dynamo") if name in sys.modules])
"""


def test_networks_are_made_trained_and_read_without_what_takes_seconds_to_import(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "m")], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[]"], done.stderr
