"""A check that a world fails against its own log is an objection to the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up import result

from slategym.experiments.report.report import numbers_of, write_report
from slategym.experiments.statistics.verdict import Verdict, objected

pytestmark = pytest.mark.usefixtures("blank_pictures")


def validation(*status: str) -> dict[str, Any]:
    lines = [
        {"part": "p", "check": f"check {n}", "status": one, "said": f"found {n}"}
        for n, one in enumerate(status)
    ]
    return {"sentence": "so it is.", "shown": "the log's slates", "lines": lines}


def test_a_fail_is_said_first_and_a_win_becomes_unsure(tmp_path: Path) -> None:
    plain = numbers_of(result()).verdict
    found = {"world": validation("pass", "fail", "left out", "warn")}
    report = write_report(result(validation=found), tmp_path / "objected")
    verdict = report.numbers.verdict
    assert plain.tone == "wins" and verdict.tone == "unsure"
    assert verdict.outcome == plain.outcome and verdict.objections == ("world",)
    assert verdict.sentences[0] == (
        "Objection, in world: held against its log, the simulated world fails 1 of 3 checks "
        "(check 1), so that what is gained in it may be gained on what it has wrong."
    )
    assert verdict.sentences[1:] == plain.sentences
    html = report.path.read_text()
    assert html.index("found 1") < html.index("found 3") < html.index("found 0")
    summary = json.loads((tmp_path / "objected" / "summary.json").read_text())
    assert summary["objections"] == ["world"] and summary["validation"]["world"]["lines"]


def test_a_warning_is_no_objection(tmp_path: Path) -> None:
    report = write_report(result(validation={"world": validation("warn", "pass")}), tmp_path)
    assert report.numbers.verdict.objections == () and report.numbers.verdict.tone == "wins"
    assert "Against its log" in report.path.read_text()


def test_a_bad_verdict_stays_bad() -> None:
    bad = Verdict("loses", "bad", "RL loses", ())
    said = objected(bad, {"world": "Objection."})
    assert said.tone == "bad" and said.sentences == ("Objection.",)
    assert objected(bad, {}) is bad
