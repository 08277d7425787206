"""What a report calls things: columns of the rows, kinds of policies, places."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from slategym.experiments.places import Place
from slategym.experiments.report.markup import Html, element, join
from slategym.experiments.statistics.numbers import Standing
from slategym.experiments.study import Profile, Study

ABBREVIATIONS = {
    **{name: name.upper() for name in ("auc", "rmse", "ece")},
    **{"gauc": "gAUC", "hr10": "HR@10", "ndcg10": "NDCG@10"},
}
FAMILIAR = {  # what people know an agent as, by its name on the command line
    "plackett-luce": "RL on slates",
    "proto-sac": "RL on proto-actions, soft actor-critic",
    "proto-td3": "RL on proto-actions, TD3",
    "fusion-sac": "RL on weights of the ranker's heads, soft actor-critic",
    "fusion-ppo": "RL on weights of the ranker's heads, PPO",
    "slateq": "RL with a value per item",
    "lookahead": "RL with exact slates of a learned value",
    "rollout": "RL with futures of a learned model",
    "adaptive-trace": "RL of a rule that adapts to the person",
    "reinforce-topk": "REINFORCE with top-k correction",
    "ppo-multidiscrete": "PPO, a choice per slot",
    "gems": "RL in a latent space of slates",
    "hac": "RL on hyper-actions",
    "linucb": "a linear bandit with confidence bounds",
    "thompson": "a linear bandit with Thompson sampling",
}
NO_MORE = frozenset({"a", "the", "policy"})  # words that tell nobody more than a name does
KINDS = {"privileged": "hidden truths", "learns": "learns from slates", "baseline": "no training"}


def name_of(study: Study, column: str) -> str:
    """A column of the rows, in the study's words."""
    for weighted in study.weighted:
        if weighted.column == column:
            return weighted.name
    known = {
        "length": "slates",
        "topics": f"{study.words.topics} clicked",
        "slate_topics": f"{study.words.topics} per slate",
        "bored_share": "slates while bored, share",
    }
    return known.get(column, column.replace("_", " "))


def over(size: Profile) -> str:
    """What intervals are over."""
    if size.splits > 1:
        return f"people, training seeds and {size.splits} splits of the people into parties"
    single = (
        ", of people alone where a learner has one seed" if 1 in size.place_seeds.values() else ""
    )
    return f"people and training seeds{single}"


def fewer_seeds(study: Study, size: Profile) -> str:
    """Where there are not as many training seeds as elsewhere."""
    open_places = [p for p in study.of_role("open") if size.seeds_in(p) != size.seeds]
    said = [f"{size.seeds_in(p)} in {p.heading}" for p in open_places]
    return ", ".join([*said, f"{size.control_seeds or size.seeds} in the controls"])


def metric_name(name: str) -> str:
    """A model's figure, for people: like_auc becomes like AUC."""
    return " ".join(ABBREVIATIONS.get(word, word) for word in name.split("_"))


def knows(study: Study, standing: Standing) -> str:
    """What a policy goes by."""
    if standing.policy == study.roles.truth:
        return "the true model"
    return KINDS[standing.kind]


def where(place: Place) -> str:
    """The world and its settings."""
    settings = ", ".join(f"{name}={value}" for name, value in place.settings.items())
    return place.world + (f" with {settings}" if settings else "")


def p_text(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def best_first(standings: Sequence[Standing], place: Place) -> list[Standing]:
    """By mean return there."""
    return sorted(standings, key=lambda standing: -standing.mean[place.name].value)


def familiar(study: Study, policy: str) -> str:
    """What people know it as; "" where that says no more than its name on the command line."""
    said = study.roles.say(policy)
    if said == policy:
        agents = {name: x.agent for x in study.learners for name in x.served}
        said = FAMILIAR.get(agents.get(policy, policy), policy)
    adds = set(said.split()) - set(policy.split("-")) - NO_MORE
    return said if adds and said != policy else ""


def known_as(study: Study, policy: str) -> str:
    """What people know it as, with its name on the command line: "RL on slates (plackett-luce)"."""
    said = familiar(study, policy)
    return f"{said} ({policy})" if said else policy


def name_cell(study: Study, policy: str, *, strong: bool = False) -> Html:
    """The name of a policy in a table, with what people know it as below."""
    said = familiar(study, policy)
    below = element("span", said, class_="known") if said else None
    return join([element("span", policy, class_="strong" if strong else None), below])


def tick(study: Study, policy: str, name: str = "", width: int = 32) -> str:
    """The same in a figure, in lines.

    Args:
        study: whose policy.
        policy: which.
        name: the first line; "": the policy's name.
        width: of the lines below, characters.
    """
    return "\n".join([name or policy, *textwrap.wrap(familiar(study, policy), width)])


def told_columns(standings: Sequence[Standing], place: Place) -> list[str]:
    """What rows say of a place besides the return; what is zero for everybody is left out."""
    sides = [standing.side[place.name] for standing in standings]
    every = dict.fromkeys(name for side in sides for name in side)
    return [n for n in every if any(side[n].value != 0 for side in sides if n in side)]


def capital(text: str) -> str:
    """With a capital letter first.

    >>> capital("the ranker (x)")
    'The ranker (x)'
    """
    return text[:1].upper() + text[1:]
