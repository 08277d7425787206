"""Two further worlds of RecSim: interest exploration and long-term satisfaction."""

from __future__ import annotations

import torch

from slategym.envs.candidates import FreshDocuments
from slategym.envs.choice import MultinomialLogit, PositionBased
from slategym.envs.context import Nothing
from slategym.envs.names import UsageError
from slategym.envs.settings import Count, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Population, World
from slategym.envs.users.interest_exploration import InterestExploration
from slategym.envs.users.long_term_satisfaction import LongTermSatisfaction

NUM_DOCUMENTS = 1000  # rows that stand for a continuous distribution, at its quantiles


def interest_exploration(
    slate_size: Count = 2,
    num_candidates: Count = 10,
    horizon: Count = 100,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """People of two types, of which only exploration tells which.

    Description:
        Documents are of two topics: one document in five is a well-made one of mass appeal, the
        others are plain. Three people in ten are of a type that cares for the plain topic, seven
        for the other. A person picks one of the slate or none, by affinity plus quality. Tastes
        never change and are not shown: whoever shows only what is likely to be clicked at first
        never learns who would rather have the niche.

    Observation space:
        step; candidate_item (10,); candidate_embedding (10, 3): the topic as two numbers, and the
        quality; history_item (10,), history_feedback (10, 1), history_age (10,): the last clicks.

    Action space:
        MultiDiscrete([10] * 2), positions in the offer. A repeated position is an empty slot.

    Reward:
        clicks.

    Start:
        A type drawn with chances .3 and .7; affinities log-normal around the type's.

    End:
        Truncated after `horizon` slates. Nobody leaves before.

    Args:
        slate_size: slots.
        num_candidates: fresh documents per request.
        horizon: slates; the original does not end.
        static: refused: nothing moves in this world, which is its own twin.
        seed: decides who people are.
        device: of every tensor.

    Source:
        google-research/recsim 55e50e4, interest_exploration.py: multinomial logit where no click
        has log-odds 5. Qualities are drawn from 1,000 quantiles of their log-normals.

    Version history:
        v0: first.
    """
    _check(slate_size, num_candidates)
    if static:
        raise UsageError(
            "static: nothing moves in InterestExploration; the world is its own twin, leave it out"
        )
    good, plain = _log_normal(NUM_DOCUMENTS // 5, 0.8), _log_normal(NUM_DOCUMENTS * 4 // 5, 0.2)
    topic_N = torch.cat([torch.zeros_like(good), torch.ones_like(plain)]).int()
    quality_N = torch.cat([good, plain])
    onehot_ND = torch.nn.functional.one_hot(topic_N.long(), 2).float()
    catalogue = Catalogue(
        topic=topic_N,
        embedding=torch.cat([onehot_ND, quality_N[:, None]], 1),
        quality=quality_N,
        topics=("mass appeal", "niche"),
        title=tuple(f"a document of quality {quality:.2f}" for quality in quality_N.tolist()),
    )
    return World(
        name="slategym/InterestExploration-v0",
        catalogue=map_tensors(lambda x: x.to(device), catalogue),
        population=Population(size=2**20),
        users=InterestExploration(),
        choice=MultinomialLogit(skip=5.0),
        context=Nothing(),
        candidates=FreshDocuments(num_candidates),
        slate_size=slate_size,
        horizon=horizon,
        objective=(1.0,),
        history_size=10,
        seed=seed,
        labels=(("everything", "synthetic", "RecSim's recipe"),),
    )


def long_term_satisfaction(
    slate_size: Count = 2,
    num_candidates: Count = 10,
    sensitivity: float = 0.01,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """Chocolate and kale: clickbait engages now and wears people out.

    Description:
        Each document has a clickbait score in [0, 1]. People always click the first slot. The more
        clickbait, the longer they engage with it, and the less with whatever comes later: their
        exposure to good content decays by .7 a click and moves by 1 - 2 score, and engagement
        grows with the sigmoid of sensitivity times exposure.

    Observation space:
        step; candidate_item (10,); candidate_embedding (10, 1) the scores; history_item (10,),
        history_feedback (10, 2), history_age (10,): the last clicks and their engagement. Exposure
        is hidden and has to be inferred.

    Action space:
        MultiDiscrete([10] * 2), positions in the offer; only the first slot matters.

    Reward:
        engagement, seconds.

    Start:
        Exposure uniform in [-1/.6, 1/.6].

    End:
        Terminated after 60 clicks.

    Args:
        slate_size: slots.
        num_candidates: fresh documents per request.
        sensitivity: of satisfaction to exposure. At the original's .01 satisfaction moves by less
            than 1 % of itself and clickbait always pays; .1 makes kale worth its while.
        static: True: the negative control, in which exposure never changes.
        seed: decides who people are.
        device: of every tensor.

    Source:
        google-research/recsim 55e50e4, long_term_satisfaction.py. Scores are drawn from 1,000
        quantiles of the uniform distribution.

    Version history:
        v0: first.
    """
    _check(slate_size, num_candidates)
    if static and sensitivity == 0:
        raise UsageError(
            "static: at sensitivity=0 exposure moves nobody; the world is its own twin, leave it "
            "out"
        )
    score_N = (torch.arange(NUM_DOCUMENTS) + 0.5) / NUM_DOCUMENTS
    catalogue = Catalogue(
        topic=(score_N >= 0.5).int(),
        embedding=score_N[:, None],
        quality=score_N,
        topics=("kale", "choc"),
        title=tuple(f"clickbait {score:.2f}" for score in score_N.tolist()),
    )
    return World(
        name="slategym/LongTermSatisfaction-v0",
        catalogue=map_tensors(lambda x: x.to(device), catalogue),
        population=Population(size=2**20),
        users=LongTermSatisfaction(sensitivity=sensitivity, static=static),
        choice=PositionBased(decay=0.0),  # only the first slot is looked at
        context=Nothing(),
        candidates=FreshDocuments(num_candidates),
        slate_size=slate_size,
        horizon=1000,
        objective=(0.0, 1.0),
        history_size=10,
        seed=seed,
        labels=(("everything", "synthetic", "RecSim's recipe"),),
    )


def _log_normal(number: int, mean: float, spread: float = 0.1) -> torch.Tensor:
    """Quantiles of exp(N(mean, spread)), equally likely, (number,)."""
    share_n = (torch.arange(number, dtype=torch.float64) + 0.5) / number
    normal_n = 2**0.5 * torch.erfinv(2.0 * share_n - 1.0)
    return (mean + spread * normal_n).exp().float()


def _check(slate_size: int, num_candidates: int) -> None:
    if not 1 <= slate_size <= num_candidates:
        raise UsageError(f"slate_size must be in [1, {num_candidates}], got {slate_size}")
