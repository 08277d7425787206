"""The live page in a real browser: it opens, a step changes the slate, and it is legible."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from browser import AXE_RUN, axe_source

from slategym.experiments.cli.commands.app import command_of
from slategym.experiments.workbench.settings import PageSettings

pytest.importorskip("streamlit", reason="needs the extra app")
pytest.importorskip("playwright", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1280, 390)
WAIT = 120_000  # ms; a busy machine makes a world slowly
# The program has ended, nothing of the page before is left (it is pale), and nothing moves.
AT_REST = """
() => document.querySelector('[data-test-script-state="notRunning"]')
    && !document.querySelector('[data-stale="true"]')
    && document.getAnimations().every(x => x.effect.getTiming().iterations === Infinity)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A world with a context, and a study that is under way."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    run = tmp_path_factory.mktemp("run")
    (run / "study.json").write_text(json.dumps({"places": []}))
    (run / "units").mkdir()
    (run / "units" / "slateq-home-seed-0-0123456789ab.parquet").write_text("")
    (run / "status.json").write_text(json.dumps({"status": "running"}))
    (run / "report.html").write_text("<h1>The report of this run</h1>")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = PageSettings("slategym/DayInLife-v0", {}, ("myopic", "random", "popularity"), str(run))
    page = subprocess.Popen(command_of(asked.as_text(), port), stdout=subprocess.DEVNULL)
    until = time.monotonic() + WAIT / 1_000
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < until and page.poll() is None
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    page.terminate()
    page.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("width", WIDTHS)
def test_a_session_by_hand(address: str, browser: Any, width: int, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": width, "height": 1_000})
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    slates = page.locator("table.slate")
    slates.nth(1).wait_for(timeout=WAIT)
    first = slates.all_inner_texts()
    assert first[0] != first[1] and "%" in first[0]

    page.get_by_text("When and where").click()
    _last_of(page, "Device").click()
    changed = _other(slates, first[0])

    page.get_by_role("button", name="Show these slates").click()
    page.get_by_text("slate 1:").nth(1).wait_for(timeout=WAIT)
    assert _other(slates, changed) != changed
    page.wait_for_function(AT_REST)
    pictures = Path(os.environ.get("REPORT_PICTURES", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(pictures / f"app-{width}.png"), full_page=True)
    # axe takes what Chromium hides in closed details for visible, on what lies below them
    page.get_by_text("When and where").click()
    page.get_by_text("Hour", exact=True).wait_for(timeout=WAIT)
    page.wait_for_function(AT_REST)
    page.screenshot(path=str(pictures / f"app-{width}-open.png"), full_page=True)
    source = axe_source()
    if source is not None:
        page.evaluate(source + "; undefined")
        assert page.evaluate(AXE_RUN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.locator("table.slate td").first.evaluate("x => getComputedStyle(x).fontSize")
    assert float(small.removesuffix("px")) >= 14

    page.get_by_role("tab", name="The run").click()
    page.get_by_text("finished units: 1 train").wait_for(timeout=WAIT)
    page.get_by_role("tab", name="Its report").click()
    page.frame_locator("iframe").get_by_text("The report of this run").wait_for(timeout=WAIT)
    assert errors == []
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:", "about:"))]
    assert outside == []
    page.close()


def _last_of(page: Any, name: str) -> Any:
    """The last choice of a list, opened again where the page was drawn anew meanwhile."""
    until = time.monotonic() + WAIT / 1_000
    last = page.get_by_role("option").last
    while not last.is_visible():
        assert time.monotonic() < until, name
        page.get_by_role("combobox", name=name).click()
        time.sleep(1.0)
    return last


def _other(slates: Any, before: str) -> str:
    """The first slate once it is another than before."""
    until = time.monotonic() + WAIT / 1_000
    while (now := str(slates.first.inner_text())) == before:
        assert time.monotonic() < until, before
        time.sleep(0.1)
    return now
