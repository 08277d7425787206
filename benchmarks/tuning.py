"""What tuning a text encoder costs: python benchmarks/tuning.py [LOG] [--encoder ENCODER].

One row a mode: weights that learn, of all of the encoder's and what is added to it; the most memory
that one training step holds beside the weights and kept states (counted by torch: tensors alive at
once), and texts encoded with their gradient a second of CPU time, forward and backward, one thread.
Kept states: of the layers under the lowest that learns, computed once.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from slategym.models.data.datasets import load_log
from slategym.models.text.settings import DEFAULT_ENCODER, TUNINGS, EncoderSettings
from slategym.models.text.tuned import TunedEncoder

MODES = (
    {"tuning": "frozen", "pooling": "attention"},
    *({"tuning": tuning} for tuning in TUNINGS if tuning != "frozen"),
    {"tuning": "lora", "layers": 2},
)


class Memory(TorchDispatchMode):
    """The most bytes that tensors made inside held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Run the operation and count what it made."""
        import weakref

        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive[storage._cdata] = storage.nbytes()
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._freed, storage._cdata)
        self.most = max(self.most, self.now)
        return out

    def _freed(self, key: int) -> None:
        self.now -= self.alive.pop(key, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", nargs="?", default="movielens-100k")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--texts", type=int, default=32, help="encoded together")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    texts = load_log(asked.log).items["text"].tolist()[: asked.texts * asked.rounds]
    print(f"{len(texts)} item texts of {asked.log}, {asked.encoder}, {asked.texts} at a time\n")
    print("| mode | learns | of | kept states | memory of a step | texts a CPU second |")
    print("|---|--:|--:|--:|--:|--:|")
    for mode in MODES:
        print(_row(mode, texts, asked), flush=True)


def _row(mode: dict[str, object], texts: list[str], asked: argparse.Namespace) -> str:
    settings = EncoderSettings(asked.encoder, texts_per_step=asked.texts, **mode)  # type: ignore[arg-type]
    model = TunedEncoder(texts, settings, steps=100, progress=False)
    learns = sum(p.numel() for _, p in model.named_parameters())
    whole = sum(p.numel() for p in model.encoder.parameters())
    kept = 0 if model.kept_NLD is None else model.kept_NLD.numel() * 4
    parts = torch.arange(len(texts)).split(asked.texts)
    model.vectors(parts[0]).sum().backward()  # type: ignore[no-untyped-call]
    begun = time.process_time()
    for part_A in parts:
        model.vectors(part_A).square().sum().backward()  # type: ignore[no-untyped-call]
    speed = len(texts) / (time.process_time() - begun)
    with Memory() as memory:
        model.vectors(parts[0]).square().sum().backward()  # type: ignore[no-untyped-call]
    name = ", ".join(f"{v}" if k != "layers" else f"top {v} layers" for k, v in mode.items())
    return (
        f"| {name} | {learns:,} | {whole:,} | {kept / 2**20:.0f} MiB | "
        f"{memory.most / 2**20:.0f} MiB | {speed:.0f} |"
    )


if __name__ == "__main__":
    main()
