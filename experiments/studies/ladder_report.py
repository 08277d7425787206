"""What a ladder study leaves: a report, a Markdown page, rows, and the table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.experiments.report.background import sources
from slategym.experiments.report.figures import Picture
from slategym.experiments.report.ledger import ROWS, SUMMARY, Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.page import page, section
from slategym.experiments.report.report import figure_of, made_with
from slategym.experiments.runs.progress import duration
from slategym.experiments.runs.store import Store, write_json, write_parquet
from slategym.experiments.statistics.stats import RESAMPLES
from slategym.experiments.studies.ladder import Ladder, Place, Plan, Published
from slategym.experiments.studies.ladder_figures import draw_curves, draw_ladder
from slategym.experiments.studies.ladder_numbers import (
    SIDE,
    Numbers,
    Rung,
    compute_numbers,
    reference_of,
)
from slategym.models.files import atomic_path

REPORT = "report.html"
TONES = {
    "beaten": ("wins", "planning pays"),
    "not beaten": ("unsure", "not shown"),
    "not believed": ("bad", "not to be believed"),
}
KINDS = {"privileged": "told hidden truths", "learns": "learns", "baseline": "neither"}


@dataclass(frozen=True)
class Found:
    """A finished study: what was asked and what came out."""

    plan: Plan
    command: str  # that repeats it
    rows: pd.DataFrame
    curves: pd.DataFrame
    numbers: Numbers

    @property
    def study(self) -> Ladder:
        """What was asked."""
        return self.plan.study


def write_ladder(plan: Plan, command: str, store: Store) -> Found:
    """Write everything from the units' results, each file whole or not at all.

    OUT/report.html, OUT/summary.json, OUT/rows.parquet, OUT/curves.parquet, and under OUT/docs a
    Markdown page with its figures, to be kept elsewhere.

    Raises:
        ValueError: if rows are missing or do not pair; nothing is written.
    """
    study, rows, curves = plan.study, plan.rows(store), plan.curves(store)
    found = Found(plan, command, rows, curves, compute_numbers(study, rows, curves))
    write_parquet(rows, store.folder / ROWS)
    write_parquet(curves, store.folder / "curves.parquet")
    docs = store.folder / "docs"
    pictures = [draw_ladder(study, found.numbers, docs)]
    if curves["return_mean"].notna().any():
        pictures.append(draw_curves(study, found.numbers, curves, docs))
    ledger = Ledger()
    html = _document(found, pictures, ledger)
    for path, text in (
        (store.folder / REPORT, html),
        (docs / f"{study.name}.md", markdown(found, pictures)),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(_summary(found, ledger), store.folder / SUMMARY)
    return found


def print_ladder(found: Found, console: Console) -> None:
    """A table per place, best first, and the verdict."""
    study = found.study
    for place in study.places:
        heads = ("policy", "return", "score", f"minus {study.myopic}", "topics", "CPU time")
        title = f"{place.name}: {study.unit} [95 % interval]"
        lines = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
        for number, head in enumerate(heads):
            lines.add_column(head, justify="right" if number else "left", no_wrap=True)
        for rung in found.numbers.rungs[place.name]:
            mean, over = rung.mean, rung.over_myopic
            cells = (
                rung.policy + ("*" if rung.kind == "privileged" else ""),
                f"{mean.value:.1f} [{mean.low:.0f}, {mean.high:.0f}]",
                f"{rung.score.value:.2f}",
                f"{over.value:+.1f} [{over.low:+.0f}, {over.high:+.0f}]",
                f"{rung.side['slate_topics'].value:.1f}",
                "" if rung.cpu_seconds is None else duration(rung.cpu_seconds),
            )
            style = "bold" if rung.kind == "learns" else ""
            lines.add_row(*(Text(cell) for cell in cells), style=style)
        for published in _published(study, place):
            told = (f"({published.policy})", f"{published.value:.1f}", "", "", "", "")
            lines.add_row(*told, style="dim")
        console.print(lines)
    console.print(
        f"* told hidden truths. Bold: learns. Score: 0 is {study.random}, 1 is {study.reference} "
        f"(where planning is worth nothing: {study.myopic}). Topics: of a slate. In "
        "brackets: published.",
        style="dim",
    )
    tone = {"beaten": "green", "not believed": "red"}.get(found.numbers.outcome, "yellow")
    for sentence in found.numbers.sentences:
        console.print(Text(sentence, style=f"bold {tone}"))


def markdown(found: Found, pictures: Sequence[Picture]) -> str:
    """The page for `docs/results`: verdict, a table per place, figures, how to repeat it."""
    study, size = found.study, found.plan.size
    lines = [f"# {study.title}", "", study.question, ""]
    lines += [f"- {sentence}" for sentence in found.numbers.sentences] + [""]
    for place in study.places:
        lines += [f"## {place.name}", "", f"{study.unit}, 95 % intervals; {_where(place)}.", ""]
        heads = _heads(study, place)
        rows = [heads, ("---",) * len(heads)]
        rows += [
            (_starred(rung), KINDS[rung.kind], *_cells(rung))
            for rung in found.numbers.rungs[place.name]
        ]
        rows += [
            (p.policy, f"published: {p.source}", *_published_cells(p)[1:])
            for p in _published(study, place)
        ]
        lines += [f"| {' | '.join(row)} |" for row in rows] + [""]
    for picture in pictures:
        lines += [f"![{picture.alt}]({picture.path.name})", "", f"*{picture.caption}*", ""]
    lines += [line for note in study.notes for line in (note, "")]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    made = ", ".join(f"{name} {value}" for name, value in made_with().items())
    lines += [
        f"{size.seeds} training seeds ({size.control_seeds} in the controls), {size.users} "
        f"evaluation users. {_how()} Policies with * are told hidden truths.",
        "",
        f"Written by `{found.command}` on {day} with {made}.",
    ]
    return "\n".join(lines) + "\n"


def _heads(study: Ladder, place: Place) -> tuple[str, ...]:
    return (
        *("policy", "knows", "return"),
        f"score (0 {study.random}, 1 {reference_of(study, place)})",
        f"minus {study.myopic}",
        *SIDE.values(),
        *("slates of training", "CPU time of training"),
    )


def _cells(rung: Rung) -> tuple[str, ...]:
    """As text, from the return on."""
    mean, over = rung.mean, rung.over_myopic
    return (
        f"{mean.value:.1f} [{mean.low:.1f}, {mean.high:.1f}]",
        f"{rung.score.value:.2f}",
        f"{over.value:+.1f} [{over.low:+.1f}, {over.high:+.1f}]",
        *(f"{rung.side[name].value:.2f}" for name in SIDE),
        "" if rung.slates is None else f"{rung.slates:,.0f}",
        "" if rung.cpu_seconds is None else duration(rung.cpu_seconds),
    )


def _published(study: Ladder, place: Place) -> list[Published]:
    return [published for published in study.published if published.place == place.name]


def _published_cells(published: Published) -> tuple[str, ...]:
    return (f"{published.policy}, published", f"{published.value:.1f}", *[""] * (len(SIDE) + 4))


def _starred(rung: Rung) -> str:
    name = rung.policy + ("*" if rung.kind == "privileged" else "")
    return f"**{name}**" if rung.kind == "learns" else name


def _where(place: Place) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in place.settings.items())
    return f"`{place.world}`" + (f" with {settings}" if settings else "")


def _how() -> str:
    return (
        "Everybody is read on the same people, whom no training met, with the same luck. Intervals "
        f"hold 95 % of {RESAMPLES:,} bootstrap resamples of people and training seeds; differences "
        "are paired by person."
    )


def _document(found: Found, pictures: Sequence[Picture], ledger: Ledger) -> str:
    study = found.study
    images = [figure_of(p.path, p.alt, p.title, p.caption) for p in pictures]
    tone, tag = TONES[found.numbers.outcome]
    verdict = element(
        "div",
        element("span", tag, class_="tag"),
        *(element("p", sentence) for sentence in found.numbers.sentences),
        class_=f"verdict {tone}",
    )
    parts: list[tuple[str, str, Sequence[Html | None]]] = [
        ("verdict", "Verdict", [verdict, element("p", study.question)]),
        ("ladder", "The ladder", images),
        *(
            (f"place-{n}", place.name, [_table(found, place, ledger)])
            for n, place in enumerate(study.places)
        ),
        ("notes", "Notes", [element("p", note) for note in (*study.notes, _how())]),
        ("learners", "The learners", [_settings(found)]),
        ("repeat", "Repeat it", _repeat(found)),
        ("sources", "Every number", [*sources(ledger)]),
    ]
    return page(
        study.title,
        element("h1", study.title),
        [(name, title) for name, title, _ in parts],
        [section(name, title, *body) for name, title, body in parts],
    )


def _table(found: Found, place: Place, ledger: Ledger) -> Html:
    study = found.study
    body = []
    for rung in found.numbers.rungs[place.name]:
        slates, cpu = _cells(rung)[-2:]
        body.append(
            [
                element("span", rung.policy, class_="strong" if rung.kind == "learns" else None),
                KINDS[rung.kind],
                ledger.estimate(rung.mean, digits=1),
                ledger.estimate(rung.score),
                ledger.estimate(rung.over_myopic, signed=True, digits=1),
                *(ledger.plain(rung.side[name]) for name in SIDE),
                slates,
                cpu,
            ]
        )
    for published in _published(study, place):
        cells = _published_cells(published)
        body.append([cells[0], published.source, *cells[1:]])
    caption = f"{_where(place)}: mean return ({study.unit}) with 95 % intervals, best first."
    return table(caption, _heads(study, place), body, wide=True)


def _settings(found: Found) -> Html:
    lessons = {unit.spec.policy: unit.spec.training.settings for unit in found.plan.lessons}
    body = [
        [name, ", ".join(f"{key}={value}" for key, value in asdict(settings).items())]
        for name, settings in lessons.items()
    ]
    return table("Settings of the learners.", ["learner", "settings"], body)


def _repeat(found: Found) -> list[Html | None]:
    size = found.plan.size
    made = ", ".join(f"{name} {value}" for name, value in made_with().items())
    how = (
        f"{size.seeds} training seeds ({size.control_seeds} in the controls), {size.users} "
        f"evaluation users, {size.training:.0%} of each learner's slates. Made with {made}."
    )
    return [element("pre", element("code", found.command)), element("p", how, class_="soft")]


def _summary(found: Found, ledger: Ledger) -> Mapping[str, Any]:
    """The report for programs."""
    return {
        "title": found.study.title,
        "question": found.study.question,
        "outcome": found.numbers.outcome,
        "verdict": list(found.numbers.sentences),
        "command": found.command,
        "means": {
            place: {rung.policy: rung.mean.value for rung in rungs}
            for place, rungs in found.numbers.rungs.items()
        },
        "numbers": [entry._asdict() for entry in ledger.entries],
        "environment": made_with(),
    }
