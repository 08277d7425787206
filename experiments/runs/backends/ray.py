"""Units on a Ray cluster: they travel whole, and their results come back whole.

No folder has to be shared. A unit goes with the files of what it needs; what it wrote comes back as
bytes and is kept here, whole or not at all. What is fetched and fitted once (`SLATEGYM_HOME`) goes
to every node once, and what a node adds to it comes back, unless that node sees the same folder.
slategym has to be installed on every node, in the same version.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from slategym import __version__
from slategym.envs.names import UsageError
from slategym.experiments.runs.backends.backend import (
    REPORT_EVERY,
    Attempt,
    Reporter,
    attempt,
    death,
    raise_unless_done,
)
from slategym.experiments.runs.backends.parcels import (
    Parcel,
    home_parcel,
    names_in,
    unit_parcel,
    unpack,
)
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store, open_store
from slategym.experiments.runs.units import Unit, closure
from slategym.models.files import home, make_folder
from slategym.models.threads import one_torch_thread

LARGEST_HOME = 4 * 2**30  # bytes that still travel to every node
TRIES = 2  # of a unit whose process or node is lost
LOG = "tensorboard"  # a setting that names a folder of this machine
NODE_ANSWERS = 60.0  # seconds; a process has to be started there
LISTENER_ANSWERS = 2.0  # seconds; then nothing new is shown, and the units go on
SCRATCH = "slategym-ray"  # what nodes' folders are called, in their folder of temporary files


@dataclass(frozen=True)
class Ray:
    """A cluster, by address; "auto": a running one, or else the processors of this machine."""

    address: str
    share_home: bool = True  # False: every node gets a home of its own, whatever it sees

    def run(self, queue: Queue, store: Store, settings: Mapping[str, Any], view: View) -> None:
        """See `Backend`. A unit takes one processor, and a GPU if it computes on one."""
        with _connected(self.address) as ray, _token(self.share_home) as token:
            errand = Errand(
                b"", {k: x for k, x in settings.items() if k != LOG}, token, __version__
            )
            run = _Run(ray, queue, store, view, errand)
            try:
                run.work_off()
            finally:
                run.clear_away()

    def close(self) -> None:
        """Nothing waits: what a queue left on the nodes went with it."""


@dataclass(frozen=True)
class Errand:
    """All that a unit goes out with besides parcels."""

    sent: bytes  # the unit, pickled
    settings: Mapping[str, Any]
    token: str  # path of a file in this machine's home; "": not to be looked for
    version: str  # of slategym
    run: str = field(default_factory=lambda: f"{SCRATCH}-{secrets.token_hex(6)}")  # scratch folder


@dataclass
class _Run:
    """What is under way."""

    ray: Any
    queue: Queue
    store: Store
    view: View
    errand: Errand
    parcels: dict[str, Any] = field(default_factory=dict)  # by id of units done: references
    under_way: dict[Any, tuple[Unit, int]] = field(default_factory=dict)  # by reference: tries

    def __post_init__(self) -> None:
        self.told = Told(self.ray)
        gpus = 1 if str(self.errand.settings.get("device", "cpu")).startswith("cuda") else 0
        self.task = self.ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(serve)
        seen = self._on_every_node(_sees, self.errand.token)
        self.home = self.ray.put(() if all(seen) else _travelling_home())

    def work_off(self) -> None:
        """Keep every processor busy until all is done."""
        while self.queue.undone:
            processors = int(self.ray.cluster_resources().get("CPU", 1))
            while len(self.under_way) <= processors:  # one waits, so that a cluster that can, grows
                if (unit := self.queue.next()) is None:
                    break
                self.view.start(unit)
                self._send(unit, 1)
            done, _ = self.ray.wait(list(self.under_way), timeout=REPORT_EVERY)
            told = self.told.take()
            for unit, _ in self.under_way.values():
                if unit.id in told:
                    self.view.progress(unit, *told[unit.id])
            for reference in done:
                self._receive(reference)

    def _send(self, unit: Unit, tries: int) -> None:
        needed = closure(unit.needs)
        for each in needed:
            if each.id not in self.parcels:
                self.parcels[each.id] = self.ray.put((unit_parcel(self.store, each), ()))
        errand = replace(self.errand, sent=pickle.dumps(unit))
        parcels = [self.parcels[each.id] for each in needed]
        reference = self.task.remote(errand, self.told.listener, self.home, *parcels)
        self.under_way[reference] = (unit, tries)

    def _receive(self, reference: Any) -> None:
        """Keep what came back; send out once more what was lost."""
        unit, tries = self.under_way.pop(reference)
        try:
            ended, made, at_home = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:  # of ours: a unit's own come as values
            raise_unless_done(unit, Attempt("failed", str(error.cause), str(error)))
            raise
        except self.ray.exceptions.RayError as error:
            died = death(unit, None)
            died.add_note(str(error))
            if tries == TRIES:
                raise died from None
            self.view.say(f"{died} ({type(error).__name__}); trying once more")
            self._send(unit, tries + 1)
            return
        raise_unless_done(unit, ended)
        unpack(at_home, make_folder(home()))
        unpack(made, self.store.folder)
        self.parcels[unit.id] = self.ray.put((made, at_home))
        self.view.finish(unit)
        self.queue.done(unit)

    def clear_away(self) -> None:
        """End what is under way; nodes' scratch folders go."""
        with suppress(Exception):  # a cluster that is gone needs no clearing
            for reference in self.under_way:
                self.ray.cancel(reference, force=True)
            self._on_every_node(_clear, self.errand.run)

    def _on_every_node(self, do: Callable[[str], bool], said: str) -> list[bool]:
        """What the function says on each node that is alive now."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = self.ray.remote(num_cpus=0, max_retries=1)(do)
        nodes = [node["NodeID"] for node in self.ray.nodes() if node["Alive"]]
        there = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        asked = [task.options(scheduling_strategy=at).remote(said) for at in there]
        return list(self.ray.get(asked, timeout=NODE_ANSWERS))


class Told:
    """What units tell of how far they are.

    A listener that is lost with its node begins anew on another, under the same handle: what it had
    been told and nobody has taken is not shown, and nothing else is lost.
    """

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        self.listener = ray.remote(num_cpus=0, max_restarts=-1)(Listener).remote()

    def take(self) -> dict[str, tuple[float, float, str]]:
        """By unit, all since the last time; nothing while there is no listener."""
        lost = (self.ray.exceptions.RayActorError, self.ray.exceptions.GetTimeoutError)
        try:
            found = self.ray.get(self.listener.take.remote(), timeout=LISTENER_ANSWERS)
        except lost:
            return {}
        return dict(found)


def teller(listener: Any, id: str) -> Callable[[tuple[float, float, str]], None]:
    """Tells a listener of a unit; to one that is lost nothing is told, and the unit goes on."""
    from ray.exceptions import RayError

    def tell(told: tuple[float, float, str]) -> None:
        with suppress(RayError):
            listener.tell.remote(id, told)

    return tell


class Listener:
    """An actor to whom units say how far they are."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[float, float, str]] = {}

    def tell(self, id: str, told: tuple[float, float, str]) -> None:
        """Note it."""
        self.told[id] = told

    def take(self) -> dict[str, tuple[float, float, str]]:
        """All since the last time."""
        told, self.told = self.told, {}
        return told


