"""The agents' choice model, fitted on the slates that they may learn from, where there are any."""

from __future__ import annotations

import torch
from torch import Tensor

from slategym.agents.core.choice import ConditionalLogit
from slategym.agents.core.ranker import Ranker, stated_ranker
from slategym.envs.engine import arrive
from slategym.envs.luck import Luck
from slategym.envs.trees import map_tensors
from slategym.envs.types import Shown, World
from slategym.models.conditional_logit import fit_choices, nothing_for
from slategym.models.files import kept
from slategym.models.hashes import content_hash

FAR = 100.0  # log-odds that are searched for the utility of taking nothing
AT_ONCE = 512  # requests that are encoded together


def further_heads(ranker: Ranker) -> list[str]:
    """The model's binary heads after the click, whose log-odds may enter an item's utility."""
    return [task.signal.name for task in ranker.encoder.model.tasks[1:] if task.calibrated]


def fitted_choice(world: World) -> ConditionalLogit | None:
    """The choice model under which the agents' logged slates are most likely; None: no slates.

    Weights of the heads and effects of slots by maximum likelihood (`fit_choices`); in a world all
    slots are alike, so the utility of taking nothing is set such that the logged share of slates is
    clicked.
    """
    shown = None if world.agent_log is None else world.agent_log.shown
    if shown is None:
        return None
    shown = map_tensors(lambda x: x.to(world.device), shown)
    ranker = stated_ranker(world)
    heads = ["click", *further_heads(ranker)]
    weights = ranker.encoder.model.state_dict()
    arrays = [x.cpu().numpy() for x in (shown.item_SK, shown.clicked_SK, *weights.values())]
    number = len(shown.item_SK)

    def compute() -> dict[str, object]:
        log_odds_SKF = _log_odds(world, ranker, shown, heads)
        there_SK, clicked_SK = shown.item_SK >= 0, shown.clicked_SK
        weight = fit_choices(log_odds_SKF, there_SK, clicked_SK).weight
        utility_SK = (log_odds_SKF.double() @ log_odds_SKF.double().new_tensor(weight)).masked_fill(
            ~there_SK, -torch.inf
        )
        rate = float((clicked_SK.sum(1) > 0).double().mean())
        nothing = nothing_for(utility_SK.logsumexp(1), rate, -FAR, FAR)
        return {"weight": dict(zip(heads, weight, strict=True)), "nothing": nothing}

    found = kept("constants/choice", [content_hash(*arrays), heads], compute)
    weight = {name: round(float(w), 4) for name, w in found["weight"].items()}
    return ConditionalLogit(
        weight.pop("click"),
        tuple(weight.items()),
        float(found["nothing"]),
        f"fitted on {number:,} logged slates that agents may learn from",
    )


@torch.no_grad()
def _log_odds(world: World, ranker: Ranker, shown: Shown, heads: list[str]) -> Tensor:
    """Of every item shown, by each head, at its request, (S, K, F)."""
    encoder = ranker.encoder.prepared(shown.population)
    parts = []
    for begin in range(0, len(shown.item_SK), AT_ONCE):
        row_B = torch.arange(begin, min(begin + AT_ONCE, len(shown.item_SK)), dtype=torch.int32)
        row_B = row_B.to(world.device)
        arrival = arrive(shown.population, row_B)
        context = world.context.initial(arrival, Luck(row_B))
        query = encoder.query(encoder.initial(arrival), context)
        item_BK = shown.item_SK[row_B.long()].clamp(min=0)
        said = [ranker.log_odds(head, query, item_BK) for head in heads]
        parts.append(torch.stack(said, 2))
    return torch.cat(parts)
