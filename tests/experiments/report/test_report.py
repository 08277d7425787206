"""The report: whole, self-contained, escaped, and every number to be found in the rows."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import episode_rows, result, study
from matplotlib._pylab_helpers import Gcf
from PIL import Image
from rich.console import Console

from slategym.experiments.report.markup import element, join, table
from slategym.experiments.report.report import Report, write_report
from slategym.experiments.report.results import Artefact, Constant
from slategym.experiments.report.terminal import print_report
from slategym.experiments.statistics.differences import cell
from slategym.models.checksums import sha256_of

FIGURES = ("attribution", "ladder", "differences", "curves", "reliability", "judge", "sensitivity")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One report for all that only read it."""
    folder = tmp_path_factory.mktemp("run")
    card = folder / "models" / "card.md"
    card.parent.mkdir()
    card.write_text("a card")
    return write_report(result(artefacts=(Artefact(card, "model card"),)), folder)


@pytest.mark.usefixtures("blank_pictures_here")
def test_headroom_stands_before_the_verdict_and_begins_it(tmp_path: Path) -> None:
    number = {"value": 9.0, "low": 8.0, "high": 10.0}
    found = {
        "world": "w",
        "users": 300,
        "people": 95,
        "returns": {"random": number, "greedy, told": number, "planner, told": number},
        "seconds": {"random": 1.0, "greedy, told": 2.0, "planner, told": 60.0},
        "rule": "no cap",
        "depths": [
            {"slates": 1, **number, "gain": None, "seconds": 3.0},
            {"slates": 4, **number, "gain": number, "seconds": 9.0},
        ],
        "flat": False,
        "headroom": {"value": 9.27, "low": 8.0, "high": 10.0, "share": 0.48},
        "something_to_plan_for": True,
        "sentence": "There is something to plan for.",
    }
    report = write_report(result(headroom={"world": found}), tmp_path)
    first = report.numbers.verdict.sentences[0]
    assert first == (
        "There is something to plan for in world: told the truth, looking ahead is worth "
        "+9.27 [+8.00, +10.00] reward per session over the best slate of the moment (+48.0 %), at "
        "least: looking further still gains."
    )
    html = report.path.read_text()
    assert html.index('<section id="headroom"') < html.index('<section id="verdict"')
    assert html.count(first) == 2 and (tmp_path / "docs/made-up-headroom-world.png").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["headroom"]["world"]["users"] == 300


