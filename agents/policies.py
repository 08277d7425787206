"""What needs no training of its own: how each policy of the registry is made for a world."""

from __future__ import annotations

from slategym.agents.baselines.classics import Classic, classic
from slategym.agents.baselines.fixed import Popularity, Supervised
from slategym.agents.baselines.history_rule import HistoryRule
from slategym.agents.baselines.mmr import SupervisedMMR
from slategym.agents.baselines.tuning import tuned
from slategym.agents.core.random_slates import Random, clicks_under_random_slates
from slategym.agents.core.ranker import ranker_of
from slategym.agents.references.myopic import RuleAware
from slategym.agents.types import Policy
from slategym.envs.types import World

MOST_CAP = 10  # items of a topic, at most, when the cap is tuned
RULE_STRENGTHS = (0.0, 0.5, 1.0, 2.0)  # log-odds per click of the last slate, when tuned
MMR_STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # log-odds lost beside a twin, when tuned


def random(world: World) -> Random:
    """Distinct candidates, uniform among those that may be shown."""
    return Random(world.num_candidates, world.slate_size)


def popularity(world: World) -> Popularity:
    """By clicks in the agents' log; in worlds without one, under random slates."""
    count_N = world.catalogue.popularity
    if count_N is None:
        count_N = clicks_under_random_slates(world)
    return Popularity(count_N, world.slate_size)


def ease(world: World, cap: int | None = None) -> Classic:
    """EASE over a fading history, fitted on the agents' log."""
    return classic(world, "ease", cap)


def knn(world: World, cap: int | None = None) -> Classic:
    """Item-kNN over a fading history, fitted on the agents' log."""
    return classic(world, "knn", cap)


def transitions(world: World, cap: int | None = None) -> Classic:
    """What came soon after the last clicks in the agents' log."""
    return classic(world, "transitions", cap)


def ease_transitions(world: World, cap: int | None = None) -> Classic:
    """EASE plus the logarithm of transitions, both fitted on the agents' log."""
    return classic(world, "ease-transitions", cap)


def supervised(world: World, cap: int | None = None) -> Supervised:
    """The supervised ranker, with a cap per topic if one is given."""
    return Supervised(ranker_of(world), world.catalogue.topic.long(), world.slate_size, cap)


def supervised_mmr(world: World, strength: float) -> SupervisedMMR:
    """The supervised ranker, re-ranked by maximal marginal relevance."""
    return SupervisedMMR(ranker_of(world), world.slate_size, strength)


def history_rule(world: World, strength: float) -> HistoryRule:
    """The supervised ranker, passing over topics clicked lately."""
    catalogue = world.catalogue
    return HistoryRule(
        ranker_of(world),
        catalogue.topic.long(),
        catalogue.num_topics,
        world.slate_size,
        strength,
    )


def history_rule_tuned(world: World) -> Policy:
    """The history rule as strong as serves selection people best."""
    return tuned(world, "history-rule", history_rule, RULE_STRENGTHS)


def supervised_capped(world: World) -> Policy:
    """The supervised ranker with the cap per topic that serves selection people best."""
    caps = range(min(world.slate_size, MOST_CAP), 0, -1)  # of equals, the loosest
    return tuned(world, "supervised-capped", lambda w, cap: supervised(w, int(cap)), caps)


def supervised_mmr_tuned(world: World) -> Policy:
    """The supervised ranker made as various as serves selection people best."""
    return tuned(world, "supervised-mmr", supervised_mmr, MMR_STRENGTHS)


def rule_aware(world: World) -> RuleAware:
    """The supervised ranker told the boredom rule."""
    return RuleAware(ranker_of(world), world)
