"""Units on a Ray cluster give what they give in this process, whatever is lost on the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from toy_units import toy

from slategym.envs.names import UsageError
from slategym.experiments.runs.backends.parcels import home_parcel, names_in, unit_parcel, unpack
from slategym.experiments.runs.backends.ray import Told, check_answers, teller
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.models.checksums import Damaged

HERE = Path(__file__).parents[1]
CLUSTER = """
import os, signal, sys, threading, time
from pathlib import Path
import pandas as pd
import ray
from ray.cluster_utils import Cluster
from kill_units import units as trainings
from toy_units import toy
from slategym.experiments.runs.backends.ray import Ray
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import closure, read_rows
from slategym.models.console import plain_console

folder, lost = Path(sys.argv[1]), sys.argv[2]
marks = folder / "marks"
marks.mkdir()
cluster = Cluster()
cluster.add_node(num_cpus=0)  # the head, which does not compute
computing = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
base = toy(1, "weights")
units = [toy(2, "torch", (base,)), toy(3, "wait once"), toy(4, "torch", (base,)), base]

def kill():
    mark = marks / "pid-3"
    while not (mark.exists() and mark.read_text()):
        time.sleep(0.05)
    pid = int(mark.read_text())
    if lost == "worker":
        os.kill(pid, signal.SIGKILL)
        return
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    (its,) = [n for n in computing if n.all_processes["raylet"][0].process.pid == parent]
    cluster.remove_node(its, allow_graceful=False)

threading.Thread(target=kill, daemon=True).start()
store = open_store(folder / "out")
todo = closure([*units, *(trainings(80)[:1] if lost == "worker" else [])])
console = plain_console(stderr=True)
with View(todo, 0, console) as view:
    Ray(cluster.address, share_home=False).run(Queue(todo), store, {"marks": str(marks)}, view)
assert run_units(todo, store).computed == 0
alone = open_store(folder / "alone")
run_units(todo, alone, settings={"marks": str(marks)})
for unit in todo:
    pd.testing.assert_frame_equal(store.read(unit), alone.read(unit))
for path in sorted(alone.folder.rglob("agent.safetensors")):
    assert path.read_bytes() == (store.folder / path.relative_to(alone.folder)).read_bytes()
print("equal rows", len(todo))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lost", ["worker", "node"])
def test_equal_rows_on_two_nodes_of_which_something_is_killed(tmp_path: Path, lost: str) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    if lost == "node" and sys.platform != "linux":
        pytest.skip("needs /proc")
    shown = run(CLUSTER, tmp_path, lost)
    assert "equal rows" in shown
    assert "toy wait once 3: its process is gone" in shown and "trying once more" in shown


def run(program: str, folder: Path, *more: str) -> str:
    """What the program shows; it has to end well."""
    script = folder / "program.py"
    script.write_text(program)
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
    ended = subprocess.run(
        [sys.executable, str(script), str(folder), *more],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout + ended.stderr


class RayError(Exception):
    """Of a cluster."""


class RayActorError(RayError):
    """An actor is lost."""


class GetTimeoutError(RayError):
    """No answer."""


class Cluster:
    """The little of Ray that a listener needs; an actor that is lost begins anew only if asked."""

    exceptions = SimpleNamespace(RayActorError=RayActorError, GetTimeoutError=GetTimeoutError)

    def __init__(self) -> None:
        self.actor: Any = None
        self.kind: Any = None
        self.failing: list[Exception] = []  # what the next call meets
        self.restarts = 0

    def remote(self, num_cpus: int, max_restarts: int = 0) -> Any:
        """As Ray's."""
        self.restarts = max_restarts

        def made(kind: Any) -> Any:
            self.kind, self.actor = kind, kind()
            names = [name for name in ("take", "tell") if hasattr(kind, name)]
            calls = {name: SimpleNamespace(remote=self._call(name)) for name in names}
            return SimpleNamespace(remote=lambda: SimpleNamespace(**calls))

        return made

    def _call(self, name: str) -> Any:
        return lambda *given: self.get(lambda: getattr(self.actor, name)(*given), now=name)

    def get(self, asked: Any, timeout: float | None = None, now: str = "tell") -> Any:
        """What was asked for; a `take` is answered when it is got, a `tell` at once."""
        if now == "take":
            return asked
        if self.failing:
            error = self.failing.pop()
            if isinstance(error, RayActorError):
                if self.restarts != -1:
                    self.failing = [error]
                self.actor = self.kind()
            raise error
        return asked()


def test_a_listener_lost_with_its_node_loses_what_it_was_told_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("ray.exceptions")
    module.RayError = RayError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "ray.exceptions", module)
    cluster = Cluster()
    told = Told(cluster)
    tell = teller(told.listener, "a")
    tell((1.0, 2.0, "one"))
    assert told.take() == {"a": (1.0, 2.0, "one")}
    tell((2.0, 2.0, "two"))
    cluster.failing = [RayActorError("its node is gone")]
    assert told.take() == {}  # what it was told is lost
    tell((2.0, 2.0, "again"))  # by a unit that began before
    assert told.take() == {"a": (2.0, 2.0, "again")}
    cluster.failing = [RayActorError("it is gone once more")]
    tell((2.0, 2.0, "three"))  # the unit goes on
    assert told.take() == {}
    cluster.failing = [GetTimeoutError("no answer")]
    assert told.take() == {}


def test_a_parcel_holds_all_of_a_unit(tmp_path: Path) -> None:
    here, there = open_store(tmp_path / "here"), open_store(tmp_path / "there")
    unit = toy(1, "weights")
    run_units([unit], here, settings={"marks": str(tmp_path)})
    parcel = unit_parcel(here, unit)
    unpack(parcel, there.folder)
    assert there.completed(unit) and there.read(unit).equals(here.read(unit))
    assert parcel[-1][0].endswith(".parquet")  # what says that it is done comes last
    lost = open_store(tmp_path / "lost")
    unpack(parcel[:-1], lost.folder)
    assert lost.state(unit) == "missing"
    with pytest.raises(Damaged, match="outside"):
        unpack((("../beside", b""),), there.folder)


def test_a_home_travels_without_what_is_half_written(tmp_path: Path) -> None:
    for name in ("models/a/x", "models/a.sha256", ".locks/l", "models/.b-0123456789ab/x"):
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text(name)
    names = names_in(tmp_path / "home")
    assert set(names) == {"models/a/x", "models/a.sha256"}
    parcel = home_parcel(tmp_path / "home", names)
    assert [name for name, _ in parcel] == ["models/a.sha256", "models/a/x"]
    unpack(parcel, tmp_path / "other")
    assert (tmp_path / "other/models/a/x").read_text() == "models/a/x"


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    store = open_store(tmp_path / "out")
    try:
        import ray  # noqa: F401
    except ImportError:
        said = r"--ray needs Ray: pip install 'slategym\[ray\]'"
    else:
        pytest.skip("looking for a cluster takes half a minute; Ray is installed here")
    with pytest.raises(UsageError, match=said):
        run_units([toy(1)], store, ray="auto")
    assert not store.completed(toy(1))


def test_an_address_at_which_nothing_listens_is_one_line() -> None:
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        port = ours.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(
                UsageError, match=rf"no Ray cluster answers at {address} .*start one"
            ):
                check_answers(address)
        ours.listen()
        check_answers(f"127.0.0.1:{port}")
    check_answers("auto")