def serve(
    errand: Errand, listener: Any, home_parcel_there: Parcel, *parcels: tuple[Parcel, Parcel]
) -> tuple[Attempt, Parcel, Parcel]:
    """Compute one unit on a node.

    Args:
        errand: the unit, and how.
        listener: to whom progress is told.
        home_parcel_there: what the driver's home held at the start.
        parcels: of each unit that it needs, its files and what was added to the home for it.

    Returns:
        How it ended, its files, and the files that were added to the home.
    """
    if errand.version != __version__:
        text = f"a node has slategym {__version__}, the caller {errand.version}; install the same"
        return Attempt("usage", text), (), ()
    scratch = _scratch(errand.run)
    unit: Unit = pickle.loads(errand.sent)
    shared = _sees(errand.token)
    if shared:
        os.environ["SLATEGYM_HOME"] = str(Path(errand.token).parent)
    else:
        os.environ["SLATEGYM_HOME"] = str(scratch / "home")
        make_folder(home())
        with FileLock(scratch / "home.lock"):
            for parcel in (home_parcel_there, *(added for _, added in parcels)):
                unpack(parcel, home())
    store = open_store(scratch / "run")
    for made, _ in parcels:
        unpack(made, store.folder)
    before: set[str] = set() if shared else set(names_in(home()))
    reporter = Reporter(teller(listener, unit.id))
    with one_torch_thread():
        ended = attempt(errand.sent, store, errand.settings, reporter)
    if ended.kind != "done":
        return ended, (), ()
    added = () if shared else home_parcel(home(), set(names_in(home())) - before)
    return ended, unit_parcel(store, unit), added


def _scratch(run: str) -> Path:
    """This node's folder for the run."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    return make_folder(Path(tempfile.gettempdir()) / f"{run}-{node[:12]}")


def _clear(run: str) -> bool:
    shutil.rmtree(_scratch(run), ignore_errors=True)
    return True


def _sees(token: str) -> bool:
    """Whether this node shares the driver's home."""
    return bool(token) and Path(token).is_file()


def _travelling_home() -> Parcel:
    """All of this machine's home."""
    there = home()
    sizes = names_in(there) if there.is_dir() else {}
    if (size := sum(sizes.values())) > LARGEST_HOME:
        raise UsageError(
            f"SLATEGYM_HOME ({there}) holds {size / 2**30:.1f} GiB, and at most "
            f"{LARGEST_HOME / 2**30:.0f} GiB travel to every node; set it to a folder that holds "
            "only what the study needs"
        )
    return home_parcel(there, sizes)


@contextmanager
def _token(share: bool) -> Iterator[str]:
    """A file in the home for as long as the run lasts: who sees it, sees this home."""
    if not share:
        yield ""
        return
    path = make_folder(home()) / f".ray-{secrets.token_hex(6)}.lock"
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def check_installed() -> None:
    """Refuse in one line where Ray is not.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--ray needs Ray: pip install 'slategym[ray]'")


def check_answers(address: str) -> None:
    """Refuse in one line an address at which nothing listens; Ray itself waits for a minute.

    Args:
        address: HOST:PORT or ray://HOST:PORT; anything else is left to Ray.

    Raises:
        UsageError: nothing takes a connection there within five seconds.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _nobody(address, error) from None


def _nobody(address: str, error: Exception) -> UsageError:
    return UsageError(
        f"no Ray cluster answers at {address} ({' '.join(str(error).split())[:200]}); start "
        "one with ray start --head, or take --ray auto"
    )


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected; one's own connection is left as it was.

    Raises:
        UsageError: Ray is not installed; no cluster answers at the address.
    """
    check_installed()
    import ray

    if ray.is_initialized():
        yield ray
        return
    check_answers(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(
            address=None if address == "auto" else address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, ValueError) as error:
        raise _nobody(address, error) from None
    with suppress(ValueError):  # not in the main thread: nothing was taken away
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()
