"""What the grid says: a self-contained page, a table on the terminal, a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import PercentFormatter
from rich.console import Console
from rich.table import Table

from slategym.experiments.report import markdown
from slategym.experiments.report.figures import INK, Picture, panels_of, save_picture
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.page import page, section
from slategym.experiments.report.report import figure_of, made_with
from slategym.experiments.report.terminal import LOOK
from slategym.experiments.runs.progress import duration
from slategym.experiments.statistics.transfer import MODEL, MODEL_ALONE
from slategym.experiments.statistics.words import share, signed
from slategym.experiments.study import SUPPORTED
from slategym.experiments.truth.claims import (
    PLANNER,
    WINS,
    Summary,
    model_share,
    power,
    summaries,
    summary,
    unassumed,
)
from slategym.experiments.truth.units import DEPTH, FUTURES, HANDOVER, WRITER
from slategym.models.files import atomic_path, checked_path
from slategym.models.simulator.assumptions import find_assumptions

if TYPE_CHECKING:
    from slategym.experiments.truth.run import Grid

TITLE = "Verdicts on logs of known truth"
QUESTION = (
    "Worlds whose truth is known write logs. The whole pipeline runs on each log alone: models, a "
    "world, training, a verdict. Then everybody is read in the world that wrote the log, before "
    "people whom no choice has met. How often is the verdict right?"
)
HEADS = (
    *("cells", "number", "false “RL wins”", "missed “RL wins”", "wrong sign", "intervals"),
    *("transfer intervals", "clear by them, same sign", "half width", "Kendall's tau", "regret"),
)
MEANS = (
    "False: the verdict claims it and the same rule, applied in the true world, does not; of the "
    "cells in which it does not. Missed: the other way round; the power is what is not missed. "
    "Wrong sign: of the differences that a verdict rests on (learners and what they are compared "
    "with, tuned and untuned ranker) and that are clear in the learned world, those that are "
    "clear the other way in the true one. Intervals: how many of those differences, as shares of "
    "what the tuned ranker earns in the same world, lie in the true world within the interval of "
    "the learned one, which is over people; those of policies that show the same slates are left "
    "out. Transfer intervals: the same where people, the disagreement of judges and of "
    "assumptions, and the error of models are allowed for, the last as measured on the other "
    "scenarios of this table; clear by them: whole on one side of zero; half width: mean, as a "
    "share of what the ranker earns. "
    "Kendall's tau: of all policies' returns, learned and true, mean over cells. Regret: what is "
    "lost in the true world by taking the policy that is best in the learned one, as a share of "
    "the best one's return. Intervals of shares: 95 %, Clopper and Pearson."
)
UNITS = (
    "Differences to the tuned supervised ranker as shares of what it earns; headroom, the planner "
    "minus greedy, in reward a session and as a share of greedy; 95 % intervals over people."
)
COLOURS = {"learned": "#0072B2", "truth": "#D55E00"}
WHOLE = 307_200  # slates of a learner's training at a share of 1
CLAIMS = (
    *("scenario", "strength", "visits", "seed", "under", "claim", "truth", "serves"),
    "checks failed",
)


def write_page(grid: Grid, folder: Path) -> Path:
    """The page and, under docs/, its figures and the same in Markdown; where the page is."""
    pictures = [
        p for p in (draw_policies(grid, folder / "docs"), draw_goodhart(grid, folder / "docs")) if p
    ]
    parts = list(_parts(grid, pictures))
    header = element("h1", TITLE)
    text = page(TITLE, header, [(name, title) for name, title, _ in parts], [x for *_, x in parts])
    path = folder / "report.html"
    for place, what in (
        (path, text),
        (folder / "docs" / "truth.md", markdown_of(grid, pictures)),
    ):
        with (checked_path if place == path else atomic_path)(place) as temporary:
            temporary.write_text(what, encoding="utf-8")
    return path


def sentences(grid: Grid) -> Iterator[str]:
    """The answer, what weakens the product's claims first."""
    whole = summary("all", grid.claims, grid.comparisons)
    silent = grid.claims[grid.claims["strength"] == 0]
    if len(silent):
        found = summary("none", silent, grid.comparisons)
        wrong = int((silent["claim"] == WINS).sum())
        yield (
            f"At strength 0, where nothing that is shown changes what comes next, the verdict says "
            f"“RL wins” in {wrong} of {len(silent)} cells; by the same rule it does so in "
            f"the true world in {len(silent) - found.false_wins.of} of them."
        )
    yield (
        f"Over all {whole.cells} verdicts: false “RL wins” {whole.false_wins}; missed "
        f"“RL wins” {whole.missed}; wrong sign {whole.wrong_sign}; intervals that hold the "
        f"truth {whole.coverage} over people alone, {whole.transfer} as transfer intervals, "
        "calibrated on other scenarios."
    )
    model, alone = model_share(grid.comparisons), model_share(unassumed(grid.comparisons))
    if math.isfinite(model):
        yield (
            f"Over all these cells transfer intervals have to allow {100 * model:.0f} % of what "
            f"the ranker earns for models, {100 * alone:.0f} % where nobody is read under other "
            f"assumptions; reports of logs allow {100 * MODEL:.0f} and {100 * MODEL_ALONE:.0f} %."
        )
    yield from _spoken(grid)
    yield (
        f"Rankings: Kendall's tau {whole.tau:.2f} between learned and true world; the policy that "
        f"the learned world likes best loses {100 * whole.regret:.1f} % of the best one's true "
        "return."
    )
    able = power(grid.claims)
    yield (
        f"Power: told the truth, a planner is clearly ahead of greedy in {able.of} of "
        f"{whole.cells} cells, and of these verdicts say “RL wins” in {able}."
    )


