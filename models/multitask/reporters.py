"""Where the numbers of a training go besides its folder: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy import uint8
from numpy.typing import NDArray

from slategym.envs.names import Registry, UsageError, load_object

Picture = NDArray[uint8]  # (height, width, 3)
FOLDER = "reports"  # in the model's folder


class Reporter(Protocol):
    """Takes numbers, epoch by epoch."""

    def record(self, epoch: int, values: Mapping[str, float]) -> None:
        """One epoch's numbers."""
        ...

    def picture(self, epoch: int, name: str, image: Picture) -> None:
        """What people are shown then."""
        ...

    def close(self) -> None:
        """The training is over, or was interrupted."""
        ...


class TensorBoard:
    """Event files, as `tensorboard --logdir` shows them.

    Args:
        folder: for the files.
        label: of the training.
        settings: of the training; not used.
    """

    def __init__(self, folder: Path, label: str, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow, and seldom wanted

        self._writer: Any = SummaryWriter(str(folder / "tensorboard" / label.replace(" ", "-")))  # type: ignore[no-untyped-call]

    def record(self, epoch: int, values: Mapping[str, float]) -> None:
        """One scalar each."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)

    def picture(self, epoch: int, name: str, image: Picture) -> None:
        """An image of that name."""
        self._writer.add_image(name, image, epoch, dataformats="HWC")

    def close(self) -> None:
        """Write what is pending."""
        self._writer.close()


class WeightsAndBiases:
    """A run of the project "slategym"; `WANDB_MODE=offline` keeps it in the folder.

    Args:
        folder: for the run's files.
        label: of the training, the run's name.
        settings: of the training, the run's config.

    Raises:
        UsageError: wandb is not installed.
    """

    def __init__(self, folder: Path, label: str, settings: Mapping[str, Any]) -> None:
        wandb = _wanted("wandb", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        project = os.environ.get("WANDB_PROJECT", "slategym")
        self._image = wandb.Image
        self._run = wandb.init(
            project=project, name=label, dir=str(folder), config=dict(settings), reinit="create_new"
        )

    def record(self, epoch: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        self._run.log(dict(values), step=epoch)

    def picture(self, epoch: int, name: str, image: Picture) -> None:
        """An image of that name."""
        self._run.log({name: self._image(image)}, step=epoch)

    def close(self) -> None:
        """End the run."""
        self._run.finish()


class MLflow:
    """A run of the experiment "slategym", at `MLFLOW_TRACKING_URI` or in the folder's mlflow.db.

    Args:
        folder: for the data base.
        label: of the training, the run's name.
        settings: of the training, the run's parameters.

    Raises:
        UsageError: mlflow is not installed.
    """

    def __init__(self, folder: Path, label: str, settings: Mapping[str, Any]) -> None:
        _wanted("mlflow", "mlflow")
        tracking = _wanted("mlflow.tracking", "mlflow")
        folder.mkdir(parents=True, exist_ok=True)
        there = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.absolute()}/mlflow.db"
        self._client = tracking.MlflowClient(tracking_uri=there)
        experiment = self._client.get_experiment_by_name("slategym")
        at = (
            self._client.create_experiment("slategym")
            if experiment is None
            else (experiment.experiment_id)
        )
        self._run = self._client.create_run(at, run_name=label).info.run_id
        for name, value in settings.items():
            self._client.log_param(self._run, name, value)

    def record(self, epoch: int, values: Mapping[str, float]) -> None:
        """One point of each curve; MLflow takes no blanks but these in a name."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def picture(self, epoch: int, name: str, image: Picture) -> None:
        """An artefact of the run, a PNG."""
        self._client.log_image(self._run, image, f"{name}-{epoch}.png")

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._run)


Make = Callable[[Path, str, Mapping[str, Any]], Reporter]
REPORTERS: dict[str, Make] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
reporters: Registry[Make] = Registry(
    "reporter", REPORTERS, {"slategym.reporters": lambda path, one_line: load_object(path)}
)


def open_reporters(
    names: Sequence[str], folder: Path, label: str, settings: Mapping[str, Any]
) -> list[Reporter]:
    """The reporters of these names, opened.

    Args:
        names: in REPORTERS, of another package, or "module:Name" of one's own.
        folder: of the model; they keep what they keep below its "reports".
        label: of the training.
        settings: of the training.

    Raises:
        UsageError: there is no such reporter, or it needs a package that is not installed.
    """
    return [reporters.find(name)(folder / FOLDER, label, settings) for name in names]


def check_reporters(names: Sequence[str]) -> None:
    """Raise what `open_reporters` would, before any training starts.

    Raises:
        UsageError: see there.
    """
    needs = {"wandb": "wandb", "mlflow": "mlflow"}
    for name in names:
        reporters.find(name)
        if name in needs:
            _wanted(needs[name], name)


def _wanted(module: str, name: str) -> Any:
    """A module that may not be there."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise UsageError(
            f"reporter {name!r} needs {name}: pip install 'slategym[{name}]', or take 'tensorboard'"
        ) from None
