"""A world from any log: people who behave as a model fitted on the log says.

Three models are fitted on different people (`parties`): A's is the people, B's reads the session
for the agents, J's is the people of the second opinion. What the log tells is taken from it; what
it does not tell is assumed, by a named value (`assumptions`). Every piece carries a label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Amount, Count, check_kinds, kinds_of_function
from slategym.envs.types import World
from slategym.models.data.log import Log
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.people.registry import find_family
from slategym.models.simulator.assumptions import Assumptions, find_assumptions
from slategym.models.simulator.cache import builder_of
from slategym.models.simulator.parties import PartySettings, Split
from slategym.models.simulator.recipe import Recipe, WorldSettings

ROLES = {"world": "A", "judge": "J"}
LOG = Recipe("slategym/Log-v0", "slategym/Log-Judge-v0")
LIGHT = replace(
    LOG,
    parties=PartySettings(
        model=MultiTaskSettings(width=32, num_layers=1, feedforward=64, max_history=20),
        training=TrainingSettings(epochs=2, batch_events=1_472),
    ),
)
FITS = {"whole": LOG, "light": LIGHT}
"""How much work is put into the models: "light" is for grids of many logs, a fraction of the time
and less accurate."""
STARTS = 8  # arrivals of each person on whom choices are made

Objective = Mapping[str, float] | str | None


def learned_world(
    log: Log | str | Path,
    *,
    assumptions: str | Assumptions = "mild",
    role: Literal["world", "judge"] = "world",
    static: bool = False,
    users: str = "training",
    slate_size: Count | None = None,
    state: bool = True,
    starts: Count = 8,
    pessimism: Amount = 0.0,
    ensemble: Count = 3,
    objective: Objective = None,
    family: str | None = None,
    anyway: bool = False,
    split: Split = 0,
    fit: str = "whole",
    device: str = "cpu",
) -> World:
    """A world of people learned from a log; the models are fitted once and kept.

    Args:
        log: a log, the path of a log's folder, or the name of a data set.
        assumptions: what is added because no log shows it: "none", "impatience", "mild", "lasting",
            "mixed", "habit", "smooth", "return", perhaps with other numbers
            ("lasting:duration=8"); or a value. See docs/assumptions.md.
        role: "world": A's people; "judge": J's, a model fitted on people whom no other has met,
            by default of another family.
        static: True: the negative control: nothing that a user does changes what comes next.
        users: whose histories: "training" (people of A and B), or "calibration", "selection",
            "evaluation", "control" (groups of J's people).
        slate_size: slots; None: as the log's slates have, else 5.
        state: False leaves out the agents' model (B's) and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        pessimism: for training: reward that a click loses per unit of disagreement, the standard
            deviation of the item's expected reward over an ensemble; 0: none.
        ensemble: models of A's people that are asked, the world's own included.
        objective: reward per unit of signals by name, as a mapping or "click=1,dwell=0.01"; None:
            the weights that the log declares.
        family: kind of model that plays the people: "bert", "factor", "gp", "covisitation",
            "trees", or one of another package; None: "bert" in the world, "factor" of the judge.
        anyway: True takes a family that does worse than no model, which the labels then say.
        split: which of three ways to part the people: turned round, so that A's place is taken by
            those who were B's, B's by J's, J's by A's.
        fit: "whole": the networks as they are published; "light": smaller ones, two epochs.
        device: of every tensor.

    Raises:
        UsageError: if a setting cannot be, or the log is too small for a world; if the family that
            is named does surely worse on people unknown to it than biases or popularity, with its
            figures and the names of families that do not.
    """
    told = {name: value for name, value in locals().items() if name != "log"}
    check_kinds("learned_world", told, kinds_of_function(learned_world))
    return build_world(
        log,
        lookup("fit", fit, FITS),
        WorldSettings(
            role=lookup("role", role, ROLES),
            static=static,
            users=users,
            slate_size=slate_size,
            assumptions=find_assumptions(assumptions),
            state=state,
            starts=starts,
            pessimism=pessimism,
            ensemble=ensemble,
            objective=read_objective(objective),
            family=None if family is None else find_family(family),
            anyway=anyway,
            split=split,
            device=device,
        ),
    )


def build_world(log: Log | str | Path, recipe: Recipe, settings: WorldSettings) -> World:
    """The world of a recipe; choices of policies are made in A's world, on selection people."""
    log = str(log) if isinstance(log, Path) else log
    world = builder_of(log, recipe, settings.split).world(settings)
    # choices are made in the open world, whoever asks: neither judge nor control has a part in them
    family = settings.family if settings.role == "A" else None
    chosen_in = replace(
        settings,
        role="A",
        users="selection",
        static=False,
        starts=STARTS,
        pessimism=0.0,
        family=family,
    )
    return replace(world, selection=Selection(log, recipe, chosen_in))


class Selection:
    """The world in which choices are made, built when first asked for."""

    def __init__(self, log: Log | str, recipe: Recipe, settings: WorldSettings) -> None:
        self.asked = (log, recipe, settings)
        self.world: World | None = None

    def __call__(self) -> World:
        """The same one each time."""
        if self.world is None:
            self.world = build_world(*self.asked)
        return self.world

    def __reduce__(self) -> tuple[type[Selection], tuple[Any, ...]]:
        """Travels without the world."""
        return Selection, self.asked


