"""Every world that envs builds, to iterate over."""

import pytest
import torch

from slategym.envs.registry import WORLDS, make_world

torch.set_num_threads(1)

OWN = sorted(id for id, entry in WORLDS.items() if entry.builder.startswith("slategym.envs."))


@pytest.fixture(params=OWN)
def world_id(request):
    return request.param


@pytest.fixture
def world(world_id):
    return make_world(world_id)
