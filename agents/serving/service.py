"""An exported policy as a service: `/recommend` and `/health` over HTTP, requests in batches.

While the program computes one batch, requests that come in wait together and are the next one: a
lone request never waits for company, and many share a call. A program's answer to a request does
not depend on the others of its batch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slategym.agents.serving.serve import Policy, Row
from slategym.envs.names import UsageError

TOGETHER = 64  # requests in one call of the program
WAITING = 1_024  # requests that may wait; beyond, the service is busy
IN_BODY = 256  # requests in one body
BYTES = 2_000_000  # of one body
SECONDS = 10.0  # in which a body is sent
NEEDED = ("fastapi", "uvicorn")
LOGGER = logging.getLogger(__name__)


class Busy(Exception):
    """Too many requests wait."""


class Batches:
    """Requests to a policy, those that come while it computes answered by one call."""

    def __init__(self, policy: Policy, together: int = TOGETHER) -> None:
        self.policy, self.together = policy, together
        self.served, self.calls, self.largest = 0, 0, 0
        self._queue: asyncio.Queue[tuple[Row, asyncio.Future[list[Any]]]] = asyncio.Queue(WAITING)
        self._thread = ThreadPoolExecutor(1, "slategym-policy")
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that no call has taken yet."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin to answer, in the event loop that runs."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Answer no more."""
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        self._thread.shutdown(wait=True)

    async def slates(self, rows: list[Row]) -> list[list[Any]]:
        """A slate per row, in order.

        Raises:
            Busy: as many requests wait as may.
        """
        if self.waiting + len(rows) > WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in rows]
        for row, future in zip(rows, futures, strict=True):
            self._queue.put_nowait((row, future))
        return list(await asyncio.gather(*futures))

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken = [await self._queue.get()]
            while len(taken) < self.together and not self._queue.empty():
                taken.append(self._queue.get_nowait())
            rows = [row for row, _ in taken]
            try:
                slates = await loop.run_in_executor(self._thread, self.policy.slates, rows)
            except Exception as error:
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            self.calls, self.served = self.calls + 1, self.served + len(taken)
            self.largest = max(self.largest, len(taken))
            for (_, future), slate in zip(taken, slates, strict=True):
                if not future.done():  # whose client is gone
                    future.set_result(slate)


def check_installed() -> None:
    """Raise UsageError where a package that serving needs is missing; nothing is imported."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serving needs {', '.join(missing)}, not installed: pip install 'slategym[serve]'"
        )


def read_policy(folder: str | Path, runtime: str | None = None) -> Policy:
    """The program in an exported folder.

    Raises:
        UsageError: there is none, or it was altered.
    """
    try:
        return Policy(folder, runtime)
    except (ValueError, OSError, RuntimeError) as error:  # of torch.jit.load, with its C++ lines
        raise UsageError(str(error).strip().splitlines()[0]) from error


def service(policy: Policy, together: int = TOGETHER) -> Any:
    """The FastAPI application.

    POST /recommend takes {"requests": [...]} and answers {"slates": [[...], ...]}, in order; what
    cannot be read is answered with status 422 and one line. GET /health says that it runs and how
    much it has served. There is no page that would ask another host for scripts.
    """
    check_installed()
    from fastapi import FastAPI
    from fastapi import Request as HttpRequest
    from fastapi.responses import JSONResponse

    batches, began = Batches(policy, together), time.monotonic()

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        batches.start()
        yield
        await batches.stop()

    async def recommend(request: Any) -> Any:
        try:
            rows = read_body(policy, await _body(request))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 422)
        try:
            return JSONResponse({"slates": await batches.slates(rows)})
        except Busy:
            line = f"{WAITING:,} requests wait already; try again"
            return JSONResponse({"error": line}, 503, headers={"Retry-After": "1"})
        except Exception:  # of the program: what it says may quote its insides, so the log has it
            LOGGER.exception("the program failed on a request")
            return JSONResponse({"error": "the program failed on this request"}, 500)

    async def health() -> Any:
        return {
            "status": "ok",
            "policy": policy.about["agent"],
            "world": policy.about["world"],
            "runtime": policy.runtime,
            "slates": batches.served,
            "calls": batches.calls,
            "largest_batch": batches.largest,
            "waiting": batches.waiting,
            "seconds": round(time.monotonic() - began, 1),
        }

    recommend.__annotations__["request"] = HttpRequest
    app = FastAPI(title="slategym", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_api_route("/recommend", recommend, methods=["POST"])
    app.add_api_route("/health", health, methods=["GET"])
    return app


def read_body(policy: Policy, body: bytes) -> list[Row]:
    """The rows that a body asks for.

    Raises:
        ValueError: in one line, what is wrong with it.
    """
    try:
        asked = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ValueError(f"the body is no JSON: {reason}") from error
    if not isinstance(asked, dict) or set(asked) != {"requests"}:
        raise ValueError('the body is {"requests": [...]} and nothing else')
    requests = asked["requests"]
    if not isinstance(requests, list) or not 1 <= len(requests) <= IN_BODY:
        size = f"{len(requests)}" if isinstance(requests, list) else "no list"
        raise ValueError(f"requests is a list of 1 to {IN_BODY} of them, got {size}")
    rows = []
    for number, request in enumerate(requests):
        try:
            rows.append(policy.row(request))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"requests[{number}]: {error}") from error
    return rows


async def _body(request: Any) -> bytes:
    """Of a request, no more than BYTES of it in no more than SECONDS."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > BYTES:
                    raise ValueError(f"the body holds more than {BYTES:,} bytes; ask in several")
                parts.append(part)
    except TimeoutError as error:
        raise ValueError(f"the body was not sent within {SECONDS:g} s; send it at once") from error
    return b"".join(parts)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0: any that is free.

    Raises:
        UsageError: there is no such address here, or it is taken.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); give another --port"
        ) from error


def server(app: Any) -> Any:
    """A uvicorn server of the application; `run(sockets=[...])` serves until told to end."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
