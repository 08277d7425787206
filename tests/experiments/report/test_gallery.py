"""Slates of people in a report, and what stands beside them; figures that follow the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import numbers_of, result, slate_rows, traits_told, with_people

from slategym.experiments.report.attribution import COLOURS
from slategym.experiments.report.comparisons import difference_cells
from slategym.experiments.report.curves import fit_axis, flat_curves
from slategym.experiments.report.figures import AGENT_COLOURS, grid_of, panels_of, save_picture
from slategym.experiments.report.gallery import QUANTILES, gallery_section
from slategym.experiments.report.headroom import draw_depths
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import prose
from slategym.experiments.report.origin import computed_by, origin_line
from slategym.experiments.report.page import CSS
from slategym.experiments.report.results import Result
from slategym.experiments.report.sections import _signed
from slategym.experiments.report.short import _compared, cost_section, short_section
from slategym.experiments.report.svg import dark, drawn, in_page, palette, variable
from slategym.experiments.report.words import known_as, tick, told_columns
from slategym.experiments.runs.origin import origin
from slategym.experiments.statistics.numbers import compute_numbers
from slategym.experiments.statistics.sentences import CARRIES
from slategym.experiments.statistics.words import transferred
from slategym.models.simulator.assumptions import SAYS


@pytest.fixture(scope="module")
def found() -> Result:
    return with_people(result())


def text_of(parts: list[str | None]) -> str:
    return re.sub(r"<[^>]+>", " ", "".join(part for part in parts if part))


def test_people_are_those_at_the_quantiles_and_everybodys_slate_is_there(found: Result) -> None:
    html = "".join(part for part in gallery_section(found, Ledger()) if part)
    users = [int(user) for user in re.findall(r"<summary>User (\d+)", html)]
    at = found.slates.drop_duplicates("user").set_index("user")["quantile"]
    assert at[users].to_numpy() == pytest.approx(QUANTILES, abs=0.02)
    assert html.count('class="slate ') == 3 * len(QUANTILES)
    asked = found.slates[found.slates["asked"] & (found.slates["user"] == users[0])]
    first = html[: html.index("</details>")]
    assert all(title in first for title in asked["title"])
    assert "clicked, like" in first and "because of A film of" in first
    assert "heavy, job" in first or "light, job" in first


def test_slates_that_are_always_the_same_are_said_to_be(found: Result) -> None:
    said = text_of(gallery_section(found, Ledger()))
    assert "shows the very slates of the tuned diversity cap (supervised-capped)" in said
    other = found.slates.copy()
    mine = (other["role"] == "rl") & other["asked"] & (other["user"] == 4)
    other.loc[mine, "item"] = other.loc[mine, "item"] + 1
    said = text_of(gallery_section(replace(found, slates=other), Ledger()))
    assert "shows the very slates" not in said


def test_a_study_without_slates_says_nothing_of_them(found: Result) -> None:
    assert gallery_section(replace(found, slates=pd.DataFrame()), Ledger()) == []
    assert cost_section(replace(found, serving={}), Ledger()) == []


def test_a_strangers_title_is_text(found: Result) -> None:
    evil = slate_rows(("supervised", "supervised-capped", "plackett-luce"))
    evil["title"] = "<script>x</script>"
    html = "".join(p for p in gallery_section(replace(found, slates=evil), Ledger()) if p)
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_the_lead_is_said_in_per_cent_with_what_it_costs(found: Result) -> None:
    numbers = numbers_of(traits_told(found.rows))
    said = text_of(short_section(found, numbers, Ledger()))
    lead = numbers.find("plackett-luce", "supervised", "world")
    assert lead is not None
    share = lead.estimate.value / numbers.of("supervised").mean["world"].value
    assert f"{100 * share:+.1f} %" in said and lead.estimate.signed() in said
    assert numbers.verdict.tag in said and "4.0 ms" in said and "clearly ahead" in said
    box = short_section(found, numbers, Ledger())[0]
    assert box is not None and box.count("<p>") == 1
    headline = " ".join(text_of([box]).split())
    assert headline.startswith(f"{numbers.verdict.tag} RL on slates (plackett-luce) earns")
    size = f"{100 * share:.1f} %"
    assert f"{size} more than the supervised ranker (clearly ahead) and " in headline
    assert headline.endswith(
        "a slate of it takes 4.0 ms to serve, one of the supervised ranker 4.0 ms ."
    )
    assert {s.trait for s in numbers.segments} == {"activity", "job"}


def test_what_is_assumed_and_on_whom_it_was_read_stands_there(found: Result) -> None:
    numbers = numbers_of(traits_told(found.rows))
    lead = numbers.find("plackett-luce", "supervised", "world")
    assert lead is not None
    said = " ".join(text_of(short_section(found, numbers, Ledger())).split())
    people, seeds = lead.estimate.num_people, len(lead.by_seed)
    assert seeds > 1 and f"Read on: {people} people and {seeds} training seeds." in said
    assert "Assumed of people" not in said  # a world of no log
    of_a_log = replace(found, study=replace(found.study, log="made-up", assumptions="lasting"))
    said = " ".join(text_of(short_section(of_a_log, numbers, Ledger())).split())
    assert f"Assumed of people, not found: lasting: {SAYS['lasting']}." in said


def test_what_is_shown_of_the_logs_people_stands_there(found: Result) -> None:
    of_a_log = replace(found, study=replace(found.study, log="made-up"))
    numbers = compute_numbers(of_a_log.study, traits_told(found.rows), pd.DataFrame())
    lead = numbers.find("plackett-luce", "supervised", "world")
    assert lead is not None and lead.transfer is not None and lead.side == 1
    said = " ".join(text_of(short_section(of_a_log, numbers, Ledger())).split())
    told = f"RL minus the supervised ranker is in {transferred(lead)} , {CARRIES[0]}"
    assert lead.transfer.side == 0 and f"For the people who wrote the log: {told}" in said
    of_no_log = short_section(found, numbers_of(traits_told(found.rows)), Ledger())
    assert "who wrote the log" not in text_of(of_no_log)


def test_who_serves_anothers_slates_is_said_to_have_learned_nothing(found: Result) -> None:
    numbers = numbers_of(traits_told(found.rows))
    lead = numbers.find("plackett-luce", "supervised-capped", "world")
    assert lead is not None
    for reach, ending in (
        (0.0, " as the tuned diversity cap, whose very slates it shows: nothing that it learned is "
         "served"),
        (0.5, " as the tuned diversity cap"),
    ):  # fmt: skip
        even = replace(lead.estimate, value=0.0, low=-reach, high=reach)
        same = replace(lead, estimate=even, adjusted=1.0)
        said = "".join(_compared(found.study, numbers, same, Ledger()))
        assert said.endswith(ending)


def test_names_that_people_know_stand_beside_the_codes(found: Result) -> None:
    assert known_as(found.study, "plackett-luce") == "RL on slates (plackett-luce)"
    assert known_as(found.study, "supervised") == "the supervised ranker (supervised)"
    assert known_as(found.study, "random") == "random"
    assert tick(found.study, "plackett-luce") == "plackett-luce\nRL on slates"
    assert tick(found.study, "random", "random*") == "random*"
    assert tick(found.study, "linear-bandit") == "linear-bandit"  # and not "a linear bandit" below
    lead = numbers_of(traits_told(found.rows)).find("plackett-luce", "supervised", "world")
    assert lead is not None
    agent, baseline, *_ = difference_cells(found, lead, Ledger())
    assert text_of([agent]).split() == ["plackett-luce", "RL", "on", "slates"]
    assert text_of([baseline]).split() == ["supervised", "the", "supervised", "ranker"]
    for side, low, word in ((1, 0.5, "ahead"), (0, -0.5, "open")):
        said = replace(lead, estimate=replace(lead.estimate, value=1.0, low=low, high=1.5))
        assert said.side == side and text_of([_signed(said, Ledger())]).split() == ["+1.00", word]
    assert prose("as `gems` does, <b>") == "as <code>gems</code> does, &lt;b&gt;"


def test_a_column_of_zeros_is_left_out(found: Result) -> None:
    rows = found.rows.assign(bored_share=0.0)
    numbers = numbers_of(rows)
    place = found.study.place("world")
    columns = told_columns(numbers.ladder, place)
    assert "bored_share" not in columns and "clicks" in columns
    assert not any(name.startswith("trait_") for name in columns)


def test_a_curve_that_does_not_rise_is_named() -> None:
    step_T = np.arange(40.0)
    rng = np.random.default_rng(1)
    lines = [
        pd.DataFrame(
            {
                **{"policy": name, "trained_in": "world", "split": 0, "seed": seed},
                **{"steps": step_T, "return_mean": slope * step_T + rng.normal(0, 0.3, 40)},
            }
        )
        for name, slope in (("rises", 0.1), ("falls", -0.1), ("flat", 0.0))
        for seed in range(3)
    ]
    assert list(flat_curves(pd.concat(lines))) == [("falls", "world"), ("flat", "world")]


def test_an_axis_fits_what_is_drawn_and_points_at_the_rest() -> None:
    _, (panel,) = panels_of(1, 1, 2.0)
    fit_axis(panel, [20.0, 22.0], [("near", 21.5), ("far", 39.0), ("low", 1.0)])
    low, high = panel.get_ylim()
    assert 18 < low < 20 and 22 < high < 24
    words = [text.get_text().strip() for text in panel.texts]
    assert words == ["near", "↑ far 39.0", "↓ low 1.0"]


def test_a_figure_takes_the_colours_of_the_page() -> None:
    figure, panels = panels_of(1, 2, 2.0)
    panels[0].plot([0, 1], color="#0072B2")
    panels[1].plot([0, 1], "D", color="#333333", markerfacecolor="white")
    html = in_page(drawn(figure, "one"), 'a "line"')
    assert not re.findall(r"(?<!, )#[0-9a-f]{6}", html)  # every colour has a name
    assert "var(--paper, #ffffff)" in html and "var(--c-0072b2, #0072b2)" in html
    assert 'aria-label="a &quot;line&quot;"' in html and "<metadata" not in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert ids and all(name.startswith("one-") for name in ids) and len(ids) == len(set(ids))
    light, dark = re.findall(r"--c-0072b2: (#[0-9a-f]{6})", palette(html))[:2]
    assert light == "#0072b2" and int(dark[1:3], 16) > int(light[1:3], 16)
    assert variable("#000000").startswith("var(--ink")
    assert drawn(figure, "one") == drawn(figure, "one")


def test_a_figure_of_two_rows_may_part_between_them_on_paper(tmp_path: Path) -> None:
    figure, panels = grid_of(3, 2.0, most=2)
    for panel in panels:
        panel.plot([0, 1], [1, 2])
        panel.set_xlabel("x")
    picture = save_picture(figure, tmp_path, "two", "Two", "rows", "a line")
    (cut,) = picture.cuts
    assert 0.4 < cut < 0.65
    html = in_page(picture.svg, picture.alt, picture.name, picture.cuts)
    assert html.count("<svg") == 2 and html.count('role="img"') == 1
    assert html.count('href="#two-whole"') == 1 == html.count('id="two-whole"')
    tops, heights = zip(*re.findall(r'viewBox="0 ([\d.]+) \S+ ([\d.]+)"', html), strict=True)
    assert float(tops[1]) == pytest.approx(float(heights[0]), abs=0.02)
    alone, _ = grid_of(2, 2.0)
    assert save_picture(alone, tmp_path, "one", "One", "row", "a line").cuts == ()


def test_colours_that_stand_side_by_side_stay_apart_in_the_dark() -> None:
    for colours in (AGENT_COLOURS[:-1], tuple(COLOURS.values())):  # black is the page's ink
        seen = [[int(dark(c)[at : at + 2], 16) for at in (1, 3, 5)] for c in colours]
        for n, one in enumerate(seen):
            for other in seen[:n]:
                assert np.linalg.norm(np.subtract(one, other)) > 40, (colours[n], one, other)


def test_styles_of_drawings_reach_what_is_used_again() -> None:
    assert re.findall(r"\.drawing [^{,]+\{", CSS) == []  # an ancestor is not seen from <use>
    assert re.search(r"^text \{ fill: var\(--ink\)", CSS, re.MULTILINE)


def test_where_it_was_made_is_said(found: Result, tmp_path: Path) -> None:
    made = origin()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["date"]) and made["version"] and made["machine"]
    assert re.fullmatch(r"([0-9a-f]{7,}\+?)?", made["commit"])
    line = origin_line(found.made, "slategym benchmark x")
    assert line is not None and "2026-11-29" in line and "commit abc1234" in line
    assert origin_line({}, "x") is None


def test_a_report_drawn_by_other_code_says_what_computed_it(found: Result) -> None:
    same = {**found.made, "units": "7", "date": "2026-11-28"}
    assert computed_by(found.made, ()) == computed_by(found.made, (same,)) == ""
    assert "Computed" not in str(origin_line(found.made, "x", (same,)))
    earlier = {**same, "commit": "0000aaa"}
    said = str(origin_line(found.made, "x", (earlier, same)))
    assert "7 on 2026-11-28 by slategym 1.0, commit 0000aaa on Linux" in said
    assert said.index("Computed, in units") < said.index("Drawn 2026-11-29")
    unkept = {"version": "0.1.0", "units": "3"}
    assert "3 by slategym 0.1.0, of which the commit was not kept" in computed_by(
        found.made, (unkept,)
    )


def test_the_axis_of_headroom_fits_what_decides(tmp_path: Path) -> None:
    returns = {"random": 1.0, "supervised": 29.9, "greedy, told": 34.0}
    told = {
        "depths": [{"slates": n, "value": 34.0, "low": 31.0, "high": 37.0} for n in (1, 2)],
        "returns": {who: {"value": value} for who, value in returns.items()},
        **{"world": "w", "users": 9, "people": 9, "sentence": "Nothing."},
    }
    text = re.sub(r"<[^>]+>", " ", draw_depths(told, tmp_path, "one").svg)
    assert "random 1.0" in text and "\u2193" in text  # beyond the axis, with its value
    assert "supervised" in text and "supervised 29.9" not in text  # a line within it
