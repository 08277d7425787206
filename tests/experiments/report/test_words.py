"""One function says a comparison: in sentences, tables, terminal, README; nobody else does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up import episode_rows, result

import slategym.experiments.statistics.words as words
from slategym.experiments.report.readme import readme_block
from slategym.experiments.statistics.numbers import compute_numbers

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
