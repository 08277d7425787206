"""How good the judges are, and whom they have met: said with the verdict that rests on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from slategym.experiments.report.families import family_sentences
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import metric_name
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.verdict import Part
from slategym.experiments.statistics.words import listed

SAID = ("click_auc", "click_ece", "like_auc", "like_ece", "rating_rmse")  # where a judge has them


def judge_sentences(result: Result) -> Iterator[str]:
    """The accuracy and calibration of every judge, and the read people whom its fit has met."""
    judging = result.study.judging
    yield from () if judging is None else judging.sentences()
    judges = [m for m in result.model_metrics if str(m["model"]) in result.met]
    if not judges:
        return
    parts = []
    for metrics in judges:
        figures = [
            f"{metric_name(name)} {value:.3f}"
            for name in SAID
            if isinstance(value := metrics.get(name), float)
        ]
        parts.append(f"{metrics['model']} ({', '.join(figures)})")
    yield f"The judges, on people whom a fit of theirs has not met: {listed(parts)}."
    groups: dict[tuple[int, int], list[str]] = {}
    for metrics in judges:
        name = str(metrics["model"])
        groups.setdefault(result.met[name], []).append(name)
    for (met, of), names in groups.items():
        if met:
            verb = "judges" if len(names) == 1 else "judge"
            yield (
                f"As {listed(names)} {verb}, the fit has met the histories of {met} of the {of} "
                "people before whom policies are read: it stands for what they would do, not for "
                "what could be known of strangers."
            )


def with_judges(result: Result, numbers: Numbers) -> Numbers:
    """The numbers with a verdict that says how good its judges are."""
    found = (*judge_sentences(result), *family_sentences(result, numbers))
    verdict = numbers.verdict
    if not found:
        return numbers
    return replace(numbers, verdict=replace(verdict, parts=(*verdict.parts, Part("", found))))
