"""What a README may say of a study: the verdict and its comparisons, as everywhere else."""

from __future__ import annotations

from slategym.experiments.report.markdown import table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import over
from slategym.experiments.statistics.attribution import names_of
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.words import said_in_a_cell


def readme_block(result: Result, numbers: Numbers) -> str:
    """The learner that speaks for RL minus everything that it is compared with, place by place.

    Then what its lead consists of, and the verdict. Bold is clear.
    """
    study, agent = result.study, numbers.verdict.agent
    lines = [f"`{result.command}`", ""]
    if agent is not None:
        lines += _minus(result, numbers, agent) + _parts(result, numbers, agent)
    lines += [f"- {sentence}" for sentence in numbers.verdict.sentences]
    unit = (
        f"Mean paired differences of {numbers.metric.replace('_', ' ')} ({study.unit}), "
        f"[95 % interval] over {over(result.size)}; bold is clear: the interval leaves out zero "
        "and the p-value adjusted by Holm is below .05."
    )
    return "\n".join([unit, "", *lines]) + "\n"


def _minus(result: Result, numbers: Numbers, agent: str) -> list[str]:
    study = result.study
    places = [
        place
        for place in study.main
        if numbers.find(agent, study.roles.opponent, place.name) is not None
    ]
    body = []
    for baseline in study.opponents(agent):
        found = [numbers.find(agent, baseline, place.name) for place in places]
        if any(d is not None for d in found):
            cells = ["" if d is None else said_in_a_cell(d) for d in found]
            body.append([study.roles.say(baseline), *cells])
    head = [f"`{agent}` minus", *(place.heading for place in places)]
    return [*table(head, body), ""]


def _parts(result: Result, numbers: Numbers, agent: str) -> list[str]:
    found = [a for a in numbers.attributions if a.agent == agent and a.steps]
    names = names_of(found)
    if not found:
        return []
    body = []
    for a in found:
        cells = ["" if (d := a.part(name)) is None else said_in_a_cell(d) for name in names]
        body.append([result.study.place(a.place).heading, *cells])
    return [*table([f"what `{agent}` earns consists of", *names], body), ""]
