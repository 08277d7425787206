"""Sources that send too much, too slowly or something else: left in one line, nothing kept."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slategym.models.assets import registry as assets
from slategym.models.assets import sources
from slategym.models.assets.registry import Asset, fetch
from slategym.models.assets.sources import Archive, Published, Site

CONTENT = b"item,title\n" * 40
FILES = {"items.csv": hashlib.sha256(CONTENT).hexdigest()}
Handler = http.server.BaseHTTPRequestHandler


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Handler], None]], str]]:
    """Starts a server that answers as told; its address."""
    servers: list[tuple[http.server.HTTPServer, threading.Thread]] = []

    def start(answer: Callable[[Handler], None]) -> str:
        class Told(Handler):
            def do_GET(self) -> None:
                try:
                    answer(self)
                except OSError:  # the reader has left
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: Handler, length: str | None, body: Iterator[bytes]) -> None:
    handler.send_response(200)
    if length is not None:
        handler.send_header("Content-Length", length)
    handler.end_headers()
    for part in body:
        handler.wfile.write(part)


def whole(handler: Handler) -> None:
    send(handler, str(len(CONTENT)), iter([CONTENT]))


def endless(handler: Handler) -> None:
    send(handler, None, (b"x" * 10_000 for _ in range(10**6)))


def boasting(handler: Handler) -> None:
    send(handler, str(10**12), iter([CONTENT]))


def no_number(handler: Handler) -> None:
    send(handler, "abc", iter([CONTENT]))


def drop_by_drop(handler: Handler) -> None:
    def body() -> Iterator[bytes]:
        for byte in CONTENT:
            time.sleep(0.05)
            yield bytes([byte])

    send(handler, str(len(CONTENT)), body())


def dripping_header(handler: Handler) -> None:
    for byte in b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 200:
        time.sleep(0.05)
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def to_a_file(handler: Handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


def offer(monkeypatch: pytest.MonkeyPatch, *offered: Published) -> None:
    monkeypatch.setitem(assets.ASSETS, "thing", Asset("a thing", "CC0", 1_000, offered))


BAD = {
    "endless": (endless, r"sends more than the 1,000 bytes"),
    "boasting": (boasting, r"sends more than the 1,000 bytes"),
    "no number": (no_number, r"Content-Length is 'abc'"),
    "drop by drop": (drop_by_drop, r"too slow, \d+ bytes so far"),
    "a header drop by drop": (dripping_header, r"too slow, 0 bytes so far"),
    "to a file": (to_a_file, r"file|302"),
}


@pytest.mark.parametrize(("answer", "message"), BAD.values(), ids=list(BAD))
def test_a_bad_source_is_left_and_the_next_one_helps(
    answer: Callable[[Handler], None],
    message: str,
    serve: Callable[[Callable[[Handler], None]], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sources, "GRACE_SECONDS", 0.3)
    bad, good = Site(serve(answer), FILES), Site(serve(whole), FILES)
    offer(monkeypatch, bad)
    began = time.monotonic()
    with pytest.raises(OSError, match=message):
        fetch("thing", progress=False)
    assert time.monotonic() - began < 10
    sizes = [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()]
    assert max(sizes, default=0) <= 1_000
    offer(monkeypatch, bad, good)
    assert (fetch("thing", progress=False) / "items.csv").read_bytes() == CONTENT


def archive_of(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in names.items():
            archive.writestr(name, body)
    return path


def archived(content: bytes) -> Archive:
    return Archive(
        "http://nowhere/", "", "data/", {"items.csv": hashlib.sha256(content).hexdigest()}
    )


def test_a_zip_bomb_is_left_before_it_fills_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bomb = archive_of(tmp_path / "bomb.zip", {"data/items.csv": b"\0" * 60_000_000})
    assert bomb.stat().st_size < 100_000
    offer(monkeypatch, archived(CONTENT))
    with pytest.raises(OSError, match=r"items\.csv unpacks to more than [\d,]+ bytes"):
        fetch("thing", progress=False, source=bomb)
    assert not list((tmp_path / "home").rglob("items.csv"))


def test_an_archive_does_not_write_beside_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("../evil.txt", "/tmp/slategym-evil.txt", "data/../../evil.txt", "data/evil.txt")
    content = {**dict.fromkeys(names, b"evil"), "data/items.csv": CONTENT}
    offer(monkeypatch, archived(CONTENT))
    folder = fetch("thing", progress=False, source=archive_of(tmp_path / "slip.zip", content))
    assert [path.name for path in folder.iterdir()] == ["items.csv"]
    assert not list(tmp_path.rglob("evil.txt")) and not Path("/tmp/slategym-evil.txt").exists()


FETCH = """
import sys
from rich.progress import Progress
from slategym.experiments.cli.main import raise_when_told_to_end
from slategym.models.assets.sources import Allowance, Wheel
from pathlib import Path
raise_when_told_to_end()
with Progress(disable=True) as bars:
    Wheel("thing==1", 1000, "", {}).get(Path(sys.argv[1]), bars, Allowance.of(1000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_fetch_leaves_no_pip(
    how: signal.Signals, serve: Callable[[Callable[[Handler], None]], str], tmp_path: Path
) -> None:
    asked, released = threading.Event(), threading.Event()

    def hang(handler: Handler) -> None:
        asked.set()
        released.wait(20)

    index = serve(hang)
    environment = {**os.environ, "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}
    parent = subprocess.Popen([sys.executable, "-c", FETCH, str(tmp_path)], env=environment)
    assert asked.wait(60)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert children
    parent.send_signal(how)
    parent.wait(20)
    deadline = time.monotonic() + 5
    while any(_alive(int(child)) for child in children):
        assert time.monotonic() < deadline, "pip lives on"
        time.sleep(0.05)
    released.set()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
