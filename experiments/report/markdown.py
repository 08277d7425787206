"""The page for `docs/results`: verdict, tables, figures, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from slategym.envs.names import in_markdown
from slategym.experiments.places import Place
from slategym.experiments.report.figures import Picture
from slategym.experiments.report.origin import computed_by
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import (
    best_first,
    fewer_seeds,
    knows,
    name_of,
    over,
    p_text,
    told_columns,
    where,
)
from slategym.experiments.runs.progress import duration
from slategym.experiments.statistics.bootstrap import RESAMPLES
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.numbers import Numbers, Standing
from slategym.experiments.statistics.words import TRANSFER, transferred


def markdown(
    result: Result, numbers: Numbers, pictures: Sequence[Picture], environment: Mapping[str, str]
) -> str:
    """The whole page."""
    study, size = result.study, result.size
    lines = [f"# {in_markdown(study.title)}", "", in_markdown(study.question), ""]
    lines += [f"- {in_markdown(sentence)}" for sentence in numbers.verdict.sentences] + [""]
    for place in study.main:
        standings = [standing for standing in numbers.ladder if place.name in standing.mean]
        if standings:
            lines += _place(result, place, best_first(standings, place))
    for title, found in (
        ("RL against what it has to beat", numbers.differences),
        ("Where looking ahead is worth nothing", numbers.control),
    ):
        if found:
            lines += _differences(f"{title} ({study.unit})", found)
    for picture in pictures:
        alt, caption = in_markdown(picture.alt), in_markdown(picture.caption)
        lines += [f"![{alt}]({picture.path.name})", "", f"*{caption}*", ""]
    for note in (*study.notes, *(f"Left out: {what}" for what in study.left_out)):
        lines += [in_markdown(note), ""]
    made = ", ".join(f"{name} {value}" for name, value in environment.items())
    lines += [
        f"{size.seeds} training seeds ({fewer_seeds(study, size)}), {size.users} evaluation users. "
        "Everybody is read on the same people, whom no training met, with the same luck. Intervals "
        f"are over {over(result.size)} ({RESAMPLES:,} bootstrap resamples); differences are paired "
        "by person. Policies with * are told hidden truths.",
        "",
        f"Written by `{result.command}` on {datetime.now(UTC):%Y-%m-%d} with {made}.",
        *([earlier] if (earlier := computed_by(result.made, result.computed)) else []),
    ]
    return "\n".join(lines) + "\n"


def _place(result: Result, place: Place, standings: Sequence[Standing]) -> list[str]:
    study = result.study
    columns = told_columns(standings, place)
    published = {p.policy: p for p in study.published if p.place == place.name}
    heads = ["policy", "knows", "return", *(["published"] if published else []), "score"]
    heads += [name_of(study, column) for column in columns]
    trained = any(place.name in standing.slates for standing in standings)
    heads += ["slates of training", "CPU time of training"] if trained else []
    body = []
    for standing in standings:
        line = [_starred(standing), knows(study, standing), _short(standing.mean[place.name])]
        if "published" in heads:
            theirs = published.pop(standing.policy, None)
            line.append(f"{theirs.value:.1f}" if theirs else "")
        line.append(
            f"{standing.score[place.name].value:.2f}" if place.name in standing.score else ""
        )
        side = standing.side[place.name]
        line += [f"{side[column].value:.2f}" if column in side else "" for column in columns]
        if trained:
            slates = standing.slates.get(place.name)
            line.append("" if slates is None else f"{slates:,.0f}")
            line.append("" if slates is None else duration(standing.cpu_seconds[place.name]))
        body.append(line)
    for left in published.values():
        line = [left.policy, f"published: {left.source}", "", f"{left.value:.1f}"]
        body.append([*line, *[""] * (len(heads) - len(line))])
    heading, unit = in_markdown(place.heading), in_markdown(study.unit)
    title = [f"## {heading}", "", f"{unit}, 95 % intervals; {in_markdown(where(place))}.", ""]
    return [*title, *table(heads, body), ""]


def _differences(title: str, found: Sequence[Difference]) -> list[str]:
    logged = any(d.transfer for d in found)
    heads = ["learner", "minus", "where", "difference", *(["transfer"] if logged else [])]
    body = [
        [
            *(d.agent, d.baseline, d.place, d.estimate.signed()),
            *([transferred(d)] if logged else []),
            p_text(d.adjusted or 0.0),
        ]
        for d in found
    ]
    note = [f"Transfer: {TRANSFER}.", ""] if logged else []
    return [f"## {in_markdown(title)}", "", *table([*heads, "Holm's p"], body), "", *note]


def table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    rows = [heads, ["---"] * len(heads), *body]
    return [f"| {' | '.join(map(in_markdown, row))} |" for row in rows]


def _short(estimate: Estimate) -> str:
    return estimate.rounded(1)


def _starred(standing: Standing) -> str:
    name = standing.policy + ("*" if standing.kind == "privileged" else "")
    return f"**{name}**" if standing.kind == "learns" else name
