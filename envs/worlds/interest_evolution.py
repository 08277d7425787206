"""The world of the SlateQ paper."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from slategym.envs.candidates import FreshDocuments
from slategym.envs.choice import ExponentialCascade, MultinomialLogit, MultinomialProportional
from slategym.envs.context import Nothing
from slategym.envs.names import UsageError, lookup
from slategym.envs.protocols import ChoiceModel
from slategym.envs.settings import Amount, Count, Range, Rate, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Population, World
from slategym.envs.users.interest_evolution import InterestEvolution

Topics = Annotated[int, Range(2, 10_000)]


def interest_evolution(
    slate_size: Count = 3,
    num_candidates: Count = 10,
    num_topics: Topics = 20,
    choice: Literal["logit", "proportional", "cascade"] = "logit",
    attention: Rate = 0.65,
    scale: Amount = 0.3,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """People with a budget of time, whose interests follow what they watch.

    Description:
        Each request offers ten fresh documents, each of one of twenty topics. A person picks one
        of the slate's three, or none, by interest in its topic. Watching takes four minutes of a
        budget of 200; good quality gives some back, bad quality takes more, and a slate without a
        click costs half a minute. Fourteen topics are of bad mean quality (-3 to 0), six of good
        (0 to 3), and quality is not shown. Interest in a clicked topic then grows or wanes. So
        what people like to click is not what makes them stay.

    Observation space:
        step; candidate_item (10,) the offer's topics; candidate_embedding (10, 20) the same as
        vectors; user (21,): interests in [-1, 1] and the share of the budget left.

    Action space:
        MultiDiscrete([10] * 3), positions in the offer. A repeated position is an empty slot.

    Reward:
        minutes watched.

    Start:
        Interests uniform in [-1, 1], a budget of 200 minutes.

    End:
        Terminated when the budget is spent. Truncated after 5,000 slates, which nobody reaches.

    Args:
        slate_size: slots.
        num_candidates: fresh documents per request.
        num_topics: topics, of which seven tenths are bad.
        choice: "logit": multinomial logit where no click has log-odds 1, as in the paper's section
            7.1; "proportional": the multinomial-proportional choice that RecSim has by default
            (least interest -1, no click as attractive as interest 1); "cascade": the users of
            section 7.3, who read from the top and stop at the first click.
        attention: with "cascade": chance of looking at a slot, in [0, 1].
        scale: with "cascade": chance of a click per unit of exp(interest). The paper does not
            state the two; with .65 and .3 random slates give its 160 minutes.
        static: True: the negative control, in which nothing that is shown or clicked moves the
            future: interests stay, and every slate costs four minutes of the budget, so that
            everybody sees fifty. Were the budget still spent by quality, a policy that spares it
            would beat the best slate of each request without any drift.
        seed: decides who people are.
        device: of every tensor.

    Source:
        Ie et al. 2019, SlateQ, arXiv:1905.12767, section 7; google-research/recsim 55e50e4.

    Version history:
        v0: first.
    """
    if not 1 <= slate_size <= num_candidates:
        raise UsageError(f"slate_size must be in [1, {num_candidates}], got {slate_size}")
    choices: dict[str, ChoiceModel] = {
        "logit": MultinomialLogit(skip=1.0),
        "proportional": MultinomialProportional(lowest=-1.0, skip=1.0),
        "cascade": ExponentialCascade(attention, scale),
    }
    bad = 14 * num_topics // 20
    quality_N = torch.cat([torch.linspace(-3, 0, bad), torch.linspace(0, 3, num_topics - bad)])
    names = tuple(f"topic {topic}" for topic in range(num_topics))
    catalogue = Catalogue(
        topic=torch.arange(num_topics, dtype=torch.int32),
        embedding=torch.eye(num_topics),
        quality=quality_N,
        topics=names,
        title=tuple(f"a document, mean quality {quality:+.2f}" for quality in quality_N.tolist()),
    )
    return World(
        name="slategym/InterestEvolution-v0",
        catalogue=map_tensors(lambda x: x.to(device), catalogue),
        population=Population(size=2**20),
        users=InterestEvolution(num_topics=num_topics, static=static),
        choice=lookup("choice", choice, choices),
        context=Nothing(),
        candidates=FreshDocuments(num_candidates),
        slate_size=slate_size,
        horizon=5000,
        objective=(0.0, 1.0, 0.0),
        seed=seed,
        labels=(("everything", "synthetic", "SlateQ's recipe"),),
    )
