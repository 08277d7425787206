"""How long a service takes: so many requests over the loopback device, by some clients at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from slategym.agents.serving.serve import Policy
from slategym.agents.serving.service import listen, server, service
from slategym.envs.names import UsageError
from slategym.models.plain_file import SETTINGS, check_file

EXAMPLES = "examples.json"  # of an exported folder
LOOPBACK = "127.0.0.1"
CLIENTS = 8  # at once, each with a request at a time
WARM_UP = 20  # requests that are not timed
SECONDS = 60.0  # that a run takes at most
MOST = 100_000  # requests


@dataclass(frozen=True)
class Load:
    """What a run of requests found."""

    requests: int  # answered with a slate
    failed: int
    seconds: float
    p50: float  # ms a request, from sent to read
    p95: float  # ms
    batch: float  # requests a call of the program, mean

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {CLIENTS} at once, over {LOOPBACK}: "
            f"p50 {self.p50:.2f} ms, p95 {self.p95:.2f} ms, "
            f"{self.requests / max(self.seconds, 1e-9):.0f} a second, "
            f"{self.batch:.1f} a call, {self.failed} failed"
        )


@dataclass
class _Tally:
    """What the clients share."""

    left: int
    until: float  # by time.perf_counter
    times: list[float] = field(default_factory=list)
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> int | None:
        """The number of the next request; None: enough."""
        with self.lock:
            if self.left == 0 or time.perf_counter() > self.until:
                return None
            self.left -= 1
            return self.left

    def note(self, seconds: float | None) -> None:
        with self.lock:
            if seconds is None:
                self.failed += 1
            else:
                self.times.append(seconds)


def read_examples(folder: Path) -> list[Any]:
    """The requests that an exported folder has to try.

    Raises:
        UsageError: they are missing, or no list of requests.
    """
    path = check_file(folder / EXAMPLES, SETTINGS)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UsageError(f"{path} cannot be read ({reason}); export the policy again") from error
    if not isinstance(found, list) or not found:
        raise UsageError(f"{path} is no list of requests; export the policy again")
    return found


def run_load(
    policy: Policy, requests: Sequence[Any], count: int, *, seconds: float = SECONDS
) -> Load:
    """Serve a policy on a free loopback port and ask it.

    Args:
        policy: to serve.
        requests: that are asked in turn.
        count: of requests that are timed, at most.
        seconds: after which no more are sent.

    Raises:
        UsageError: nothing is to be asked; no request was answered.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"a load is 1 to {MOST:,} requests, got {count}")
    bodies = [json.dumps({"requests": [request]}).encode() for request in requests]
    with listen(LOOPBACK, 0) as opened:
        port, running = opened.getsockname()[1], server(service(policy))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        try:
            _ask(port, bodies, _Tally(WARM_UP, time.perf_counter() + seconds))
            before = _health(port)
            tally, began = _Tally(count, time.perf_counter() + seconds), time.perf_counter()
            _ask(port, bodies, tally)
            took, after = time.perf_counter() - began, _health(port)
        finally:
            running.should_exit = True
            thread.join(10.0)
    if not tally.times:
        raise UsageError(f"none of {count} requests was answered")
    p50, p95 = np.quantile(tally.times, [0.5, 0.95]) * 1e3
    calls = max(after["calls"] - before["calls"], 1)
    batch = (after["slates"] - before["slates"]) / calls
    return Load(len(tally.times), tally.failed, took, float(p50), float(p95), batch)


def _ask(port: int, bodies: Sequence[bytes], tally: _Tally) -> None:
    clients = [
        threading.Thread(target=_client, args=(port, bodies, tally), daemon=True)
        for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _client(port: int, bodies: Sequence[bytes], tally: _Tally) -> None:
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    while (number := tally.take()) is not None:
        began = time.perf_counter()
        try:
            connection.request("POST", "/recommend", bodies[number % len(bodies)])
            answer = connection.getresponse()
            answer.read()
            tally.note(time.perf_counter() - began if answer.status == 200 else None)
        except (OSError, HTTPException):
            tally.note(None)
            connection.close()
    connection.close()


def _health(port: int) -> dict[str, int]:
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    connection.request("GET", "/health")
    found: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return found
