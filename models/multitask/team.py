"""Several processes that train one model together, each on its share of the batches.

They are started by `accelerate launch` or torchrun, one for each GPU or some cores. All plan the
same epoch, each takes every so-manieth batch of it, and gradients are averaged as soon as they
are there, so that all make the same updates. The first one alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock
from torch import Tensor, nn

from slategym.envs.names import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """Which process this one is, and how to reach the others."""

    rank: int = 0
    size: int = 1
    accelerator: Any = None  # accelerate's; None: there are no others

    @staticmethod
    def launched() -> Team:
        """As `accelerate launch` or torchrun started this process; alone where neither did.

        Raises:
            UsageError: there are several processes, and accelerate is not installed.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return Team()
        try:
            from accelerate import Accelerator
        except ImportError:
            raise UsageError(
                "several processes train together through accelerate: pip install "
                "'slategym[multi-gpu]', or start one process"
            ) from None
        accelerator = Accelerator(cpu=not torch.cuda.is_available())
        return Team(accelerator.process_index, accelerator.num_processes, accelerator)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, batches: Sequence[T]) -> list[T]:
        """This process's batches: as many as any other's, the last ones of an epoch left out.

        An epoch of fewer batches than processes is each process's whole.
        """
        each = len(batches) // self.size
        return list(batches[self.rank : each * self.size : self.size]) if each else list(batches)

    def average(self, parameters: Iterable[nn.Parameter]) -> list[Any]:
        """Average each gradient over all processes once it is there; returns what undoes it."""
        if self.accelerator is None:
            return []

        def averaged(parameter: Tensor) -> None:
            parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")

        return [
            parameter.register_post_accumulate_grad_hook(averaged)  # type: ignore[no-untyped-call]
            for parameter in parameters
            if parameter.requires_grad
        ]

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Numbers that every process has, averaged."""
        if self.accelerator is None or not values:
            return values
        numbers = torch.tensor(list(values.values()), device=self.accelerator.device)
        found = self.accelerator.reduce(numbers, reduction="mean").tolist()
        return dict(zip(values, found, strict=True))

    @contextmanager
    def locked(self, folder: Path) -> Iterator[None]:
        """Within, no other team or process writes the folder, and all of this one are inside."""
        if self.accelerator is None:
            with FileLock(folder / ".lock"):
                yield
            return
        if self.first:
            with FileLock(folder / ".lock"):
                self.wait()
                yield
                self.wait()
            return
        self.wait()
        yield
        self.wait()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


ALONE = Team()
