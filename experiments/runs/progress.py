"""What is running, how far it is, and when it will be over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from slategym.experiments.runs.units import Unit

WARM_UP = 3.0  # seconds before a remaining time is worth showing


@dataclass
class Running:
    """A unit at work."""

    unit: Unit
    began: float  # seconds, monotonic
    share: float = 0.0  # done, in [0, 1]
    note: str = ""


class View:
    """One line per running unit and one in total; plain lines where there is no terminal."""

    def __init__(self, units: Sequence[Unit], reused: int, console: Console) -> None:
        self.console, self.reused = console, reused
        self.num_units, self.total_cost = len(units), sum(unit.cost for unit in units)
        self.num_done, self.done_cost = 0, 0.0
        self.running: dict[str, Running] = {}
        self.began = time.monotonic()
        self.live = Live(
            get_renderable=self.render, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def start(self, unit: Unit) -> None:
        """The unit begins."""
        self.running[unit.id] = Running(unit, time.monotonic())

    def progress(self, unit: Unit, done: float, total: float, note: str = "") -> None:
        """The unit is at done of total, in units of its own."""
        running = self.running[unit.id]
        running.share = min(1.0, done / total) if total > 0 else 0.0
        running.note = note

    def finish(self, unit: Unit) -> None:
        """The unit is done."""
        running = self.running.pop(unit.id)
        self.num_done += 1
        self.done_cost += unit.cost
        if not self.console.is_terminal:
            took = duration(time.monotonic() - running.began)
            width = len(str(self.num_units))
            self.console.print(
                f"[{self.num_done:>{width}}/{self.num_units}] {unit.label} ({took})",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def say(self, text: str) -> None:
        """A remark that stays on the screen."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    @property
    def remaining(self) -> float | None:
        """Seconds to go if the rest goes as fast, measured in stated costs; None: too early."""
        done = self.done_cost + sum(r.share * r.unit.cost for r in list(self.running.values()))
        if self.elapsed < WARM_UP or done <= 0:
            return None
        return self.elapsed * (self.total_cost - done) / done

    def render(self) -> Group:
        """The view now."""
        now = time.monotonic()
        lines = Table.grid(padding=(0, 1))
        for running in list(self.running.values()):
            lines.add_row(
                Text(running.unit.label),
                ProgressBar(total=1.0, completed=running.share, width=24),
                f"{running.share:4.0%}",
                Text(duration(now - running.began), style="cyan"),
                Text(running.note, style="dim"),
            )
        to_go = "" if self.remaining is None else f", about {duration(self.remaining)} to go"
        reused = f", {self.reused} reused" if self.reused else ""
        total = f"{self.num_done}/{self.num_units} done{reused}, {duration(self.elapsed)}{to_go}"
        return Group(lines, Text(total, style="bold"))


def duration(seconds: float) -> str:
    """For people: 4.2 s, 3:07 min, 1:02:03 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"
