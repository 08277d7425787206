"""How a training is seen from outside: a progress bar, and TensorBoard's event files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from slategym.models.console import plain_console

Tell = Callable[[int, Mapping[str, float]], None]  # slates so far, figures by tag
LOSSES = ("train/loss", "train/value_loss", "train/critic_loss")  # the first that there is


@contextmanager
def bar(name: str, total: int, wanted: bool) -> Iterator[Tell]:
    """A bar on standard error with return, loss and user-steps per second."""
    if not wanted:
        yield lambda steps, figures: None
        return
    console = plain_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} slates"),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    ) as progress:
        task = progress.add_task(name, total=total, figures="")
        earned = ""

        def tell(steps: int, figures: Mapping[str, float]) -> None:
            nonlocal earned
            if "rollout/ep_rew_mean" in figures:
                earned = f"return {figures['rollout/ep_rew_mean']:.1f}  "
            losses = [figures[tag] for tag in LOSSES if tag in figures]
            loss = f"loss {losses[0]:.3g}  " if losses else ""
            text = f"{earned}{loss}{figures['time/fps']:,.0f} user-steps/s"
            progress.update(task, completed=min(steps, total), figures=text)

        yield tell


@contextmanager
def events(folder: Path | None, steps: int = 0) -> Iterator[Tell]:
    """Event files for TensorBoard, under stable-baselines3's tag names.

    Args:
        folder: of the files; None: none.
        steps: slates so far; what a killed training told beyond them is not shown.
    """
    if folder is None:
        yield lambda steps, figures: None
        return
    from torch.utils.tensorboard import SummaryWriter

    _wait_for_a_later_name(folder)
    writer = SummaryWriter(str(folder), purge_step=steps + 1 if steps else None)

    def tell(steps: int, figures: Mapping[str, float]) -> None:
        for tag, value in figures.items():
            writer.add_scalar(tag, value, steps)

    try:
        yield tell
    finally:
        writer.close()


def _wait_for_a_later_name(folder: Path) -> None:
    """Until a new event file's name comes after those of the folder, at most a second.

    TensorBoard reads files in the order of their names. These begin with whole seconds, and go on
    with numbers of which 10 comes before 9.
    """
    seconds = [path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*.*")]
    newest = max((int(second) for second in seconds if second.isdecimal()), default=0)
    while newest == int(time.time()):
        time.sleep(0.05)