class Page(HTMLParser):
    """What is in a document, and whether it is well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def test_everything_is_written(written: Report) -> None:
    folder = written.path.parent
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "report.html",
        "report.html.sha256",
        "summary.json",
        "rows.parquet",
        "curves.parquet",
        "reliability.parquet",
        "models/card.md",
        "docs/made-up.md",
        "docs/made-up-readme.md",
        *(f"docs/made-up-{name}.png" for name in FIGURES),
    }


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(written: Report) -> None:
    text = written.path.read_text(encoding="utf-8")
    page = Page(text)
    assert not list(page.all("script"))
    for _, attributes in page.elements:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    assert not re.findall(r"url\((?!#)", text) and "@import" not in text
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")


def test_the_page_can_be_read_without_eyes(written: Report) -> None:
    page = Page(written.path.read_text(encoding="utf-8"))
    assert next(page.all("html"))["lang"] == "en"
    images = list(page.all("svg"))
    assert len(images) == len(FIGURES)
    assert all(image["role"] == "img" for image in images)
    assert all(len(image["aria-label"] or "") > 40 for image in images)
    assert all("scope" in cell for cell in page.all("th"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in names
    levels = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == "h1" and set(levels[1:]) == {"h2"}


def test_the_verdict_comes_first(written: Report) -> None:
    text = Page(written.path.read_text(encoding="utf-8")).text
    found = written.numbers.verdict.sentences
    assert len(found) > 2 and all(sentence in text for sentence in found)
    assert text.index(found[-1]) < text.index("For slates of five films")
    assert "Agents were trained at strength 4 only." in text and "Cap 2 was best." in text


def test_every_number_is_found_in_its_rows(written: Report) -> None:
    """Repeats each plain mean from the filter that the page shows, as a reader would."""
    rows = pd.read_parquet(written.path.parent / "rows.parquet")
    page = Page(written.path.read_text(encoding="utf-8"))
    numbers = [link for link in page.all("a") if link.get("class") == "number"]
    assert len(numbers) > 100
    assert all(link["data-row"] == link["title"] for link in numbers)
    summary = json.loads((written.path.parent / "summary.json").read_text())
    assert len(summary["numbers"]) == len(numbers)
    repeated = 0
    for entry in summary["numbers"]:
        if found := re.fullmatch(r"rows.parquet: mean of (\S+) where (.*)", entry["source"]):
            again = rows.query(found[2])[found[1]].mean()
            assert float(entry["text"]) == pytest.approx(again, abs=0.00501)
            repeated += 1
        pattern = r"rows.parquet: mean of paired (\S+) differences: \((.*)\) minus \((.*)\)"
        if found := re.fullmatch(pattern, entry["source"]):
            metric, *both = found.groups()
            ours, theirs = (rows.query(part)[metric].mean() for part in both)
            assert float(entry["text"]) == pytest.approx(ours - theirs, abs=0.00501)
            repeated += 1
    assert repeated > 60


def test_files_are_listed_with_their_hash(written: Report) -> None:
    text = Page(written.path.read_text(encoding="utf-8")).text
    for name in ("rows.parquet", "curves.parquet", "reliability.parquet", "models/card.md"):
        assert name in text
        assert sha256_of(written.path.parent / name) in text


def test_the_summary_is_for_programs(written: Report) -> None:
    summary = json.loads((written.path.parent / "summary.json").read_text())
    assert summary["outcome"] == "wins" and summary["agent"] == "plackett-luce"
    assert summary["verdict"] == written.numbers.verdict.sentence
    assert summary["environment"]["torch"]


def test_figures_are_wide_enough_and_draw_no_global_state(written: Report) -> None:
    for name in FIGURES:
        with Image.open(written.path.parent / "docs" / f"made-up-{name}.png") as image:
            assert image.size[0] == 1200 and image.size[1] >= 400
            grey = np.asarray(image.convert("L"))
        assert 0.01 < (grey < 250).mean() < 0.6  # neither empty nor black
    assert not Gcf.figs  # what pyplot would keep alive


def test_what_people_write_is_escaped_and_the_same_rows_make_the_same_page(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script> & \"quotes\""
    rows = episode_rows(num_users=20, boredoms=())
    rows["world"] = evil
    found = result(
        rows,
        study=replace(study(boredoms=()), title=evil, question=evil, notes=(evil,)),
        command=evil,
        curves=pd.DataFrame(),
        reliability=pd.DataFrame(),
        labels=((evil, "assumed", evil),),
        settings=((evil, evil),),
        remarks={"verdict": evil},
        model_metrics=({"model": evil, "auc": 0.5, "protocol": evil},),
        timings=((evil, 1.0),),
    )
    text = write_report(found, tmp_path / "a").path.read_text(encoding="utf-8")
    page = Page(text)
    assert not list(page.all("script"))
    assert page.text.count(evil) >= 9
    assert len(list(page.all("svg"))) == 4  # no curves, no reliability, no grid of boredom
    again = write_report(found, tmp_path / "b").path.read_text(encoding="utf-8")
    assert again == text


@pytest.mark.usefixtures("blank_pictures_here")
def test_a_control_that_fails_is_said_on_the_page(tmp_path: Path) -> None:
    gains = {
        "world": {"plackett-luce": 1.8, "proto-sac": 0.0},
        "judge": {"plackett-luce": 1.8, "proto-sac": 0.0},
        "static": {"plackett-luce": 1.0, "proto-sac": 0.0},
    }
    rows = episode_rows(gains=gains, num_users=60, boredoms=())
    twin = rows[(rows["variant"] == "static") & (rows["trained_in"] == "static")]
    found = result(
        pd.concat([rows, twin.assign(trained_in="world")]),
        study=study(boredoms=()),
        curves=pd.DataFrame(),
        reliability=pd.DataFrame(),
    )
    report = write_report(found, tmp_path)
    page = Page(report.path.read_text(encoding="utf-8"))
    assert "not to be believed" in page.text
    assert "plackett-luce: fails: it gains +" in page.text
    assert re.search("proto-sac: (passes|cannot tell)", page.text)
    assert len(report.numbers.carried) == 2
    assert "agents trained where people change, read in the control" in page.text


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_ends_in_the_verdict(written: Report, width: int) -> None:
    screen = io.StringIO()
    print_report(result(), written.numbers, Console(file=screen, width=width))
    text = screen.getvalue()
    assert max(len(line) for line in text.splitlines()) <= width
    flat = " ".join(text.split())
    assert flat.endswith(written.numbers.verdict.sentence)
    assert re.search(r"\bscore\b", text)
    for standing in written.numbers.ladder:
        assert standing.policy in text
        for mean in standing.mean.values():  # on one line, whatever the width
            assert mean.rounded(2 if abs(mean.value) < 10 else 1) in text
    for d in written.numbers.differences:
        if d.agent == written.numbers.verdict.agent or d.baseline == "supervised":
            assert d.estimate.signed() in text
    assert "What the return of plackett-luce consists of" in flat


def test_labels_are_words_and_no_markup(written: Report) -> None:
    wild, numbers = "[/y]\x1b[31m", written.numbers
    standings = [replace(standing, policy=wild) for standing in numbers.ladder]
    differences = tuple(replace(d, agent=wild, place=wild) for d in numbers.differences)
    named = replace(numbers, ladder=type(numbers.ladder)(standings), differences=differences)
    screen = io.StringIO()
    print_report(result(), named, Console(file=screen, width=200, color_system=None))
    assert screen.getvalue().count("[/y]\\x1b[31m") >= len(standings) + len(differences)


def test_a_study_that_lacks_something_says_what() -> None:
    rows = episode_rows(num_users=10, boredoms=())
    with pytest.raises(ValueError, match=r"rows lack \['person'\]"):
        result(rows.drop(columns="person"))
    with pytest.raises(ValueError, match=r"lack the policies \['supervised'\]"):
        result(rows[rows["policy"] != "supervised"])
    with pytest.raises(ValueError, match=r"no section for \['sensitivity'\]; it has"):
        result(rows, remarks={"sensitivity": "?"})
    with pytest.raises(ValueError, match=r"curves lack \['policy'"):
        result(rows, curves=pd.DataFrame({"x": [1]}))


def test_markup_escapes_all_that_is_not_markup() -> None:
    assert element("p", "a < b", class_="x") == '<p class="x">a &lt; b</p>'
    assert element("img", alt='"') == '<img alt="&quot;">'
    assert join(["<", None, element("b", "c")]) == "&lt;<b>c</b>"
    short = table("t", ["a", "b"], [["r", "1 & 2"]])
    assert "<td>1 &amp; 2</td>" in short and "<details" not in short
    long = table("t", ["a", "b"], [["r", "1 & 2"]] * 13)  # five minutes' reading has no such thing
    assert "<summary>The table, 13 lines</summary>" in long and long.count("<td>") == 13


def test_places_name_the_cells() -> None:
    made = study()
    world, judge, static = made.main
    assert cell(made, "plackett-luce", static).trained_in == "static"
    assert cell(made, "plackett-luce", judge).trained_in == "world"
    assert cell(made, "supervised", world).strength == 4.0
    assert cell(made, "supervised", world).trained_in == ""


@pytest.mark.usefixtures("blank_pictures_here")
def test_what_was_left_out_is_said_and_why(tmp_path: Path) -> None:
    left = replace(study(boredoms=()), left_out=("a cap per topic: the log has no topics",))
    report = write_report(result(episode_rows(boredoms=()), study=left), tmp_path)
    page = Page(report.path.read_text(encoding="utf-8"))
    assert "a cap per topic: the log has no topics" in page.text
    assert "Boredom strength" not in page.text  # a sweep without rows has no section


@pytest.mark.usefixtures("blank_pictures_here")
def test_a_constant_that_the_log_is_silent_about_is_no_number(tmp_path: Path) -> None:
    silent = (Constant("stretches on one topic", None, "", "derived"),)
    report = write_report(result(constants=silent), tmp_path)
    assert "not in the log" in Page(report.path.read_text(encoding="utf-8")).text
