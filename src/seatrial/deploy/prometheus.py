"""What a Prometheus knows of a version, by its HTTP API. Whatever goes wrong is the answer of a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from seatrial.core.environment import QueryLimit, TrafficLimits
from seatrial.core.release import Release
from seatrial.core.traffic import Reading, list_queries

# A query changes nothing, so it may be sent again; a server that is restarted gets a moment.
_RETRY = Retry(
    total=2, backoff_factor=0.5, allowed_methods=None, status_forcelist=(502, 503, 504), raise_on_status=False
)
_MOST_BYTES = 1 << 20


class _Silence(Exception):  # noqa: N818 - ends as the problem of a reading
    """No value, and why."""


class Prometheus(Struct, frozen=True, kw_only=True):
    """A server, the seconds that it may take, and the bearer token that it asks for, if any."""

    url: str
    timeout: float
    token: str = ""

    def read(self, limits: TrafficLimits, release: Release) -> Iterator[Reading]:
        """The value of each limit for a version, asked for when it is its turn to be judged."""
        with requests.Session() as session:
            session.auth = _Bearer(self.token) if self.token else None
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
            for limit in list_queries(limits, release):
                yield self._read(session, limit)

    def _read(self, session: requests.Session, limit: QueryLimit) -> Reading:
        try:
            return Reading(limit=limit, value=_pick(self._ask(session, limit.query)))
        except _Silence as silence:
            return Reading(limit=limit, problem=str(silence))

    def _ask(self, session: requests.Session, query: str) -> Any:
        """The JSON of an answer."""
        try:
            with session.post(
                f"{self.url}/api/v1/query",
                data={"query": query},
                timeout=self.timeout,
                allow_redirects=False,  # a redirect would carry the token to wherever it points
                stream=True,
            ) as answer:
                return _decode(answer)
        except (requests.RequestException, HTTPError) as error:
            raise _Silence(f"{self.url} can't be asked: {type(error).__name__}") from None


class _Bearer(AuthBase):
    """A token; being the request's own, no netrc file takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _decode(answer: requests.Response) -> Any:
    content = answer.raw.read(_MOST_BYTES + 1, decode_content=True)
    if len(content) > _MOST_BYTES:
        raise _Silence("the answer is larger than 1 MiB")
    try:
        told = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("status") != "success":
        reason = str(told.get("error", ""))[:300] if isinstance(told, dict) else ""
        raise _Silence(f"the answer is {answer.status_code} {reason or answer.reason or ''}".rstrip())
    return told


def _pick(told: Any) -> float:
    """The one value of an instant query."""
    try:
        kind, found = told["data"]["resultType"], told["data"]["result"]
        if kind == "scalar":
            return float(found[1])
        if kind == "vector" and len(found) == 1:
            return float(found[0]["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        raise _Silence("the answer is none of Prometheus's") from None
    if kind == "vector":
        raise _Silence(f"{len(found)} series instead of one" if found else "no data")
    raise _Silence(f"the expression is a {kind}, not one value")
