"""Seconds and bytes of a large log: python benchmarks/large_log.py.

Makes a folder with a million events of 100,000 users and 50,000 items (a shop: click, dwell,
device, brand, price, topics), and times the steps on it, each in a process of its own:

    check   as `slategym data check`
    load    as `load_log`
    texts   the item texts as vectors
    fit     as `slategym fit --epochs E`
    models  the three models of a learned world, each of its third of the people, E epochs
    world   the world's constants, and the vector environment of B users up to its first observation
    steps   so many steps of it, random slates, numpy in and out
    ranker  so many slates of the supervised ranker for its users

Bytes are the most that the process held, its packages included. A step computes what it is named
for, whatever an earlier run kept; it may use what the steps before it kept. All is kept beside the
log in the folder that --folder names, or removed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from slategym.envs.types import World
    from slategym.models.simulator.recipe import Recipe

TOML = """\
[signals.dwell]
kind = "nonnegative"
unit = "s"
weight = 0.01
[context.device]
[item_columns.brand]
[item_columns.price]
kind = "number"
unit = "EUR"
"""
GIB = 2**30


def make(folder: Path, num_events: int, num_users: int, num_items: int, form: str) -> None:
    """Write such a log; popular items are met more often, and a third of the rows are clicked."""
    rng = np.random.default_rng(0)
    click = (rng.random(num_events) < 1 / 3).astype(np.int8)
    user = np.r_[np.arange(num_users), rng.integers(0, num_users, num_events - num_users)]
    item = (num_items * rng.random(num_events) ** 3).astype(np.int64)
    events = pd.DataFrame(
        {
            "user": user,
            "item": item,
            "time": 1_700_000_000 + np.arange(num_events) * 3,
            "click": click,
            "dwell": np.where(click > 0, rng.exponential(30.0, num_events).round(2), np.nan),
            "device": rng.choice(["phone", "laptop", "tv"], num_events),
        }
    )
    topics = np.array([f"topic {g}" for g in range(40)])
    items = pd.DataFrame(
        {
            "item": np.arange(num_items),
            "title": [f"thing {n}" for n in range(num_items)],
            "text": [f"a thing of make {n % 97} and colour {n % 13}" for n in range(num_items)],
            "topics": ["|".join(pair) for pair in topics[rng.integers(0, 40, (num_items, 2))]],
            "brand": [f"brand {n % 300}" for n in range(num_items)],
            "price": rng.exponential(40.0, num_items).round(2),
        }
    )
    users = pd.DataFrame(
        {"user": np.arange(num_users), "age": rng.choice(["young", "middle", "old"], num_users)}
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("events", events), ("items", items), ("users", users)):
        path = folder / f"{name}.{form}"
        table.to_csv(path, index=False) if form == "csv" else table.to_parquet(path, index=False)
    (folder / "log.toml").write_text(TOML, "utf-8")


@dataclass(frozen=True)
class Asked:
    """What a step needs to know."""

    folder: Path  # of the log
    epochs: int
    num_envs: int  # B
    num_steps: int  # timed, of the environment and of the ranker

    @property
    def home(self) -> Path:
        """Where what is computed is kept: beside the log."""
        return self.folder.with_name(f"{self.folder.name}-home")


def check(asked: Asked) -> str:
    """As `slategym data check`, without printing the table."""
    from slategym.models.data.check import check_folder

    checked = check_folder(asked.folder)
    assert checked.log is not None, checked.problems[:3]
    return f"{sum(use.fit for use in checked.uses)} of {len(checked.uses)} uses"


def load(asked: Asked) -> str:
    """As everything begins."""
    from slategym.models.data.datasets import load_log

    log = load_log(asked.folder)
    held = sum(int(t.memory_usage(deep=True).sum()) for t in (log.events, log.items, log.users))
    return f"tables of {held / 2**20:,.0f} MiB"


def texts(asked: Asked) -> str:
    """What every model reads items by; kept."""
    from slategym.models.data.datasets import load_log
    from slategym.models.text.vectors import item_text_vectors

    shutil.rmtree(asked.home / "vectors", ignore_errors=True)
    vectors_ND0 = item_text_vectors(load_log(asked.folder).items["text"].tolist())
    return f"{tuple(vectors_ND0.shape)}"


def fit(asked: Asked) -> str:
    """As `slategym fit`."""
    from slategym.models.multitask.fitting import fit
    from slategym.models.multitask.train import read_about

    shutil.rmtree(asked.home / "fit", ignore_errors=True)
    fit(asked.folder, asked.home / "fit", epochs=asked.epochs)
    about = read_about(asked.home / "fit")
    return f"{about['rows']['rows']:,} rows, {about['cpu_seconds']:.0f} s of it in epochs"


def recipe(asked: Asked) -> Recipe:
    """Of `slategym/Log-v0`, its models fitted for so many epochs."""
    from dataclasses import replace

    from slategym.models.multitask.training_settings import TrainingSettings
    from slategym.models.simulator.parties import PartySettings
    from slategym.models.simulator.world import LOG

    parties = PartySettings(training=TrainingSettings(epochs=asked.epochs))
    return replace(LOG, parties=parties)


def models(asked: Asked) -> str:
    """A, B and J."""
    from slategym.models.simulator.cache import builder_of

    shutil.rmtree(asked.home / "models", ignore_errors=True)
    parties = builder_of(str(asked.folder), recipe(asked)).parties
    for party in "ABJ":
        parties.prepare(party)
    return " + ".join(f"{len(parties.people[party]):,}" for party in "ABJ") + " people"


def learned_world(asked: Asked) -> World:
    """`slategym/Log-v0`, with the agents' state embedding."""
    from slategym.models.simulator.assumptions import MILD
    from slategym.models.simulator.recipe import WorldSettings
    from slategym.models.simulator.world import build_world

    settings = WorldSettings(
        role="A",
        static=False,
        users="training",
        slate_size=None,
        assumptions=MILD,
        state=True,
        starts=8,
        device="cpu",
    )
    return build_world(str(asked.folder), recipe(asked), settings)


