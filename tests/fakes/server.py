"""What every stand-in forge is made of: an HTTP server, faults on demand, and a contract that judges its traffic."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit


class _Headers(dict[str, str]):
    """Headers by their names, however these are spelt."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        super().__init__({name.lower(): value for name, value in items})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came; `path` is still percent-encoded."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string))

    def json(self) -> dict[str, Any]:
        """The body as an object; anything else is refused as both forges refuse it."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise RefusedError(400, "Problems parsing JSON") from None
        if not isinstance(value, dict):
            raise RefusedError(400, "Problems parsing JSON")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the stand-in answers; `judged` tells that another description than the contract has judged it already."""

    status: int = 200
    content: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    judged: bool = False


def as_json(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """The value as a JSON answer."""
    return Answer(status=status, content=json.dumps(value).encode(), headers=headers or {})


def as_html(text: str) -> Answer:
    """A page for people."""
    return Answer(content=text.encode(), content_type="text/html")


class RefusedError(Exception):
    """A request that the forge says no to; each stand-in words the answer as its forge does."""

    def __init__(self, status: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A misbehaviour of the next `times` requests that match, after `skip` of them that are answered as usual.

    how:
        status   answer `status` with `headers` and `body`
        stall    answer only after `seconds`, so that a client with less patience gives up
        reset    break the connection with no answer
        garbage  answer 200 with bytes that are no JSON
    carried_out: the request takes effect first; only its answer is lost.
    """

    method: str
    path: str
    how: Literal["status", "stall", "reset", "garbage"] = "status"
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "stand-in fault"}'
    seconds: float = 30.0
    times: int = 1
    skip: int = 0
    carried_out: bool = False

    def matches(self, request: Request) -> bool:
        return request.method == self.method and re.search(self.path, request.path) is not None


class Judge(Protocol):
    """Something that finds what is wrong with a request and its answer."""

    def judge(self, request: Request, answer: Answer) -> tuple[str, ...]: ...


Handler = Callable[..., Answer]
Route = tuple[str, str, Handler]


class Server:
    """Serves routes on a thread; `with` fails at its end when traffic broke the contract.

    A route is (method, regular expression of the whole path, handler); the handler is called with the request and the
    expression's groups. Handlers run one at a time, so they may change state freely.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        contract: Judge | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self._contract = contract
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._http = _HTTPServer((host, port), _handler_of(self))
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.web_url = f"{'https' if tls else 'http'}://{host}:{self._http.server_address[1]}"

    # What a stand-in supplies.

    def routes(self) -> tuple[Route, ...]:
        """The forge's addresses."""
        raise NotImplementedError

    def refuse(self, refusal: RefusedError) -> Answer:
        """The refusal in the forge's own words."""
        raise NotImplementedError

    # What a test does with it.

    def fail(self, fault: Fault) -> None:
        """Misbehave as told from now on."""
        with self._lock:
            self._faults.append(fault)

    def recover(self) -> None:
        """Misbehave no longer."""
        with self._lock:
            self._faults.clear()

    def sent(self, method: str, path: str = "") -> tuple[Request, ...]:
        """The requests so far of a method whose path matches."""
        return tuple(r for r in self.requests if r.method == method and re.search(path, r.path))

    def serve_forever(self) -> None:
        """Serve until `close` or an interrupt."""
        self._http.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._closing.set()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Any:
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None and self.violations:
            raise AssertionError("traffic broke the published contract:\n" + "\n".join(self.violations))

    # How a request is answered.

    def respond(self, request: Request) -> tuple[Answer, Fault | None]:
        """The answer, and the fault that it is to suffer on its way."""
        with self._lock:
            self.requests.append(request)
            fault = self._take_fault(request)
            answer = self._handle(request) if fault is None or fault.carried_out else Answer()
        if fault is None:
            return answer, None
        if fault.how == "status":
            answer = Answer(status=fault.status, content=fault.body, headers=fault.headers)
        elif fault.how == "garbage":
            answer = Answer(status=200, content=b"{<html>not what you asked for")
        elif fault.how == "stall":
            self._closing.wait(fault.seconds)
        return answer, fault

    def _take_fault(self, request: Request) -> Fault | None:
        for place, fault in enumerate(self._faults):
            if fault.matches(request) and fault.skip:
                self._faults[place] = replace(fault, skip=fault.skip - 1)
            elif fault.matches(request):
                left = replace(fault, times=fault.times - 1)
                self._faults[place : place + 1] = [left] if left.times > 0 else []
                return fault
        return None

    def _handle(self, request: Request) -> Answer:
        try:
            answer = self._route(request)
        except RefusedError as refusal:
            answer = self.refuse(refusal)
        if self._contract is None or answer.judged or answer.content_type == "text/html":
            return answer
        problems = self._contract.judge(request, answer)
        self.violations.extend(problems)
        return as_json({"message": problems[0]}, status=500) if problems else answer

    def _route(self, request: Request) -> Answer:
        for method, pattern, handler in self.routes():
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return handler(request, *match.groups())
        raise RefusedError(404, "Not Found")


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients or faults broke: tests look at what came of them."""


def _handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "stand-in"
        sys_version = ""
        # An answer leaves in one piece: in two it would wait 40 ms for the client's delayed acknowledgement.
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                method=self.command,
                path=url.path,
                query_string=url.query,
                headers=_Headers(self.headers.items()),
                body=self.rfile.read(length),
            )
            answer, fault = server.respond(request)
            if fault is not None and fault.how == "reset":
                self.break_off()
            else:
                with suppress(OSError):  # a client that gave up during a stall
                    self.send(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library calls them so

        def send(self, answer: Answer) -> None:
            self.send_response(answer.status, HTTPStatus(answer.status).phrase)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Type", f"{answer.content_type}; charset=utf-8")
                self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def break_off(self) -> None:
            # Linger for 0 s: the peer sees a reset, not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so is the base's
            """Keep silent: the requests are in `Server.requests`."""

    return Connection
