"""A Prometheus, or what pretends to be one: whatever it answers is a value or a reason, and the token stays here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seatrial.core.environment import QueryLimit, TrafficLimits
from seatrial.deploy.prometheus import Prometheus
from tests.unit.serving.stores import make_release

LIMITS = TrafficLimits(queries=(QueryLimit(name="mine", query="up", at_most=1),))


class Pretender(ThreadingHTTPServer):
    """Answers every request alike, and remembers what came."""

    def __init__(self, status: int, body: bytes, location: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Pretence)
        self.status, self.body, self.location = status, body, location
        self.seen: list[tuple[str, str]] = []


class Pretence(BaseHTTPRequestHandler):
    """One request."""

    server: Pretender

    def do_POST(self) -> None:
        """The server's answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers.get("Authorization", "")))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@contextmanager
def pretending(status: int, body: bytes, location: str = "") -> Iterator[Pretender]:
    """A server until the end of the block."""
    with Pretender(status, body, location) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def read(server: Pretender, token: str = "") -> tuple[float | None, str]:
    """The value of the one limit, and why there is none."""
    prometheus = Prometheus(url=f"http://127.0.0.1:{server.server_port}", timeout=5, token=token)
    (reading,) = prometheus.read(LIMITS, make_release("7"))
    return reading.value, reading.problem


def spell(kind: str, result: object) -> bytes:
    """An answer of Prometheus's API."""
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "value", "said"),
    [
        (200, spell("vector", [{"metric": {}, "value": [1, "0.5"]}]), 0.5, ""),
        (200, spell("scalar", [1, "2"]), 2.0, ""),
        (200, spell("vector", []), None, "no data"),
        (200, spell("vector", [{"value": [1, "1"]}] * 2), None, "2 series instead of one"),
        (200, spell("string", [1, "a"]), None, "the expression is a string"),
        (200, spell("vector", [{"value": [1, "a"]}]), None, "none of Prometheus's"),
        (200, spell("vector", [{"value": 1}]), None, "none of Prometheus's"),
        (200, b'{"status": "success"}', None, "none of Prometheus's"),
        (200, b"<html>", None, "the answer is 200"),
        (200, b"[1]", None, "the answer is 200"),
        (200, b"[" * 100_000, None, "the answer is 200"),
        (200, b" " * (1 << 21), None, "larger than 1 MiB"),
        (401, b"", None, "the answer is 401"),
        (422, b'{"status": "error", "error": "too many samples"}', None, "the answer is 422 too many samples"),
        (503, b"", None, "the answer is 503"),
    ],
)
def test_every_answer_is_a_value_or_a_reason(status: int, body: bytes, value: float | None, said: str) -> None:
    """One finite number in one series counts, and nothing else."""
    with pretending(status, body) as server:
        assert read(server) == (value, said) if not said else said in read(server)[1]


def test_token_goes_to_prometheus_and_nowhere_else() -> None:
    """It is sent, and a redirect is not followed with it."""
    with pretending(200, spell("scalar", [1, "1"])) as other:
        elsewhere = f"http://127.0.0.1:{other.server_port}/api/v1/query"
        with pretending(307, b"", elsewhere) as server:
            value, said = read(server, "secret")
            assert (value, server.seen) == (None, [("/api/v1/query", "Bearer secret")])
            assert "307" in said
            assert "secret" not in said
        assert other.seen == []
        assert read(other) == (1.0, "")
        assert other.seen == [("/api/v1/query", "")]