def _spoken(grid: Grid) -> Iterator[str]:
    """How often logs themselves speak of carry-over, which worlds learned from them then assume."""
    if grid.size.assumptions != (SUPPORTED,):
        return
    counts = [
        f"{int(mine['assumptions'].map(_changes).sum())} of {len(mine)} at strength {strength:g}"
        for strength, mine in grid.claims.groupby("strength")
    ]
    yield f"Logs that speak of carry-over, as slategym diagnose reads them: {', '.join(counts)}."


def _changes(assumptions: str) -> bool:
    return find_assumptions(assumptions).effect is not None


def _line(found: Summary) -> list[str]:
    return [
        found.what,
        str(found.cells),
        str(found.false_wins),
        str(found.missed),
        str(found.wrong_sign),
        str(found.coverage),
        str(found.transfer),
        str(found.carried),
        "" if math.isnan(found.half) else f"{100 * found.half:.0f} %",
        f"{found.tau:.2f}",
        f"{100 * found.regret:.1f} %",
    ]


def _rates(grid: Grid) -> list[list[str]]:
    return [_line(found) for found in summaries(grid.claims, grid.comparisons)]


def _claims(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """One line per verdict."""
    heads = [*CLAIMS, "RL − supervised, learned", "true", "headroom, told", "tau", "regret"]
    keys = ["scenario", "strength", "visits", "seed", "place"]
    body = []
    for claim in grid.claims.to_dict("records"):
        mine = grid.comparisons
        for key in keys:
            mine = mine[mine[key] == claim[key]]
        rows = mine[(mine["agent"] == claim["agent"]) & (mine["baseline"] == "supervised")]
        found = rows.iloc[0] if len(rows) else None
        body.append(
            [
                claim["scenario"],
                f"{claim['strength']:g}",
                f"{claim['visits']:,}",
                str(claim["seed"]),
                claim["assumptions"],
                claim["claim"],
                claim["truth"],
                claim["served"],
                _failed(claim),
                "" if found is None else _shares(found, "learned"),
                "" if found is None else _shares(found, "true"),
                signed(claim["headroom"], claim["headroom_low"], claim["headroom_high"])
                + f", {share(claim['headroom_share'])}",
                f"{claim['tau']:.2f}",
                f"{100 * claim['regret_share']:.1f} % ({claim['taken']})",
            ]
        )
    return heads, body


def _failed(claim: Mapping[str, Any]) -> str:
    """How many checks the learned world fails against its log, which is an objection."""
    if not claim["checked"]:
        return ""
    return str(len(claim["objections"].split("; "))) if claim["objections"] else "0"


def _shares(row: pd.Series, name: str) -> str:
    value, low, high = (100 * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{signed(value, low, high, 1)} %"


def _policies(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """Return by policy, mean over seeds, as a share of what greedy told the truth earns there."""
    rows = grid.policies
    heads = ["policy", *(f"{s}, {x:g}" for (s, x), _ in rows.groupby(["scenario", "strength"]))]
    body = []
    order = rows.groupby("policy")["true"].mean().sort_values(ascending=False).index
    greedy = rows[rows["policy"] == "greedy, told"].groupby(["scenario", "strength"])["true"].mean()
    # the planner is read before some of the people, and stands to greedy as it does there
    ahead = 1.0 + grid.claims.groupby(["scenario", "strength"])["headroom_share"].mean()
    for policy in order:
        mine = rows[rows["policy"] == policy].groupby(["scenario", "strength"])["true"].mean()
        if policy == f"{PLANNER}, told":
            mine = ahead * greedy
        if mine.notna().any():
            body.append(
                [
                    policy,
                    *(
                        f"{100 * mine.get(key, float('nan')) / greedy[key]:.0f} %"
                        for key in greedy.index
                    ),
                ]
            )
    return heads, body


def _protocol(grid: Grid) -> list[tuple[str, str]]:
    size, logs = grid.size, grid.logs
    wrote = ", ".join(
        f"{logs[name].min():,} to {logs[name].max():,} {name}"
        for name in ("visits", "users", "slates")
    )
    lived = (
        f"{size.people} people, less those who left before, none of whom wrote the log or met a "
        f"choice; {WRITER} showed each {HANDOVER} slates before, as people of a learned world "
        "arrive with clicks behind them; then a whole session of the scenario"
    )
    return [
        ("profile", size.one_line),
        ("logs", f"{len(logs)}, by {WRITER} with exact propensities; {wrote} each"),
        ("models", f"{size.fit}; fitted on each log alone, people parted in three as always"),
        ("training", f"{round(size.training * WHOLE):,} slates a learner, one seed a cell"),
        ("read in the learned world", f"{size.users} sessions of evaluation people"),
        ("read in the true world", lived),
        (
            "told the truth",
            f"greedy, and a planner of {DEPTH} slates and {FUTURES} futures before the first "
            f"{size.planned} of them",
        ),
        ("assumptions", ", ".join(size.assumptions)),
        ("computing", f"{duration(grid.seconds)} in all units together"),
        ("command", grid.command),
    ]


def _parts(grid: Grid, pictures: Sequence[Picture]) -> Iterator[tuple[str, str, Html]]:
    """Sections of the page: name, title, HTML."""
    said = [element("p", sentence) for sentence in sentences(grid)]
    box = element("div", *said, class_=f"verdict {_tone(grid)}")
    yield "answer", "Answer", section("answer", "Answer", element("p", QUESTION), box)
    rates = table("How often verdicts are right", HEADS, _rates(grid), wide=True)
    note = element("p", MEANS, class_="soft")
    yield "rates", "How often", section("rates", "How often verdicts are right", rates, note)
    heads, body = _claims(grid)
    every = table(UNITS, heads, body, wide=True)
    yield "cells", "Every verdict", section("cells", "Every verdict and its truth", every)
    heads, body = _policies(grid)
    told = table("True return, share of what greedy told the truth earns", heads, body, wide=True)
    figures = join([figure_of(p) for p in pictures])
    yield "policies", "Policies", section("policies", "Policies in the true world", told, figures)
    said_of = [
        element("details", element("summary", _where(claim)), element("p", claim["said"]),
                element("p", "In the true world: " + claim["so"]),
                element("p", "The learned world fails against its log: " + claim["objections"])
                if claim["objections"] else None)
        for claim in grid.claims.to_dict("records")
    ]  # fmt: skip
    yield "words", "In words", section("words", "Verdicts in words", *said_of)
    lines = table("Protocol", ("what", "how"), _protocol(grid))
    yield "protocol", "Protocol", section("protocol", "Protocol", lines)


def _tone(grid: Grid) -> str:
    found = summary("all", grid.claims, grid.comparisons)
    if found.false_wins.number or found.wrong_sign.number:
        return "bad"
    return "unsure" if found.missed.number else "wins"


def _where(claim: dict[str, object]) -> str:
    return (
        f"{claim['scenario']}, strength {claim['strength']:g}, {claim['visits']:,} visits, seed "
        f"{claim['seed']}, under {claim['assumptions']}"
    )


def draw_policies(grid: Grid, folder: Path) -> Picture:
    """Learned against true returns, each cell as a panel of its own."""
    rows = grid.policies.dropna(subset=["learned", "true"])
    cells = list(rows.groupby(["scenario", "strength", "visits", "seed", "place"], sort=False))
    columns = min(4, len(cells))
    lines = -(-len(cells) // columns)
    figure, panels = panels_of(lines, columns, 2.1 * lines)
    for panel in panels[len(cells) :]:
        panel.set_visible(False)
    for panel, ((scenario, strength, visits, seed, _), mine) in zip(panels, cells, strict=False):
        for kind, colour in (("baseline", "#666666"), ("learns", COLOURS["truth"])):
            some = mine[mine["kind"] == kind]
            panel.plot(some["learned"], some["true"], "o", color=colour, markersize=4)
        panel.set_title(f"{scenario} {strength:g}\n{visits:,} visits, seed {seed}", fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in panels[::columns]:
        panel.set_ylabel("true return", fontsize=8)
    for panel in panels[-columns:]:
        panel.set_xlabel("learned return", fontsize=8)
    return save_picture(
        figure,
        folder,
        "truth-policies",
        "Do policies stand in the true world as they do in the learned one?",
        "Each dot is a policy: what it earns in the world learned from the log, and in the world "
        "that wrote it. Orange ones learn from slates. Sessions differ in length, so that the "
        "order counts, not the diagonal.",
        f"Scatter plots of learned against true return in {len(cells)} cells.",
    )


def draw_goodhart(grid: Grid, folder: Path) -> Picture | None:
    """Gains while learners trained, in the learned and in the true world."""
    watched = grid.watched
    if watched.empty:
        return None
    strengths = sorted(watched["strength"].unique())
    figure, panels = panels_of(1, len(strengths), 3.2, sharey=True)
    for panel, strength in zip(panels, strengths, strict=True):
        panel.axhline(0, color=INK, linewidth=1)
        mine = watched[watched["strength"] == strength]
        for where, colour in COLOURS.items():
            some = mine[mine["where"] == where]
            for _, line in some.groupby(["scenario", "visits", "seed", "place", "policy"]):
                line = line.sort_values("steps")
                panel.plot(line["steps"], line["share"], color=colour, linewidth=0.6, alpha=0.5)
            mean = some.groupby("steps")["share"].mean()
            label = "learned world" if where == "learned" else "true world"
            panel.plot(mean.index, mean, "o-", color=colour, markersize=4, label=label)
        panel.set_title(f"strength {strength:g}")
        panel.set_xlabel("slates shown in training")
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0].set_ylabel("minus supervised,\nshare of its return")
    panels[-1].legend(frameon=False, fontsize=8)
    return save_picture(
        figure,
        folder,
        "truth-goodhart",
        "What is gained in the learned world, and what of it is so",
        "Expected return minus that of the tuned supervised ranker, as a share of that, at points "
        "of training, whatever is served in the end: thin lines are cells, thick ones their mean. "
        "The distance between the two is what training made of the model's mistakes.",
        "Line plots of gains over the supervised ranker while learners train, in the learned and "
        "the true world.",
    )


def markdown_of(grid: Grid, pictures: Sequence[Picture]) -> str:
    """The page for `docs/results`."""
    lines = [f"# {TITLE}", "", QUESTION, ""]
    lines += [f"- {sentence}" for sentence in sentences(grid)] + [""]
    lines += [*markdown.table(HEADS, _rates(grid)), "", MEANS, ""]
    heads, body = _claims(grid)
    lines += ["## Every verdict and its truth", "", UNITS, "", *markdown.table(heads, body), ""]
    heads, body = _policies(grid)
    lines += ["## Policies in the true world", ""]
    lines += ["True return as a share of what greedy told the truth earns, mean over seeds.", ""]
    lines += [*markdown.table(heads, body), ""]
    for picture in pictures:
        lines += [f"![{picture.alt}]({picture.path.name})", "", f"*{picture.caption}*", ""]
    lines += ["## Protocol", ""]
    lines += [*markdown.table(("what", "how"), _protocol(grid)), ""]
    made = ", ".join(f"{name} {value}" for name, value in made_with().items())
    lines += [f"Written by `{grid.command}` on {datetime.now(UTC):%Y-%m-%d} with {made}."]
    return "\n".join(lines) + "\n"


def print_grid(grid: Grid, screen: Console) -> None:
    """How often verdicts are right, each verdict, and the answer."""
    rates = Table(title="how often verdicts are right", **LOOK)
    for head in HEADS:
        rates.add_column(head)
    for line in _rates(grid):
        rates.add_row(*line)
    screen.print(rates)
    heads, body = _claims(grid)
    every = Table(title="every verdict and its truth", **LOOK)
    for head in heads:
        every.add_column(head)
    for line in body:
        every.add_row(*line)
    screen.print(every)
    for sentence in sentences(grid):
        screen.print(sentence, highlight=False)
