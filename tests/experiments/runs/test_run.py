"""The one loop: what is missing is computed, once, in order, and errors come out as one line."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from toy_units import toy

from slategym.envs.names import UsageError
from slategym.experiments.runs.errors import UnitError
from slategym.experiments.runs.progress import View, duration
from slategym.experiments.runs.run import Summary, backend_of, run_units
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store, open_store
from slategym.experiments.runs.units import Unit, closure, read_rows

HERE = Path(__file__).parents[1]


class Bench:
    """A store, a place for marks, and a screen to read."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store(folder / "out")
        self.marks = folder / "marks"
        self.marks.mkdir()
        self.screen = io.StringIO()

    def run(self, *units: Unit, workers: int = 0) -> Summary:
        console = Console(file=self.screen, width=200)
        settings = {"marks": str(self.marks)}
        return run_units(units, self.store, workers=workers, settings=settings, console=console)

    def times(self, unit: Unit) -> int:
        """How often the unit was run."""
        mark = self.marks / unit.id
        return len(mark.read_text()) if mark.exists() else 0

    def order(self) -> list[int]:
        return [int(line) for line in (self.marks / "order").read_text().split()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def wait_for(condition, seconds: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def test_a_second_call_computes_nothing(bench: Bench) -> None:
    base = toy(1)
    top = toy(2, needs=(base,))
    first = bench.run(top)
    assert (first.computed, first.reused) == (2, 0)
    again = bench.run(top, base)
    assert (again.computed, again.reused) == (0, 2)
    assert bench.times(base) == bench.times(top) == 1
    assert list(read_rows(bench.store, [top, base])["value"]) == [3, 1]


def test_processes_give_the_same_numbers_in_one_thread_each(bench: Bench, tmp_path: Path) -> None:
    base = toy(1, "torch")
    units = [toy(2, "torch", (base,)), toy(3, "torch"), toy(4, "torch", (base,))]
    summary = bench.run(*units, workers=2)
    assert (summary.computed, summary.reused) == (4, 0)
    (tmp_path / "other").mkdir()
    here = Bench(tmp_path / "other")
    here.run(*units)
    pd.testing.assert_frame_equal(read_rows(bench.store, units), read_rows(here.store, units))
    assert set(read_rows(bench.store, units)["threads"]) == {1}
    assert "[4/4] toy torch" in bench.screen.getvalue()


def test_processes_stay_for_the_next_queue_until_they_are_closed(bench: Bench) -> None:
    units = [toy(number, "name your process") for number in range(3)]
    settings, console = {"marks": str(bench.marks)}, Console(file=bench.screen)
    with closing(backend_of(1, None)) as where:
        for unit in units[:2]:
            run_units([unit], bench.store, where=where, settings=settings, console=console)
        first, second = (int(bench.store.read(unit)["value"][0]) for unit in units[:2])
        assert first == second != os.getpid() and alive(first)
        with pytest.raises(UnitError):
            broken = toy(9, "fail")
            run_units([broken], bench.store, where=where, settings=settings, console=console)
        assert not alive(first)  # of a queue that failed nothing goes on
        run_units(units[2:], bench.store, where=where, settings=settings, console=console)
        third = int(bench.store.read(units[2])["value"][0])
        assert third != first and alive(third)
    assert not alive(third)


def test_a_process_goes_on_in_the_world_that_it_has_built() -> None:
    def about(world: str, number: int, cost: float = 1.0) -> Unit:
        spec = {"world": world, "settings": {}, "number": number}
        return Unit(f"{world} {number}", "toy_units:run", spec, cost=cost)

    first = [about("a", number) for number in range(3)]
    second = [about("b", number) for number in range(3)]
    long, log = about("a", 9, cost=50.0), toy(1, cost=2.0)
    queue = Queue([*first, *second, long, log])
    assert queue.next(second[0].world) is long  # a long way goes first
    assert queue.next() is log
    assert [queue.next(second[0].world) for _ in range(3)] == second
    assert queue.next("", {first[0].world}) is first[0]  # of no other world is anything left
    assert [queue.next(), queue.next(), queue.next()] == [*first[1:], None]
    assert Queue([*first, *second]).next("", {first[0].world}) is second[0]  # that nobody has
    training = Unit("l", "learn@1", {"world": "a", "world_settings": {}, "settings": {"steps": 3}})
    assert training.world == first[0].world != toy(1).world == ""


def test_what_only_a_completed_unit_needed_is_left_alone(bench: Bench) -> None:
    base = toy(1)
    top = toy(2, needs=(base,))
    bench.run(top)
    bench.store.path(base).unlink()
    assert bench.run(top).computed == 0
    assert bench.run(base, top).computed == 1
    assert (bench.times(base), bench.times(top)) == (2, 1)


def test_a_damaged_file_is_said_and_computed_again(bench: Bench) -> None:
    unit = toy(1, "weights")
    bench.run(unit)
    (bench.store.folder_of(unit) / "weights.bin").unlink()
    assert bench.run(unit).computed == 1
    assert "toy weights 1: its file is damaged or foreign" in bench.screen.getvalue()
    assert bench.run(unit).computed == 0


def test_the_longest_way_goes_first(bench: Bench) -> None:
    first = toy(1, cost=1.0)
    units = [toy(2, cost=2.0), toy(3, cost=5.0), toy(4, needs=(first,), cost=6.0), first]
    bench.run(*units)
    assert bench.order() == [1, 4, 3, 2]


def test_the_queue_waits_for_what_is_under_way() -> None:
    base = toy(1)
    queue = Queue(closure([toy(2, needs=(base,))]))
    assert queue.next() is not None and queue.next() is None
    queue.done(base)
    unit = queue.next()
    assert unit is not None and unit.spec.seed == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failing_unit_is_one_line_and_keeps_what_others_finished(
    bench: Bench, workers: int
) -> None:
    good, bad = toy(1, cost=2.0), toy(2, "fail")
    later = toy(3, needs=(bad,))
    with pytest.raises(UnitError) as caught:
        bench.run(good, later, workers=workers)
    assert str(caught.value) == "toy fail 2: the toy broke"
    trace = "".join(caught.value.__notes__) if workers else str(caught.value.__cause__)
    assert "the toy\nbroke" in trace
    assert bench.store.completed(good) or bench.times(good) == 0
    assert bench.times(later) == 0
    assert bench.store.state(bad) == "missing"
    with pytest.raises(UnitError):
        bench.run(good, later)
    assert bench.times(good) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_wrong_usage_stays_wrong_usage(bench: Bench, workers: int) -> None:
    with pytest.raises(UsageError, match="toy misuse 1: no such toy"):
        bench.run(toy(1, "misuse"), workers=workers)


def test_a_killed_process_is_one_line_with_its_unit(bench: Bench) -> None:
    with pytest.raises(UnitError, match=r"toy die 1: its process was killed .SIGKILL.; if memory"):
        bench.run(toy(1, "die"), workers=1)
    assert bench.times(toy(1, "die")) == 2


def test_a_process_that_dies_once_is_replaced(bench: Bench) -> None:
    unlucky, after = toy(1, "die once"), toy(2, needs=(toy(1, "die once"),))
    assert bench.run(after, unlucky, workers=1).computed == 2
    assert (bench.times(unlucky), bench.times(after)) == (2, 1)
    assert "toy die once 1: its process was killed" in bench.screen.getvalue()
    assert "trying once more" in bench.screen.getvalue()


def test_functions_and_results_that_are_not_there(bench: Bench) -> None:
    nothing = Unit("nothing", "toy_units:nothing", {})
    with pytest.raises(UnitError, match="there is no function toy_units:nothing"):
        bench.run(nothing)
    with pytest.raises(UnitError, match="nan: toy_units:not_a_number must return JSON values"):
        bench.run(Unit("nan", "toy_units:not_a_number", {}, kind="json"))
    with pytest.raises(UsageError, match="workers must be 0 or more; got -1"):
        bench.run(toy(1), workers=-1)


SCRIPT = """
import signal
import sys
from pathlib import Path
# a shell has its background programs ignore SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from rich.console import Console
from toy_units import toy
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store

if __name__ == "__main__":
    units = [toy(1, cost=9.0), toy(2, "sleep"), toy(3, "sleep")]
    settings = {"marks": sys.argv[3]}
    run_units(units, open_store(Path(sys.argv[2])), workers=2, settings=settings)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_run_that_is_ended_and_the_next_goes_on(
    bench: Bench, tmp_path: Path, how: signal.Signals
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    folders = [str(HERE), str(bench.store.folder), str(bench.marks)]
    parent = subprocess.Popen(
        [sys.executable, str(script), *folders], stderr=subprocess.PIPE, text=True
    )
    marks = [bench.marks / "pid-2", bench.marks / "pid-3"]
    wait_for(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    pids = [int(mark.read_text()) for mark in marks]
    parent.send_signal(how)
    parent.communicate(timeout=30)
    assert parent.returncode != 0
    wait_for(lambda: not any(alive(pid) for pid in pids))
    names = [path.name for path in (bench.store.folder / "units").glob("*.parquet")]
    assert names == [bench.store.path(toy(1)).name]
    assert bench.run(toy(1), toy(5)).computed == 1


def test_the_view_says_how_far_and_how_long() -> None:
    units = [toy(1, cost=30.0), toy(2, cost=10.0)]
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True)
    with View(units, 3, console) as view:
        view.start(units[0])
        view.progress(units[0], 1, 3, "epoch 1")
        view.began -= 20.0
        assert view.remaining == pytest.approx(60.0, abs=1.0)  # 10 of 40 cost in 20 s
        plain = Console(file=io.StringIO(), width=120)
        plain.print(view.render())
        text = plain.file.getvalue()  # type: ignore[attr-defined]
        assert "toy work 1" in text and "33%" in text and "epoch 1" in text
        assert "0/2 done, 3 reused, 20." in text and "about 1:00 min to go" in text
        view.finish(units[0])
        assert view.remaining == pytest.approx(20.0 / 3, abs=1.0)


def test_durations() -> None:
    assert [duration(s) for s in (4.23, 187, 3723)] == ["4.2 s", "3:07 min", "1:02:03 h"]
