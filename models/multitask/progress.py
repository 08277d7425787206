"""What a training run shows while it runs: a bar on stderr, and numbers for reporters."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from slategym.models.console import plain_console
from slategym.models.multitask.reporters import Reporter

FIXED_WIDTH = 38  # of bar, epochs and time, with a space between each, in characters


class EpochBar:
    """One bar over all updates of a run, with the latest losses beside it.

    Args:
        label: what is trained.
        epochs: length of the bar.
        shown: whether to draw it.
        reporters: are given each epoch's numbers.
    """

    def __init__(
        self, label: str, epochs: int, shown: bool, reporters: Sequence[Reporter] = ()
    ) -> None:
        console = plain_console(stderr=True)
        left = max(1, console.width - len(label) - FIXED_WIDTH)  # the losses are cut, not the rest
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            TextColumn("{task.completed:4.1f}/{task.total:.0f} epochs"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}", table_column=Column(no_wrap=True, max_width=left)),
            console=console,
            disable=not shown,
        )
        self._task = self._progress.add_task(label, total=epochs, losses="")
        self._reporters = reporters

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        for reporter in self._reporters:
            reporter.close()

    def move(self, epochs: float, losses: dict[str, float]) -> None:
        """Show progress, in epochs done, and losses."""
        text = " ".join(f"{head} {loss:.2f}" for head, loss in losses.items())
        self._progress.update(self._task, completed=epochs, losses=text)

    def record(self, epoch: int, losses: dict[str, float]) -> None:
        """Give one epoch's numbers to the reporters."""
        for reporter in self._reporters:
            reporter.record(epoch, losses)
