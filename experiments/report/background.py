"""The parts of a report that say what its answer stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slategym.agents.core.tuning import said
from slategym.experiments.report.ledger import ROWS, SUMMARY, Ledger
from slategym.experiments.report.markup import Html, code_block, element, folded, prose, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import metric_name, over
from slategym.experiments.runs.progress import duration
from slategym.experiments.statistics.bootstrap import RESAMPLES
from slategym.experiments.statistics.estimate import LEVEL
from slategym.experiments.statistics.variance import FEW_PEOPLE


class File(NamedTuple):
    """A file beside the report."""

    name: str
    sha256: str
    what: str


def assumptions(result: Result, ledger: Ledger) -> list[Html | None]:
    """What is logged, derived and assumed, and the world's constants."""
    labels = [
        [prose(what), element("span", label, class_=f"label {label}"), prose(why)]
        for what, label, why in result.labels
    ]
    constants = [
        [
            c.name,
            "not in the log"
            if c.value is None
            else ledger.number(f"{c.value:.4g}", f"{SUMMARY}: constants, {c.name}"),
            c.unit,
            c.origin,
        ]
        for c in result.constants
    ]
    return [
        table(
            "What is logged, what is derived from the log, and what is assumed.",
            ["what", "label", "why"],
            labels,
        )
        if labels
        else None,
        table(
            "Constants of the world, fixed before any policy was trained.",
            ["constant", "value", "unit", "where it is from"],
            constants,
        )
        if constants
        else None,
    ]


def models(result: Result, pictures: Mapping[str, Html], ledger: Ledger) -> list[Html | None]:
    """How accurate the models are; nothing where a study fits none."""
    if not result.model_metrics:
        return []
    every = (name for metrics in result.model_metrics for name in metrics)
    names = [name for name in dict.fromkeys(every) if name not in ("model", "protocol")]
    body = [
        [
            str(metrics["model"]),
            *(_metric(metrics.get(n), f"{SUMMARY}: model_metrics[{i}].{n}", ledger) for n in names),
        ]
        for i, metrics in enumerate(result.model_metrics)
    ]
    caption = "Accuracy on held-out events. ECE: expected calibration error, a share."
    return [
        table(caption, ["model", *map(metric_name, names)], body, wide=True) if body else None,
        element("ul", *_protocols(result), class_="source"),
        pictures.get("reliability"),
    ]


def _protocols(result: Result) -> list[Html]:
    """How models were measured, those measured alike together."""
    measured: dict[str, list[str]] = {}
    for metrics in result.model_metrics:
        measured.setdefault(str(metrics.get("protocol", "not stated")), []).append(
            str(metrics["model"])
        )
    return [element("li", f"{', '.join(who)}: {how}.") for how, who in measured.items()]


def _metric(value: object, source: str, ledger: Ledger) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return ledger.number(f"{value:.4f}", source)
    return ledger.number(f"{value:,}" if isinstance(value, int) else str(value), source)


def protocol(result: Result, ledger: Ledger) -> list[Html | None]:
    """How it was done."""
    rows = result.rows
    counts = []
    for group, mine in rows.groupby("group", sort=False):
        source = f"{ROWS}: distinct values where group == {group!r}"
        counts.append(
            [
                str(group),
                *(
                    ledger.number(f"{mine[c].nunique():,}", f"{source}, column {c}")
                    for c in ("user", "person")
                ),
                ledger.number(f"{len(mine):,}", f"{ROWS}: rows where group == {group!r}"),
            ]
        )
    how = (
        f"Intervals of 95 % are over {over(result.size)}: {RESAMPLES:,} bootstrap resamples of "
        "people (all rows of a person together) and, for policies that learn, of training seeds (S "
        "- 1 of S: Rao and Wu 1988; both at once: Owen 2007). Where there are several seeds or "
        "splits, the interval of a mean is as wide as Student's reaches of people and of seeds "
        "added in squares (Howe 1974; Zou and Donner 2008), and as Student's interval of the means "
        f"of splits. Means of fewer than {FEW_PEOPLE} people have Student's interval and p-value. "
        "Comparisons are paired: the same user with the same luck under "
        "both policies. A difference is called clear where its interval leaves out zero and its "
        f"p-value, adjusted by Holm for all comparisons of its table, is below {LEVEL:g}; in "
        "sentences as in tables. Interquartile mean and score as in Agarwal et al. 2021."
    )
    settings = [[what, prose(how)] for what, how in result.settings]
    left_out = result.study.left_out
    return [
        table("How it was done.", ["what", "how"], settings) if settings else None,
        table("Sessions in the rows.", ["group", "users", "people", "sessions"], counts),
        element("p", how),
        element("p", "Left out, because the log does not allow it:") if left_out else None,
        element("ul", *(element("li", prose(what)) for what in left_out)) if left_out else None,
        *(element("p", prose(note)) for note in result.study.notes),
    ]


