"""What one GPU does, in eight minutes at most: python benchmarks/gpu.py.

Correctness first: every hand-written world's trajectory on the GPU against the CPU's, within float
tolerance. Then user-steps per second of three hand-written worlds and of learned people, eager,
compiled and as a CUDA graph, over users in parallel, with the share of the copy bandwidth measured
in the same run; learners with seeds side by side; the time to SlateQ's row; texts per second of
fine-tuning, frozen, LoRA and full. It writes docs/results/gpu.md from what it measured.

torch, numpy, gymnasium, pandas and this tree are enough; a part that needs more is left out and
said where that is missing, and so is whatever does not fit into --seconds. `--tiny` runs every part
once, small and eager, on any device: that the script works is all that it shows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.compiling import compiled
from slategym.envs.luck import Luck, purpose
from slategym.envs.registry import WORLDS, make_world
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, Outcome, Session, World

PAGE = Path(__file__).parents[1] / "docs" / "results" / "gpu.md"
POLICY = purpose("benchmarks.gpu.policy")
PLAYED = ("Sardine-SlateTopK-Bored-v0", "InterestEvolution-v0", "Scenario-Shop-v0")
GEMS_SLATES = 10**8  # of training and evaluation, GeMS's published protocol
CLOSE, RARE = 1e-3, 1e-3  # of floats; share of values that may differ: a click is all or nothing
SLATEQ: dict[str, Any] = {
    "scale": 200.0,
    "prior": 21,
    "choice": "given",
}  # as in the study of the paper's table
Row = tuple[str, ...]
Turn = Callable[[Session, Tensor], tuple[Session, Outcome, Observation]]
UNMEASURED = """\
**No figure has been measured on a GPU.** `python benchmarks/gpu.py` measures them on a machine that
has one, in eight minutes at most, and writes this page anew; `pytest -m gpu` holds every world's
trajectory there against the CPU's. Wanted, not shown: 300 million user-steps a second of the
boredom world at a million users.

What the script measures: user-steps a second of three hand-written worlds and of learned people
over 1,024 to 1,048,576 users, eager, compiled and as a CUDA graph, each with its share of the copy
bandwidth of the same run; SlateQ and PPO with 1, 8 and 32 seeds side by side; the time to SlateQ's
row; texts a second of fine-tuning, frozen, LoRA and full. Its tiny version runs on a CPU in the
tests (`tests/test_gpu_script.py`): that shows that the script works, and nothing of speed."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    users: tuple[int, ...] = (1_024, 16_384, 131_072, 1_048_576)
    learned_users: tuple[int, ...] = (1_024, 16_384)
    learned_items: int = 1_682
    learners: int = 256  # users of PPO
    rounds: int = 5
    seconds: float = 0.3  # of a timing
    copied: int = 2**30  # bytes of the array whose copy tells the bandwidth
    seeds: tuple[int, ...] = (1, 8, 32)
    cycles: int = 2
    slateq_slates: int = 299_008
    texts: int = 256
    hidden: int = 384  # of the text encoder: MiniLM's shape, random weights
    layers: int = 6
    modes: tuple[str, ...] = ("eager", "compiled", "graph")  # the last on a GPU alone


TINY = Size((64,), (8,), 40, 16, 1, 0.0, 2**20, (2,), 1, 2_048, 4, 32, 1, ("eager",))


@dataclass
class Found:
    """What was measured, for the page."""

    device: str
    gpu: bool
    tables: dict[str, tuple[Row, list[Row]]] = field(default_factory=dict)  # head, rows
    notes: list[str] = field(default_factory=list)

    def table(self, title: str, *head: str) -> list[Row]:
        """Rows to add to."""
        return self.tables.setdefault(title, (head, []))[1]


