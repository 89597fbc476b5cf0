"""How often, and how long, a forge is asked again: the same for every client, all of which stand on urllib3."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from urllib3 import BaseHTTPResponse, Retry
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import InvalidHeader, MaxRetryError, ResponseError

from seatrial.forges import ForgeAccess
from seatrial.forges.failures import Deed, explain_impatience

IN_TROUBLE = (500, 502, 503, 504)
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
TOO_MANY_REQUESTS = 429
FORBIDDEN = 403
JITTER = 0.3  # seconds at most, so that jobs that were turned away together do not come back together
# (what is left of the quota, when it is full again as seconds since 1970): GitHub's names, and GitLab's.
QUOTAS = (("x-ratelimit-remaining", "x-ratelimit-reset"), ("ratelimit-remaining", "ratelimit-reset"))


class Patience:
    """The seconds that all calls of one delivery may take together; what passes between them does not count."""

    def __init__(self, access: ForgeAccess, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._spent = 0.0
        self._since: float | None = None

    @property
    def left(self) -> float:
        """Seconds, not below zero."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return max(0.0, self._access.patience - self._spent - running)

    @contextmanager
    def spend(self, deed: Deed) -> Iterator[None]:
        """Count the time of a call; `DeliveryError` where none is left for it. A call within a call counts once."""
        if not self.left:
            raise explain_impatience(self._access, deed)
        if self._since is not None:
            yield
            return
        self._since = self._clock()
        try:
            yield
        finally:
            self._spent += self._clock() - self._since
            self._since = None


def read_quota(headers: Mapping[str, str]) -> float | None:
    """Seconds until a quota that is used up is full again; None where the headers tell of none."""
    for remaining, reset in QUOTAS:
        moment = headers.get(reset) or ""
        if headers.get(remaining) == "0" and moment.isascii() and moment.isdigit():
            return max(0.0, int(moment) - time.time())
    return None


class PatientRetry(Retry):
    """Three more attempts, one where the forge is silent, at what may be done twice and what was surely not done.

    A POST is asked again only after 429, after 403 that names a time to come back (GitHub's limits), and where no
    connection came about: in every other case it may have been carried out. Nobody waits, and nothing is begun, for
    longer than the patience lasts.
    """

    def __init__(self, *args: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = patience

    def new(self, **changes: Any) -> PatientRetry:
        """The same policy with other counts."""
        return super().new(patience=self._patience, **changes)

    def get_backoff_time(self) -> float:
        """Seconds before the next attempt; urllib3 alone would make the first one at once."""
        return super().get_backoff_time() or (random.random() * JITTER if self.history else 0.0)  # noqa: S311

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether the answer may be one to ask again after: of a 403 `increment` sees the headers, which decide."""
        turned_away = status_code in (TOO_MANY_REQUESTS, FORBIDDEN)
        return turned_away or super().is_retry(method, status_code, has_retry_after)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that the forge wants to be left alone, by Retry-After or by when its quota is full again."""
        try:
            named = super().get_retry_after(response)
        except InvalidHeader:
            named = None
        if named is not None or response.status not in (TOO_MANY_REQUESTS, FORBIDDEN):
            return named
        return read_quota(response.headers)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> PatientRetry:
        """One attempt fewer; the end where the forge names no time to come back, or one that is too late for us."""
        if response is not None and _pool is not None:
            wait = self.get_retry_after(response)
            if response.status == FORBIDDEN and wait is None:
                raise MaxRetryError(_pool, url or "", ResponseError("forbidden"))
            if wait is not None and wait >= self._patience.left:
                raise MaxRetryError(_pool, url or "", ResponseError(f"asks to wait {wait:g} s"))
        if not self._patience.left and _pool is not None:
            raise MaxRetryError(_pool, url or "", error or ResponseError("out of patience"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def make_retry(patience: Patience) -> PatientRetry:
    """The policy; the last answer is handed to the client, which knows how to read it."""
    return PatientRetry(
        patience=patience,
        total=3,
        # Each of these can cost a whole time-out.
        connect=1,
        read=1,
        allowed_methods=REPEATABLE,
        status_forcelist=IN_TROUBLE,
        backoff_factor=0.2,
        backoff_jitter=JITTER,
        raise_on_status=False,
    )
