"""A policy over HTTP: the slates that it shows itself, batches, and one line for each mistake."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar

import pytest
from small_programs import asked, made

from slategym.agents.serving import service as serving
from slategym.agents.serving.serve import Policy, Row
from slategym.agents.serving.service import IN_BODY, Batches, Busy, read_body
from slategym.envs.names import UsageError


@pytest.fixture(scope="module", params=["keys", "plain"])
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return made(request.param, tmp_path_factory.mktemp("exported"))


def test_made_up_requests_are_requests(policy: Policy) -> None:
    slates = policy(asked(policy))
    assert len({tuple(slate) for slate in slates}) > 1
    assert all(len(set(slate)) == 3 for slate in slates)


WRONG_KEYS: list[tuple[Any, str]] = [
    ([], "a request is an object, got []"),
    ({"usr": {}}, "a request has user, events, visit, now, slates, shown, earlier; got 'usr'"),
    ({"visit": None}, "visit is an object, got None"),
    ({"visit": {}}, "time, without hour and weekday, is a number in [0, 1e+11], got None"),
    ({"visit": {"time": "noon"}}, "got 'noon'"),
    ({"visit": {"time": 1e300}}, "is a number in [0, 1e+11], got 1e+300"),
    ({"visit": {"hour": 25, "weekday": 0}}, "hour is a number in [0, 24], got 25"),
    ({"visit": {"hour": 3, "weekday": 7}}, "weekday is a whole number in [0, 6], got 7"),
    ({"visit": {"time": 1, "device": "car"}}, "device is one of phone, tv; got 'car'"),
    ({"visit": {"time": 1, "load": "much"}}, "load is a number in"),
    ({"user": {}}, "user has no member; one of yes, no"),
    ({"user": {"member": "maybe"}}, "member is one of yes, no; got 'maybe'"),
    ({"events": {}}, "events is a list of at most 10,000 entries, got {}"),
    ({"events": [1]}, "events[0] is an object, got 1"),
    ({"events": [{"item": "p1"}]}, "time of events[0] is a number in [0, 1e+11], got None"),
    ({"events": [{"item": "p1", "time": True}]}, "got True"),
    ({"events": [{"item": "p99", "time": 1}]}, "the policy knows no item 'p99'"),
    ({"events": [{"item": ["p1"], "time": 1}]}, "the policy knows no item ['p1']"),
    ({"events": [{"item": "p1", "time": 1, "dwell": -1}]}, "dwell is a number in [0, inf], got -1"),
    ({"events": [{"item": "p1", "time": 1, "dwell": "x"}]}, "dwell is a number in [-1e+30, 1e+30]"),
    ({"events": [{"item": "p1", "time": 1, "click": 2}]}, "click is a number in [0, 1], got 2"),
    ({"events": [{"item": "p1", "time": 1, "slate": 1}]}, "a whole number in [0, 0], got 1"),
    ({"slates": -1}, "slates is a whole number in [0, 10,000], got -1"),
    ({"slates": 1.5}, "slates is a whole number"),
    ({"shown": [["p1"]]}, "slates is 0, but 1 were shown"),
    ({"slates": 1, "shown": ["p1"]}, "shown is a list of lists of item keys, got 'p1' in it"),
    ({"slates": 1, "shown": [["p1"] * 4]}, "slates hold at most 3 items, one shown has 4"),
    ({"earlier": ["x" * 500]}, "the policy knows no item 'xxx"),
    ({"earlier": ["p1"] * 10_001}, "at most 10,000 entries, got 10,001 entries"),
]
WRONG_PLAIN: list[tuple[Any, str]] = [
    ({"state": [0]}, "a request of this policy has step, history_item,"),
    ({"step": None}, "step has 1 entries along an axis, got None"),
    ({"step": [0.5]}, "step holds whole numbers, got 0.5"),
    ({"step": [2**40]}, "each number of step is a number in"),
    ({"step": ["1"]}, "each number of step is a number in"),
    ({"history_item": [1]}, "history_item has 2 entries along an axis, got 1 entries"),
    ({"history_item": [0, 9]}, "history_item holds item numbers in [-1, 9), got 9"),
    ({"history_feedback": [[0.0], [[1.0]]]}, "each number of history_feedback"),
    ({"action_mask": [2] * 9}, "action_mask holds 0 and 1"),
    ({"action_mask": [1, 1] + [0] * 7}, "lets 3 items be shown or more"),
]


def test_each_mistake_is_one_line(policy: Policy) -> None:
    right = asked(policy)[0]
    for change, line in WRONG_KEYS if policy.about["log"] else WRONG_PLAIN:
        request = change if isinstance(change, list) else {**right, **change}
        body = json.dumps({"requests": [right, request]}).encode()
        with pytest.raises(ValueError) as error:
            read_body(policy, body)
        said = str(error.value)
        assert said.startswith("requests[1]: ") and line in said, said
        assert "\n" not in said and len(said) < 250


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    policy = made("plain", tmp_path)
    body = json.dumps({"requests": [{"step": [0]}]}).encode()
    with pytest.raises(ValueError, match="has history_item; got none"):
        read_body(policy, body)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b'{"requests": NaN}', "NaN is no number"),
        (b"[]", 'the body is {"requests": [...]} and nothing else'),
        (b'{"requests": [], "more": 1}', "and nothing else"),
        (b'{"requests": []}', f"requests is a list of 1 to {IN_BODY} of them, got 0"),
        (b'{"requests": "x"}', "got no list"),
        (json.dumps({"requests": [0] * (IN_BODY + 1)}).encode(), f"got {IN_BODY + 1}"),
    ],
)
def test_a_body_that_is_none(policy: Policy, body: bytes, line: str) -> None:
    with pytest.raises(ValueError) as error:
        read_body(policy, body)
    assert line in str(error.value) and "\n" not in str(error.value)


class Slow:
    """Counts its calls; the first waits until it is told to go on."""

    about: ClassVar[dict[str, Any]] = {"agent": "slow", "world": "none"}
    runtime = "none"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go_on = threading.Event()

    def slates(self, rows: list[Row]) -> list[list[Any]]:
        self.sizes.append(len(rows))
        if len(self.sizes) == 1:
            assert self.go_on.wait(10)
        if any(row["step"] == [13] for row in rows):
            raise RuntimeError("broke")
        return [row["step"] for row in rows]


def test_requests_that_wait_share_a_call_and_keep_their_order() -> None:
    async def scene() -> tuple[list[list[list[Any]]], list[int]]:
        slow = Slow()
        batches = Batches(slow, together=4)  # type: ignore[arg-type]
        batches.start()
        first = asyncio.create_task(batches.slates([{"step": [0]}]))
        while not slow.sizes:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(batches.slates([{"step": [n]}])) for n in range(1, 7)]
        while batches.waiting < 6:
            await asyncio.sleep(0.001)
        with pytest.raises(Busy):
            await batches.slates([{"step": [0]}] * 1_020)
        slow.go_on.set()
        found = await asyncio.gather(first, *rest)
        with pytest.raises(RuntimeError):
            await batches.slates([{"step": [13]}])
        assert await batches.slates([{"step": [5]}]) == [[5]]  # goes on after a failure
        assert batches.served == 8 and batches.largest == 4
        await batches.stop()
        return found, slow.sizes

    found, sizes = asyncio.run(scene())
    assert found == [[[n]] for n in range(7)]
    assert sizes == [1, 4, 2, 1, 1]


@pytest.fixture(scope="module")
def served(policy: Policy) -> Iterator[int]:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    from slategym.agents.serving.service import listen, server, service

    with listen("127.0.0.1", 0) as opened:
        running = server(service(policy))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        yield opened.getsockname()[1]
        running.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def call(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_slates_over_http_are_the_policys_own(policy: Policy, served: int) -> None:
    requests = asked(policy)
    body = json.dumps({"requests": requests}).encode()
    assert call(served, "POST", "/recommend", body) == (200, {"slates": policy(requests)})
    status, health = call(served, "GET", "/health")
    assert status == 200 and health["status"] == "ok" and health["policy"] == "behind"
    assert health["slates"] >= len(requests) and health["waiting"] == 0


def test_what_cannot_be_read_has_status_422_and_a_line(
    policy: Policy, served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**asked(policy)[0], "nothing": 1}
    body = json.dumps({"requests": [wrong]}).encode()
    status, answer = call(served, "POST", "/recommend", body)
    assert status == 422 and answer["error"].startswith("requests[0]: ")
    status, answer = call(served, "POST", "/recommend", b" " * 2_000_001)
    assert status == 422 and "more than 2,000,000 bytes" in answer["error"]
    monkeypatch.setattr(serving, "SECONDS", 0.05)
    dripping = HTTPConnection("127.0.0.1", served, timeout=10)
    dripping.putrequest("POST", "/recommend")
    dripping.putheader("Content-Length", "9")
    dripping.endheaders(b"{")
    assert b"the body was not sent within 0.05 s" in dripping.getresponse().read()
    dripping.close()
    assert call(served, "GET", "/recommend")[0] == 405
    assert call(served, "GET", "/docs")[0] == 404  # a page that would ask other hosts


def test_a_failure_is_told_to_the_log_and_not_to_the_caller(
    policy: Policy, served: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Policy, rows: Any) -> Any:
        raise RuntimeError("a weight of 0.25")

    body = json.dumps({"requests": asked(policy)}).encode()
    monkeypatch.setattr(type(policy), "slates", broken)
    status, answer = call(served, "POST", "/recommend", body)
    assert status == 500 and "0.25" not in json.dumps(answer)
    assert "a weight of 0.25" in caplog.text


def test_a_load_is_bounded_and_says_p50_and_p95(policy: Policy) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from slategym.agents.serving.load import run_load

    found = run_load(policy, asked(policy), 60)
    assert found.requests == 60 and found.failed == 0
    assert 0 < found.p50 <= found.p95 and found.batch >= 1
    assert f"p50 {found.p50:.2f} ms, p95 {found.p95:.2f} ms" in str(found)
    ended = run_load(policy, asked(policy), 100_000, seconds=0.3)
    assert 0 < ended.requests < 100_000 and ended.seconds < 5
    with pytest.raises(UsageError, match="a load is 1 to"):
        run_load(policy, asked(policy), 0)
    with pytest.raises(UsageError, match="none of 3 requests was answered"):
        run_load(policy, [{"nothing": 1}], 3)


def test_a_port_that_is_taken_is_said() -> None:
    from slategym.agents.serving.service import listen

    with listen("127.0.0.1", 0) as opened, pytest.raises(UsageError, match="another --port"):
        listen("127.0.0.1", opened.getsockname()[1])
