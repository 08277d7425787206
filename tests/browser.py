"""A real browser for tests: Chromium over its debugging pipe, with nothing to install for it.

    with Browser(folder) as browser:
        page = browser.open(path.as_uri(), width=390, dark=True)
        page.screenshot(folder / "narrow.png")
        assert page.requests == [path.as_uri()] and page.errors == []

Source: chromedevtools.github.io/devtools-protocol; messages end in a zero byte.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 180.0  # for an answer, on a busy machine
SCREEN = 1_000  # pixels of height


def chromium() -> str | None:
    """Where the browser is: $CHROMIUM, or one of its usual names; None: there is none."""
    found = (os.environ.get("CHROMIUM"), *map(shutil.which, NAMES))
    return next((path for path in found if path), None)


AXE = ("axe_core_python", "axe_playwright_python")  # packages that hold axe.min.js
AXE_RUN = """axe.run(document, {preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a",
  "wcag21aa", "wcag22aa", "best-practice"]}).then(done => done.violations
  .filter(rule => ["serious", "critical"].includes(rule.impact))
  .map(rule => [rule.id, ...rule.nodes.slice(0, 3).map(x => x.html.slice(0, 120))].join(" | ")))"""


def axe_source() -> str | None:
    """axe-core, as a package for tests holds it; None: none of them is installed."""
    for name in AXE:
        spec = find_spec(name)
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            path = Path(folder) / "axe.min.js"
            if path.is_file():
                return path.read_text(encoding="utf-8")
    return None


class Browser:
    """A headless Chromium, alone with a new profile."""

    def __init__(self) -> None:
        path = chromium()
        assert path is not None
        self._profile = tempfile.TemporaryDirectory(prefix="chromium", ignore_cleanup_errors=True)
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        options = (
            "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
            "--disable-background-networking --disable-extensions --hide-scrollbars "
            "--remote-debugging-pipe"
        )
        script = f'exec "$0" {options} --user-data-dir="$1" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, path, self._profile.name],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out, self._rest, self._number = ours_in, ours_out, b"", 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.call("Browser.close")
        except (OSError, AssertionError):
            self._process.kill()
        self._process.wait(timeout=SECONDS)
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **values: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; events that come in between are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            answer = self._next(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found
            self.events.append(answer)

    def wait_for(self, method: str, session: str) -> None:
        """Until this event has come."""
        until = time.monotonic() + SECONDS
        while not any(
            e.get("method") == method and e.get("sessionId") == session for e in self.events
        ):
            self.events.append(self._next(until))

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser did not answer within {SECONDS:g} s"
            part = os.read(self._in, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> Page:
        """A page, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        shape = {"width": width, "height": SCREEN, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", session, **shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", session, features=[scheme])
        self.call("Page.navigate", session, url=url)
        self.wait_for("Page.loadEventFired", session)
        return Page(self, session)


class Page:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.browser.call(
            "Runtime.evaluate", self.session, expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def axe(self) -> list[str]:
        """What axe-core finds that is serious or critical: its rule and the first elements.

        Source: github.com/dequelabs/axe-core, `axe.run`; WCAG 2.2 A and AA.
        """
        source = axe_source()
        assert source is not None
        self.ask(source + "; undefined")
        found = self.browser.call(
            "Runtime.evaluate",
            self.session,
            expression=AXE_RUN,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return list(found["result"]["value"])

    def screenshot(self, path: Path, most: int = 16_000) -> None:
        """The whole page, as far down as `most` pixels."""
        size = self.ask("[document.documentElement.scrollWidth, document.body.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], most), "scale": 1}
        found = self.browser.call(
            "Page.captureScreenshot", self.session, clip=clip, captureBeyondViewport=True
        )
        path.write_bytes(b64decode(found["data"]))

    def print(self, path: Path) -> None:
        """As PDF, on A4."""
        inches = {"paperWidth": 8.27, "paperHeight": 11.69}
        found = self.browser.call("Page.printToPDF", self.session, **inches)
        path.write_bytes(b64decode(found["data"]))

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, data in the page left out."""
        sent = [e["params"]["request"]["url"] for e in self._all("Network.requestWillBeSent")]
        return [url for url in sent if not url.startswith("data:")]

    @property
    def errors(self) -> list[str]:
        """What the console says: exceptions, refusals, errors and warnings."""
        thrown = [
            str(e["params"]["exceptionDetails"]) for e in self._all("Runtime.exceptionThrown")
        ]
        logged = [str(e["params"]["entry"]) for e in self._all("Log.entryAdded")]
        said = [str(e["params"]) for e in self._all("Runtime.consoleAPICalled")]
        return thrown + logged + said

    def _all(self, method: str) -> list[dict[str, Any]]:
        return [
            e
            for e in self.browser.events
            if e.get("method") == method and e.get("sessionId") == self.session
        ]
