"""The Dockerfile builds what `slategym serve` is: held against the files that it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import typer

from slategym.experiments.cli.main import answer, build

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and line[0] not in "# "]


def said(instruction: str) -> list[str]:
    return [rest for word, rest in LINES if word == instruction]


def test_all_that_is_installed_is_copied() -> None:
    copied = {source for line in said("COPY") for source in line.split()[:-1]}
    setuptools, project = PROJECT["tool"]["setuptools"], PROJECT["project"]
    wanted = {"pyproject.toml", "constraints.txt", project["readme"], *project["license-files"]}
    assert copied == wanted | set(setuptools["package-dir"].values())
    assert all((ROOT / source).exists() for source in copied)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "**" and {f"!{source}" for source in copied} <= set(ignored)


def test_python_and_torch_are_those_of_the_project() -> None:
    (base,) = said("FROM")
    lowest = re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    image = re.fullmatch(r"python:3\.(\d+)-slim", base)
    assert lowest and image and int(image[1]) >= int(lowest[1])
    (run,) = said("RUN")
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    (torch,) = re.findall(r"torch==\S+", run)
    assert torch in pins and torch in (ROOT / "Makefile").read_text()
    assert run.count("--constraint constraints.txt") == 2
    (extra,) = re.findall(r"'\.\[(\w+)\]'", run)
    for requirement in PROJECT["project"]["optional-dependencies"][extra]:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert any(pin.startswith(f"{name}==") for pin in pins), name


def test_what_starts_is_the_command_and_its_own_options() -> None:
    words = [*_words("ENTRYPOINT"), *_words("CMD")]
    assert words[0] in PROJECT["project"]["scripts"] and words[1] == "serve"
    app = typer.main.get_command(build())
    known = {name for option in app.commands["serve"].params for name in option.opts}  # type: ignore[attr-defined]
    assert {word for word in words if word.startswith("--")} <= known
    port = words[words.index("--port") + 1]
    assert said("EXPOSE") == [port]
    assert f"http://127.0.0.1:{port}/health" in said("HEALTHCHECK")[0]
    assert f"127.0.0.1:{port}:{port}" in (ROOT / "Dockerfile").read_text()
    assert said("USER") == ["nobody"]


def _words(instruction: str) -> list[str]:
    (line,) = said(instruction)
    return [word.rstrip(",") for word in shlex.split(line.strip("[]"))]


@pytest.mark.slow  # builds a wheel and starts a server
def test_what_it_builds_serves_as_it_says(tmp_path: Path) -> None:
    """As near as a machine without a container gets: its files alone, installed, started, asked.

    Not tried: the base image, the packages of RUN (here: those of this environment), the user.
    """
    pytest.importorskip("fastapi", reason="needs the extra serve")
    app, site, policy = (tmp_path / name for name in ("app", "site", "policy"))
    app.mkdir()
    for line in said("COPY"):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, app / target, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / source, app)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(app)], check=True, cwd=app)
    assert answer(build, ["export", "popularity", "--world", "InterestEvolution-v0", "--no-latency",
                          "--out", str(policy)]) == 0  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [*_words("ENTRYPOINT")[1:], *_words("CMD")]
    given = [
        {"/policy": str(policy), "8000": port, "0.0.0.0": "127.0.0.1"}.get(w, w) for w in words
    ]
    environment = {**os.environ, "PYTHONPATH": str(site), "SLATEGYM_HOME": str(tmp_path / "home")}
    server = subprocess.Popen(
        [sys.executable, "-m", "slategym", *given], cwd=tmp_path, env=environment
    )
    try:
        (check,) = said("HEALTHCHECK")
        command = json.loads(check.removeprefix("CMD "))
        code = command[2].replace("8000", port)
        until = time.monotonic() + 120
        while subprocess.run([sys.executable, "-c", code], capture_output=True).returncode:
            assert server.poll() is None and time.monotonic() < until
            time.sleep(0.5)
        asked = json.loads((policy / "examples.json").read_text())
        body = json.dumps({"requests": asked[:2]}).encode()
        request = Request(
            f"http://127.0.0.1:{port}/recommend", body, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=30) as found:
            assert len(json.load(found)["slates"]) == len(asked[:2])
    finally:
        server.terminate()
        server.wait(30)
