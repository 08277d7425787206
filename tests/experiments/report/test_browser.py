"""The report in a real browser: asks for nothing, says nothing on the console, and can be read.

Screenshots at three widths, light and dark, and a print lie in $REPORT_PICTURES, or in the test's
own folder: look at them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, axe_source, chromium
from made_up import episode_rows, result, study, with_people
from PIL import Image

from slategym.experiments.report.report import write_report

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium at hand; install one, or name it in $CHROMIUM"
)
CHECK = Path(__file__).parents[2] / "accessibility.js"
WIDTHS = (1280, 768, 390)
SEEN = 5_000  # pixels of height, where nobody asked for more


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = episode_rows(num_users=40, boredoms=())
    few = result(rows, study=study(boredoms=()), remarks={})
    return write_report(with_people(few), tmp_path_factory.mktemp("run")).path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    asked = os.environ.get("REPORT_PICTURES")
    folder = Path(asked) if asked else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_can_be_read_at_every_width_in_light_and_dark(
    browser: Browser, report: Path, pictures: Path, width: int, dark: bool
) -> None:
    page = browser.open(report.as_uri(), width=width, dark=dark)
    picture = pictures / f"report-{width}-{'dark' if dark else 'light'}.png"
    page.screenshot(picture, most=16_000 if "REPORT_PICTURES" in os.environ else SEEN)
    assert page.requests == [report.as_uri()]
    assert page.errors == []
    assert page.ask("document.documentElement.scrollWidth <= innerWidth + 1")  # never sideways
    assert page.ask(CHECK.read_text()) == []
    with Image.open(picture) as image:
        grey = np.asarray(image.convert("L"))
    assert image.size[0] == width
    assert (grey.mean() < 90) if dark else (grey.mean() > 170)
    white = (grey > 250).mean(axis=1)  # a figure that stays white in the dark is rows of white
    assert not dark or white.max() < 0.3


@pytest.mark.skipif(axe_source() is None, reason="needs axe-core-python, of the extra dev")
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(browser: Browser, report: Path, dark: bool) -> None:
    page = browser.open(report.as_uri(), width=768, dark=dark)
    page.ask("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.axe() == []


def test_a_number_leads_to_its_rows_and_back(browser: Browser, report: Path) -> None:
    page = browser.open(report.as_uri(), width=390)
    page.ask("document.querySelector('main a.number').click()")
    assert page.ask("location.hash") == "#n1"
    at = page.ask("document.getElementById('n1').getBoundingClientRect().top")
    assert 0 <= at < 1_000  # on the screen
    page.ask("document.querySelector('#n1 a').click()")
    at = page.ask("document.getElementById('n1-at').getBoundingClientRect().top")
    assert page.ask("location.hash") == "#n1-at" and 0 <= at < 1_000


def test_it_prints_without_half_empty_pages(browser: Browser, report: Path, pictures: Path) -> None:
    page = browser.open(report.as_uri())
    path = pictures / "report.pdf"
    page.print(path)
    assert path.read_bytes().startswith(b"%PDF")
    assert page.errors == []
    reason = "what is on a page is not read without pypdfium2"
    pdf = pytest.importorskip("pypdfium2", reason=reason).PdfDocument(path)
    for number in range(len(pdf) - 1):  # the last page ends where the report does
        grey = np.asarray(pdf[number].render(scale=0.3).to_pil().convert("L"))
        inked = np.flatnonzero((grey < 200).any(axis=1))
        assert inked.max() > 0.6 * len(grey), f"page {number + 1} is nearly half empty"