def learners(result: Result) -> list[Html | None]:
    """Settings of every training."""
    if not result.learners:
        return []
    return [table("Settings of the learners.", ["learner", "settings"], result.learners)]


def tuning(result: Result, ledger: Ledger) -> list[Html | None]:
    """Settings of policies that do not learn: tried, on how many people, and taken."""
    read = [step for step in result.tunings if step["tried"]]
    slates = sum(step["slates"] for step in read)
    if not read:
        return []
    intro = element(
        "p",
        f"What does not learn by trial is tuned, all by one rule: {slates:,} slates in all, "
        "no policy more than a learner is shown. Named settings meet the same selection "
        "people with the same luck in the simulated world, the better half goes on to more of "
        "them. Nothing is tuned in the static twin, before the judge or on evaluation people: "
        "there they act as tuned in the simulated world.",
    )
    tables = []
    for step in read:
        where = step.get("where", "")
        called = ", ".join(word for word in (step["name"], where) if word)
        source = f"{SUMMARY}: tunings, {called}"
        body = [
            [
                said(row["setting"]) + (" (taken)" if row["setting"] == step["chosen"] else ""),
                ledger.number(f"{row['sessions']:,}", f"{source}, sessions"),
                ledger.number(f"{row['mean']:.2f}", f"{source}, mean"),
            ]
            for row in sorted(step["tried"], key=lambda r: (-r["sessions"], -r["mean"]))
        ]
        note = f" {step['note'].capitalize()}." if step["note"] else ""
        title = f"{called}: at most {step['slates']:,} slates.{note}"
        tables.append(table(title, ["setting", "sessions", "return"], body))
    return [intro, folded(f"What was tried and taken, {len(tables)} tables", *tables)]


def repeat(
    result: Result,
    ledger: Ledger,
    files: Sequence[File],
    environment: Mapping[str, str],
) -> list[Html | None]:
    """How to do it again, and with what."""
    timings = [
        [what, ledger.number(duration(seconds), f"{SUMMARY}: timings, {what}")]
        for what, seconds in result.timings
    ]
    made_with = ", ".join(f"{name} {value}" for name, value in environment.items())
    took = "How long it took: this call, and the work kept from this or earlier ones, side by side."
    listed = [[f.name, f.what, element("code", f.sha256, class_="hash")] for f in files]
    return [
        code_block(result.command),
        table(took, ["what", "time"], timings) if timings else None,
        element("p", f"Made with {made_with}.", class_="soft"),
        table("Files beside this report.", ["file", "what", "sha256"], listed),
    ]


def sources(ledger: Ledger) -> list[Html]:
    """Where each number is from."""
    example = (
        "import pandas\n"
        f'rows = pandas.read_parquet("{ROWS}")\n'
        "rows.query(\"policy == 'random' and variant == 'world' and …\")[\"return\"].mean()"
    )
    return [
        element(
            "p",
            "Each number above is a link to its line here, which names the file and the rows, and "
            "leads back by its own. The filters are expressions of pandas:",
        ),
        code_block(example),
        element(
            "details",
            element("summary", f"All {len(ledger.entries)} numbers and their rows"),
            element(
                "div",
                ledger.listing(),
                class_="table",
                role="region",
                aria_label="Numbers and their rows",
                tabindex="0",
            ),
            class_="listing",
        ),
    ]
