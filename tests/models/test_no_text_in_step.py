"""Item texts are read once, before anybody steps: no BERT runs whole inside a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from small_worlds import TASKS
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import BertModel

from slategym.envs.candidates import UnseenCatalogue
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Clock
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.types import Catalogue, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.models.data.log import Log
from slategym.models.multitask.bert import Bert
from slategym.models.multitask.biases import ItemBiases
from slategym.models.multitask.incremental import BertObserver, StateEncoder
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.simulator.population import population
from slategym.models.simulator.users import LearnedUsers

NUM_ITEMS, WARM = 30, 3


@contextmanager
def bert_calls() -> Iterator[list[torch.nn.Module]]:
    """Every BERT that is called meanwhile, the network over items and any over texts alike."""
    called: list[torch.nn.Module] = []

    def note(module: torch.nn.Module, inputs: object) -> None:
        if isinstance(module, Bert | BertModel):
            called.append(module)

    handle = register_module_forward_pre_hook(note)
    try:
        yield called
    finally:
        handle.remove()


@pytest.fixture
def encoder(tiny_settings: MultiTaskSettings, tiny_vectors: torch.Tensor) -> StateEncoder:
    model = MultiTaskBert(
        tiny_settings,
        TASKS,
        text_vectors_ND0=tiny_vectors,
        biases=ItemBiases(np.zeros((4, NUM_ITEMS)), (0.0, 0.0, 3.0)),
        profile_sizes=(3, 2),
        num_items=NUM_ITEMS,
    )
    return StateEncoder(model, seconds_per_event=36.0)


@pytest.fixture
def world(tiny_log: Log, encoder: StateEncoder) -> World:
    """Learned people who lose patience, read by the agents' network too."""
    people = population(tiny_log, np.arange(20), starts=1, warm=WARM, seed=0)
    ready = encoder.prepared(people)
    return World(
        name="tiny",
        catalogue=Catalogue(
            topic=torch.zeros(NUM_ITEMS, dtype=torch.int32),
            embedding=encoder.items_ND,
            quality=torch.zeros(NUM_ITEMS),
        ),
        population=people,
        users=Assumed(LearnedUsers(ready, skip=0.0, temperature=1.0), None, Patience(2.0)),
        choice=MultinomialLogit(),
        context=Clock(0.6),
        candidates=UnseenCatalogue(),
        slate_size=2,
        horizon=4,
        objective=(1.0, 1.0, 0.0),
        history_size=4,
        observer=BertObserver(ready),
    )


def test_no_bert_runs_in_steps_and_arrivals(world: World) -> None:
    env = SlateVectorEnv(world, 8)
    ended = clicks = 0
    with bert_calls() as called:
        before, _ = env.reset(seed=0)
        for turn in range(10):
            slates = np.random.default_rng(turn).integers(NUM_ITEMS, size=(8, 2))
            seen, _, left, cut, infos = env.step(slates)
            ended += int((left | cut).sum())
            clicks += int(infos["feedback"][..., 0].sum())
    assert called == []
    assert ended >= 8 and clicks >= 8  # people came, went and clicked meanwhile
    assert not np.array_equal(before["state"], seen["state"])


def test_reading_a_whole_history_is_counted(world: World, encoder: StateEncoder) -> None:
    arrival = world.population
    with bert_calls() as called:
        encoder.prepared(arrival)
    assert called == [encoder.model.sequence.bert]
