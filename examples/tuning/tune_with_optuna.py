"""Tune a learner with Optuna: trials are read on people of their own, and pruned in time.

    pip install optuna
    python tune_with_optuna.py [--trials 20] [--steps 30000]

What is chosen here was chosen on these people: hold the winner against opponents with
`slategym compare`, which meets others.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import optuna

import slategym as sg

WORLD = "InterestEvolution-v0"


def tune(trials: int, steps: int, seed: int = 0) -> Any:
    """Settings of SlateQ for this world; returns Optuna's study."""
    world = sg.make_world(WORLD)
    usual = sg.agents.SlateQ.default_settings()

    def objective(trial: Any) -> float:
        settings = replace(
            usual,
            num_steps=steps,
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            gamma=trial.suggest_float("gamma", 0.8, 0.99),
        )
        agent = sg.agents.SlateQ(world, settings, seeds=[trial.number])
        watched = sg.agents.Evaluation(agent, every=max(1, steps // 5), sessions=200)

        def prune(now: Any) -> bool | None:
            known = len(watched.points)
            stop = watched(now)
            for point in watched.points[known:]:
                trial.report(point.value, point.steps)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return stop

        agent.learn(world, callback=prune)
        return watched.points[-1].value

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    study.optimize(objective, n_trials=trials)
    return study


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30_000, help="slates of a trial")
    asked = parser.parse_args()
    found = tune(asked.trials, asked.steps)
    print(f"{found.best_value:.2f} a session with {found.best_params}")
    print("   ".join(f"--agent-set {name}={x:g}" for name, x in found.best_params.items()))
