"""One function says a comparison: in sentences, tables, terminal, README; nobody else does."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import pytest
from made_up import episode_rows, result
from rich.console import Console

import slategym.experiments.statistics.words as words
from slategym.experiments.report.judges import judge_sentences
from slategym.experiments.report.readme import readme_block
from slategym.experiments.report.report import write_report
from slategym.experiments.report.terminal import print_report
from slategym.experiments.statistics.numbers import compute_numbers

pytestmark = pytest.mark.usefixtures("blank_pictures")

EXPERIMENTS = Path(words.__file__).parents[1]
SAYING = (  # of a number with a sign, and of an interval in brackets
    re.compile(r"\{[^{}]*:\+"),
    re.compile(r"\[\{[^{}]*low[^{}]*\}, ?\{[^{}]*high"),
)


@pytest.mark.parametrize("folder", ["statistics", "report", "measure", "studies"])
def test_nobody_else_says_a_comparison(folder: str) -> None:
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted((EXPERIMENTS / folder).glob("*.py"))
        if path.name != "words.py"
        for line in path.read_text().splitlines()
        if any(pattern.search(line) for pattern in SAYING)
    ]
    assert not found, "use slategym.experiments.statistics.words:\n" + "\n".join(found)


def test_the_search_finds_what_it_searches_for() -> None:
    for line in ('f"{d.value:+z.2f}"', 'f"{x} [{e.low:.2f}, {e.high:.2f}]"'):
        assert any(pattern.search(line) for pattern in SAYING)


def test_the_readme_says_what_the_report_says() -> None:
    found = result(episode_rows(num_users=60, boredoms=()))
    numbers = compute_numbers(found.study, found.rows, found.curves)
    text, agent = readme_block(found, numbers), numbers.verdict.agent
    for d in (*numbers.differences, *numbers.control):
        if d.agent == agent and d.baseline != "myopic":
            shown = d.estimate.signed()
            assert (f"**{shown}**" if d.side else f" {shown} ") in text
    assert all(sentence in text for sentence in numbers.verdict.sentences)
    assert found.command in text


def test_terminal_and_page_say_what_the_readme_says(tmp_path: Path) -> None:
    found = result(episode_rows(num_users=60, boredoms=()))
    report, screen = write_report(found, tmp_path), io.StringIO()
    numbers = report.numbers
    print_report(found, numbers, Console(file=screen, width=400))
    page = html.unescape(re.sub(r"<[^>]+>", "", report.path.read_text()))
    for d in (*numbers.differences, *numbers.control):
        assert d.estimate.signed() in page
        if d.agent == numbers.verdict.agent:
            assert d.estimate.signed() in screen.getvalue()
    for sentence in numbers.verdict.sentences:
        assert sentence in page and sentence in screen.getvalue()


def test_whose_training_is_not_served_stands_in_the_verdict_and_where_it_began(
    tmp_path: Path,
) -> None:
    one = {"place": "world", "split": 0, "gain": -0.4, "low": -1.0, "high": 0.2}
    begun = "supervised-capped"
    served = (
        {**one, "learner": "plackett-luce", "seed": 0, "policy": "start", "begun": begun},
        {**one, "learner": "plackett-luce", "seed": 1, "policy": "trained", "begun": begun},
        {**one, "learner": "proto-sac", "seed": 0, "policy": "trained", "begun": ""},
        {**one, "learner": "proto-sac", "place": "static", "seed": 0, "policy": "start"},
    )
    found = result(episode_rows(num_users=60, boredoms=()), served=served)
    assert found.starts == {("plackett-luce", "world"): begun}
    report = write_report(found, tmp_path)
    said = report.numbers.verdict.sentence
    assert (
        "served and read instead of what was trained, for plackett-luce (1 of 2 trainings)" in said
    )
    assert "proto-sac (" not in said  # what it does in the control is said there
    assert "it began at the tuned diversity cap, which is worth +" in said
    made = report.numbers.attribution("plackett-luce", "world")
    assert made is not None and made.steps[0].name == "its start"
    whole = report.numbers.find("plackett-luce", "supervised", "world")
    assert whole is not None
    total = sum(step.difference.estimate.value for step in made.steps)
    assert total == pytest.approx(whole.estimate.value)
    page = report.path.read_text()
    assert "1 of 4 trainings" not in page and "2 of 4 trainings" in page


@pytest.mark.parametrize("met", [0, 40])
def test_a_judge_whose_fit_has_met_who_is_read_says_so(met: int) -> None:
    judge = {"model": "J: factor", "click_auc": 0.9, "protocol": "made up"}
    found = result(model_metrics=(judge,), met={"J: factor": (met, 40)})
    said = " ".join(judge_sentences(found))
    assert "The judges, on people whom a fit of theirs has not met: J: factor (click AUC" in said
    assert ("the fit has met the histories of 40 of the 40 people" in said) == bool(met)