class Steps:
    """B users of a world in a closed loop: a slate, the response, the next observation."""

    def __init__(self, world: World, users: int, mode: str) -> None:
        self.world, self.turns = world, 0
        user_B = torch.arange(users, dtype=torch.int32, device=world.device)
        zero_B = torch.zeros_like(user_B)
        self.session = engine.start(world, zero_B, user_B % world.population.size, zero_B)
        now = Luck.at(self.session.key, self.session.step)
        self.slates = [
            replace(now, stream=now.stream + n).integers(
                POLICY, world.slate_size, world.num_candidates
            )
            for n in range(4)
        ]
        self._turn: Turn = self._once
        if mode == "compiled":
            self._turn = compiled(lambda session, slate_BK: self._once(session, slate_BK))
        elif mode == "graph":
            self._turn = self._captured()

    def _once(self, session: Session, slate_BK: Tensor) -> tuple[Session, Outcome, Observation]:
        after, outcome = engine.transition(self.world, session, slate_BK)
        return after, outcome, engine.observe(self.world, after)

    @torch.no_grad()
    def _captured(self) -> Turn:
        """One step as a CUDA graph, into and out of tensors that stay where they are."""
        static = map_tensors(torch.clone, self.session)
        slate_BK = self.slates[0].clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._once(static, slate_BK)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = self._once(static, slate_BK)

        def turn(session: Session, slates: Tensor) -> tuple[Session, Outcome, Observation]:
            map_tensors(lambda there, here: there.copy_(here), static, session)
            slate_BK.copy_(slates)
            graph.replay()
            return made

        return turn

    @torch.no_grad()
    def step(self) -> None:
        """One slate to everybody; whoever has ended gives the seat to the next."""
        slate_BK = self.slates[self.turns % len(self.slates)]
        self.session, outcome, _ = self._turn(self.session, slate_BK)
        self.turns += 1
        ended_B = outcome.left | outcome.cut
        if bool(ended_B.any()):
            self.session, _ = engine.replace_rows(self.world, self.session, ended_B.nonzero()[:, 0])

    @property
    def bytes_per_user(self) -> float:
        """Read and written by a step: the session, twice, and the slate's item vectors."""
        sizes: list[int] = []
        map_tensors(lambda x: sizes.append(x.numel() * x.element_size()) or x, self.session)
        wide = self.world.catalogue.embedding.shape[1] * 4 * self.world.slate_size
        return 2.0 * sum(sizes) / len(self.session.user_id) + wide


def told(world: World, users: int, slates: int) -> list[Tensor]:
    """Feedback and reward of random slates, on the CPU."""
    user_B = torch.arange(users, dtype=torch.int32, device=world.device)
    session = engine.start(world, 0 * user_B + 3, user_B, 0 * user_B)
    found = []
    for _ in range(slates):
        luck = Luck.at(session.key, session.step)
        slate_BK = luck.integers(POLICY, world.slate_size, world.num_candidates)
        session, outcome = engine.transition(world, session, slate_BK)
        found += [outcome.feedback.cpu(), outcome.reward.cpu()]
    return found


def correctness(device: str, found: Found, ids: Sequence[str]) -> None:
    """Raises AssertionError where a world tells another story there."""
    rows = found.table(
        "The same story on the device as on the CPU", "world", "values compared", "apart"
    )
    for id in ids:
        here, there = told(make_world(id), 256, 20), told(make_world(id, device=device), 256, 20)
        pairs = list(zip(here, there, strict=True))
        apart = sum(int((~torch.isclose(a, b, rtol=CLOSE, atol=CLOSE)).sum()) for a, b in pairs)
        whole = sum(a.numel() for a in here)
        assert apart <= RARE * whole, f"{id}: {apart} of {whole} values differ on {device}"
        rows.append((id.removeprefix("slategym/"), f"{whole:,}", f"{apart:,}"))


def own_worlds() -> list[str]:
    """Worlds that envs builds: they need no log."""
    return sorted(id for id, entry in WORLDS.items() if entry.builder.startswith("slategym.envs."))


