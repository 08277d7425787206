"""Children of a fork run, whatever torch did in the parent."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

HEAD = """
import multiprocessing, warnings
import gymnasium as gym, numpy as np, slategym
warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
import torch
torch.set_num_threads(2)
WORLD = "slategym/InterestEvolution-v0"

def returns(seed):
    env = gym.make(WORLD)
    env.reset(seed=seed)
    return sum(float(env.step(np.arange(3))[1]) for _ in range(3))

def busy():  # a parallel region: from now on there are threads
    x = torch.randn(400, 400)
    (x @ x).exp().sum()

multiprocessing.set_start_method("fork")
"""

POOL = """
busy()
here = [returns(seed) for seed in range(4)]
with multiprocessing.Pool(2) as pool:
    assert pool.map(returns, range(4)) == here
    assert pool.apply(torch.get_num_threads) == 1
assert torch.get_num_threads() == 2  # the parent goes on as before
print("done")
"""

ASYNC = """
busy()
returns(0)
envs = gym.make_vec(WORLD, num_envs=2, vectorization_mode="async")
envs.reset(seed=0)
rewards = envs.step(np.tile(np.arange(3), (2, 1)))[1]
assert rewards.shape == (2,)
envs.close()
print("done")
"""

COMPILER = """
from torch._inductor.async_compile import AsyncCompile

def compiles():
    found = AsyncCompile.submit(lambda: 5)  # itself where there is one core
    return found if isinstance(found, int) else found.result(60)

assert compiles() == 5
with multiprocessing.Pool(1) as pool:
    assert pool.apply(compiles) == 5
print("done")
"""

COMPILED = """
env = gym.make_vec(WORLD, num_envs=64, compile=True)
env.reset(seed=0)
slates = np.tile(np.arange(3), (64, 1))
env.step(slates)

def again(_):
    env.reset(seed=0)
    return env.step(slates)[1].tolist()

here = again(0)
with multiprocessing.Pool(1) as pool:
    assert np.allclose(pool.map(again, [0])[0], here)
print("done")
"""


def runs(program: str, seconds: float) -> None:
    """The program says "done" in that time."""
    environment = {k: x for k, x in os.environ.items() if k != "OMP_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-c", HEAD + program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert run.stdout.endswith("done\n"), run.stderr


@pytest.mark.parametrize("program", [POOL, ASYNC, COMPILER], ids=["pool", "async", "compiler"])
def test_children_run(program: str) -> None:
    runs(program, 240)


@pytest.mark.slow
def test_a_compiled_environment_is_compiled_anew() -> None:
    runs(COMPILED, 500)