def read_objective(objective: Objective) -> tuple[tuple[str, float], ...] | None:
    """Reward weights by signal.

    Raises:
        UsageError: if a text is not NAME=NUMBER or weighs a signal twice, a weight is not finite,
            or all are zero.

    >>> read_objective("click=1,dwell=0.01")
    (('click', 1.0), ('dwell', 0.01))
    """
    if objective is None:
        return None
    if isinstance(objective, str):
        pairs = [part.partition("=") for part in objective.split(",")]
        try:
            weighed = [(name.strip(), float(number)) for name, _, number in pairs]
        except ValueError:
            raise UsageError(
                f"an objective is NAME=NUMBER,NAME=NUMBER such as click=1,dwell=0.01; "
                f"got {objective!r}"
            ) from None
        if len(dict(weighed)) < len(weighed):
            raise UsageError(
                f"a signal is weighed twice in the objective {objective!r}; weigh it once"
            )
        objective = dict(weighed)
    for name, weight in objective.items():
        if not math.isfinite(weight):
            raise UsageError(f"the weight of {name} must be finite, got {weight}")
    if not any(objective.values()):
        raise UsageError("an objective of zeros rewards nothing; give some signal another weight")
    return tuple((name, float(weight)) for name, weight in objective.items())


def log_world(
    log: str = "movielens-100k",
    role: Literal["world", "judge"] = "world",
    assumptions: str = "mild",
    static: bool = False,
    users: str = "training",
    slate_size: Count | None = None,
    state: bool = True,
    starts: Count = 8,
    pessimism: Amount = 0.0,
    ensemble: Count = 3,
    objective: str | None = None,
    family: str | None = None,
    anyway: bool = False,
    split: Split = 0,
    fit: str = "whole",
    device: str = "cpu",
) -> World:
    """People of a log of your own, who choose and respond as a BERT learned from it.

    Description:
        A person arrives with some clicked items behind them and is shown slates. They click at most
        one item (multinomial logit over what a multi-task BERT expects, against taking nothing) and
        respond to it with every signal of the log. The click joins their history, the clock moves
        on. Seconds per slate, the length of a visit, whether an item may be had again, context and
        reward come from the log where it tells; what it does not tell is assumed, and labelled.

        Three models are fitted on different people: A's is the simulated people, B's is the
        supervised ranker and reads the session for the agents, J's is the judge's people.

    Observation space:
        step; context (2,): hour and weekday; context_NAME (1,) for every context column of the log:
        a category, the last of which is "unknown", or a number; profile (F,): the users' traits;
        history_item (H,), history_feedback (H, M), history_age (H,): the last clicked items with
        every signal; shown_item (P, K), shown_taken (P, K): the last slates and what was clicked of
        them; action_mask (N,), unless items may be had again: which may be shown; state
        (64,): the B-model's embedding of all that. Boredom and patience are hidden.

    Action space:
        MultiDiscrete([N] * slate_size), items. An item shown twice, or one that may not be shown,
        is an empty slot.

    Reward:
        The weights of the log's signals (log.toml), or `objective`; with `pessimism`, less where
        models of the people disagree.

    Start:
        At a random point of a real person's history.

    End:
        Terminated when patience is gone; truncated after the longest visits of the log, 10 to 100
        slates.

    Args:
        log: a log's folder, or the name of a data set.
        role: "world" or "judge" (slategym/Log-Judge-v0): people whom no other model has met, played
            by another family of models, by default fading factors and a regression on biases,
            drift, factors and topics. The assumed rules are the same: a judge tests whether what a
            policy learned of people's preferences carries over, not whether the rules are true.
        assumptions: what is added because no log shows it: "none", "mild" (boredom with a topic,
            patience with slates in vain), "lasting", "mixed", "habit", "smooth" or "return"
            (docs/assumptions.md), perhaps with other numbers, as in "lasting:duration=8".
        static: True: the negative control, without boredom, patience, drift and clock.
        users: whose histories: "training" (people of A and B), or "calibration", "selection",
            "evaluation", "control" (groups of J's people).
        slate_size: slots; null: as the log's slates have, else 5.
        state: False leaves out the agents' model (B's) and its embedding, which is faster.
        starts: points of each person's history at which they may arrive.
        pessimism: for training: reward that a click loses per unit of disagreement, the standard
            deviation of the item's expected reward over an ensemble; 0: none.
        ensemble: models of A's people that are asked, the world's own included; each is fitted
            once.
        objective: reward per unit of signals, such as click=1,dwell=0.01; null: as the log says.
        family: kind of model that plays the people: bert, factor, gp, covisitation, trees; null:
            bert, of the judge factor.
        anyway: True takes a family that does worse than no model on people unknown to it.
        split: which of three ways to part the people: turned round, so that A's place is taken by
            those who were B's, B's by J's, J's by A's.
        fit: "whole": the networks as they are published; "light": smaller ones, two epochs.
        device: of every tensor.

    Source:
        The log; the models' cards say what they were fitted on.

    Version history:
        v0: first; the usual judge has since been mended, its family may be chosen, and a third of
            the evaluation people have become the control's.
    """
    return learned_world(
        log,
        role=role,
        assumptions=assumptions,
        static=static,
        users=users,
        slate_size=slate_size,
        state=state,
        starts=starts,
        pessimism=pessimism,
        ensemble=ensemble,
        objective=objective,
        family=family,
        anyway=anyway,
        split=split,
        fit=fit,
        device=device,
    )