def settle(device: str) -> None:
    """Wait for what was asked of the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def bandwidth(device: str, size: Size) -> float:
    """Bytes read and written per second by a copy, the best of the rounds."""
    one = torch.zeros(size.copied // 4, device=device)
    two, rates = torch.empty_like(one), []
    for _ in range(size.rounds + 1):
        settle(device)
        begin = time.perf_counter()
        two.copy_(one)
        settle(device)
        rates.append(2 * size.copied / (time.perf_counter() - begin))
    return max(rates)


def rate(step: Callable[[], object], seconds: float, device: str) -> float:
    """Steps per second of wall time."""
    settle(device)
    count, begin = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - begin < seconds:
        step()
        count += 1
    settle(device)
    return count / (time.perf_counter() - begin)


def throughput(
    worlds: Sequence[tuple[str, Callable[[int], World]]],
    users: Sequence[int],
    device: str,
    size: Size,
    found: Found,
    title: str,
) -> None:
    """Medians of timings, every mode in turn."""
    copy, gpu = bandwidth(device, size), device != "cpu"
    head = ("world", "users", "mode", "user-steps/s", "of the copy bandwidth")
    rows = found.table(f"{title}; a copy moves {copy / 1e9:,.0f} GB/s", *head)
    for name, build in worlds:
        for count in users:
            world = build(count)
            field = {}
            for mode in (mode for mode in size.modes if gpu or mode != "graph"):
                try:
                    field[mode] = Steps(world, count, mode)
                except RuntimeError as error:  # out of memory, or what a graph cannot record
                    said = str(error).splitlines()[0]
                    found.notes.append(f"Not measured, {name}, {count:,} users, {mode}: {said}")
            for steps in field.values():
                for _ in range(3):
                    steps.step()
            runs: dict[str, list[float]] = {mode: [] for mode in field}
            for _ in range(size.rounds):
                for mode, steps in field.items():
                    runs[mode].append(count * rate(steps.step, size.seconds, device))
            for mode, values in runs.items():
                done = statistics.median(values)
                share = done * field[mode].bytes_per_user / copy
                rows.append((name, f"{count:,}", mode, f"{done:,.0f}", f"{share:.1%}"))


def hand_written(device: str, size: Size, found: Found) -> None:
    """Three worlds."""
    worlds = [(id, lambda _, id=id: make_world(id, device=device, **_items(id))) for id in PLAYED]
    throughput(worlds, size.users, device, size, found, "Hand-written people")
    (_, rows) = next(t for title, t in found.tables.items() if title.startswith("Hand-written"))
    best = max((float(row[3].replace(",", "")), row) for row in rows if row[0] == PLAYED[0])
    found.notes.append(
        f"Computed, not measured: at {best[0]:,.0f} user-steps/s ({best[1][2]}, {best[1][1]} "
        f"users) the {GEMS_SLATES:,} slates of GeMS's protocol would be shown in "
        f"{GEMS_SLATES / best[0] / 60:,.1f} minutes, a learner's own work not counted."
    )


def _items(id: str) -> dict[str, Any]:
    return {"num_items": 1_000} if id.startswith("Sardine") else {}


def learned(device: str, size: Size, found: Found) -> None:
    """People of a random multi-task BERT over cached item vectors."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from small_worlds import learned_world

    def build(users: int) -> World:
        world: World = learned_world(
            num_items=size.learned_items, slate_size=5, horizon=20, num_users=users
        )
        return _moved(world, device)

    title = "Learned people (a random network of width 16, slates of 5)"
    throughput([("learned", build)], size.learned_users, device, size, found, title)


def _moved(world: World, device: str) -> World:
    """On the device: tensors, and the networks inside."""
    if device == "cpu":
        return world
    from torch import nn

    seen: set[int] = set()

    def visit(value: Any) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, nn.Module):
            value.to(device)
        for inner in getattr(value, "__dict__", {}).values():
            visit(inner)

    visit(world)
    return map_tensors(lambda x: x.to(device), world)


