"""Every world that envs builds, to iterate over."""

import pytest
import torch
from own_worlds import OWN

from slategym.envs.registry import make_world

torch.set_num_threads(1)


@pytest.fixture(params=OWN)
def world_id(request):
    return request.param


@pytest.fixture
def world(world_id):
    return make_world(world_id)
