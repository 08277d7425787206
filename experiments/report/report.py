"""A study's answer: one self-contained HTML file, a JSON summary, figures and tables beside it.

OUT/report.html     everything, without any outside request
OUT/summary.json    the verdict and every number with its source
OUT/rows.parquet    one row per simulated session, from which the numbers are computed
OUT/slates.parquet  one row per slot of a few people's sessions, with titles
OUT/curves.parquet, OUT/reliability.parquet
OUT/docs/*          a Markdown page with its figures, to be kept elsewhere
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from slategym.experiments.report import sections
from slategym.experiments.report.attribution import draw_attribution
from slategym.experiments.report.background import File
from slategym.experiments.report.curves import draw_curves
from slategym.experiments.report.families import families_json
from slategym.experiments.report.figures import Picture, draw_all
from slategym.experiments.report.gallery import SLATES
from slategym.experiments.report.goodhart import STOPPED, WATCHED, draw_goodhart, with_warnings
from slategym.experiments.report.headroom import draw_headroom, with_headroom
from slategym.experiments.report.judges import with_judges
from slategym.experiments.report.ledger import ROWS, SUMMARY, Ledger
from slategym.experiments.report.markdown import markdown
from slategym.experiments.report.markup import Html, element, join
from slategym.experiments.report.origin import origin_line
from slategym.experiments.report.page import page
from slategym.experiments.report.readme import readme_block
from slategym.experiments.report.results import Artefact, Result
from slategym.experiments.report.sections import Part
from slategym.experiments.report.segments import draw_segments
from slategym.experiments.report.served import with_served
from slategym.experiments.report.svg import in_page
from slategym.experiments.report.sweep import draw_sensitivity
from slategym.experiments.report.validation import with_objections
from slategym.experiments.runs.store import write_json, write_parquet
from slategym.experiments.statistics.attribution import Attribution
from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.models.checksums import sha256_of
from slategym.models.files import atomic_path, checked_path
from slategym.models.hashes import as_json

PACKAGES = (
    "slategym",
    "torch",
    "gymnasium",
    "stable-baselines3",
    "transformers",
    "numpy",
    "pandas",
    "matplotlib",
)


@dataclass(frozen=True)
class Report:
    """What was written."""

    path: Path
    numbers: Numbers


def write_report(result: Result, folder: Path) -> Report:
    """Write the report and everything it refers to, each file whole or not at all.

    Args:
        result: the study.
        folder: the run folder.

    Raises:
        ValueError: if rows that the verdict needs are missing or do not pair; nothing is written.
    """
    numbers = numbers_of(result)
    files = _write_tables(result, folder)
    docs = folder / "docs"
    waterfall, goodhart = draw_attribution(result, numbers, docs), draw_goodhart(result, docs)
    segments = draw_segments(result, numbers, docs)
    drawn = (
        *((segments,) if segments else ()),
        *draw_headroom(result, docs),
        *((waterfall,) if waterfall else ()),
        *draw_all(result, numbers, docs),
        *((draw_curves(result, numbers, docs),) if _learns(result) else ()),
        *((draw_sensitivity(result, numbers, docs),) if numbers.sensitivity else ()),
        *((goodhart,) if goodhart else ()),
    )
    pictures = {
        picture.name.removeprefix(f"{result.study.name}-"): figure_of(picture) for picture in drawn
    }
    environment = made_with()
    ledger = Ledger()
    parts = sections.all_parts(result, numbers, pictures, ledger, files, environment)
    path = folder / "report.html"
    page_text = markdown(result, numbers, drawn, environment)
    for place, text in (
        (path, _document(result, parts)),
        (docs / f"{result.study.name}.md", page_text),
        (docs / f"{result.study.name}-readme.md", readme_block(result, numbers)),
    ):
        with (checked_path if place == path else atomic_path)(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(_summary(result, numbers, ledger, files, environment), folder / SUMMARY)
    return Report(path, numbers)


def numbers_of(result: Result) -> Numbers:
    """Everything that the report says in numbers, its verdict with all that bears on it.

    Args:
        result: the study.

    Raises:
        ValueError: if rows that the verdict needs are missing or do not pair.
    """
    numbers = compute_numbers(result.study, result.rows, result.curves, result.starts)
    numbers = with_headroom(result, with_objections(result, numbers))
    return with_judges(result, with_served(result, with_warnings(result, numbers)))


def _learns(result: Result) -> bool:
    """Whether there is a point of a learning curve."""
    return not result.curves.empty and bool(result.curves["return_mean"].notna().any())


def _document(result: Result, parts: list[Part]) -> str:
    made = origin_line(result.made, result.command, result.computed)
    header = join([element("h1", result.study.title), made])
    parts = sections.divided(parts)
    contents = [(part.name, part.title) for part in parts]
    return page(result.study.title, header, contents, [part.html for part in parts])


def figure_of(picture: Picture) -> Html:
    """A picture inside the page, with its caption; the PNG lies beside, to be used elsewhere."""
    title = picture.title
    stop = " " if title.endswith("?") else ". "
    text = element("figcaption", element("strong", title + stop), picture.caption)
    drawing = in_page(picture.svg, picture.alt, picture.name, picture.cuts)
    frame = element("div", drawing, class_="frame", tabindex="0", role="region", aria_label=title)
    return element("figure", frame, text)


def _write_tables(result: Result, folder: Path) -> list[File]:
    tables = {
        ROWS: (result.rows, "one row per simulated session"),
        "curves.parquet": (result.curves, "return while training"),
        "reliability.parquet": (result.reliability, "predicted and observed, in bins"),
        WATCHED: (result.watched, "gains over the opponent while learners trained"),
        STOPPED: (result.stopped, "early stopping by the judge, minus the end of training"),
        SLATES: (result.slates, "sessions of a few people, one row per slot"),
    }
    artefacts = []
    for name, (frame, what) in tables.items():
        if not frame.empty:
            write_parquet(frame, folder / name)
            artefacts.append(Artefact(folder / name, f"{what}; {len(frame):,} rows"))
    return [
        File(_relative(path, folder), sha256_of(path), what)
        for path, what in (*artefacts, *result.artefacts)
    ]


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def _parts(found: Attribution) -> dict[str, Any]:
    """An attribution, as JSON values."""
    return {
        "agent": found.agent,
        "place": found.place,
        "start": found.start,
        "level": found.level,
        "parts": {
            step.name: {
                "policies": [step.difference.agent, step.difference.baseline],
                **step.difference.estimate.to_json(),
                "adjusted_p": step.difference.adjusted,
            }
            for step in found.steps
        },
        "missing": list(found.missing),
    }


def made_with() -> dict[str, str]:
    """What the numbers were made with."""
    return {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in PACKAGES},
    }


def _summary(
    result: Result,
    numbers: Numbers,
    ledger: Ledger,
    files: list[File],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The report for programs."""
    found, study = numbers.verdict, result.study
    return {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "verdict": found.sentence,
        "outcome": found.outcome,
        "agent": found.agent,
        "command": result.command,
        "means": {
            place.name: {
                standing.policy: standing.mean[place.name].value
                for standing in numbers.ladder
                if place.name in standing.mean
            }
            for place in study.main
        },
        "outcomes": dict(found.outcomes),
        "objections": list(found.objections),
        "validation": as_json(result.validation),
        "attribution": [_parts(a) for a in numbers.attributions],
        "headroom": as_json(result.headroom),
        "families": families_json(result, numbers),
        "left_out": list(study.left_out),
        "judging": None if study.judging is None else as_json(study.judging),
        "numbers": [entry._asdict() for entry in ledger.entries],
        "model_metrics": [dict(metrics) for metrics in result.model_metrics],
        "served": [dict(one) for one in result.served],
        "serving": as_json(result.serving),
        "segments": [
            {
                "place": s.place,
                "trait": s.trait,
                "level": s.level,
                **s.estimate.to_json(),
                "adjusted_p": s.adjusted,
            }
            for s in numbers.segments
        ],
        "tunings": [dict(step) for step in result.tunings],
        "constants": [constant._asdict() for constant in result.constants],
        "settings": dict(result.settings),
        "timings": dict(result.timings),
        "environment": dict(environment),
        "made": dict(result.made),
        "computed": [dict(one) for one in result.computed],
        "files": [file._asdict() for file in files],
    }