def side_by_side(device: str, size: Size, found: Found) -> None:
    """SlateQ and PPO, so many seeds as one model."""
    from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
    from slategym.agents.slateq.agent import SlateQ, SlateQSettings

    settings = PPOSettings(num_users=size.learners, minibatch=size.learners * 15 // 4)
    rows = found.table("Learners, seeds side by side", "learner", "seeds", "slates/s of all seeds")
    for seeds in size.seeds:
        for name, world, agent in (
            (
                "slateq, InterestEvolution",
                make_world("InterestEvolution-v0", device=device),
                lambda w, n: SlateQ(w, SlateQSettings(), seeds=range(n)),
            ),
            (
                "plackett-luce, Sardine",
                make_world("Sardine-SlateTopK-Bored-v0", device=device, history_size=20),
                lambda w, n: PlackettLuce(w, settings, seeds=range(n)),
            ),
        ):
            learner = agent(world, seeds)
            learner.begin(world)
            learner.cycle()
            settle(device)
            begin = time.perf_counter()
            done = sum(learner.cycle()[0] for _ in range(size.cycles)) * seeds
            settle(device)
            rows.append((name, str(seeds), f"{done / (time.perf_counter() - begin):,.0f}"))


def slateq_row(device: str, size: Size, found: Found) -> None:
    """The whole training behind SlateQ's row, and what it serves to people of no training."""
    from slategym.agents.slateq.agent import SlateQ, SlateQSettings
    from slategym.experiments.measure.play import play

    world = make_world("InterestEvolution-v0", device=device)
    settings = SlateQSettings(num_steps=size.slateq_slates, **SLATEQ)
    begin = time.perf_counter()
    agent = SlateQ(world, settings, seeds=(0,)).learn(world)
    settle(device)
    seconds = time.perf_counter() - begin
    number = min(1_000, world.population.size)
    user_U = torch.arange(number, dtype=torch.int32, device=world.device)
    earned = play(world, agent, user_U, seed=1_000)["return"].mean()
    rows = found.table("Time to SlateQ's row", "slates", "seconds", "minutes watched a session")
    rows.append((f"{size.slateq_slates:,}", f"{seconds:.1f}", f"{earned:.1f}"))


def fine_tuning(device: str, size: Size, found: Found) -> None:
    """Texts of 64 tokens through a BERT of MiniLM's shape; backward where it learns."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=max(1, size.hidden // 32),
        intermediate_size=4 * size.hidden,
    )
    token_AL = torch.randint(0, config.vocab_size, (size.texts, 64), device=device)
    rows = found.table("Fine-tuning a text encoder", "mode", "parameters that learn", "texts/s")
    for mode in ("frozen", "lora", "full"):
        model: Any = BertModel(config)
        if mode == "lora":
            try:
                from peft import LoraConfig, get_peft_model
            except ImportError as error:
                found.notes.append(f"LoRA was not measured: {error}.")
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of transformers, about peft
                model = get_peft_model(model, LoraConfig(r=8, target_modules=["query", "value"]))
        model = model.to(device)
        if mode == "frozen":
            model.requires_grad_(False)
        learning = [p for p in model.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(learning) if learning else None

        def step(model: Any = model, adam: Any = adam) -> None:
            with torch.set_grad_enabled(adam is not None):
                out = model(input_ids=token_AL).last_hidden_state.mean(1).square().sum()
            if adam is not None:
                adam.zero_grad(set_to_none=True)
                out.backward()
                adam.step()

        step()
        done = [size.texts * rate(step, size.seconds, device) for _ in range(size.rounds)]
        number = sum(p.numel() for p in learning)
        rows.append((mode, f"{number:,}", f"{statistics.median(done):,.0f}"))


PARTS: dict[str, Callable[[str, Size, Found], None]] = {
    "hand-written people": hand_written,
    "learned people": learned,
    "seeds side by side": side_by_side,
    "time to SlateQ's row": slateq_row,
    "fine-tuning": fine_tuning,
}


def measure(device: str, size: Size, seconds: float, worlds: Sequence[str]) -> Found:
    """Everything that fits into so many seconds."""
    gpu, begin = device != "cpu", time.monotonic()
    name = torch.cuda.get_device_name() if gpu else "CPU"
    found = Found(f"{name}, torch {torch.__version__}", gpu)
    correctness(device, found, worlds)
    for part, do in PARTS.items():
        if time.monotonic() - begin > seconds:
            found.notes.append(f"Left out for want of time: {part}.")
            continue
        print(f"{part}, after {time.monotonic() - begin:.0f} s", flush=True)
        try:
            do(device, size, found)
        except ImportError as error:
            found.notes.append(f"Not measured, {part}: {error}.")
    return found


def page(found: Found | None) -> str:
    """The page, of what was measured; None: nothing was."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found | None) -> Iterator[str]:
    yield "# On a GPU"
    yield ""
    if found is None or not found.gpu:
        yield UNMEASURED
        return
    yield f"`python benchmarks/gpu.py`, {found.device}. Medians of timings of wall time, in turns."
    for title, (head, rows) in found.tables.items():
        yield from ("", f"## {title}", "", f"| {' | '.join(head)} |")
        yield "|" + "---|" * len(head)
        yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
    yield from (f"- {note}" for note in found.notes)


def main(arguments: Sequence[str] | None = None) -> Found:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=420.0, help="no part begins after these")
    parser.add_argument("--tiny", action="store_true", help="every part once, small")
    parser.add_argument("--worlds", nargs="*", help="whose trajectories are compared")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    asked = parser.parse_args(arguments)
    torch.manual_seed(0)
    size = TINY if asked.tiny else Size()
    found = measure(asked.device, size, asked.seconds, asked.worlds or own_worlds())
    for title, (head, rows) in found.tables.items():
        print(f"\n{title}\n" + "\n".join(" | ".join(row) for row in (head, *rows)))
    print("\n".join(found.notes))
    asked.out.write_text(page(found), "utf-8")
    return found


if __name__ == "__main__":
    main()
