"""What a training run shows while it runs: a bar on stderr, and scalars for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

FIXED_WIDTH = 38  # of bar, epochs and time, with a space between each, in characters


class EpochBar:
    """One bar over all updates of a run, with the latest losses beside it.

    Args:
        label: what is trained.
        epochs: length of the bar.
        shown: whether to draw it.
        tensorboard: folder for scalars; None: none.
    """

    def __init__(self, label: str, epochs: int, shown: bool, tensorboard: Path | None) -> None:
        console = Console(stderr=True)
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
        self._writer: Any = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter  # slow, and seldom wanted

            self._writer = SummaryWriter(str(tensorboard / label.replace(" ", "-")))  # type: ignore[no-untyped-call]

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
        if self._writer is not None:
            self._writer.close()

    def move(self, epochs: float, losses: dict[str, float]) -> None:
        """Show progress, in epochs done, and losses."""
        text = " ".join(f"{head} {loss:.2f}" for head, loss in losses.items())
        self._progress.update(self._task, completed=epochs, losses=text)

    def record(self, epoch: int, losses: dict[str, float]) -> None:
        """Write one epoch's numbers for TensorBoard."""
        if self._writer is not None:
            for name, value in losses.items():
                self._writer.add_scalar(name, value, epoch)
