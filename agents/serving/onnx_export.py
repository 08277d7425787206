"""A policy as an ONNX program: the same inputs and slates as the TorchScript one, without torch.

What is recorded is the same module (`agents/serving/export.py`), through torch.export, whose graph
keeps the number of users free. It is checked by running it in onnxruntime beside the policy.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slategym.agents.serving.events import EARLIER
from slategym.agents.serving.export import Serving, check, prepared
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.models.files import atomic_path

NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18


@dataclass(frozen=True)
class OnnxExported:
    """An ONNX program and what it takes."""

    model: bytes  # a serialized ModelProto
    inputs: dict[str, Tensor]  # by name, in order; an example of some users
    session: Any  # onnxruntime.InferenceSession
    masked: bool = False  # a mask of the caller's own besides is the TorchScript program's alone

    def slate(self, shown: Mapping[str, Tensor]) -> Tensor:
        """(B, K) int32 positions, by onnxruntime.

        Args:
            shown: the inputs by name.
        """
        given = {name: shown[name].cpu().numpy() for name in self.inputs}
        return torch.from_numpy(self.session.run(None, given)[0])

    def write(self, path: str | Path) -> None:
        """As a file that onnxruntime reads, whole or not at all."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.model)


def check_installed() -> None:
    """Raise UsageError where a package that ONNX needs is missing; nothing is imported."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX needs {', '.join(missing)}, not installed: pip install 'slategym[onnx]'"
        )


def export_onnx(policy: Policy, world: World | None = None) -> OnnxExported:
    """Record how a policy serves, and check the recording in onnxruntime.

    Args:
        policy: as of `export`.
        world: as of `export`.

    Raises:
        UsageError: see `export`; a package is missing; ONNX has no such operator.
    """
    check_installed()
    import onnxruntime

    where, example = prepared(policy, world)
    free = torch.export.Dim.DYNAMIC
    dynamic = tuple({0: free, 1: free} if name == EARLIER else {0: free} for name in example)
    try:
        with torch.no_grad(), _quiet():
            recorded = torch.onnx.export(
                Serving(policy, where, tuple(example)).eval(),
                tuple(example.values()),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(example),
                output_names=["slate"],
                dynamic_shapes=(dynamic,),
                custom_translation_table={
                    torch.ops.aten.sort.stable: _sort(),
                    torch.ops.aten.asinh.default: _asinh(),
                },
            )
    except torch.onnx.errors.OnnxExporterError as error:
        # the reason is the last of the chain
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = " ".join(str(cause).split())[:200]
        raise UsageError(f"{policy.name} cannot be written as ONNX: {reason}") from error
    assert recorded is not None
    model = recorded.model_proto.SerializeToString()
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds, one for every status
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{policy.name} cannot be run by onnxruntime: {reason}") from error
    exported = OnnxExported(model, example, session)
    check(policy, exported, where)
    return exported


def _sort() -> Any:
    """aten::sort.stable, which torch leaves out: TopK puts the lower index first among equals."""
    from onnxscript import opset18 as op

    def sort(x: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        length = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]), axis=0)
        return op.TopK(x, length, axis=dim, largest=int(descending), sorted=1)

    return sort


def _asinh() -> Any:
    """aten::asinh by its logarithm: onnxruntime has Asinh of float32 alone."""
    from onnxscript import opset18 as op

    def asinh(x: Any) -> Any:
        size = op.Abs(x)
        one = op.CastLike(op.Constant(value_float=1.0), x)
        return op.Mul(op.Sign(x), op.Log(op.Add(size, op.Sqrt(op.Add(op.Mul(x, x), one)))))

    return asinh


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's notes on its own exporter."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
