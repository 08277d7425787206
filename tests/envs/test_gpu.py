"""The same story on a GPU: pytest -m gpu."""

import pytest
import torch

from slategym.envs import engine
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck, purpose
from slategym.envs.registry import make_world

POLICY = purpose("test.policy")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def told(world):
    """Feedback and reward of 20 random slates to 256 users, on the CPU."""
    lane_B = torch.arange(256, dtype=torch.int32, device=world.device)
    session = engine.start(world, 0 * lane_B + 3, lane_B, 0 * lane_B)
    outcomes = []
    for _ in range(20):
        luck = Luck.at(session.key, session.step)
        slate_BK = luck.integers(POLICY, world.slate_size, world.num_candidates)
        session, outcome = engine.transition(world, session, slate_BK)
        outcomes.append(outcome)
    return [
        torch.stack([getattr(o, name) for o in outcomes]).cpu() for name in ("feedback", "reward")
    ]


def test_cpu_and_gpu_agree(world_id):
    """Up to the last bits of a float, which may turn a click in ten thousand."""
    cpu, gpu = told(make_world(world_id)), told(make_world(world_id, device="cuda"))
    for a, b in zip(cpu, gpu, strict=True):
        far = ~torch.isclose(a, b, rtol=1e-3, atol=1e-3)
        assert far.float().mean() < 1e-3


def test_slates_on_the_wrong_device_are_named():
    env = SlateVectorEnv(make_world("Workbench-v0", device="cuda"), 2, as_tensor=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="world's device cuda:0, got cpu"):
        env.step(torch.zeros(2, 5, dtype=torch.int32))
