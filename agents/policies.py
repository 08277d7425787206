"""What needs no training of its own: how each policy of the registry is made for a world."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from slategym.agents.baselines.classics import classic, tune_classic
from slategym.agents.baselines.fixed import Popularity
from slategym.agents.baselines.one_step import OneStep, one_step
from slategym.agents.core.history_rule import (
    FADING,
    HistoryRule,
    history_rule_with,
    tune_history_rule,
)
from slategym.agents.core.random_slates import Random, clicks_under_random_slates
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.start import tune_start
from slategym.agents.core.stochastic import Mixture, PopularitySoftmax
from slategym.agents.core.supervised import (
    DIVERSITIES,
    PLAIN,
    SUPERVISED,
    Supervised,
    ranker_of,
    strengths_of,
    supervised_with,
    tune_diversity,
    tune_heads,
    tune_ranker,
    tune_ranker_steps,
    tune_supervised,
)
from slategym.agents.core.tuning import WHOLE, Budget, Tuned, Tuning
from slategym.agents.references.myopic import RuleAware
from slategym.agents.references.noisy import NoisyGreedy
from slategym.agents.types import Policy, Stochastic
from slategym.envs.names import UsageError
from slategym.envs.types import World


def random(world: World) -> Random:
    """Distinct candidates, uniform among those that may be shown."""
    return Random(world.num_candidates, world.slate_size)


def popularity(world: World) -> Popularity:
    """By clicks in the agents' log; in worlds without one, under random slates."""
    return Popularity(_clicks(world), world.slate_size)


def popularity_softmax(world: World) -> PopularitySoftmax:
    """Drawn in proportion to the same clicks."""
    return PopularitySoftmax(_clicks(world), world.slate_size)


def _clicks(world: World) -> Tensor:
    count_N = world.catalogue.popularity
    return clicks_under_random_slates(world) if count_N is None else count_N


def noisy_greedy_mixed(world: World) -> Stochastic:
    """Four slates of five by `noisy-greedy`, one at random."""
    return Mixture((NoisyGreedy(world), random(world)), (0.8, 0.2), "noisy-greedy-mixed")


def ease(world: World, cap: int | None = None) -> Policy:
    """EASE over a fading history, fitted on the agents' log; tuned unless there is a cap."""
    return classic(world, "ease", cap)


def knn(world: World, cap: int | None = None) -> Policy:
    """Item-kNN over a fading history, fitted on the agents' log; tuned unless there is a cap."""
    return classic(world, "knn", cap)


def transitions(world: World, cap: int | None = None) -> Policy:
    """What came soon after the last clicks in the agents' log; tuned unless there is a cap."""
    return classic(world, "transitions", cap)


def ease_transitions(world: World, cap: int | None = None) -> Policy:
    """EASE plus the logarithm of transitions; tuned unless there is a cap."""
    return classic(world, "ease-transitions", cap)


def gp(world: World, cap: int | None = None) -> OneStep:
    """The family gp, fitted on the agents' log: one step of look-ahead, nothing tuned."""
    return one_step(world, "gp", cap)


def supervised(world: World) -> Policy:
    """The supervised ranker, its weights and diversity as they serve selection people best."""
    tuning = tune_supervised(world)
    steps = (tune_ranker(world), tuning)
    return Tuned(SUPERVISED, supervised_with(world, tuning.chosen), steps)


def supervised_untuned(world: World) -> Supervised:
    """The supervised ranker as it is stated, without diversity."""
    plain = supervised_with(world, PLAIN, stated_ranker(world))
    return replace(plain, called="supervised-untuned")


def supervised_diverse(world: World, kind: str, strength: float | None = None) -> Policy:
    """The tuned ranker made various in one way; strength None: as serves selection people best.

    Raises:
        UsageError: this world's slates cannot be made various in that way.
    """
    if strength is not None:
        return supervised_with(world, {"kind": kind, "strength": strength})
    if not strengths_of(world, kind):
        raise UsageError(
            f"{world.name} has slates of {world.slate_size} and {world.catalogue.num_topics} "
            f"topics: {kind} needs slates of 2 and, unless it is mmr or dpp, 2 topics"
        )
    tuning = tune_diversity(world, kind)
    name = "supervised-capped" if kind == "cap" else f"supervised-{kind}"
    return Tuned(name, supervised_with(world, tuning.chosen), (tune_ranker(world), tuning))


def history_rule(world: World, strength: float, fading: float = FADING) -> HistoryRule:
    """The tuned ranker, passing over topics clicked lately."""
    return history_rule_with(world, {"strength": strength, "fading": fading}, ranker_of(world))


def history_rule_capped(world: World, cap: str) -> HistoryRule:
    """The tuned ranker, passing over topics with so many of the last clicks.

    Args:
        world: where it is to act.
        cap: "2of4": two of the last four clicks.
    """
    most, of = cap.split("of")
    return history_rule_with(world, {"most": int(most), "of": int(of)}, ranker_of(world))


def history_rule_tuned(world: World) -> Policy:
    """The history rule of the form and the numbers that serve selection people best."""
    tuning = tune_history_rule(world)
    inner = history_rule_with(world, tuning.chosen, ranker_of(world))
    return Tuned("history-rule", inner, (tune_ranker(world), tuning))


def rule_aware(world: World) -> RuleAware:
    """The supervised ranker told the boredom rule."""
    return RuleAware(ranker_of(world), world)


def tune_supervised_steps(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """Everything that is tuned of `supervised` and of its kinds of diversity, step by step."""
    kinds = [kind for kind in DIVERSITIES if kind != "none" and strengths_of(world, kind)]
    return [
        *tune_ranker_steps(world, budget),
        *(tune_diversity(world, kind, budget) for kind in kinds),
        tune_supervised(world, budget),
    ]


def tune_history_rule_steps(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """The ranker's steps and the rule's."""
    return [*tune_ranker_steps(world, budget), tune_history_rule(world, budget)]


def tune_start_steps(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """All on which a learner's start rests, and which of them it is."""
    return [
        tune_heads(world, budget),
        tune_ranker(world, budget),
        tune_supervised(world, budget),
        tune_history_rule(world, budget),
        tune_start(world, budget),
    ]


def tune_classic_ease(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """EASE's fade and cap."""
    return [tune_classic(world, "ease", budget)]


def tune_classic_knn(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """Item-kNN's fade and cap."""
    return [tune_classic(world, "knn", budget)]


def tune_classic_transitions(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """Their fade and cap."""
    return [tune_classic(world, "transitions", budget)]


def tune_classic_ease_transitions(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """Fade, mix and cap of the pair."""
    return [tune_classic(world, "ease-transitions", budget)]
