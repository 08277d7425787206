"""Train a learner in a world of the literature, hold it against others, serve it with torch alone.

    python train_and_serve.py [--steps 102400] [--users 500] [--out runs/journey]

The people of this world (SARDINE's) tire of a topic that they are shown too much of, for some
slates; a slate is ten of a thousand items.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import slategym as sg

WORLD = "Sardine-SlateTopK-Bored-v0"


def main(steps: int, users: int, out: Path) -> sg.experiments.Comparison:
    """Train, compare, export, and ask the exported program for a slate."""
    world = sg.make_world(WORLD, history_size=20)
    agent = sg.agents.PlackettLuce(world)
    agent.learn(world, steps, folder=out, progress=True)  # killed and called again, it goes on

    found = sg.compare(world, [agent, "capped", "myopic", "random"], users=users)
    print(found)  # paired differences, with intervals over people

    exported = sg.agents.export(agent)  # checked against the agent, slate by slate
    exported.write(out / "policy.pt")
    program = torch.jit.load(out / "policy.pt")
    slates = program(*exported.inputs.values())  # what a service does, slategym not needed
    print(f"inputs: {', '.join(exported.inputs)}; first slate: {slates[0].tolist()}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=102_400, help="slates to learn from")
    parser.add_argument("--users", type=int, default=500, help="people who are compared on")
    parser.add_argument("--out", type=Path, default=Path("runs/journey"), help="folder")
    asked = parser.parse_args()
    main(asked.steps, asked.users, asked.out)