def world(asked: Asked) -> str:
    """Up to the first observation."""
    from slategym.envs.gym import SlateVectorEnv

    shutil.rmtree(asked.home / "constants", ignore_errors=True)
    built = learned_world(asked)
    SlateVectorEnv(built, asked.num_envs).reset(seed=0)
    return f"{built.population.size:,} arrivals, slates of {built.slate_size}"


def rate(asked: Asked, step: Callable[[], object]) -> str:
    """Users by steps a second, after a step that is not timed."""
    step()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for _ in range(asked.num_steps):
        step()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    done = asked.num_envs * asked.num_steps
    return f"{done / seconds:,.0f} a second, {done / cpu:,.0f} a second of CPU, without the world"


def steps(asked: Asked) -> str:
    """Random slates."""
    from slategym.envs.gym import SlateVectorEnv

    built, rng = learned_world(asked), np.random.default_rng(0)
    envs = SlateVectorEnv(built, asked.num_envs)
    envs.reset(seed=0)
    shape, K = (16, asked.num_envs, built.slate_size), built.slate_size
    low = rng.integers(built.num_candidates - K, size=shape, dtype=np.int32)
    slates = iter(list(np.sort(low, axis=2) + np.arange(K, dtype=np.int32)) * asked.num_steps)
    return rate(asked, lambda: envs.step(next(slates)))


def ranker(asked: Asked) -> str:
    """Slates of the supervised ranker, of the first observation."""
    import torch

    from slategym.agents.registry import make_policy
    from slategym.envs import engine
    from slategym.envs.luck import Luck

    built = learned_world(asked)
    policy = make_policy("supervised", built)
    user_B = torch.arange(asked.num_envs, dtype=torch.int32)
    zero_B = torch.zeros_like(user_B)
    seen = engine.observe(built, engine.start(built, zero_B, user_B, zero_B))
    return rate(asked, lambda: policy.act(seen, Luck(zero_B)))


STEPS = {step.__name__: step for step in (check, load, texts, fit, models, world, steps, ranker)}


def measure(step: str, asked: Asked) -> dict[str, object]:
    """That step in this process: seconds, and bytes at the most."""
    import torch

    import slategym.models.data.check
    import slategym.models.data.datasets  # noqa: F401

    torch.set_num_threads(1)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    said = STEPS[step](asked)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu": cpu, "bytes": most, "said": said}


def own_home(asked: Asked) -> dict[str, str]:
    """The variables of a process that keeps things beside the log, the text encoder at hand."""
    from slategym.models.assets.registry import fetch
    from slategym.models.text.vectors import DEFAULT_ENCODER

    source, assets = fetch(DEFAULT_ENCODER), asked.home / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    if not (assets / source.name).exists():
        shutil.copytree(source, assets / source.name)
    return {**os.environ, "SLATEGYM_HOME": str(asked.home)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--form", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--folder", type=Path, help="keep the log here, and use it if it is there")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--epochs", type=int, default=1, help="of every fit")
    parser.add_argument("--num-envs", type=int, default=1_024, help="users in parallel")
    parser.add_argument("--num-steps", type=int, default=30, help="timed steps and slates")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "large"
        asked = Asked(folder.absolute(), given.epochs, given.num_envs, given.num_steps)
        if given.step:
            print(json.dumps(measure(given.step, asked)))
            return
        if not any(folder.glob("events.*")):
            make(folder, given.events, given.users, given.items, given.form)
        variables = own_home(asked)
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", str(asked.folder)]
        for step in given.steps:
            answer = subprocess.run(
                [*command, "--step", step], check=True, stdout=subprocess.PIPE, env=variables
            )
            found = json.loads(answer.stdout)
            print(
                f"{step:8} {found['seconds']:8.1f} s  {found['cpu']:8.1f} s of CPU  "
                f"{found['bytes'] / GIB:6.2f} GiB  {found['said']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
